"""Ray casting against what stands and what moves: two embree scenes, of which the nearer hit counts."""
from dataclasses import dataclass
from typing import List, Tuple

import numpy as np

from .actors import Instance
from .solids import Mesh, join

_FAR = 1e30  # embree's distance of rays that hit nothing is greater


@dataclass
class Hits:
    """What rays hit.

    Attributes:
        ray: (H,) rows of the rays that hit anything. distance: (N,) metres of all rays, inf for the sky.
        surface: (H,) row of the palette. owner: (H,) row of the street's instances, -1 for what has no box.
        uv: (H, 2) texture coordinates. normal: (H, 3) unit, towards the ray's origin. triangle: (H,) number of it.
    """
    ray: np.ndarray
    distance: np.ndarray
    surface: np.ndarray
    owner: np.ndarray
    uv: np.ndarray
    normal: np.ndarray
    triangle: np.ndarray


class Layer:
    """One embree scene with its triangles' properties.

    Args:
        corners: (T, 3, 3). uv: (T, 3, 2). surface: (T,) rows of the palette. owner: (T,) rows of instances or -1.
    """

    def __init__(self, corners: np.ndarray, uv: np.ndarray, surface: np.ndarray, owner: np.ndarray) -> None:
        from embreex import rtcore_scene
        from embreex.mesh_construction import TriangleMesh
        self.uv, self.surface = np.asarray(uv, np.float32), np.asarray(surface, np.int32)
        self.owner, self.corners = np.asarray(owner, np.int32), np.ascontiguousarray(corners, np.float32)
        self.scene = rtcore_scene.EmbreeScene()
        self._geometry = TriangleMesh(self.scene, self.corners)


def still_layer(meshes: List[Mesh], owners: List[int]) -> Layer:
    """A layer of what never moves; each mesh with the instance that owns it (-1: none)."""
    mesh = join(meshes)
    return Layer(mesh.corners, mesh.uv, mesh.surface, np.repeat(owners, [len(mesh) for mesh in meshes]))


class Movers:
    """What moves: triangles in their boxes' frames, put in place for a time in one go.

    Args:
        instances: those that move, all on one road. rows: their rows among all instances of the street.
    """

    def __init__(self, instances: List[Instance], rows: List[int]) -> None:
        self.instances = instances
        mesh = join([each.mesh for each in instances])
        self._which = np.repeat(np.arange(len(instances)), [len(each.mesh) for each in instances])
        self._rows, paths = np.asarray(rows, np.int32), [each.path for each in instances]
        self._road, self._d = paths[0].road, np.array([path.d for path in paths])
        self._turn = np.array([path.turn + (0.0 if path.sense > 0 else np.pi) for path in paths])
        self._z = np.array([each.pose(0.0)[0][2] for each in instances])
        self._corners, self._uv = mesh.corners.astype(np.float32), mesh.uv.astype(np.float32)
        self._surface = mesh.surface

    def poses(self, time: float) -> Tuple[np.ndarray, np.ndarray]:
        """Box centres (M, 3) and yaws (M,) at a time."""
        s = np.array([each.path.along(time) for each in self.instances])
        xy = self._road.place(s, self._d)
        return np.concatenate([xy, self._z[:, None]], 1), self._road.heading(s) + self._turn

    def layer(self, centres: np.ndarray, yaws: np.ndarray, shown: np.ndarray) -> Layer:
        """Those that are ``shown`` (M,) bool, at these poses."""
        rows = np.flatnonzero(shown[self._which])
        which, corners = self._which[rows], self._corners[rows]
        cos, sin = np.cos(yaws)[which, None], np.sin(yaws)[which, None]
        centre = centres[which]
        placed = np.stack([corners[..., 0] * cos - corners[..., 1] * sin + centre[:, :1],
                           corners[..., 0] * sin + corners[..., 1] * cos + centre[:, 1:2],
                           corners[..., 2] + centre[:, 2:]], -1)
        return Layer(placed, self._uv[rows], self._surface[rows], self._rows[which])


class Caster:
    """Casts rays against ``layers`` of triangles."""

    def __init__(self, layers: List[Layer]) -> None:
        self.layers = layers

    def cast(self, origin: np.ndarray, directions: np.ndarray, reach: float = _FAR) -> Hits:
        """Nearest hits within ``reach`` m of rays from ``origin`` (3,) or (N, 3) along unit ``directions`` (N, 3)."""
        directions = np.ascontiguousarray(directions, np.float32)
        origins = np.empty_like(directions)
        origins[:] = origin
        # embree writes the distances over the ends, so that every layer needs its own.
        found = [layer.scene.run(origins, directions, output=1, dists=None if reach == _FAR else np.full(
            len(directions), reach, np.float32)) for layer in self.layers]
        nearest = found[0]['tfar']
        winner = np.zeros(len(directions), np.int8)
        for number, each in enumerate(found[1:], 1):
            closer = np.flatnonzero(each['tfar'] < nearest)
            nearest[closer], winner[closer] = each['tfar'][closer], number
        hit = nearest < np.float32(reach)
        total = int(hit.sum())
        hits = Hits(np.flatnonzero(hit), np.where(hit, nearest, np.float32(np.inf)), np.empty(total, np.int32),
                    np.empty(total, np.int32), np.empty((total, 2), np.float32), np.empty((total, 3), np.float32),
                    np.empty(total, np.int32))
        first, which = 0, winner[hits.ray]
        for number, (layer, each) in enumerate(zip(self.layers, found)):
            to = np.flatnonzero(which == number)
            rows = hits.ray[to]
            triangle = each['primID'][rows]
            uv, a, b = layer.uv[triangle], each['u'][rows, None], each['v'][rows, None]
            hits.uv[to] = uv[:, 0] + a * (uv[:, 1] - uv[:, 0]) + b * (uv[:, 2] - uv[:, 0])
            hits.surface[to], hits.owner[to] = layer.surface[triangle], layer.owner[triangle]
            hits.normal[to] = each['Ng'][rows]
            hits.triangle[to] = triangle + first
            first += len(layer.surface)
        scale = 1 / np.sqrt(np.einsum('ij,ij->i', hits.normal, hits.normal))
        scale[np.einsum('ij,ij->i', hits.normal, directions[hits.ray]) > 0] *= -1
        hits.normal *= scale[:, None]
        return hits

    def blocked(self, origins: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """(N,) whether anything lies on the rays from ``origins`` (N, 3) along one ``direction`` (3,)."""
        origins = np.ascontiguousarray(origins, np.float32)
        directions = np.empty_like(origins)
        directions[:] = direction
        blocked = np.zeros(len(origins), bool)
        for layer in self.layers:
            rows = np.flatnonzero(~blocked)
            blocked[rows] = layer.scene.run(origins[rows], directions[rows], query='OCCLUDED') >= 0
        return blocked
