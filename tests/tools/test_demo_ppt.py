"""tools/demo_ppt.py without its long parts; tests/end_to_end/test_domains_demo.py runs it whole."""
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.config import Config

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / 'tools'
DOMAINS = ('Structured3D', 'ScanNet', 'S3DIS')


@pytest.fixture
def demo(monkeypatch):
    """The script as a module."""
    monkeypatch.syspath_prepend(TOOLS)
    spec = importlib.util.spec_from_file_location('demo_of_ppt', TOOLS / 'demo_ppt.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize('arguments', [['--steps', '1'], ['--labels', '-1'], ['--seeds', '0'], ['--preset', 'huge']])
def test_impossible_arguments(demo, arguments):
    with pytest.raises(SystemExit):
        demo.parse_args(arguments)


def test_settings_are_those_of_the_protocol(demo, tmp_path, monkeypatch):
    """benchmarks/rooms_joint.yaml, which makes the table of docs/negative_transfer.md: same recipe, same variables."""
    protocol = Config.fromfile(str(demo.METHOD / 'benchmarks' / 'rooms_joint.yaml'))
    args = demo.parse_args([])
    args.work_dir = tmp_path
    runs = demo.make_runs(args, 1)
    assert list(runs) == ['naive', 'prompts', *DOMAINS]
    variants = {'naive': 'naive', 'prompts': 'ppt', **{name: f'alone {name}' for name in DOMAINS}}
    for kind, (run, ) in runs.items():
        variant = protocol.variants[variants[kind]]
        expected = {**variant.env, 'PRETRAIN3D_LABEL_SEED': '0'}
        assert {key: run.variables.get(key) for key in expected} == expected, kind
        named = (demo.METHOD / 'benchmarks' / variant.config).resolve()
        assert named == demo.RECIPES.get(kind, demo.RECIPES['naive']).resolve()


@pytest.mark.parametrize('kind', ['naive', 'prompts', 'S3DIS'])
def test_config_of_a_run(demo, tmp_path, monkeypatch, kind):
    """The recipe with the seed and the predictions written, and nothing else."""
    args = demo.parse_args(['--steps', '7', '--labels', '0'])
    args.work_dir = tmp_path
    run = demo.make_run(kind, 3, args, 2)
    for name, value in run.variables.items():
        monkeypatch.setenv(name, value)
    recipe, config = (Config.fromfile(str(path), import_custom_modules=False)
                      for path in (demo.RECIPES.get(kind, demo.RECIPES['naive']), run.config))
    assert config.train_cfg.max_iters == (7 if kind == 'S3DIS' else 21) and config.randomness.seed == 3
    assert config.model == recipe.model and config.train_dataloader == recipe.train_dataloader
    assert config.param_scheduler == recipe.param_scheduler and config.optim_wrapper == recipe.optim_wrapper
    scores, dump = config.test_evaluator
    assert scores == recipe.test_evaluator and dump.label_spaces == recipe.label_spaces
    assert list(dump.label_spaces) == ([kind] if kind == 'S3DIS' else list(DOMAINS))
    folders = {name: value for name, value in run.variables.items() if name in (
        'PRETRAIN3D_SCANNET', 'PRETRAIN3D_S3DIS', 'PRETRAIN3D_STRUCTURED3D')}
    assert len(folders) == len(dump.label_spaces) and all(str(tmp_path) in value for value in folders.values())
    assert run.variables['OMP_NUM_THREADS'] == '2'


def test_make_knows_its_demos():
    """An unknown METHOD is refused before anything is set up."""
    done = subprocess.run(['make', '-C', str(ROOT), '-o', 'setup', 'demo', 'METHOD=none'], capture_output=True,
                          text=True)
    assert done.returncode == 2 and "METHOD is 'ppt', 'street' or nothing, not 'none'" in done.stderr


def test_a_work_dir_that_is_a_file(tmp_path):
    (tmp_path / 'file').write_text('')
    done = subprocess.run([sys.executable, str(TOOLS / 'demo_ppt.py'), '--work-dir', str(tmp_path / 'file')],
                          capture_output=True, text=True)
    assert done.returncode == 1 and 'cannot be made' in done.stderr and 'Traceback' not in done.stderr
