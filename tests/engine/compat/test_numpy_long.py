"""``numpy.long``, which mmdet3d's ground-truth sampler names."""
import ctypes

import numpy as np

import pretrain3d  # noqa: F401  mends numpy


def test_long_is_the_c_type_as_in_numpy_2():
    assert np.dtype(np.long).itemsize == ctypes.sizeof(ctypes.c_long)
    assert np.array([1, 2], dtype=np.long).dtype.kind == 'i'
