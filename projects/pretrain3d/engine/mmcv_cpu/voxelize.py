"""Voxels from points: ``hard_voxelize_forward``, ``dynamic_voxelize_forward`` and the two halves of DynamicScatter."""
from typing import List, Tuple

import torch
from torch import Tensor


def _voxel_coordinates(points: Tensor, voxel_size: Tensor, coors_range: Tensor,
                       dims: int) -> Tuple[Tensor, Tensor, List[int]]:
    """Voxel index of every point in the order x, y, z, who lies inside, and the grid's extent.

    Bins are half-open, ``floor((p - min) / size)`` in the precision of the points; the extent is
    ``(max - min) / size`` rounded with halves away from zero, in float32. NaN lies outside.
    """
    size = voxel_size.detach().reshape(-1)[:dims].float()
    low = coors_range.detach().reshape(-1)[:dims].float()
    high = coors_range.detach().reshape(-1)[dims:2 * dims].float()
    extent = torch.floor((high - low) / size + 0.5).to(torch.int64).tolist()
    xyz = points.detach()[:, :dims]
    xyz = xyz.float() if xyz.dtype == torch.float16 else xyz
    cell = torch.floor((xyz - low.to(xyz)) / size.to(xyz))
    inside = ((cell >= 0) & (cell < cell.new_tensor(extent))).all(1)
    cell = torch.where(inside[:, None], cell, torch.zeros_like(cell)).to(torch.int64)
    return cell, inside, extent


@torch.no_grad()
def dynamic_voxelize_forward(points: Tensor, voxel_size: Tensor, coors_range: Tensor, coors: Tensor,
                             NDim: int = 3) -> None:
    """Write every point's voxel index into ``coors`` (N, NDim) int32, last axis first (z, y, x); -1 outside.

    Args:
        points: (N, C >= NDim) in metres.
        voxel_size: (NDim,) in metres.
        coors_range: (2 * NDim,) minimum, then maximum.
    """
    cell, inside, _ = _voxel_coordinates(points, voxel_size, coors_range, NDim)
    coors.copy_(torch.where(inside[:, None], cell.flip(1), torch.full_like(cell, -1)))


@torch.no_grad()
def hard_voxelize_forward(points: Tensor, voxel_size: Tensor, coors_range: Tensor, voxels: Tensor, coors: Tensor,
                          num_points_per_voxel: Tensor, voxel_num: Tensor, max_points: int, max_voxels: int,
                          NDim: int = 3, deterministic: bool = True) -> None:
    """Gather points into voxels, in place.

    Voxels are numbered in the order in which the points first touch them; once ``max_voxels`` exist, points of new
    ones are dropped; within a voxel the first ``max_points`` points stay, in order. The non-deterministic CUDA kernel
    promises any order, so the deterministic one serves both values of ``deterministic``.

    Args:
        voxels: (max_voxels, max_points, C) receives the points.
        coors: (max_voxels, NDim) int32 receives z, y, x.
        num_points_per_voxel: (max_voxels,) int32 receives the counts, at most ``max_points``.
        voxel_num: () int64 receives the number of voxels.
    """
    cell, inside, extent = _voxel_coordinates(points, voxel_size, coors_range, NDim)
    rows = inside.nonzero().squeeze(1)
    voxel_num.fill_(0)
    if rows.numel() == 0:
        return
    cell = cell[rows]
    key = cell[:, NDim - 1]
    for axis in reversed(range(NDim - 1)):
        key = key * extent[axis] + cell[:, axis]
    key, order = key.sort(stable=True)
    opens = torch.ones_like(key, dtype=torch.bool)
    opens[1:] = key[1:] != key[:-1]
    segment = opens.cumsum(0) - 1
    start = opens.nonzero().squeeze(1)
    first = order[start]  # the sort is stable: the lowest row of each voxel
    by_first = first.argsort()
    rank = torch.empty_like(by_first)
    rank[by_first] = torch.arange(by_first.numel())
    voxel = rank[segment]
    slot = torch.arange(order.numel()) - start[segment]
    keep = (voxel < max_voxels) & (slot < max_points)
    voxels[voxel[keep], slot[keep]] = points.detach()[rows[order[keep]]]
    count = min(by_first.numel(), max_voxels)
    total = torch.bincount(segment)[by_first[:count]]
    coors[:count] = cell[first[by_first[:count]]].flip(1).to(coors.dtype)
    num_points_per_voxel[:count] = total.clamp(max=max_points).to(num_points_per_voxel.dtype)
    voxel_num.fill_(count)


def _unique_rows(coors: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
    """Sorted unique non-negative rows, the inverse map and the counts; as ``torch.unique(dim=0)``, ten times faster."""
    extent = (coors.amax(0).to(torch.int64) + 1).tolist()
    cells = 1
    for size in extent:
        cells *= size
    if cells >= 2**62:
        return torch.unique(coors, dim=0, return_inverse=True, return_counts=True)
    key = torch.zeros(coors.shape[0], dtype=torch.int64)
    for axis, size in enumerate(extent):
        key = key * size + coors[:, axis]
    key, inverse, counts = torch.unique(key, return_inverse=True, return_counts=True)
    rows = []
    for size in reversed(extent):
        rows.append(key % size)
        key = torch.div(key, size, rounding_mode='floor')
    return torch.stack(rows[::-1], 1).to(coors.dtype), inverse, counts


@torch.no_grad()
def dynamic_point_to_voxel_forward(feats: Tensor, coors: Tensor, reduce_type: str) -> List[Tensor]:
    """Reduce the features of the points that share a voxel.

    Args:
        feats: (N, C).
        coors: (N, D) integer voxel index; a row with any negative entry belongs to no voxel.
        reduce_type: ``'max'``, ``'mean'`` or ``'sum'``.

    Returns:
        Voxel features (M, C), voxel indices (M, D) in lexicographic order, each point's voxel (N,) int32 (-1: none),
        points per voxel (M,) int32.
    """
    if reduce_type not in ('max', 'mean', 'sum'):
        raise ValueError(f"reduce_type is 'max', 'mean' or 'sum', not {reduce_type!r}")
    inside = (coors >= 0).all(1)
    point2voxel = torch.full((coors.shape[0], ), -1, dtype=torch.int32)
    if not inside.any():
        return [feats.new_zeros(0, feats.shape[1]), coors.new_zeros(0, coors.shape[1]), point2voxel,
                torch.zeros(0, dtype=torch.int32)]
    voxels, inverse, counts = _unique_rows(coors[inside])
    point2voxel[inside] = inverse.to(torch.int32)
    values = feats[inside]
    if reduce_type == 'max':
        target = inverse[:, None].expand_as(values)
        reduced = feats.new_full((voxels.shape[0], feats.shape[1]), float('-inf'))
        reduced.scatter_reduce_(0, target, values, 'amax', include_self=True)
    else:
        reduced = feats.new_zeros(voxels.shape[0], feats.shape[1]).index_add_(0, inverse, values)
        if reduce_type == 'mean':
            reduced /= counts[:, None].to(reduced)
    return [reduced, voxels, point2voxel, counts.to(torch.int32)]


@torch.no_grad()
def dynamic_point_to_voxel_backward(grad_feats: Tensor, grad_reduced_feats: Tensor, feats: Tensor,
                                    reduced_feats: Tensor, coors_idx: Tensor, reduce_count: Tensor,
                                    reduce_type: str) -> None:
    """Write the gradient of :func:`dynamic_point_to_voxel_forward` into ``grad_feats`` (N, C).

    The gradient of a maximum that several points share goes to the one with the lowest row.
    """
    grad_feats.zero_()
    rows = (coors_idx >= 0).nonzero().squeeze(1)
    if rows.numel() == 0 or reduced_feats.shape[0] == 0:
        return
    voxel = coors_idx[rows].long()
    if reduce_type == 'max':
        winner = torch.where(feats[rows] == reduced_feats[voxel], rows[:, None], feats.shape[0])
        source = torch.full(reduced_feats.shape, feats.shape[0], dtype=torch.int64)
        source.scatter_reduce_(0, voxel[:, None].expand_as(winner), winner, 'amin', include_self=True)
        found = source < feats.shape[0]  # not found where the maximum is NaN
        grad_feats.scatter_add_(0, source.clamp(max=feats.shape[0] - 1), torch.where(found, grad_reduced_feats, 0))
        return
    grad = grad_reduced_feats[voxel]
    if reduce_type == 'mean':
        grad = grad / reduce_count[voxel][:, None].to(grad)
    grad_feats[rows] = grad
