"""tools/_demo.py: scripts run with progress, told apart by their errors, and never left behind."""
import importlib
import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


@pytest.fixture
def demo(monkeypatch, tmp_path):
    """The module; the scripts it runs lie in ``tmp_path/tools``."""
    monkeypatch.syspath_prepend(TOOLS)
    module = importlib.import_module('_demo')
    (tmp_path / 'tools').mkdir()
    monkeypatch.setattr(module, 'ROOT', tmp_path)
    return module


def test_progress_and_failure_of_a_script(demo, tmp_path, capsys):
    """A stand-in for mmdet3d's script prints what mmengine prints."""
    (tmp_path / 'tools' / 'good.py').write_text(
        "print('11/21 - INFO - Iter(train) [ 10/150]  lr: 2e-4  eta: 0:03:24  time: 0.7  loss: 16179.3  a.loss: 1')\n"
        "print('picture: x.png')")
    (tmp_path / 'tools' / 'bad.py').write_text("import sys\nprint('ValueError: no', file=sys.stderr)\n"
                                               "raise FileNotFoundError('points.bin does not exist: check data_root')")
    printed = demo.run('good.py', [], tmp_path / 'good.log', dict(os.environ))
    assert 'picture: x.png' in printed and (tmp_path / 'good.log').read_text() == printed
    assert 'step   10/150   loss 16179.300   time left 0:03:24' in capsys.readouterr().out
    message = 'bad.py failed: FileNotFoundError: points.bin does not exist.*\n.*bad.log'
    with pytest.raises(demo.DemoError, match=message):
        demo.run('bad.py', [], tmp_path / 'bad.log', dict(os.environ))


def test_counts_are_shown_now_and_then_and_at_the_end(demo):
    lines = [f'{done}/40 scans, {40 - done} s left ' for done in range(1, 41)]
    often, seldom = demo.CountProgress(pause=-1), demo.CountProgress(pause=1e9)
    assert [often(line) for line in lines][6] == '  7/40 scans   33 s left'
    assert [shown for shown in map(seldom, lines) if shown] == ['  40/40 scans']
    assert often('out: written') is None and demo.training_progress('Iter(val) [5/5] miou: 0.1') is None


def test_progress_of_a_training_is_named_and_seldom(demo):
    lines = [f'Iter(train) [ {step}/40]  eta: 0:03:24  time: 0.7  loss: 1.5' for step in range(1, 41)]
    seldom = demo.TrainingProgress('scratch, seed 1', pause=1e9)
    assert [shown.split() for shown in map(seldom, lines) if shown] == [
        'scratch, seed 1 step 40/40 loss 1.500 time left 0:03:24'.split()]
    often = demo.TrainingProgress('a', pause=-1)
    assert sum(map(bool, map(often, lines))) == 40 and often('Iter(val) [5/5] miou: 0.1') is None


@pytest.mark.parametrize('jobs', [1, 3])
def test_tasks_run_together(demo, jobs):
    """With several jobs all three wait for each other; with one they come in order."""
    barrier, done = threading.Barrier(jobs), []

    def task(number):
        barrier.wait(60)
        done.append(number)

    demo.together([lambda number=number: task(number) for number in range(3)], jobs)
    assert sorted(done) == [0, 1, 2] and (jobs > 1 or done == [0, 1, 2])


def test_the_first_failure_ends_the_other_scripts(demo, tmp_path):
    (tmp_path / 'tools' / 'long.py').write_text('import time\nprint("begun", flush=True)\ntime.sleep(600)')
    (tmp_path / 'tools' / 'bad.py').write_text(
        'import pathlib, sys, time\nlog = pathlib.Path(sys.argv[1])\n'
        'while not (log.exists() and log.read_text()): time.sleep(0.05)\nraise ValueError("no")')
    log, after = tmp_path / 'long.log', []

    def shown(line):
        (tmp_path / 'begun').write_text(line)

    def long():
        demo.run('long.py', [], log, dict(os.environ), shown)
        after.append('went on')

    def bad():
        demo.run('bad.py', [tmp_path / 'begun'], tmp_path / 'bad.log', dict(os.environ))

    with pytest.raises(demo.DemoError, match='bad.py failed: ValueError: no'):
        demo.together([long, bad, long], 2)
    assert not demo.LIVE and not after


def alive(pid):
    try:
        return Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[0] != 'Z'
    except OSError:
        return False


@pytest.mark.skipif(not Path('/proc/self/stat').exists(), reason='needs /proc to see processes')
@pytest.mark.parametrize('deaf', [False, True])
def test_stopping_ends_what_a_script_has_started_too(demo, tmp_path, monkeypatch, deaf):
    """``deaf``: the script's child ignores the interrupt and is killed."""
    monkeypatch.setattr(demo, 'STOP_WAIT', 2)
    ignore = 'import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); ' if deaf else ''
    child = f'{ignore}import os, time; print(os.getpid(), flush=True); time.sleep(600)'
    (tmp_path / 'tools' / 'long.py').write_text(
        'import os, subprocess, sys\nprint(os.getpid(), flush=True)\n'
        f'subprocess.run([sys.executable, "-c", {child!r}])')
    seen = []

    def interrupt(line):
        seen.append(int(line))
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        demo.run('long.py', [], tmp_path / 'long.log', dict(os.environ), interrupt)
    deadline = time.monotonic() + 30
    while any(map(alive, seen)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(seen) == 2 and not any(map(alive, seen))


def test_exit_status_and_one_line(demo, capsys):
    def fail():
        raise demo.DemoError('no such thing')

    before = signal.getsignal(signal.SIGTERM)
    assert demo.main(lambda: None) == 0 and demo.main(fail) == 1
    assert capsys.readouterr().err == 'demo: no such thing\n'
    assert demo.main(lambda: os.kill(os.getpid(), signal.SIGTERM), 'it goes on') == 130
    assert capsys.readouterr().err == 'demo: interrupted; run it again, it goes on\n'
    assert signal.getsignal(signal.SIGTERM) == before


def test_light_leaves_the_environment_as_it_was(demo, monkeypatch):
    for before in (None, '0'):
        monkeypatch.delenv('PRETRAIN3D_LIGHT', raising=False)
        if before is not None:
            monkeypatch.setenv('PRETRAIN3D_LIGHT', before)
        with demo.light():
            assert os.environ['PRETRAIN3D_LIGHT'] == '1'
            assert 'PRETRAIN3D_LIGHT' not in demo.environment()  # mmdet3d's scripts have to register everything
        assert os.environ.get('PRETRAIN3D_LIGHT') == before
    assert demo.environment(A='b')['A'] == 'b'


def test_scores_curves_and_checkpoints_of_the_last_run(demo, tmp_path):
    with pytest.raises(demo.DemoError, match='no scores'):
        demo.scores_of(tmp_path)
    with pytest.raises(demo.DemoError, match='no checkpoint'):
        demo.checkpoint_of(tmp_path)
    assert demo.curve_of(tmp_path, 'loss') == []
    for age, name in ((100, 'z_first'), (0, 'a_second')):
        (tmp_path / name / 'vis_data').mkdir(parents=True)
        for path, lines in ((tmp_path / name / 'scores.json', [{'miou': age}]),
                            (tmp_path / name / 'vis_data' / 'scalars.json',
                             [{'loss': age + 1, 'step': 10}, {'miou': 1, 'step': 10}, {'loss': age, 'step': 20}])):
            path.write_text('\n'.join(map(json.dumps, lines)))
            os.utime(path, (time.time() - age,) * 2)
    (tmp_path / 'last_checkpoint').write_text('/a/b.pth\n')
    assert demo.scores_of(tmp_path) == {'miou': 0} and demo.curve_of(tmp_path, 'loss') == [(10, 1), (20, 0)]
    assert demo.checkpoint_of(tmp_path) == Path('/a/b.pth')


def test_commands_are_shown_as_one_would_type_them(demo, tmp_path):
    assert demo.command('train.py', tmp_path / 'work dir' / 'c.py', '--x', 'k=[1, 2]', '/elsewhere/c.py') == (
        "python tools/train.py 'work dir/c.py' --x 'k=[1, 2]' /elsewhere/c.py")
    (tmp_path / 'tools' / 'train.py').write_text('import os, sys\nprint(os.environ["WORLD"], sys.argv[1:])')
    run = demo.Run('scratch', tmp_path / 'c.py', tmp_path, dict(WORLD=str(tmp_path / 'w')), ['a.b=1'])
    run.train()
    assert run.commands == ['WORLD=w python tools/train.py c.py --work-dir train --cfg-options a.b=1']
    expected = [str(tmp_path / 'c.py'), '--work-dir', str(tmp_path / 'train'), '--cfg-options', 'a.b=1']
    assert (tmp_path / 'train.log').read_text().strip() == f'{tmp_path / "w"} {expected}'


def test_the_saved_config_is_tested_not_the_one_on_disk_now(demo, tmp_path):
    (tmp_path / 'tools' / 'test.py').write_text(
        'import pathlib, sys\nprint(sys.argv[1:])\n'
        'folder = pathlib.Path(sys.argv[-1]) / "now"\nfolder.mkdir(parents=True)\n'
        '(folder / "now.json").write_text(\'{"miou": 0.5}\')')
    (tmp_path / 'train').mkdir()
    (tmp_path / 'train' / 'last_checkpoint').write_text('/w.pth')
    run = demo.Run('scratch', tmp_path / 'config.py', tmp_path, {})
    run.test()
    expected = [str(tmp_path / 'train' / 'config.py'), '/w.pth', '--work-dir', str(tmp_path / 'test')]
    assert (tmp_path / 'test.log').read_text().strip() == str(expected) and run.scores == {'miou': 0.5}
