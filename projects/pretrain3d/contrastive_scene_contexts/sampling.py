"""From matched points of two views to the pairs of voxels that a loss contrasts."""
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence

import torch
from torch import Tensor

from pretrain3d.pretext.draws import draw

# Tells these draws apart from those of the data preprocessor, which start from the same seed.
STREAM = 1000


@dataclass
class VoxelPairs:
    """Pairs of voxels of view 0 and view 1 that hold matching points.

    Attributes:
        query_rows, key_rows: (M,) int64 rows of the two sparse batches.
        scene: (M,) int64 sample of each pair, in increasing order.
        num_scenes: samples of the batch.
    """
    query_rows: Tensor
    key_rows: Tensor
    scene: Tensor
    num_scenes: int

    def __getitem__(self, picked: Tensor) -> 'VoxelPairs':
        return VoxelPairs(self.query_rows[picked], self.key_rows[picked], self.scene[picked], self.num_scenes)

    def __len__(self) -> int:
        return len(self.query_rows)


def voxel_pairs(pairs: Sequence[Tensor], sparse0: Dict[str, Any], sparse1: Dict[str, Any]) -> VoxelPairs:
    """Distinct pairs of voxels of matching points, sorted by query, then key.

    Args:
        pairs: per sample (P_i, 2) int64, rows of its points in view 0 and view 1.
        sparse0, sparse1: sparse batches of the views. Points outside their range match nothing.

    Raises:
        ValueError: another number of samples than the views hold.
    """
    size = sparse0['batch_size']
    if len(pairs) != size or sparse1['batch_size'] != size:
        raise ValueError(f'pairs of {len(pairs)} samples, but the views hold {size} and {sparse1["batch_size"]}')
    rows0 = torch.cat([rows[pair[:, 0]] for pair, rows in zip(pairs, sparse0['point2voxel'])])
    rows1 = torch.cat([rows[pair[:, 1]] for pair, rows in zip(pairs, sparse1['point2voxel'])])
    inside = (rows0 >= 0) & (rows1 >= 0)
    width = max(1, len(sparse1['coors']))
    number = (rows0[inside] * width + rows1[inside]).unique()
    query = number.div(width, rounding_mode='floor')
    return VoxelPairs(query, number - query * width, sparse0['coors'][:, 0].long()[query], size)


def sample_pairs(pairs: VoxelPairs, samples_per_scene: int, seeds: Sequence[Optional[int]],
                 distinct_queries: bool = True) -> VoxelPairs:
    """Draw the pairs to contrast, without replacement.

    Args:
        pairs: as :func:`voxel_pairs` returns them.
        samples_per_scene: most pairs of a scene; a scene with fewer keeps all.
        seeds: one per scene, or ``None`` for torch's global generator.
        distinct_queries: each query once, with a key drawn uniformly among its matches; else a pair is drawn from the
            whole list, and queries may come several times.

    Returns:
        Pairs in the order of their rows.
    """
    if distinct_queries:
        queries, counts = pairs.query_rows.unique_consecutive(return_counts=True)
        starts = counts.cumsum(0) - counts
        chance = draw(pairs.scene[starts], pairs.num_scenes, seeds, STREAM)
        offset = torch.minimum((chance * counts).long(), counts - 1)
        pairs = pairs[starts + offset]
    rank = draw(pairs.scene, pairs.num_scenes, seeds, STREAM + 1)
    # Scenes stay together in this order, since numbers of a scene lie in [scene, scene + 1).
    order = (pairs.scene + rank).argsort()
    sizes = torch.bincount(pairs.scene, minlength=pairs.num_scenes)
    place = torch.arange(len(pairs), device=order.device) - (sizes.cumsum(0) - sizes)[pairs.scene]
    return pairs[order[place < samples_per_scene].sort().values]
