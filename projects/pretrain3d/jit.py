"""numba with its machine code kept on disk; imported only by modules of kernels, because importing numba takes long."""
from typing import Callable

from numba import njit


def compiled(kernel: Callable) -> Callable:
    """``njit`` without the interpreter's lock; the machine code is cached, unless no cache folder can be written."""
    try:
        return njit(nogil=True, cache=True)(kernel)
    except RuntimeError:  # numba found no writable place for its cache
        return njit(nogil=True)(kernel)
