"""Converts Waymo's Perception v2 release, real or drawn, by segments: in parallel, resumably, whole files only."""
import functools
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Set, Tuple

import numpy as np

from ...files import read_names, remove_leftovers, write_atomic
from ..batch import SceneError, convert_scenes, write_array
from .infos import COLUMNS, SPLITS, entry, infos_path, labels_path, points_path, write_infos
from .range_images import Calibration, to_points
from .tables import Table, image_columns

# To be raised whenever the same files are converted to others than before.
FORMAT = 1
CLASSES = 23
UNLABELLED = 'testing'
SOURCES = ('lidar', 'lidar_calibration', 'lidar_pose', 'vehicle_pose', 'lidar_segmentation')


@dataclass
class Outcome:
    """What a run made, and what it could not do.

    Attributes:
        frames: split -> frames in its info file. fresh: frames of them that this run converted.
        bad: (segment or frame, reason) of those that are in no info file. notes: lines on segments without labels.
        failed: (split, reason) of splits without a single frame; they have no info file, unless no file of theirs was
            there to convert and an earlier run wrote one.
    """
    frames: Dict[str, int] = field(default_factory=dict)
    fresh: int = 0
    bad: List[Tuple[str, str]] = field(default_factory=list)
    notes: List[str] = field(default_factory=list)
    failed: List[Tuple[str, str]] = field(default_factory=list)


def list_segments(root: Path, split: str) -> List[str]:
    """Context names of a split, of all that is in any of its components."""
    return sorted({path.stem for tag in ('lidar', 'lidar_segmentation')
                   for path in (Path(root) / split / tag).glob('*.parquet')})


def read_frames(path: Path) -> Dict[str, Set[int]]:
    """Segment -> time stamps, from lines ``segment,timestamp`` as Waymo lists the frames of its challenge.

    Raises:
        SceneError: a line is none of these, or there is none.
    """
    frames: Dict[str, Set[int]] = {}
    for number, line in enumerate(read_names(path), 1):
        segment, _, time = line.partition(',')
        if not segment or not time.strip().isdigit():
            raise SceneError(f'{path}, line {number}: {line[:60]!r} is no segment,timestamp')
        frames.setdefault(segment.strip(), set()).add(int(time))
    if not frames:
        raise SceneError(f'{path} names no frame: it must hold lines segment,timestamp')
    return frames


class Segment:
    """One segment's components, opened.

    Args:
        root: folder of the data set. split, name: of the segment.

    Raises:
        SceneError: a file is missing, torn, or of another kind.
    """

    def __init__(self, root: Path, split: str, name: str) -> None:
        folder, self.split, self.name = Path(root) / split, split, name
        self.labels: Optional[Table] = None
        if split != UNLABELLED:
            self.labels = Table(folder, 'lidar_segmentation', name, image_columns())
        self.images = Table(folder, 'lidar', name, image_columns())
        self.poses = Table(folder, 'lidar_pose', name, image_columns(1))
        # Small: read once, whatever the order of its rows.
        vehicle = Table(folder, 'vehicle_pose', name, ['world_from_vehicle.transform'])
        self._vehicle = vehicle.path
        self._vehicles = {time: vehicle.row(time)['world_from_vehicle.transform'] for time in vehicle.times}
        beams = [f'beam_inclination.{kind}' for kind in ('min', 'max', 'values')]
        table = Table(folder, 'lidar_calibration', name, ['extrinsic.transform', *beams])
        found = table.row(0)
        low, high, values = (found[name] for name in beams)
        extrinsic = _rigid(found['extrinsic.transform'])
        ends = [np.nan if end is None or len(end) != 1 else float(end[0]) for end in (low, high)]
        if extrinsic is None or (values is None and not np.isfinite(ends).all()):
            raise SceneError(f'{table.path} lacks the extrinsic or the inclinations of the top LiDAR; fetch it again')
        self.calibration = Calibration(extrinsic, *ends, values)

    def times(self) -> List[int]:
        """Time stamps of the frames to convert: those with labels (without labels: all).

        They come in the order of the LiDAR's file, the largest one and the only one with the rows of all LiDARs.
        """
        return sorted((self.images if self.labels is None else self.labels).times, key=self.images.place)

    def pose(self, time: int) -> np.ndarray:
        """(4, 4) vehicle to world at a frame."""
        found = _rigid(self._vehicles.get(time))
        if found is None:
            raise SceneError(f'{self._vehicle} has no pose of frame {time}; fetch it again')
        return found

    def frame(self, time: int) -> Tuple[np.ndarray, Optional[np.ndarray]]:
        """(N, 5) float32 points of a frame and (N,) uint8 raw classes, ``None`` where there are no labels.

        Raises:
            SceneError: something of it is missing, torn, or does not go together.
        """
        poses, vehicle = self.poses.images(time, 1)[0], self.pose(time)
        if poses is None:
            raise SceneError(f'{self.poses.path} has no poses of frame {time}')
        labels = [None, None] if self.labels is None else self.labels.images(time)
        clouds, classes = [], []
        for image, label in zip(self.images.images(time), labels):
            if image is None:  # nothing came back
                continue
            try:
                points, pixel = to_points(image, self.calibration, poses, vehicle)
                clouds.append(points)
                classes.append(_classes(label, image.shape, pixel))
            except ValueError as error:
                raise SceneError(f'{self.images.path}, frame {time}: {error}') from error
        if not sum(map(len, clouds)):
            raise SceneError(f'{self.images.path}, frame {time}: nothing came back, there is no point')
        return np.concatenate(clouds), None if self.labels is None else np.concatenate(classes)


def _rigid(values: Optional[np.ndarray]) -> Optional[np.ndarray]:
    """(4, 4) of a pose's 16 values; ``None`` where they are none."""
    if values is None or values.shape != (16, ) or not np.isfinite(values).all():
        return None
    matrix = values.reshape(4, 4)
    with np.errstate(all='ignore'):
        return matrix if abs(np.linalg.det(matrix[:3, :3]) - 1) < 0.01 else None


def _classes(label: Optional[np.ndarray], shape: Sequence[int], pixel: np.ndarray) -> np.ndarray:
    """(N,) uint8 raw classes at the pixels of points; undefined where a return was not labelled at all."""
    if label is None:
        return np.zeros(len(pixel), np.uint8)
    if label.shape != (*shape[:2], 2):
        raise ValueError(f'labels of shape {label.shape} do not fit a range image of shape {tuple(shape)}')
    raw = label.reshape(-1, 2)[pixel, 1]
    with np.errstate(invalid='ignore'):  # NaN in place of a class is told here
        if len(raw) and not 0 <= raw.min() <= raw.max() < CLASSES:
            raise ValueError(f'classes from {raw.min()} to {raw.max()}; Waymo has 0 to {CLASSES - 1}')
    return raw.astype(np.uint8)


def convert_segment(name: str, root: Path, wanted: Optional[Mapping[str, Set[int]]] = None) -> Dict[str, Any]:
    """Convert the frames of a segment that no earlier run has converted from the same files.

    Args:
        name: '<split>/<segment>'. root: folder of the data set. wanted: segment -> time stamps of the frames of a
            split without labels; ``None``: all. Those with labels are converted where they have them.

    Returns:
        ``entries`` of the info file, ``bad`` (frame, reason), ``fresh``: frames that were converted now.

    Raises:
        SceneError: the segment cannot be read.
    """
    split, _, segment = name.partition('/')
    bad: List[Tuple[str, str]] = []
    if split == UNLABELLED and wanted is not None and not wanted.get(segment):
        return dict(entries=[], bad=bad, fresh=0)
    source = Segment(root, split, segment)
    stamp, known = _stamp(root, split, segment)
    folders = [(root / path(split, segment, 0)).parent for path in (points_path, labels_path)]
    if not known:
        for folder in folders:  # made from other files
            shutil.rmtree(folder, ignore_errors=True)
        write_atomic(folders[0] / 'source.json', stamp)
    remove_leftovers(*folders)
    times = source.times()
    if split == UNLABELLED and wanted is not None:
        bad += [(f'{name}/{time}', f'{source.images.path} has no such frame')
                for time in sorted(wanted[segment] - set(times))]
        times = [time for time in times if time in wanted[segment]]
    entries, fresh = [], 0
    for time in times:
        files = root / points_path(split, segment, time), root / labels_path(split, segment, time)
        count = _whole(*files, split != UNLABELLED)
        try:
            if not count:
                count = _write(source, time, *files)
                fresh += 1
            entries.append(entry(split, segment, time, count, source.pose(time)))
        except SceneError as error:
            bad.append((f'{name}/{time}', str(error)))
    return dict(entries=entries, bad=bad, fresh=fresh)


def _write(source: Segment, time: int, points: Path, labels: Path) -> int:
    """Write a frame, its labels last; returns the number of its points."""
    cloud, classes = source.frame(time)
    write_array(points, cloud)
    if classes is not None:
        write_array(labels, classes)
    return len(cloud)


def _whole(points: Path, labels: Path, labelled: bool) -> int:
    """Number of points of a frame whose files are whole, else 0."""
    try:
        count, rest = divmod(points.stat().st_size, 4 * COLUMNS)
        return 0 if rest or (labelled and labels.stat().st_size != count) else count
    except FileNotFoundError:
        return 0


def _stamp(root: Path, split: str, segment: str) -> Tuple[bytes, bool]:
    """What a segment's frames are made from, and whether those that lie there were made from the same files."""
    sizes = {tag: path.stat().st_size for tag in SOURCES
             for path in [root / split / tag / f'{segment}.parquet'] if path.is_file()}
    stamp = json.dumps(dict(format=FORMAT, bytes=sizes)).encode()
    file = (root / points_path(split, segment, 0)).with_name('source.json')
    return stamp, file.is_file() and file.read_bytes() == stamp


def convert_splits(root: Path, splits: Optional[Sequence[str]] = None, jobs: int = 1,
                   wanted: Optional[Mapping[str, Set[int]]] = None, quiet: bool = False) -> Outcome:
    """Convert the download ``root`` and list its frames; a second run does only what is missing.

    Args:
        root: folder with training, validation, testing, or some of them. splits: of these; ``None``: those there are.
        jobs: processes. wanted: see :func:`convert_segment`. quiet: no progress.

    Raises:
        SceneError: there is nothing of the release, or ``wanted`` is given and testing is not among the splits.
        OSError: the disk is full.
    """
    root = Path(root)
    segments = {split: list_segments(root, split) for split in SPLITS if (root / split).is_dir()}
    chosen = [split for split in SPLITS if segments.get(split)] if splits is None else list(splits)
    if not chosen:
        raise SceneError(f'{root} holds no training/lidar/*.parquet, nor of validation or testing: it must be the '
                         'folder of the Perception v2 release, or a drawn street (make_world.py street OUT --as waymo)')
    if wanted is not None and UNLABELLED not in chosen:
        why = (f'{root / UNLABELLED}/lidar holds no parquet file' if splits is None else
               f'it is not among the splits {", ".join(chosen)}')
        raise SceneError(f'frames of testing are named (--test-frames), but testing is not converted: {why}')
    remove_leftovers(root)
    outcome = Outcome()
    for split in chosen:
        names, before = [f'{split}/{segment}' for segment in segments.get(split, [])], len(outcome.bad)
        if split == UNLABELLED:
            absent = sorted(set(wanted or ()) - set(segments.get(split, [])))
            outcome.bad += [(f'{split}/{segment}', f'{len(wanted[segment])} frames of it are wanted, but it is absent')
                            for segment in absent]
        done, failed = convert_scenes(functools.partial(convert_segment, root=root, wanted=wanted), names, jobs, quiet)
        outcome.bad += failed + [line for record in done.values() for line in record['bad']]
        outcome.notes += [f'{name} has no labelled frame' for name, record in done.items()
                          if split != UNLABELLED and not record['entries'] and not record['bad']]
        entries = [each for record in done.values() for each in record['entries']]
        outcome.fresh += sum(record['fresh'] for record in done.values())
        if entries:
            write_infos(root, split, entries)
            outcome.frames[split] = len(entries)
        else:
            why = _nothing(root, split, len(names), outcome.bad[before:])
            outcome.failed.append((split, why + (_drop_list(root, split) if names else '')))
    return outcome


def _nothing(root: Path, split: str, count: int, bad: Sequence[Tuple[str, str]]) -> str:
    """Why none of a split's ``count`` segments gave a frame, and what to do."""
    if not count:
        return f'{root / split}/lidar holds no parquet file: fetch it'
    if bad:
        return f'no frame of its {count} segments could be converted; first: {bad[0][0]}: {bad[0][1]}'
    if split == UNLABELLED:
        return f'no frame in its {count} segments: is {root / split}/lidar complete?'
    return f'no labelled frame in its {count} segments: is {root / split}/lidar_segmentation complete?'


def _drop_list(root: Path, split: str) -> str:
    """Remove the list of an earlier run, whose frames were made from other files and may be gone; says so."""
    old = infos_path(root, split)
    if not old.is_file():
        return ''
    old.unlink()
    return f'; {old}, a list of an earlier run, was removed'
