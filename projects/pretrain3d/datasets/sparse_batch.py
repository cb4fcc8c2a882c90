"""The sparse batch: what every sparse backbone and head reads.

A sparse batch is a dict of

- ``voxels`` (N, C) float32, features;
- ``coors`` (N, 4) int32, [batch, x, y, z] or [batch, z, y, x], sorted by batch, >= 0;
- ``batch_size`` int, samples without points counted;
- ``point2voxel`` list of (n_i,) int64, the row of ``coors`` that holds each original point, -1 for a point outside the
  point cloud range;
- ``spatial_shape`` list of three ints, unpadded extents in the order of the last three columns of ``coors``.
"""
from typing import Any, Dict, List, Optional, Sequence

import torch
from torch import Tensor

from pretrain3d.ops.segment import segment_mean
from pretrain3d.ops.voxelize import unique_voxels, vote_labels
from pretrain3d.ops.grid import world_to_voxel


def build_sparse_batch(points: Sequence[Tensor],
                       voxel_size: Sequence[float],
                       point_cloud_range: Optional[Sequence[float]] = None,
                       coors_order: str = 'bxyz',
                       reduce: str = 'mean',
                       feature_dims: Optional[Sequence[int]] = None,
                       ranks: Optional[Sequence[Tensor]] = None) -> Dict[str, Any]:
    """Sort the points of a batch into voxels.

    Args:
        points (list[Tensor]): One (n_i, C) float tensor per sample, x, y, z in metres first; n_i may be 0.
        voxel_size (sequence[float]): Edges (3,), metres.
        point_cloud_range (sequence[float], optional): x0, y0, z0, x1, y1, z1 in metres, half-open. Defaults to None:
            each cloud's origin is the corner of the world-aligned voxel that holds its minimum.
        coors_order (str): 'bxyz' or 'bzyx'.
        reduce (str): 'mean' of a voxel's points, or 'first', the point of lowest rank.
        feature_dims (sequence[int], optional): Columns of the points that become features. Defaults to None: all.
        ranks (list[Tensor], optional): For 'first', a permutation (n_i,) int64 per sample. Defaults to None: the
            order of the points.

    Returns:
        dict: The sparse batch.
    """
    device, sizes = points[0].device, [len(cloud) for cloud in points]
    cloud = torch.cat(list(points))
    batch = torch.repeat_interleave(torch.arange(len(points), device=device), torch.tensor(sizes, device=device))
    coors, inside, shape = _coordinates(cloud[:, :3], batch, len(points), voxel_size, point_cloud_range)
    if coors_order == 'bzyx':
        coors, shape = coors.flip(1), shape[::-1]
    rows = torch.cat([batch[:, None].int(), coors], dim=1)
    features = cloud if feature_dims is None else cloud[:, list(feature_dims)]
    if inside is not None:
        rows, features = rows[inside], features[inside]
    voxels, inverse, _ = unique_voxels(rows)
    if reduce == 'mean':
        features = segment_mean(features, inverse, len(voxels))
    else:
        rank = None if ranks is None else _batch_ranks(ranks, sizes, inside)
        features = features[_lowest_rank(inverse, len(voxels), rank)]
    point2voxel = inverse
    if inside is not None:
        point2voxel = inverse.new_full((len(cloud), ), -1)
        point2voxel[inside] = inverse
    return dict(
        voxels=features.float(),
        coors=voxels.int(),
        batch_size=len(points),
        point2voxel=list(point2voxel.split(sizes)),
        spatial_shape=shape,
        coors_order=coors_order)


def _coordinates(xyz: Tensor, batch: Tensor, batch_size: int, voxel_size: Sequence[float],
                 point_cloud_range: Optional[Sequence[float]]):
    """Integer coordinates (n, 3), who is inside (n,) or None for all, and the extents [x, y, z]."""
    if point_cloud_range is not None:
        grid = [round((hi - lo) / size)
                for lo, hi, size in zip(point_cloud_range[:3], point_cloud_range[3:], voxel_size)]
        coors = world_to_voxel(xyz, voxel_size, point_cloud_range[:3])
        inside = ((coors >= 0) & (coors < coors.new_tensor(grid))).all(1)
        return coors, inside, grid
    coors = world_to_voxel(xyz, voxel_size, (0., 0., 0.))
    low = coors.new_zeros(batch_size, 3).scatter_reduce(
        0, batch[:, None].expand(-1, 3), coors, 'amin', include_self=False)
    coors = coors - low[batch]
    # One synchronisation per batch: backbones need the extents as python numbers.
    extents = (coors.amax(0) + 1).tolist() if len(coors) else [1, 1, 1]
    return coors, None, extents


def _batch_ranks(ranks: Sequence[Tensor], sizes: Sequence[int], inside: Optional[Tensor]) -> Tensor:
    """Ranks of a whole batch, distinct across samples."""
    starts = torch.tensor([0, *sizes]).cumsum(0).tolist()
    rank = torch.cat([rank + start for rank, start in zip(ranks, starts)])
    return rank if inside is None else rank[inside]


def _lowest_rank(inverse: Tensor, num_voxels: int, rank: Optional[Tensor] = None) -> Tensor:
    """Of every voxel the point of lowest rank (num_voxels,); distinct ranks, default: the order of the points."""
    place = torch.arange(len(inverse), device=inverse.device)
    if rank is None:
        order = place
    else:
        order = rank.argsort()
        place = torch.empty_like(order).scatter_(0, order, place)
    best = place.new_zeros(num_voxels).scatter_reduce(0, inverse, place, 'amin', include_self=False)
    return order[best]


def vote_voxel_labels(labels: Sequence[Tensor], sparse: Dict[str, Any], num_classes: int) -> List[Tensor]:
    """Majority label of every voxel; labelled points beat unlabelled ones, ties go to the smaller class.

    Args:
        labels (list[Tensor]): One (n_i,) tensor per sample, ``num_classes`` where unlabelled.
        sparse (dict): Sparse batch of the same points.
        num_classes (int): Number of classes, also the ignore label.

    Returns:
        list[Tensor]: One (N_i,) int64 tensor per sample, in the order of its rows of ``coors``.
    """
    label, row = torch.cat(list(labels)).long(), torch.cat(sparse['point2voxel'])
    if len(label) != len(row):
        raise ValueError(f'pts_semantic_mask has {len(label)} labels for {len(row)} points in this batch: every '
                         'transform that drops points must drop their labels too')
    inside = row >= 0
    voted = vote_labels(label[inside], row[inside], len(sparse['coors']), num_classes, num_classes)
    counts = torch.bincount(sparse['coors'][:, 0].long(), minlength=sparse['batch_size'])
    return list(voted.split(counts.tolist()))


def gather_points(values: Tensor, sparse: Dict[str, Any], fill: float = 0.) -> List[Tensor]:
    """Carry voxel values to the original points.

    Args:
        values (Tensor): (N, ...), aligned with ``coors``.
        sparse (dict): Sparse batch.
        fill (float): What a point outside the point cloud range gets.

    Returns:
        list[Tensor]: One (n_i, ...) tensor per sample.
    """
    padded = torch.cat([values, values.new_full((1, *values.shape[1:]), fill)])
    # -1 addresses the appended row.
    return [padded[rows] for rows in sparse['point2voxel']]


def voxel_positions(points: List[Tensor], sparse: Dict[str, Any]) -> Tensor:
    """Mean position (N, 3) of the points of every voxel.

    Args:
        points: per sample (n_i, >= 3), x, y, z first.
        sparse: sparse batch of the same points.
    """
    xyz, rows = torch.cat([cloud[:, :3] for cloud in points]), torch.cat(list(sparse['point2voxel']))
    inside = rows >= 0
    return segment_mean(xyz[inside], rows[inside], len(sparse['coors']))
