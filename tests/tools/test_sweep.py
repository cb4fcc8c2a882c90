"""tools/sweep.py: the arithmetic of its table, and a tiny sweep through mmdet3d's own tools, killed and resumed."""
import importlib
import itertools
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / 'tools'))
table, spec_file = importlib.import_module('_sweep_table'), importlib.import_module('_sweep_spec')
sweep = importlib.import_module('sweep')

# A model of one number that learns the mean of its data; the variant says where it starts, the seed shifts the data.
TOY = '''
import os
import time
import torch
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, METRICS, MODELS


@DATASETS.register_module()
class ToyData:
    metainfo = dict()

    def __init__(self, size=4):
        shift = torch.initial_seed() % 7
        self.values = [float(i + shift) for i in range(size)]

    def __len__(self):
        return len(self.values)

    def __getitem__(self, index):
        return dict(inputs=torch.tensor([self.values[index]]), data_samples=index)


@MODELS.register_module()
class ToyModel(BaseModel):

    def __init__(self, start=0., wait=0., crash=False):
        super().__init__()
        self.value, self.wait, self.crash = torch.nn.Parameter(torch.tensor([start])), wait, crash

    def forward(self, inputs, data_samples=None, mode='loss'):
        if self.crash:
            raise RuntimeError('toy crash')
        time.sleep(self.wait if os.environ.get('TOY_SLOW') else 0)
        if mode == 'loss':
            return dict(loss=sum((self.value - x)**2 for x in inputs).sum())
        return [self.value.detach() for _ in inputs]


@METRICS.register_module()
class ToyMetric(BaseMetric):

    def process(self, data_batch, data_samples):
        self.results += [float(value) for value in data_samples]

    def compute_metrics(self, results):
        return dict(value=sum(results) / len(results))
'''
# Nothing of mmdet3d's is built, so that each of the many processes starts without importing all of it.
CONFIG = '''
custom_imports = dict(imports=['sweep_toy'])
model = dict(type='ToyModel')
train_dataloader = dict(dataset=dict(type='ToyData'), batch_size=2, num_workers=0,
                        sampler=dict(type='DefaultSampler', shuffle=True))
test_dataloader = dict(dataset=dict(type='ToyData'), batch_size=2, num_workers=0,
                       sampler=dict(type='DefaultSampler', shuffle=False))
test_evaluator = dict(type='ToyMetric', prefix='toy')
test_cfg = dict()
train_cfg = dict(by_epoch=True, max_epochs=3)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.05))
'''
SPEC = '''
name: toy
work_dir: {folder}/out
metric: toy/value
seeds: [0, 1]
variants:
  scratch: {{config: toy.py}}
  moved: {{config: toy.py, options: {{model.start: 5.0, model.wait: 0.5}}}}
'''


@pytest.fixture
def toy(tmp_path):
    """Write the toy and a spec; return a function that starts the sweep."""
    (tmp_path / 'sweep_toy.py').write_text(TOY)
    (tmp_path / 'toy.py').write_text(CONFIG)
    (tmp_path / 'spec.yaml').write_text(SPEC.format(folder=tmp_path))
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get('PYTHONPATH')]))

    def start(*options, **env):
        command = [sys.executable, str(ROOT / 'tools' / 'sweep.py'), str(tmp_path / 'spec.yaml'), *options]
        return subprocess.Popen(command, env=dict(os.environ, PYTHONPATH=path, OMP_NUM_THREADS='1', **env), text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path)

    return start


def epochs(folder):
    """Epochs in a training's logs, run by run."""
    logs = sorted((folder / 'train').glob('*/*.log'))
    return [sorted({int(epoch) for epoch in re.findall(r'Saving checkpoint at (\d+) epochs', log.read_text())})
            for log in logs]


def test_kill_and_resume(toy, tmp_path):
    """Killed while the third cell trains, run again: two cells are left alone, one resumes, the table is whole."""
    out = tmp_path / 'out'
    slow = out / 'moved' / 'all' / 'seed_0'
    process = toy(TOY_SLOW='1')
    deadline = time.time() + 300
    while not (slow / 'train' / 'epoch_1.pth').exists() or not (slow / 'train' / 'last_checkpoint').exists():
        assert process.poll() is None and time.time() < deadline, process.communicate()
        time.sleep(.02)
    process.send_signal(signal.SIGINT)
    out_text, error = process.communicate()
    assert process.returncode == 130, (out_text, error)
    assert 'stopped with 2 of 4 cells done; run the same command to go on' in error
    half = json.loads((out / 'sweep.json').read_text())
    assert half['finished'] == 2
    assert '| all | moved | toy/value | – | – | 0 of 2 |' in (out / 'sweep.md').read_text()
    done = {path: path.stat().st_mtime_ns for path in (out / 'scratch').rglob('*') if path.is_file()}

    listed = toy('--dry-run')
    text, _ = listed.communicate()
    assert listed.returncode == 0
    assert [line.split(': ')[1] for line in text.splitlines() if ': ' in line and line[0] != ' '] == [
        'done', 'done', 'started', 'new']

    process = toy('--jobs', '2')
    text, error = process.communicate()
    assert process.returncode == 0, (text, error)
    assert done == {path: path.stat().st_mtime_ns for path in (out / 'scratch').rglob('*') if path.is_file()}
    assert '[moved/all/seed_0] resumes' in text and '[scratch/all/seed_0]' not in text
    first, second = epochs(slow)
    assert first[0] == 1 and second[-1] == 3 and second[0] == first[-1] + 1

    whole = json.loads((out / 'sweep.json').read_text())
    assert whole['finished'] == whole['planned'] == 4 and not whole['failed']
    scratch, moved = whole['rows']
    assert scratch['n'] == moved['n'] == 2 and moved['difference']['n'] == 2
    # The start is the only thing that differs within a pair: each step keeps the same share of it.
    differences = [moved['values'][seed] - scratch['values'][seed] for seed in ('0', '1')]
    assert differences == pytest.approx([5 * .8**6] * 2, abs=2e-4)
    assert moved['difference']['mean'] == pytest.approx(5 * .8**6, abs=2e-4)
    # The mean over seeds is what differs between pairs.
    assert scratch['values']['0'] != scratch['values']['1']

    (tmp_path / 'toy.py').write_text((tmp_path / 'toy.py').read_text() + 'find_unused_parameters = True\n')
    changed = toy()
    _, error = changed.communicate()
    assert changed.returncode == 1 and re.search('^sweep: .*seed_0 was made from another config; remove', error)


def test_default_runtime_through_mmdet3d(toy, tmp_path):
    """The runtime that our configs inherit: hooks, seed, log line and TensorBoard in a run of mmdet3d's train.py."""
    runtime = ROOT / 'configs' / '_base_' / 'default_runtime.py'
    config = CONFIG.replace("['sweep_toy']", "['pretrain3d', 'sweep_toy']")
    logging = 'default_hooks = dict(logger=dict(interval=1))'
    (tmp_path / 'run.py').write_text(f"_base_ = ['{runtime}']\n{config}\n{logging}\n")
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get('PYTHONPATH')]))
    done = subprocess.run([sys.executable, str(ROOT / 'tools' / 'train.py'), 'run.py', '--work-dir', 'out'],
                          cwd=tmp_path, env=dict(os.environ, PYTHONPATH=path, OMP_NUM_THREADS='1'),
                          capture_output=True, text=True)
    log = done.stdout + done.stderr
    assert done.returncode == 0, log[-3000:]
    assert 'ConfigCheckHook' in log and 'InputCheckHook' in log and re.search(r'eta: \d+:\d\d:\d\d', log)
    assert re.search(r'seed: 0\b', log)
    assert list((tmp_path / 'out').glob('*/vis_data/events.out.tfevents*'))
    assert list((tmp_path / 'out').glob('*/vis_data/scalars.json'))
    # The last one, and the one before it to fall back to.
    assert sorted(path.name for path in (tmp_path / 'out').glob('*.pth')) == ['epoch_2.pth', 'epoch_3.pth']


def test_failing_cells_are_listed(toy, tmp_path):
    spec = (tmp_path / 'spec.yaml').read_text().replace('model.start: 5.0, model.wait: 0.5', 'model.crash: true')
    (tmp_path / 'spec.yaml').write_text(spec.replace('[0, 1]', '[3]'))
    process = toy()
    text, error = process.communicate()
    assert process.returncode == 1
    assert re.search(r'moved/all/seed_3: training failed, see \S+log.txt', error)
    assert error.splitlines()[-1] == 'sweep: 1 of 2 cells failed'
    table_text = (tmp_path / 'out' / 'sweep.md').read_text()
    assert 'Failed: moved/all/seed_3' in table_text and re.search(r'scratch \| toy/value \| [\d.]+ \| – \| 1 of 1',
                                                                   table_text)
    assert 'toy crash' in (tmp_path / 'out' / 'moved' / 'all' / 'seed_3' / 'log.txt').read_text()


@pytest.mark.parametrize('old, new, message', [
    ('toy.py}\n', 'gone.py}\n', 'gone.py cannot be used: FileNotFoundError'),
    ('seeds', 'seed', "unknown key 'seed'"),
    ('metric: toy/value\n', '', "key 'metric' is missing"),
    ('[0, 1]', '[1, 1]', 'different whole numbers'),
    ('model.start', 'model.start.deep', 'cannot be used|plain'),
    ('options', 'option', "variant 'moved' takes config and"),
    ('options:', 'against: moof, options:', "compared with 'moof', which is none of"),
    ('options:', 'against: {toy/other: scratch}, options:',
     "'moved' names metric 'toy/other', which is none of"),
    ('options:', 'metric: toy/other, options:', "'moved' names metric 'toy/other', which is none of"),
    ('model.start', 'param_scheduler.0.end', 'the whole list'),
    ('  moved', '  a/b', 'cannot hold a slash'),
    ('metric:', 'gpus_per_cell: many\nmetric:', "gpus_per_cell is a whole number from 1 on, got 'many'"),
    ('metric:', 'gpus_per_cell: 2\nmetric:', 'needs 2 GPUs, here are 0; without GPUs a cell is one process'),
])
def test_bad_specs_are_one_line(tmp_path, capsys, monkeypatch, old, new, message):
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '')
    (tmp_path / 'toy.py').write_text("model = dict(type='ToyModel', start=1.)\n")
    text = SPEC.format(folder=tmp_path)
    assert old in text
    (tmp_path / 'spec.yaml').write_text(text.replace(old, new))
    assert sweep.main([str(tmp_path / 'spec.yaml')]) == 1
    error = capsys.readouterr().err
    assert re.search('^sweep: .*(' + message + ')', error) and error.count('\n') == 1, error
    assert not (tmp_path / 'out').exists()


def test_variants_with_other_metrics_and_comparisons(tmp_path):
    """Two data sets alone and together: each score of both is compared with that of the data set alone."""
    (tmp_path / 'toy.py').write_text("model = dict(type='ToyModel')\n")
    (tmp_path / 'spec.yaml').write_text(
        f'name: toy\nwork_dir: {tmp_path}/out\nmetric: [a, b]\nseeds: [0]\nvariants:\n'
        '  alone a: {config: toy.py, metric: a}\n  alone b: {config: toy.py, metric: [b], against: alone b}\n'
        '  both: {config: toy.py, against: {a: alone a, b: alone b}}\n')
    spec = spec_file.read_spec(str(tmp_path / 'spec.yaml'))
    cells = spec_file.make_cells(spec)
    assert [cell.metrics for cell in cells] == [('a', ), ('b', ), ('a', 'b')]
    for cell, metrics in zip(cells, (dict(a=0.25), dict(b=0.5), dict(a=0.5, b=0.25))):
        cell.folder.mkdir(parents=True)
        (cell.folder / 'result.json').write_text(json.dumps(dict(metrics=metrics)))
    assert sweep.Sweep(spec, cells, []).write_table() == 3
    rows = (tmp_path / 'out' / 'sweep.md').read_text().splitlines()[-4:]
    assert [row.split(' | ')[1:5] for row in rows] == [
        ['alone a', 'a', '0.25', '–'], ['both', 'a', '0.5', '+0.25 to alone a'],
        ['alone b', 'b', '0.5', '–'], ['both', 'b', '0.25', '-0.25 to alone b']]


def test_gpus_are_shared_out(monkeypatch):
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '4,5,6,7')
    assert sweep.share_gpus([], 2, 2) == ['4', '5', '6', '7'] and sweep.share_gpus([], 8, 1) == []
    assert sweep.share_gpus(['0', '2'], 1, 2) == ['0', '2']
    with pytest.raises(spec_file.SweepError, match='gpus_per_cell: 4 times --jobs 2 needs 8 GPUs, here are 4$'):
        sweep.share_gpus([], 2, 4)


# Stands for train.py and test.py: says who it is, leaves a checkpoint and a score.
STAND_IN = '''
import json, os, sys
from pathlib import Path
folder = Path(sys.argv[sys.argv.index('--work-dir') + 1])
rank = os.environ.get('RANK', 'none')
(folder / 'now').mkdir(parents=True, exist_ok=True)
(folder / f'rank_{rank}.json').write_text(json.dumps(dict(
    arguments=sys.argv[1:], world=os.environ.get('WORLD_SIZE'), gpus=os.environ['CUDA_VISIBLE_DEVICES'])))
if rank in ('0', 'none'):
    (folder / 'iter_1.pth').write_text('')
    (folder / 'last_checkpoint').write_text(str(folder / 'iter_1.pth'))
    (folder / 'now' / 'now.json').write_text('{"toy/value": 1.0}')
'''


def test_a_cell_on_several_gpus(tmp_path, monkeypatch, capsys):
    """Through torch's launcher: every process gets the cell's config, the test one process and one GPU."""
    for name in ('train.py', 'test.py'):
        (tmp_path / name).write_text(STAND_IN)
    (tmp_path / 'toy_2xb3_x.py').write_text('train_dataloader = dict(batch_size=3)\n')
    text = SPEC.format(folder=tmp_path).replace('toy.py, options: {model.start: 5.0, model.wait: 0.5}', 'toy_2xb3_x.py')
    text = text.replace('{config: toy.py}', '{config: toy_2xb3_x.py}').replace('[0, 1]', '[3]')
    text = text.replace('seeds:', 'fractions: {20 points: {}}\ngpus_per_cell: 2\nseeds:')
    (tmp_path / 'spec.yaml').write_text(text)
    monkeypatch.setattr(sweep, 'TOOLS', tmp_path)
    assert sweep.main([str(tmp_path / 'spec.yaml'), '--gpus', '0,1,2,3', '--jobs', '2']) == 0, capsys.readouterr()
    seen = set()
    for variant in ('scratch', 'moved'):
        cell = tmp_path / 'out' / variant / '20 points' / 'seed_3'
        records = [json.loads(path.read_text()) for path in sorted((cell / 'train').glob('rank_*.json'))]
        assert [record['world'] for record in records] == ['2', '2']
        assert records[0] == records[1] and records[0]['arguments'] == [
            str(cell / 'config.py'), '--work-dir', str(cell / 'train'), '--launcher', 'pytorch']
        test = json.loads((cell / 'test' / 'rank_none.json').read_text())
        assert test['gpus'] == records[0]['gpus'].split(',')[0] and test['world'] is None
        seen |= {*records[0]['gpus'].split(',')}
    assert seen == {'0', '1', '2', '3'}


@pytest.mark.parametrize('gpus, options, fits', [
    (8, {}, True),
    (1, {}, False),
    (4, {}, False),
    (1, {'train_dataloader.batch_size': 48}, True),
    (4, {'optim_wrapper.accumulative_counts': 2}, True),
    (1, {'optim_wrapper.optimizer.lr': 0.0125}, True),
    (8, {'train_dataloader.batch_size': 4}, False),
])
def test_recipes_are_run_with_the_batch_of_their_name(tmp_path, gpus, options, fits):
    (tmp_path / 'net_8xb6-x_data.py').write_text(
        'train_dataloader = dict(batch_size=6)\noptim_wrapper = dict(optimizer=dict(lr=0.1))\n')
    (tmp_path / 'spec.json').write_text(json.dumps(dict(
        name='n', metric='m', seeds=[0], gpus_per_cell=gpus, variants=dict(a=dict(
            config='net_8xb6-x_data.py', options=options)))))
    spec = spec_file.read_spec(str(tmp_path / 'spec.json'))
    if fits:
        assert len(spec_file.make_cells(spec)) == 1
        return
    with pytest.raises(spec_file.SweepError, match='made for 8 processes x 6 samples = 48 a step, here are'):
        spec_file.make_cells(spec)


def test_two_sweeps_in_one_folder(tmp_path, capsys):
    import fcntl
    (tmp_path / 'toy.py').write_text('model = dict()\n')
    (tmp_path / 'spec.yaml').write_text(SPEC.format(folder=tmp_path))
    (tmp_path / 'out').mkdir()
    with open(tmp_path / 'out' / '.lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert sweep.main([str(tmp_path / 'spec.yaml')]) == 1
    assert 'another sweep' in capsys.readouterr().err


def test_help(capsys):
    with pytest.raises(SystemExit) as done:
        sweep.main(['--help'])
    assert done.value.code == 0 and '--dry-run' in capsys.readouterr().out


def test_seed_in_options():
    options = {'a': '{seed}', 'b': ['x_{seed}.pth', 3], 'c': {'d': '{seed}'}, 'e': 0.5}
    assert spec_file.with_seed(options, 7) == {'a': 7, 'b': ['x_7.pth', 3], 'c': {'d': 7}, 'e': 0.5}


def test_variables_of_a_variant(tmp_path, monkeypatch):
    monkeypatch.setenv('SWEEP_TEST_KEPT', 'before')
    monkeypatch.delenv('SWEEP_TEST_NEW', raising=False)
    (tmp_path / 'base.py').write_text("checkpoint = '{{$SWEEP_TEST_NEW:none}}'\nother = '{{$SWEEP_TEST_KEPT:none}}'\n")
    (tmp_path / 'spec.yml').write_text(
        'name: env\nmetric: m\nseeds: [3, 4]\nvariants:\n  a: {config: base.py}\n  b:\n    config: base.py\n'
        '    env: {SWEEP_TEST_NEW: "w_{seed}.pth", SWEEP_TEST_KEPT: 5}\n')
    cells = spec_file.make_cells(spec_file.read_spec(str(tmp_path / 'spec.yml')))
    assert [cell.env for cell in cells] == [{}, {}] + [
        {'SWEEP_TEST_NEW': f'w_{seed}.pth', 'SWEEP_TEST_KEPT': '5'} for seed in (3, 4)]
    assert len({cell.fingerprint for cell in cells}) == 4
    assert os.environ['SWEEP_TEST_KEPT'] == 'before' and 'SWEEP_TEST_NEW' not in os.environ


def test_options_become_a_child_config():
    from mmengine.config import Config
    text = spec_file.child_config('/a/b.py', {'model.head.width': 3, 'model.head.name': 'x', 'list': [dict(a=1)]})
    assert text.splitlines() == ["_base_ = ['/a/b.py']", "model = {'head': {'width': 3, 'name': 'x'}}",
                                 "list = [{'a': 1}]"]
    base = Config(dict(model=dict(head=dict(width=1, depth=2)), list=[1]))
    base.merge_from_dict({'model.head.width': 3})
    assert base.model.head == dict(width=3, depth=2)
    with pytest.raises(spec_file.SweepError, match='plain values'):
        spec_file.child_config('/a/b.py', {'a': object()})


def test_interval_covers_as_often_as_it_says():
    """Brute force: of many samples from a known normal, 95 % of the intervals hold the true mean."""
    generator = np.random.default_rng(0)
    hits, trials = 0, 4000
    for _ in range(trials):
        entry = table.mean_interval(list(generator.normal(3, 2, 5)))
        hits += abs(entry['mean'] - 3) <= entry['half_width']
    assert abs(hits / trials - .95) < 4 * math.sqrt(.95 * .05 / trials)


def test_interval_by_hand():
    entry = table.mean_interval([1., 2., 3., 4., 5.])  # s = sqrt(2.5), t(0.975, 4) = 2.776445
    assert entry['mean'] == 3 and entry['half_width'] == pytest.approx(2.776445 * math.sqrt(2.5 / 5), rel=1e-6)
    assert table.mean_interval([7.]) == dict(mean=7., half_width=None, n=1)
    assert table.mean_interval([]) == dict(mean=None, half_width=None, n=0)


def test_differences_are_paired():
    """A large spread over seeds that both variants share does not widen the interval of their difference."""
    offsets = {0: 0., 1: 50., 2: 100.}
    scores = {(variant, 'all', seed): dict(m=offset + gain) for (variant, gain), (seed, offset) in itertools.product(
        dict(a=0., b=1.).items(), offsets.items())}
    del scores['b', 'all', 2]
    first, second = table.summarise(scores, dict(a='a', b='a'), ['all'], [0, 1, 2], 'm')
    assert first['difference'] is None and first['half_width'] > 50
    assert second['n'] == 2 and second['difference'] == dict(mean=1., half_width=0., n=2)
    text = table.markdown('t', [first, second], 3, ['b/all/seed_2'])
    assert '| all | b | m | 26 ± 3.2e+02 | +1 ± 0 to a | 2 of 3 |' in text and 'Failed: b/all/seed_2' in text
