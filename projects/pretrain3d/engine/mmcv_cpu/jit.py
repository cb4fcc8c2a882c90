"""Compile a loop with numba at its first call, not at import (importing numba takes a second that most runs save)."""
import functools
from typing import Callable


def lazy_jit(kernel: Callable) -> Callable:
    """Wrap a plain Python kernel over numpy arrays so that its first call compiles it.

    The machine code is cached on disk where numba finds a writable directory (beside the file, else the user's cache
    directory); on a read-only machine without one, each process compiles anew.
    """
    compiled = []

    @functools.wraps(kernel)
    def call(*args):
        if not compiled:
            import numba
            try:
                compiled.append(numba.njit(cache=True)(kernel))
            except RuntimeError:  # numba: "no locator available", there is nowhere to write a cache
                compiled.append(numba.njit(kernel))
        return compiled[0](*args)

    return call
