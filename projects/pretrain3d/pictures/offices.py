"""Rooms of S3DIS to look at, as they lie on disk (real or drawn) or converted."""
from pathlib import Path
from typing import List, Tuple

import numpy as np

from ..converters.batch import SceneError
from ..converters.s3dis.convert import AREAS, find_root, room_names
from ..converters.s3dis.infos import DETECTION_CLASSES, instance_boxes
from ..converters.s3dis.reading import SPACE, read_room
from ..normals import estimate_normals
from .scans import BrowsedScan, listed_rooms, read_array

CONVERT = 'tools/data/s3dis.py ROOT OUT'
# The area that everybody tests on.
VALIDATION = 'Area_5'


def holds_areas(root: Path) -> bool:
    """Whether ``root`` has S3DIS' layout."""
    try:
        return find_root(root).is_dir()
    except FileNotFoundError:
        return False


def _split(area: str) -> str:
    return 'val' if area == VALIDATION else 'train'


def _named(boxes: List[dict]) -> List[Tuple[np.ndarray, str, int]]:
    names = [DETECTION_CLASSES[box['bbox_label_3d']] for box in boxes]
    return [(np.asarray(box['bbox_3d'], float), name, SPACE.index(name)) for box, name in zip(boxes, names)]


def _browsed(name: str, xyz: np.ndarray, normal: np.ndarray, rgb: np.ndarray, label: np.ndarray, boxes: List[dict],
             root: Path) -> BrowsedScan:
    return BrowsedScan(name, _split(name[:len(VALIDATION)]), xyz, normal, rgb, label, _named(boxes), np.eye(4), None,
                       root, SPACE)


class OfficeWorld:
    """The rooms of a folder with S3DIS' layout: ``Area_<k>/<room>/Annotations/*.txt``."""
    kind = 'S3DIS layout'

    def __init__(self, root: Path) -> None:
        self.root = find_root(root)
        self.names = [f'{area}/{name}' for area in AREAS for name in room_names(self.root, area)]
        if not self.names:
            raise SceneError(f'{self.root}: its areas hold no rooms')

    def read(self, name: str) -> BrowsedScan:
        """The room ``name``."""
        room = read_room(self.root / name)
        xyz = room.xyz - room.xyz.min(0)
        return _browsed(name, xyz, estimate_normals(xyz), room.rgb, room.label,
                        instance_boxes(xyz, room.label, room.instance), self.root)


class ConvertedOffices:
    """The rooms of a folder that ``tools/data/s3dis.py`` wrote."""
    kind = 'converted S3DIS'

    def __init__(self, root: Path) -> None:
        self.root = root
        self.entries = listed_rooms(root, [f's3dis_infos_{area}.pkl' for area in AREAS], _check_room, CONVERT)
        self.names = sorted(self.entries)

    def read(self, name: str) -> BrowsedScan:
        """The room ``name``."""
        entry = self.entries[name]
        points = read_array(self.root, 'points_normals', entry['lidar_points']['lidar_path'], np.float32, 9, CONVERT)
        label = read_array(self.root, 'semantic_mask', entry['pts_semantic_mask_path'], np.int64, 1, CONVERT)[:, 0]
        if len(label) != len(points) or not np.isfinite(points).all() or not 0 <= label.min() <= label.max() <= 13:
            raise SceneError(f'{self.root}: points_normals/{name}.bin and semantic_mask/{name}.bin do not fit each '
                             f'other, or hold what is no number or label; remove records/{name}.json and convert again')
        return _browsed(name, points[:, :3], points[:, 6:], points[:, 3:6].astype(np.uint8), label, entry['instances'],
                        self.root)


def _check_room(entry: dict) -> None:
    """Raise where a room is not as ``tools/data/s3dis.py`` lists it."""
    names = [entry['scan'], entry['lidar_points']['lidar_path'], entry['pts_semantic_mask_path']]
    if not all(isinstance(name, str) and name and '\0' not in name for name in names):
        raise ValueError('a room without names')
    for box in entry['instances']:
        values = np.asarray(box['bbox_3d'], float)
        if values.shape != (6, ) or not np.isfinite(values).all() or box['bbox_label_3d'] not in range(
                len(DETECTION_CLASSES)):
            raise ValueError(f'the box {box}')
