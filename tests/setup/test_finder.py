"""The finder of the stand-in for ``mmcv._ext``: compiled operators win, the stand-in comes last, by import alone."""
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FINDER = ROOT / 'projects' / 'pretrain3d' / 'engine' / 'mmcv_cpu' / 'finder.py'


@pytest.fixture
def site(tmp_path):
    """A folder like site-packages, with a small mmcv, a small pretrain3d and the finder as the set-up lays it."""
    (tmp_path / 'mmcv').mkdir()
    (tmp_path / 'mmcv' / '__init__.py').write_text('')
    room = tmp_path / 'pretrain3d' / 'engine' / 'mmcv_cpu'
    room.mkdir(parents=True)
    (tmp_path / 'pretrain3d' / '__init__.py').write_text('raise AssertionError("the finder imported the package")')
    (room / '__init__.py').write_text('from .part import WHO\n')
    (room / 'part.py').write_text('WHO = "stand-in"\n')
    (tmp_path / '_pretrain3d_mmcv_ext.py').write_bytes(FINDER.read_bytes())
    (tmp_path / '_pretrain3d_mmcv_ext.pth').write_text('import _pretrain3d_mmcv_ext\n')
    return tmp_path


def run(site: Path, code: str) -> str:
    """Output of ``code`` in a bare interpreter (-S) for which ``site`` is the only site-packages."""
    code = f'import site, sys; site.addsitedir({str(site)!r}); {code}'
    environ = {key: value for key, value in os.environ.items() if key != 'PYTHONPATH'}
    done = subprocess.run([sys.executable, '-S', '-c', code], capture_output=True, text=True, env=environ)
    return done.stdout.strip() if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


def test_stand_in_is_found_by_import_alone_and_without_importing_the_package(site):
    assert run(site, 'import mmcv._ext as e; print(e.WHO, e.__name__)') == 'stand-in mmcv._ext'
    assert run(site, 'import importlib; print(importlib.import_module("mmcv._ext").WHO)') == 'stand-in'


def test_compiled_operators_win(site):
    (site / 'mmcv' / '_ext.py').write_text('WHO = "compiled"\n')
    assert run(site, 'import mmcv._ext as e; print(e.WHO)') == 'compiled'


def test_broken_compiled_operators_are_not_papered_over(site):
    (site / 'mmcv' / '_ext.py').write_text('raise ImportError("undefined symbol: at_tensor")\n')
    assert run(site, 'import mmcv._ext') == 'ImportError: undefined symbol: at_tensor'


def test_other_modules_are_left_alone(site):
    assert run(site, 'import mmcv._other') == "ModuleNotFoundError: No module named 'mmcv._other'"
    assert run(site, 'print(sys.meta_path[-1].find_spec("numpy"))') == 'None'


def test_without_pretrain3d_the_extension_is_simply_missing(site):
    (site / 'pretrain3d').rename(site / 'elsewhere')
    assert run(site, 'import mmcv._ext') == "ModuleNotFoundError: No module named 'mmcv._ext'"


def test_installed_twice_it_is_there_once_and_last(site):
    (site / 'again.py').write_bytes(FINDER.read_bytes())
    names = run(site, 'import again; print([getattr(f, "__name__", "?") for f in sys.meta_path])')
    assert names.count('StandInFinder') == 1 and names.endswith("'StandInFinder']")
