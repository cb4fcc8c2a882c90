"""The ego's sensors: where they sit, how they look, and when they fire.

Frames: ego x forward, y left, z up, origin on the ground below the rear axle; camera x right, y down, z forward; LiDAR
as each data set has it (nuScenes: x right, y forward, z up; SemanticKITTI and Waymo: x forward, y left, z up).

Pixels: image coordinates are continuous, pixel (column i, row j) covers [i, i + 1) x [j, j + 1) and its ray passes
through the middle, so that intrinsics scale with the image exactly; the pixel of a projected point is its floor.
"""
from dataclasses import dataclass
from typing import Dict, Optional

import numpy as np

from .presets import StreetPreset

CAMERAS = ('CAM_FRONT', 'CAM_FRONT_RIGHT', 'CAM_BACK_RIGHT', 'CAM_BACK', 'CAM_BACK_LEFT', 'CAM_FRONT_LEFT')
# Yaw in degrees, position in metres and focal length in pixels of an image 1600 wide, near nuScenes's calibration.
# (nuScenes calls its lenses 70 and, behind, 110 degrees; what these focal lengths show is 65 and 89 degrees.)
_MOUNTS = dict(
    CAM_FRONT=(0.0, (1.70, 0.02, 1.51), 1266.0), CAM_FRONT_RIGHT=(-55.0, (1.55, -0.49, 1.50), 1261.0),
    CAM_BACK_RIGHT=(-110.0, (1.01, -0.48, 1.56), 1260.0), CAM_BACK=(180.0, (0.03, 0.0, 1.58), 809.0),
    CAM_BACK_LEFT=(110.0, (1.04, 0.48, 1.59), 1257.0), CAM_FRONT_LEFT=(55.0, (1.52, 0.49, 1.51), 1273.0))
# Seconds between the LiDAR sweep's time stamp (its end) and a camera's: the turning LiDAR triggers the cameras.
CAMERA_DELAY: Dict[str, float] = dict(
    CAM_FRONT_LEFT=-0.043, CAM_FRONT=-0.035, CAM_FRONT_RIGHT=-0.028, CAM_BACK_RIGHT=-0.020, CAM_BACK=-0.010,
    CAM_BACK_LEFT=-0.001)


@dataclass(frozen=True)
class LidarModel:
    """A turning LiDAR.

    Attributes:
        elevations: (B,) radians, lowest first; the position is the ring's number.
        azimuth_factor: columns per turn in multiples of the preset's.
        forward_yaw: radians from the sensor's x axis to the ego's forward direction, about +z.
        reach: metres. noise: standard deviation of the range, metres. gain: of the intensity.
        compress: exponent of the intensity's response.
    """
    elevations: np.ndarray
    azimuth_factor: float
    forward_yaw: float
    reach: float
    noise: float
    gain: float
    compress: float


# HDL-32E: 32 beams 1.333 degrees apart. HDL-64E: 1/3 degree above, 1/2 below. Waymo's top LiDAR: denser to the horizon.
LIDARS: Dict[str, LidarModel] = dict(
    nuscenes=LidarModel(np.radians(np.linspace(-30.67, 10.67, 32)), 1.0, np.pi / 2, 100.0, 0.02, 1.0, 1.0),
    semantickitti=LidarModel(np.radians(np.concatenate([np.linspace(-24.8, -8.83, 32), np.linspace(-8.33, 2.0, 32)])),
                             1.92, 0.0, 80.0, 0.015, 1.6, 0.7),
    waymo=LidarModel(np.radians(-17.6 + 20.0 * (1 - (1 - np.linspace(0, 1, 64)) ** 1.5)), 2.44, 0.0, 75.0, 0.012,
                     1.0, 0.5))
_LIDAR_POSITION = dict(nuscenes=(0.94, 0.0, 1.84), semantickitti=(0.76, 0.0, 1.73), waymo=(1.43, 0.0, 2.18))


@dataclass(frozen=True)
class Sensor:
    """One sensor of the rig: its pose in the ego frame as nuScenes's ``calibrated_sensor`` has it.

    Attributes:
        channel: name. modality: 'lidar' or 'camera'. translation: (3,) metres. rotation: (4,) unit quaternion w x y z.
        intrinsic: (3, 3) of a camera, None of a LiDAR.
    """
    channel: str
    modality: str
    translation: np.ndarray
    rotation: np.ndarray
    intrinsic: Optional[np.ndarray] = None

    @property
    def pose(self) -> np.ndarray:
        """(4, 4) sensor to ego."""
        pose = np.eye(4)
        pose[:3, :3] = rotation_matrix(self.rotation)
        pose[:3, 3] = self.translation
        return pose


def rotation_matrix(quaternion: np.ndarray) -> np.ndarray:
    """(3, 3) of a unit quaternion w x y z."""
    w, x, y, z = quaternion
    return np.array([[1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
                     [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
                     [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)]])


def yaw_quaternion(yaw: float) -> np.ndarray:
    """(4,) w x y z of a turn about +z."""
    return np.array([np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)])


def _times(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(4,) product of two quaternions w x y z."""
    (a, b), (u, v) = (first[0], first[1:]), (second[0], second[1:])
    return np.concatenate([[a * u - b @ v], a * v + u * b + np.cross(b, v)])


def rig(preset: StreetPreset, sensor: str = 'nuscenes') -> Dict[str, Sensor]:
    """LIDAR_TOP and the six cameras of a preset, by channel.

    Args:
        sensor: whose LiDAR: one of :data:`LIDARS`.
    """
    if sensor not in LIDARS:
        raise ValueError(f'unknown sensor {sensor!r}; choose one of {sorted(LIDARS)}')
    lidar = Sensor('LIDAR_TOP', 'lidar', np.array(_LIDAR_POSITION[sensor]), yaw_quaternion(-LIDARS[sensor].forward_yaw))
    sensors = {lidar.channel: lidar}
    width, height = preset.image_size
    forward = np.array([0.5, -0.5, 0.5, -0.5])  # camera axes in the ego frame when it looks ahead
    for channel in CAMERAS:
        yaw, position, focal = _MOUNTS[channel]
        focal = focal * width / 1600
        intrinsic = np.array([[focal, 0, width / 2], [0, focal, height * 491.0 / 900], [0, 0, 1.0]])
        rotation = _times(yaw_quaternion(np.radians(yaw)), forward)
        sensors[channel] = Sensor(channel, 'camera', np.array(position), rotation, intrinsic)
    return sensors
