"""``pip install -e .`` changes nothing else in an environment, and a wheel holds the whole package."""
import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = shutil.ignore_patterns('__pycache__', '*.egg-info')


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    """A copy of what packaging reads, so that the checkout stays as it is."""
    target = tmp_path_factory.mktemp('source')
    for name in ('setup.cfg', 'pyproject.toml', 'LICENSE'):
        shutil.copy(ROOT / name, target)
    shutil.copytree(ROOT / 'projects', target / 'projects', ignore=LEFT_OUT)
    return target


def run(*command, **kwargs) -> str:
    """Standard output of a command that must succeed."""
    environ = {key: value for key, value in os.environ.items() if key != 'PYTHONPATH'}
    environ.update(PIP_DISABLE_PIP_VERSION_CHECK='1', PRETRAIN3D_LIGHT='1', PIP_NO_INDEX='1')
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=environ, **kwargs)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_editable_install_changes_no_version(tmp_path, source):
    """No --no-deps: without an index the install can only succeed if it wants nothing."""
    venv = tmp_path / 'venv'
    run(sys.executable, '-m', 'venv', '--without-pip', venv)
    site = venv / 'lib' / f'python{sys.version_info[0]}.{sys.version_info[1]}' / 'site-packages'
    stack = Path(importlib.util.find_spec('torch').origin).parents[1]
    (site / 'users_stack.pth').write_text(f'{stack}\n')  # its packages, without its .pth files
    python = venv / 'bin' / 'python'
    freeze = (python, '-m', 'pip', 'list', '--format=freeze', '--exclude', 'pretrain3d')
    before = run(*freeze)
    run(python, '-m', 'pip', 'install', '--no-build-isolation', '--editable', source)
    assert run(*freeze) == before and 'torch==' in before
    where = run(python, '-c', 'import pretrain3d; print(pretrain3d.__file__)', cwd=tmp_path).strip()
    assert Path(where) == source / 'projects' / 'pretrain3d' / '__init__.py'


def test_wheel_holds_every_file_that_is_read(tmp_path, source):
    run(sys.executable, '-m', 'pip', 'wheel', '--no-build-isolation', '--no-deps', '--wheel-dir', tmp_path, source)
    wheel, = tmp_path.glob('pretrain3d-*.whl')
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith('pretrain3d/')}
    tree = {str(path.relative_to(ROOT / 'projects')) for path in (ROOT / 'projects' / 'pretrain3d').rglob('*')
            if path.is_file() and '__pycache__' not in path.parts}
    assert tree - inside == set() and inside - tree == set()
    metadata = zipfile.ZipFile(wheel).read(next(name for name in zipfile.ZipFile(wheel).namelist()
                                                if name.endswith('METADATA'))).decode()
    assert 'Requires-Dist' not in metadata
