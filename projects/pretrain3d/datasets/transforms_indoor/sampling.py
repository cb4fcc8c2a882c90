"""Transforms that leave points out. What was labelled by hand, where labels are few, is left out last.

Where ``LimitAnnotations`` ran, its labelled points survive ``RandomDropoutPoints`` and ``GridSamplePoints``.
"""
from typing import Optional

import numpy as np
from mmcv.transforms import BaseTransform

from mmdet3d.registry import TRANSFORMS
from pretrain3d.ops.voxelize import voxelize

from ..point_index import sample_name
from .columns import annotated, keep_points


def _is_share(value: Optional[float]) -> bool:
    return value is not None and 0 < value <= 1


@TRANSFORMS.register_module()
class RandomDropoutPoints(BaseTransform):
    """Drop a random share of the points; the others keep their order.

    Required Keys:

    - points (BasePoints)

    Modified Keys:

    - points (BasePoints), pts_semantic_mask, pts_instance_mask

    Args:
        ratio (float): Share to drop, [0, 1). Defaults to 0.2.
        prob (float): Probability of dropping at all. Defaults to 0.2.
    """

    def __init__(self, ratio: float = 0.2, prob: float = 0.2) -> None:
        if not 0 <= ratio < 1:
            raise ValueError(f'RandomDropoutPoints: ratio is {ratio}; it must be in [0, 1)')
        self.ratio = ratio
        self.prob = prob

    def transform(self, results: dict) -> dict:
        """Drop with probability ``prob``."""
        if np.random.rand() >= self.prob:
            return results
        count = len(results['points'])
        stays = np.zeros(count, dtype=bool)
        stays[np.random.permutation(count)[:count - int(count * self.ratio)]] = True
        labelled = annotated(results)
        if labelled is not None:
            stays |= labelled
        return keep_points(results, np.flatnonzero(stays))

    def __repr__(self) -> str:
        return f'{type(self).__name__}(ratio={self.ratio}, prob={self.prob})'


@TRANSFORMS.register_module()
class GridSamplePoints(BaseTransform):
    """Keep one random point of every voxel of the world's grid: floor(p / voxel_size), as the sparse batch has it.

    Where annotations are limited, one of the voxel's labelled points, if it has any.

    Required Keys:

    - points (BasePoints)

    Modified Keys:

    - points (BasePoints), pts_semantic_mask, pts_instance_mask

    Args:
        voxel_size (float): Metres.
    """

    def __init__(self, voxel_size: float) -> None:
        if voxel_size <= 0:
            raise ValueError(f'GridSamplePoints: voxel_size is {voxel_size}; it must be positive metres')
        self.voxel_size = voxel_size

    def transform(self, results: dict) -> dict:
        """Thin the cloud."""
        points = results['points']
        order = np.random.permutation(len(points))
        labelled = annotated(results)
        if labelled is not None:
            order = order[np.argsort(~labelled[order], kind='stable')]
        try:
            first = voxelize(points.tensor[order, :3], self.voxel_size).first.numpy()
        except ValueError as error:
            raise ValueError(f'{sample_name(results)}: {error}') from error
        return keep_points(results, np.sort(order[first]))

    def __repr__(self) -> str:
        return f'{type(self).__name__}(voxel_size={self.voxel_size})'


@TRANSFORMS.register_module()
class SphereCrop(BaseTransform):
    """Keep the points nearest to a random one of them.

    Required Keys:

    - points (BasePoints)

    Modified Keys:

    - points (BasePoints), pts_semantic_mask, pts_instance_mask

    Args:
        max_points (int, optional): How many to keep. Defaults to None.
        fraction (float, optional): Share of the cloud to keep, (0, 1]. Defaults to None. Exactly one of the two is
            given.
    """

    def __init__(self, max_points: Optional[int] = None, fraction: Optional[float] = None) -> None:
        if (max_points is None) == (fraction is None):
            raise ValueError('SphereCrop: give either max_points or fraction')
        if (max_points is not None and max_points < 1) or (fraction is not None and not _is_share(fraction)):
            raise ValueError(f'SphereCrop: max_points={max_points}, fraction={fraction}; max_points must be at '
                             'least 1, fraction in (0, 1]')
        self.max_points = max_points
        self.fraction = fraction

    def transform(self, results: dict) -> dict:
        """Crop; a cloud that is small enough stays as it is."""
        xyz = results['points'].tensor[:, :3].numpy()
        count = len(xyz)
        keep = self.max_points if self.fraction is None else int(np.ceil(count * self.fraction))
        if count <= keep:
            return results
        distance2 = np.square(xyz - xyz[np.random.randint(count)]).sum(1)
        return keep_points(results, np.sort(np.argpartition(distance2, keep - 1)[:keep]))

    def __repr__(self) -> str:
        return f'{type(self).__name__}(max_points={self.max_points}, fraction={self.fraction})'
