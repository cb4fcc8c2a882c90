"""Triangles with a surface and texture coordinates: what every thing of a street is made of.

Local frames are metres, z up. A solid is a list of quads; a quad's texture coordinates are metres along its first edge
(u) and along its last (v), unless they are given.
"""
from dataclasses import dataclass
from typing import Optional, Sequence

import numpy as np


@dataclass(frozen=True)
class Mesh:
    """Triangles: ``corners`` (T, 3, 3) metres, ``uv`` (T, 3, 2) metres, ``surface`` (T,) row of the palette."""
    corners: np.ndarray
    uv: np.ndarray
    surface: np.ndarray

    def __len__(self) -> int:
        return len(self.surface)

    def clean(self) -> 'Mesh':
        """The same mesh without triangles that have no area (poles, the tips of caps)."""
        edges = self.corners[:, 1:] - self.corners[:, :1]
        kept = np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1) > 1e-9
        return Mesh(self.corners[kept], self.uv[kept], self.surface[kept])

    def moved(self, yaw: float, centre: Sequence[float]) -> 'Mesh':
        """The same mesh turned by ``yaw`` about +z and then shifted by ``centre`` (3,)."""
        cos, sin = np.cos(yaw), np.sin(yaw)
        turn = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
        return Mesh(self.corners @ turn + np.asarray(centre), self.uv, self.surface)

    def fitted(self, size: Sequence[float]) -> 'Mesh':
        """The same mesh stretched along its axes to fill a box of extents ``size`` (3,) x y z around the origin."""
        points = self.corners.reshape(-1, 3)
        low, high = points.min(0), points.max(0)
        scale = np.asarray(size) / np.maximum(high - low, 1e-9)
        return Mesh((self.corners - (low + high) / 2) * scale, self.uv, self.surface)


def join(meshes: Sequence[Mesh]) -> Mesh:
    """One mesh of several."""
    return Mesh(*(np.concatenate([getattr(mesh, name) for mesh in meshes]) for name in ('corners', 'uv', 'surface')))


_HALVES = np.array([[0, 1, 2], [0, 2, 3]])  # a quad's triangles


def quads(corners: np.ndarray, surface, uv: Optional[np.ndarray] = None) -> Mesh:
    """Quads (Q, 4, 3), counter-clockwise seen from outside; ``surface`` one for all or (Q,); ``uv`` (Q, 4, 2)."""
    corners = np.asarray(corners, np.float64)
    if uv is None:
        edges = corners[:, (1, 3)] - corners[:, :1]
        lengths = np.sqrt((edges * edges).sum(2))
        uv = np.zeros((len(corners), 4, 2))
        uv[:, 1:3, 0], uv[:, 2:, 1] = lengths[:, :1], lengths[:, 1:]
    rows = np.empty((len(corners), 2), np.int32)
    rows[:] = np.reshape(surface, (-1, 1))
    return Mesh(corners[:, _HALVES].reshape(-1, 3, 3), uv[:, _HALVES].reshape(-1, 3, 2), rows.reshape(-1))


# Corners of a unit cube's faces: bottom, top, right (-y), left (+y), back (-x), front (+x).
_CUBE = np.array([
    [[-1, -1, -1], [-1, 1, -1], [1, 1, -1], [1, -1, -1]], [[-1, -1, 1], [1, -1, 1], [1, 1, 1], [-1, 1, 1]],
    [[-1, -1, -1], [1, -1, -1], [1, -1, 1], [-1, -1, 1]], [[1, 1, -1], [-1, 1, -1], [-1, 1, 1], [1, 1, 1]],
    [[-1, 1, -1], [-1, -1, -1], [-1, -1, 1], [-1, 1, 1]], [[1, -1, -1], [1, 1, -1], [1, 1, 1], [1, -1, 1]]]) / 2


def box(low: Sequence[float], high: Sequence[float], surface, taper: Sequence[float] = (0, 0, 0, 0)) -> Mesh:
    """A box from ``low`` to ``high``; ``surface`` one or six (bottom, top, right, left, back, front).

    Args:
        taper: metres by which the top is shorter at the back, front, right and left: cabins, bonnets, cones.
    """
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    corners = _CUBE * (high - low) + (low + high) / 2
    top = _CUBE[..., 2] > 0
    back, front, right, left = taper
    corners[..., 0] += top * np.where(_CUBE[..., 0] < 0, back, -front)
    corners[..., 1] += top * np.where(_CUBE[..., 1] < 0, right, -left)
    return quads(corners, surface)


def tube(start: Sequence[float], end: Sequence[float], radius: float, surface, sides: int = 8,
         end_radius: Optional[float] = None, caps: str = 'both') -> Mesh:
    """A round (or, with ``end_radius``, tapering) bar between two points; ``caps`` 'both', 'end' or 'none'."""
    start, end = np.asarray(start, np.float64), np.asarray(end, np.float64)
    axis = end - start
    x, y, z = axis / max(float(np.sqrt(axis @ axis)), 1e-9)
    aside = np.array([y, -x, 0.0] if abs(z) < 0.9 else [0.0, z, -y])
    aside /= np.sqrt(aside @ aside)
    other = np.array([y * aside[2] - z * aside[1], z * aside[0] - x * aside[2], x * aside[1] - y * aside[0]])
    angle = 2 * np.pi * np.arange(sides + 1) / sides
    ring = np.cos(angle)[:, None] * aside + np.sin(angle)[:, None] * other
    low, high = start + ring * radius, end + ring * (radius if end_radius is None else end_radius)
    lids = dict(both=((start, low[::-1]), (end, high)), end=((end, high), ), none=())[caps]
    faces = np.empty((sides * (1 + len(lids)), 4, 3))
    faces[:sides, 0], faces[:sides, 1], faces[:sides, 2], faces[:sides, 3] = low[:-1], low[1:], high[1:], high[:-1]
    for number, (middle, edge) in enumerate(lids, 1):
        lid = faces[sides * number:sides * (number + 1)]
        lid[:, 0], lid[:, 1], lid[:, 2], lid[:, 3] = middle, edge[:-1], edge[1:], middle
    return quads(faces, surface)


def blob(centre: Sequence[float], size: Sequence[float], surface, sides: int = 10, rows: int = 6) -> Mesh:
    """An ellipsoid of full extents ``size`` (3,)."""
    polar = np.linspace(-np.pi / 2, np.pi / 2, rows + 1)
    angle = 2 * np.pi * np.arange(sides + 1) / sides
    grid = np.stack([np.outer(np.cos(polar), np.cos(angle)), np.outer(np.cos(polar), np.sin(angle)),
                     np.outer(np.sin(polar), np.ones(sides + 1))], -1) * np.asarray(size) / 2 + np.asarray(centre)
    faces = np.stack([grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]], 2).reshape(-1, 4, 3)
    return quads(faces, surface)
