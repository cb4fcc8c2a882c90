"""Reads one scan of ScanNet v2 with its labels and instances."""
import csv
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional

import numpy as np

from ...label_spaces import get_label_space
from ...normals import vertex_normals
from ..batch import SceneError

LABEL_TABLE = 'scannetv2-labels.combined.tsv'
NYU40 = 40


@dataclass(frozen=True)
class LabelTable:
    """Raw category -> ids: ``nyu40`` of the 40 classes of NYU, ``raw200`` its own if the 200-class benchmark has it."""
    nyu40: Dict[str, int]
    raw200: Dict[str, int]

    def digest(self) -> str:
        """Short hash of what the table maps, by which a later run sees that it was edited."""
        content = json.dumps([sorted(self.nyu40.items()), sorted(self.raw200.items())])
        return hashlib.sha256(content.encode()).hexdigest()[:12]


@dataclass
class ScanData:
    """A scan in its own (not axis-aligned) frame, vertices in the mesh's order.

    Attributes:
        xyz: (V, 3) float32 metres. rgb: (V, 3) uint8. normal: (V, 3) float32 unit, area-weighted over the faces.
        nyu40, raw200: (V,) int64, 0 for unannotated vertices; ``None`` for scans without labels.
        instance: (V,) int64, 1 and up; 0 for none; ``None`` without labels.
        categories: raw category of instance ``i + 1``.
        axis_align: (4, 4).
        unknown: raw category, for each instance that the label table lacks; their vertices stay unannotated.
    """
    xyz: np.ndarray
    rgb: np.ndarray
    normal: np.ndarray
    nyu40: Optional[np.ndarray]
    raw200: Optional[np.ndarray]
    instance: Optional[np.ndarray]
    categories: List[str]
    axis_align: np.ndarray
    unknown: List[str]


def read_label_table(path: Path) -> LabelTable:
    """Read ``scannetv2-labels.combined.tsv``."""
    if not path.is_file():
        raise FileNotFoundError(f'{path} is missing; it belongs to the ScanNet download (--label-table names another)')
    try:
        with open(path, newline='', encoding='utf-8') as file:
            rows = list(csv.DictReader(file, delimiter='\t'))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f'{path}: no table of tab-separated text ({error}); download it again') from error
    if not rows or not {'id', 'raw_category', 'nyu40id'} <= set(rows[0]):
        raise ValueError(f'{path}: columns id, raw_category and nyu40id expected; is it the combined label table?')
    wrong = [number for number, row in enumerate(rows, 2) if not row['raw_category'] or not all(
        value is not None and re.fullmatch(r'[0-9]{0,9}', value) for value in (row['id'], row['nyu40id']))]
    wrong = wrong or [number for number, row in enumerate(rows, 2) if int(row['nyu40id'] or 0) > NYU40]
    if wrong:
        raise ValueError(f'{path}: line {wrong[0]} has no category, or ids that are no numbers or beyond the {NYU40} '
                         'classes of NYU; download it again')
    # Ids beyond the benchmark's largest one would run off mmdet3d's table of labels.
    known = get_label_space('ScanNet200').raw_to_index
    return LabelTable({row['raw_category']: int(row['nyu40id']) for row in rows if row['nyu40id']},
                      {row['raw_category']: int(row['id']) for row in rows if row['id'] and int(row['id']) in known})


def read_scan(folder: Path, table: LabelTable, labelled: bool = True) -> ScanData:
    """Read the scan in ``folder``, whose name is the scan's.

    Args:
        folder: ``.../scans/scene0000_00``.
        table: raw category -> ids.
        labelled: whether annotations must be there (the test split has none).

    Raises:
        SceneError: a file is missing, cut off or inconsistent; the message names it.
    """
    name = folder.name
    if not folder.is_dir():
        raise SceneError(f'{folder}: folder missing')
    xyz, rgb, faces = read_mesh(folder / f'{name}_vh_clean_2.ply')
    align = read_axis_align(folder / f'{name}.txt')
    normal = vertex_normals(xyz, faces)
    if not labelled:
        return ScanData(xyz, rgb, normal, None, None, None, [], align, [])
    segments_path = folder / f'{name}_vh_clean_2.0.010000.segs.json'
    groups_path = next(iter(sorted(folder.glob(f'{name}*.aggregation.json'))), folder / f'{name}.aggregation.json')
    try:
        segment = np.asarray(_json(segments_path, 'segIndices'), np.int64)
    except (ValueError, TypeError, OverflowError) as error:
        raise SceneError(f'{segments_path}: segment indices that are no whole numbers ({error})') from error
    if segment.shape != (len(xyz),):
        raise SceneError(f'{segments_path}: {segment.size} segment indices for {len(xyz)} vertices')
    nyu40, raw200, instance = (np.zeros(len(xyz), np.int64) for _ in range(3))
    categories, unknown = [], []
    groups = _json(groups_path, 'segGroups')
    if not isinstance(groups, list):
        raise SceneError(f'{groups_path}: segGroups is no list')
    for group in groups:
        try:
            category, rows = str(group['label']), np.isin(segment, np.asarray(group['segments'], np.int64))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise SceneError(f'{groups_path}: a segment group without label or segments ({error})') from error
        categories.append(category)
        instance[rows] = len(categories)
        if category not in table.nyu40:
            unknown.append(category)
        nyu40[rows] = table.nyu40.get(category, 0)
        raw200[rows] = table.raw200.get(category, 0)
    return ScanData(xyz, rgb, normal, nyu40, raw200, instance, categories, align, unknown)


def read_mesh(path: Path):
    """Vertices (V, 3) float32, colours (V, 3) uint8 and faces (F, 3) of a ``.ply`` mesh."""
    from plyfile import PlyData
    if not path.is_file():
        raise SceneError(f'{path}: missing')
    try:
        mesh = PlyData.read(str(path))
        vertex = mesh['vertex'].data
        xyz = np.stack([vertex[axis] for axis in 'xyz'], 1).astype(np.float32)
        rgb = np.stack([vertex[channel] for channel in ('red', 'green', 'blue')], 1).astype(np.uint8)
        faces = np.asarray(mesh['face'].data['vertex_indices'].tolist(), np.int64).reshape(-1, 3)
    except Exception as error:  # told of more vertices than memory holds, even MemoryError
        raise SceneError(f'{path}: not a whole mesh ({type(error).__name__}: {error}); download it again') from error
    if not np.isfinite(xyz).all():
        raise SceneError(f'{path}: NaN or infinite vertices')
    if len(faces) and (faces.min() < 0 or faces.max() >= len(xyz)):
        raise SceneError(f'{path}: faces name vertices that do not exist')
    if not len(xyz):
        raise SceneError(f'{path}: no vertices')
    return xyz, rgb, faces


def read_axis_align(path: Path) -> np.ndarray:
    """(4, 4) axis alignment of a scan's ``.txt``; the identity where the file has none (the test split)."""
    if not path.is_file():
        raise SceneError(f'{path}: missing')
    for line in path.read_text(errors='replace').splitlines():
        if line.startswith('axisAlignment'):
            try:
                align = np.array(line.split('=')[1].split(), np.float64).reshape(4, 4)
            except (ValueError, IndexError) as error:
                raise SceneError(f'{path}: axisAlignment is not 16 numbers') from error
            if not np.isfinite(align).all():
                raise SceneError(f'{path}: axisAlignment holds NaN or infinite numbers')
            return align
    return np.eye(4)


def _json(path: Path, key: str):
    if not path.is_file():
        raise SceneError(f'{path}: missing')
    try:
        return json.loads(path.read_text())[key]
    except (ValueError, KeyError, TypeError) as error:
        raise SceneError(f'{path}: no {key!r} in it or cut off ({error}); download it again') from error
