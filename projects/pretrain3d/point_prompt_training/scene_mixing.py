"""Two scenes of a batch laid into one another."""
from typing import Any, Dict, List, Optional, Sequence, Tuple

import torch
from torch import Tensor

from pretrain3d.ops.voxelize import unique_voxels
from pretrain3d.pretext.draws import draw, make_generator

# Tells these draws apart from others that start from the same seed; see pretext.draws.
STREAM = 2020


def mixed_scene_ids(seeds: Sequence[Optional[int]], prob: float, domains: Optional[Sequence[str]] = None) -> List[int]:
    """The scene of the mixed batch that each scene goes to: neighbours 0 and 1, 2 and 3, ... are mixed by chance.

    Args:
        seeds: one per scene, or ``None`` for torch's global generator; a pair's chance is that of its first scene.
        prob: probability that a pair is mixed.
        domains: one name per scene; scenes of different domains are never mixed.

    Returns:
        (B,) increasing numbers from 0 without gaps; equal ones are mixed.
    """
    ids, after = [], 0
    for first in range(0, len(seeds), 2):
        chance = float(torch.rand((), generator=make_generator(seeds[first], STREAM), dtype=torch.float64))
        pair = range(first, min(first + 2, len(seeds)))
        alike = domains is None or len({domains[scene] for scene in pair}) == 1
        together = len(pair) == 2 and alike and chance < prob
        ids += [after] * len(pair) if together else [after + place for place in range(len(pair))]
        after = ids[-1] + 1
    return ids


def mix_scenes(sparse: Dict[str, Any], prob: float, seeds: Sequence[Optional[int]]) -> Tuple[Dict[str, Any], Tensor]:
    """Mix neighbouring scenes of a sparse batch.

    Two scenes are moved by whole voxels until the middles of their extents (along z: their lower ends) are one. What
    comes is the sparse batch of both clouds in one, moved so: of a voxel that both have, one's features stay, by
    chance. The sparse tensor never holds a voxel twice.

    Args:
        sparse: sparse batch; it is not written into.
        prob: probability that a pair of neighbours is mixed.
        seeds: one per scene, or ``None`` for torch's global generator.

    Returns:
        The mixed sparse batch, in which ``point2voxel`` still lists the scenes as they were, and the rows of
        ``sparse`` that its rows come from (N',) int64, increasing.
    """
    coors, size = sparse['coors'], sparse['batch_size']
    domains = sparse.get('domains')
    ids = mixed_scene_ids(seeds, prob, None if isinstance(domains, str) else domains)
    scene = coors[:, 0].long()
    every = torch.arange(len(coors), device=coors.device)
    if len(set(ids)) == size:
        return sparse, every
    target = torch.tensor(ids, device=coors.device)
    mixed = torch.tensor([ids.count(one) > 1 for one in ids], device=coors.device)
    moved = _centred(coors[:, 1:], scene, size, sparse.get('coors_order', 'bxyz'), mixed)
    low = _extreme(moved, target[scene], size, 'amin')
    moved = torch.where(mixed[scene][:, None], moved - low[target[scene]], moved)
    cells, inverse, _ = unique_voxels(torch.cat([target[scene][:, None].to(moved.dtype), moved], 1))
    rank = draw(scene, size, seeds, STREAM + 1).argsort().argsort()
    stays = rank == rank.new_zeros(len(cells)).scatter_reduce(0, inverse, rank, 'amin', include_self=False)[inverse]
    rows = stays.nonzero()[:, 0]
    # The row of the mixed batch that a cell has, then that a row's cell has; the last is for points of no voxel.
    place = rows.new_empty(len(cells)).scatter_(0, inverse[rows], torch.arange(len(rows), device=rows.device))
    place = torch.cat([place[inverse], place.new_full((1, ), -1)])
    made = dict(
        sparse,
        voxels=sparse['voxels'][rows],
        coors=torch.cat([target[scene][rows, None].to(coors.dtype), moved[rows].to(coors.dtype)], 1),
        batch_size=max(ids) + 1,
        point2voxel=[place[one] for one in sparse['point2voxel']],
        # One synchronisation per batch: backbones need the extents as python numbers.
        spatial_shape=(moved.amax(0) + 1).tolist() if len(moved) else [1, 1, 1])
    if domains is not None and not isinstance(domains, str):
        made['domains'] = [domains[ids.index(one)] for one in range(max(ids) + 1)]
    return made, rows


def _extreme(coors: Tensor, scene: Tensor, size: int, which: str) -> Tensor:
    """Least or largest coordinates (size, 3) of every scene; 0 where it has none."""
    return coors.new_zeros(size, 3).scatter_reduce(0, scene[:, None].expand(-1, 3), coors, which, include_self=False)


def _centred(coors: Tensor, scene: Tensor, size: int, order: str, which: Tensor) -> Tensor:
    """Coordinates (N, 3) whose scenes have their middle, along z their lower end, at 0 where ``which`` says so."""
    low, high = (_extreme(coors, scene, size, one) for one in ('amin', 'amax'))
    anchor = torch.div(low + high, 2, rounding_mode='floor')
    up = 'xyz'.index('z') if order == 'bxyz' else 0
    anchor[:, up] = low[:, up]
    return coors - torch.where(which[:, None], anchor, 0)[scene]
