"""A hand-made Perception v2 release on disk: small random range images under random poses, as awkward as the real one.

Five LiDARs in every frame, of different sizes, with listed and with even beams; rows in no order, several of them in a
row group, a pandas index, single-precision poses, frames without labels, returns that are missing.
"""
import pickle
from pathlib import Path
from typing import Callable, Dict, List, Optional, Tuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

HEIGHT, WIDTH, FRAMES, START = 5, 12, 6, 1_550_000_000_000_000
SEGMENTS = dict(training=('111_20_000_40_000', '222_0_000_20_000'), validation=('333_20_000_40_000', ),
                testing=('444_0_000_20_000', ))
LABELLED = (1, 4)
TOP = 1
# LaserName of the others -> rows and columns of their range images, and whether their beams are listed.
SIDES = {2: (4, 6, False), 3: (3, 7, True), 4: (4, 6, False), 5: (2, 5, True)}


def stamp(frame: int) -> int:
    """Time stamp of a frame."""
    return START + 100_000 * frame + 7 * frame % 5


def draw_segment(seed: int) -> Dict:
    """What the files of a segment hold, as arrays."""
    rng = np.random.default_rng(seed)
    extrinsic = np.eye(4)
    extrinsic[:3, :3], extrinsic[:3, 3] = turn(*rng.uniform(-0.05, 0.05, 2), 2.6), (1.43, 0.1, 2.18)
    frames = []
    for frame in range(FRAMES):
        vehicle = np.eye(4)
        vehicle[:3, :3] = turn(*rng.uniform(-0.1, 0.1, 2), rng.uniform(-3, 3))
        vehicle[:3, 3] = rng.uniform((-800, 9000, -700), (900, 16000, 30))
        first = rng.uniform((0.1, 0, 0, -1), (75, 2, 1.5, -1), (HEIGHT, WIDTH, 4)).astype(np.float32)
        first[rng.random((HEIGHT, WIDTH)) < 0.3] = -1
        first[0, 0] = 0  # a range of nought is no return either
        first[1, 1, 1] = 23456.0
        first[..., 3] = np.where(rng.random((HEIGHT, WIDTH)) < 0.4, 1, -1)
        second = np.where((rng.random((HEIGHT, WIDTH)) < 0.3)[..., None], first + [9, 0, 0, 0], -1).astype(np.float32)
        pose = np.concatenate([rng.uniform(-0.1, 0.1, (HEIGHT, WIDTH, 2)), rng.uniform(-3, 3, (HEIGHT, WIDTH, 1)),
                               vehicle[:3, 3] + rng.normal(size=(HEIGHT, WIDTH, 3))], 2).astype(np.float32)
        labels = [rng.integers(0, (400, 23), (HEIGHT, WIDTH, 2)).astype(np.int32) for _ in range(2)]
        frames.append(dict(images=[first, None if frame == 4 else second], pose=pose, vehicle=vehicle, labels=labels))
    beams = np.sort(rng.uniform(-0.3, 0.05, HEIGHT))
    return dict(extrinsic=extrinsic, beams=beams, frames=frames, sides=draw_sides(seed, frames))


def draw_sides(seed: int, frames: List[Dict]) -> Dict:
    """Calibrations of the side LiDARs by their numbers; their range images go into ``frames``."""
    rng, sides = np.random.default_rng((seed, 2)), {}
    for laser, (height, width, listed) in SIDES.items():
        extrinsic = np.eye(4)
        extrinsic[:3, :3] = turn(*rng.uniform(-0.1, 0.1, 2), rng.uniform(-3, 3))
        extrinsic[:3, 3] = rng.uniform((-1, -1, 0.4), (4, 1, 1))
        sides[laser] = dict(extrinsic=extrinsic, low=-1.5, high=0.5,
                            beams=np.sort(rng.uniform(-1.5, 0.5, height)) if listed else None)
        for frame, each in enumerate(frames):
            first, second = rng.uniform((0.1, 0, 0, -1), (20, 2, 1.5, 1), (2, height, width, 4)).astype(np.float32)
            first[rng.random((height, width)) < 0.3] = -1
            second[rng.random((height, width)) < 0.7] = -1
            nothing = (laser, frame) == (4, 4)
            each.setdefault('sides', {})[laser] = [None if nothing else first, None if laser == 5 else second]
            if nothing:
                each['sides'][laser][1] = None
    return sides


def turn(roll: float, pitch: float, yaw: float) -> np.ndarray:
    """(3, 3) of three turns in the order x, y, z."""
    (a, b, c), (u, v, w) = np.cos((roll, pitch, yaw)), np.sin((roll, pitch, yaw))
    return (np.array([[c, -w, 0], [w, c, 0], [0, 0, 1]]) @ np.array([[b, 0, v], [0, 1, 0], [-v, 0, b]])
            @ np.array([[1, 0, 0], [0, a, -u], [0, u, a]]))


def image_values(component: str, images: List) -> Dict:
    """Columns of range images."""
    columns = {}
    for number, image in enumerate(images, 1):
        name = f'[{component}].range_image_return{number}'
        columns[f'{name}.values'] = None if image is None else image.reshape(-1).tolist()
        # pyarrow cannot read back a list of fixed size that is null.
        columns[f'{name}.shape'] = [0, 0, 0] if image is None else list(image.shape)
    return columns


def write_table(path: Path, rows: List[Dict], types: Dict, rows_per_group: int = 4) -> None:
    """A parquet file of ``rows``; ``types``: ending of a column's name -> its type."""
    schema = pa.schema([(name, next(type_ for end, type_ in types.items() if name.endswith(end))) for name in rows[0]])
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema), path, row_group_size=rows_per_group, compression='snappy')


def write_segment(root: Path, split: str, name: str, drawn: Dict) -> None:
    """All files of a segment below ``root/split``."""
    types = {'.shape': pa.list_(pa.int32(), 3), 'index': pa.string(), 'context_name': pa.string(),
             'micros': pa.int64(), 'laser_name': pa.int8(), '.transform': pa.list_(pa.float64(), 16),
             '.min': pa.float64(), '.max': pa.float64()}
    float_types = {**types, '.values': pa.list_(pa.float32())}
    single = {**types, '.transform': pa.list_(pa.float32(), 16)}
    rows = {tag: [] for tag in ('lidar', 'lidar_pose', 'lidar_segmentation', 'vehicle_pose')}
    for frame, each in enumerate(drawn['frames']):
        keys = {'index': f'{name};{stamp(frame)}', 'key.segment_context_name': name,
                'key.frame_timestamp_micros': stamp(frame)}
        for laser in (3, 1, 2, 5, 4):
            images = each['images'] if laser == TOP else each['sides'][laser]
            rows['lidar'].append({**keys, 'key.laser_name': laser, **image_values('LiDARComponent', images)})
        top = {**keys, 'key.laser_name': TOP}
        rows['lidar_pose'].append({**top, **image_values('LiDARPoseComponent', [each['pose']])})
        matrix = {'[VehiclePoseComponent].world_from_vehicle.transform': each['vehicle'].reshape(-1).tolist()}
        rows['vehicle_pose'].append({**keys, **matrix})
        if frame in LABELLED:
            labels = image_values('LiDARSegmentationLabelComponent', each['labels'])
            rows['lidar_segmentation'].append({**top, **labels})
    shuffle = np.random.default_rng(len(name)).permutation
    for tag, found in rows.items():
        if tag == 'lidar_segmentation' and split == 'testing':
            continue
        kinds = {'lidar_segmentation': {**types, '.values': pa.list_(pa.int32())}, 'vehicle_pose': single}
        write_table(root / split / tag / f'{name}.parquet', [found[row] for row in shuffle(len(found))],
                    kinds.get(tag, float_types))
    top = dict(extrinsic=drawn['extrinsic'], low=drawn['beams'][0], high=drawn['beams'][-1], beams=drawn['beams'])
    calibrations = []
    for laser in (4, 1, 5, 3, 2):
        each = top if laser == TOP else drawn['sides'][laser]
        empty = [] if laser == 2 else None  # both are said of beams that are not listed
        calibrations.append({
            'index': name, 'key.segment_context_name': name, 'key.laser_name': laser,
            '[LiDARCalibrationComponent].extrinsic.transform': each['extrinsic'].reshape(-1).tolist(),
            '[LiDARCalibrationComponent].beam_inclination.min': float(each['low']),
            '[LiDARCalibrationComponent].beam_inclination.max': float(each['high']),
            '[LiDARCalibrationComponent].beam_inclination.values':
                empty if each['beams'] is None else each['beams'].tolist()})
    write_table(root / split / 'lidar_calibration' / f'{name}.parquet', calibrations,
                {**types, '.values': pa.list_(pa.float64())})


def write_release(root: Path) -> Dict[str, Dict]:
    """A release of four segments in ``root``; returns what each of them holds."""
    held = {}
    for split, names in SEGMENTS.items():
        for name in names:
            held[name] = draw_segment(int(name[:3]))
            write_segment(root, split, name, held[name])
    return held


def listed(root: Path, split: str) -> Dict:
    """The list that a conversion made; ``split`` as in its name."""
    return pickle.loads((root / f'waymo_infos_{split}.pkl').read_bytes())


def load(root: Path, info: Dict) -> Tuple[np.ndarray, np.ndarray]:
    """(N, 5) points and (N,) raw classes of a converted frame."""
    points = np.fromfile(root / info['lidar_points']['lidar_path'], np.float32).reshape(-1, 5)
    return points, np.fromfile(root / info['pts_semantic_mask_path'], np.uint8)


def rewrite(file: Path, change: Callable[[List[Dict]], None], rows_per_group: Optional[int] = None) -> None:
    """Let ``change`` work on a file's rows."""
    table = pq.read_table(file)
    rows = table.to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, table.schema), file, row_group_size=rows_per_group)
