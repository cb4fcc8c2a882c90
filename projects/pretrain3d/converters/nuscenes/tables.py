"""nuScenes' tables as they lie on disk, read without the devkit, and checks of what they name."""
import json
import os
from pathlib import Path
from typing import Dict, Iterable, List, Sequence, Tuple

TABLES = ('attribute', 'calibrated_sensor', 'category', 'ego_pose', 'instance', 'log', 'map', 'sample',
          'sample_annotation', 'sample_data', 'scene', 'sensor', 'visibility')
LABELS = ('lidarseg', 'panoptic')
LIDAR = 'LIDAR_TOP'
# mmdet3d's converter wants these; radars are not asked for.
CAMERAS = ('CAM_FRONT', 'CAM_FRONT_RIGHT', 'CAM_FRONT_LEFT', 'CAM_BACK', 'CAM_BACK_LEFT', 'CAM_BACK_RIGHT')


class TableError(ValueError):
    """Tables that are missing, damaged, or name files that are not there; the message says what to do."""


def read_table(root: Path, version: str, name: str) -> List[dict]:
    """Rows of one table.

    Raises:
        TableError: It is missing or no list of rows with a token each.
    """
    path = Path(root) / version / f'{name}.json'
    try:
        rows = json.loads(path.read_bytes())
    except FileNotFoundError:
        there = sorted(found.parent.name for found in Path(root).glob('v1.0-*/scene.json'))
        raise TableError(f'{path} does not exist: {root} must hold {version} with nuScenes\' {len(TABLES)} tables'
                         + (f'; it holds {", ".join(there)}' if there else '')) from None
    except ValueError as error:
        raise TableError(f'{path} is no json ({error}): copy it again') from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) and 'token' in row for row in rows):
        raise TableError(f'{path} is no table of nuScenes, a list of rows with a token each: copy it again')
    return rows


def has_table(root: Path, version: str, name: str) -> bool:
    """Whether there is such a table, as for lidarseg and panoptic."""
    return (Path(root) / version / f'{name}.json').is_file()


def by_token(rows: Iterable[dict]) -> Dict[str, dict]:
    """Rows by their token."""
    return {row['token']: row for row in rows}


def look_up(table: Dict[str, dict], token: str, name: str) -> dict:
    """The row ``token`` of the table ``name``.

    Raises:
        TableError: There is none.
    """
    try:
        return table[token]
    except KeyError:
        raise TableError(f'table {name} has no row {token!r}, which another table refers to: the tables are of '
                         'different releases, copy them again') from None


def channels(root: Path, version: str) -> Dict[str, str]:
    """calibrated_sensor token -> channel."""
    names = {row['token']: row['channel'] for row in read_table(root, version, 'sensor')}
    return {row['token']: names.get(row['sensor_token'], '') for row in read_table(root, version, 'calibrated_sensor')}


def missing_files(root: Path, files: Iterable[str]) -> List[str]:
    """Those of ``files``, relative to ``root``, that are not there or empty; every folder is listed once."""
    listed: Dict[str, set] = {}
    missing = []
    for file in files:
        folder, _, name = file.rpartition('/')
        if folder not in listed:
            try:
                with os.scandir(Path(root) / folder) as entries:
                    listed[folder] = {entry.name for entry in entries if entry.stat().st_size}
            except OSError:
                listed[folder] = set()
        if name not in listed[folder]:
            missing.append(file)
    return missing


def describe_missing(files: Sequence[str], what: str, show: int = 5) -> str:
    """A line on ``files`` that are missing."""
    more = f' and {len(files) - show} more' if len(files) > show else ''
    return f'{len(files)} {what} missing or empty: {", ".join(files[:show])}{more}'


def check_release(root: Path, version: str) -> Tuple[int, int]:
    """Check what mmdet3d's converter is going to read of a release.

    Returns:
        (width, height) of the images.

    Raises:
        TableError: A table, or the file of a keyframe's LiDAR or camera, is missing; cameras of several sizes; label
            files that do not match their table.
    """
    root = Path(root)
    for name in TABLES:
        if not has_table(root, version, name):
            read_table(root, version, name)  # raises
    if not version.endswith('-test'):
        for kind in LABELS:
            if has_table(root, version, kind):
                rows = read_table(root, version, kind)
                lost = missing_files(root, (row['filename'] for row in rows))
                if lost:
                    raise TableError(f'{describe_missing(lost, f"files of nuScenes-{kind}")}: complete that download, '
                                     f'or move {version}/{kind}.json away to do without its labels')
    channel = channels(root, version)
    keyframes = [row for row in read_table(root, version, 'sample_data') if row['is_key_frame']]
    wanted = [row for row in keyframes if channel.get(row['calibrated_sensor_token']) in (LIDAR, *CAMERAS)]
    lost = missing_files(root, (row['filename'] for row in wanted))
    if lost:
        raise TableError(f'{describe_missing(lost, "files of keyframes")}: complete the download')
    present = {channel[row['calibrated_sensor_token']] for row in wanted}
    if present != {LIDAR, *CAMERAS}:
        raise TableError(f'{root}/{version} has no frames of {", ".join(sorted({LIDAR, *CAMERAS} - present))}')
    sizes = {(row['width'], row['height']) for row in wanted if channel[row['calibrated_sensor_token']] != LIDAR}
    if len(sizes) != 1:
        raise TableError(f'{root}/{version} has images of several sizes, {sorted(sizes)}, and mmdet3d\'s converter '
                         'clips boxes to one')
    return sizes.pop()
