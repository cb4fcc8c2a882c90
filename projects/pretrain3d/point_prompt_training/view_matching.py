"""Which voxels of two views are the same place."""
from typing import Optional, Sequence

import torch
from torch import Tensor

from pretrain3d.ops.radius_join import radius_join
from pretrain3d.pretext.draws import draw

# Tells these draws apart from others that start from the same seed; see pretext.draws.
STREAM = 2010


def nearest_within(query: Tensor, key: Tensor, radius: float, max_neighbours: int, query_scene: Tensor,
                   key_scene: Tensor) -> Tensor:
    """The at most ``max_neighbours`` nearest keys within ``radius`` of each query, in its scene.

    Args:
        query, key: (N, 3), (M, 3) metres.
        radius: metres; the boundary belongs to it.
        max_neighbours: of keys that are equally far the one of the lower row counts as nearer.
        query_scene, key_scene: (N,), (M,) int64.

    Returns:
        (P, 2) int64 rows [query, key], sorted by query, then from near to far.
    """
    pairs, dist2 = radius_join(query, key, radius, query_scene, key_scene)
    order = dist2.argsort(stable=True)
    pairs = pairs[order[pairs[order, 0].argsort(stable=True)]]
    counts = torch.bincount(pairs[:, 0], minlength=len(query))
    place = torch.arange(len(pairs), device=pairs.device) - (counts.cumsum(0) - counts)[pairs[:, 0]]
    return pairs[place < max_neighbours]


@torch.no_grad()
def match_views(query: Tensor, key: Tensor, query_scene: Tensor, key_scene: Tensor, num_scenes: int,
                seeds: Sequence[Optional[int]], radius: float = 0.03, max_neighbours: int = 8,
                pairs_per_scene: int = 2048) -> Tensor:
    """For each query one of its nearest keys by chance; of each scene at most so many pairs, by chance.

    Args:
        query, key: (N, 3), (M, 3) metres, in the frame that the views share.
        query_scene, key_scene: (N,), (M,) int64 in [0, num_scenes); ``query_scene`` in increasing order.
        num_scenes: scenes of the batch.
        seeds: one per scene, or ``None`` for torch's global generator.
        radius, max_neighbours: see :func:`nearest_within`.
        pairs_per_scene: most pairs of a scene.

    Returns:
        (P, 2) int64 rows [query, key], sorted by query; each query at most once.
    """
    near = nearest_within(query, key, radius, max_neighbours, query_scene, key_scene)
    queries, counts = near[:, 0].unique_consecutive(return_counts=True)
    scene = query_scene[queries]
    chance = draw(scene, num_scenes, seeds, STREAM)
    chosen = near[counts.cumsum(0) - counts + torch.minimum((chance * counts).long(), counts - 1)]
    # Scenes stay together in this order, since numbers of a scene lie in [scene, scene + 1).
    order = (scene + draw(scene, num_scenes, seeds, STREAM + 1)).argsort()
    sizes = torch.bincount(scene, minlength=num_scenes)
    place = torch.arange(len(order), device=order.device) - (sizes.cumsum(0) - sizes)[scene]
    return chosen[order[place < pairs_per_scene].sort().values]
