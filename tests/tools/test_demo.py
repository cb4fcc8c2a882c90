"""tools/demo.py without its long parts; tests/end_to_end/test_rooms_demo.py runs it whole."""
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.config import Config

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


@pytest.fixture
def demo(monkeypatch):
    """The script as a module."""
    monkeypatch.syspath_prepend(TOOLS)
    spec = importlib.util.spec_from_file_location('rooms_demo', TOOLS / 'demo.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize('arguments', [['--iters', '0'], ['--labels', '-1'], ['--seed', '-1'], ['--jobs', '0'],
                                       ['--preset', 'huge'], ['--iters', 'many'], ['--seeds', '0'],
                                       ['--pretrain-iters', '0']])
def test_impossible_arguments(demo, arguments):
    with pytest.raises(SystemExit):
        demo.parse_args(arguments)


def both_configs(recipe, run):
    return (Config.fromfile(str(path), import_custom_modules=False) for path in (recipe, run.config))


@pytest.mark.parametrize('kind', ['scratch', 'pre-trained'])
@pytest.mark.parametrize('iters, labels', [(None, 20), (7, 0)])
def test_config_of_a_run(demo, tmp_path, monkeypatch, iters, labels, kind):
    """The recipe with everything that follows from the number of steps, and nothing else."""
    args = demo.parse_args(['--labels', str(labels), *(['--iters', str(iters)] if iters else [])])
    args.work_dir = tmp_path
    checkpoint = tmp_path / 'pre.pth' if kind == 'pre-trained' else None
    run = demo.make_run(kind, 3, args, tmp_path / 'world', checkpoint, 2)
    monkeypatch.setenv('PRETRAIN3D_CHECKPOINT', run.variables.get('PRETRAIN3D_CHECKPOINT', 'no'))
    recipe, config = both_configs(demo.RECIPES[kind], run)
    steps = iters or 200
    assert config.train_cfg.max_iters == config.default_hooks.checkpoint.interval == steps
    assert config.param_scheduler[0].total_steps == steps
    assert demo.VALIDATIONS - 2 < steps / config.train_cfg.val_interval <= demo.VALIDATIONS
    assert config.randomness.seed == config.train_dataloader.dataset.limit_seed == 3
    assert config.train_dataloader.dataset.get('limit_points') == (labels or None)
    assert config.model == recipe.model and config.optim_wrapper == recipe.optim_wrapper
    assert config.train_dataloader.dataset.pipeline == recipe.train_dataloader.dataset.pipeline
    assert config.test_evaluator[0] == recipe.test_evaluator and config.val_evaluator == recipe.val_evaluator
    transfers = [hook.checkpoint for hook in config.get('custom_hooks', []) if hook.type == 'WeightTransferHook']
    assert transfers == ([str(checkpoint)] if checkpoint else [])
    named = dict(PRETRAIN3D_CHECKPOINT=str(checkpoint)) if checkpoint else {}
    assert run.variables == dict(PRETRAIN3D_SCANNET=str(tmp_path / 'world'), OMP_NUM_THREADS='2', **named)


def test_default_settings_are_those_of_the_protocol(demo, tmp_path):
    """configs/contrastive_scene_contexts/benchmarks/rooms.yaml, which makes the table of docs/scene_contexts.md."""
    protocol = Config.fromfile(str(demo.METHOD / 'benchmarks' / 'rooms.yaml'))
    args = demo.parse_args([])
    args.work_dir = tmp_path
    options, = protocol.fractions.values()
    for kind, variant in (('scratch', 'scratch'), ('pre-trained', 'pretrained')):
        named = demo.METHOD / 'benchmarks' / protocol.variants[variant].config
        assert named.resolve() == demo.RECIPES[kind].resolve()
        _, config = both_configs(demo.RECIPES[kind], demo.make_run(kind, 0, args, tmp_path))
        for key, value in options.items():
            if key not in ('train_cfg.val_interval', 'train_dataloader.dataset.limit_seed'):
                found = config
                for part in key.split('.'):
                    found = found[part]
                assert found == value, key


@pytest.mark.parametrize('iters', [None, 9])
def test_config_of_the_pretraining(demo, tmp_path, iters):
    args = demo.parse_args(['--seed', '4', *(['--pretrain-iters', str(iters)] if iters else [])])
    args.work_dir = tmp_path
    recipe, config = both_configs(demo.PRETRAINING, demo.make_pretraining(args, tmp_path))
    steps = iters or recipe.train_cfg.max_iters
    assert config.train_cfg.max_iters == config.param_scheduler[0].total_steps == steps
    assert config.randomness.seed == 4 and config.default_hooks.checkpoint.interval == steps
    assert config.model == recipe.model and config.train_dataloader == recipe.train_dataloader


def test_trainings_side_by_side_share_the_cores(demo, tmp_path, monkeypatch):
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    monkeypatch.setattr(os, 'cpu_count', lambda: 9)
    args = demo.parse_args(['--seeds', '2', '--seed', '5'])
    args.work_dir = tmp_path
    for jobs, threads in ((1, None), (4, '2'), (16, '1')):
        runs = demo.make_runs(args, tmp_path, tmp_path / 'w.pth', jobs)
        assert {run.variables.get('OMP_NUM_THREADS') for group in runs.values() for run in group} == {threads}
    assert {kind: [run.name for run in group] for kind, group in runs.items()} == {
        kind: [f'{kind}, seed 5', f'{kind}, seed 6'] for kind in ('scratch', 'pre-trained')}
    assert len({run.folder for group in runs.values() for run in group}) == 4


def refused(*arguments):
    command = [sys.executable, str(TOOLS / 'demo.py'), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith('demo: ') and 'Traceback' not in done.stderr
    return done.stderr


def test_a_work_dir_that_is_a_file(tmp_path):
    (tmp_path / 'file').write_text('')
    message = refused('--work-dir', tmp_path / 'file')
    assert f'--work-dir {tmp_path / "file"} cannot be made' in message and message.count('\n') == 1


def test_a_world_of_another_seed_is_not_mixed_in(tmp_path):
    world = tmp_path / 'world' / 'tiny'
    world.mkdir(parents=True)
    (world / 'world.txt').write_text('rooms preset=tiny seed=9\n')
    message = refused('--work-dir', tmp_path, '--preset', 'tiny')
    assert 'make_world.py failed: make_world: ' in message and 'seed=9' in message and 'all it printed: ' in message
    assert not (tmp_path / 'report.html').exists()


def test_help():
    done = subprocess.run([sys.executable, str(TOOLS / 'demo.py'), '--help'], capture_output=True, text=True)
    assert done.returncode == 0 and '--labels' in done.stdout and '--pretrain-iters' in done.stdout
