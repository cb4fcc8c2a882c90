"""What outdoor clouds need besides the loading: intensity as a strength of 0 ... 1, and a box for far points."""
from typing import Sequence

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from mmdet3d.registry import TRANSFORMS

from .point_index import sample_name
from .transforms_indoor.columns import keep_points, refuse_boxes


@TRANSFORMS.register_module()
class NormalizeStrength(BaseTransform):
    """Make of the intensity column a strength of 0 ... 1, of whatever sensor: divide it by its largest possible value.

    Intensities that have none (Waymo's are mostly below 1, and some in the thousands) go through the hyperbolic tangent
    instead: tanh(intensity / scale).

    Required Keys:

    - points (BasePoints)

    Modified Keys:

    - points (BasePoints): one column

    Args:
        scale (float): Largest value of the files: 255 for nuScenes, 1 for SemanticKITTI; 1 for Waymo, with ``tanh``.
        column (int): Which column. Defaults to 3.
        tanh (bool): Whether the intensities have no largest value. Defaults to False.
    """

    def __init__(self, scale: float, column: int = 3, tanh: bool = False) -> None:
        if scale <= 0 or column < 3:
            raise ValueError(f'NormalizeStrength: scale={scale}, column={column}; scale must be positive and the '
                             'column behind x, y, z')
        self.scale = scale
        self.column = column
        self.tanh = tanh

    def transform(self, results: dict) -> dict:
        """Divide.

        Raises:
            ValueError: There is no such column, or its values are not in 0 ... scale (``tanh``: negative).
        """
        tensor = results['points'].tensor
        if tensor.shape[1] <= self.column:
            raise ValueError(f'{sample_name(results)}: the points have {tensor.shape[1]} columns and no column '
                             f'{self.column} for the intensity: check load_dim and use_dim')
        values = tensor[:, self.column]
        largest = float('inf') if self.tanh else self.scale
        if len(values) and (values.min() < 0 or values.max() > largest):
            raise ValueError(f'{sample_name(results)}: intensities from {values.min():g} to {values.max():g}, and '
                             f'NormalizeStrength expects 0 to {largest:g}: the file is of another sensor, or '
                             'load_dim is wrong')
        strength = values / self.scale
        tensor[:, self.column] = torch.tanh(strength) if self.tanh else strength
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(scale={self.scale}, column={self.column}, tanh={self.tanh})'


@TRANSFORMS.register_module()
class ClipPoints(BaseTransform):
    """Bring points outside of a box onto it, or take them out.

    Point Prompt Training's outdoor recipe brings them onto the box; the box is a constant of the data set.

    Required Keys:

    - points (BasePoints)

    Modified Keys:

    - points (BasePoints): coordinates; with ``outside='remove'`` also pts_semantic_mask, pts_instance_mask

    Args:
        point_cloud_range (Sequence[float]): x0, y0, z0, x1, y1, z1, metres.
        outside (str): 'clamp' or 'remove'. Defaults to 'clamp'.
    """

    def __init__(self, point_cloud_range: Sequence[float], outside: str = 'clamp') -> None:
        low, high = np.asarray(point_cloud_range[:3]), np.asarray(point_cloud_range[3:])
        if len(point_cloud_range) != 6 or not (low < high).all():
            raise ValueError(f'ClipPoints: point_cloud_range is {point_cloud_range}; it must be x0, y0, z0, x1, y1, z1')
        if outside not in ('clamp', 'remove'):
            raise ValueError(f"ClipPoints: outside is {outside!r}; it must be 'clamp' or 'remove'")
        self.point_cloud_range = tuple(float(edge) for edge in point_cloud_range)
        self.outside = outside

    def transform(self, results: dict) -> dict:
        """Clamp or remove."""
        refuse_boxes(results, type(self).__name__)
        xyz = results['points'].tensor[:, :3]
        box = torch.tensor(self.point_cloud_range, dtype=xyz.dtype)
        if self.outside == 'clamp':
            results['points'].tensor[:, :3] = torch.maximum(torch.minimum(xyz, box[3:]), box[:3])
            return results
        inside = ((xyz >= box[:3]) & (xyz <= box[3:])).all(1)
        return keep_points(results, np.flatnonzero(inside.numpy()))

    def __repr__(self) -> str:
        return f'{type(self).__name__}(point_cloud_range={self.point_cloud_range}, outside={self.outside!r})'
