"""The wheel cache of compiled mmcv: compiled once, keyed by what it depends on, one clear line when it cannot be."""
import importlib
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
PIP = '''#!{python}
import sys
from pathlib import Path
assert sys.argv[1:4] == ['-m', 'pip', 'wheel'] and sys.argv[-1] == 'mmcv==2.1.0', sys.argv
print('  [1/2] c++ a.cpp')
if {fails}:
    print('a.cpp:3:1: error: expected ; before return')
    sys.exit(1)
folder = Path(sys.argv[sys.argv.index('--wheel-dir') + 1])
(folder / 'mmcv-2.1.0-cp311-cp311-linux_x86_64.whl').write_text('compiled')
'''


@pytest.fixture
def full(monkeypatch, tmp_path):
    """tools/setup_full.py with a pretended torch, compiler and pip, for a checkout in a temporary folder."""
    monkeypatch.syspath_prepend(str(TOOLS))
    module = importlib.import_module('setup_full')
    torch = types.SimpleNamespace(__version__='2.1.2+cu121', cuda=types.SimpleNamespace(is_available=lambda: False))
    monkeypatch.setitem(sys.modules, 'torch', torch)
    monkeypatch.setenv('PRETRAIN3D_WHEELS', str(tmp_path / 'wheels'))
    for name in ('FORCE_CUDA', 'CUDA_HOME', 'CXX'):
        monkeypatch.delenv(name, raising=False)
    module.real_compiler_problem = getattr(module, 'real_compiler_problem', module.compiler_problem)
    monkeypatch.setattr(module, 'compiler_problem', lambda: None)
    monkeypatch.setattr(module, 'NEEDED_BYTES', 1)
    return module


@pytest.fixture
def env(full, tmp_path):
    environment = full.Environment(tmp_path)
    environment.owner.mkdir(parents=True)
    (tmp_path / '.cache').mkdir()
    return environment


def pretend_pip(env, fails: bool = False) -> None:
    """Lay a pretended interpreter where the environment's is."""
    env.python.parent.mkdir(exist_ok=True)
    env.python.write_text(PIP.format(python=sys.executable, fails=fails))
    env.python.chmod(0o755)


def build(full, env):
    """Build under the lock, as the command does."""
    with full.only_one(env.root) as lock_fd:
        return full.build_wheel(env, lock_fd)


def test_compiled_once_into_the_cache(full, env, capsys):
    pretend_pip(env)
    wheel = build(full, env)
    assert wheel.read_text() == 'compiled' and wheel.parent == full.wheel_folder(False)
    assert [path.name for path in wheel.parent.iterdir()] == [wheel.name]  # nothing partial is left
    assert 'compiled 1/2 files' in capsys.readouterr().out
    env.python.unlink()  # a second time nothing is run
    assert build(full, env) == wheel


def test_key_names_all_that_the_wheel_depends_on(full, monkeypatch):
    key = full.wheel_folder(False).name
    assert key == f'cp{sys.version_info[0]}{sys.version_info[1]}-torch2.1.2+cu121-linux_x86_64-cpu'
    assert full.wheel_folder(True) != full.wheel_folder(False)
    sys.modules['torch'].__version__ = '2.6.0'
    assert 'torch2.6.0' in full.wheel_folder(False).name
    monkeypatch.delenv('PRETRAIN3D_WHEELS')
    assert full.wheel_folder(False, Path('/checkout')).parent == Path('/checkout/.cache/wheels')


def test_failed_compilation_shows_the_first_error_and_caches_nothing(full, env):
    pretend_pip(env, fails=True)
    with pytest.raises(full.SetupError, match='a.cpp:3:1: error: expected ; before return .*wheels.log'):
        build(full, env)
    assert not full.wheel_folder(False).exists()


def test_without_a_compiler_one_line_says_what_to_install(full, env, monkeypatch):
    monkeypatch.setattr(full, 'compiler_problem', full.real_compiler_problem)
    monkeypatch.setenv('CXX', 'no-such-compiler -O2')
    with pytest.raises(full.SetupError, match='no-such-compiler is not on the PATH.*g[+][+]'):
        build(full, env)


def test_cuda_operators_only_with_a_cuda_compiler(full, monkeypatch):
    gpu = sys.modules['torch'].cuda
    monkeypatch.setattr(full.shutil, 'which', lambda name: None)
    assert full.with_cuda() is False
    gpu.is_available = lambda: True
    assert full.with_cuda() is False  # a GPU without nvcc: the CPU operators are built
    monkeypatch.setenv('FORCE_CUDA', '1')
    with pytest.raises(full.SetupError, match='nvcc'):
        full.with_cuda()
    monkeypatch.setattr(full.shutil, 'which', lambda name: '/usr/bin/nvcc')
    assert full.with_cuda() is True


def test_compiled_mmcv_is_of_the_version_that_the_lock_pins(full):
    assert full.mmcv_version() == '2.1.0'


def test_another_interpreter_is_refused(tmp_path):
    for name in ('setup_full.py', 'setup_env.py', 'setup_machine.py', 'setup_pip.py'):
        shutil.copy(TOOLS / name, tmp_path / name)  # a checkout whose .venv is not the running interpreter's
    done = subprocess.run([sys.executable, str(tmp_path / 'setup_full.py'), 'wheels'], capture_output=True, text=True)
    assert done.returncode == 1 and 'make setup' in done.stderr and done.stderr.count('\n') == 1
