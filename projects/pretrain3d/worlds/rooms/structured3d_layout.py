"""Draws rendered homes exactly as the part of Structured3D that clouds are made of lies on disk.

``OUT/Structured3D/scene_<id>/2D_rendering/<room>/``: ``perspective/full/<position>/`` with ``rgb_rawlight.png``,
``depth.png`` (16 bit, millimetres), ``semantic.png`` (NYU40 ids with ScanNet's palette), ``instance.png`` (16 bit,
65535: background), ``normal.png`` and ``camera_pose.txt``; ``panorama/camera_xyz.txt`` and the same pictures in
``panorama/full``. Scenes are numbered as the splits are: train from 0, val from 3000. Left out, because nothing here
reads them: albedo, other lights, empty rooms, layouts, boxes.
"""
from pathlib import Path
from typing import Dict, List, NamedTuple

import numpy as np
from PIL import Image

from ...label_spaces.indoor import NYU40
from ..render import Caster
from ..shapes import translation
from .frames import stations
from .layout import Room, furnish
from .presets import PRESETS, Preset
from .structured3d_style import STYLE, clean
from .variants import Variant

VERSION = 1
ROOMS_PER_SCENE = 3
FIRST_SCENE = dict(train=0, val=3000)
HALF_ANGLE = 0.698132  # of the horizontal field of view, 80 degrees in all
BACKGROUND = 65535
# Of the preset's width; rooms keep more points than those of the other data sets, as the real ones do.
WIDTH_SHARE = 0.75
EXPOSURE = 1.3
# Where the name of a category of items is not that of its NYU40 class.
CLASS_OF = {
    'wardrobe': 'cabinet', 'couch': 'sofa', 'armchair': 'sofa', 'coffee table': 'table', 'office chair': 'chair',
    'ceiling lamp': 'lamp', 'moulding': 'otherstructure', 'flue': 'otherstructure', 'stool': 'otherfurniture',
    'trash can': 'otherfurniture', 'ottoman': 'otherfurniture', 'vase': 'otherprop', 'plant': 'otherprop',
    'kitchen counter': 'counter'}
SHELL = ('wall', 'floor', 'ceiling')


class Ray(NamedTuple):
    """The rays of a picture: ``directions`` (H, W, 3) in the room, by which depth is multiplied; ``axes`` (3, 3), rows
    right, up and forward of its camera."""
    directions: np.ndarray
    axes: np.ndarray


def nyu40_id(category: str) -> int:
    """NYU40 id (1 ... 40) of an item's category."""
    return [name for name, _ in NYU40].index(CLASS_OF.get(category, category)) + 1


def room_folders(preset: Preset) -> List[str]:
    """Every room's folder below the world: the rooms of train, then those of val, three to a scene."""
    folders = []
    for split, first in FIRST_SCENE.items():
        for index in range(getattr(preset, split)):
            scene = first + index // ROOMS_PER_SCENE
            folders.append(f'Structured3D/scene_{scene:05d}/2D_rendering/{1000 + len(folders)}')
    return folders


def draw(rng: np.random.Generator, folder: Path, index: int, preset: Preset) -> None:
    """Draw room ``index`` into ``folder``: perspective views from eye height all around, and the panorama."""
    room = draw_room(rng, index)
    house = house_pose(index)
    caster = Caster(room.parts)
    width = round(preset.width * WIDTH_SHARE)
    height = width * 9 // 16
    eyes = [pose for points in stations(rng, room, caster, preset.frames) for pose in points]
    for position, pose in enumerate(eyes):
        pitch = rng.uniform(-0.6, 0.15)
        flat = pose[:3, 2] * (1, 1, 0)
        view = flat / np.linalg.norm(flat) * np.cos(pitch) + np.array([0, 0, np.sin(pitch)])
        rays, half_y = perspective(view, width, height)
        place = folder / 'perspective' / 'full' / str(position)
        write_pictures(place, render(room, caster, pose[:3, 3], rays))
        eye = (house[:3, :3] @ pose[:3, 3] + house[:3, 3]) * 1000
        numbers = [*eye, *(house[:3, :3] @ rays.axes[2]), *(house[:3, :3] @ rays.axes[1]), HALF_ANGLE, half_y, 1]
        (place / 'camera_pose.txt').write_text(' '.join(f'{value:.6f}' for value in numbers) + '\n')
    # The panorama stands where the room is seen best: the standing point nearest to the middle of the largest floor.
    middle = np.mean(np.reshape(max(room.floors, key=lambda f: (f[2] - f[0]) * (f[3] - f[1])), (2, 2)), 0)
    eye = min((pose[:3, 3] for pose in eyes), key=lambda spot: np.linalg.norm(spot[:2] - middle))
    write_pictures(folder / 'panorama' / 'full', render(room, caster, eye, panorama(width * 2, width)))
    eye = (house[:3, :3] @ eye + house[:3, 3]) * 1000
    (folder / 'panorama' / 'camera_xyz.txt').write_text(' '.join(f'{value:.6f}' for value in eye) + '\n')


def draw_room(rng: np.random.Generator, index: int) -> Room:
    """The furnished room ``index``, in its own frame."""
    room = furnish(rng, STYLE.kinds[index % len(STYLE.kinds)], STYLE)
    room.items = [clean(item) for item in room.items]
    return room


def house_pose(index: int) -> np.ndarray:
    """(4, 4) from the frame of room ``index`` to its house: rooms of a house stand side by side."""
    return translation(8.0 * (index % ROOMS_PER_SCENE) - 5.0, 2.5, 0.0)


def perspective(view: np.ndarray, width: int, height: int):
    """Rays of a pinhole camera that looks along the unit vector ``view`` (3,), and the vertical half angle."""
    right = np.cross(view, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    axes = np.stack([right, np.cross(right, view), view])
    tangent = np.tan(HALF_ANGLE) * np.array([1, height / width])
    x, y = (((np.arange(size) + 0.5) / size * 2 - 1) * reach for size, reach in zip((width, height), tangent))
    in_camera = np.stack([*np.meshgrid(x, -y), np.ones((height, width))], -1)
    return Ray(in_camera @ axes, axes), float(np.arctan(tangent[1]))


def panorama(width: int, height: int) -> Ray:
    """Rays of a camera that looks all around; the picture's middle is +y, its right +x, its top +z."""
    turn, rise = np.meshgrid(((np.arange(width) + 0.5) / width * 2 - 1) * np.pi,
                             (0.5 - (np.arange(height) + 0.5) / height) * np.pi)
    directions = np.stack([np.cos(rise) * np.sin(turn), np.cos(rise) * np.cos(turn), np.sin(rise)], -1)
    return Ray(directions, np.array([[1.0, 0, 0], [0, 0, 1], [0, 1, 0]]))


def render(room: Room, caster: Caster, eye: np.ndarray, rays: Ray) -> Dict[str, np.ndarray]:
    """Pictures (H, W, ...) by file name, seen from ``eye`` (3,) without any noise."""
    shape = rays.directions.shape[:2]
    length = np.linalg.norm(rays.directions, axis=-1).reshape(-1)
    directions = rays.directions.reshape(-1, 3) / length[:, None]
    hits = caster.cast(np.broadcast_to(eye, directions.shape), directions)
    seen = hits.part >= 0
    distance = np.where(seen, hits.distance, 0)
    rgb = caster.colour(hits.part, eye + directions * distance[:, None], hits.normal) * EXPOSURE
    item = np.where(seen, room.part_item[hits.part], -1)
    ids = np.array([nyu40_id(each.category) for each in room.items] + [0])
    numbers = np.array([BACKGROUND if each.category in SHELL else index for index, each in enumerate(room.items)]
                       + [BACKGROUND])
    # Forward, up and, as in a left-handed frame, left.
    normal = hits.normal @ (rays.axes[[2, 1, 0]] * ((1,), (1,), (-1,))).T * seen[:, None]
    pictures = dict(
        rgb_rawlight=(np.clip(rgb, 0, 1) * 255 + 0.5).astype(np.uint8),
        depth=np.round(distance / length * 1000).astype(np.uint16), semantic=ids[item].astype(np.uint8),
        instance=numbers[item].astype(np.uint16), normal=np.clip(128 * (1 + normal), 0, 255).astype(np.uint8))
    return {name: array.reshape(*shape, *array.shape[1:]) for name, array in pictures.items()}


def write_pictures(folder: Path, pictures: Dict[str, np.ndarray]) -> None:
    """Write what :func:`render` gave, each as ``<name>.png``."""
    folder.mkdir(parents=True)
    for name, array in pictures.items():
        picture = Image.fromarray(array)
        if name == 'semantic':
            picture.putpalette([0, 0, 0, *(value for _, colour in NYU40 for value in colour)])
        picture.save(folder / f'{name}.png')


def finish(root: Path, preset: Preset) -> None:
    """Nothing is shared by the rooms of a world: the splits are in the scenes' numbers."""


VARIANT = Variant(mark='rooms as structured3d', version=VERSION, presets=PRESETS, folders=room_folders, draw=draw,
                  finish=finish)
