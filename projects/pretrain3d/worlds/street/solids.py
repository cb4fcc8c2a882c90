"""Triangles with a surface and texture coordinates: what every thing of a street is made of.

Local frames are metres, z up. A solid is a list of quads; a quad's texture coordinates are metres along its first edge
(u) and along its last (v), unless they are given.
"""
from dataclasses import dataclass
from typing import List, Optional, Sequence

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


def quads(corners: np.ndarray, surface, uv: Optional[np.ndarray] = None) -> Mesh:
    """Quads (Q, 4, 3), counter-clockwise seen from outside; ``surface`` one for all or (Q,); ``uv`` (Q, 4, 2)."""
    corners = np.asarray(corners, np.float64)
    if uv is None:
        u = np.linalg.norm(corners[:, 1] - corners[:, 0], axis=1)
        v = np.linalg.norm(corners[:, 3] - corners[:, 0], axis=1)
        zero = np.zeros_like(u)
        uv = np.stack([np.stack(pair, 1) for pair in ((zero, zero), (u, zero), (u, v), (zero, v))], 1)
    surface = np.broadcast_to(np.asarray(surface, np.int32), (len(corners), ))
    order = np.array([[0, 1, 2], [0, 2, 3]])
    return Mesh(corners[:, order].reshape(-1, 3, 3), uv[:, order].reshape(-1, 3, 2), np.repeat(surface, 2))


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
         end_radius: Optional[float] = None, caps: bool = True) -> Mesh:
    """A round (or, with ``end_radius``, tapering) bar between two points."""
    start, end = np.asarray(start, np.float64), np.asarray(end, np.float64)
    axis = (end - start) / max(np.linalg.norm(end - start), 1e-9)
    aside = np.cross(axis, [0, 0, 1.0] if abs(axis[2]) < 0.9 else [1.0, 0, 0])
    aside /= np.linalg.norm(aside)
    other = np.cross(axis, aside)
    angle = 2 * np.pi * np.arange(sides + 1) / sides
    ring = np.cos(angle)[:, None] * aside + np.sin(angle)[:, None] * other
    low, high = start + ring * radius, end + ring * (radius if end_radius is None else end_radius)
    faces: List[np.ndarray] = [np.stack([low[:-1], low[1:], high[1:], high[:-1]], 1)]
    if caps:
        for middle, edge in ((start, low[::-1]), (end, high)):
            centre = np.broadcast_to(middle, edge[:-1].shape)
            faces.append(np.stack([centre, edge[:-1], edge[1:], centre], 1))
    return quads(np.concatenate(faces), surface)


def blob(centre: Sequence[float], size: Sequence[float], surface, sides: int = 10, rows: int = 6) -> Mesh:
    """An ellipsoid of full extents ``size`` (3,)."""
    polar = np.linspace(-np.pi / 2, np.pi / 2, rows + 1)
    angle = 2 * np.pi * np.arange(sides + 1) / sides
    grid = np.stack([np.outer(np.cos(polar), np.cos(angle)), np.outer(np.cos(polar), np.sin(angle)),
                     np.outer(np.sin(polar), np.ones(sides + 1))], -1) * np.asarray(size) / 2 + np.asarray(centre)
    faces = np.stack([grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]], 2).reshape(-1, 4, 3)
    return quads(faces, surface)
