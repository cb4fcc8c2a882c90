"""From one RGB-D frame to a coloured cloud in the world."""
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Optional, Tuple

import numpy as np
from PIL import Image

from ..batch import SceneError

# A pose further from the origin than this (metres) is a lost one: float32 would hold the cloud to centimetres only.
MAX_DISTANCE = 1e4


class FrameError(SceneError):
    """A frame that cannot be used; the message says why."""


@dataclass(frozen=True)
class Cameras:
    """Cameras of a scan.

    Attributes:
        depth, color: (4, 4) or (3, 3) intrinsics, pixel centres at integers.
        depth_to_color: (4, 4), from the depth camera's frame to the colour camera's (x right, y down, z forward).
    """
    depth: np.ndarray
    color: np.ndarray
    depth_to_color: np.ndarray


@dataclass(frozen=True)
class Frustum:
    """What a frame can see: ``corners`` (8, 3) in the world of a frustum that holds all its points, near corners
    first, and ``normals`` (5, 3), the unit normals of its faces (sides, then the viewing direction)."""
    corners: np.ndarray
    normals: np.ndarray


def read_cameras(scene: Dict[str, Any], root: Path) -> Cameras:
    """Cameras of a scan of a frame list.

    Extrinsics are ``extrinsic_color`` and ``extrinsic_depth`` (4, 4) of the scan, or the files of that name beside the
    intrinsics (SensReader writes them), each from its camera to the sensor; without them both cameras are one.

    Raises:
        SceneError: a matrix is missing or not finite.
    """
    matrices = {}
    for key in ('intrinsic_color', 'intrinsic_depth'):
        matrix = np.asarray(scene.get(key, ()), np.float64)
        if matrix.shape not in ((3, 3), (4, 4)) or not np.isfinite(matrix).all() or matrix[0, 0] <= 0:
            raise SceneError(f'{key} is missing or no camera matrix; convert the scan again with its intrinsics')
        matrices[key] = matrix
    files = Path(root, scene['frames'][0]['depth_path']).parent.parent / 'intrinsic' if scene['frames'] else root
    color, depth = (_extrinsic(scene, key, files) for key in ('extrinsic_color', 'extrinsic_depth'))
    return Cameras(matrices['intrinsic_depth'], matrices['intrinsic_color'], np.linalg.inv(color) @ depth)


def _extrinsic(scene: Dict[str, Any], key: str, folder: Path) -> np.ndarray:
    if key in scene:
        matrix = np.asarray(scene[key], np.float64)
    elif (folder / f'{key}.txt').is_file():
        try:
            matrix = np.array((folder / f'{key}.txt').read_text().split(), np.float64).reshape(4, 4)
        except ValueError as error:
            raise SceneError(f'{folder / key}.txt is not a 4 x 4 matrix') from error
    else:
        return np.eye(4)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-6:
        raise SceneError(f'{key} is not an invertible 4 x 4 matrix')
    return matrix


def frame_pose(frame: Dict[str, Any]) -> np.ndarray:
    """(4, 4) depth camera to world of a frame record.

    Raises:
        FrameError: there is none, or it is not finite (tracking was lost).
    """
    pose = np.asarray(frame.get('pose') if frame.get('pose') is not None else (), np.float64)
    if pose.shape != (4, 4):
        raise FrameError('no pose')
    if not np.isfinite(pose).all():
        raise FrameError('pose is not finite')
    if np.abs(pose[:3, 3]).max() > MAX_DISTANCE or abs(abs(np.linalg.det(pose[:3, :3])) - 1) > 0.05:
        raise FrameError('pose is no rigid motion')
    return pose


def read_depth(path: Path, unit: float, max_depth: float) -> np.ndarray:
    """(H, W) float64 metres of a 16-bit depth image; 0 where there is none or it is beyond ``max_depth``."""
    raw = _image(path)
    if raw.ndim != 2 or raw.dtype.kind not in 'iu':
        raise FrameError(f'{path.name} is no depth image: {raw.dtype}, shape {raw.shape}')
    depth = raw * float(unit)
    return np.where((depth > 0) & (depth <= max_depth), depth, 0.0)


def _image(path: Path, mode: Optional[str] = None) -> np.ndarray:
    try:
        with Image.open(path) as image:
            return np.asarray(image if mode is None else image.convert(mode))
    except FileNotFoundError:
        raise FrameError(f'{path} is missing') from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:  # PIL raises all of them
        raise FrameError(f'{path} cannot be read ({error})') from error


def backproject(depth: np.ndarray, intrinsic: np.ndarray) -> np.ndarray:
    """(N, 3) float64 points in the camera's frame of the pixels of ``depth`` (H, W) metres that are above 0.

    Pixel (u, v) at depth z is ((u - cx) z / fx, (v - cy) z / fy, z); row by row.
    """
    v, u = np.nonzero(depth)
    z = depth[v, u]
    return np.stack([(u - intrinsic[0, 2]) * z / intrinsic[0, 0], (v - intrinsic[1, 2]) * z / intrinsic[1, 1], z], 1)


def pixel_colours(points: np.ndarray, image: np.ndarray, cameras: Cameras) -> Tuple[np.ndarray, np.ndarray]:
    """Colour of the pixel of ``image`` (H, W, 3) that each of ``points`` (N, 3), in the depth camera's frame, falls on.

    Returns:
        (N, 3) uint8, and (N,) whether the point is in the image at all.
    """
    if not np.array_equal(cameras.depth_to_color, np.eye(4)):
        points = points @ cameras.depth_to_color[:3, :3].T + cameras.depth_to_color[:3, 3]
    height, width = image.shape[:2]
    z = np.where(points[:, 2] > 1e-6, points[:, 2], np.nan)
    with np.errstate(invalid='ignore'):
        u = np.floor(points[:, 0] / z * cameras.color[0, 0] + (cameras.color[0, 2] + 0.5))
        v = np.floor(points[:, 1] / z * cameras.color[1, 1] + (cameras.color[1, 2] + 0.5))
        seen = (u >= 0) & (u < width) & (v >= 0) & (v < height)
    colour = np.zeros((len(points), 3), np.uint8)
    colour[seen] = image[v[seen].astype(np.int64), u[seen].astype(np.int64)]
    return colour, seen


def frustum(points: np.ndarray, pose: np.ndarray) -> Frustum:
    """Smallest camera frustum that holds ``points`` (N, 3), in the camera's frame with z above 0, as it lies in the
    world."""
    slope = points[:, :2] / points[:, 2:]
    (x0, y0), (x1, y1), near, far = slope.min(0), slope.max(0), points[:, 2].min(), points[:, 2].max()
    corners = np.array([[x * z, y * z, z] for z in (near, far) for x in (x0, x1) for y in (y0, y1)])
    normals = np.array([[1, 0, -x0], [1, 0, -x1], [0, 1, -y0], [0, 1, -y1], [0, 0, 1]])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return Frustum(corners @ pose[:3, :3].T + pose[:3, 3], normals @ pose[:3, :3].T)


def frame_cloud(frame: Dict[str, Any], root: Path, cameras: Cameras, unit: float,
                max_depth: float) -> Tuple[np.ndarray, np.ndarray, Frustum]:
    """World positions (N, 3) float64, colours (N, 3) uint8 of a frame's pixels with depth and colour, and its frustum.

    Raises:
        FrameError: no usable pose, an image that is missing, damaged or empty, or intrinsics of another image size.
    """
    pose = frame_pose(frame)
    depth = read_depth(root / frame['depth_path'], unit, max_depth)
    image = _image(root / frame['color_path'], 'RGB')
    for name, matrix, shape in (('depth', cameras.depth, depth.shape), ('color', cameras.color, image.shape)):
        if not (0 < matrix[0, 2] < shape[1] and 0 < matrix[1, 2] < shape[0]):
            raise FrameError(f'intrinsic_{name} has its centre outside the image of {shape[1]} x {shape[0]}: it '
                             'belongs to another image size')
    points = backproject(depth, cameras.depth)
    if not len(points):
        raise FrameError('depth is empty')
    rgb, seen = pixel_colours(points, image, cameras)
    points, rgb = points[seen], rgb[seen]
    if not len(points):
        raise FrameError('no pixel with depth is in the colour image')
    return points @ pose[:3, :3].T + pose[:3, 3], rgb, frustum(points, pose)
