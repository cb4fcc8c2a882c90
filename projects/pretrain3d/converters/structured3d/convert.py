"""Converts Structured3D, real or drawn, room by room: in parallel, resumably, whole files only."""
import functools
import hashlib
import json
import pickle
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from ...files import remove_leftovers, write_atomic
from ...label_spaces import get_label_space
from ..batch import SceneError, convert_scenes, finished_record, write_scene
from .source import SPLIT_ENDS, list_views, open_source, split_of
from .views import Cloud, ViewFault, merge, read_view, thin

FORMAT = 1
GRID = 0.01
FOLDERS = ('points_normals', 'semantic_mask', 'instance_mask', 'records')
SPLITS = tuple(split for split, _ in SPLIT_ENDS)
KINDS = ('perspective', 'panorama')
# The release's list of errata calls these scenes invalid.
INVALID = tuple(f'scene_{number:05d}' for number in (1155, 1192, 1714, 1816, 1852, 3398))


@dataclass
class Outcome:
    """What a run could not do, or did without.

    Attributes:
        rooms: split -> rooms in its info file.
        skipped: (room, reason) of rooms that are in no info file.
        views: (room, reason) of rooms that are there but for some of their views.
        unknown: label colour that NYU40 has not -> pixels; they are ignored.
        without_instances: views that have no instance.png; their points are of no instance.
        failed: (split, reason) of splits without a single room; no info file was written for them.
    """
    rooms: Dict[str, int] = field(default_factory=dict)
    skipped: List[Tuple[str, str]] = field(default_factory=list)
    views: List[Tuple[str, str]] = field(default_factory=list)
    unknown: Dict[str, int] = field(default_factory=Counter)
    without_instances: int = 0
    failed: List[Tuple[str, str]] = field(default_factory=list)


def read_room(name: str, root: Path, grid: float = GRID,
              kinds: Sequence[str] = KINDS) -> Tuple[Cloud, Dict[str, Any]]:
    """Fuse the views of a room: of every cell of ``grid`` metres the first point, views in their order.

    Returns:
        The cloud, instances renumbered from 1 (0: none), and ``dict(views, lost, dropped, unknown)``: how many views
        were used, what is wrong with the others, dropped pixels by reason, pixels of unknown colours.

    Raises:
        SceneError: the room has no usable view.
    """
    if name.partition('_room_')[0] in INVALID:
        raise SceneError('the release lists its scene as invalid')
    source = open_source(root)
    files = source.files(name)
    clouds, lost, dropped, unknown = [], [], Counter(), Counter()
    for view in list_views(files):
        if KINDS[view.panorama] not in kinds:
            continue
        try:
            cloud, less, colours = read_view(lambda file: _read(source, name, files, file), view)
        except ViewFault as error:
            lost.append(str(error))
            continue
        dropped.update(less)
        unknown.update(colours)
        if len(cloud):
            clouds.append(thin(cloud, grid))
        else:
            lost.append(f'{view.folder}: no labelled pixel that is seen well')
    if not clouds:
        raise SceneError(f'{source.where(name)}: no view can be used' + (f': {"; ".join(lost)}' if lost else
                                                                         f' (of {" and ".join(kinds)})'))
    cloud = thin(merge(clouds), grid)
    _, number = np.unique(np.concatenate([[-1], cloud.instance]), return_inverse=True)
    cloud.instance = number.reshape(-1)[1:].astype(np.int64)
    return cloud, dict(views=len(clouds), lost=lost, dropped=dict(dropped), unknown=dict(unknown))


def _read(source, room: str, files: Dict[str, int], file: str) -> bytes:
    if file not in files:
        raise FileNotFoundError(file)
    return source.read(room, file)


def convert_room(name: str, root: Path, out: Path, grid: float = GRID,
                 kinds: Sequence[str] = KINDS) -> Dict[str, Any]:
    """Convert one room, unless an earlier run has from the same files; its record is written last.

    Files (below ``out``): ``points_normals/<name>.bin`` (N, 9) float32 x y z (metres, z up) r g b (0 ... 255) and the
    unit normal, ``semantic_mask`` (NYU40 ids), ``instance_mask`` (both (N,) int64), ``records/<name>.json``.

    Raises:
        SceneError: the room has no usable view.
    """
    path = out / 'records' / f'{name}.json'
    files = json.dumps(sorted(open_source(root).files(name).items()))
    options = dict(format=FORMAT, grid=grid, kinds=sorted(kinds), files=hashlib.sha256(files.encode()).hexdigest()[:12])
    known = finished_record(path, options, out)
    if known is not None:
        return known
    cloud, notes = read_room(name, root, grid, kinds)
    points = np.concatenate([cloud.xyz, cloud.rgb.astype(np.float32), cloud.normal], 1)
    record = dict(name=name, options=options, num_points=len(cloud), **notes)
    return write_scene(path, record, dict(
        points_normals=points, semantic_mask=cloud.nyu40, instance_mask=cloud.instance), out)


def convert_splits(root: Path, out: Path, splits: Optional[Sequence[str]] = None, jobs: int = 1, grid: float = GRID,
                   kinds: Sequence[str] = KINDS, quiet: bool = False) -> Outcome:
    """Convert the download ``root`` into ``out``; a second run does only what is missing.

    Args:
        root: folder of the release, unpacked or as zip files. out: target folder, may be ``root``.
        splits: of train, val, test, by the scenes' numbers; ``None``: those that have a room.
        jobs: processes. grid: edge in metres of the cells that keep one point. kinds: of perspective, panorama.
        quiet: no progress.

    Raises:
        SceneError, ValueError: nothing of Structured3D, or a damaged zip file; nothing is converted.
        OSError: the disk is full.
    """
    open_source.cache_clear()  # what lies there may have changed since an earlier call
    rooms: Dict[str, List[str]] = {split: [] for split in SPLITS}
    for name in open_source(root).rooms:
        rooms[split_of(name)].append(name)
    remove_leftovers(out, *(out / folder for folder in FOLDERS))
    outcome = Outcome()
    for split in splits or [split for split in SPLITS if rooms[split]]:
        task = functools.partial(convert_room, root=root, out=out, grid=grid, kinds=tuple(kinds))
        done, skipped = convert_scenes(task, rooms[split], jobs, quiet)
        outcome.skipped += skipped
        if not done:
            first = f'; first: {skipped[0][0]}: {skipped[0][1]}' if skipped else ''
            outcome.failed.append((split, f'none of its {len(rooms[split])} rooms could be converted{first}'))
            continue
        outcome.rooms[split] = len(done)
        write_infos(out, split, list(done.values()))
        _note(outcome, list(done.values()))
    return outcome


def write_infos(out: Path, split: str, records: List[Dict[str, Any]]) -> Path:
    """Write ``structured3d_infos_<split>.pkl`` (mmdet3d info format 1.1) from the rooms' records."""
    data_list = [dict(lidar_points=dict(num_pts_feats=9, lidar_path=f'{record["name"]}.bin'), scan=record['name'],
                      num_points=record['num_points'], pts_semantic_mask_path=f'{record["name"]}.bin',
                      pts_instance_mask_path=f'{record["name"]}.bin') for record in records]
    categories = {name: index for index, name in enumerate(get_label_space('Structured3D25').classes)}
    path = out / f'structured3d_infos_{split}.pkl'
    write_atomic(path, pickle.dumps(dict(
        metainfo=dict(categories=categories, dataset='structured3d', info_version='1.1'), data_list=data_list)))
    return path


def _note(outcome: Outcome, records: List[Dict[str, Any]]) -> None:
    """Add what these rooms lack to ``outcome``."""
    for record in records:
        if record['lost']:
            count = len(record['lost']) + record['views']
            outcome.views.append((record['name'], f'{len(record["lost"])} of {count} views left out: '
                                  + '; '.join(record['lost'])))
        outcome.unknown.update(record['unknown'])
        outcome.without_instances += record['dropped']['without_instances']
