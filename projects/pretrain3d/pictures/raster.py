"""Draws point clouds as closed surfaces: a small z-buffer of discs that lie along each point's normal."""
from dataclasses import dataclass
from typing import Tuple

import numpy as np

# Discs that are turned away by more than this cosine are not drawn: one looks into a room through its near walls.
FACING = -0.1
# How much deeper a disc's rim lies than its middle, in metres a metre: neighbours meet half-way between their points.
CONE = 0.5
EMPTY = np.iinfo(np.int64).max


@dataclass(frozen=True)
class View:
    """A parallel projection.

    Attributes:
        rotation: (3, 3); its rows are the picture's right, its down, and away from the eye, in world coordinates.
        middle: (2,) right and down coordinates (metres) at the picture's middle.
        scale: pixels a metre. width, height: pixels.
    """
    rotation: np.ndarray
    middle: np.ndarray
    scale: float
    width: int
    height: int

    def project(self, xyz: np.ndarray) -> np.ndarray:
        """(N, 3) column, row (pixels) and depth (metres) of world positions (N, 3)."""
        seen = xyz @ self.rotation.T
        pixel = (seen[:, :2] - self.middle) * self.scale + (self.width / 2, self.height / 2)
        return np.concatenate([pixel, seen[:, 2:]], 1)


def view_from(xyz: np.ndarray, azimuth: float, elevation: float, width: int, height: int, margin: float = 0.03) -> View:
    """The view that fits the cloud ``xyz`` (N, 3), z up, into ``width`` x ``height`` pixels.

    Args:
        azimuth: where the eye stands, radians from +x. elevation: radians above the horizon, pi / 2: from above.
        margin: share of the picture left free at each side.
    """
    cos, sin = np.cos(azimuth), np.sin(azimuth)
    away = -np.array([cos * np.cos(elevation), sin * np.cos(elevation), np.sin(elevation)])
    right = np.array([-sin, cos, 0.0])
    rotation = np.stack([right, np.cross(away, right), away])
    flat = xyz @ rotation[:2].T
    low, high = flat.min(0), flat.max(0)
    scale = ((1 - 2 * margin) * np.array([width, height]) / np.maximum(high - low, 1e-3)).min()
    return View(rotation, (low + high) / 2, float(scale), width, height)


def point_radius(xyz: np.ndarray) -> np.ndarray:
    """(N,) radius (metres) of discs that close the surface: a little under the distance to the fourth neighbour."""
    from scipy.spatial import cKDTree
    if len(xyz) < 2:
        return np.full(len(xyz), 0.05)
    distance = cKDTree(xyz).query(xyz, k=min(5, len(xyz)))[0][:, -1]
    return 0.8 * np.minimum(distance, 3 * np.median(distance))


def rasterise(view: View, xyz: np.ndarray, normal: np.ndarray, radius: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Which point's disc is seen at every pixel.

    Args:
        xyz, normal: (N, 3), normals of unit length. radius: (N,) metres.

    Returns:
        ``index`` (height, width) int64, -1 where nothing is, and ``depth`` (height, width) metres, inf there.
    """
    front = np.flatnonzero(normal @ -view.rotation[2] > FACING)
    xyz, normal, radius = xyz[front].astype(np.float64), normal[front].astype(np.float64), radius[front]
    first, second = _tangents(normal)
    steps = _steps(view, radius)
    buffer = np.full(view.height * view.width, EMPTY, np.int64)
    base = (xyz @ view.rotation[2]).min(initial=0.0)
    for a in steps:
        for b in steps:
            reach = np.hypot(a, b)
            if reach > 1.0 and len(steps) > 1:
                continue
            place = view.project(xyz + (radius * a)[:, None] * first + (radius * b)[:, None] * second)
            column, row = np.floor(place[:, 0]).astype(np.int64), np.floor(place[:, 1]).astype(np.int64)
            inside = np.flatnonzero((column >= 0) & (column < view.width) & (row >= 0) & (row < view.height))
            # One number orders by depth first (tenths of a millimetre) and says which point it was.
            key = ((place[inside, 2] - base + 10 + CONE * reach * radius[inside]) * 1e4).astype(np.int64) << 32
            np.minimum.at(buffer, row[inside] * view.width + column[inside], key | inside)
    seen = buffer != EMPTY
    index, depth = np.full(buffer.shape, -1, np.int64), np.full(buffer.shape, np.inf)
    index[seen] = front[buffer[seen] & 0xFFFFFFFF]
    depth[seen] = (buffer[seen] >> 32) * 1e-4 - 10 + base
    return index.reshape(view.height, view.width), depth.reshape(view.height, view.width)


def _steps(view: View, radius: np.ndarray) -> np.ndarray:
    """Offsets in radii, so dense that no pixel inside all but the largest discs is left out."""
    pixels = 2 * np.percentile(radius, 95) * view.scale if len(radius) else 0.0
    count = int(np.clip(np.ceil(pixels * 1.2), 1, 41))
    return np.linspace(-1, 1, count) if count > 1 else np.zeros(1)


def _tangents(normal: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Two unit vectors (N, 3) across each normal."""
    other = np.where(np.abs(normal[:, 2:]) < 0.9, (0.0, 0.0, 1.0), (1.0, 0.0, 0.0))
    first = np.cross(normal, other)
    first /= np.maximum(np.linalg.norm(first, axis=1, keepdims=True), 1e-9)
    return first, np.cross(normal, first)


def edge_shade(depth: np.ndarray, strength: float = 2.0, reach: int = 2) -> np.ndarray:
    """(H, W) factor of 0 ... 1 that darkens pixels lying behind their neighbours, so that edges stand out."""
    far = np.where(np.isfinite(depth), depth, np.nan)
    total = np.zeros(depth.shape)
    for shift in ((0, reach), (0, -reach), (reach, 0), (-reach, 0)):
        step = far - np.roll(far, shift, (0, 1))
        total += np.clip(np.nan_to_num(step), 0, 0.3)
    return np.exp(-strength * total)


def shade(view: View, normal: np.ndarray) -> np.ndarray:
    """(N,) light of 0.7 ... 1 on surfaces with these normals, from above the eye's left shoulder."""
    light = -0.6 * view.rotation[2] - 0.35 * view.rotation[0] + (0, 0, 0.6)
    return 0.7 + 0.3 * np.clip(normal @ (light / np.linalg.norm(light)), 0, 1)


def colour_pixels(index: np.ndarray, rgb: np.ndarray, light: np.ndarray, background: int = 255) -> np.ndarray:
    """(H, W, 3) uint8 picture: colours ``rgb`` (N, 3) of the points seen, times ``light`` (H, W)."""
    picture = np.full((*index.shape, 3), float(background))
    seen = index >= 0
    picture[seen] = rgb[index[seen]] * light[seen][:, None]
    return (picture + 0.5).astype(np.uint8)


def halve(picture: np.ndarray) -> np.ndarray:
    """(H / 2, W / 2, 3) uint8 mean of blocks of four pixels: smooth edges."""
    blocks = picture.reshape(picture.shape[0] // 2, 2, picture.shape[1] // 2, 2, 3)
    return (blocks.mean((1, 3)) + 0.5).astype(np.uint8)
