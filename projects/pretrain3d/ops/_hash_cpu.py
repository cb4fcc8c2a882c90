"""numba kernels of ``ops.voxelize`` for the CPU: one hash table instead of a sort.

Imported only when first used, because importing numba takes longer than most jobs that never voxelise.
"""
from __future__ import annotations

import numpy as np

from ..jit import compiled
from .grid import GRID_LIMIT


@compiled
def bin_points(points, size, origin, cells, low, high):
    """floor((points - origin) / size) of (N, 3) into ``cells`` and its extent; False if some point is unfit."""
    fits = True
    for d in range(3):
        corner, step = origin[d], size[d]
        bottom, top = np.float64(GRID_LIMIT), np.float64(-GRID_LIMIT)
        for i in range(points.shape[0]):
            cell = np.floor((np.float64(points[i, d]) - corner) / step)
            fits &= abs(cell) < GRID_LIMIT  # False for NaN too; no branch, so that the loop is not held up
            cells[i, d] = np.int32(cell)
            bottom, top = min(bottom, cell), max(top, cell)
        low[d], high[d] = np.int64(bottom), np.int64(top)
    return fits


@compiled
def extent(coors, low, high):
    """Smallest and largest value of every column of ``coors``, which has at least one row."""
    for d in range(coors.shape[1]):
        low[d] = coors[0, d]
        high[d] = coors[0, d]
    for i in range(coors.shape[0]):
        for d in range(coors.shape[1]):
            low[d] = min(low[d], np.int64(coors[i, d]))
            high[d] = max(high[d], np.int64(coors[i, d]))


@compiled
def group(coors, low, spans, table, shift, keys, inverse, counts, first):
    """Number the distinct rows of ``coors`` in the order in which they first occur; returns how many there are.

    ``table`` holds -1 and has a power-of-two length above the number of rows, so probing ends; ``shift`` is 64 minus
    its exponent. A row's key is its mixed-radix number below the product of ``spans``, so equal keys are equal
    rows and no comparison of rows is needed.
    """
    mask = table.shape[0] - 1
    found = 0
    last_key = np.int64(-1)
    voxel = 0
    for i in range(coors.shape[0]):
        key = np.int64(0)
        for d in range(coors.shape[1]):
            key = key * spans[d] + (np.int64(coors[i, d]) - low[d])
        if key != last_key:  # neighbours in a scan line often share their voxel
            slot = np.int64((np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(shift))
            while table[slot] >= 0 and keys[table[slot]] != key:
                slot = (slot + 1) & mask
            voxel = table[slot]
            if voxel < 0:
                voxel = found
                table[slot] = found
                keys[found] = key
                first[found] = i
                counts[found] = 0
                found += 1
            last_key = key
        inverse[i] = voxel
        counts[voxel] += 1
    return found


@compiled
def take_rows(coors, rows, offset, out):
    """out[m] = coors[rows[m]] - offset, without the temporaries of two array operations."""
    for m in range(rows.shape[0]):
        for d in range(coors.shape[1]):
            out[m, d] = np.int64(coors[rows[m], d]) - offset[d]
