"""Distinct voxels of a cloud, the map from points to them, and the vote of the points' labels.

Voxels are numbered in the order in which their first point occurs, on every device, so results can be compared bit
by bit. On the CPU a hash table does it in one pass (numba, ``_hash_cpu.py``); elsewhere, or without numba, a sort.
"""
from __future__ import annotations

import functools
from typing import List, NamedTuple, Optional, Tuple

import numpy as np
import torch
from torch import Tensor

from ._checks import Numbers, as_positive_row, as_row, check_floating, check_index, check_integral, check_matrix, \
    check_same_device, check_vector
from .grid import bin_points


class Voxels(NamedTuple):
    """A voxelised cloud of N points in M voxels.

    Attributes:
        coors: (M, 3) int32 x, y, z >= 0, counted from the origin.
        inverse: (N,) int64, the voxel of every point.
        counts: (M,) int64, the points of every voxel.
        first: (M,) int64, the first point of every voxel (increasing).
    """
    coors: Tensor
    inverse: Tensor
    counts: Tensor
    first: Tensor


def unique_voxels(coors: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
    """Distinct rows of ``coors`` in the order in which they first occur.

    Does what ``torch.unique(coors, dim=0, return_inverse=True, return_counts=True)`` does, in another order and much
    faster (``benchmarks/voxelize.py``).

    Args:
        coors: (N, D) integers, negative ones included; the product of the columns' extents must stay below 2**63.

    Returns:
        voxels (M, D) of the dtype of ``coors``, inverse (N,) int64 with ``voxels[inverse] == coors``, and
        counts (M,) int64.

    Raises:
        TypeError, ValueError: wrong dtype or shape, or the extents are too wide to be packed into one integer.
    """
    check_matrix('coors', coors)
    check_integral('coors', coors)
    first, inverse, counts = _group_rows('coors', coors)
    return coors.index_select(0, first), inverse, counts


def voxelize(points_xyz: Tensor, voxel_size: Numbers, origin: Optional[Numbers] = None) -> Voxels:
    """Voxels that the points occupy, half-open bins ``floor((p - origin) / voxel_size)`` reckoned in float64.

    With ``origin=None`` the bins are those of the world's own grid (origin 0) and the smallest index of each axis
    becomes 0, so moving a cloud by whole voxels changes nothing.

    Args:
        points_xyz: (N, 3) metres; may be empty.
        voxel_size: metres, one number or one per axis.
        origin: metres, the lower corner of voxel (0, 0, 0); no point may lie below it.

    Raises:
        TypeError, ValueError: an argument has the wrong dtype or shape, a point is NaN, infinite, below a given
            origin or 2**30 voxels away from it.
    """
    check_matrix('points_xyz', points_xyz, 3)
    check_floating('points_xyz', points_xyz)
    cells, low, high = _bin(points_xyz.detach(), voxel_size, origin)
    if origin is not None and len(cells) and min(low) < 0:
        row = int((cells < 0).any(1).to(torch.uint8).argmax())
        raise ValueError(f'points_xyz row {row} is {points_xyz[row].tolist()}, below origin; remove such points first '
                         '(PointsRangeFilter), give a lower origin, or origin=None for the minimum of the cloud')
    first, inverse, counts = _group_rows('points_xyz', cells, low, high)
    return Voxels(_take(cells, first, low if origin is None else [0, 0, 0]), inverse, counts, first)


def vote_labels(labels: Tensor, inverse: Tensor, num_voxels: int, num_classes: int, ignore_index: int) -> Tensor:
    """Label of every voxel by majority of its points.

    A labelled point beats any number of ignored ones, ties go to the smaller class index, and a voxel with no
    labelled point gets ``ignore_index``.

    Args:
        labels: (N,) integers in [0, num_classes) or ``ignore_index``.
        inverse: (N,) integers in [0, num_voxels), the voxel of every point.
        num_voxels: number M of voxels.
        num_classes: number of classes.
        ignore_index: label of points that have none; ``num_classes`` in this package.

    Returns:
        (M,) of the dtype of ``labels``.

    Raises:
        TypeError, ValueError: wrong dtype, shape or device, or a label that is no class and not ``ignore_index``.
    """
    check_vector('labels', labels)
    check_index('inverse', inverse, labels.shape[0])
    check_same_device('inverse', inverse, 'labels', labels)
    _check_bounds('inverse', inverse, num_voxels, f'num_voxels={num_voxels}')
    known = labels != ignore_index
    label, voxel = labels[known].long(), inverse[known].long()
    result = torch.full((num_voxels,), ignore_index, dtype=torch.int64, device=labels.device)
    if label.numel():
        _check_bounds('labels', label, num_classes, f'num_classes={num_classes}', f' or ignore_index={ignore_index}')
        pairs, _, counts = unique_voxels(torch.stack((voxel, label), 1))
        # One number per (voxel, class) that grows with the count and, at equal counts, with smaller class indices.
        score = counts * num_classes + (num_classes - 1 - pairs[:, 1])
        best = torch.full_like(result, -1).scatter_reduce(0, pairs[:, 0], score, reduce='amax')
        result = torch.where(best >= 0, num_classes - 1 - best % num_classes, result)
    return result.to(labels.dtype)


def _check_bounds(name: str, values: Tensor, end: int, shown: str, more: str = '') -> None:
    """Raise unless all ``values`` are in [0, end)."""
    if values.numel():
        low, high = torch.stack(torch.aminmax(values)).tolist()
        if low < 0 or high >= end:
            raise ValueError(f'{name} must be in [0, {shown}){more}, got {low if low < 0 else high}')


def _bin(points: Tensor, voxel_size: Numbers, origin: Optional[Numbers]) -> Tuple[Tensor, List[int], List[int]]:
    """Voxel index (N, 3) int32 of every point and the extent of each axis."""
    corner = 0.0 if origin is None else origin
    kernels = _kernels(points)
    if kernels is None or len(points) == 0:
        cells = bin_points('points_xyz', points, voxel_size, corner)
        return (cells, *_extent(cells))
    if points.dtype not in (torch.float32, torch.float64):
        points = points.float()
    points = points.contiguous()
    cells = torch.empty(points.shape, dtype=torch.int32)
    low, high = np.empty(3, np.int64), np.empty(3, np.int64)
    size = np.array(as_positive_row('voxel_size', voxel_size, 3))
    fits = kernels.bin_points(points.numpy(), size, np.array(as_row('origin', corner, 3)), cells.numpy(), low, high)
    if not fits:
        bin_points('points_xyz', points, voxel_size, corner)  # finds the row and raises
    return cells, low.tolist(), high.tolist()


def _extent(coors: Tensor) -> Tuple[List[int], List[int]]:
    """Smallest and largest value of every column; zeros for no rows."""
    if len(coors) == 0:
        return [0] * coors.shape[1], [0] * coors.shape[1]
    kernels = _kernels(coors)
    if kernels is None:
        low, high = torch.stack((coors.amin(0), coors.amax(0))).tolist()  # one wait for the device
        return low, high
    low, high = np.empty(coors.shape[1], np.int64), np.empty(coors.shape[1], np.int64)
    kernels.extent(coors.numpy(), low, high)
    return low.tolist(), high.tolist()


def _group_rows(name: str, coors: Tensor, low: Optional[List[int]] = None, high: Optional[List[int]] = None) \
        -> Tuple[Tensor, Tensor, Tensor]:
    """first (M,), inverse (N,), counts (M,) of the distinct rows of ``coors``, in the order of first occurrence.

    ``name`` is what errors call the rows; ``low`` and ``high`` are the extent of each column, if it is known.
    """
    kernels = _kernels(coors)
    if kernels is not None:
        coors = (coors if coors.dtype in (torch.int32, torch.int64) else coors.long()).contiguous()
    if low is None or high is None:
        low, high = _extent(coors)
    spans = [top - bottom + 1 for bottom, top in zip(low, high)]
    product = 1
    for span in spans:
        product *= span
    if product >= 2 ** 63:
        raise ValueError(f'{name} span {spans} voxels per axis, too many to pack into 63 bits; '
                         'look for stray coordinates, or use larger voxels')
    if kernels is None or len(coors) == 0:
        return _group_by_sort(coors, low, spans)
    rows = len(coors)
    bits = (3 * rows // 2).bit_length()  # at most two thirds full
    small = np.int32 if rows < 2 ** 31 else np.int64  # fresh memory costs more than arithmetic here
    table, keys = np.full(1 << bits, -1, small), np.empty(rows, np.int64)
    first, counts, inverse = np.empty(rows, small), np.empty(rows, small), torch.empty(rows, dtype=torch.int64)
    found = kernels.group(coors.numpy(), np.array(low, np.int64), np.array(spans, np.int64), table, 64 - bits, keys,
                          inverse.numpy(), counts, first)
    return torch.from_numpy(first[:found].astype(np.int64)), inverse, torch.from_numpy(counts[:found].astype(np.int64))


def _take(cells: Tensor, rows: Tensor, offset: List[int]) -> Tensor:
    """``cells[rows] - offset`` (M, 3) int32."""
    kernels = _kernels(cells)
    if kernels is None:
        return cells.index_select(0, rows) - torch.tensor(offset, dtype=cells.dtype, device=cells.device)
    out = torch.empty((len(rows), cells.shape[1]), dtype=cells.dtype)
    kernels.take_rows(cells.numpy(), rows.numpy(), np.array(offset, np.int64), out.numpy())
    return out


def _group_by_sort(coors: Tensor, low: List[int], spans: List[int]) -> Tuple[Tensor, Tensor, Tensor]:
    """The same as the hash table by sorting packed keys; runs on every device."""
    key = torch.zeros(len(coors), dtype=torch.int64, device=coors.device)
    for column, (bottom, span) in enumerate(zip(low, spans)):
        key = key * span + (coors[:, column].long() - bottom)
    _, inverse, counts = torch.unique(key, return_inverse=True, return_counts=True)
    rows = torch.arange(len(coors), device=coors.device)
    first = torch.full_like(counts, len(coors)).scatter_reduce(0, inverse, rows, reduce='amin')
    first, order = torch.sort(first)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=coors.device)
    return first, rank[inverse], counts[order]


@functools.lru_cache(maxsize=None)
def _numba_kernels():
    """The module of numba kernels, or None in an environment without numba."""
    try:
        from . import _hash_cpu
    except ImportError:
        return None
    return _hash_cpu


def _kernels(tensor: Tensor):
    """The numba kernels if they can read ``tensor``, else None."""
    return _numba_kernels() if tensor.device.type == 'cpu' else None
