"""Converts ScanNet v2, real or drawn, scan by scan: in parallel, resumably, whole files only."""
import functools
import json
import os
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from ...label_spaces import get_label_space
from ..batch import SceneError, convert_scenes, write_array, write_atomic
from .frames import export_sens, frame_records
from .infos import instance_boxes, write_frame_infos, write_infos, write_seg_info
from .reading import LABEL_TABLE, LabelTable, read_label_table, read_scan

FORMAT = 1


def find_scan(root: Path, name: str) -> Path:
    """Folder of scan ``name`` below the download ``root``; ``scans`` where neither folder has it."""
    for folder in ('scans', 'scans_test'):
        if (root / folder / name).is_dir():
            return root / folder / name
    return root / 'scans' / name


def convert_scan(name: str, root: Path, out: Path, table: LabelTable, labelled: bool,
                 frame_step: Optional[int]) -> Dict[str, Any]:
    """Convert one scan; its record is written last, so that a scan with a record is whole.

    Files (below ``out``): ``points/<name>.bin`` (V, 6) float32 x y z r g b, ``points_normals/<name>.bin`` (V, 9)
    with normals behind, ``semantic_mask`` (NYU40 ids), ``semantic_mask_200`` (ids of the 200-class benchmark),
    ``instance_mask`` (all (V,) int64, vertices in the mesh's order), ``records/<name>.json``.
    """
    record_path = out / 'records' / f'{name}.json'
    options = dict(format=FORMAT, labelled=labelled, frame_step=frame_step)
    known = _finished(record_path, options, out)
    if known is not None:
        return known
    folder = find_scan(root, name)
    scan = read_scan(folder, table, labelled)
    colours = np.concatenate([scan.xyz, scan.rgb.astype(np.float32)], 1)
    files = {'points': colours, 'points_normals': np.concatenate([colours, scan.normal], 1)}
    record: Dict[str, Any] = dict(name=name, options=options, labelled=labelled, num_points=len(scan.xyz),
                                  axis_align=scan.axis_align.tolist(), unknown=sorted(set(scan.unknown)))
    if labelled:
        files.update(semantic_mask=scan.nyu40, semantic_mask_200=scan.raw200, instance_mask=scan.instance)
        space = get_label_space('ScanNet20')
        record['boxes'] = instance_boxes(scan.xyz, scan.nyu40, scan.instance, scan.axis_align)
        record['class_points'] = np.bincount(space.map_raw(scan.nyu40), minlength=space.num_classes + 1)[
            :space.num_classes].tolist()
    for kind, array in files.items():
        write_array(out / kind / f'{name}.bin', array)
    record['files'] = {f'{kind}/{name}.bin': array.nbytes for kind, array in files.items()}
    if frame_step:
        record['frames'] = _frames(folder, root, out, frame_step)
    write_atomic(record_path, json.dumps(record).encode())
    return record


def _frames(folder: Path, root: Path, out: Path, step: int) -> Optional[Dict[str, Any]]:
    sens = folder / f'{folder.name}.sens'
    if (folder / 'pose').is_dir():
        found, base, where = frame_records(folder, step, root), root, 'source'
    elif sens.is_file():
        target = out / 'frames' / folder.name
        export_sens(sens, target, step)
        found, base, where = frame_records(target, step, out), out, 'converted'
    else:
        return None
    if found is None:
        return None
    for key in ('intrinsic_color', 'intrinsic_depth'):
        found[key] = found[key].tolist()
    for frame in found['frames']:
        frame['pose'] = frame['pose'].tolist()
    return dict(root=os.path.abspath(base) if where == 'source' else '', **found)


def _finished(path: Path, options: Dict[str, Any], out: Path) -> Optional[Dict[str, Any]]:
    """The record at ``path`` if it was made with the same options and all its files have their sizes."""
    try:
        record = json.loads(path.read_text())
        whole = record['options'] == options and all(
            (out / file).stat().st_size == size for file, size in record['files'].items())
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return record if whole else None


def read_list(path: Path) -> List[str]:
    """Scan names of a split list, one a line."""
    if not path.is_file():
        raise FileNotFoundError(f'{path} is missing: one scan name a line; it comes with the ScanNet benchmark')
    return [line.strip() for line in path.read_text().splitlines() if line.strip()]


def convert(root: Path, out: Path, splits: Sequence[str] = ('train', 'val'), frame_step: Optional[int] = None,
            jobs: int = 1, lists: Optional[Path] = None, label_table: Optional[Path] = None,
            quiet: bool = False) -> List[Tuple[str, str]]:
    """Convert the ``splits`` of the download ``root`` into ``out``.

    Args:
        root: folder that holds ``scans/``. out: target folder, may be ``root``.
        splits: of train, val, test. frame_step: every how many frames to record; ``None``: no frames.
        jobs: processes. lists: folder of ``scannetv2_<split>.txt`` (default ``root/meta_data``).
        label_table: the combined label table (default: in ``root``).

    Returns:
        (scan, reason) of what was skipped.
    """
    table = read_label_table(label_table or root / LABEL_TABLE)
    skipped: List[Tuple[str, str]] = []
    for split in splits:
        names = read_list((lists or root / 'meta_data') / f'scannetv2_{split}.txt')
        task = functools.partial(convert_scan, root=root, out=out, table=table, labelled=split != 'test',
                                 frame_step=frame_step)
        done, failed = convert_scenes(task, names, jobs, quiet)
        skipped += failed
        records = list(done.values())
        if not records:
            raise SceneError(f'{root}: none of the {len(names)} scans of split {split!r} could be converted; first: '
                             f'{failed[0][0] + ": " + failed[0][1] if failed else "the list is empty"}')
        write_infos(out, split, records)
        if split != 'test':
            write_seg_info(out, split, records)
        if frame_step:
            write_frame_infos(out, split, records)
    return skipped
