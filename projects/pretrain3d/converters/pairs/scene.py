"""Builds the frame pairs of one scan; a scan whose record is there and fits is left alone."""
import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from ...files import open_atomic, remove_leftovers, write_atomic
from ..batch import SceneError
from .backproject import FrameError, Frustum, frame_cloud, frame_pose, read_cameras
from .neighbours import RadiusIndex, grid_means
from .overlap import Overlap, find_overlaps
from .storage import append_table, write_frame

FORMAT = 1
FOLDER = 'frame_pairs'


@dataclass(frozen=True)
class PairOptions:
    """How pairs are made; lengths in metres. Defaults are those of the method's released code, where it says.

    Attributes:
        every: every how many of the recorded frames.
        grid: clouds are thinned to one mean point per cell of this size before they are stored.
        max_depth: depth beyond it is not used.
        min_points: a frame with fewer stored points is left out.
        overlap_voxel: overlap is counted on clouds thinned to this (reference: 5 cm).
        overlap_radius: a point overlaps that has one of the other frame this near (7.5 cm).
        min_overlap: least overlap of a pair, the larger of both directions (0.30).
        match_radius: points this near match (1.5 voxels of 2.5 cm).
        tables: 'all' stores every match (about 0.8 MB for a pair of 640 x 480 frames), 'none' leaves matching to the
            data pipeline, which finds the same ones in some milliseconds.
        dtype: of stored positions, 'float32' or 'float16' (relative to the frame's middle, off by up to 2 mm at 8 m).
    """
    every: int = 1
    grid: float = 0.02
    max_depth: float = 10.0
    min_points: int = 100
    overlap_voxel: float = 0.05
    overlap_radius: float = 0.075
    min_overlap: float = 0.3
    match_radius: float = 0.0375
    tables: str = 'none'
    dtype: str = 'float32'

    def __post_init__(self) -> None:
        for name in ('grid', 'max_depth', 'overlap_voxel', 'overlap_radius', 'match_radius'):
            if not 0 < getattr(self, name) < 1e3:
                raise ValueError(f'{name} is {getattr(self, name)}; it must be a positive number of metres')
        if not 0 < self.min_overlap <= 1:
            raise ValueError(f'min_overlap is {self.min_overlap}; it must be a share in (0, 1]')
        if self.every < 1 or self.min_points < 1:
            raise ValueError(f'every={self.every}, min_points={self.min_points}: both must be at least 1')
        if self.tables not in ('all', 'none'):
            raise ValueError(f"tables is {self.tables!r}; it must be 'all' or 'none'")
        if self.dtype not in ('float16', 'float32'):
            raise ValueError(f"dtype is {self.dtype!r}; it must be 'float16' or 'float32'")


class _Stored(NamedTuple):
    """A frame that was written: its number, file (relative), positions (N, 3) float64 as stored, and frustum."""
    index: int
    path: str
    xyz: np.ndarray
    frustum: Frustum


def build_scene(name: str, scenes: Dict[str, Dict[str, Any]], base: Path, out: Path, unit: float,
                options: PairOptions) -> Dict[str, Any]:
    """Make and store the pairs of scan ``name``; its record is written last, so that a scan with a record is whole.

    Args:
        name: key of ``scenes``.
        scenes: entries of a frame list: ``frames``, ``root``, intrinsics.
        base: folder of the frame list, to which paths are relative where ``root`` is empty.
        out: target folder; files go below ``out/frame_pairs/<name>``.
        unit: metres of one depth step.

    Returns:
        dict: the record: ``pairs`` (as in the info file), ``frames``, ``skipped`` frames with reasons, ``files`` with
        sizes in bytes.

    Raises:
        SceneError: no pair could be made.
    """
    scene = scenes[name]
    folder = out / FOLDER / name
    stamp = dict(format=FORMAT, options=asdict(options), unit=unit, source=_digest(scene))
    known = _finished(folder / 'record.json', stamp, out)
    if known is not None:
        return _checked(known)
    chosen = scene['frames'][::options.every]
    if not chosen:
        raise SceneError(f'no frame with a pose and both images ({scene.get("lost", 0)} were left out in conversion)')
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'record.json').unlink(missing_ok=True)
    root = Path(base, scene.get('root') or '.')
    stored, skipped, files = _store_frames(chosen, scene, root, folder, out, unit, options)
    thinned = [grid_means(options.overlap_voxel, one.xyz)[0] for one in stored]
    found = find_overlaps(thinned, [one.frustum for one in stored], options.overlap_radius,
                          options.min_overlap) if len(stored) > 1 else []
    tables: List[Optional[Dict[str, Any]]] = [None] * len(found)
    if options.tables == 'all' and found:
        path = folder / 'matches.bin'
        with open_atomic(path) as file:
            tables = _write_tables(file, found, [one.xyz for one in stored], options.match_radius)
        relative = path.relative_to(out).as_posix()
        tables = [dict(path=relative, **table) for table in tables]
        files[relative] = path.stat().st_size
    pairs = [_entry(name, stored, one, table) for one, table in zip(found, tables)]
    record = dict(stamp=stamp, name=name, frames=len(stored), lost=scene.get('lost', 0), skipped=skipped, pairs=pairs,
                  files=files)
    write_atomic(folder / 'record.json', json.dumps(record).encode())
    _sweep(folder, {Path(file).name for file in files} | {'record.json'})
    return _checked(record)


def _checked(record: Dict[str, Any]) -> Dict[str, Any]:
    """The record, if it holds pairs."""
    if record['pairs']:
        return record
    reasons = record['skipped'][:1]
    more = f'; first of {len(record["skipped"])} skipped frames: {reasons[0][0]}: {reasons[0][1]}' if reasons else ''
    if record['frames'] < 2:
        raise SceneError(f'{record["frames"]} usable frames{more}')
    share = record['stamp']['options']['min_overlap']
    raise SceneError(f'no two of {record["frames"]} frames overlap by {share:.0%}{more}')


def _store_frames(chosen: Sequence[Dict[str, Any]], scene: Dict[str, Any], root: Path, folder: Path, out: Path,
                  unit: float, options: PairOptions) -> Tuple[List[_Stored], List[List[Any]], Dict[str, int]]:
    """Write every usable frame; returns them, [index, reason] of the others, and the sizes of the files."""
    cameras = read_cameras(dict(scene, frames=list(chosen)), root)
    stored: List[_Stored] = []
    skipped: List[List[Any]] = []
    files: Dict[str, int] = {}
    for frame in chosen:
        try:
            xyz, rgb, view = frame_cloud(frame, root, cameras, unit, options.max_depth)
            xyz, rgb = grid_means(options.grid, xyz, rgb)
            if len(xyz) < options.min_points:
                raise FrameError(f'only {len(xyz)} points')
        except FrameError as error:
            skipped.append([frame['index'], str(error)])
            continue
        path = folder / f'{frame["index"]}.npz'
        xyz = write_frame(path, xyz, np.round(rgb), frame_pose(frame), options.dtype)
        relative = path.relative_to(out).as_posix()
        files[relative] = path.stat().st_size
        stored.append(_Stored(frame['index'], relative, xyz, view))
    return stored, skipped, files


def _write_tables(file: BinaryIO, found: Sequence[Overlap], clouds: Sequence[np.ndarray],
                  radius: float) -> List[Dict[str, Any]]:
    """Append the table of every pair; returns their places in the order of ``found``."""
    tables: Dict[int, Dict[str, Any]] = {}
    # By second frame, whose index then is made once.
    for second in sorted({one.second for one in found}):
        index = RadiusIndex(clouds[second], radius)
        for place, one in enumerate(found):
            if one.second == second:
                tables[place] = append_table(file, *index.matches(clouds[one.first]))
    return [tables[place] for place in range(len(found))]


def _entry(name: str, stored: Sequence[_Stored], one: Overlap, table: Optional[Dict[str, Any]]) -> Dict[str, Any]:
    """A pair as the info file lists it."""
    first, second = stored[one.first], stored[one.second]
    entry = dict(scan=name, frames=[first.index, second.index], view0_path=first.path, view1_path=second.path,
                 num_points=[len(first.xyz), len(second.xyz)], overlap=one.ratio, shares=[one.forward, one.backward])
    if table is not None:
        entry['table'] = table
    return entry


def _digest(scene: Dict[str, Any]) -> str:
    """Fingerprint of what the frame list says of a scan."""
    plain = json.dumps({key: value for key, value in scene.items() if key != 'axis_align_matrix'}, sort_keys=True,
                       default=lambda value: np.asarray(value).tolist())
    return hashlib.sha1(plain.encode()).hexdigest()


def _finished(path: Path, stamp: Dict[str, Any], out: Path) -> Optional[Dict[str, Any]]:
    """The record at ``path`` if it was made from the same source with the same options and its files are whole."""
    try:
        record = json.loads(path.read_text())
        whole = record['stamp'] == stamp and all(
            (out / file).stat().st_size == size for file, size in record['files'].items())
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return record if whole else None


def _sweep(folder: Path, kept: set) -> None:
    """Remove what earlier runs, with other options or killed, left in the scan's folder."""
    for path in folder.iterdir():
        if path.is_file() and path.name not in kept and path.suffix in ('.npz', '.bin'):
            path.unlink()
    remove_leftovers(folder)
