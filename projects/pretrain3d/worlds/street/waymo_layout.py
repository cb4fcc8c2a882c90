"""Streets on disk as Waymo's Perception v2 release: a folder for each component, in it a parquet file per segment.

``OUT/<training|validation>/<component>/<segment>.parquet`` with the release's column names and types, for the
components that LiDAR segmentation needs: ``lidar`` and ``lidar_calibration`` of all five LiDARs (:mod:`.waymo_sides`
draws four), the others of the top one, which alone has labels and poses of its pixels. A frame every 0.1 s; every fifth
has labels, which is the rhythm of the frames that Waymo names for its segmentation challenge. A frame's time and pose
are those of the turn's begin, the top LiDAR's sweep is taken in its middle, 50 ms later, and at once (the drawn LiDAR
does not smear); so every pixel has the same pose, which is not the frame's. LiDARs are mounted turned, as Waymo's are,
which no point shows.
"""
import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Optional

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ...files import open_atomic, write_atomic
from .build import Writer
from .presets import SCENES, VERSION, StreetPreset
from .rays import stream
from .rig import LIDARS, rotation_matrix, yaw_quaternion
from .scene import Street, draw_street
from .waymo_images import RangeImages, pose_image, range_images
from .waymo_labels import waymo_labels
from .waymo_sides import HIGH, LOW, SIDES, observe_side

LAYOUT = 3
FRAME_GAP, HALF_TURN = 0.1, 0.05  # seconds
LABEL_EVERY = 5
TOP = 1  # LaserName.TOP
MOUNT_YAW = np.radians(148.0)
FOLDERS = dict(train='training', val='validation')
# Which street a segment is; written last.
INDEX = 'scenes.json'

_SEGMENT, _FRAME = ('key.segment_context_name', pa.string()), ('key.frame_timestamp_micros', pa.int64())
_LASER, _TRANSFORM = ('key.laser_name', pa.int8()), pa.list_(pa.float64(), 16)


def _image_columns(component: str, value: pa.DataType, returns: int = 2) -> List[tuple]:
    """Columns of flattened range images and their shapes."""
    return [(f'[{component}].range_image_return{number}.{kind}', type_) for number in range(1, returns + 1)
            for kind, type_ in (('values', pa.list_(value)), ('shape', pa.list_(pa.int32(), 3)))]


SCHEMAS: Dict[str, pa.Schema] = {tag: pa.schema(columns) for tag, columns in dict(
    lidar=[_SEGMENT, _FRAME, _LASER, *_image_columns('LiDARComponent', pa.float32())],
    lidar_calibration=[
        _SEGMENT, _LASER, ('[LiDARCalibrationComponent].extrinsic.transform', _TRANSFORM),
        *((f'[LiDARCalibrationComponent].beam_inclination.{end}', pa.float64()) for end in ('min', 'max')),
        ('[LiDARCalibrationComponent].beam_inclination.values', pa.list_(pa.float64()))],
    lidar_segmentation=[_SEGMENT, _FRAME, _LASER, *_image_columns('LiDARSegmentationLabelComponent', pa.int32())],
    lidar_pose=[_SEGMENT, _FRAME, _LASER, *_image_columns('LiDARPoseComponent', pa.float32(), 1)],
    vehicle_pose=[_SEGMENT, _FRAME, ('[VehiclePoseComponent].world_from_vehicle.transform', _TRANSFORM)],
).items()}


def frame_times(preset: StreetPreset) -> np.ndarray:
    """(T,) seconds of a scene's frames."""
    return np.arange(int(round(preset.duration / FRAME_GAP)) + 1) * FRAME_GAP


def segment_name(name: str, preset: StreetPreset, seed: int) -> str:
    """The context name of a scene: the number of a drive, and between which of its milliseconds the segment lies."""
    drive = int(hashlib.md5(f'waymo/{preset.name}/{seed}/{name}'.encode()).hexdigest()[:16], 16)
    ends = (20000, 20000 + int(round(1000 * preset.duration)))
    return f'{drive}_' + '_'.join(f'{end // 1000}_{end % 1000:03d}' for end in ends)


def time_stamps(name: str, preset: StreetPreset, seed: int) -> np.ndarray:
    """(T,) int64 microseconds of the frames: 0.1 s apart, but for some microseconds, as a turning LiDAR's are."""
    rng = stream(seed, name, 'waymo')
    start = 1_550_000_000_000_000 + int(rng.integers(0, 10 ** 13))
    times = frame_times(preset)
    return start + np.rint(1e6 * times).astype(np.int64) + rng.integers(-40, 41, len(times))


def extrinsic(street: Street) -> np.ndarray:
    """(4, 4) LiDAR to vehicle. Columns of a range image count from behind the vehicle, however the LiDAR is turned."""
    pose = street.rig['LIDAR_TOP'].pose.copy()
    pose[:3, :3] = pose[:3, :3] @ rotation_matrix(yaw_quaternion(MOUNT_YAW))
    return pose


def _row(tag: str, values: Dict[str, Any]) -> pa.Table:
    """A table of one row; arrays flattened, ``None`` is null."""
    schema, arrays = SCHEMAS[tag], []
    for field in schema:
        value = values[field.name]
        if value is None:
            arrays.append(pa.nulls(1, field.type))
        elif pa.types.is_list(field.type) or pa.types.is_fixed_size_list(field.type):
            flat = pa.array(np.ascontiguousarray(value).reshape(-1), field.type.value_type)
            arrays.append(pa.FixedSizeListArray.from_arrays(flat, len(flat)) if pa.types.is_fixed_size_list(field.type)
                          else pa.ListArray.from_arrays(pa.array([0, len(flat)], pa.int32()), flat))
        else:
            arrays.append(pa.array([value], field.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def _images(tag: str, component: str, keys: Dict[str, Any], *images: np.ndarray) -> pa.Table:
    """A row of range images."""
    values = dict(keys)
    for number, image in enumerate(images, 1):
        values[f'[{component}].range_image_return{number}.values'] = image
        values[f'[{component}].range_image_return{number}.shape'] = np.array(image.shape, np.int32)
    return _row(tag, values)


def _calibration(keys: Dict[str, Any], pose: np.ndarray, low: float, high: float,
                 beams: Optional[np.ndarray] = None) -> pa.Table:
    """A row of a LiDAR; without ``beams`` they are even between ``low`` and ``high``."""
    component = '[LiDARCalibrationComponent]'
    return _row('lidar_calibration', {
        **keys, f'{component}.extrinsic.transform': pose, f'{component}.beam_inclination.min': low,
        f'{component}.beam_inclination.max': high, f'{component}.beam_inclination.values': beams})


@contextlib.contextmanager
def _writers(folder: Path, segment: str) -> Iterator[Dict[str, pq.ParquetWriter]]:
    """A writer for each component's file; the files appear when all rows are written."""
    with contextlib.ExitStack() as stack:
        files = {tag: stack.enter_context(open_atomic(folder / tag / f'{segment}.parquet')) for tag in SCHEMAS}
        yield {tag: stack.enter_context(pq.ParquetWriter(file, SCHEMAS[tag], compression='zstd', use_dictionary=False))
               for tag, file in files.items()}


def observe(street: Street, number: int, time: float) -> RangeImages:
    """What the LiDAR sees of frame ``number``, which begins at ``time``."""
    moment, model = time + HALF_TURN, LIDARS['waymo']
    sweep = street.lidar(moment, number)
    instances, classes = waymo_labels(sweep, street.instances, moment)
    width = int(round(street.preset.azimuths * model.azimuth_factor))
    return range_images(sweep, instances, classes, len(model.elevations), width)


def draw(root: Path, name: str, preset: StreetPreset, seed: int) -> Dict[str, Any]:
    """Write a scene as a segment; returns which it is, and of how many frames."""
    street, segment = draw_street(name, preset, seed, 'waymo'), segment_name(name, preset, seed)
    folder, stamps = FOLDERS[dict(SCENES)[name]], time_stamps(name, preset, seed)
    laser, beams = {'key.segment_context_name': segment, 'key.laser_name': TOP}, LIDARS['waymo'].elevations
    with _writers(root / folder, segment) as writers:
        writers['lidar_calibration'].write_table(_calibration(laser, extrinsic(street), beams[0], beams[-1], beams))
        for side in SIDES.values():
            writers['lidar_calibration'].write_table(_calibration(
                {**laser, 'key.laser_name': side.laser}, side.extrinsic, LOW, HIGH))
        for number, time in enumerate(frame_times(preset).tolist()):
            keys = {**laser, 'key.frame_timestamp_micros': int(stamps[number])}
            seen = observe(street, number, time)
            poses = pose_image(street.ego_pose(time + HALF_TURN), *seen.first.shape[:2])
            writers['lidar'].write_table(_images('lidar', 'LiDARComponent', keys, seen.first, seen.second))
            for place, side in SIDES.items():
                near = observe_side(street, place, number, time)
                writers['lidar'].write_table(_images(
                    'lidar', 'LiDARComponent', {**keys, 'key.laser_name': side.laser}, near.first, near.second))
            writers['lidar_pose'].write_table(_images('lidar_pose', 'LiDARPoseComponent', keys, poses))
            writers['vehicle_pose'].write_table(_row('vehicle_pose', {
                **keys, '[VehiclePoseComponent].world_from_vehicle.transform': street.ego_pose(time)}))
            if number % LABEL_EVERY == 0:
                writers['lidar_segmentation'].write_table(_images(
                    'lidar_segmentation', 'LiDARSegmentationLabelComponent', keys, seen.first_labels,
                    seen.second_labels))
    return dict(scene=name, split=folder, segment=segment, frames=len(stamps),
                labelled=-(-len(stamps) // LABEL_EVERY))


def finish(root: Path, records: Iterable[Dict[str, Any]], preset: StreetPreset) -> None:
    """Write which scene every segment is."""
    index = {record['segment']: {key: record[key] for key in ('scene', 'split', 'frames', 'labelled')}
             for record in records}
    write_atomic(root / INDEX, json.dumps(index, indent=1).encode())


def is_whole(root: Path) -> bool:
    """Whether ``finish`` has come to its end."""
    return (root / INDEX).is_file()


def folders(root: Path) -> List[Path]:
    """Every folder that files are written to."""
    return [root, *(root / split / tag for split in FOLDERS.values() for tag in SCHEMAS)]


WRITER = Writer(mark='street as=waymo', version=f'{VERSION}.{LAYOUT}', draw=draw, finish=finish, is_whole=is_whole,
                folders=folders)
