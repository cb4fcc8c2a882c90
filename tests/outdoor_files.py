"""Small sweeps on disk with mmdet3d's info files: nuScenes with lidarseg and boxes, SemanticKITTI, Waymo."""
import pickle
from pathlib import Path

import numpy as np

from pretrain3d.converters.waymo.infos import entry, labels_path, points_path, write_infos
from pretrain3d.label_spaces import NUSCENES_LIDARSEG, get_label_space


def _cloud(rng, count):
    """(count, 3) ground, and boxes on it; (count,) 0 ground, 1 ... boxes."""
    xyz = rng.uniform((-45, -45, -1.9), (45, 45, -1.7), (count, 3))
    kind = rng.integers(0, 6, count)
    centres = rng.uniform(-20, 20, (6, 2))
    on = kind > 0
    xyz[on, :2] = centres[kind[on]] + rng.uniform(-2, 2, (on.sum(), 2))
    xyz[on, 2] = rng.uniform(-1.7, 0.5, on.sum())
    return xyz, kind


SIZES = dict(car=(4.6, 1.9, 1.7), truck=(7, 2.5, 2.8), trailer=(12, 2.9, 3.8), bus=(11, 2.9, 3.4),
             construction_vehicle=(6, 2.7, 3), bicycle=(1.7, 0.6, 1.3), motorcycle=(2.1, 0.8, 1.4),
             pedestrian=(0.7, 0.7, 1.8), traffic_cone=(0.4, 0.4, 1.1), barrier=(0.5, 2.5, 1))


def _instances(rng):
    """A box of each class, with points by its word."""
    found = []
    for label, size in enumerate(SIZES.values()):
        centre = [*rng.uniform(-25, 25, 2), -1.8 + size[2] / 2]
        found.append(dict(
            bbox_3d=[*centre, *size, float(rng.uniform(-3, 3))], bbox_label_3d=label, bbox_label=label,
            bbox_3d_isvalid=True, num_lidar_pts=20, num_radar_pts=0, velocity=[1.0, 0.0]))
    return found


def write_nuscenes(root: Path, frames: int = 3, points: int = 800, seed: int = 0) -> None:
    """``frames`` keyframes to train on and one to validate, in scenes of their own; without tables or images."""
    rng = np.random.default_rng(seed)
    raw = [number for number, (_, name) in enumerate(NUSCENES_LIDARSEG) if name]
    for folder in ('samples/LIDAR_TOP', 'lidarseg/v1.0-mini'):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for split, count in (('train', frames), ('val', 1)):
        infos = []
        for number in range(count):
            xyz, kind = _cloud(rng, points)
            table = np.concatenate([xyz, rng.integers(0, 256, (points, 1)), rng.integers(0, 32, (points, 1))], 1)
            name = f'{split}{number}'
            table.astype(np.float32).tofile(root / f'samples/LIDAR_TOP/{name}.bin')
            labels = np.array([24, *rng.permutation(raw)[:5]], np.uint8)[kind]
            labels.tofile(root / f'lidarseg/v1.0-mini/{name}_lidarseg.bin')
            infos.append(dict(
                token=name, sample_idx=number, timestamp=float(number), images={}, instances=_instances(rng),
                ego2global=np.eye(4).tolist(), scene_name=f'scene-{number:04d}', scene_index=number,
                lidar_points=dict(lidar_path=f'{name}.bin', num_pts_feats=5, lidar2ego=np.eye(4).tolist()),
                pts_semantic_mask_path=f'{name}_lidarseg.bin'))
        (root / f'nuscenes_infos_{split}.pkl').write_bytes(pickle.dumps(dict(
            metainfo=dict(
                dataset='nuscenes', version='v1.0-mini', info_version='1.1',
                categories={name: label for label, name in enumerate(SIZES)}), data_list=infos)))


def write_semantickitti(root: Path, frames: int = 3, points: int = 800, seed: int = 1) -> None:
    """``frames`` sweeps of sequence 00 to train on and one of 08 to validate."""
    rng = np.random.default_rng(seed)
    raw = [number for number, _ in get_label_space('SemanticKITTI19').raw_pairs]
    for split, sequence, count in (('train', '00', frames), ('val', '08', 1)):
        infos = []
        for folder in ('velodyne', 'labels'):
            (root / 'sequences' / sequence / folder).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            xyz, kind = _cloud(rng, points)
            folder = f'sequences/{sequence}'
            paths = f'{folder}/velodyne/{number:06d}.bin', f'{folder}/labels/{number:06d}.label'
            np.concatenate([xyz, rng.random((points, 1))], 1).astype(np.float32).tofile(root / paths[0])
            instance = kind.astype(np.uint32) << 16
            (instance + np.array([40, *rng.permutation(raw)[:5]], np.uint32)[kind]).tofile(root / paths[1])
            infos.append(dict(
                lidar_points=dict(lidar_path=paths[0], num_pts_feats=4), pts_semantic_mask_path=paths[1],
                sample_idx=f'{sequence}{number:06d}'))
        (root / f'semantickitti_infos_{split}.pkl').write_bytes(pickle.dumps(dict(
            metainfo=dict(DATASET='SemanticKITTI'), data_list=infos)))


def write_waymo(root: Path, frames: int = 3, points: int = 800, seed: int = 2) -> None:
    """``frames`` frames to train on and one to validate, in segments of their own; some points have no label."""
    rng = np.random.default_rng(seed)
    road = get_label_space('Waymo22').index('road') + 1
    for split, name, count in (('training', 'train', frames), ('validation', 'val', 1)):
        infos = []
        for number in range(count):
            frame = split, f'segment-{name}{number}', 1550000000000000 + number
            lidar, labels = root / points_path(*frame), root / labels_path(*frame)
            for path in (lidar, labels):
                path.parent.mkdir(parents=True, exist_ok=True)
            xyz, kind = _cloud(rng, points)
            xyz[:, 2] += 1.8  # the origin is on the road
            table = np.concatenate([xyz, rng.lognormal(-1.5, 2, (points, 1)), rng.random((points, 1))], 1)
            table.astype(np.float32).tofile(lidar)
            raw = np.array([road, 0, *(rng.permutation(22)[:4] + 1)], np.uint8)
            raw[kind].tofile(labels)
            infos.append(entry(*frame, points, np.eye(4)))
        write_infos(root, split, infos)
