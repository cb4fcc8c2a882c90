"""Converts Waymo's Perception v2 release, real or drawn, by segments: in parallel, resumably, whole files only."""
import functools
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from ...files import read_names, remove_leftovers, write_atomic
from ..batch import SceneError, convert_scenes, write_array
from .infos import COLUMNS, SPLITS, drop_other_list, entry, infos_path, labels_path, points_path, write_infos
from .segment import LIDARS, UNLABELLED, Segment

# To be raised whenever the same files are converted to others than before.
FORMAT = 1
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


def convert_segment(name: str, root: Path, wanted: Optional[Mapping[str, Set[int]]] = None,
                    lidars: str = 'top') -> Dict[str, Any]:
    """Convert the frames of a segment that no earlier run has converted from the same files and LiDARs.

    Args:
        name: '<split>/<segment>'. root: folder of the data set. wanted: segment -> time stamps of the frames of a
            split without labels; ``None``: all. Those with labels are converted where they have them.
        lidars: 'top' or 'all'.

    Returns:
        ``entries`` of the info file, ``bad`` (frame, reason), ``fresh``: frames that were converted now.

    Raises:
        SceneError: the segment cannot be read.
    """
    split, _, segment = name.partition('/')
    bad: List[Tuple[str, str]] = []
    if split == UNLABELLED and wanted is not None and not wanted.get(segment):
        return dict(entries=[], bad=bad, fresh=0)
    source = Segment(root, split, segment, lidars)
    stamp, known = _stamp(root, split, segment, lidars)
    folders = [(root / path(split, segment, 0)).parent for path in (points_path, labels_path)]
    if not known:
        for folder in folders:  # made from other files, or of other LiDARs
            shutil.rmtree(folder, ignore_errors=True)
        write_atomic(folders[0] / 'source.json', stamp)
    remove_leftovers(*folders)
    times = source.times()
    if split == UNLABELLED and wanted is not None:
        bad += [(f'{name}/{time}', f'{source.images.path} has no such frame')
                for time in sorted(wanted[segment] - set(times))]
        times = [time for time in times if time in wanted[segment]]
    files = {time: Files(root, split, segment, time, lidars) for time in times}
    counts = {time: files[time].counts() for time in times}
    source.expect(time for time in times if counts[time] is None)
    entries = []
    for time in times:
        try:
            count, top = counts[time] or files[time].write(source)
            entries.append(entry(split, segment, time, count, source.pose(time), top))
        except SceneError as error:
            bad.append((f'{name}/{time}', str(error)))
    fresh = sum(counts[each['timestamp']] is None for each in entries)
    return dict(entries=entries, bad=bad, fresh=fresh)


class Files:
    """The files of one frame.

    Args:
        root: folder of the data set. split, segment, time: of the frame. lidars: 'top' or 'all'; with 'all' one more
            file, ``points/<split>/<segment>/<timestamp>.top``, says how many points are the top LiDAR's.
    """

    def __init__(self, root: Path, split: str, segment: str, time: int, lidars: str) -> None:
        self.time, self.points = time, root / points_path(split, segment, time)
        self.labels = None if split == UNLABELLED else root / labels_path(split, segment, time)
        self.top = None if lidars == 'top' else self.points.with_suffix('.top')

    def write(self, source: Segment) -> Tuple[int, int]:
        """Convert the frame; returns the number of its points and how many of them are the top LiDAR's."""
        frame = source.frame(self.time)
        if self.top is not None:
            write_atomic(self.top, str(frame.top).encode())
        write_array(self.points, frame.points)
        if self.labels is not None:
            write_array(self.labels, frame.classes)
        return len(frame.points), frame.top

    def counts(self) -> Optional[Tuple[int, int]]:
        """As :meth:`write` returns them, if the files are whole."""
        try:
            count, rest = divmod(self.points.stat().st_size, 4 * COLUMNS)
            top = count if self.top is None else int(self.top.read_bytes())
            labelled = self.labels is None or self.labels.stat().st_size == count
        except (FileNotFoundError, ValueError):
            return None
        return (count, top) if labelled and not rest and 0 < top <= count else None


def _stamp(root: Path, split: str, segment: str, lidars: str) -> Tuple[bytes, bool]:
    """What a segment's frames are made from, and whether those that lie there were made from the same."""
    sizes = {tag: path.stat().st_size for tag in SOURCES
             for path in [root / split / tag / f'{segment}.parquet'] if path.is_file()}
    # Nothing is said of the top LiDAR alone: frames from before there was a choice stay valid.
    chosen = {} if lidars == 'top' else dict(lidars=lidars)
    stamp = json.dumps(dict(format=FORMAT, bytes=sizes, **chosen)).encode()
    file = (root / points_path(split, segment, 0)).with_name('source.json')
    return stamp, file.is_file() and file.read_bytes() == stamp


def convert_splits(root: Path, splits: Optional[Sequence[str]] = None, jobs: int = 1,
                   wanted: Optional[Mapping[str, Set[int]]] = None, quiet: bool = False,
                   lidars: str = 'top') -> Outcome:
    """Convert the download ``root`` and list its frames; a second run does only what is missing.

    A run with other ``lidars`` converts everything again. A split's list is then removed before its first frame is.

    Args:
        root: folder with training, validation, testing, or some of them. splits: of these; ``None``: those there are.
        jobs: processes. wanted, lidars: see :func:`convert_segment`. quiet: no progress.

    Raises:
        SceneError: there is nothing of the release, or ``wanted`` is given and testing is not among the splits.
        ValueError: ``lidars`` is neither 'top' nor 'all'. OSError: the disk is full.
    """
    root = Path(root)
    if lidars not in LIDARS:
        raise ValueError(f'unknown lidars {lidars!r}; choose one of {sorted(LIDARS)}')
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
        if names:
            drop_other_list(root, split, lidars)
        convert = functools.partial(convert_segment, root=root, wanted=wanted, lidars=lidars)
        done, failed = convert_scenes(convert, names, jobs, quiet)
        outcome.bad += failed + [line for record in done.values() for line in record['bad']]
        outcome.notes += [f'{name} has no labelled frame' for name, record in done.items()
                          if split != UNLABELLED and not record['entries'] and not record['bad']]
        entries = [each for record in done.values() for each in record['entries']]
        outcome.fresh += sum(record['fresh'] for record in done.values())
        if entries:
            write_infos(root, split, entries, lidars)
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
