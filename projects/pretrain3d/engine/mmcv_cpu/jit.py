"""Compile a loop with numba at its first call, not at import (importing numba takes a second that most runs save)."""
import functools
from typing import Callable


def lazy_jit(kernel: Callable) -> Callable:
    """Wrap a plain Python kernel over numpy arrays so that its first call compiles it, in half a second or so.

    Nothing is cached on disk: numba's cache remembers the module by name, and this package goes by two names
    (``mmcv._ext`` without compiled operators), so a cache written under one fails to load under the other.
    """
    compiled = []

    @functools.wraps(kernel)
    def call(*args):
        if not compiled:
            import numba
            compiled.append(numba.njit(kernel))
        return compiled[0](*args)

    return call
