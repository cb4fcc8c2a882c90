"""One scan to look at, from ScanNet's layout on disk (real or drawn) or from its converted form."""
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple, Union

import numpy as np

from ..converters.batch import SceneError
from ..converters.scannet.frames import frame_records
from ..converters.scannet.infos import DETECTION_CLASSES, DETECTION_NYU40, instance_boxes
from ..converters.scannet.reading import LABEL_TABLE, read_label_table, read_scan
from ..label_spaces import LabelSpace, get_label_space
from ..label_spaces.space import unknown
from ..plain_pickle import load_plain

SPACE = get_label_space('ScanNet20')
CONVERT = 'tools/data/scannet.py ROOT OUT --frames 1'


@dataclass
class BrowsedScan:
    """A scan as pictures need it.

    Attributes:
        name: the scan's. split: train, val, test, or '' where no list names it.
        xyz, normal: (V, 3) in the sensor's frame. rgb: (V, 3) uint8.
        label: (V,) of ``space``, ignore index included; ``None``: not annotated.
        boxes: (centre and extents (6,) in the axis-aligned frame, class name, label).
        axis_align: (4, 4) from the sensor's frame to the axis-aligned one.
        frames: as ``frame_records`` describes them; ``None``: none recorded. frame_root: what their paths start from.
        space: the classes of its labels.
    """
    name: str
    split: str
    xyz: np.ndarray
    normal: np.ndarray
    rgb: np.ndarray
    label: Optional[np.ndarray]
    boxes: List[Tuple[np.ndarray, str, int]]
    axis_align: np.ndarray
    frames: Optional[Dict[str, Any]]
    frame_root: Path
    space: LabelSpace = SPACE

    def aligned(self, rows: Union[slice, np.ndarray] = slice(None)) -> np.ndarray:
        """(V, 3) or (N, 3) points, all or those of ``rows``, in the axis-aligned frame."""
        return self.xyz[rows] @ self.axis_align[:3, :3].T + self.axis_align[:3, 3]

    def aligned_normals(self) -> np.ndarray:
        """(V, 3) normals in the axis-aligned frame."""
        return self.normal @ self.axis_align[:3, :3].T


def is_furniture(label: np.ndarray, space: LabelSpace = SPACE) -> np.ndarray:
    """(V,) whether a label of ``space`` is a class other than wall, floor and ceiling."""
    shell = [index for index, name in enumerate(space.classes) if name in ('wall', 'floor', 'ceiling')]
    return ~np.isin(label, (*shell, space.ignore_index))


class World:
    """The scans of a folder with ScanNet's layout: ``scans/<scan>/<scan>_vh_clean_2.ply`` and beside it."""
    kind = 'ScanNet layout'

    def __init__(self, root: Path) -> None:
        self.root = root
        self.split = {}
        for split in ('train', 'val', 'test'):
            path = root / 'meta_data' / f'scannetv2_{split}.txt'
            for name in path.read_text().split() if path.is_file() else ():
                self.split[name] = split
        self.folders = {path.parent.name: path.parent for part in ('scans', 'scans_test')
                        for path in sorted((root / part).glob('*/*_vh_clean_2.ply'))
                        if not path.parent.name.startswith('.')}
        if not self.folders:
            raise SceneError(f'{root}: no scan in it (scans/<scan>/<scan>_vh_clean_2.ply); draw a world with '
                             'tools/make_world.py rooms')
        self.names = sorted(self.folders)
        self._table = None

    def read(self, name: str) -> BrowsedScan:
        """The scan ``name``."""
        if self._table is None:
            self._table = read_label_table(self.root / LABEL_TABLE)
        folder, split = self.folders[name], self.split.get(name, '')
        data = read_scan(folder, self._table, labelled=folder.parent.name == 'scans' and split != 'test')
        label, boxes = None, []
        if data.nyu40 is not None:
            label = SPACE.map_raw(data.nyu40)
            boxes = instance_boxes(data.xyz, data.nyu40, data.instance, data.axis_align)
        frames = frame_records(folder, 1, self.root) if (folder / 'pose').is_dir() else None
        return BrowsedScan(name, split, data.xyz, data.normal, data.rgb, label, _named(boxes), data.axis_align,
                           frames, self.root)


class Converted:
    """The scans of a folder that ``tools/data/scannet.py`` wrote."""
    kind = 'converted'

    def __init__(self, root: Path) -> None:
        self.root = root
        self.entries: Dict[str, Tuple[str, Dict[str, Any]]] = {}
        self.frames: Dict[str, Dict[str, Any]] = {}
        for split in ('train', 'val', 'test'):
            for entry in data_list(root / f'scannet_infos_{split}.pkl', _check_scan):
                name = entry.get('scan', Path(entry['lidar_points']['lidar_path']).stem)
                self.entries[name] = (split, entry)
            for entry in data_list(root / f'scannet_frames_{split}.pkl', lambda entry: str(entry['scan'])):
                self.frames[entry['scan']] = entry
        if not self.entries:
            raise SceneError(f'{root}: its infos name no scan; convert again with {CONVERT}')
        self.names = sorted(self.entries)

    def read(self, name: str) -> BrowsedScan:
        """The scan ``name``."""
        split, entry = self.entries[name]
        file = entry['lidar_points']['lidar_path']
        points = self.array('points_normals', file, np.float32, 9)
        if not np.isfinite(points).all():
            raise SceneError(f'{self.root}/points_normals/{file}: NaN or infinite values; remove it and convert again')
        label = None
        if 'pts_semantic_mask_path' in entry:
            label = SPACE.map_raw(self.array('semantic_mask', entry['pts_semantic_mask_path'], np.int64, 1)[:, 0])
            if len(label) != len(points):
                raise SceneError(f'{self.root}/semantic_mask/{file}: {len(label)} labels for {len(points)} points; '
                                 f'remove records/{name}.json and convert again')
        frames = self.frames.get(name)
        return BrowsedScan(name, split, points[:, :3], points[:, 6:], points[:, 3:6].astype(np.uint8), label,
                           _named(entry.get('instances', [])), np.asarray(entry['axis_align_matrix']), frames,
                           Path(frames['root'] or self.root) if frames else self.root)

    def array(self, kind: str, file: str, dtype, columns: int) -> np.ndarray:
        """Numbers (rows, ``columns``) of ``<kind>/<file>``; SceneError where they are missing or cut short."""
        return read_array(self.root, kind, file, dtype, columns, CONVERT)


def read_array(root: Path, kind: str, file: str, dtype, columns: int, convert: str) -> np.ndarray:
    """Numbers (rows, ``columns``) of ``root/<kind>/<file>``; SceneError where they are missing or cut short."""
    path = root / kind / file
    if not os.path.isfile(path):  # also where the name cannot be one
        raise SceneError(f'{path} is missing; convert again with {convert}')
    array = np.fromfile(path, dtype)
    if not array.size or array.size % columns:
        raise SceneError(f'{path}: {array.size} numbers are no rows of {columns}; remove it and convert again')
    return array.reshape(-1, columns)


def open_scans(root: Path):
    """The scans below ``root``: :class:`Converted` where it holds infos, else :class:`World`; other data sets likewise.

    Raises:
        SceneError: it is neither; the message says how to get one.
    """
    if not root.is_dir():
        raise SceneError(f'{root}: no such folder')
    if any(root.glob('scannet_infos_*.pkl')):
        return Converted(root)
    from .offices import ConvertedOffices, OfficeWorld, holds_areas  # they build on this module
    from .homes import ConvertedHomes, HomeWorld, holds_homes
    if any(root.glob('s3dis_infos_*.pkl')):
        return ConvertedOffices(root)
    if any(root.glob('structured3d_infos_*.pkl')):
        return ConvertedHomes(root)
    if (root / 'scans').is_dir() or (root / 'scans_test').is_dir():
        return World(root)
    if holds_areas(root):
        return OfficeWorld(root)
    if holds_homes(root):
        return HomeWorld(root)
    if (root / 'points').is_dir() or (root / 'records').is_dir():
        raise SceneError(f'{root}: nothing converted yet (no scannet_infos_*.pkl); run {CONVERT} to its end')
    raise SceneError(f'{root}: not a world (no scans/, Area_*/, scene_*/ or v1.0-*/) and not a converted dataset (no '
                     'infos of ScanNet, S3DIS or Structured3D)')


def choose(source, wanted: Optional[List[str]], count: int) -> List[str]:
    """The scans ``wanted``, or ``count`` of all, spread evenly.

    Raises:
        UnknownNameError: there is no such scan; the nearest one is named.
    """
    for name in wanted or ():
        if name not in source.names:
            raise unknown('scan', name, source.names, f'{source.names[0]} ... {source.names[-1]} ({len(source.names)}) '
                          f'in {source.root}')
    if wanted:
        return list(wanted)
    picks = np.linspace(0, len(source.names) - 1, min(count, len(source.names))).round().astype(int)
    return [source.names[pick] for pick in picks]


def _named(boxes: List[Dict[str, Any]]) -> List[Tuple[np.ndarray, str, int]]:
    labels = SPACE.map_raw(np.array(DETECTION_NYU40))
    return [(np.asarray(box['bbox_3d'], float), DETECTION_CLASSES[box['bbox_label_3d']],
             int(labels[box['bbox_label_3d']])) for box in boxes]


def _check_scan(entry: Dict[str, Any]) -> None:
    """Raise where a scan is not as ``tools/data/scannet.py`` lists it."""
    names = [entry.get('scan', ''), entry['lidar_points']['lidar_path'], entry.get('pts_semantic_mask_path', '')]
    align = np.asarray(entry['axis_align_matrix'], float)
    whole = align.shape == (4, 4) and np.isfinite(align).all()
    if not whole or not all(isinstance(name, str) and '\0' not in name for name in names):
        raise ValueError('a scan without names or axis_align_matrix')
    for box in entry.get('instances', []):
        values = np.asarray(box['bbox_3d'], float)
        if values.shape != (6, ) or not np.isfinite(values).all() or not isinstance(box['bbox_label_3d'], int) or not (
                0 <= box['bbox_label_3d'] < len(DETECTION_CLASSES)):
            raise ValueError(f'the box {box}')


def listed_rooms(root: Path, files: Iterable[str], check: Callable[[Dict[str, Any]], Any],
                 convert: str) -> Dict[str, Dict[str, Any]]:
    """Name -> entry of the rooms in a converter's info files.

    Raises:
        SceneError: they name no room, or an entry does not pass the check.
    """
    entries = {entry['scan']: entry for file in files for entry in data_list(root / file, check, convert)}
    if not entries:
        raise SceneError(f'{root}: its infos name no room; convert again with {convert}')
    return entries


def data_list(path: Path, check: Callable[[Dict[str, Any]], Any], convert: str = CONVERT) -> List[Dict[str, Any]]:
    """The entries of an info file, each of them checked; none where it does not exist."""
    if not path.is_file():
        return []
    try:
        entries = list(load_plain(path)['data_list'])
        for entry in entries:
            check(entry)
        return entries
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        raise SceneError(f'{path}: not an info file ({error}); convert again with {convert}') from error
