"""Hand-made entries of mmdet3d v1.1 info files for the detection metric's tests."""
from typing import List, Optional, Sequence

import numpy as np
from scipy.spatial.transform import Rotation

CATEGORIES = dict(car=0, truck=1, trailer=2, bus=3, construction_vehicle=4, bicycle=5, motorcycle=6, pedestrian=7,
                  traffic_cone=8, barrier=9)


def rigid(euler: Sequence[float], translation: Sequence[float]) -> List[List[float]]:
    """4x4 transform from intrinsic zyx angles (rad) and a translation (m), as nested lists like in real files."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler('ZYX', euler).as_matrix()
    matrix[:3, 3] = translation
    return matrix.tolist()


def instance(name: str, box: Sequence[float], points: int = 10, velocity: Sequence[float] = (0.0, 0.0),
             radar: int = 0, **more: object) -> dict:
    """One instance; ``box`` is x, y, z (centre), l, w, h, yaw in the LiDAR frame."""
    return dict(bbox_3d=list(map(float, box)), bbox_label_3d=CATEGORIES[name], bbox_label=CATEGORIES[name],
                bbox_3d_isvalid=points > 0, num_lidar_pts=points, num_radar_pts=radar, velocity=list(velocity), **more)


def frame(token: str, instances: Sequence[dict], lidar_path: Optional[str] = None, tilt: float = 0.02) -> dict:
    """One entry of ``data_list`` whose LiDAR is turned by -90 degrees as on nuScenes's car, a little tilted."""
    return dict(
        token=token, sample_idx=0, instances=list(instances),
        lidar_points=dict(lidar_path=lidar_path or f'{token}.bin', num_pts_feats=5,
                          lidar2ego=rigid((-np.pi / 2, tilt, -tilt), (0.94, 0.0, 1.84))),
        ego2global=rigid((1.9, -tilt, tilt / 2), (411.3, 1180.9, 0.0)))


def info_file(frames: Sequence[dict]) -> dict:
    """The whole content of an info file."""
    return dict(metainfo=dict(categories=dict(CATEGORIES), dataset='nuscenes', info_version='1.1'),
                data_list=list(frames))


def street(token: str = 'a', seed: int = 0, per_class: int = 3) -> dict:
    """A frame with ``per_class`` boxes of each of the ten classes, at least 6 m apart, all within every range."""
    rng = np.random.default_rng(seed)
    sizes = dict(car=(4.5, 1.9, 1.6), truck=(8, 2.6, 3), trailer=(11, 2.8, 3.8), bus=(11, 2.9, 3.4),
                 construction_vehicle=(6.4, 2.8, 3.2), bicycle=(1.7, 0.6, 1.3), motorcycle=(2.1, 0.8, 1.5),
                 pedestrian=(0.7, 0.7, 1.8), traffic_cone=(0.4, 0.4, 1.0), barrier=(0.5, 2.5, 1.0))
    places = [(6.0 * i, 6.0 * j) for i in range(-4, 5) for j in range(-4, 5) if 1 < np.hypot(i, j) < 4.6]
    order = rng.permutation(len(places))[:per_class * len(sizes)]
    instances = []
    for number, index in enumerate(order):
        name = list(sizes)[number % len(sizes)]
        box = (*places[index], rng.uniform(-1.5, 0.5), *sizes[name], rng.uniform(-np.pi, np.pi))
        instances.append(instance(name, box, points=int(rng.integers(1, 30)), velocity=rng.normal(size=2)))
    return frame(token, instances)
