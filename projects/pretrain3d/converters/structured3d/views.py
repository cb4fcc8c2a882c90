"""Reads one rendered view of Structured3D and turns its pixels into points of the house, in metres.

Perspective views have a pinhole camera; their depth is the distance from the image plane. The panorama's depth is the
distance from the camera. A pixel's ray goes through its middle.
"""
import io
from dataclasses import dataclass, fields
from typing import Callable, Dict, Optional, Tuple

import numpy as np
from PIL import Image

from ...label_spaces.indoor import NYU40
from .source import View

MAX_PIXELS, MAX_METRES = 1 << 26, 1000.0
# Depth 0 and the largest value mean that nothing was hit.
NO_DEPTH = (0, 65535)
BACKGROUND = 65535
GRAZING = 0.15
UNKNOWN = -1
PACK = np.array([65536, 256, 1])


class ViewFault(Exception):
    """A view that cannot be used; the message says what is wrong with which of its files."""


@dataclass
class Cloud:
    """Points of a room: ``xyz`` (N, 3) float32 metres, ``rgb`` (N, 3) uint8, ``normal`` (N, 3) float32 unit, towards
    the camera, ``nyu40`` (N,) int64 (0: a colour outside NYU40), ``instance`` (N,) int64 (-1: none)."""
    xyz: np.ndarray
    rgb: np.ndarray
    normal: np.ndarray
    nyu40: np.ndarray
    instance: np.ndarray

    def __len__(self) -> int:
        return len(self.xyz)

    def take(self, rows: np.ndarray) -> 'Cloud':
        """The points ``rows``."""
        return Cloud(*(getattr(self, part.name)[rows] for part in fields(self)))


def merge(clouds) -> Cloud:
    """All points of ``clouds``, one behind the other."""
    return Cloud(*(np.concatenate([getattr(cloud, part.name) for cloud in clouds]) for part in fields(Cloud)))


def thin(cloud: Cloud, size: float) -> Cloud:
    """The first point of every cell of ``size`` metres, in the order of the points."""
    cell = np.floor(cloud.xyz.astype(np.float64) / size).astype(np.int64)
    cell -= cell.min(0)
    width = cell.max(0) + 1
    _, first = np.unique((cell[:, 0] * width[1] + cell[:, 1]) * width[2] + cell[:, 2], return_index=True)
    return cloud.take(np.sort(first))


def read_view(read: Callable[[str], bytes], view: View) -> Tuple[Cloud, Dict[str, int], Dict[str, int]]:
    """Points of one view, those that are grazed (|cos| <= 0.15), not hit or not labelled left out.

    Args:
        read: content of a file of the room, by its path.

    Returns:
        The points in the pictures' order; how many pixels were dropped, by reason, and whether (1) there are no
        instances; pixels of colours that NYU40 has not, by colour.

    Raises:
        ViewFault: a file is missing or damaged, or they do not fit each other.
    """
    numbers = read_numbers(_content(read, view.camera), view.camera, 3 if view.panorama else 11)
    rgb = np.asarray(_picture(read, view, 'rgb_rawlight.png').convert('RGB'))
    depth = _integers(_picture(read, view, 'depth.png'), f'{view.folder}/depth.png')
    nyu40, unknown = label_ids(_picture(read, view, 'semantic.png'))
    picture = _picture(read, view, 'instance.png', optional=True)
    instance = np.full(depth.shape, BACKGROUND) if picture is None else _integers(
        picture, f'{view.folder}/instance.png')
    for name, array in (('rgb_rawlight', rgb), ('semantic', nyu40), ('instance', instance)):
        if array.shape[:2] != depth.shape:
            raise ViewFault(f'{view.folder}: {name}.png has {array.shape[1]} x {array.shape[0]} pixels and depth.png '
                            f'{depth.shape[1]} x {depth.shape[0]}')
    rays = panorama_rays(*depth.shape) if view.panorama else perspective_rays(numbers, *depth.shape, view.camera)
    hit = ~np.isin(depth, NO_DEPTH)
    xyz = numbers[:3] / 1000 + rays * (depth / 1000)[..., None]
    normal, known = surface_normals(xyz, hit, wrap=view.panorama)
    cosine = -(normal * rays).sum(-1) / np.linalg.norm(rays, axis=-1)
    normal *= np.where(cosine < 0, -1.0, 1.0)[..., None]
    clear = known & (np.abs(cosine) > GRAZING)
    keep = hit & clear & (nyu40 != 0)
    dropped = dict(not_hit=int((~hit).sum()), grazing=int((hit & ~clear).sum()),
                   unlabelled=int((hit & clear & (nyu40 == 0)).sum()), without_instances=int(picture is None))
    instance = np.where(instance == BACKGROUND, -1, instance)
    return Cloud(xyz[keep].astype(np.float32), rgb[keep], normal[keep].astype(np.float32),
                 np.maximum(nyu40[keep], 0), instance[keep].astype(np.int64)), dropped, unknown


def read_numbers(content: bytes, name: str, count: int) -> np.ndarray:
    """The numbers (count,) that a camera's file begins with; the first three are its place in millimetres."""
    try:
        numbers = np.array(content.split()[:count], np.float64)
    except ValueError as error:
        raise ViewFault(f'{name}: not a camera ({error})') from None
    if len(numbers) < count or not np.isfinite(numbers).all():
        raise ViewFault(f'{name}: not {count} numbers')
    if np.abs(numbers[:3]).max() > MAX_METRES * 1000:
        raise ViewFault(f'{name}: the camera is over {MAX_METRES:g} m away from the house')
    return numbers


def perspective_rays(camera: np.ndarray, height: int, width: int, name: str = 'camera_pose.txt') -> np.ndarray:
    """(H, W, 3) directions whose component along the view is 1.

    Args:
        camera: eye (mm), view direction, up direction, and the half angles of the horizontal and the vertical field
            of view in radians, which reach from the middle to the outer edge of the last pixel.
    """
    view, up, (half_x, half_y) = camera[3:6], camera[6:9], camera[9:11]
    right = np.cross(view, up)
    if min(np.linalg.norm(view), np.linalg.norm(right)) < 1e-6 or not (
            0 < half_x < np.pi / 2 and 0 < half_y < np.pi / 2):
        raise ViewFault(f'{name}: no camera (view {view}, up {up}, half angles {half_x:g}, {half_y:g})')
    view, right = view / np.linalg.norm(view), right / np.linalg.norm(right)
    up = np.cross(right, view)
    x = ((np.arange(width) + 0.5) / width * 2 - 1) * np.tan(half_x)
    y = ((np.arange(height) + 0.5) / height * 2 - 1) * np.tan(half_y)
    return view + x[None, :, None] * right - y[:, None, None] * up


def panorama_rays(height: int, width: int) -> np.ndarray:
    """(H, W, 3) unit directions: the middle looks along +y, the right along +x, the top along +z."""
    turn = ((np.arange(width) + 0.5) / width * 2 - 1) * np.pi
    rise = (0.5 - (np.arange(height) + 0.5) / height) * np.pi
    flat = np.cos(rise)[:, None]
    return np.stack([flat * np.sin(turn), flat * np.cos(turn), np.broadcast_to(np.sin(rise)[:, None], (height, width))],
                    -1)


def surface_normals(xyz: np.ndarray, hit: np.ndarray, wrap: bool) -> Tuple[np.ndarray, np.ndarray]:
    """Unit normals (H, W, 3), of either sign, and where there is one (H, W).

    On either axis the neighbour before or behind is taken, whichever is nearer, so that a normal does not mix two
    surfaces. Large pictures look some pixels away, because depth is rounded to millimetres.

    Args:
        xyz: (H, W, 3). hit: (H, W) whether a pixel has a depth. wrap: the last column is beside the first one.
    """
    step = max(1, xyz.shape[1] // 320)
    across, first = _tangent(xyz, hit, 1, step, wrap)
    along, second = _tangent(xyz, hit, 0, step, False)
    normal = np.cross(across, along)
    length = np.linalg.norm(normal, axis=-1)
    known = first & second & (length > 1e-12)
    return normal / np.where(known, length, 1.0)[..., None], known


def _tangent(xyz: np.ndarray, hit: np.ndarray, axis: int, step: int, wrap: bool) -> Tuple[np.ndarray, np.ndarray]:
    """Difference (H, W, 3) to the nearer of the neighbours ``step`` before and behind, and where there is one."""
    ahead = np.roll(xyz, -step, axis) - xyz
    there = np.roll(hit, -step, axis) & hit
    if not wrap:
        there[(slice(None),) * axis + (slice(-step, None),)] = False
    length = np.where(there, np.square(ahead).sum(-1), np.inf)
    # The one before is the same difference seen from the other pixel.
    behind, length_behind = np.roll(ahead, step, axis), np.roll(length, step, axis)
    near = length <= length_behind
    return np.where(near[..., None], ahead, behind), np.isfinite(np.where(near, length, length_behind))


def label_ids(picture: Image.Image) -> Tuple[np.ndarray, Dict[str, int]]:
    """NYU40 ids (H, W), 0 for unlabelled pixels and :data:`UNKNOWN` for colours that NYU40 has not, and those colours.

    The released files hold the ids with ScanNet's palette, and are read by it; where some entry's colour is none of
    NYU40's, entries are ids. Colour pictures are read by colour, grey ones hold ids.
    """
    if picture.mode == 'P':
        index = np.asarray(picture).astype(np.int64)
        palette = np.array(picture.getpalette('RGB'), np.uint8).reshape(-1, 3)
        ids = _ids_of_colours(np.concatenate([palette, np.full((256 - len(palette), 3), 255, np.uint8)]))[index]
        if (ids == UNKNOWN).any():
            ids = index
    elif picture.mode in ('RGB', 'RGBA'):
        colours = np.asarray(picture.convert('RGB'))
        ids = _ids_of_colours(colours)
        return ids, _count(colours[ids == UNKNOWN].astype(np.int64) @ PACK, '#{:06x}')
    else:
        ids = _integers(picture, 'semantic.png')
    unknown = ids > len(NYU40)
    return np.where(unknown, UNKNOWN, ids), _count(ids[unknown], 'id {}')


def _count(values: np.ndarray, name: str) -> Dict[str, int]:
    found, counts = np.unique(values, return_counts=True)
    return {name.format(value): count for value, count in zip(found.tolist(), counts.tolist())}


def _ids_of_colours(colours: np.ndarray) -> np.ndarray:
    """(...,) int64 ids of colours (..., 3) uint8; black is 0."""
    known = np.array([(0, 0, 0), *(colour for _, colour in NYU40)], np.int64) @ PACK
    order = np.argsort(known)
    value = colours.astype(np.int64) @ PACK
    place = order[np.minimum(np.searchsorted(known[order], value), len(known) - 1)]
    return np.where(known[place] == value, place, UNKNOWN)


def _content(read: Callable[[str], bytes], file: str) -> bytes:
    try:
        return read(file)
    except (FileNotFoundError, KeyError):
        raise ViewFault(f'{file} missing') from None
    except OSError as error:
        raise ViewFault(f'{file} cannot be read ({error})') from error


def _picture(read: Callable[[str], bytes], view: View, name: str, optional: bool = False) -> Optional[Image.Image]:
    """A whole picture, decoded; ``None`` where an optional one is missing."""
    file = f'{view.folder}/{name}'
    try:
        content = _content(read, file)
    except ViewFault:
        if optional:
            return None
        raise
    try:
        picture = Image.open(io.BytesIO(content))
        if picture.width * picture.height > MAX_PIXELS:
            raise ValueError(f'{picture.width} x {picture.height} pixels')
        picture.load()
    except Exception as error:  # whatever the decoder makes of damaged data
        raise ViewFault(f'{file} is no whole picture ({error})') from error
    return picture


def _integers(picture: Image.Image, name: str) -> np.ndarray:
    """(H, W) int64 of a picture with one channel of integers."""
    array = np.asarray(picture)
    if array.ndim != 2 or array.dtype.kind not in 'iu':
        raise ViewFault(f'{name}: a picture of kind {picture.mode}, not of one channel of integers')
    return array.astype(np.int64)
