"""Smooth random bending of a cloud."""
from typing import Sequence, Tuple

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from scipy.ndimage import map_coordinates, uniform_filter1d

from mmdet3d.registry import TRANSFORMS

from ..point_moves import record_move
from .columns import refuse_boxes

# A grid of so many nodes is a mistake in the units, not a room.
MAX_NODES = 20_000_000


def smooth_noise(shape: Sequence[int]) -> np.ndarray:
    """Standard normal noise (3, *shape) float32, averaged over 3 nodes twice along each axis (0 outside)."""
    noise = np.random.standard_normal((3, *shape)).astype(np.float32)
    for _ in range(2):
        for axis in (1, 2, 3):
            noise = uniform_filter1d(noise, 3, axis=axis, mode='constant')
    return noise


def displacement(xyz: np.ndarray, spacing: float) -> np.ndarray:
    """Smoothed noise of unit magnitude at ``xyz``, trilinear between nodes ``spacing`` metres apart.

    Args:
        xyz (np.ndarray): (N, 3) metres, N > 0.
        spacing (float): Metres.

    Returns:
        np.ndarray: (N, 3) float32; its deviation is about 0.11, less beside the nodes of the border.
    """
    # One node below the minimum and at least one above the maximum.
    place = (xyz - xyz.min(0)) / spacing + 1
    shape = np.ceil(place.max(0)).astype(int) + 2
    if np.prod(shape.astype(float)) > MAX_NODES:
        raise ValueError(f'a cloud of {np.ptp(xyz, axis=0).tolist()} m needs {shape.tolist()} nodes of {spacing} m: '
                         'are the points in metres?')
    noise = smooth_noise(shape)
    return np.stack([map_coordinates(part, place.T, order=1, mode='nearest') for part in noise], 1)


@TRANSFORMS.register_module()
class ElasticDistortion(BaseTransform):
    """Add smooth noise to the coordinates, once for each (spacing, magnitude), each on the result of the one before.

    Normals stay as they are, as in the published pipelines. Cameras cannot follow: where pixels are paired, place it
    behind ``FindPointPixels``.

    Required Keys:

    - points (BasePoints)

    Modified Keys:

    - points (BasePoints): coordinates

    Args:
        params (Sequence[tuple[float, float]]): Spacing of the noise's nodes and its magnitude, metres; points move by
            about 0.11 magnitudes along each axis. Defaults to ((0.2, 0.4), (0.8, 1.6)).
        prob (float): Defaults to 0.95.
    """

    def __init__(self, params: Sequence[Tuple[float, float]] = ((0.2, 0.4), (0.8, 1.6)), prob: float = 0.95) -> None:
        self.params = tuple((float(spacing), float(magnitude)) for spacing, magnitude in params)
        if any(spacing <= 0 or magnitude < 0 for spacing, magnitude in self.params):
            raise ValueError(f'ElasticDistortion: params is {params}; they must be (spacing > 0, magnitude >= 0) '
                             'metres')
        self.prob = prob

    def transform(self, results: dict) -> dict:
        """Bend with probability ``prob``; an empty cloud stays."""
        refuse_boxes(results, type(self).__name__)
        points = results['points']
        if np.random.rand() >= self.prob or not len(points):
            return results
        record_move(results, type(self).__name__)
        xyz = points.tensor[:, :3].numpy()
        for spacing, magnitude in self.params:
            xyz = xyz + magnitude * displacement(xyz, spacing)
        points.tensor[:, :3] = torch.from_numpy(np.ascontiguousarray(xyz, dtype=np.float32))
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(params={self.params}, prob={self.prob})'
