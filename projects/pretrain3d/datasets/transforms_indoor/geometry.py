"""Moves of whole clouds that take the normals, and the cameras of ``images``, along."""
from typing import Optional, Sequence

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from mmdet3d.registry import TRANSFORMS

from ..point_moves import record_move
from .columns import attribute, refuse_boxes, set_attribute

_AXES = 'xyz'


def rotation_matrix(axis: str, angle: float) -> np.ndarray:
    """Right-handed rotation (3, 3) float64 about ``axis`` ('x', 'y', 'z') by ``angle`` radians: p' = R p."""
    i = _AXES.index(axis)
    first, second = (i + 1) % 3, (i + 2) % 3
    matrix = np.eye(3)
    matrix[[first, second], [first, second]] = np.cos(angle)
    matrix[first, second], matrix[second, first] = -np.sin(angle), np.sin(angle)
    return matrix


def shift_matrix(shift: Sequence[float]) -> np.ndarray:
    """Matrix (4, 4) float64 of moving by ``shift`` (3,) metres."""
    matrix = np.eye(4)
    matrix[:3, 3] = shift
    return matrix


@TRANSFORMS.register_module()
class CenterShift(BaseTransform):
    """Move the cloud's bounding box to the origin: the middle in x and y, the lower face in z.

    Required Keys:

    - points (BasePoints)

    Modified Keys:

    - points (BasePoints): coordinates

    Args:
        axes (str): 'xyz' or 'xy' (z stays). Defaults to 'xyz'.
        step (float, optional): Shift by whole multiples of this many metres. With the voxel size it leaves every point
            in the voxel that it has, so that a cloud thinned by ``GridSamplePoints`` keeps one point per voxel.
            Defaults to None: any shift.
    """

    def __init__(self, axes: str = 'xyz', step: Optional[float] = None) -> None:
        if axes not in ('xyz', 'xy'):
            raise ValueError(f"CenterShift: axes is {axes!r}; it must be 'xyz' or 'xy'")
        if step is not None and step <= 0:
            raise ValueError(f'CenterShift: step is {step}; it must be positive metres')
        self.axes = axes
        self.step = step

    def transform(self, results: dict) -> dict:
        """Move the points; an empty cloud stays."""
        refuse_boxes(results, type(self).__name__)
        xyz = results['points'].tensor[:, :3]
        if not len(xyz):
            return results
        low, high = xyz.double().amin(0), xyz.double().amax(0)
        shift = torch.cat([(low[:2] + high[:2]) / 2, low[2:] if self.axes == 'xyz' else low.new_zeros(1)])
        if self.step is not None:
            shift = (shift / self.step).round() * self.step
        results['points'].tensor[:, :3] = (xyz.double() - shift).float()
        record_move(results, type(self).__name__, shift_matrix(-shift.numpy()))
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(axes={self.axes!r}, step={self.step})'


@TRANSFORMS.register_module()
class RandomRotatePoints(BaseTransform):
    """Rotate points and normals about an axis through the origin.

    Required Keys:

    - points (BasePoints): with a ``normal`` attribute where there are normals

    Modified Keys:

    - points (BasePoints): coordinates and normals

    Args:
        axis (str): 'x', 'y' or 'z'.
        angle_range (Sequence[float]): Radians, drawn uniformly.
        prob (float): Probability of rotating at all. Defaults to 1.
    """

    def __init__(self, axis: str, angle_range: Sequence[float], prob: float = 1.) -> None:
        if axis not in tuple(_AXES):
            raise ValueError(f"RandomRotatePoints: axis is {axis!r}; it must be 'x', 'y' or 'z'")
        if len(angle_range) != 2 or angle_range[0] > angle_range[1]:
            raise ValueError(f'RandomRotatePoints: angle_range is {angle_range}; it must be [least, most] radians')
        self.axis = axis
        self.angle_range = tuple(angle_range)
        self.prob = prob

    def transform(self, results: dict) -> dict:
        """Rotate with probability ``prob``."""
        refuse_boxes(results, type(self).__name__)
        if np.random.rand() >= self.prob:
            return results
        points = results['points']
        rotation = torch.from_numpy(rotation_matrix(self.axis, np.random.uniform(*self.angle_range))).float()
        points.tensor[:, :3] = points.tensor[:, :3] @ rotation.T
        normal = attribute(points, 'normal')
        if normal is not None:
            set_attribute(points, 'normal', normal @ rotation.T)
        record_move(results, type(self).__name__, rotation.double().numpy())
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(axis={self.axis!r}, angle_range={self.angle_range}, prob={self.prob})'


@TRANSFORMS.register_module()
class RandomFlipPoints(BaseTransform):
    """Mirror points and normals at the planes x = 0 and y = 0, each by its own chance.

    mmdet3d's ``RandomFlip3D`` leaves the normals behind.

    Required Keys:

    - points (BasePoints)

    Modified Keys:

    - points (BasePoints): coordinates and normals

    Args:
        prob (float): Probability for each of the two. Defaults to 0.5.
    """

    def __init__(self, prob: float = 0.5) -> None:
        self.prob = prob

    def transform(self, results: dict) -> dict:
        """Mirror."""
        refuse_boxes(results, type(self).__name__)
        points = results['points']
        sign = torch.from_numpy(np.where(np.random.rand(3) < self.prob, -1., 1.)).float()
        sign[2] = 1.
        points.tensor[:, :3] *= sign
        normal = attribute(points, 'normal')
        if normal is not None:
            set_attribute(points, 'normal', normal * sign)
        record_move(results, type(self).__name__, sign.double().diag().numpy())
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(prob={self.prob})'
