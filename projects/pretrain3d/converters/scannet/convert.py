"""Converts ScanNet v2, real or drawn, scan by scan: in parallel, resumably, whole files only."""
import functools
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from ...label_spaces import get_label_space
from ...files import is_disk_full, read_names, remove_leftovers
from ..batch import SceneError, convert_scenes, finished_record, write_scene
from .frames import describe_losses, frame_records, has_frames
from .infos import instance_boxes, write_frame_infos, write_infos, write_seg_info
from .reading import LABEL_TABLE, LabelTable, read_label_table, read_scan
from .sens import export_sens

FORMAT = 2
FOLDERS = ('points', 'points_normals', 'semantic_mask', 'semantic_mask_200', 'instance_mask', 'records', 'seg_info')


@dataclass
class Outcome:
    """What a run could not do.

    Attributes:
        skipped: (scan, reason) of scans that are in no info file.
        frames: (scan, reason) of scans that are there but for some or all of their frames.
        unknown: raw category that the label table lacks -> (instances, scans); they are unannotated.
        failed: (split, reason) of splits without a single scan; no info file was written for them.
    """
    skipped: List[Tuple[str, str]] = field(default_factory=list)
    frames: List[Tuple[str, str]] = field(default_factory=list)
    unknown: Dict[str, Tuple[int, int]] = field(default_factory=dict)
    failed: List[Tuple[str, str]] = field(default_factory=list)


def find_scan(root: Path, name: str) -> Path:
    """Folder of scan ``name`` below the download ``root``; ``scans`` where neither folder has it."""
    for folder in ('scans', 'scans_test'):
        if (root / folder / name).is_dir():
            return root / folder / name
    return root / 'scans' / name


def convert_scan(name: str, root: Path, out: Path, table: LabelTable, labelled: bool,
                 frame_step: Optional[int]) -> Dict[str, Any]:
    """Convert one scan: its cloud, unless an earlier run has, and its frames, which are looked at in every run.

    Returns:
        The cloud's record; with ``frame_step`` also ``frames`` and ``frames_lost`` as :func:`find_frames` gives them.
    """
    record = convert_cloud(name, root, out, table, labelled)
    if frame_step:
        record['frames'], record['frames_lost'] = find_frames(name, root, out, frame_step)
    return record


def convert_cloud(name: str, root: Path, out: Path, table: LabelTable, labelled: bool) -> Dict[str, Any]:
    """Convert the cloud of one scan; its record is written last, so that a cloud with a record is whole.

    Files (below ``out``): ``points/<name>.bin`` (V, 6) float32 x y z r g b, ``points_normals/<name>.bin`` (V, 9)
    with normals behind, ``semantic_mask`` (NYU40 ids), ``semantic_mask_200`` (ids of the 200-class benchmark),
    ``instance_mask`` (all (V,) int64, vertices in the mesh's order), ``records/<name>.json``.

    Raises:
        SceneError: a file of the scan is missing or damaged.
    """
    record_path = out / 'records' / f'{name}.json'
    options = dict(format=FORMAT, labelled=labelled, table=table.digest() if labelled else None)
    known = finished_record(record_path, options, out)
    if known is not None:
        return known
    scan = read_scan(find_scan(root, name), table, labelled)
    colours = np.concatenate([scan.xyz, scan.rgb.astype(np.float32)], 1)
    files = {'points': colours, 'points_normals': np.concatenate([colours, scan.normal], 1)}
    record: Dict[str, Any] = dict(name=name, options=options, labelled=labelled, num_points=len(scan.xyz),
                                  axis_align=scan.axis_align.tolist(), unknown=dict(Counter(scan.unknown)))
    if labelled:
        files.update(semantic_mask=scan.nyu40, semantic_mask_200=scan.raw200, instance_mask=scan.instance)
        space = get_label_space('ScanNet20')
        record['boxes'] = instance_boxes(scan.xyz, scan.nyu40, scan.instance, scan.axis_align)
        record['class_points'] = np.bincount(space.map_raw(scan.nyu40), minlength=space.num_classes + 1)[
            :space.num_classes].tolist()
    return write_scene(record_path, record, files, out)


def find_frames(name: str, root: Path, out: Path, step: int) -> Tuple[Optional[Dict[str, Any]], Optional[str]]:
    """Every ``step``-th frame of a scan: from its exported folders, else from its ``.sens`` file.

    Frames of a ``.sens`` file are written into ``out/frames/<name>``, those that are not there yet; what lies there
    is used where the file itself has been removed. No record of frames is kept: whatever is whole now counts, wherever
    the download lies now.

    Returns:
        What :func:`frame_records` tells, with the ``root`` of its paths ('' for ``out``); ``None``: no frames.
        One line on what is lost; ``None``: nothing. Damaged frames never raise, since the cloud can do without them.
    """
    folder, target = find_scan(root, name), out / 'frames' / name
    sens = folder / f'{name}.sens'
    try:
        if has_frames(folder):
            base, found = os.path.abspath(root), frame_records(folder, step, root)
        else:
            faults = export_sens(sens, target, step) if sens.is_file() else None
            base, found = '', frame_records(target, step, out, faults)
    except (SceneError, OSError) as error:
        if is_disk_full(error):
            raise
        return None, f'all frames left out: {error}'
    if found is None:
        return None, (f'no frames in {folder}: neither pose/*.txt nor {sens.name} holds one whose number is a multiple '
                      f'of {step}')
    for key in ('intrinsic_color', 'intrinsic_depth'):
        found[key] = found[key].tolist()
    for frame in found['frames']:
        frame['pose'] = frame['pose'].tolist()
    return dict(root=base, **found), describe_losses(found)


def read_list(path: Path) -> List[str]:
    """Scan names of a split list, one a line."""
    if not path.is_file():
        raise FileNotFoundError(f'{path} is missing: one scan name a line; it comes with the ScanNet benchmark')
    return read_names(path)


def convert_splits(root: Path, out: Path, splits: Sequence[str] = ('train', 'val'), frame_step: Optional[int] = None,
                   jobs: int = 1, lists: Optional[Path] = None, label_table: Optional[Path] = None,
                   quiet: bool = False) -> Outcome:
    """Convert the ``splits`` of the download ``root`` into ``out``; a second run does only what is missing.

    Args:
        root: folder that holds ``scans/``. out: target folder, may be ``root``.
        splits: of train, val, test. frame_step: every how many frames to record; ``None``: no frames.
        jobs: processes. lists: folder of ``scannetv2_<split>.txt`` (default ``root/meta_data``).
        label_table: the combined label table (default: in ``root``). quiet: no progress.

    Raises:
        FileNotFoundError, ValueError: the label table or a split's list is missing or damaged; nothing is converted.
        OSError: the disk is full.
    """
    table = read_label_table(label_table or root / LABEL_TABLE)
    names = {split: read_list((lists or root / 'meta_data') / f'scannetv2_{split}.txt') for split in splits}
    remove_leftovers(out, *(out / folder for folder in FOLDERS))
    outcome = Outcome()
    for split in splits:
        task = functools.partial(convert_scan, root=root, out=out, table=table, labelled=split != 'test',
                                 frame_step=frame_step)
        done, skipped = convert_scenes(task, names[split], jobs, quiet)
        outcome.skipped += skipped
        if done:
            _write_split(out, split, list(done.values()), bool(frame_step))
            _note(outcome, list(done.values()))
        else:
            first = f'; first: {skipped[0][0]}: {skipped[0][1]}' if skipped else ': its list is empty'
            outcome.failed.append((split, f'none of its {len(names[split])} scans could be converted{first}'))
    return outcome


def _write_split(out: Path, split: str, records: List[Dict[str, Any]], with_frames: bool) -> None:
    write_infos(out, split, records)
    if split != 'test':
        write_seg_info(out, split, records)
    if with_frames:
        write_frame_infos(out, split, records)


def _note(outcome: Outcome, records: List[Dict[str, Any]]) -> None:
    """Add what these scans lack to ``outcome``."""
    for record in records:
        if record.get('frames_lost'):
            outcome.frames.append((record['name'], record['frames_lost']))
        for category, count in record['unknown'].items():
            instances, scans = outcome.unknown.get(category, (0, 0))
            outcome.unknown[category] = (instances + count, scans + 1)


def convert(*args: Any, **options: Any) -> List[Tuple[str, str]]:
    """:func:`convert_splits` for callers that cannot use a split without a scan.

    Returns:
        (scan, reason) of what was skipped.

    Raises:
        SceneError: a split without a single scan, after the others were converted.
    """
    outcome = convert_splits(*args, **options)
    if outcome.failed:
        raise SceneError('; '.join(f'split {split!r}: {reason}' for split, reason in outcome.failed))
    return outcome.skipped
