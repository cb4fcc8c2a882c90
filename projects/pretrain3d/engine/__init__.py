"""What drives a run: hooks, weight transfer, determinism, CPU support.

``engine.compat`` has to act before anything imports mmdet3d or mmcv's operators. Importing any part of ``engine``
passes through this file, so the mends are applied here first; applying them again does nothing.
"""
from . import compat

compat.apply()

from . import hooks, visualization, weights  # noqa: E402

__all__ = ['compat', 'hooks', 'visualization', 'weights']
