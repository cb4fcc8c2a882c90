"""Solids made of flat quads: the same surfaces are ray-cast for images and tessellated for the scanned mesh.

Frames: a part has a local frame with its centre at the origin; ``pose`` (4, 4) maps local to world. Metres.
"""
from dataclasses import dataclass, field
from typing import List, Tuple

import numpy as np

from .textures import Texture

CYLINDER_SIDES = 20


@dataclass(frozen=True)
class Part:
    """One textured solid of an item.

    Attributes:
        quads: (Q, 4, 3) corners in the local frame, counter-clockwise seen from outside.
        patch: (Q,) which flat face of the solid a quad belongs to; over-segmentation never crosses it.
        texture: colour as a function of the local position.
        pose: (4, 4) local to world.
    """
    quads: np.ndarray
    patch: np.ndarray
    texture: Texture
    pose: np.ndarray = field(default_factory=lambda: np.eye(4))

    def moved(self, pose: np.ndarray) -> 'Part':
        """The same part after ``pose`` (4, 4) was applied to it."""
        return Part(self.quads, self.patch, self.texture, pose @ self.pose)

    def world_quads(self) -> np.ndarray:
        """Corners (Q, 4, 3) in the world frame."""
        return self.quads @ self.pose[:3, :3].T + self.pose[:3, 3]


@dataclass(frozen=True)
class Item:
    """An annotated object: its raw category and its parts."""
    category: str
    parts: Tuple[Part, ...]

    def moved(self, pose: np.ndarray) -> 'Item':
        """The same item after ``pose`` (4, 4) was applied to it."""
        return Item(self.category, tuple(part.moved(pose) for part in self.parts))


def translation(x: float, y: float, z: float = 0.0) -> np.ndarray:
    """(4, 4) translation."""
    pose = np.eye(4)
    pose[:3, 3] = (x, y, z)
    return pose


def rotation_z(yaw: float) -> np.ndarray:
    """(4, 4) rotation about +z, counter-clockwise, radians."""
    pose = np.eye(4)
    cos, sin = np.cos(yaw), np.sin(yaw)
    pose[:2, :2] = ((cos, -sin), (sin, cos))
    return pose


# Corners of a unit cube's faces, counter-clockwise seen from outside.
_CUBE = np.array([
    [[-1, -1, -1], [-1, 1, -1], [1, 1, -1], [1, -1, -1]],  # bottom
    [[-1, -1, 1], [1, -1, 1], [1, 1, 1], [-1, 1, 1]],  # top
    [[-1, -1, -1], [1, -1, -1], [1, -1, 1], [-1, -1, 1]],  # -y
    [[1, 1, -1], [-1, 1, -1], [-1, 1, 1], [1, 1, 1]],  # +y
    [[-1, 1, -1], [-1, -1, -1], [-1, -1, 1], [-1, 1, 1]],  # -x
    [[1, -1, -1], [1, 1, -1], [1, 1, 1], [1, -1, 1]],  # +x
], dtype=np.float64) / 2


def box(size, centre, texture: Texture, yaw: float = 0.0) -> Part:
    """A box of full extents ``size`` (3,) whose centre lies at ``centre`` (3,)."""
    return Part(_CUBE * np.asarray(size, np.float64), np.arange(6), texture, translation(*centre) @ rotation_z(yaw))


def cylinder(size, centre, texture: Texture) -> Part:
    """An upright elliptic prism with full extents ``size`` (3,) and :data:`CYLINDER_SIDES` sides."""
    angle = 2 * np.pi * np.arange(CYLINDER_SIDES + 1) / CYLINDER_SIDES
    ring = np.stack([np.cos(angle), np.sin(angle)], 1) / 2 * np.asarray(size[:2], np.float64)
    low, high = -size[2] / 2, size[2] / 2

    def at(points: np.ndarray, height: float) -> np.ndarray:
        return np.concatenate([points, np.full((len(points), 1), height)], 1)

    first, second = ring[:-1], ring[1:]
    side = np.stack([at(first, low), at(second, low), at(second, high), at(first, high)], 1)
    middle = np.zeros_like(first)
    top = np.stack([at(middle, high), at(first, high), at(second, high), at(middle, high)], 1)
    bottom = np.stack([at(middle, low), at(second, low), at(first, low), at(middle, low)], 1)
    patch = np.repeat([0, 1, 2], CYLINDER_SIDES)
    return Part(np.concatenate([side, top, bottom]), patch, texture, translation(*centre))


def folded_sheet(size, centre, folds: int, texture: Texture) -> Part:
    """A hanging cloth in the x-z plane: ``folds`` zigzag strips of full extents ``size``, with both faces."""
    count = 2 * max(int(folds), 1)
    x = np.linspace(-0.5, 0.5, count + 1) * size[0]
    y = np.where(np.arange(count + 1) % 2, 0.5, -0.5) * size[1]
    low, high = -size[2] / 2, size[2] / 2
    corner = [np.stack([x, y, np.full_like(x, height)], 1) for height in (low, high)]
    front = np.stack([corner[0][:-1], corner[0][1:], corner[1][1:], corner[1][:-1]], 1)
    # The back lies 2 cm behind, so that a ray hits a cloth of finite thickness.
    back = front[:, [1, 0, 3, 2]] + np.array([0, 0.02, 0])
    return Part(np.concatenate([front, back]), np.repeat([0, 1], count), texture, translation(*centre))


def ray_mesh(parts: List[Part]) -> Tuple[np.ndarray, np.ndarray]:
    """Triangles for ray casting.

    Returns:
        ``triangles`` (T, 3, 3) in the world frame and ``owner`` (T,), the index of the part each belongs to.
    """
    quads = [part.world_quads() for part in parts]
    owner = np.repeat(np.arange(len(parts)), [2 * len(quad) for quad in quads])
    corners = np.concatenate(quads)
    triangles = np.stack([corners[:, [0, 1, 2]], corners[:, [0, 2, 3]]], 1).reshape(-1, 3, 3)
    return triangles, owner


@dataclass
class Surface:
    """A tessellated set of parts.

    Attributes:
        xyz: (V, 3) world positions. local: (V, 3) positions in the part's frame. normal: (V, 3) outward, unit.
        part: (V,) index of the part. patch: (V,) flat face within the part. faces: (F, 3) vertex indices.
    """
    xyz: np.ndarray
    local: np.ndarray
    normal: np.ndarray
    part: np.ndarray
    patch: np.ndarray
    faces: np.ndarray


def tessellate(parts: List[Part], spacing: float) -> Surface:
    """Cut every quad into a grid whose edges are at most ``spacing`` metres long."""
    rows = {key: [] for key in ('xyz', 'local', 'normal', 'part', 'patch', 'faces')}
    count = 0
    for index, part in enumerate(parts):
        for quad, patch in zip(part.quads, part.patch):
            local, faces = _grid(quad, spacing)
            normal = np.cross(quad[2] - quad[0], quad[3] - quad[1])
            normal = normal / max(np.linalg.norm(normal), 1e-12)
            rows['local'].append(local)
            rows['xyz'].append(local @ part.pose[:3, :3].T + part.pose[:3, 3])
            rows['normal'].append(np.tile(part.pose[:3, :3] @ normal, (len(local), 1)))
            rows['part'].append(np.full(len(local), index))
            rows['patch'].append(np.full(len(local), patch))
            rows['faces'].append(faces + count)
            count += len(local)
    return Surface(**{key: np.concatenate(value) for key, value in rows.items()})


def _grid(quad: np.ndarray, spacing: float) -> Tuple[np.ndarray, np.ndarray]:
    """Vertices (n, 3) and faces (m, 3) of one quad (4, 3); quads that collapse to a triangle keep one edge."""
    edges = np.linalg.norm(np.roll(quad, -1, 0) - quad, axis=1)
    nu = max(int(np.ceil(max(edges[0], edges[2]) / spacing)), 1)
    nv = max(int(np.ceil(max(edges[1], edges[3]) / spacing)), 1)
    u, v = np.meshgrid(np.linspace(0, 1, nu + 1), np.linspace(0, 1, nv + 1), indexing='ij')
    u, v = u.reshape(-1, 1), v.reshape(-1, 1)
    xyz = (1 - u) * (1 - v) * quad[0] + u * (1 - v) * quad[1] + u * v * quad[2] + (1 - u) * v * quad[3]
    corner = (np.arange(nu)[:, None] * (nv + 1) + np.arange(nv)).reshape(-1)
    faces = np.concatenate([np.stack([corner, corner + nv + 1, corner + nv + 2], 1),
                            np.stack([corner, corner + nv + 2, corner + 1], 1)])
    return xyz, faces
