"""One segment of the release, opened: its frames as points and raw classes, of the top LiDAR or of all five."""
from pathlib import Path
from typing import Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from ..batch import SceneError
from .range_images import Calibration, to_points
from .tables import LASERS, SIDES_MEND, TOP, Table, image_columns

CLASSES = 23
UNLABELLED = 'testing'
# Whose points are converted, in this order.
LIDARS: Dict[str, Tuple[int, ...]] = dict(top=(TOP, ), all=tuple(sorted(LASERS)))


class Frame(NamedTuple):
    """A frame, converted.

    Attributes:
        points: (N, 5) float32 x y z intensity elongation. classes: (N,) uint8 raw, ``None`` where there are no labels.
        top: the first so many points are the top LiDAR's.
    """
    points: np.ndarray
    classes: Optional[np.ndarray]
    top: int


class Segment:
    """One segment's components, opened.

    Args:
        root: folder of the data set. split, name: of the segment. lidars: one of :data:`LIDARS`.

    Raises:
        SceneError: a file is missing, torn, or of another kind.
    """

    def __init__(self, root: Path, split: str, name: str, lidars: str = 'top') -> None:
        folder, self.split, self.name, self.lasers = Path(root) / split, split, name, LIDARS[lidars]
        self.labels: Optional[Table] = None
        if split != UNLABELLED:
            self.labels = Table(folder, 'lidar_segmentation', name, image_columns())
        self.images = Table(folder, 'lidar', name, image_columns(), self.lasers)
        self.poses = Table(folder, 'lidar_pose', name, image_columns(1))
        # Small: read once, whatever the order of its rows.
        vehicle = Table(folder, 'vehicle_pose', name, ['world_from_vehicle.transform'])
        self._vehicle = vehicle.path
        self._vehicles = {time: vehicle.row(time)['world_from_vehicle.transform'] for time in vehicle.times}
        beams = [f'beam_inclination.{kind}' for kind in ('min', 'max', 'values')]
        table = Table(folder, 'lidar_calibration', name, ['extrinsic.transform', *beams], self.lasers)
        self.calibrations = {laser: _calibration(table, laser) for laser in self.lasers}

    def times(self) -> List[int]:
        """Time stamps of the frames to convert: those with labels (without labels: all).

        They come in the order of the LiDAR's file, the largest one and the only one with the rows of all LiDARs.
        """
        return sorted((self.images if self.labels is None else self.labels).times, key=self.images.place)

    def expect(self, times: Iterable[int]) -> None:
        """Say which frames will be asked for, so that rows of others are not kept."""
        times = list(times)
        for table in (self.images, self.poses, self.labels):
            if table is not None:
                table.expect(times)

    def pose(self, time: int) -> np.ndarray:
        """(4, 4) vehicle to world at a frame."""
        found = _rigid(self._vehicles.get(time))
        if found is None:
            raise SceneError(f'{self._vehicle} has no pose of frame {time}; fetch it again')
        return found

    def frame(self, time: int) -> Frame:
        """A frame: the top LiDAR's points, first and second return, then those of the others, which have no labels.

        Raises:
            SceneError: something of it is missing, torn, or does not go together.
        """
        poses, vehicle = self.poses.images(time, 1)[0], self.pose(time)
        if poses is None:
            raise SceneError(f'{self.poses.path} has no poses of frame {time}')
        labels = [None, None] if self.labels is None else self.labels.images(time)
        made = self._returns(time, TOP, labels, poses, vehicle)
        top = sum(len(points) for points, _ in made)
        if not top:
            raise SceneError(f'{self.images.path}, frame {time}: nothing came back, there is no point')
        for laser in self.lasers[1:]:
            made += self._returns(time, laser, [None, None])
        points, classes = (np.concatenate(parts) for parts in zip(*made))
        return Frame(points, None if self.labels is None else classes, top)

    def _returns(self, time: int, laser: int, labels: Sequence[Optional[np.ndarray]],
                 poses: Optional[np.ndarray] = None,
                 vehicle: Optional[np.ndarray] = None) -> List[Tuple[np.ndarray, np.ndarray]]:
        """Points and raw classes of every return of a LiDAR that there is."""
        made, images = [], self.images.images(time, laser=laser)
        try:
            shapes = {image.shape[:2] for image in images if image is not None}
            if len(shapes) > 1:
                raise ValueError(f'returns of {" and of ".join(map(str, sorted(shapes)))} rows and columns')
            for image, label in zip(images, labels):
                if image is not None:  # else nothing came back
                    points, pixel = to_points(image, self.calibrations[laser], poses, vehicle)
                    made.append((points, _classes(label, image.shape, pixel)))
        except ValueError as error:
            of, mend = ('', '') if laser == TOP else (f' of the LiDAR {LASERS[laser]}', f'; {SIDES_MEND}')
            raise SceneError(f'{self.images.path}, frame {time}{of}: {error}{mend}') from error
        return made


def _calibration(table: Table, laser: int) -> Calibration:
    """A LiDAR's."""
    found = table.row(0, laser)
    low, high, values = (found[f'beam_inclination.{kind}'] for kind in ('min', 'max', 'values'))
    extrinsic = _rigid(found['extrinsic.transform'])
    ends = [np.nan if end is None or len(end) != 1 else float(end[0]) for end in (low, high)]
    listed = values is not None and len(values) > 0
    if extrinsic is None or not np.isfinite(values if listed else ends).all():
        of, mend = ('top LiDAR', 'fetch it again') if laser == TOP else (f'LiDAR {LASERS[laser]}', SIDES_MEND)
        raise SceneError(f'{table.path} lacks the extrinsic or the inclinations of the {of}; {mend}')
    return Calibration(extrinsic, *ends, values)


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
