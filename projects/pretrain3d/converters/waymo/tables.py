"""Components of a segment as the Perception v2 release lies on disk: a parquet file each, read one row at a time."""
import contextlib
import math
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..batch import SceneError

# waymo-open-dataset's LaserName; TOP is the only LiDAR with labels and with poses of pixels.
LASERS: Dict[int, str] = {1: 'TOP', 2: 'FRONT', 3: 'SIDE_LEFT', 4: 'SIDE_RIGHT', 5: 'REAR'}
TOP = 1
SIDES_MEND = 'fetch it again, or convert the top LiDAR alone (--lidars top)'
TIME, LASER = 'key.frame_timestamp_micros', 'key.laser_name'
Key = Tuple[int, int]  # time stamp and laser
Row = Dict[str, Optional[np.ndarray]]
# What is read at once of a column, however large its row groups are.
BUFFER = 1 << 20
# Bytes of rows that a table keeps because they lie before one that is asked for earlier.
KEPT = 256 << 20
# Folder -> class that names the columns.
COMPONENTS: Dict[str, str] = dict(
    lidar='LiDARComponent', lidar_calibration='LiDARCalibrationComponent', lidar_pose='LiDARPoseComponent',
    lidar_segmentation='LiDARSegmentationLabelComponent', vehicle_pose='VehiclePoseComponent')


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Let what comes of a damaged file name it.

    Beside its own exceptions pyarrow raises OSErrors and, over names of columns, UnicodeDecodeErrors; values that are
    missing, of another type than the release's or too large are ValueErrors, TypeErrors and OverflowErrors of ours.
    """
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, TypeError, OverflowError) as error:
        line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise SceneError(f'{path} cannot be read ({line}): torn or no parquet file; fetch it again') from error


class Table:
    """Rows of LiDARs (or of the vehicle) of one component, by the frames' time stamps.

    Rows are decoded one at a time. In whatever order they are asked for, a row group is decoded once: the rows that lie
    before the one that is wanted are kept until they are asked for, too, up to :data:`KEPT` bytes; those beyond are
    decoded again. In the file's order nothing is kept. Columns that are not asked for, row groups without a wanted row,
    and rows that :meth:`expect` does not name are not kept, nor, as far as parquet allows, read.

    Args:
        root: folder of a split. tag: one of :data:`COMPONENTS`. segment: context name.
        columns: ends of the columns' names, behind ``[Component].``. lasers: whose rows, of :data:`LASERS`.

    Raises:
        SceneError: the file is missing, torn, lacks a column, holds a row twice, or, if more than the top LiDAR is
            wanted, one of a LiDAR that Waymo has not.
    """

    def __init__(self, root: Path, tag: str, segment: str, columns: List[str],
                 lasers: Sequence[int] = (TOP, )) -> None:
        self.path, self._lasers = Path(root) / tag / f'{segment}.parquet', lasers
        if not self.path.is_file():
            raise SceneError(f'{self.path} does not exist; fetch {self.path.parent.parent.name}/{tag} of the release')
        self._prefix, self._columns = f'[{COMPONENTS[tag]}].', [f'[{COMPONENTS[tag]}].{name}' for name in columns]
        with _told(self.path):
            self._file = pq.ParquetFile(self.path, buffer_size=BUFFER, pre_buffer=False)
            held = self._file.schema_arrow.names
            # The calibration has no frames: its rows, one a LiDAR, stand for all of them.
            self._timed = tag != 'lidar_calibration'
            keys = [name for name in (TIME, LASER) if name in held]
        lacking = [name for name in self._columns + [TIME] * self._timed if name not in held]
        if lacking:
            raise SceneError(f'{self.path} has no column {lacking[0]!r}: it is no file of {tag} of Perception v2')
        self._places = self._index(keys)
        self._keys = {place: key for key, place in self._places.items()}
        # Row groups that are being decoded: rows to come, number of the next one. Rows that were passed over.
        self._open: Dict[int, Tuple[Iterator[pa.RecordBatch], int]] = {}
        self._kept: Dict[Key, Row] = {}
        self._due = set(self._places)

    def _index(self, keys: List[str]) -> Dict[Key, Tuple[int, int]]:
        """(time stamp, laser) -> (row group, row of it); the time stamp of a calibration is 0."""
        places: Dict[Key, Tuple[int, int]] = {}
        for group in range(self._file.num_row_groups):
            with _told(self.path):
                table = self._file.read_row_group(group, columns=keys, use_threads=False).to_pydict()
                count = self._file.metadata.row_group(group).num_rows
                # Through int64, which refuses what is no count of microseconds (OverflowError).
                times = [int(np.int64(int(time))) for time in table.get(TIME, [0] * count)]
                lasers = table.get(LASER, [TOP] * count)
                for row, key in enumerate(zip(times, lasers)):
                    if len(self._lasers) > 1 and key[1] not in LASERS:
                        raise SceneError(f'{self.path} holds a row of LiDAR {key[1]}, and Waymo has {min(LASERS)} to '
                                         f'{max(LASERS)}; {SIDES_MEND}')
                    if key[1] in self._lasers and places.setdefault(key, (group, row)) != (group, row):
                        raise SceneError(f'{self.path} holds {self._name(*key)} twice; fetch it again')
        return places

    def _name(self, time: int, laser: int) -> str:
        """What a row is called."""
        of = '' if laser == TOP else f' of the LiDAR {LASERS[laser]}'
        return f'frame {time}{of}' if self._timed else f'a calibration{of}'

    @property
    def times(self) -> List[int]:
        """Time stamps of the top LiDAR's (or the vehicle's) rows, in the file's order."""
        return [time for time, laser in self._places if laser == TOP]

    def place(self, time: int) -> Tuple[int, int]:
        """Row group and row of a frame's top LiDAR, to sort by; behind all others if there is none."""
        return self._places.get((time, TOP), (self._file.num_row_groups, 0))

    def expect(self, times: Iterable[int]) -> None:
        """Say which frames will be asked for: rows of others are not kept when they are passed over."""
        wanted = set(times)
        self._due = {key for key in self._places if key[0] in wanted}

    def row(self, time: int, laser: int = TOP) -> Row:
        """Column (as it was asked for) -> its values, flat; ``None`` where the file has none.

        Raises:
            SceneError: there is no such row, or it cannot be read.
        """
        key = time, laser
        if key not in self._places:
            of, frame = 'top LiDAR' if laser == TOP else f'LiDAR {LASERS[laser]}', f' for frame {time}' * self._timed
            raise SceneError(f'{self.path} has no row of the {of}{frame}'
                             + ('' if laser == TOP else f'; {SIDES_MEND}'))
        if key not in self._kept:
            with _told(self.path):
                self._decode(*self._places[key])
        self._due.discard(key)
        return self._kept.pop(key)

    def _decode(self, group: int, wanted: int) -> None:
        """Decode a row group up to a row; that row, and as many of those before it as may be, are kept."""
        batches, following = self._open.pop(group, (None, 0))
        if batches is None or wanted < following:
            batches, following = self._file.iter_batches(batch_size=1, row_groups=[group], columns=self._columns,
                                                         use_threads=False), 0
        room = KEPT - sum(values.nbytes for row in self._kept.values() for values in row.values() if values is not None)
        for number in range(following, wanted + 1):
            batch = next(batches, None)
            if batch is None:
                raise OSError(f'row group {group} ends before row {number}')
            key = self._keys.get((group, number))
            if number == wanted or (key in self._due and key not in self._kept and batch.nbytes <= room):
                room -= batch.nbytes
                self._kept[key] = {
                    name[len(self._prefix):]: _values(batch.column(batch.schema.get_field_index(name)))
                    for name in self._columns}
        if any(self._places[key][0] == group and key not in self._kept for key in self._due):
            self._open[group] = batches, wanted + 1

    def images(self, time: int, returns: int = 2, laser: int = TOP) -> List[Optional[np.ndarray]]:
        """Range images of a frame's returns, read in one go."""
        found, images = self.row(time, laser), []
        for number in range(1, returns + 1):
            values, shape = (found[f'range_image_return{number}.{kind}'] for kind in ('values', 'shape'))
            images.append(None if values is None or not len(values) else
                          self.shaped(self._name(time, laser), values, shape))
        return images

    def shaped(self, name: str, values: np.ndarray, shape: Optional[np.ndarray]) -> np.ndarray:
        """``values`` of the row called ``name`` in their ``shape``, which has to fit."""
        sizes = () if shape is None else tuple(shape.tolist())
        if (len(sizes) != 3 or not all(isinstance(size, int) and size >= 0 for size in sizes)
                or math.prod(sizes) != len(values)):
            told = 'none' if shape is None else sizes
            raise SceneError(f'{self.path}, {name}: {len(values)} values do not fill a range image of shape '
                             f'{told}; fetch it again')
        return values.reshape(sizes)


def _values(column: pa.Array) -> Optional[np.ndarray]:
    """The one entry of a column as an array.

    Raises:
        TypeError: it holds no numbers.
    """
    entry = column[0]
    if not entry.is_valid:
        return None
    listed = isinstance(entry, (pa.ListScalar, pa.LargeListScalar, pa.FixedSizeListScalar))
    values = entry.values.to_numpy(zero_copy_only=False) if listed else np.array([entry.as_py()])
    if values.dtype.kind not in 'iuf':
        raise TypeError(f'a column of {column.type} in place of numbers')
    return values


def image_columns(returns: int = 2) -> List[str]:
    """Columns of range images."""
    return [f'range_image_return{number}.{kind}' for number in range(1, returns + 1) for kind in ('values', 'shape')]
