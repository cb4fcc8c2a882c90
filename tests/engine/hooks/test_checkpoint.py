"""Killed runs go on exactly: whatever loop, workers and place; damaged files are passed over; signals stop a run."""
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from resumable_runs import config, curve, die_after, die_writing, last_checkpoint, leaves, start, train, wait

KILLED = -signal.SIGKILL
CASES = [('iter', 0, 1), ('iter', 2, 4), ('epoch', 0, 4), ('epoch', 2, 1)]


@pytest.fixture(scope='module')
def undisturbed(tmp_path_factory):
    """Work dir of the undisturbed run of (loop, workers, accumulation), trained once."""
    root, done = tmp_path_factory.mktemp('undisturbed'), {}

    def run(loop='iter', workers=0, accumulate=1):
        key = f'{loop}{workers}{accumulate}'
        if key not in done:
            done[key] = root / key
            assert train(config(done[key], loop, workers, accumulate)) == 0, log_of(done[key])
        return done[key]
    return run


def log_of(work_dir):
    return (Path(work_dir) / 'output.log').read_text()


def same(work_dir, other):
    """Whether two runs are the same to the last bit; where they first differ is said."""
    one, two = curve(work_dir), curve(other)
    assert one == two, [(key, one.get(key), two.get(key)) for key in {**one, **two} if one.get(key) != two.get(key)][:3]
    one, two = leaves(work_dir), leaves(other)
    assert one == two, [pair for pair in zip(one, two) if pair[0] != pair[1]][:3]
    return True


@pytest.mark.parametrize('loop, workers, accumulate', CASES)
def test_a_killed_run_goes_on_as_if_nothing_had_happened(tmp_path, undisturbed, loop, workers, accumulate):
    run = config(tmp_path / 'run', loop, workers, accumulate)
    # Mid-epoch, at a validation not yet done (8 and 15 of the two loops), right after a save.
    for iteration in (7, 8, 15):
        assert train(run, '--resume', prepare=die_after(iteration)) == KILLED, log_of(run.work_dir)
    assert train(run, '--resume') == 0
    assert same(run.work_dir, undisturbed(loop, workers, accumulate))
    assert 'not as it would have' not in log_of(run.work_dir)


def test_generators_are_what_makes_the_difference(tmp_path, undisturbed):
    """The comparison above can fail: without generators the dropout is another."""
    run = config(tmp_path / 'run')
    assert train(run, prepare=die_after(7)) == KILLED
    saved = last_checkpoint(run.work_dir)
    del saved['exact_resume']
    torch.save(saved, Path(run.work_dir) / 'iter_6.pth')
    assert train(run, '--resume') == 0
    assert 'holds no generators' in log_of(run.work_dir)
    ours, theirs = ([line.split('"loss": "')[1][:20] for line in (Path(folder) / 'curve.jsonl').read_text().splitlines()
                     if 'loss' in line] for folder in (run.work_dir, undisturbed()))
    assert ours[:6] == theirs[:6] and ours[7:] != theirs[6:]


@pytest.mark.parametrize('sampler', ['InfiniteSampler', 'DefaultSampler'])
def test_stock_samplers_without_workers_and_without_a_seed(tmp_path, sampler):
    """The order is drawn again from the seed that the killed run had chosen; no seed in the config."""
    def run(name):
        return config(tmp_path / name, **{'train_dataloader.sampler.type': sampler, 'randomness.seed': None,
                                          'default_hooks.checkpoint.save_best': None})
    assert train(run('whole'), prepare=chosen_seed) == 0
    for iteration in (8, 11):
        assert train(run('killed'), '--resume', prepare=lambda: (chosen_seed(iteration), die_after(iteration)())
                     ) == KILLED
    assert train(run('killed'), '--resume') == 0
    assert curve(tmp_path / 'killed') == curve(tmp_path / 'whole')
    assert last_checkpoint(tmp_path / 'killed')['meta']['seed'] == 77


def chosen_seed(iteration=8):
    """A first run's random choice of seed, told; later ones choose another."""
    import mmengine.runner.utils
    mmengine.runner.utils.sync_random_seed = lambda: 77 if iteration == 8 else iteration


def test_stock_samplers_with_workers_warn(tmp_path):
    run = config(tmp_path / 'run', workers=2, **{'train_dataloader.sampler.type': 'InfiniteSampler'})
    assert train(run, prepare=die_after(7)) == KILLED
    assert train(run, '--resume') == 0
    assert 'SeededInfiniteSampler give every sample its own seed' in log_of(run.work_dir)


def test_an_epoch_checkpoint_goes_on_at_the_next_epoch(tmp_path):
    """Saved by epoch: the validation after the save was not done, and the workers' own pass begins anew."""
    def run(name):
        return config(tmp_path / name, 'epoch', saving=dict(by_epoch=True, interval=1),
                      **{'train_dataloader.sampler.type': 'DefaultSampler', 'train_dataloader.num_workers': 2})
    assert train(run('whole')) == 0
    for iteration in (9, 16):
        assert train(run('killed'), '--resume', prepare=die_after(iteration)) == KILLED
    assert train(run('killed'), '--resume') == 0
    assert same(tmp_path / 'killed', tmp_path / 'whole')


@pytest.mark.parametrize('count, stage', [(5, 'first'), (5, 'there'), (6, 'half'), (6, 'written')])
def test_a_kill_inside_a_write_leaves_whole_files(tmp_path, undisturbed, count, stage):
    """The fifth and sixth writing: a checkpoint and the pointer to it, or the best one."""
    run = config(tmp_path / 'run')
    assert train(run, prepare=die_writing(count, stage)) == KILLED
    assert last_checkpoint(run.work_dir)['meta']['iter'] > 0
    assert train(run, '--resume') == 0
    assert 'passed over' not in log_of(run.work_dir)
    assert same(run.work_dir, undisturbed())
    # Nothing half-written stays, nothing outdated, and the best one is there.
    names = sorted(path.name for path in tmp_path.joinpath('run').iterdir() if 'pth' in path.name)
    assert names == sorted(path.name for path in undisturbed().glob('*.pth'))


@pytest.mark.parametrize('damage, told', [
    (lambda whole: b'', 'is empty'), (lambda whole: whole[:len(whole) // 2], 'cut short or damaged'),
    (lambda whole: bytes(len(whole)), 'cut short or damaged'),
    (lambda whole: whole[:3000] + bytes([whole[3000] ^ 255]) + whole[3001:], 'damaged'), (None, 'is absent')])
def test_a_damaged_last_checkpoint_is_passed_over(tmp_path, undisturbed, damage, told):
    run = config(tmp_path / 'run')
    assert train(run, prepare=die_after(10)) == KILLED
    last = tmp_path / 'run' / 'iter_9.pth'
    content = last.read_bytes()
    last.unlink() if damage is None else last.write_bytes(damage(content))
    assert train(run, '--resume') == 0
    log = log_of(run.work_dir)
    assert f'{last} {told}' in log.replace('is cut', 'cut').replace('is damaged', 'damaged') and 'iter_8.pth' in log
    assert same(run.work_dir, undisturbed())


def test_nothing_whole_is_left(tmp_path, undisturbed):
    run = config(tmp_path / 'run')
    assert train(run, prepare=die_after(4)) == KILLED
    for path in [*(tmp_path / 'run').glob('*.pth'), tmp_path / 'run' / 'last_checkpoint']:
        path.write_bytes(b'')
    assert train(run, '--resume') == 0
    assert 'training begins anew' in log_of(run.work_dir) and 'last_checkpoint is empty' in log_of(run.work_dir)
    assert same(run.work_dir, undisturbed())


@pytest.mark.parametrize('loop, by_epoch', [('iter', False), ('epoch', True)])
@pytest.mark.parametrize('name', ['SIGTERM', 'SIGUSR1'])
def test_a_signal_saves_once_and_stops(tmp_path, undisturbed, name, loop, by_epoch):
    """By epoch too, in the middle of one, where no checkpoint would be written."""
    run = config(tmp_path / 'run', loop, saving=dict(by_epoch=by_epoch, interval=3 - 2 * by_epoch))
    assert train(run, prepare=signal_after(getattr(signal, name), 7)) == 75, log_of(run.work_dir)
    assert (tmp_path / 'run' / 'stopped_iter_8.pth').exists()
    assert len(curve(run.work_dir)) == 8 + 1  # eight losses and one validation
    assert train(run, '--resume') == 0
    assert not list((tmp_path / 'run').glob('stopped*'))
    assert curve(run.work_dir) == curve(undisturbed(loop))
    if not by_epoch:
        assert same(run.work_dir, undisturbed(loop))


def signal_after(number, iteration):
    """Something to ``prepare`` a run with: it gets a signal in the step after this many."""
    def prepare():
        from resumable_runs import NoisyNet
        forward, steps = NoisyNet.forward, iter(range(1000))

        def signalled(self, inputs, data_samples=None, mode='tensor'):
            if mode == 'loss' and next(steps) == iteration:
                os.kill(os.getpid(), number)
                os.kill(os.getpid(), number)
            return forward(self, inputs, data_samples, mode)

        NoisyNet.forward = signalled
    return prepare


def fresh(built, *arguments):
    """Start mmdet3d's train.py on a config in an interpreter and a process group of its own."""
    path = Path(built.work_dir).with_suffix('.py')
    built.dump(str(path))
    code = ('import runpy, sys, resumable_runs; sys.argv = ["train.py", *sys.argv[1:]]; '
            'runpy.run_path(str(resumable_runs.TRAIN), run_name="__main__")')
    return subprocess.Popen(
        [sys.executable, '-c', code, str(path), '--work-dir', str(built.work_dir), *arguments], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        env=dict(os.environ, PYTHONPATH=os.pathsep.join([str(Path(__file__).parent), *sys.path])))


def test_a_signal_to_the_whole_group_does_not_take_the_workers_down(tmp_path):
    """As Slurm sends it. Processes of their own, which end as python does: with their workers, and soon.

    All of them are: a fork of this process, which has long computed, may round otherwise than a new interpreter.
    """
    whole = config(tmp_path / 'whole', workers=2)
    run = config(tmp_path / 'run', workers=2)
    slow = config(tmp_path / 'run', workers=2, custom_hooks=[*run.custom_hooks, dict(type='SlowHook')])
    lines = tmp_path / 'run' / 'curve.jsonl'
    processes = [fresh(whole), fresh(slow)]
    try:
        while processes[1].poll() is None and not (lines.exists() and lines.read_text().count('loss') >= 7):
            time.sleep(0.05)
        assert processes[1].poll() is None, processes[1].communicate()[0]
        os.killpg(processes[1].pid, signal.SIGTERM)
        output = processes[1].communicate(timeout=60)[0]
        assert processes[1].returncode == 75, output
        assert 'signal 15: stopped' in output and 'Traceback' not in output
        processes.append(fresh(run, '--resume'))
        for process in (processes[0], processes[2]):
            output = process.communicate(timeout=120)[0]
            assert process.returncode == 0, output
    finally:
        for process in processes:
            process.poll() is not None or os.killpg(process.pid, signal.SIGKILL)
    assert same(run.work_dir, whole.work_dir)


def test_a_run_with_the_hook_is_the_run_without_it(tmp_path):
    """No random number is drawn: weights are those of mmengine's own hook."""
    stock = config(tmp_path / 'stock')
    stock.default_hooks.checkpoint.type = 'CheckpointHook'
    assert train(stock) == 0 and train(config(tmp_path / 'ours')) == 0
    assert curve(tmp_path / 'stock') == curve(tmp_path / 'ours')
    ours, theirs = (last_checkpoint(tmp_path / name)['state_dict'] for name in ('ours', 'stock'))
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_no_data_are_replayed(tmp_path):
    """Iteration 100,000 is resumed without loading what came before: a handful of samples is read."""
    run = config(tmp_path / 'run', steps=100_004, saving=dict(interval=50_000))
    begin = config(tmp_path / 'begin', steps=3)
    assert train(begin) == 0
    saved = last_checkpoint(begin.work_dir)
    saved['meta']['iter'] = 100_000
    path = tmp_path / 'far.pth'
    torch.save(saved, path)

    def count():
        from resumable_runs import NoisyNumbers
        read = NoisyNumbers.__getitem__

        def counted(self, index):
            with open(tmp_path / 'reads', 'a') as file:
                file.write('.')
            return read(self, index)

        NoisyNumbers.__getitem__ = counted

    assert train(run, '--resume', str(path), prepare=count) == 0, log_of(run.work_dir)
    # Four batches, and validations of the samples at the end.
    assert (tmp_path / 'reads').stat().st_size <= 4 * 4 + 2 * 22
    far = [line for key, line in curve(run.work_dir).items() if key[1] >= 100_000 and key[0] == 'loss']
    from pretrain3d.datasets.samplers import SeededInfiniteSampler
    from resumable_runs import NoisyNumbers
    draws = SeededInfiniteSampler(NoisyNumbers(), seed=3).draws(400_000)
    assert [line['samples'] for line in far] == [[int(next(draws)) for _ in range(4)] for _ in far] and len(far) == 4


def test_start_reports_how_a_run_ends(tmp_path):
    broken = config(tmp_path / 'run', **{'model.type': 'NoSuchNet'})
    assert wait(start(broken)) == 1 and 'NoSuchNet' in log_of(broken.work_dir)
