"""A small frame in mmdet3d's v1.1 info format, files and all, for tests of the keyframe recipe."""
import pickle
from pathlib import Path

import numpy as np
from PIL import Image

CATEGORIES = dict(car=0, truck=1, trailer=2, bus=3, construction_vehicle=4, bicycle=5, motorcycle=6, pedestrian=7,
                  traffic_cone=8, barrier=9)
# name, box by its centre (x, y, z, l, w, h, yaw), points drawn in it
OBJECTS = (('car', (6, 3, -0.8, 4.4, 1.9, 1.6, 0.4), 200), ('car', (-7, -4, -0.8, 4.6, 1.9, 1.7, -1.2), 150),
           ('pedestrian', (2, -6, -0.7, 0.7, 0.7, 1.8, 0), 30), ('pedestrian', (-3, 7, -0.7, 0.7, 0.6, 1.8, 1), 3),
           ('barrier', (8, -7, -1.1, 0.5, 2.4, 1.0, 0.1), 40))


def write_frames(folder: Path, count: int = 1, images: bool = True) -> Path:
    """Write ``count`` frames, each slightly different, and their info file ``infos.pkl``; return its path."""
    frames = [_write_frame(folder, number, images) for number in range(count)]
    path = folder / 'infos.pkl'
    path.write_bytes(pickle.dumps(dict(
        metainfo=dict(categories=dict(CATEGORIES), dataset='nuscenes', info_version='1.1'), data_list=frames)))
    return path


def _write_frame(folder: Path, number: int, images: bool) -> dict:
    rng = np.random.default_rng(number)
    parts = [np.concatenate([rng.uniform(-12, 12, (1500, 2)), rng.normal(-1.6, 0.02, (1500, 1))], axis=1)]
    instances = []
    for name, box, points in OBJECTS:
        centre, size, yaw = np.array(box[:3]) + [number * 0.5, 0, 0], np.array(box[3:6]), box[6]
        local = rng.uniform(-0.48, 0.48, (points, 3)) * size
        turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
        parts.append(local @ turn.T + centre)
        instances.append(dict(
            bbox_3d=[*centre.tolist(), *size.tolist(), float(yaw)], bbox_label_3d=CATEGORIES[name],
            bbox_label=CATEGORIES[name], bbox_3d_isvalid=True, num_lidar_pts=points, num_radar_pts=0,
            velocity=[float('nan')] * 2 if points == 3 else [0.5, -0.25]))
    xyz = np.concatenate(parts)
    points = np.concatenate([xyz, rng.uniform(0, 255, (len(xyz), 1)), rng.integers(0, 32, (len(xyz), 1))], axis=1)
    points.astype(np.float32).tofile(folder / f'points{number}.bin')
    lidar2ego = [[0, 1, 0, 0.9], [-1, 0, 0, 0], [0, 0, 1, 1.8], [0, 0, 0, 1]]
    ego2global = [[0.6, -0.8, 0, 400 + number], [0.8, 0.6, 0, 1100], [0, 0, 1, 0], [0, 0, 0, 1]]
    return dict(
        sample_idx=number, token=f'frame{number}', timestamp=float(number), instances=instances, ego2global=ego2global,
        lidar_points=dict(lidar_path=f'points{number}.bin', num_pts_feats=5, lidar2ego=lidar2ego),
        images={} if not images else _write_images(folder, number))


def _write_images(folder: Path, number: int) -> dict:
    """Two cameras: one looks along +y of the LiDAR, one along -y."""
    views = dict(CAM_FRONT=[[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]],
                 CAM_BACK=[[-1, 0, 0, 0], [0, 0, -1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
    out = {}
    for name, lidar2cam in views.items():
        file = f'{name}{number}.jpg'
        Image.new('RGB', (160, 90), (120, 140, 160)).save(folder / file)
        out[name] = dict(img_path=file, lidar2cam=lidar2cam, cam2img=[[100, 0, 80], [0, 100, 45], [0, 0, 1]])
    return out
