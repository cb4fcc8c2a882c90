"""Waymo's four short LiDARs, low around the vehicle: FRONT, SIDE_LEFT, SIDE_RIGHT, REAR.

Each looks from straight down to 30 degrees up, as far as 20 m. A range image is a whole turn, 200 x 600 pixels at full
size, of which the vehicle hides the half behind the LiDAR: nothing comes back there. Smaller presets have fewer pixels
by a higher power than that of their columns, or these LiDARs, four of them, would take most of the time.
A sweep is taken at once at the frame's time stamp, since no pose of its pixels is written; what moves has moved on when
the top LiDAR's turn is half over, 50 ms later. Beams are even, and said by their bounds alone.
"""
from dataclasses import dataclass
from typing import Dict, Tuple

import numpy as np

from .presets import StreetPreset
from .rig import LidarModel, rotation_matrix
from .scene import Street
from .waymo_images import RangeImages, range_images

LOW, HIGH = np.radians(-90.0), np.radians(30.0)
REACH, NOISE = 20.0, 0.015
ROWS, COLUMNS, FULL = 200, 600, 1084  # at full size, and the columns of that preset
HIDDEN = np.radians(90.0)  # from the direction that a LiDAR looks


@dataclass(frozen=True)
class Side:
    """Where a LiDAR sits.

    Attributes:
        laser: its number, waymo-open-dataset's LaserName. position: (3,) metres in the vehicle's frame.
        yaw: degrees from ahead to where it looks. pitch: degrees by which it looks down.
    """
    laser: int
    position: Tuple[float, float, float]
    yaw: float
    pitch: float

    @property
    def extrinsic(self) -> np.ndarray:
        """(4, 4) LiDAR to vehicle."""
        pose = np.eye(4)
        pose[:3, :3] = _about(2, self.yaw) @ _about(1, self.pitch)
        pose[:3, 3] = self.position
        return pose

    @property
    def mount(self) -> np.ndarray:
        """(4, 4) to vehicle from the LiDAR's frame turned about its own axis until its columns count from behind."""
        pose = self.extrinsic
        pose[:3, :3] = pose[:3, :3] @ _about(2, -self.yaw)
        return pose


def _about(axis: int, degrees: float) -> np.ndarray:
    """(3, 3) a turn about an axis."""
    half = np.radians(degrees) / 2
    return rotation_matrix(np.array([np.cos(half), *(np.sin(half) * np.eye(3)[axis])]))


SIDES: Dict[str, Side] = dict(
    FRONT=Side(2, (3.98, 0.0, 0.69), 0.0, 1.5), SIDE_LEFT=Side(3, (3.22, 1.02, 0.98), 90.0, 2.5),
    SIDE_RIGHT=Side(4, (3.22, -1.02, 0.98), -90.0, 3.0), REAR=Side(5, (-1.12, 0.0, 0.47), 180.0, 1.0))


def image_size(preset: StreetPreset) -> Tuple[int, int]:
    """Rows and columns of a range image."""
    scale = (preset.azimuths / FULL) ** 1.5
    return max(2, round(ROWS * scale)), max(4, round(COLUMNS * scale))


def side_model(rows: int) -> LidarModel:
    """A LiDAR of ``rows`` even beams."""
    beams = LOW + (np.arange(rows) + 0.5) / rows * (HIGH - LOW)
    return LidarModel(beams, 0.0, 0.0, REACH, NOISE, 1.0, 0.5)


def observe_side(street: Street, name: str, number: int, time: float) -> RangeImages:
    """What the LiDAR ``name``, one of :data:`SIDES`, sees at the ``time`` of frame ``number``; nothing is labelled."""
    side, (rows, width) = SIDES[name], image_size(street.preset)
    azimuth = np.pi - 2 * np.pi * (np.arange(width) + 0.5) / width
    off = np.abs(np.remainder(azimuth - np.radians(side.yaw) + np.pi, 2 * np.pi) - np.pi)
    sweep = street.near_lidar(f'LIDAR_{name}', side_model(rows), width, np.flatnonzero(off < HIDDEN), side.mount, time,
                              number)
    nothing = np.zeros(len(sweep.points), np.int32)
    return range_images(sweep, nothing, nothing, rows, width)
