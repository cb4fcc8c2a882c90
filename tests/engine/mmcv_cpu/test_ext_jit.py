"""Compilation at the first call, once, and without a trace on disk."""
import numba
import numpy as np

from pretrain3d.engine.mmcv_cpu.jit import lazy_jit


def double(values):
    for k in range(len(values)):
        values[k] *= 2


def test_it_compiles_once_at_the_first_call_and_caches_nothing(monkeypatch):
    asked, njit = [], numba.njit
    monkeypatch.setattr(numba, 'njit', lambda *args, **options: asked.append(options) or njit(*args, **options))
    kernel = lazy_jit(double)
    assert not asked and kernel.__name__ == 'double'
    values = np.arange(4.)
    kernel(values)
    kernel(values)
    assert values.tolist() == [0, 4, 8, 12]
    assert len(asked) == 1 and not asked[0].get('cache')
