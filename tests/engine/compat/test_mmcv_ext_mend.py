"""mmcv's extension: our stand-in where it is missing, completed where it is compiled, by import alone."""
import importlib.util
import sys
from types import ModuleType

import mmcv.ops  # noqa: F401

import pretrain3d  # noqa: F401
from pretrain3d.engine import mmcv_cpu
from pretrain3d.engine.compat import mmcv_ext


def test_an_extension_is_found_and_has_the_models_operators():
    import mmcv._ext
    for name in ('hard_voxelize_forward', 'nms_rotated', 'modulated_deform_conv_forward', 'box_iou_rotated'):
        assert callable(getattr(mmcv._ext, name))


def test_a_compiled_extension_is_completed(monkeypatch):
    compiled = ModuleType('mmcv._ext')
    calls = []
    monkeypatch.setitem(sys.modules, 'mmcv._ext', compiled)
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: object())
    monkeypatch.setattr(mmcv_cpu, 'install_over_compiled', calls.append)
    mmcv_ext.mend()
    assert calls == [compiled]


def test_the_finder_is_installed_where_none_is(monkeypatch):
    from pretrain3d.engine.mmcv_cpu import finder
    installed = []
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    monkeypatch.setattr(finder, 'install', lambda: installed.append(True))
    mmcv_ext.mend()
    assert installed == [True]
