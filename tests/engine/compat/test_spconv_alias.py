"""spconv-triton as the only sparse backend, played by a fake package in a fresh interpreter without spconv."""
import os
import subprocess
import sys
import textwrap

import pytest

from pretrain3d.engine.compat import spconv_alias

FAKE_LAYERS = [f'{kind}{dim}d' for kind, dims in dict(
    SparseConv='1234', SubMConv='1234', SparseConvTranspose='234', SparseInverseConv='234').items() for dim in dims]
# Loads the alias and mmdet3d's chooser of the backend by their files: importing all of mmdet3d takes ten seconds.
PROGRAM = '''
import importlib.util, sys
from importlib.machinery import PathFinder

def load(name, path, folder=None):
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=folder)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

real_find = PathFinder.find_spec
PathFinder.find_spec = lambda name, path=None, target=None: (
    None if name == 'spconv' else real_find(name, path, target))
load('spconv_alias', {alias!r}).mend()
chooser = load('chooser', {layers!r} + '/__init__.py', [{layers!r}])
print('available', chooser.IS_SPCONV2_AVAILABLE)
'''


def fake_package(folder) -> None:
    """Write a package with the names that mmdet3d imports and spconv-triton's layout."""
    (folder / 'spconv_triton' / 'pytorch').mkdir(parents=True)
    (folder / 'spconv_triton' / '__init__.py').write_text('from .core import ConvAlgo\n__version__ = "1.0.0"\n')
    (folder / 'spconv_triton' / 'core.py').write_text('class ConvAlgo:\n    Native = 0\n')
    layers = ''.join(f'class {name}(SparseModule):\n    pass\n' for name in FAKE_LAYERS)
    (folder / 'spconv_triton' / 'pytorch' / '__init__.py').write_text(
        'from spconv_triton.core import ConvAlgo\nclass SparseModule:\n    pass\n' + layers)


def run(folder, tail: str) -> str:
    import mmdet3d
    layers = os.path.join(os.path.dirname(mmdet3d.__file__), 'models', 'layers', 'spconv')
    program = PROGRAM.format(alias=spconv_alias.__file__, layers=layers) + textwrap.dedent(tail)
    env = dict(os.environ, PYTHONPATH=str(folder), PRETRAIN3D_LIGHT='1')
    done = subprocess.run([sys.executable, '-c', program], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_mmdet3d_takes_spconv_triton_for_spconv(tmp_path):
    fake_package(tmp_path)
    out = run(tmp_path, '''
        import spconv, spconv_triton
        import spconv.pytorch as layers
        from spconv.core import ConvAlgo
        from mmengine.registry import MODELS
        assert layers is sys.modules['spconv_triton.pytorch']
        assert ConvAlgo is spconv_triton.ConvAlgo is spconv.ConvAlgo
        assert MODELS.get('SubMConv3d') is layers.SubMConv3d
        assert layers.SparseModule._version == 2
        assert spconv_triton.__version__ == '1.0.0' and spconv.__version__ >= '2.0.0'
        assert spconv_triton.__spec__.name == 'spconv_triton' and spconv.__spec__.name == 'spconv'
        ''')
    assert out == 'available True\n'


def test_without_either_mmdet3d_falls_back_as_before(tmp_path):
    assert run(tmp_path, '') == 'available False\n'


def test_a_real_spconv_goes_first(tmp_path, monkeypatch):
    fake_package(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert spconv_alias.SpconvAlias.find_spec('spconv') is None
    assert spconv_alias.SpconvAlias.find_spec('spconv.pytorch') is None
    assert spconv_alias.SpconvAlias.find_spec('spconvert') is None


def test_too_late_is_said(monkeypatch):
    class Layers:
        IS_SPCONV2_AVAILABLE = False

    monkeypatch.setitem(sys.modules, 'mmdet3d.models.layers.spconv', Layers)
    monkeypatch.setattr(spconv_alias.SpconvAlias, 'find_spec', lambda name: object())
    with pytest.warns(UserWarning, match='put `import pretrain3d` first'):
        spconv_alias.mend()
