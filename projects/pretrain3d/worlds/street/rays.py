"""The rays of sensors, and random streams that depend on nothing but their keys."""
from typing import Union
from zlib import crc32

import numpy as np


def stream(*keys: Union[int, str]) -> np.random.Generator:
    """A generator that the keys alone determine (counter-based: no state is shared between sensors or times)."""
    words = [crc32(key.encode()) if isinstance(key, str) else int(key) % (1 << 63) for key in keys]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(words)))


def camera_rays(intrinsic: np.ndarray, width: int, height: int, samples: int = 1) -> np.ndarray:
    """(height * width * samples^2, 3) directions with z = 1 in the camera frame, pixel by pixel, row by row."""
    offset = (np.arange(samples) + 0.5) / samples
    v, u, dv, du = np.meshgrid(np.arange(height), np.arange(width), offset, offset, indexing='ij')
    x = (u + du - intrinsic[0, 2]) / intrinsic[0, 0]
    y = (v + dv - intrinsic[1, 2]) / intrinsic[1, 1]
    return np.stack([x, y, np.ones_like(x)], -1).reshape(-1, 3)


def lidar_rays(elevations: np.ndarray, azimuths: int, forward_yaw: float) -> np.ndarray:
    """(azimuths * beams, 3) unit directions in the sensor frame: column by column, clockwise from behind."""
    turn = forward_yaw + np.pi - 2 * np.pi * (np.arange(azimuths) + 0.5) / azimuths
    azimuth, elevation = np.meshgrid(turn, elevations, indexing='ij')
    flat = np.cos(elevation)
    return np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)], -1).reshape(-1, 3)
