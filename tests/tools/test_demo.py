"""tools/demo.py without its long parts; tests/end_to_end/test_rooms_demo.py runs it whole."""
import importlib.util
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
                                       ['--preset', 'huge'], ['--iters', 'many']])
def test_impossible_arguments(demo, arguments):
    with pytest.raises(SystemExit):
        demo.parse_args(arguments)


@pytest.mark.parametrize('iters, labels', [(None, 20), (7, 0)])
def test_config_of_a_run(demo, tmp_path, iters, labels):
    """The recipe with everything that follows from the number of steps, and nothing else."""
    args = demo.parse_args(['--labels', str(labels), '--seed', '3', *(['--iters', str(iters)] if iters else [])])
    args.work_dir = tmp_path
    run = demo.make_run('scratch', args, tmp_path / 'world')
    recipe, config = (Config.fromfile(str(path), import_custom_modules=False) for path in (demo.RECIPE, run.config))
    steps = iters or recipe.train_cfg.max_iters
    assert config.train_cfg.max_iters == config.default_hooks.checkpoint.interval == steps
    assert config.param_scheduler[0].total_steps == steps
    assert demo.VALIDATIONS - 2 < steps / config.train_cfg.val_interval <= demo.VALIDATIONS
    assert config.randomness.seed == config.train_dataloader.dataset.limit_seed == 3
    assert config.train_dataloader.dataset.get('limit_points') == (labels or None)
    assert config.model == recipe.model and config.optim_wrapper == recipe.optim_wrapper
    assert config.train_dataloader.dataset.pipeline == recipe.train_dataloader.dataset.pipeline
    assert config.test_evaluator[0] == recipe.test_evaluator and config.val_evaluator == recipe.val_evaluator
    assert run.variables == dict(PRETRAIN3D_SCANNET=str(tmp_path / 'world'))


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
    assert done.returncode == 0 and '--labels' in done.stdout
