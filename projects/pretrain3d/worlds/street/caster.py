"""Ray casting against what stands and what moves: two embree scenes, of which the nearer hit counts."""
from dataclasses import dataclass
from typing import List

import numpy as np

from .solids import Mesh, join



@dataclass
class Hits:
    """What rays hit.

    Attributes:
        distance: (N,) metres, inf for the sky. surface: (N,) row of the palette, -1 for the sky.
        owner: (N,) row of the street's instances, -1 for what has no box.
        uv: (N, 2) texture coordinates. normal: (N, 3) unit, towards the ray's origin. triangle: (N,) a number for each.
    """
    distance: np.ndarray
    surface: np.ndarray
    owner: np.ndarray
    uv: np.ndarray
    normal: np.ndarray
    triangle: np.ndarray


class _Layer:
    """One embree scene with its triangles' properties."""

    def __init__(self, mesh: Mesh, owner: np.ndarray) -> None:
        from embreex import rtcore_scene
        from embreex.mesh_construction import TriangleMesh
        self.mesh, self.owner = mesh, owner
        self.scene = rtcore_scene.EmbreeScene()
        self._geometry = TriangleMesh(self.scene, np.ascontiguousarray(mesh.corners, np.float32))


class Caster:
    """Casts rays against ``layers`` of triangles."""

    def __init__(self, layers: List[_Layer]) -> None:
        self.layers = layers

    @staticmethod
    def layer(meshes: List[Mesh], owners: List[int]) -> _Layer:
        """Prepare meshes, each with the instance that owns it (-1: none)."""
        return _Layer(join(meshes), np.repeat(np.asarray(owners, np.int64), [len(mesh) for mesh in meshes]))

    def cast(self, origins: np.ndarray, directions: np.ndarray) -> Hits:
        """Nearest hits of rays with ``origins`` (N, 3) or (3,) and unit ``directions`` (N, 3)."""
        directions = np.ascontiguousarray(directions, np.float32)
        origins = np.ascontiguousarray(np.broadcast_to(origins, directions.shape), np.float32)
        count = len(directions)
        hits = Hits(np.full(count, np.inf), np.full(count, -1, np.int32), np.full(count, -1, np.int64),
                    np.zeros((count, 2)), np.zeros((count, 3)), np.full(count, -1, np.int64))
        first = 0
        for layer in self.layers:
            found = layer.scene.run(origins, directions, output=1)
            rows = np.flatnonzero((found['primID'] >= 0) & (found['tfar'] < hits.distance))
            triangle = found['primID'][rows]
            a, b = found['u'][rows, None].astype(np.float64), found['v'][rows, None].astype(np.float64)
            uv = layer.mesh.uv[triangle]
            hits.distance[rows] = found['tfar'][rows]
            hits.surface[rows], hits.owner[rows] = layer.mesh.surface[triangle], layer.owner[triangle]
            hits.uv[rows] = (1 - a - b) * uv[:, 0] + a * uv[:, 1] + b * uv[:, 2]
            hits.normal[rows] = found['Ng'][rows]
            hits.triangle[rows] = triangle + first
            first += len(layer.mesh)
        hits.normal /= np.maximum(np.linalg.norm(hits.normal, axis=1, keepdims=True), 1e-12)
        hits.normal *= np.where((hits.normal * directions).sum(1, keepdims=True) > 0, -1.0, 1.0)
        return hits

    def blocked(self, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """(N,) whether anything lies on the rays."""
        directions = np.ascontiguousarray(directions, np.float32)
        origins = np.ascontiguousarray(origins, np.float32)
        blocked = np.zeros(len(origins), bool)
        for layer in self.layers:
            rows = np.flatnonzero(~blocked)
            blocked[rows] = layer.scene.run(origins[rows], directions[rows], query='OCCLUDED') >= 0
        return blocked
