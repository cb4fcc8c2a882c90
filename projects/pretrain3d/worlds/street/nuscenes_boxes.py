"""How many LiDAR points lie in a box, and which share of it the cameras see."""
from dataclasses import dataclass
from typing import Sequence

import numpy as np

# Points a face of a box is sampled with, along each edge.
GRID = 6
# What is this much nearer than the box (metres, and share of the distance) hides it.
SLACK = (0.3, 0.02)


@dataclass(frozen=True)
class View:
    """A camera at the moment of its shutter.

    Attributes:
        pose: (4, 4) camera to global, camera z forward, x right, y down.
        intrinsic: (3, 3) pixels.
        depth: (H, W) metres along the optical axis, inf for the sky.
    """
    pose: np.ndarray
    intrinsic: np.ndarray
    depth: np.ndarray

    def thinned(self, width: int = 400) -> 'View':
        """The same view with every k-th pixel of its depth, at most about ``width`` columns: a scene's views fit."""
        step = max(1, round(self.depth.shape[1] / width))
        if step == 1:
            return self
        intrinsic = self.intrinsic.copy()
        intrinsic[:2] /= step
        # Blocks at the right and lower edges that have no middle are left out; a pixel stands for its block.
        return View(self.pose, intrinsic, self.depth[step // 2::step, step // 2::step].copy())


def count_points(points: np.ndarray, centre: np.ndarray, size: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Points in each box, borders included, as nuscenes-devkit's ``points_in_box`` counts them.

    Args:
        points: (N, 3), in the boxes' frame, metres.
        centre: (M, 3). size: (M, 3) width, length, height. rotation: (M, 3, 3) box to that frame, x along the length.

    Returns:
        (M,) int64.
    """
    counts = np.zeros(len(centre), dtype=np.int64)
    points = np.asarray(points, dtype=np.float64)
    for row, (middle, half, turn) in enumerate(zip(centre, size[:, [1, 0, 2]] / 2, rotation)):
        near = points[(np.abs(points - middle) <= np.linalg.norm(half) + 1e-6).all(1)]
        counts[row] = (np.abs((near - middle) @ turn) <= half).all(1).sum()
    return counts


def yaw_matrices(yaw: np.ndarray) -> np.ndarray:
    """(M, 3, 3) turns about z by ``yaw`` (M,) radians."""
    turn = np.tile(np.eye(3), (len(yaw), 1, 1))
    turn[:, 0, 0] = turn[:, 1, 1] = np.cos(yaw)
    turn[:, 1, 0] = np.sin(yaw)
    turn[:, 0, 1] = -turn[:, 1, 0]
    return turn


def visible_share(centre: np.ndarray, size: np.ndarray, yaw: float, views: Sequence[View]) -> float:
    """Share of the pixels which a box would cover that nothing in front of it covers, estimated.

    The box's sides and top are sampled; a sample counts as many pixels as its piece of the surface covers in the
    camera that sees it best. It is visible if it lies in that image and the depth there is not smaller than its own.
    0 where no camera looks at the box.

    Args:
        centre: (3,) global frame. size: (3,) width, length, height. yaw: radians.
        views: the cameras; their depth maps hold the box's own object too, which lies in the box and hides nothing.
    """
    points, normals, areas = _surface(size)
    turn = yaw_matrices(np.array([yaw]))[0]
    points, normals = points @ turn.T + centre, normals @ turn.T
    rank, weight, seen = np.zeros(len(points)), np.zeros(len(points)), np.zeros(len(points), dtype=bool)
    for view in views:
        rays = points - view.pose[:3, 3]
        distance = np.maximum(np.linalg.norm(rays, axis=1), 1e-6)
        local = rays @ view.pose[:3, :3]
        facing = -(rays * normals).sum(1) / distance
        pixels = np.where((local[:, 2] > 0.1) & (facing > 0), areas * facing / distance ** 2, 0)
        height, width = view.depth.shape
        u, v = (local[:, :2] / np.maximum(local[:, 2:], 0.1) * view.intrinsic[[0, 1], [0, 1]]
                + view.intrinsic[:2, 2]).T
        inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
        column, row = np.clip(u, 0, width - 1).astype(int), np.clip(v, 0, height - 1).astype(int)
        free = inside & (view.depth[row, column] >= local[:, 2] * (1 - SLACK[1]) - SLACK[0])
        # A camera that has the piece outside its image gives way to any that has it inside.
        better = pixels * np.where(inside, 1, 1e-3) > rank
        rank = np.where(better, pixels * np.where(inside, 1, 1e-3), rank)
        weight, seen = np.where(better, pixels, weight), np.where(better, free, seen)
    return float(weight[seen].sum() / weight.sum()) if weight.any() else 0.0


def _surface(size: np.ndarray):
    """Samples of a box's four sides and its top: points (P, 3), outward normals (P, 3) and areas (P,)."""
    half = np.asarray(size, dtype=np.float64)[[1, 0, 2]] / 2
    steps = (np.arange(GRID) + 0.5) / GRID * 2 - 1
    first, second = (grid.ravel() for grid in np.meshgrid(steps, steps, indexing='ij'))
    points, normals, areas = [], [], []
    for axis, sign in ((0, -1), (0, 1), (1, -1), (1, 1), (2, 1)):
        others = [other for other in range(3) if other != axis]
        face = np.empty((len(first), 3))
        face[:, axis], face[:, others[0]], face[:, others[1]] = sign, first, second
        normal = np.zeros(3)
        normal[axis] = sign
        points.append(face * half)
        normals.append(np.tile(normal, (len(face), 1)))
        areas.append(np.full(len(face), 4 * half[others[0]] * half[others[1]] / len(face)))
    return np.concatenate(points), np.concatenate(normals), np.concatenate(areas)
