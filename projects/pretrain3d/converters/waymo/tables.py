"""Components of a segment as the Perception v2 release lies on disk: a parquet file each, read one row at a time."""
import contextlib
import math
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Tuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..batch import SceneError

TOP = 1  # LaserName.TOP: the only LiDAR with labels
TIME, LASER = 'key.frame_timestamp_micros', 'key.laser_name'
# What is read at once of a column, however large its row groups are.
BUFFER = 1 << 20
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
    """Rows of the top LiDAR (or of the vehicle) of one component, by the frames' time stamps.

    Rows are read one at a time and in any order; in the file's order each is decoded once, and a row before the last
    one decodes its row group from the front again. Columns that are not asked for, and row groups without a wanted row,
    are not read.

    Args:
        root: folder of a split. tag: one of :data:`COMPONENTS`. segment: context name.
        columns: ends of the columns' names, behind ``[Component].``.

    Raises:
        SceneError: the file is missing, torn, or lacks a column.
    """

    def __init__(self, root: Path, tag: str, segment: str, columns: List[str]) -> None:
        self.path = Path(root) / tag / f'{segment}.parquet'
        if not self.path.is_file():
            raise SceneError(f'{self.path} does not exist; fetch {self.path.parent.parent.name}/{tag} of the release')
        self._prefix, self._columns = f'[{COMPONENTS[tag]}].', [f'[{COMPONENTS[tag]}].{name}' for name in columns]
        with _told(self.path):
            self._file = pq.ParquetFile(self.path, buffer_size=BUFFER, pre_buffer=False)
            held = self._file.schema_arrow.names
            # The calibration has no frames: its one row stands for all of them.
            keys = [name for name in (TIME, LASER) if name in held]
        lacking = [name for name in self._columns + [TIME] * (tag != 'lidar_calibration') if name not in held]
        if lacking:
            raise SceneError(f'{self.path} has no column {lacking[0]!r}: it is no file of {tag} of Perception v2')
        self._places = self._index(keys)
        self._batches, self._group, self._next = iter(()), -1, 0

    def _index(self, keys: List[str]) -> Dict[int, Tuple[int, int]]:
        """Time stamp -> (row group, row of it); 0 -> ... of a calibration."""
        places: Dict[int, Tuple[int, int]] = {}
        for group in range(self._file.num_row_groups):
            with _told(self.path):
                table = self._file.read_row_group(group, columns=keys, use_threads=False).to_pydict()
                count = self._file.metadata.row_group(group).num_rows
                # Through int64, which refuses what is no count of microseconds (OverflowError).
                times = [int(np.int64(int(time))) for time in table.get(TIME, [0] * count)]
                lasers = table.get(LASER, [TOP] * count)
            for row, (time, laser) in enumerate(zip(times, lasers)):
                if laser == TOP and places.setdefault(time, (group, row)) != (group, row):
                    raise SceneError(f'{self.path} holds frame {time} twice; fetch it again')
        return places

    @property
    def times(self) -> List[int]:
        """Time stamps of the rows, in the file's order."""
        return list(self._places)

    def place(self, time: int) -> Tuple[int, int]:
        """Row group and row of a frame, to sort by; behind all others if there is none."""
        return self._places.get(time, (self._file.num_row_groups, 0))

    def row(self, time: int) -> Dict[str, Optional[np.ndarray]]:
        """Column (as it was asked for) -> its values, flat; ``None`` where the file has none.

        Raises:
            SceneError: there is no such row, or it cannot be read.
        """
        if time not in self._places:
            raise SceneError(f'{self.path} has no row of the top LiDAR for frame {time}')
        group, row = self._places[time]
        with _told(self.path):
            if group != self._group or row < self._next:
                self._batches = self._file.iter_batches(batch_size=1, row_groups=[group], columns=self._columns,
                                                        use_threads=False)
                self._group, self._next = group, 0
            while self._next <= row:
                batch = next(self._batches, None)
                if batch is None:
                    raise OSError(f'row group {group} ends before row {self._next}')
                self._next += 1
            return {name[len(self._prefix):]: _values(batch.column(batch.schema.get_field_index(name)))
                    for name in self._columns}

    def images(self, time: int, returns: int = 2) -> List[Optional[np.ndarray]]:
        """Range images of a frame's returns, read in one go."""
        found, images = self.row(time), []
        for number in range(1, returns + 1):
            values, shape = (found[f'range_image_return{number}.{kind}'] for kind in ('values', 'shape'))
            images.append(None if values is None or not len(values) else self.shaped(time, values, shape))
        return images

    def shaped(self, time: int, values: np.ndarray, shape: Optional[np.ndarray]) -> np.ndarray:
        """``values`` in their ``shape``, which has to fit."""
        sizes = () if shape is None else tuple(shape.tolist())
        if (len(sizes) != 3 or not all(isinstance(size, int) and size >= 0 for size in sizes)
                or math.prod(sizes) != len(values)):
            told = 'none' if shape is None else sizes
            raise SceneError(f'{self.path}, frame {time}: {len(values)} values do not fill a range image of shape '
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
