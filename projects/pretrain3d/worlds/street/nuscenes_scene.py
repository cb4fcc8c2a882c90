"""One drawn street as files and records of nuScenes: what its sensors saw, and where they and everything else were."""
import io
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

import numpy as np
from PIL import Image

from ...files import write_atomic
from ...label_spaces import NUSCENES_LIDARSEG
from .nuscenes_annotations import annotate
from .nuscenes_boxes import View
from .nuscenes_taxonomy import LIDAR, VERSION_NAME, token
from .presets import StreetPreset
from .rig import CAMERA_DELAY, Sensor, rig
from .scene import LidarSweep, Street, draw_street

# When each scene was "recorded": vehicle n015 drives in Singapore, n008 in Boston. The streets are drawn.
DRIVES = {
    'scene-0061': '2018-07-24-11-22-45', 'scene-0103': '2018-08-01-15-16-36', 'scene-0553': '2018-08-28-20-48-16',
    'scene-0655': '2018-08-27-11-48-51', 'scene-0757': '2018-08-30-15-16-55', 'scene-0796': '2018-10-02-10-50-40',
    'scene-0916': '2018-10-08-15-36-50', 'scene-1077': '2018-11-21-19-21-35', 'scene-1094': '2018-11-21-19-38-26',
    'scene-1100': '2018-11-21-19-55-12'}
# The tokens of a sensor that has no measurement before or after it.
NONE = ''
# As nuScenes' images were encoded.
JPEG = dict(format='JPEG', quality=80, subsampling=2)
Tables = Dict[str, List[dict]]


@dataclass(frozen=True)
class Shot:
    """One measurement of one sensor: ``stamp`` in microseconds, the keyframe that it is or that it comes before."""
    stamp: int
    keyframe: int
    is_key: bool


class Recorder:
    """Draws one scene into a nuScenes folder and collects its records.

    Args:
        root: the folder that holds ``samples``, ``sweeps`` ...
        name: of the scene. preset: its size. seed: of the world.
    """

    def __init__(self, root: Path, name: str, preset: StreetPreset, seed: int) -> None:
        self.root, self.name, self.preset, self.key = root, name, preset, (seed, preset.name, name)
        self.street: Street = draw_street(name, preset, seed)
        self.rig: Dict[str, Sensor] = rig(preset)
        self.log_name, self.vehicle, self.start = recording(name, self.street.location)
        self.samples = [self.token('sample', number) for number in range(len(self.street.times))]
        self.tables: Tables = {}

    def token(self, *parts: object) -> str:
        """A token of this scene of this world."""
        return token(*self.key, *parts)

    def seconds(self, stamp: int) -> float:
        """Time of the street at ``stamp`` microseconds."""
        return (stamp - self.start) * 1e-6

    def stamp(self, seconds: float) -> int:
        """Microseconds of a time of the street."""
        return self.start + round(seconds * 1e6)

    def record(self) -> Tables:
        """Draw everything; the records of this scene by table."""
        log, place = self.token('log'), self.token('map')
        write_png(self.root / 'maps' / f'{place}.png', *self.street.ground_mask())
        self.tables = dict(
            log=[dict(token=log, logfile=self.log_name, vehicle=self.vehicle, date_captured=self.log_name[5:15],
                      location=self.street.location)],
            map=[dict(token=place, log_tokens=[log], category='semantic_prior', filename=f'maps/{place}.png')],
            scene=[dict(token=self.token('scene'), log_token=log, nbr_samples=len(self.samples),
                        first_sample_token=self.samples[0], last_sample_token=self.samples[-1], name=self.name,
                        description=self.street.description)],
            sample=chained([
                dict(token=sample, timestamp=self.stamp(time), scene_token=self.token('scene'))
                for sample, time in zip(self.samples, self.street.times)]),
            calibrated_sensor=[self.calibration(sensor) for sensor in self.rig.values()],
            sample_data=[], ego_pose=[], lidarseg=[], panoptic=[])
        clouds = self.record_lidar()
        views = self.record_cameras()
        self.tables.update(annotate(self, clouds, views))
        return self.tables

    def calibration(self, sensor: Sensor) -> dict:
        """Record of a sensor's place on the vehicle."""
        return dict(token=self.token('calibrated_sensor', sensor.channel), sensor_token=token('sensor', sensor.channel),
                    translation=numbers(sensor.translation), rotation=numbers(sensor.rotation),
                    camera_intrinsic=[] if sensor.intrinsic is None else [numbers(row) for row in sensor.intrinsic])

    def shots(self, between: int, delay: float) -> Iterator[Shot]:
        """Every moment a sensor measures at: ``between`` times before each keyframe but the first, and at it."""
        for keyframe, time in enumerate(self.street.times):
            gap = (time - self.street.times[keyframe - 1]) / (between + 1) if keyframe else 0.0
            for left in range(between if keyframe else 0, -1, -1):
                yield Shot(self.stamp(time - left * gap + delay), keyframe, left == 0)

    def record_lidar(self) -> List[np.ndarray]:
        """All LiDAR sweeps and the labels of those at keyframes; each keyframe's points (N, 3), sensor frame."""
        clouds, shots = [], list(self.shots(self.preset.sweeps_between, 0.0))
        paths = self.register(LIDAR, shots, 'pcd', 'pcd.bin', 0, 0)
        ids = thing_numbers([instance.category for instance in self.street.instances])
        for number, (shot, (name, path)) in enumerate(zip(shots, paths)):
            sweep = self.street.lidar(self.seconds(shot.stamp), number)
            points = np.ascontiguousarray(sweep.points, dtype='<f4')
            write_atomic(path, points.tobytes())
            if shot.is_key:
                clouds.append(points[:, :3])
                self.label(name, sweep, ids)
        return clouds

    def label(self, name: str, sweep: LidarSweep, ids: np.ndarray) -> None:
        """Semantic and panoptic labels of the keyframe whose sample_data is ``name``."""
        raw = sweep.raw_label.astype(np.uint8)
        instance = np.where(sweep.instance >= 0, ids[np.maximum(sweep.instance, 0)], 0) if len(ids) else 0 * raw
        panoptic = (raw.astype(np.uint16) * 1000 + instance).astype(np.uint16)
        packed = io.BytesIO()
        np.savez_compressed(packed, data=panoptic)
        for table, suffix, content in (('lidarseg', 'bin', raw.tobytes()), ('panoptic', 'npz', packed.getvalue())):
            path = f'{table}/{VERSION_NAME}/{name}_{table}.{suffix}'
            write_atomic(self.root / path, content)
            self.tables[table].append(dict(token=name, sample_data_token=name, filename=path))

    def record_cameras(self) -> List[List[View]]:
        """All images; for each keyframe the six cameras' views."""
        views: List[List[View]] = [[] for _ in self.samples]
        width, height = self.preset.image_size
        for channel, delay in CAMERA_DELAY.items():
            shots = list(self.shots(self.preset.camera_sweeps_between, delay))
            paths = self.register(channel, shots, 'jpg', 'jpg', height, width)
            sensor = self.rig[channel]
            for shot, (_, path) in zip(shots, paths):
                time = self.seconds(shot.stamp)
                content = io.BytesIO()
                Image.fromarray(self.street.image(channel, time)).save(content, **JPEG)
                write_atomic(path, content.getvalue())
                if shot.is_key:
                    view = View(self.street.ego_pose(time) @ sensor.pose, sensor.intrinsic,
                                self.street.depth(channel, time))
                    views[shot.keyframe].append(view.thinned())
        return views

    def register(self, channel: str, shots: List[Shot], fileformat: str, suffix: str, height: int,
                 width: int) -> List[Tuple[str, Path]]:
        """Add the records of a channel's measurements; (sample_data token, file) of each."""
        records, paths = [], []
        for shot in shots:
            name = self.token('sample_data', channel, shot.stamp)
            file = (f'{"samples" if shot.is_key else "sweeps"}/{channel}/'
                    f'{self.log_name}__{channel}__{shot.stamp}.{suffix}')
            records.append(dict(
                token=name, sample_token=self.samples[shot.keyframe], ego_pose_token=name,
                calibrated_sensor_token=self.token('calibrated_sensor', channel), timestamp=shot.stamp,
                fileformat=fileformat, is_key_frame=shot.is_key, height=height, width=width, filename=file))
            pose = self.street.ego_pose(self.seconds(shot.stamp))
            self.tables['ego_pose'].append(dict(token=name, timestamp=shot.stamp, rotation=numbers(quaternion(pose)),
                                                translation=numbers(pose[:3, 3])))
            paths.append((name, self.root / file))
        self.tables['sample_data'] += chained(records)
        return paths


def recording(name: str, location: str) -> Tuple[str, str, int]:
    """Name of the log of a scene, its vehicle and its first keyframe's time in microseconds."""
    vehicle, zone = ('n015', '+0800') if location.startswith('singapore') else ('n008', '-0400')
    start = datetime.strptime(DRIVES[name] + zone, '%Y-%m-%d-%H-%M-%S%z')
    # The first sweep of a log is not at a full second.
    offset = int(token('start', name)[:5], 16) % 900_000 + 50_000
    return f'{vehicle}-{DRIVES[name]}{zone}', vehicle, int(start.timestamp()) * 10**6 + offset


def thing_numbers(categories: List[str]) -> np.ndarray:
    """(M,) number of each instance in its scene, from 1; the same in all its frames.

    Those of one evaluation class (adults and children are both pedestrians) never share a number, so that labels
    stay apart when categories are merged for the evaluation.
    """
    merged = {name: group or name for name, group in NUSCENES_LIDARSEG}
    count: Dict[str, int] = {}
    numbering = []
    for category in categories:
        group = merged[category]
        count[group] = count.get(group, 0) + 1
        numbering.append(count[group])
    if max(count.values(), default=0) > 999:
        raise ValueError('a scene holds more than 999 instances of a class; panoptic labels have no numbers for them')
    return np.array(numbering, dtype=np.uint16)


def chained(records: List[dict]) -> List[dict]:
    """The same records, each with the tokens of its neighbours in ``prev`` and ``next``."""
    for first, second in zip(records, records[1:]):
        first['next'], second['prev'] = second['token'], first['token']
    if records:
        records[0]['prev'] = records[-1]['next'] = NONE
    return records


def numbers(values: np.ndarray) -> List[float]:
    """Plain floats, as JSON wants them."""
    return [float(value) for value in values]


def quaternion(pose: np.ndarray) -> np.ndarray:
    """(4,) w x y z, w >= 0, of the rotation of a (4, 4) pose, by its largest component (Shepperd)."""
    turn = pose[:3, :3]
    xx, yy, zz = np.diag(turn)
    squares = 1 + np.array([xx + yy + zz, xx - yy - zz, yy - xx - zz, zz - xx - yy])
    largest = int(np.argmax(squares))
    w, x, y, z = turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1], squares[largest]
    xy, xz, yz = turn[0, 1] + turn[1, 0], turn[0, 2] + turn[2, 0], turn[1, 2] + turn[2, 1]
    found = np.array([(z, w, x, y), (w, z, xy, xz), (x, xy, z, yz), (y, xz, yz, z)][largest])
    return found / np.linalg.norm(found) * (1 if found[0] >= 0 else -1)


def write_png(path: Path, mask: np.ndarray, resolution: float) -> None:
    """A drivable mask, 0 or 255, as nuscenes-devkit reads maps: 0.1 m per pixel, the first row has the largest y."""
    if abs(resolution - 0.1) > 1e-9:
        raise ValueError(f'masks of maps have 0.1 m per pixel, not {resolution}')
    content = io.BytesIO()
    Image.fromarray(np.where(mask > 0, 255, 0).astype(np.uint8)).save(content, format='PNG')
    write_atomic(path, content.getvalue())


def record_scene(root: Path, name: str, preset: StreetPreset, seed: int) -> Tables:
    """Draw the scene ``name`` into the nuScenes folder ``root``; its records by table."""
    return Recorder(root, name, preset, seed).record()
