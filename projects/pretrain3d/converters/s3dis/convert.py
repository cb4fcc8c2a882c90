"""Converts S3DIS, real or drawn, room by room: in parallel, resumably, whole files only."""
import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from ...files import remove_leftovers
from ...normals import estimate_normals
from ..batch import SceneError, convert_scenes, finished_record, write_scene
from .infos import instance_boxes, write_infos, write_seg_info
from .reading import RELEASE, SPACE, read_angles, read_room, turn_to_axes

FORMAT = 1
AREAS = tuple(f'Area_{number}' for number in range(1, 7))
FOLDERS = ('points', 'points_normals', 'semantic_mask', 'instance_mask', 'records', 'seg_info')


@dataclass
class Outcome:
    """What a run could not do.

    Attributes:
        skipped: (room, reason) of rooms that are in no info file.
        notes: (room, what was mended or left out of it); such rooms are there.
        unknown: class that S3DIS does not have -> (files, rooms); their points are there without a label.
        failed: (area, reason) of areas without a single room; no info file was written for them.
    """
    skipped: List[Tuple[str, str]] = field(default_factory=list)
    notes: List[Tuple[str, str]] = field(default_factory=list)
    unknown: Dict[str, Tuple[int, int]] = field(default_factory=dict)
    failed: List[Tuple[str, str]] = field(default_factory=list)


def find_root(root: Path) -> Path:
    """The folder that holds ``Area_1`` and so on: ``root`` or the release's folder in it.

    Raises:
        FileNotFoundError: neither has an area.
    """
    for folder in (root, root / RELEASE):
        if any((folder / area).is_dir() for area in AREAS):
            return folder
    raise FileNotFoundError(f'{root} holds no Area_1 ... Area_6, nor {RELEASE} with them: name the folder of the '
                            'download, or draw a world with tools/make_world.py rooms --as s3dis')


def room_names(root: Path, area: str) -> List[str]:
    """Rooms of an area, sorted."""
    folder = root / area
    return sorted(path.name for path in folder.iterdir()
                  if path.is_dir() and not path.name.startswith('.')) if folder.is_dir() else []


def convert_room(name: str, root: Path, out: Path, angles: Optional[Dict[str, Dict[str, float]]]) -> Dict[str, Any]:
    """Convert the room ``name`` (``Area_1/office_1``); its record comes last, so that a room with a record is whole.

    Files (below ``out``, ``<file>`` is ``Area_1_office_1``): ``points/<file>.bin`` (N, 6) float32 x y z r g b, moved so
    that the smallest coordinates are 0; ``points_normals/<file>.bin`` (N, 9) with estimated normals behind;
    ``semantic_mask`` (13: no label) and ``instance_mask`` (1 and up), (N,) int64; ``records/<file>.json``.

    Returns:
        The record.

    Raises:
        SceneError: a file of the room is missing or damaged.
    """
    area, room_name = name.split('/')
    file = f'{area}_{room_name}'
    if angles is not None and room_name not in angles[area]:
        raise SceneError(f'{area}_alignmentAngle.txt has no angle for it')
    angle = 0.0 if angles is None else angles[area][room_name]
    record_path, options = out / 'records' / f'{file}.json', dict(format=FORMAT, angle=angle)
    known = finished_record(record_path, options, out)
    if known is not None:
        return known
    room = read_room(root / area / room_name)
    xyz = turn_to_axes(room.xyz, angle) if angle else room.xyz
    xyz = (xyz - xyz.min(0)).astype(np.float32)
    points = np.concatenate([xyz, room.rgb.astype(np.float32)], 1)
    files = {'points': points, 'points_normals': np.concatenate([points, estimate_normals(xyz)], 1),
             'semantic_mask': room.label, 'instance_mask': room.instance}
    record = dict(options=options, name=file, num_points=len(xyz), boxes=instance_boxes(xyz, room.label, room.instance),
                  class_points=np.bincount(room.label, minlength=SPACE.num_classes + 1)[:SPACE.num_classes].tolist(),
                  unknown=room.unknown, mended=room.mended, dropped=room.dropped)
    return write_scene(record_path, record, files, out)


def convert_areas(root: Path, out: Path, areas: Sequence[str] = AREAS, jobs: int = 1, align_angles: bool = False,
                  quiet: bool = False) -> Outcome:
    """Convert ``areas`` of the download or world ``root`` into ``out``; a second run does only what is missing.

    Args:
        root: folder that holds the areas, or the release's folder. out: target folder, may be ``root``.
        areas: of :data:`AREAS`. jobs: processes.
        align_angles: turn each room to the axes by its area's ``Area_<k>_alignmentAngle.txt``, for the release that is
            not aligned. quiet: no progress.

    Raises:
        FileNotFoundError: ``root`` holds no area; nothing is converted.
        OSError: the disk is full.
    """
    base = find_root(root)
    remove_leftovers(out, *(out / folder for folder in FOLDERS))
    outcome = Outcome()
    for area in areas:
        names = [f'{area}/{name}' for name in room_names(base, area)]
        try:
            angles = {area: read_angles(base / area / f'{area}_alignmentAngle.txt')} if align_angles else None
        except SceneError as error:
            outcome.failed.append((area, str(error)))
            continue
        task = functools.partial(convert_room, root=base, out=out, angles=angles)
        done, skipped = convert_scenes(task, names, jobs, quiet)
        outcome.skipped += skipped
        if done:
            records = list(done.values())
            write_infos(out, area, records)
            write_seg_info(out, area, records)
            _note(outcome, done)
        else:
            first = f'; first: {skipped[0][0]}: {skipped[0][1]}' if skipped else f': {base / area} has no rooms'
            outcome.failed.append((area, f'none of its {len(names)} rooms could be converted{first}'))
    return outcome


def _note(outcome: Outcome, done: Dict[str, Dict[str, Any]]) -> None:
    """Add what these rooms lack to ``outcome``."""
    for name, record in done.items():
        if record['mended']:
            outcome.notes.append((name, f'{record["mended"]} lines with damaged bytes were mended'))
        for file, lines in record['dropped']:
            outcome.notes.append((name, f'{lines} damaged lines of Annotations/{file} were left out'))
        for category, count in record['unknown'].items():
            files, rooms = outcome.unknown.get(category, (0, 0))
            outcome.unknown[category] = (files + count, rooms + 1)


def convert(*args: Any, **options: Any) -> List[Tuple[str, str]]:
    """:func:`convert_areas` for callers that cannot use an area without a room.

    Returns:
        (room, reason) of what was skipped.

    Raises:
        SceneError: an area without a single room, after the others were converted.
    """
    outcome = convert_areas(*args, **options)
    if outcome.failed:
        raise SceneError('; '.join(f'{area}: {reason}' for area, reason in outcome.failed))
    return outcome.skipped
