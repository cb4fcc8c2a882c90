"""Small operators on tensors that everything above builds on; each gives the same result on a CPU and a GPU.

They know nothing of mmdet3d, and each has a slow twin in ``tests/ops`` that it is compared with.
"""
from .grid import world_to_grid, world_to_voxel
from .radius_join import radius_join
from .segment import segment_max, segment_mean, segment_sum
from .sync_batch_norm import sync_batch_norm
from .voxelize import Voxels, unique_voxels, vote_labels, voxelize

__all__ = [
    'Voxels', 'radius_join', 'segment_max', 'segment_mean', 'segment_sum', 'sync_batch_norm', 'unique_voxels',
    'vote_labels', 'voxelize', 'world_to_grid', 'world_to_voxel'
]
