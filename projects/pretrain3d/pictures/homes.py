"""Rooms of Structured3D to look at, as they lie on disk (real or drawn) or converted."""
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
from PIL import Image

from ..converters.batch import SceneError
from ..converters.structured3d.convert import SPLITS, read_room
from ..converters.structured3d.source import Folders, list_views, open_source, split_of
from ..converters.structured3d.views import ViewFault, read_numbers
from ..label_spaces import get_label_space
from .scans import BrowsedScan, listed_rooms, read_array

CONVERT = 'tools/data/structured3d.py ROOT OUT'
SPACE = get_label_space('Structured3D25')


def holds_homes(root: Path) -> bool:
    """Whether ``root`` has Structured3D's layout, unpacked or in zip files."""
    try:
        return bool(open_source(root).rooms)
    except SceneError:
        return False


def _browsed(name: str, xyz: np.ndarray, normal: np.ndarray, rgb: np.ndarray, nyu40: np.ndarray, instance: np.ndarray,
             frames: Optional[Dict[str, Any]], root: Path) -> BrowsedScan:
    label = SPACE.map_raw(nyu40)
    return BrowsedScan(name, split_of(name), xyz - xyz.min(0), normal, rgb, label,
                       _boxes(xyz - xyz.min(0), label, instance), np.eye(4), _moved(frames, -xyz.min(0)), root, SPACE)


def _boxes(xyz: np.ndarray, label: np.ndarray, instance: np.ndarray) -> List[Tuple[np.ndarray, str, int]]:
    """Boxes along the axes of the instances that have a class."""
    found = []
    for number in np.unique(instance[instance > 0]):
        rows = instance == number
        index = int(np.bincount(label[rows]).argmax())
        if index < SPACE.num_classes:
            low, high = xyz[rows].min(0), xyz[rows].max(0)
            found.append((np.concatenate([(low + high) / 2, high - low]), SPACE.classes[index], index))
    return found


def _moved(frames: Optional[Dict[str, Any]], shift: np.ndarray) -> Optional[Dict[str, Any]]:
    for frame in frames['frames'] if frames else ():
        frame['pose'][:3, 3] += shift
    return frames


class HomeWorld:
    """The rooms of a folder with Structured3D's layout."""
    kind = 'Structured3D layout'

    def __init__(self, root: Path) -> None:
        self.root = root
        self.source = open_source(root)
        self.names = sorted(self.source.rooms)

    def read(self, name: str) -> BrowsedScan:
        """The room ``name``."""
        cloud, _ = read_room(name, self.root)
        frames = self._frames(name) if isinstance(self.source, Folders) else None
        return _browsed(name, cloud.xyz, cloud.normal, cloud.rgb, cloud.nyu40, cloud.instance, frames, self.source.base)

    def _frames(self, name: str) -> Optional[Dict[str, Any]]:
        """The perspective views that share the first one's camera, as records of frames; ``None``: there are none."""
        frames, camera = [], None
        for view in list_views(self.source.files(name)):
            try:
                numbers = None if view.panorama else read_numbers(self.source.read(name, view.camera), view.camera, 11)
                folder = Path(self.source.where(name, view.folder)).relative_to(self.source.base)
                size = Image.open(self.source.base / folder / 'depth.png').size
            except (ViewFault, OSError):
                continue
            if numbers is not None and camera in (None, (*size, *numbers[9:11])):
                camera = (*size, *numbers[9:11])
                frames.append(dict(index=len(frames), color_path=f'{folder}/rgb_rawlight.png',
                                   depth_path=f'{folder}/depth.png', pose=_pose(numbers)))
        if camera is None:
            return None
        matrix = np.eye(4)
        for axis in range(2):  # frames have their pixels' middles at whole numbers
            matrix[axis, axis] = camera[axis] / 2 / np.tan(camera[2 + axis])
            matrix[axis, 2] = camera[axis] / 2 - 0.5
        return dict(intrinsic_color=matrix, intrinsic_depth=matrix, frames=frames)


def _pose(numbers: np.ndarray) -> np.ndarray:
    """(4, 4) camera (x right, y down, z forward) to house, of the numbers of a ``camera_pose.txt``."""
    forward = numbers[3:6] / np.linalg.norm(numbers[3:6])
    right = np.cross(forward, numbers[6:9])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3] = np.stack([right, np.cross(forward, right), forward, numbers[:3] / 1000], 1)
    return pose


class ConvertedHomes:
    """The rooms of a folder that ``tools/data/structured3d.py`` wrote."""
    kind = 'converted Structured3D'

    def __init__(self, root: Path) -> None:
        self.root = root
        self.entries = listed_rooms(root, [f'structured3d_infos_{split}.pkl' for split in SPLITS], _check_room, CONVERT)
        self.names = sorted(self.entries)

    def read(self, name: str) -> BrowsedScan:
        """The room ``name``."""
        entry = self.entries[name]
        points = read_array(self.root, 'points_normals', entry['lidar_points']['lidar_path'], np.float32, 9, CONVERT)
        nyu40 = read_array(self.root, 'semantic_mask', entry['pts_semantic_mask_path'], np.int64, 1, CONVERT)[:, 0]
        instance = read_array(self.root, 'instance_mask', entry['pts_instance_mask_path'], np.int64, 1, CONVERT)[:, 0]
        if not len(points) == len(nyu40) == len(instance) or not np.isfinite(points).all():
            raise SceneError(f'{self.root}: {name}.bin of points_normals, semantic_mask and instance_mask do not fit '
                             f'each other, or hold what is no number; remove records/{name}.json and convert again')
        rgb = points[:, 3:6].astype(np.uint8)
        return _browsed(name, points[:, :3], points[:, 6:], rgb, nyu40, instance, None, self.root)


def _check_room(entry: dict) -> None:
    """Raise where a room is not as ``tools/data/structured3d.py`` lists it."""
    names = [entry['scan'], entry['lidar_points']['lidar_path'], entry['pts_semantic_mask_path'],
             entry['pts_instance_mask_path']]
    if not all(isinstance(name, str) and name and '\0' not in name for name in names):
        raise ValueError('a room without names')
    split_of(entry['scan'])
