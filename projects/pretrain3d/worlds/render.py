"""Ray casting with embree: which part a ray hits, where, and whether two points see each other."""
from dataclasses import dataclass
from typing import List

import numpy as np

from .shapes import Part, ray_mesh

LIGHT = np.array([0.35, 0.25, 0.9]) / np.linalg.norm([0.35, 0.25, 0.9])


@dataclass
class Hits:
    """What rays hit.

    Attributes:
        part: (N,) index of the part, -1 for none. distance: (N,) metres along the ray, inf for none.
        normal: (N, 3) unit, turned towards the ray's origin.
    """
    part: np.ndarray
    distance: np.ndarray
    normal: np.ndarray


class Caster:
    """Casts rays against the flat quads of ``parts``."""

    def __init__(self, parts: List[Part]) -> None:
        from embreex import rtcore_scene
        from embreex.mesh_construction import TriangleMesh
        self.parts = parts
        triangles, self.owner = ray_mesh(parts)
        self._scene = rtcore_scene.EmbreeScene()
        self._mesh = TriangleMesh(self._scene, triangles.astype(np.float32))

    def cast(self, origins: np.ndarray, directions: np.ndarray) -> Hits:
        """Nearest hits of rays with ``origins`` (N, 3) and unit ``directions`` (N, 3)."""
        found = self._scene.run(np.ascontiguousarray(origins, np.float32),
                                np.ascontiguousarray(directions, np.float32), output=1)
        hit = found['primID'] >= 0
        part = np.where(hit, self.owner[np.maximum(found['primID'], 0)], -1)
        normal = found['Ng'].astype(np.float64)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
        normal *= -np.sign((normal * directions).sum(1, keepdims=True))
        return Hits(part, np.where(hit, found['tfar'].astype(np.float64), np.inf), normal)

    def visible(self, points: np.ndarray, eye: np.ndarray, slack: float = 0.01) -> np.ndarray:
        """(N,) whether the segment from ``eye`` (3,) to each of ``points`` (N, 3) is free but for its last ``slack``."""
        rays = points - eye
        distance = np.linalg.norm(rays, axis=1)
        hits = self.cast(np.broadcast_to(eye, points.shape), rays / np.maximum(distance, 1e-9)[:, None])
        return hits.distance > distance - slack

    def colour(self, part: np.ndarray, xyz: np.ndarray, normal: np.ndarray) -> np.ndarray:
        """Lit RGB in [0, 1], (N, 3), of world positions ``xyz`` on parts ``part``; 0 where the part is -1."""
        rgb = np.zeros((len(part), 3))
        for index in np.unique(part[part >= 0]):
            rows = part == index
            pose = self.parts[index].pose
            rgb[rows] = self.parts[index].texture((xyz[rows] - pose[:3, 3]) @ pose[:3, :3])
        return rgb * (0.62 + 0.38 * np.clip(normal @ LIGHT, 0, 1))[:, None]
