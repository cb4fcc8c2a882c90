"""mmdet3d's MinkUNet voxeliser on CPU: its preprocessor calls ``.cuda()`` on two index arrays."""
import functools
from typing import List, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def _quantize_sample(self, points: Tensor, sample, batch: int) -> Tuple[Tensor, Tensor]:
    """Pick one point per voxel of one cloud, as the CUDA branch does, on the device of the points.

    Args:
        self: The ``Det3DDataPreprocessor``.
        points: (N, C) points; the first three columns are metres.
        sample: Data sample; receives ``batch_idx``, ``point2voxel_map`` and the voxels' labels.
        batch: Index of the sample in the batch.

    Returns:
        (M, C) kept points and (M, 4) int32 voxel coordinates with the batch column first or last.
    """
    coors = torch.round(points[:, :3] / points.new_tensor(self.voxel_layer.voxel_size)).int()
    coors = coors - coors.amin(0)
    kept, inverse = self.sparse_quantize(coors.cpu().numpy(), return_index=True, return_inverse=True)
    if self.training and self.max_voxels is not None and len(kept) > self.max_voxels:
        kept = np.random.choice(kept, self.max_voxels, replace=False)
    kept = torch.from_numpy(kept).to(points.device)
    if hasattr(sample.gt_pts_seg, 'pts_semantic_mask'):
        sample.gt_pts_seg.voxel_semantic_mask = sample.gt_pts_seg.pts_semantic_mask[kept]
    coors = F.pad(coors[kept], (1, 0) if self.batch_first else (0, 1), value=batch)
    sample.batch_idx = coors[:, 0 if self.batch_first else -1]
    sample.point2voxel_map = torch.from_numpy(inverse).to(points.device).long()
    return points[kept], coors


def mend() -> None:
    """Answer ``voxelize`` for clouds off the GPU; clouds on CUDA take mmdet3d's own branch."""
    from mmdet3d.models.data_preprocessors import Det3DDataPreprocessor
    original = Det3DDataPreprocessor.voxelize
    if hasattr(original, 'by_device'):
        return

    @functools.wraps(original)
    def voxelize(self, points: List[Tensor], data_samples: list) -> dict:
        if self.voxel_type != 'minkunet' or points[0].is_cuda:
            return original(self, points, data_samples)
        pairs = [_quantize_sample(self, *item, batch) for batch, item in enumerate(zip(points, data_samples))]
        voxels, coors = zip(*pairs)
        return dict(voxels=torch.cat(voxels), coors=torch.cat(coors))

    voxelize.by_device = True
    Det3DDataPreprocessor.voxelize = voxelize
