"""Range images into points: a pixel's row and column are its ray, its value how far the ray came.

For the pixel in row i and column j of H x W, with inclination e_i (the beams are listed lowest first, rows come highest
first) and azimuth

    a_j = pi (2 (W - j - 1/2) / W - 1) - atan2(X_10, X_00)

where X is the LiDAR's pose in the vehicle, a return at range r lies at

    p = X (r cos e cos a, r cos e sin a, r sin e),    q = V^-1 P_ij p

p being in the frame of the vehicle as it stood when the pixel was taken, whose pose in the world is P_ij, and q in that
of the vehicle at the frame's time stamp, whose pose is V. Only the top LiDAR has poses of its pixels; those of the
others are as of the time stamp, q = p, which is how waymo-open-dataset and Pointcept take them, too. All is computed in
float64: world coordinates are kilometres, of which float32, in which waymo-open-dataset computes, keeps millimetres.
"""
from dataclasses import dataclass
from typing import Optional, Tuple

import numpy as np


@dataclass
class Calibration:
    """Of a LiDAR.

    Attributes:
        extrinsic: (4, 4) LiDAR to vehicle. low, high: radians, the lowest and the highest inclination's bounds.
        beams: (H,) radians, lowest first; ``None``: H equal steps between ``low`` and ``high``.
    """
    extrinsic: np.ndarray
    low: float
    high: float
    beams: Optional[np.ndarray] = None

    def inclinations(self, height: int) -> np.ndarray:
        """(H,) radians of a range image's rows, highest first.

        Raises:
            ValueError: another number of beams.
        """
        beams = self.beams
        if beams is None or not len(beams):
            beams = self.low + (np.arange(height) + 0.5) / height * (self.high - self.low)
        if len(beams) != height:
            raise ValueError(f'a range image has {height} rows, and the calibration {len(beams)} beams')
        return np.asarray(beams, np.float64)[::-1]


def rotations(angles: np.ndarray) -> np.ndarray:
    """(N, 3, 3) from (N, 3) roll, pitch, yaw: Rz(yaw) Ry(pitch) Rx(roll)."""
    (a, b, c), (u, v, w) = np.cos(angles.T), np.sin(angles.T)  # roll, pitch, yaw
    rows = [[b * c, u * v * c - a * w, a * v * c + u * w], [b * w, u * v * w + a * c, a * v * w - u * c],
            [-v, u * b, a * b]]
    return np.moveaxis(np.array(rows), 2, 0)


@np.errstate(all='ignore')  # what is not finite is told at the end
def to_points(image: np.ndarray, calibration: Calibration, pixel_pose: Optional[np.ndarray] = None,
              vehicle_pose: Optional[np.ndarray] = None) -> Tuple[np.ndarray, np.ndarray]:
    """Points of one return.

    Args:
        image: (H, W, 4) range, intensity, elongation, in a no label zone; a range that is not positive is no return.
        pixel_pose: (H, W, 6) roll, pitch, yaw, x, y, z of the vehicle in the world when a pixel was taken; ``None``:
            that of the frame's time stamp.
        vehicle_pose: (4, 4) vehicle to world at the frame's time stamp, needed where pixels have poses.

    Returns:
        (N, 5) float32 x y z intensity elongation, and (N,) the pixels' numbers, row by row.

    Raises:
        ValueError: shapes do not go together, or values are not finite.
    """
    if image.ndim != 3 or image.shape[2] < 3:
        raise ValueError(f'a range image of shape {image.shape} in place of (rows, columns, 4)')
    if pixel_pose is not None and pixel_pose.shape != (*image.shape[:2], 6):
        raise ValueError(f'a range image of shape {image.shape} and poses of shape {pixel_pose.shape} do not go '
                         'together')
    height, width = image.shape[:2]
    pixel = np.flatnonzero(image[..., 0] > 0)
    row, column = pixel // width, pixel % width
    value = image.reshape(-1, image.shape[2])[pixel, :3]
    extrinsic = np.asarray(calibration.extrinsic, np.float64)
    azimuth = np.pi * (2 * (width - column - 0.5) / width - 1) - np.arctan2(extrinsic[1, 0], extrinsic[0, 0])
    inclination = calibration.inclinations(height)[row]
    flat = np.cos(inclination)
    ray = np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(inclination)], 1)
    xyz = (value[:, :1].astype(np.float64) * ray) @ extrinsic[:3, :3].T + extrinsic[:3, 3]
    if pixel_pose is not None:
        frame, pose = np.asarray(vehicle_pose, np.float64), pixel_pose.reshape(-1, 6)[pixel].astype(np.float64)
        world = np.einsum('nij,nj->ni', rotations(pose[:, :3]), xyz) + (pose[:, 3:] - frame[:3, 3])
        xyz = np.linalg.solve(frame[:3, :3], world.T).T
    points = np.concatenate([xyz, value[:, 1:]], 1).astype(np.float32)
    if not np.isfinite(points).all():
        raise ValueError(f'{int((~np.isfinite(points).all(1)).sum())} points are not finite')
    return points, pixel
