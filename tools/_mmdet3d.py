"""Finds mmdet3d's own scripts and runs them: the common part of train.py, test.py and the ``*.sh`` launchers.

``python _mmdet3d.py train.py`` prints where that script lies. Nothing here imports mmdet3d, which takes ten seconds.
"""
import contextlib
import ctypes
import importlib.util
import os
import runpy
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def environment_is_active() -> bool:
    """Whether the user has activated an environment of their own (conda's base does not count)."""
    return bool(os.environ.get('VIRTUAL_ENV')) or os.environ.get('CONDA_DEFAULT_ENV', 'base') != 'base'


def locate(name: str):
    """Path of mmdet3d's script ``name``: from the wheel, else from a source checkout; ``None`` without mmdet3d."""
    spec = importlib.util.find_spec('mmdet3d')
    if spec is None or not spec.submodule_search_locations:
        return None
    package = Path(list(spec.submodule_search_locations)[0])
    for script in (package / '.mim' / 'tools' / name, package.parent / 'tools' / name):
        if script.is_file():
            return script
    raise SystemExit(f'{package} holds no .mim/tools/{name}; install mmdet3d 1.4.0 from its wheel')


def need(*modules: str) -> None:
    """Start this process again with the checkout's .venv where its Python lacks ``modules``; a clear line if it cannot.

    An environment that the user has activated is never left.
    """
    lacking = next((name for name in modules if importlib.util.find_spec(name) is None), None)
    if lacking is None:
        return
    own = ROOT / '.venv' / 'bin' / 'python'
    if own.exists() and not environment_is_active() and Path(sys.prefix) != own.parents[1]:
        os.execv(str(own), [str(own), *sys.argv])
    raise SystemExit(f'{lacking} is not installed for {sys.executable}; '
                     'run `make setup` in the checkout, or use the Python of your mmdet3d environment')


def stand_in_for_mmcv() -> None:
    """Where mmcv has no compiled operators and the set-up's hook is not installed either, let ours be found."""
    path = ROOT / 'projects' / 'pretrain3d' / 'engine' / 'mmcv_cpu' / 'finder.py'
    spec = importlib.util.spec_from_file_location('_pretrain3d_mmcv_ext', path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))


def find_pretrain3d() -> None:
    """Let this process import mmdet3d and pretrain3d, or start again as :func:`need` does."""
    need('mmdet3d')
    sys.path.append(str(ROOT / 'projects'))  # an installed pretrain3d comes before it
    stand_in_for_mmcv()


def end_with_launcher() -> None:
    """Under torch's launcher, let this rank be told to stop where that is killed; without, it would train on unseen."""
    if 'TORCHELASTIC_RUN_ID' in os.environ and sys.platform == 'linux':
        with contextlib.suppress(OSError, AttributeError):  # a C library without prctl
            ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def run(name: str) -> None:
    """Run mmdet3d's script ``name`` as the main program, with the arguments of this process."""
    end_with_launcher()
    # Idle threads sleep instead of spinning: where other work shares the cores, spinning slowed steps twentyfold.
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
    find_pretrain3d()
    script = locate(name)
    sys.argv[0] = str(script)
    sys.path[0] = str(script.parent)  # as if it had been started itself
    runpy.run_path(str(script), run_name='__main__')


if __name__ == '__main__':
    found = locate(sys.argv[1])
    if found is None:
        raise SystemExit(f'mmdet3d is not installed for {sys.executable}; run `make setup` or activate its environment')
    print(found)
