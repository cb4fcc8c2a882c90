"""Kernels are compiled, and their machine code is cached where it can be."""
import numpy as np
from numba.core.caching import NullCache

from pretrain3d.jit import compiled

DOUBLED = 'def doubled(values):\n    for i in range(len(values)):\n        values[i] *= 2\n'


def test_without_a_place_for_the_cache_kernels_compile_all_the_same():
    names = {}
    exec(DOUBLED, names)  # numba caches nothing of a function that is in no file
    kernel, values = compiled(names['doubled']), np.arange(3.)
    kernel(values)
    assert values.tolist() == [0, 2, 4] and kernel.signatures and isinstance(kernel._cache, NullCache)


def test_machine_code_is_kept_on_disk(tmp_path, monkeypatch):
    (tmp_path / 'kernels_to_cache.py').write_text(DOUBLED)
    monkeypatch.syspath_prepend(tmp_path)
    import kernels_to_cache
    compiled(kernels_to_cache.doubled)(np.arange(3.))
    assert list((tmp_path / '__pycache__').glob('*.nbc'))
