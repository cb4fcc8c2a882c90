"""Labels of a scan's vertices carried into its RGB-D frames: a check of poses, cameras and depth that one can see."""
from pathlib import Path
from typing import Any, Dict, Tuple

import numpy as np
from PIL import Image

from ..converters.batch import SceneError

# A pixel takes the label of the nearest vertex, unless it is further off than this (metres): then something is wrong
# with the pose or the depth, and the pixel stays without a label.
NEAR = 0.1


def frame_colour(root: Path, frame: Dict[str, Any], size: Tuple[int, int]) -> np.ndarray:
    """(height, width, 3) uint8 colour image of a frame record, scaled to ``size`` (width, height)."""
    path = root / frame['color_path']
    try:
        return np.asarray(Image.open(path).convert('RGB').resize(size, Image.Resampling.LANCZOS))
    except OSError as error:
        raise SceneError(f'{path}: cannot be read ({error}); were the frames moved? convert again') from error


def frame_points(root: Path, frame: Dict[str, Any], cameras: Dict[str, Any],
                 size: Tuple[int, int]) -> Tuple[np.ndarray, np.ndarray]:
    """World positions of the pixels of a frame's colour image scaled to ``size`` (width, height).

    Colour and depth camera stand at the same place and look the same way, as ScanNet's exports have it; each has its
    own intrinsics.

    Args:
        frame: record with ``color_path``, ``depth_path`` (16 bit, millimetres) and ``pose`` (4, 4) camera to world.
        cameras: ``intrinsic_color`` and ``intrinsic_depth`` (4, 4).

    Returns:
        positions (height * width, 3), NaN where the sensor gave no depth, row by row; ``valid`` (height * width,).
    """
    path = root / frame['depth_path']
    try:
        depth = np.asarray(Image.open(path)).astype(np.float64) / 1000
        full = Image.open(root / frame['color_path']).size
    except OSError as error:
        raise SceneError(f'{path}: cannot be read ({error}); were the frames moved? convert again') from error
    color, sensor = np.asarray(cameras['intrinsic_color'], float), np.asarray(cameras['intrinsic_depth'], float)
    column, row = np.meshgrid((np.arange(size[0]) + 0.5) * full[0] / size[0] - 0.5,
                              (np.arange(size[1]) + 0.5) * full[1] / size[1] - 0.5)
    x, y = (column - color[0, 2]) / color[0, 0], (row - color[1, 2]) / color[1, 1]
    u = np.round(x * sensor[0, 0] + sensor[0, 2]).astype(int)
    v = np.round(y * sensor[1, 1] + sensor[1, 2]).astype(int)
    inside = (u >= 0) & (u < depth.shape[1]) & (v >= 0) & (v < depth.shape[0])
    z = np.where(inside, depth[np.clip(v, 0, depth.shape[0] - 1), np.clip(u, 0, depth.shape[1] - 1)], 0.0)
    # The ray of the depth pixel that was read, not of the colour pixel that asked for it.
    rays = np.stack([(u - sensor[0, 2]) / sensor[0, 0], (v - sensor[1, 2]) / sensor[1, 1], np.ones_like(x)], -1)
    pose = np.asarray(frame['pose'], float)
    world = (rays * z[..., None]).reshape(-1, 3) @ pose[:3, :3].T + pose[:3, 3]
    valid = (z > 0).reshape(-1)
    return np.where(valid[:, None], world, np.nan), valid


def frame_labels(points: np.ndarray, valid: np.ndarray, tree: Any, label: np.ndarray, ignore_index: int) -> np.ndarray:
    """(P,) label of the vertex nearest to each pixel; ``ignore_index`` without depth or beyond :data:`NEAR`.

    Args:
        points, valid: of :func:`frame_points`. tree: ``cKDTree`` of the vertices. label: (V,) theirs.
    """
    found = np.full(len(points), ignore_index, np.int64)
    distance, nearest = tree.query(points[valid], distance_upper_bound=NEAR)
    found[valid] = np.append(label, ignore_index)[np.where(np.isfinite(distance), nearest, len(label))]
    return found
