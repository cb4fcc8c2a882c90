"""numba kernels of the scene context loss for the CPU: sums and weights by cell without a matrix of cell ids.

Imported only when first used. A row of ids lies in the first-level cache; its loops are free of branches, so that the
compiler vectorises them. Rows run on torch's number of threads.
"""
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Callable, Tuple

import numpy as np
import torch
from torch import Tensor

from pretrain3d.jit import compiled

from .partitions import HALF_TURN, UPPER, Partition


@compiled
def _row_cells(x, y, z, i, size, exclude2, shells2, num_angles, num_cells, fast, kinds, azimuth, n_elevation,
               elevation, ids):
    """Cells of keys 0 ... size - 1 seen from anchor ``i``; ``num_cells`` for keys of no cell, the anchor included."""
    zero = x.dtype.type(0)
    ax, ay, az = x[i], y[i], z[i]
    for k in range(size):
        ids[k] = 0
    for s in range(shells2.shape[0]):
        for k in range(size):
            dx, dy, dz = x[k] - ax, y[k] - ay, z[k] - az
            ids[k] += np.int32(dx * dx + dy * dy + dz * dz >= shells2[s]) * num_angles
    if fast:
        for k in range(size):
            ids[k] += np.int32(z[k] - az < zero)
    for b in range(kinds.shape[0]):
        cos, sin, kind = azimuth[b, 0], azimuth[b, 1], kinds[b]
        for k in range(size):
            dx, dy = x[k] - ax, y[k] - ay
            lower = (dy < zero) | ((dy == zero) & (dx < zero))
            along, across = -dx if lower else dx, abs(dy)
            passed = (across > zero) & (across * cos >= along * sin)
            upper = passed | lower
            below = passed & lower
            ids[k] += np.int32(lower if kind == HALF_TURN else (upper if kind == UPPER else below)) * n_elevation
    for b in range(elevation.shape[0]):
        cos, sin = elevation[b, 0], elevation[b, 1]
        for k in range(size):
            dy, dz = y[k] - ay, z[k] - az
            along, across = -dz if dy < zero else dz, abs(dy)
            ids[k] += np.int32((across > zero) & (across * cos >= along * sin))
    for k in range(size):
        dx, dy, dz = x[k] - ax, y[k] - ay, z[k] - az
        outside = (dx * dx + dy * dy + dz * dz < exclude2) | (fast & (dz == zero))
        ids[k] = num_cells if outside else ids[k]
    ids[i] = num_cells


@compiled
def _sum_rows(values, x, y, z, size, start, begin, end, geometry, sums):
    """sums[r, p] = sum of ``values[r, k]`` over the keys k in cell p of anchor ``start + r``."""
    exclude2, shells2, num_angles, num_cells, fast, kinds, azimuth, n_elevation, elevation = geometry
    ids = np.empty(size, np.int32)
    even, odd = np.empty(num_cells + 1, np.float64), np.empty(num_cells + 1, np.float64)
    for r in range(begin, end):
        if start + r >= size:
            break
        _row_cells(x, y, z, start + r, size, exclude2, shells2, num_angles, num_cells, fast, kinds, azimuth,
                   n_elevation, elevation, ids)
        even[:] = 0
        odd[:] = 0
        for k in range(0, size - 1, 2):  # two tables, so that an addition need not wait for the one before
            even[ids[k]] += values[r, k]
            odd[ids[k + 1]] += values[r, k + 1]
        if size % 2:
            even[ids[size - 1]] += values[r, size - 1]
        for p in range(num_cells):
            sums[r, p] = even[p] + odd[p]


@compiled
def _weigh_rows(values, x, y, z, size, start, begin, end, geometry, weights):
    """values[r, k] *= weights[r, cell of k], in place; 0 for keys of no cell and beyond the scene."""
    exclude2, shells2, num_angles, num_cells, fast, kinds, azimuth, n_elevation, elevation = geometry
    ids = np.empty(size, np.int32)
    table = np.zeros(num_cells + 1, values.dtype)
    for r in range(begin, end):
        if start + r >= size:
            values[r] = 0
            continue
        _row_cells(x, y, z, start + r, size, exclude2, shells2, num_angles, num_cells, fast, kinds, azimuth,
                   n_elevation, elevation, ids)
        table[:num_cells] = weights[r]
        for k in range(size):
            values[r, k] *= table[ids[k]]
        values[r, size:] = 0


@lru_cache(maxsize=None)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix='scene-contexts')


def _geometry(partition: Partition, dtype: np.dtype) -> Tuple:
    """The partition as the kernels read it, radii and directions in the dtype of the coordinates."""
    kinds = np.array([kind for kind, _, _ in partition.azimuth_boundaries], np.int32)
    azimuth = np.array([one[1:] for one in partition.azimuth_boundaries], dtype).reshape(-1, 2)
    elevation = np.array(partition.elevation_boundaries, dtype).reshape(-1, 2)
    shells2 = np.array([radius * radius for radius in partition.shells], dtype)
    exclude2 = dtype.type(partition.exclude_radius * partition.exclude_radius)
    return (exclude2, shells2, np.int32(partition.num_angles), np.int32(partition.num_cells), partition.mode == 'fast',
            kinds, azimuth, np.int32(partition.n_elevation), elevation)


def _run(kernel: Callable, values: Tensor, xyz: Tensor, sizes: Tuple[int, ...], start: int, partition: Partition,
         table: Tensor) -> None:
    rows, threads = values.shape[1], torch.get_num_threads()
    numbers, tables = values.numpy(), table.numpy()
    columns = xyz.transpose(1, 2).contiguous().numpy()
    geometry = _geometry(partition, columns.dtype)
    step = -(-rows // threads)
    jobs = [(numbers[b], *columns[b], size, start, begin, min(begin + step, rows), geometry, tables[b])
            for b, size in enumerate(sizes) for begin in range(0, rows, step)]
    if threads == 1:
        for job in jobs:
            kernel(*job)
    else:
        list(_pool(threads).map(lambda job: kernel(*job), jobs))


def sum_by_cell(values: Tensor, xyz: Tensor, sizes: Tuple[int, ...], start: int, partition: Partition) -> Tensor:
    """CPU version of ``scene_context_loss.sum_by_cell``."""
    sums = values.new_zeros(*values.shape[:2], partition.num_cells)
    _run(_sum_rows, values, xyz, sizes, start, partition, sums)
    return sums


def weigh_by_cell(values: Tensor, xyz: Tensor, sizes: Tuple[int, ...], start: int, partition: Partition,
                  weights: Tensor) -> Tensor:
    """CPU version of ``scene_context_loss.weigh_by_cell``."""
    _run(_weigh_rows, values, xyz, sizes, start, partition, weights)
    return values
