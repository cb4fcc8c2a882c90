"""Normals of meshes, and of clouds without one: planes through neighbours, turned towards free space."""
from typing import Tuple

import numpy as np

# Neighbours are the means of the points in cubes of this many metres, so that the patch has one size however dense the
# cloud is, and noise within a cube averages out.
CELL = 0.02
NEIGHBOURS = 16
# Free space is looked for in cubes of this many metres, up to REACH metres to either side.
STEP = 0.05
REACH = 2.0
_ROWS = 1 << 16
_MOST_CUBES = 1 << 26


def vertex_normals(xyz: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V, 3) unit normals, each the area-weighted mean over the vertex' faces; +z where a vertex has none."""
    corner = xyz[faces].astype(np.float64)
    normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    total = np.stack([np.bincount(faces.reshape(-1), np.repeat(normal[:, axis], 3), len(xyz)) for axis in range(3)], 1)
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return np.where(length > 0, total / np.maximum(length, 1e-12), (0.0, 0.0, 1.0)).astype(np.float32)


def estimate_normals(xyz: np.ndarray, cell: float = CELL, neighbours: int = NEIGHBOURS) -> np.ndarray:
    """Unit normals of an indoor cloud, pointing into the room.

    The cloud is thinned to the means of cubes of ``cell`` metres. The normal of a mean is the eigenvector of the
    smallest eigenvalue of the covariance of its ``neighbours`` nearest means (itself among them); all points of the cube
    get it.
    Its sign is that of the side with more free space (:func:`towards_free_space`).

    Args:
        xyz: (N, 3) metres, z up, finite. cell: metres. neighbours: at least 3.

    Returns:
        (N, 3) float32; (0, 0, 1) where there are too few means for a plane.
    """
    xyz = np.asarray(xyz, np.float64)
    if not len(xyz):
        return np.zeros((0, 3), np.float32)
    means, inverse = cell_means(xyz, cell)
    if len(means) < 3:
        return np.tile(np.float32([0, 0, 1]), (len(xyz), 1))
    normal = plane_normals(means, neighbours)
    return (normal * towards_free_space(means, normal)[:, None]).astype(np.float32)[inverse]


def cell_means(xyz: np.ndarray, cell: float) -> Tuple[np.ndarray, np.ndarray]:
    """Means (M, 3) of the points in every occupied cube of ``cell`` metres; (N,) the cube of each point."""
    cube = np.floor((xyz - xyz.min(0)) / cell).astype(np.int64)
    extent = cube.max(0) + 1
    _, inverse, counts = np.unique((cube[:, 0] * extent[1] + cube[:, 1]) * extent[2] + cube[:, 2],
                                   return_inverse=True, return_counts=True)
    inverse = inverse.reshape(-1)
    sums = np.stack([np.bincount(inverse, xyz[:, axis], len(counts)) for axis in range(3)], 1)
    return sums / counts[:, None], inverse


def plane_normals(xyz: np.ndarray, neighbours: int) -> np.ndarray:
    """(N, 3) unit normals, of either sign, of the planes of least squares through the nearest points of each."""
    from scipy.spatial import cKDTree
    tree = cKDTree(xyz)
    count = min(max(neighbours, 3), len(xyz))
    normal = np.empty_like(xyz)
    for start in range(0, len(xyz), _ROWS):  # whole, the neighbours of a large room would take gigabytes
        rows = slice(start, start + _ROWS)
        near = xyz[tree.query(xyz[rows], count)[1]]
        near = near - near.mean(1, keepdims=True)
        normal[rows] = np.linalg.eigh(np.einsum('nki,nkj->nij', near, near))[1][:, :, 0]
    return normal


def towards_free_space(xyz: np.ndarray, normal: np.ndarray, step: float = STEP, reach: float = REACH) -> np.ndarray:
    """(N,) +1 or -1: the sign that makes ``normal`` (N, 3) look to the side on which the way is free for longer.

    The way ends at the next occupied cube of ``step`` metres, or where it leaves the room: above or below the cloud, or
    over a spot without a point at any height. Where both ways are equally long, the middle of the cloud decides, 1.5 m
    above its lowest point. So a wall looks inwards and the back of a chair at the wall behind it.
    """
    from scipy.ndimage import binary_closing
    low, high = xyz.min(0), xyz.max(0)
    while np.prod(np.floor((high - low) / step) + 3) > _MOST_CUBES:
        step *= 2
    extent = np.floor((high - low) / step).astype(np.int64) + 3  # one empty layer around
    occupied = np.zeros(extent, bool)
    occupied[tuple((np.floor((xyz - low) / step).astype(np.int64) + 1).T)] = True
    indoors = occupied.any(2)
    indoors |= binary_closing(indoors, np.ones((3, 3)), iterations=2)  # gaps between sparse points are no way out
    occupied |= ~indoors[:, :, None]
    occupied[:, :, [0, -1]] = True
    free = np.zeros((2, len(xyz)))
    for side, sign in enumerate((1, -1)):
        going = np.arange(len(xyz))
        # The first step leaves the surface's own cubes, even across their diagonal.
        for distance in np.arange(1.75 * step, reach, step):
            cube = np.floor((xyz[going] + sign * distance * normal[going] - low) / step).astype(np.int64) + 1
            going = going[~occupied[tuple(np.clip(cube, 0, extent - 1).T)]]
            free[side, going] = distance
    middle = np.append((low[:2] + high[:2]) / 2, low[2] + 1.5)
    inward = ((middle - xyz) * normal).sum(1)
    better = np.where(free[0] != free[1], free[0] - free[1], inward)
    return np.where(better >= 0, 1.0, -1.0)
