"""What mmdet3d's converter leaves out of nuScenes' info files: scenes, attributes, panoptic labels, camera sweeps."""
import pickle
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Dict, Iterator, List, Sequence, Tuple

import numpy as np

from ...files import write_atomic
from ...plain_pickle import PlainPickleError, load_plain
from .tables import (CAMERAS, LABELS, LIDAR, TableError, by_token, describe_missing, has_table, look_up, missing_files,
                     read_table)

KEYS = dict(lidarseg='pts_semantic_mask_path', panoptic='pts_panoptic_mask_path')


@dataclass
class Release:
    """Rows of a release's tables that infos need.

    Attributes:
        scenes: scene token -> (name, place in the scene table). samples: sample token -> scene token.
        boxes: sample token -> its annotations in the table's order. attributes: token -> name.
        lidars: sample token -> row of its LiDAR keyframe. frames: sample_data token -> row, of the six cameras.
        poses, mounts: ego_pose and calibrated_sensor by token.
        labels: kind -> sample_data token of the LiDAR -> file; kinds that were not downloaded are not there.
    """
    scenes: Dict[str, Tuple[str, int]]
    samples: Dict[str, str]
    boxes: Dict[str, List[dict]]
    attributes: Dict[str, str]
    lidars: Dict[str, dict] = field(default_factory=dict)
    frames: Dict[str, dict] = field(default_factory=dict)
    poses: Dict[str, dict] = field(default_factory=dict)
    mounts: Dict[str, dict] = field(default_factory=dict)
    labels: Dict[str, Dict[str, str]] = field(default_factory=dict)


def read_release(root: Path, version: str, sweeps: bool = True) -> Release:
    """Read the tables of ``root/version``; ``sweeps``: also what camera sweeps need."""
    release = Release(
        scenes={row['token']: (row['name'], place) for place, row in enumerate(read_table(root, version, 'scene'))},
        samples={row['token']: row['scene_token'] for row in read_table(root, version, 'sample')},
        boxes={}, attributes={row['token']: row['name'] for row in read_table(root, version, 'attribute')})
    for row in read_table(root, version, 'sample_annotation'):
        release.boxes.setdefault(row['sample_token'], []).append(row)
    release.mounts = by_token(read_table(root, version, 'calibrated_sensor'))
    names = {row['token']: row['channel'] for row in read_table(root, version, 'sensor')}
    for row in read_table(root, version, 'sample_data'):
        mount = look_up(release.mounts, row['calibrated_sensor_token'], 'calibrated_sensor')
        channel = names.get(mount['sensor_token'])
        if channel == LIDAR and row['is_key_frame']:
            release.lidars[row['sample_token']] = row
        elif channel in CAMERAS and (sweeps or row['is_key_frame']):
            release.frames[row['token']] = row
    sample_of = {row['token']: sample for sample, row in release.lidars.items()}
    for kind in LABELS:
        if has_table(root, version, kind):
            rows = read_table(root, version, kind)
            release.labels[kind] = {sample_of[row['sample_data_token']]: row['filename'] for row in rows
                                    if row['sample_data_token'] in sample_of}
    if sweeps:
        release.poses = by_token(read_table(root, version, 'ego_pose'))
    return release


def rigid(translation: Sequence[float], rotation: Sequence[float]) -> np.ndarray:
    """(4, 4) float64 of a translation and a unit quaternion w, x, y, z."""
    w, x, y, z = np.asarray(rotation, np.float64) / np.linalg.norm(rotation)
    matrix = np.eye(4)
    matrix[:3, :3] = [[1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                      [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                      [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]]
    matrix[:3, 3] = translation
    return matrix


def attribute_names(info: dict, release: Release, source: str) -> List[str]:
    """Attribute of every instance of a frame, '' for those without one.

    Raises:
        TableError: The frame's instances are not the annotations of the tables.
    """
    held, rows = info.get('instances') or [], release.boxes.get(info['token'], [])
    points = [instance.get('num_lidar_pts') for instance in held]
    if len(held) != len(rows) or points != [row['num_lidar_pts'] for row in rows]:
        raise TableError(f'{source}: frame {info["token"]} has {len(held)} boxes, which are not the {len(rows)} of the '
                         'tables: the info file is of another release, or boxes were taken out; make it again with '
                         'tools/data/nuscenes.py')
    return [release.attributes.get(row['attribute_tokens'][0], '') if row['attribute_tokens'] else '' for row in rows]


def camera_sweeps(info: dict, release: Release, limit: int) -> Dict[str, List[dict]]:
    """Earlier frames of every camera, the latest first, as the entries of ``images`` are.

    ``img_path`` is relative to the data folder, for they lie in samples or in sweeps. ``lidar2cam`` is from the
    keyframe's LiDAR at the keyframe's time; ``ego2global`` is the car's pose at the sweep's time.
    """
    # From the tables: infos hold the poses in float32, a tenth of a millimetre so far from the map's origin.
    lidar2global = sensor2global(look_up(release.lidars, info['token'], 'sample_data'), release)
    found = {}
    for channel, image in info['images'].items():
        row = look_up(release.frames, image['sample_data_token'], 'sample_data')
        entries: List[dict] = []
        while row['prev'] and len(entries) < limit:
            row = look_up(release.frames, row['prev'], 'sample_data')
            entries.append(_sweep(row, release, lidar2global))
        found[channel] = entries
    return found


def sensor2global(row: dict, release: Release) -> np.ndarray:
    """(4, 4) float64 sensor to world at the time of a row of sample_data."""
    mount = look_up(release.mounts, row['calibrated_sensor_token'], 'calibrated_sensor')
    pose = look_up(release.poses, row['ego_pose_token'], 'ego_pose')
    return rigid(pose['translation'], pose['rotation']) @ rigid(mount['translation'], mount['rotation'])


def _sweep(row: dict, release: Release, lidar2global: np.ndarray) -> dict:
    """One camera frame, seen from a keyframe's LiDAR."""
    mount = look_up(release.mounts, row['calibrated_sensor_token'], 'calibrated_sensor')
    pose = look_up(release.poses, row['ego_pose_token'], 'ego_pose')
    lidar2cam = np.linalg.inv(sensor2global(row, release)) @ lidar2global
    return dict(img_path=row['filename'], width=row['width'], height=row['height'], cam2img=mount['camera_intrinsic'],
                sample_data_token=row['token'], timestamp=row['timestamp'] / 1e6,
                cam2ego=rigid(mount['translation'], mount['rotation']).tolist(),
                ego2global=rigid(pose['translation'], pose['rotation']).tolist(), lidar2cam=lidar2cam.tolist())


def add_extras(infos: dict, release: Release, source: str, sweeps: int = 5) -> None:
    """Write the missing keys into the content of an info file; what is there is overwritten.

    Keys of a frame: ``scene_name``, ``scene_index`` (place in the scene table), ``pts_semantic_mask_path`` and
    ``pts_panoptic_mask_path`` (file names, which lie in lidarseg/<version> and panoptic/<version>), ``camera_sweeps``
    (:func:`camera_sweeps`); of an instance: ``attribute_name``; of an image: ``width`` and ``height`` as recorded, by
    which a file of another size is told.
    """
    for info in infos['data_list']:
        name, place = look_up(release.scenes, look_up(release.samples, info['token'], 'sample'), 'scene')
        info.update(scene_name=name, scene_index=place)
        if 'instances' in info:
            for instance, attribute in zip(info['instances'], attribute_names(info, release, source)):
                instance['attribute_name'] = attribute
        for image in info.get('images', {}).values():
            row = look_up(release.frames, image['sample_data_token'], 'sample_data')
            for key in ('width', 'height'):  # anew, so that a second run gives the same bytes
                image.pop(key, None)
                image[key] = row[key]
        for kind, key in KEYS.items():
            info.pop(key, None)
            if info['token'] in release.labels.get(kind, {}):
                info[key] = PurePosixPath(release.labels[kind][info['token']]).name
        info.pop('camera_sweeps', None)
        if sweeps:
            info['camera_sweeps'] = camera_sweeps(info, release, sweeps)


@dataclass
class Lost:
    """Files that an info file names and that are not there, by what they are."""
    keyframes: List[str]
    lidar_sweeps: List[str]
    camera_sweeps: List[str]
    lidarseg: List[str]
    panoptic: List[str]

    def lines(self) -> List[str]:
        """A line for every kind of which some are missing."""
        return [describe_missing(files, f'files of {kind.replace("_", " ")}') for kind, files in vars(self).items()
                if files]


def files_of(info: dict, version: str) -> Iterator[Tuple[str, str, Any]]:
    """(kind, file relative to the data folder, the entry that names it) of one frame."""
    yield 'keyframes', f'samples/LIDAR_TOP/{info["lidar_points"]["lidar_path"]}', None
    for channel, image in info.get('images', {}).items():
        yield 'keyframes', f'samples/{channel}/{image["img_path"]}', None
    for sweep in info.get('lidar_sweeps', ()):
        path = PurePosixPath(sweep['lidar_points']['lidar_path'])
        yield 'lidar_sweeps', f'{"samples" if "samples" in path.parts else "sweeps"}/LIDAR_TOP/{path.name}', sweep
    for entries in info.get('camera_sweeps', {}).values():
        for entry in entries:
            yield 'camera_sweeps', entry['img_path'], entry
    for kind, key in KEYS.items():
        if key in info:
            yield kind, f'{kind}/{version}/{info[key]}', None


def find_lost(infos: dict, root: Path) -> Lost:
    """Every file that the infos name is looked for below ``root``."""
    version = infos['metainfo']['version']
    named: Dict[str, Dict[str, None]] = {kind: {} for kind in ('keyframes', 'lidar_sweeps', 'camera_sweeps', *LABELS)}
    for info in infos['data_list']:
        for kind, file, _ in files_of(info, version):
            named[kind][file] = None
    return Lost(**{kind: missing_files(root, files) for kind, files in named.items()})


def leave_out(infos: dict, lost: Lost) -> int:
    """Take out what names lost files: label keys and sweeps alone, frames without LiDAR or an image as a whole.

    Returns:
        How many frames were taken out.
    """
    gone = {kind: set(files) for kind, files in vars(lost).items()}
    version, kept = infos['metainfo']['version'], []
    for info in infos['data_list']:
        bad = [(kind, entry) for kind, file, entry in files_of(info, version) if file in gone[kind]]
        kinds = {kind for kind, _ in bad}
        if 'keyframes' in kinds:
            continue
        for kind in kinds & set(KEYS):
            del info[KEYS[kind]]
        drop = {id(entry) for _, entry in bad}
        if 'lidar_sweeps' in kinds:
            info['lidar_sweeps'] = [sweep for sweep in info['lidar_sweeps'] if id(sweep) not in drop]
        if 'camera_sweeps' in kinds:
            info['camera_sweeps'] = {channel: [entry for entry in entries if id(entry) not in drop]
                                     for channel, entries in info['camera_sweeps'].items()}
        kept.append(info)
    count = len(infos['data_list']) - len(kept)
    infos['data_list'] = kept
    return count


def read_infos(path: Path) -> dict:
    """Content of an info file of nuScenes.

    Raises:
        TableError: It is missing, damaged, or of another kind.
    """
    try:
        held = load_plain(path)
        if held['metainfo']['dataset'] == 'nuscenes' and held['metainfo']['version'] and held['data_list']:
            return held
    except FileNotFoundError:
        raise TableError(f'{path} does not exist: make it with tools/data/nuscenes.py') from None
    except PlainPickleError as error:
        raise TableError(f'info file {error}. Make it again with tools/data/nuscenes.py') from error
    except (KeyError, TypeError, IndexError):
        pass
    raise TableError(f'{path} is no info file of nuScenes in mmdet3d\'s format v1.1: make it with '
                     'tools/data/nuscenes.py')


def write_infos(path: Path, infos: dict) -> bool:
    """Write an info file, whole or not at all; ``False`` where it holds these very bytes already."""
    content = pickle.dumps(infos, protocol=4)
    if path.exists() and path.read_bytes() == content:
        return False
    write_atomic(path, content)
    return True
