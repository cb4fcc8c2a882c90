"""A hand-made nuScenes v1.0-mini on disk: three scenes of a few keyframes, all 13 tables, lidarseg and panoptic.

Made without the street world, so that converters and datasets are tested on something that knows nothing of it.
"""
import hashlib
import json
from pathlib import Path
from typing import Dict, List, Tuple

import numpy as np
from PIL import Image
from pretrain3d.label_spaces import NUSCENES_LIDARSEG
from scipy.spatial.transform import Rotation

VERSION = 'v1.0-mini'
# In the order of the scene table, which is not that of the names: two of training, one of validation.
SCENES = ('scene-1094', 'scene-0061', 'scene-0103')
KEYFRAMES = 3
CAMERAS = dict(CAM_FRONT=0., CAM_FRONT_RIGHT=-55., CAM_FRONT_LEFT=55., CAM_BACK=180., CAM_BACK_LEFT=110.,
               CAM_BACK_RIGHT=-110.)
SIZE = (160, 90)
SPEED = 4.  # m/s of the ego vehicle along its x
STEP = 500000  # microseconds between keyframes, with one frame of every sensor in the middle
# category, attribute, place in the scene, size (width, length, height), speed along x, points in it
OBJECTS = (('vehicle.car', 'vehicle.moving', (12., 3., 0.9), (1.9, 4.6, 1.8), 5., 60),
           ('human.pedestrian.adult', 'pedestrian.standing', (8., -5., 0.9), (0.7, 0.6, 1.8), 0., 20),
           ('movable_object.barrier', '', (15., -2., 0.5), (2.4, 0.5, 1.), 0., 20),
           ('vehicle.emergency.police', 'vehicle.parked', (9., 7., 0.9), (2., 4.8, 1.8), 0., 30),
           ('vehicle.truck', 'vehicle.stopped', (20., 6., 1.5), (2.5, 8., 3.), 0., 0))
ATTRIBUTES = ('cycle.with_rider', 'cycle.without_rider', 'pedestrian.moving', 'pedestrian.standing',
              'pedestrian.sitting_lying_down', 'vehicle.moving', 'vehicle.parked', 'vehicle.stopped')
RAW = {name: number for number, (name, _) in enumerate(NUSCENES_LIDARSEG)}
GROUND, NOISE = RAW['flat.driveable_surface'], RAW['noise']


def token(*words) -> str:
    """Token from what it is of."""
    return hashlib.md5('/'.join(map(str, words)).encode()).hexdigest()


def quaternion(rotation: Rotation) -> List[float]:
    """w, x, y, z."""
    x, y, z, w = rotation.as_quat()
    return [w, x, y, z]


def mount(channel: str) -> Tuple[Rotation, List[float]]:
    """Where a sensor sits on the car."""
    if channel == 'LIDAR_TOP':  # its x points to the right
        return Rotation.from_euler('ZYX', (-90, 1, -1), degrees=True), [0.94, 0., 1.84]
    forward = Rotation.from_matrix([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    return Rotation.from_euler('z', CAMERAS[channel], degrees=True) * forward, [1.5, 0., 1.5]


def ego_pose(scene: int, time: int) -> Tuple[Rotation, np.ndarray]:
    """Ego in the world at ``time`` microseconds of a scene."""
    turn = Rotation.from_euler('z', 40 * scene + 20, degrees=True)
    return turn, np.array([400., 1100. + 500 * scene, 0.]) + turn.apply([SPEED * time / 1e6, 0, 0])


class Tables:
    """The tables while they are being filled, and the folder that files go to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        names = ('attribute', 'calibrated_sensor', 'category', 'ego_pose', 'instance', 'log', 'map', 'sample',
                 'sample_annotation', 'sample_data', 'scene', 'sensor', 'visibility', 'lidarseg', 'panoptic')
        self.held: Dict[str, List[dict]] = {name: [] for name in names}

    def add(self, table: str, **row) -> str:
        """Add a row; returns its token."""
        self.held[table].append(row)
        return row['token']

    def write(self) -> None:
        """All tables as json."""
        (self.root / VERSION).mkdir()
        for name, rows in self.held.items():
            (self.root / VERSION / f'{name}.json').write_text(json.dumps(rows))


def write_tables(root: Path) -> Path:
    """Write the data set into the empty folder ``root``; returns it."""
    tables = Tables(root)
    for name in ATTRIBUTES:
        tables.add('attribute', token=token('attribute', name), name=name, description='')
    for name, number in RAW.items():
        tables.add('category', token=token('category', name), name=name, description='', index=number)
    for level in '1234':
        tables.add('visibility', token=level, level=level, description='')
    for channel in ('LIDAR_TOP', *CAMERAS):
        tables.add('sensor', token=token('sensor', channel), channel=channel,
                   modality='lidar' if channel == 'LIDAR_TOP' else 'camera')
    for folder in (f'{kind}/{channel}' for kind in ('samples', 'sweeps') for channel in ('LIDAR_TOP', *CAMERAS)):
        (root / folder).mkdir(parents=True)
    for kind in ('lidarseg', 'panoptic'):
        (root / kind / VERSION).mkdir(parents=True)
    (root / 'maps').mkdir()
    Image.new('L', (20, 20), 255).save(root / 'maps' / 'map.png')
    for number, name in enumerate(SCENES):
        _write_scene(tables, number, name)
    tables.add('map', token=token('map'), filename='maps/map.png', category='semantic_prior',
               log_tokens=[token('log', name) for name in SCENES])
    tables.write()
    return root


def _write_scene(tables: Tables, number: int, name: str) -> None:
    samples = [token('sample', name, i) for i in range(KEYFRAMES)]
    tables.add('log', token=token('log', name), logfile=f'log{number}', vehicle='n000', date_captured='2026-01-01',
               location='boston-seaport')
    tables.add('scene', token=token('scene', name), log_token=token('log', name), nbr_samples=KEYFRAMES,
               first_sample_token=samples[0], last_sample_token=samples[-1], name=name, description='')
    for i, sample in enumerate(samples):
        tables.add('sample', token=sample, timestamp=number * 10**8 + i * STEP, scene_token=token('scene', name),
                   prev=samples[i - 1] if i else '', next=samples[i + 1] if i + 1 < len(samples) else '')
    for channel in ('LIDAR_TOP', *CAMERAS):
        rotation, place = mount(channel)
        intrinsic = [] if channel == 'LIDAR_TOP' else [[110., 0., SIZE[0] / 2], [0., 110., SIZE[1] / 2], [0., 0., 1.]]
        tables.add('calibrated_sensor', token=token('mount', name, channel), sensor_token=token('sensor', channel),
                   translation=place, rotation=quaternion(rotation), camera_intrinsic=intrinsic)
        frames = [token('data', name, channel, i) for i in range(2 * KEYFRAMES - 1)]
        for i in range(len(frames)):
            _write_frame(tables, number, name, channel, frames, i)
    for place, held in enumerate(OBJECTS):
        _write_object(tables, number, name, place, samples, held)


def _write_frame(tables: Tables, number: int, name: str, channel: str, frames: List[str], i: int) -> None:
    key = i % 2 == 0
    time = i * STEP // 2 + (0 if channel == 'LIDAR_TOP' else 7000)
    turn, place = ego_pose(number, time)
    pose = tables.add('ego_pose', token=token('pose', frames[i]), timestamp=number * 10**8 + time,
                      rotation=quaternion(turn), translation=place.tolist())
    ending = 'pcd.bin' if channel == 'LIDAR_TOP' else 'jpg'
    file = f'{"samples" if key else "sweeps"}/{channel}/{name}__{channel}__{i}.{ending}'
    tables.add('sample_data', token=frames[i], sample_token=token('sample', name, (i + 1) // 2), ego_pose_token=pose,
               calibrated_sensor_token=token('mount', name, channel), timestamp=number * 10**8 + time,
               fileformat=ending.split('.')[0], is_key_frame=key, height=0 if channel == 'LIDAR_TOP' else SIZE[1],
               width=0 if channel == 'LIDAR_TOP' else SIZE[0], filename=file, prev=frames[i - 1] if i else '',
               next=frames[i + 1] if i + 1 < len(frames) else '')
    if channel != 'LIDAR_TOP':
        Image.new('RGB', SIZE, (40 * i, 80, 120)).save(tables.root / file)
        return
    points, raw, panoptic = cloud(number, i, time)
    points.tofile(tables.root / file)
    if key:
        for kind, ending in (('lidarseg', 'lidarseg.bin'), ('panoptic', 'panoptic.npz')):
            tables.add(kind, token=frames[i], sample_data_token=frames[i],
                       filename=f'{kind}/{VERSION}/{frames[i]}_{ending}')
        raw.tofile(tables.root / 'lidarseg' / VERSION / f'{frames[i]}_lidarseg.bin')
        np.savez_compressed(tables.root / 'panoptic' / VERSION / f'{frames[i]}_panoptic.npz', data=panoptic)


def cloud(scene: int, frame: int, time: int) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (n, 5) float32 in the LiDAR's frame, raw labels (n,) uint8, panoptic labels (n,) uint16."""
    rng = np.random.default_rng([scene, frame])
    ego = SPEED * time / 1e6
    parts = [np.column_stack([rng.uniform(-30, 30, (400, 2)), np.zeros(400)])]
    raw, panoptic = [np.r_[np.full(390, GROUND), np.full(10, NOISE)]], [np.r_[np.full(390, GROUND), np.full(10, NOISE)]
                                                                        * 1000]
    for number, (category, _, place, size, speed, count) in enumerate(OBJECTS):
        inside = rng.uniform(-0.45, 0.45, (count, 3)) * [size[1], size[0], size[2]]
        parts.append(inside + place + [speed * time / 1e6 - ego, 0, 0])
        raw.append(np.full(count, RAW[category]))
        panoptic.append(np.full(count, RAW[category] * 1000 + number + 1))
    rotation, origin = mount('LIDAR_TOP')
    xyz = rotation.inv().apply(np.concatenate(parts) - origin)
    rest = np.column_stack([rng.integers(0, 256, len(xyz)), rng.integers(0, 32, len(xyz))])
    points = np.concatenate([xyz, rest], 1).astype(np.float32)
    return points, np.concatenate(raw).astype(np.uint8), np.concatenate(panoptic).astype(np.uint16)


def _write_object(tables: Tables, scene: int, name: str, place: int, samples: List[str], held: tuple) -> None:
    category, attribute, at, size, speed, count = held
    boxes = [token('box', name, place, i) for i in range(len(samples))]
    instance = tables.add('instance', token=token('instance', name, place), category_token=token('category', category),
                          nbr_annotations=len(boxes), first_annotation_token=boxes[0], last_annotation_token=boxes[-1])
    turn, origin = ego_pose(scene, 0)
    for i, box in enumerate(boxes):
        centre = origin + turn.apply(np.add(at, [speed * i * STEP / 1e6, 0, 0]))
        tables.add('sample_annotation', token=box, sample_token=samples[i], instance_token=instance,
                   visibility_token='4', attribute_tokens=[token('attribute', attribute)] if attribute else [],
                   translation=centre.tolist(), size=list(size), rotation=quaternion(turn),
                   prev=boxes[i - 1] if i else '', next=boxes[i + 1] if i + 1 < len(boxes) else '',
                   num_lidar_pts=count, num_radar_pts=0)


def prepare(root: Path, database: bool = False, extras: bool = True, version: str = VERSION) -> Path:
    """Let mmdet3d's converter make the info files of ``root`` in this process, and add the extras; returns it."""
    import contextlib
    import importlib.util
    import io
    import os
    from pretrain3d.converters.nuscenes import create
    from pretrain3d.converters.nuscenes.extras import add_extras, read_infos, read_release, write_infos
    tool = Path(__file__).resolve().parents[2] / 'tools' / 'data' / '_create_nuscenes.py'
    spec = importlib.util.spec_from_file_location('_create_nuscenes', tool)
    bootstrap = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bootstrap)

    def run(folder: Path, size: tuple) -> int:
        before = os.getcwd()
        os.chdir(folder)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                bootstrap.convert(version, 'nuscenes', size, database=database)
        finally:
            os.chdir(before)
        return 0

    create.create(root, version, run, database=database)
    for split in ('train', 'val') if extras else ():
        path = root / f'nuscenes_infos_{split}.pkl'
        infos = read_infos(path)
        add_extras(infos, read_release(root, version), str(path))
        write_infos(path, infos)
    return root
