"""Keyframes of a street to look at, from nuScenes' layout on disk, real or drawn, read without the devkit."""
import json
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np
from PIL import Image

from ..converters.nuscenes.extras import rigid
from ..converters.nuscenes.tables import LIDAR, TableError, by_token, has_table, look_up, read_table
from ..label_spaces import NUSCENES_LIDARSEG, LabelSpace, get_label_space
from ..label_spaces.space import unknown

SPACE = get_label_space('nuScenes16')
CLASS_OF = dict(NUSCENES_LIDARSEG)  # category -> class of lidarseg and of detection, None for those that have none
FORMER = ('v1.0-mini', 'v1.0-trainval', 'v1.0-test')  # which release is taken where a folder holds several
# As one looks around: ahead in the upper row, behind in the lower one.
CAMERAS = ('CAM_FRONT_LEFT', 'CAM_FRONT', 'CAM_FRONT_RIGHT', 'CAM_BACK_LEFT', 'CAM_BACK', 'CAM_BACK_RIGHT')
COLUMNS = 5  # of LiDAR files: x, y, z, intensity, beam
INSTANCES = 1000  # panoptic labels are raw category * 1000 + number


@dataclass(frozen=True, eq=False)
class Boxes:
    """Boxes in the frame of a keyframe.

    Attributes:
        centre: (B, 3) metres. size: (B, 3) along the box's own x (its heading), y and z. axes: (B, 3, 3) whose columns
            are its x, y and z. label: (B,) of ``SPACE``, ignore index for categories without a class. score: (B,).
        points_in: (B,) LiDAR points in it as annotated, 1 for boxes that were found.
    """
    centre: np.ndarray
    size: np.ndarray
    axes: np.ndarray
    label: np.ndarray
    score: np.ndarray
    points_in: np.ndarray

    def __len__(self) -> int:
        return len(self.centre)

    def keep(self, rows: np.ndarray) -> 'Boxes':
        """Those of ``rows``, a mask (B,) or indices."""
        return replace(self, **{name: getattr(self, name)[rows] for name in self.__dataclass_fields__})

    def points(self, places: np.ndarray) -> np.ndarray:
        """(B, K, 3) of ``places`` (K, 3) in units of the boxes, whose faces are at -0.5 and 0.5."""
        return self.centre[:, None] + np.einsum('bij,bkj->bki', self.axes, places * self.size[:, None])


@dataclass(frozen=True, eq=False)
class Camera:
    """A picture of a keyframe.

    Attributes:
        channel: its name. image: (H, W, 3) uint8. intrinsic: (3, 3), pixels of that image. pose: (4, 4) from the
            keyframe's frame to the camera's (x right, y down, z forward), each at its own time.
    """
    channel: str
    image: np.ndarray
    intrinsic: np.ndarray
    pose: np.ndarray

    def project(self, xyz: np.ndarray) -> np.ndarray:
        """(..., 3) column, row (pixels) and depth (metres) of positions; only those with depth > 0 mean anything."""
        seen = xyz @ self.pose[:3, :3].T + self.pose[:3, 3]
        flat = seen @ self.intrinsic.T
        # Behind the camera and in its plane: any number will do, without a warning.
        return np.concatenate([flat[..., :2] / np.where(np.abs(flat[..., 2:]) < 1e-9, 1e-9, flat[..., 2:]),
                               seen[..., 2:]], -1)


@dataclass(frozen=True, eq=False)
class Keyframe:
    """A keyframe in the frame of the vehicle at the time of its LiDAR: x forward, y left, z up from the ground.

    Attributes:
        name: ``<scene>/<number>``. token: of its row of ``sample``. location: of the log.
        count: keyframes of its scene.
        lidar: stem of its LiDAR file, which predictions are called after.
        xyz: (N, 3). intensity: (N,) 0 ... 255.
        label: (N,) of ``space``, ignore index included; ``None``: there is no lidarseg.
        instance: (N,) panoptic labels, category * 1000 + number; ``None``: there are none.
        boxes: of its annotations. cameras: by channel. to_global: (4, 4). space: of its labels.
    """
    name: str
    token: str
    location: str
    count: int
    lidar: str
    xyz: np.ndarray
    intensity: np.ndarray
    label: Optional[np.ndarray]
    instance: Optional[np.ndarray]
    boxes: Boxes
    cameras: Dict[str, Camera]
    to_global: np.ndarray
    space: LabelSpace = SPACE


class Streets:
    """The keyframes of a folder with nuScenes' layout: its tables, and the files that they name.

    Args:
        root: the folder. version: of the tables, ``v1.0-mini`` and so on; '': the smallest release there is.

    Raises:
        TableError: it holds no tables, or damaged ones.
    """
    kind = 'nuScenes layout'

    def __init__(self, root: Path, version: str = '') -> None:
        self.root, self.version = Path(root), version or version_of(root)
        if not self.version:
            raise TableError(f'{root}: no tables of nuScenes in it (v1.0-mini/scene.json); draw a world with '
                             'tools/make_world.py street')
        tables = {name: read_table(self.root, self.version, name) for name in (
            'scene', 'sample', 'sample_data', 'sample_annotation', 'calibrated_sensor', 'ego_pose', 'sensor', 'log',
            'instance', 'category')}
        self.tables = {name: by_token(rows) for name, rows in tables.items()}
        self.rows = self._key_rows(tables['sample_data'])
        self.annotations: Dict[str, List[dict]] = {}
        for row in tables['sample_annotation']:
            self.annotations.setdefault(row['sample_token'], []).append(row)
        self.labels = {kind: {row['sample_data_token']: row['filename']
                              for row in read_table(self.root, self.version, kind)}
                       if has_table(self.root, self.version, kind) else {} for kind in ('lidarseg', 'panoptic')}
        self.samples = self._samples(tables['scene'])
        self.names = list(self.samples)

    def _key_rows(self, rows: Sequence[dict]) -> Dict[str, Dict[str, dict]]:
        """Sample token -> channel -> row of ``sample_data`` of its keyframe."""
        found: Dict[str, Dict[str, dict]] = {}
        sensors = {token: self._row('sensor', row['sensor_token'])['channel']
                   for token, row in self.tables['calibrated_sensor'].items()}
        for row in rows:
            if row['is_key_frame']:
                found.setdefault(row['sample_token'], {})[sensors.get(row['calibrated_sensor_token'], '')] = row
        return found

    def _samples(self, scenes: Sequence[dict]) -> Dict[str, Tuple[str, dict, int]]:
        """Name of a keyframe -> (sample token, its scene, how many keyframes that has)."""
        found = {}
        for scene in sorted(scenes, key=lambda row: row['name']):
            tokens, token = [], scene['first_sample_token']
            while token and len(tokens) <= scene['nbr_samples']:  # a ring of rows must end, too
                tokens.append(token)
                token = self._row('sample', token)['next']
            for number, token in enumerate(tokens):
                found[f'{scene["name"]}/{number}'] = (token, scene, len(tokens))
        return found

    def _row(self, table: str, token: str) -> dict:
        return look_up(self.tables[table], token, table)

    def resolve(self, name: str) -> str:
        """The keyframe called ``name``; of a scene's name, its middle one.

        Raises:
            UnknownNameError: there is none; the nearest one is named.
        """
        own = [known for known in self.names if known.split('/')[0] == name]
        if own:
            return own[len(own) // 2]
        if name not in self.samples:
            scenes = list(dict.fromkeys(known.split('/')[0] for known in self.names))
            raise unknown('keyframe', name, self.names if '/' in name else scenes,
                          f'{self.names[0]} ... {self.names[-1]} in {self.root}')
        return name

    def lidar_stem(self, name: str) -> str:
        """What the predictions of a keyframe are called after: its LiDAR file without the last suffix."""
        return Path(self._lidar(name)['filename']).stem

    def _lidar(self, name: str) -> dict:
        rows = self.rows.get(self.samples[name][0], {})
        if LIDAR not in rows:
            raise TableError(f'{self.root}/{self.version}: the keyframe {name} has no {LIDAR}')
        return rows[LIDAR]

    def read(self, name: str) -> Keyframe:
        """The keyframe ``name``, ``<scene>/<number>``.

        Raises:
            TableError: a file is missing or does not fit the others.
        """
        token, scene, count = self.samples[name]
        row = self._lidar(name)
        to_ego, to_global = self._poses(row)
        points = self._numbers(row['filename'], np.float32, COLUMNS)
        xyz = points[:, :3].astype(float) @ to_ego[:3, :3].T + to_ego[:3, 3]
        label, instance = self._label_arrays(row['token'], len(points))
        cameras = {channel: self._camera(channel, self.rows[token][channel], to_global) for channel in CAMERAS
                   if channel in self.rows[token]}
        annotations = self.annotations.get(token, [])
        names = [self._category(item) for item in annotations]
        boxes = make_boxes(annotations, [CLASS_OF.get(category) for category in names], to_global)
        return Keyframe(name, token, self._row('log', scene['log_token'])['location'], count,
                        self.lidar_stem(name), xyz, points[:, 3], label, instance, boxes, cameras, to_global)

    def _category(self, annotation: dict) -> str:
        instance = self._row('instance', annotation['instance_token'])
        return self._row('category', instance['category_token'])['name']

    def _poses(self, row: dict) -> Tuple[np.ndarray, np.ndarray]:
        """(4, 4) sensor to vehicle and vehicle to global of a row of ``sample_data``."""
        sensor = self._row('calibrated_sensor', row['calibrated_sensor_token'])
        pose = self._row('ego_pose', row['ego_pose_token'])
        return tuple(rigid(part['translation'], part['rotation']) for part in (sensor, pose))

    def _camera(self, channel: str, row: dict, to_global: np.ndarray) -> Camera:
        to_ego, own_global = self._poses(row)
        path = self.root / row['filename']
        try:
            image = np.asarray(Image.open(path).convert('RGB'))
        except OSError as error:
            raise TableError(f'{path} cannot be read ({error}): copy it again') from error
        sensor = self._row('calibrated_sensor', row['calibrated_sensor_token'])
        return Camera(channel, image, np.array(sensor['camera_intrinsic'], float),
                      np.linalg.inv(own_global @ to_ego) @ to_global)

    def _numbers(self, file: str, dtype: Any, columns: int) -> np.ndarray:
        path = self.root / file
        try:
            values = np.fromfile(path, dtype)
        except OSError as error:
            raise TableError(f'{path} cannot be read ({error}): copy it again') from error
        if values.size % columns:
            raise TableError(f'{path}: {values.size} numbers are no rows of {columns}: copy it again')
        return values.reshape(-1, columns)

    def _label_arrays(self, token: str, count: int) -> Tuple[Optional[np.ndarray], Optional[np.ndarray]]:
        label = instance = None
        if token in self.labels['lidarseg']:
            file = self.labels['lidarseg'][token]
            label = self._fitting(self._numbers(file, np.uint8, 1)[:, 0], count, file)
            label = SPACE.map_raw(label)
        if token in self.labels['panoptic']:
            file = self.labels['panoptic'][token]
            try:
                with np.load(self.root / file) as archive:
                    instance = archive['data'].astype(np.int64)
            except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
                raise TableError(f'{self.root / file} cannot be read ({error}): copy it again') from error
            instance = self._fitting(instance, count, file)
        return label, instance

    def _fitting(self, values: np.ndarray, count: int, file: str) -> np.ndarray:
        if values.shape != (count, ):
            raise TableError(f'{self.root / file}: {values.size} labels for {count} points: copy both again')
        return values


def version_of(root: Path) -> str:
    """The release whose tables lie below ``root``, the smallest one of several; '' where there is none."""
    there = sorted(path.parent.name for path in Path(root).glob('v1.0-*/scene.json'))
    return next((version for version in FORMER if version in there), there[0] if there else '')


def make_boxes(rows: Sequence[Mapping[str, Any]], names: Sequence[Optional[str]], to_global: np.ndarray) -> Boxes:
    """Boxes of rows with ``translation``, ``size`` (width, length, height) and ``rotation`` in the global frame.

    Args:
        rows: of ``sample_annotation``, or of a result file, which has ``detection_score`` too. names: their classes.
        to_global: (4, 4) of the keyframe whose frame the boxes are wanted in.
    """
    inverse = np.linalg.inv(to_global)
    poses = np.array([inverse @ rigid(row['translation'], row['rotation']) for row in rows]).reshape(-1, 4, 4)
    size = np.array([row['size'] for row in rows], float).reshape(-1, 3)[:, [1, 0, 2]]
    label = np.array([SPACE.ignore_index if name is None else SPACE.index(name) for name in names], np.int64)
    score = np.array([row.get('detection_score', 1.0) for row in rows], float)
    points = np.array([row.get('num_lidar_pts', 1) for row in rows], np.int64)
    return Boxes(poses[:, :3, 3], size, poses[:, :3, :3], label, score, points)


def read_results(path: Path) -> Dict[str, List[dict]]:
    """Sample token -> boxes of a result file as nuScenes' detection task wants it.

    Raises:
        TableError: it is none.
    """
    try:
        results = json.loads(Path(path).read_bytes())['results']
        if not all(isinstance(rows, list) for rows in results.values()):
            raise ValueError('boxes are no list')
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise TableError(f'{path}: no result file of nuScenes ({error}); test again with format_only or '
                         'jsonfile_prefix of NuScenesMetric') from error
    return results
