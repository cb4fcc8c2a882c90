"""A turn of the drawn LiDAR as Waymo's range images: the pixel says where a ray went, the value how far it came.

Row 0 is the highest beam; columns go clockwise from behind the vehicle, so that the middle of the image looks ahead.
A beam is wide enough to reach into the next column: where that column's surface lies up to :data:`SPLIT` behind, the
echo is elongated by the difference; where it lies farther behind, its part of the beam comes back as a second return.
"""
from dataclasses import dataclass

import numpy as np

from .lidar import LidarSweep

SPLIT = 1.0  # metres between two echoes that are told apart
# Share of its power that the farther part of a split beam comes back with.
SHARE = 0.5


@dataclass
class RangeImages:
    """Both returns of a turn.

    Attributes:
        first, second: (H, W, 4) float32 range in metres, intensity (0 ... 1), elongation, and whether the point lies
            in a no label zone (-1: it does not; a drawn town has none); -1 throughout where nothing came back.
        first_labels, second_labels: (H, W, 2) int32 instance and raw class, 0 where nothing came back.
    """
    first: np.ndarray
    second: np.ndarray
    first_labels: np.ndarray
    second_labels: np.ndarray


def columns_of(xyz: np.ndarray, width: int) -> np.ndarray:
    """(N,) column of points in the frame of a LiDAR that looks along x (a column's ray passes its middle)."""
    azimuth = np.arctan2(xyz[:, 1].astype(np.float64), xyz[:, 0].astype(np.float64))
    return np.rint((np.pi - azimuth) / (2 * np.pi) * width - 0.5).astype(np.int64) % width


def range_images(sweep: LidarSweep, instances: np.ndarray, classes: np.ndarray, height: int,
                 width: int) -> RangeImages:
    """Range images of a sweep.

    Args:
        sweep: (N,) points in the frame of a LiDAR that looks along x, at most one on every ray. instances, classes:
            (N,) int32. height: beams. width: columns of a turn.

    Raises:
        ValueError: two points lie on one ray.
    """
    rows, columns = height - 1 - sweep.points[:, 4].astype(np.int64), columns_of(sweep.points, width)
    if len(np.unique(rows * width + columns)) != len(rows):
        raise ValueError(f'two points of a sweep lie on one ray of {height} beams and {width} columns')
    first, labels = np.full((height, width, 4), -1.0, np.float32), np.zeros((height, width, 2), np.int32)
    first[rows, columns, 0] = np.linalg.norm(sweep.points[:, :3].astype(np.float64), axis=1)
    first[rows, columns, 1] = sweep.points[:, 3] / np.float32(255)
    labels[rows, columns, 0], labels[rows, columns, 1] = instances, classes
    following, depth = np.roll(first, -1, 1), np.roll(first[..., 0], -1, 1) - first[..., 0]
    both = (first[..., 0] > 0) & (following[..., 0] > 0)
    split = both & (depth > SPLIT)
    first[..., 2] = np.where(first[..., 0] > 0, np.where(both & (np.abs(depth) <= SPLIT), np.abs(depth), 0), -1)
    second, second_labels = np.full_like(first, -1.0), np.zeros_like(labels)
    second[split] = following[split] * np.array([1, SHARE, 0, 1], np.float32)
    second_labels[split] = np.roll(labels, -1, 1)[split]
    return RangeImages(first, second, labels, second_labels)


def pose_image(pose: np.ndarray, height: int, width: int) -> np.ndarray:
    """(H, W, 6) float32 roll, pitch, yaw, x, y, z of one vehicle pose (4, 4) for all pixels."""
    roll, pitch = np.arctan2(pose[2, 1], pose[2, 2]), np.arcsin(-pose[2, 0])
    values = [roll, pitch, np.arctan2(pose[1, 0], pose[0, 0]), *pose[:3, 3]]
    return np.broadcast_to(np.array(values, np.float32), (height, width, 6))
