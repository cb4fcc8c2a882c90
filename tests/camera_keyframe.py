"""A small nuScenes keyframe for tests of cameras: an info file (v1.1), points, six textured images, lidarseg, boxes.

Everything is smooth and known in closed form: what an image shows at a pixel says :func:`texture`. Sensors have poses
of their own, and the car drives between the time stamps of LiDAR and cameras.
"""
import pickle
from pathlib import Path

import cv2
import numpy as np
from nuscenes.utils.data_classes import LidarPointCloud
from nuscenes.utils.geometry_utils import view_points
from pyquaternion import Quaternion

CAMERAS = {'CAM_FRONT': 0., 'CAM_FRONT_RIGHT': -55., 'CAM_FRONT_LEFT': 55., 'CAM_BACK': 180., 'CAM_BACK_LEFT': 108.,
           'CAM_BACK_RIGHT': -108.}
CLASSES = ['car', 'truck', 'trailer', 'bus', 'construction_vehicle', 'bicycle', 'motorcycle', 'pedestrian',
           'traffic_cone', 'barrier']


def texture(u, v, camera, size):
    """Colour (..., 3) BGR, float, of the recorded image of camera number ``camera`` at pixels (u, v)."""
    u, v = np.asarray(u) / size[0], np.asarray(v) / size[1]
    waves = [127 + 90 * np.sin(6 * (camera + 1) ** 0.5 * u + 5 * v + phase) * np.cos(7 * v - 3 * u + 2 * phase)
             for phase in (0., 1.3, 2.6)]
    return np.stack(waves, -1)


def drawn_image(camera, size):
    """(h, w, 3) uint8 BGR of size (w, h)."""
    u, v = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)
    return texture(u, v, camera, size).round().astype(np.uint8)


def pose(rotation, translation):
    out = np.eye(4)
    out[:3, :3], out[:3, 3] = Quaternion(rotation).rotation_matrix, translation
    return out


def sensors(rng, size):
    """Calibration and ego poses as nuScenes's tables hold them: wxyz quaternions, metres, seconds; LiDAR first."""
    def record(rotation, translation, ego_time, **more):
        # The car drives a curve at 10 m/s.
        ego = dict(rotation=list((Quaternion(axis=[0, 0, 1], angle=0.4 + 0.5 * ego_time)
                                  * Quaternion(axis=[1, 2, 0], angle=0.02)).q),
                   translation=[600. + 10 * ego_time, 1500. - 3 * ego_time, 0.1])
        return dict(rotation=list(rotation.q), translation=list(translation), ego=ego, time=ego_time, **more)

    shake = lambda: Quaternion(axis=rng.normal(size=3), angle=0.01)  # noqa: E731
    out = {'LIDAR_TOP': record(Quaternion(axis=[0, 0, 1], angle=-np.pi / 2) * shake(), (0.94, 0., 1.84), 0.)}
    # z forward, x right, y down, seen from x forward, y left, z up
    ahead = Quaternion(matrix=np.array([[0., 0, 1], [-1, 0, 0], [0, -1, 0]]))
    for number, (name, degrees) in enumerate(CAMERAS.items()):
        turn = Quaternion(axis=[0, 0, 1], angle=np.radians(degrees))
        focal = (0.5 if name == 'CAM_BACK' else 0.79) * size[0]
        intrinsic = [[focal, 0., 0.51 * size[0]], [0., focal, 0.53 * size[1]], [0., 0., 1.]]
        place = np.add(turn.rotate([0.8, 0.1, 0.]), [0.9, 0., 1.5])
        out[name] = record(turn * ahead * shake(), place, -0.045 + 0.008 * number, camera_intrinsic=intrinsic)
    return out


def chain(source):
    """Sensor to global (4, 4) at the sensor's own time."""
    return pose(**{key: source['ego'][key] for key in ('rotation', 'translation')}) @ pose(
        source['rotation'], source['translation'])


def draw_points(rng, count):
    """A rough ground with walls around it (n, 5): x, y, z, intensity, ring, in the LiDAR's frame."""
    angle, distance = rng.uniform(0, 2 * np.pi, count), np.minimum(rng.gamma(2., 8., count) + 2.5, 60)
    height = np.where(rng.random(count) < 0.6, -1.8, rng.uniform(-1.8, 3, count))
    points = np.stack([distance * np.cos(angle), distance * np.sin(angle), height], 1)
    return np.concatenate([points, rng.uniform(0, 255, (count, 1)), rng.integers(0, 32, (count, 1))],
                          1).astype(np.float32)


def write_keyframe(folder, seed=0, size=(320, 180), count=3000, sized=False, frames=1):
    """Write ``frames`` keyframes; ``sized``: with width and height in the info. Returns the info file's path and the
    tables of every frame (:func:`sensors`)."""
    folder, infos, tables = Path(folder), [], []
    folder.mkdir(parents=True, exist_ok=True)
    for frame in range(frames):
        rng = np.random.default_rng((seed, frame))
        table = sensors(rng, size)
        points = draw_points(rng, count)
        points.tofile(folder / f'lidar{frame}.bin')
        rng.integers(0, 32, count).astype(np.uint8).tofile(folder / f'lidarseg{frame}.bin')
        images = {}
        for number, name in enumerate(CAMERAS):
            path = folder / f'{name}{frame}.jpg'
            assert cv2.imwrite(str(path), drawn_image(number, size), [cv2.IMWRITE_JPEG_QUALITY, 97])
            images[name] = dict(
                img_path=path.name, cam2img=table[name]['camera_intrinsic'],
                lidar2cam=(np.linalg.inv(chain(table[name])) @ chain(table['LIDAR_TOP'])).tolist(),
                **(dict(width=size[0], height=size[1]) if sized else {}))
        places = rng.permutation(count)[:8]
        boxes = np.concatenate([points[places, :3], rng.uniform(1, 4, (8, 3)), rng.uniform(-3, 3, (8, 1))], 1)
        labels = rng.integers(0, 10, 8)
        instances = [dict(bbox_3d=box.tolist(), bbox_label_3d=int(label), bbox_label=int(label), bbox_3d_isvalid=True,
                          num_lidar_pts=5, num_radar_pts=0, velocity=[1.0, 0.5]) for box, label in zip(boxes, labels)]
        infos.append(dict(
            token=f'drawn{frame}', sample_idx=frame, timestamp=0.5 * frame, images=images, instances=instances,
            ego2global=np.eye(4).tolist(), pts_semantic_mask_path=f'lidarseg{frame}.bin',
            lidar_points=dict(lidar_path=f'lidar{frame}.bin', num_pts_feats=5, lidar2ego=np.eye(4).tolist())))
        tables.append(table)
    path = folder / 'nuscenes_infos_train.pkl'
    path.write_bytes(pickle.dumps(dict(
        metainfo=dict(categories={name: index for index, name in enumerate(CLASSES)}, dataset='nuscenes',
                      version='v1.0-mini', info_version='1.1'), data_list=infos)))
    return path, tables


def read_sample(path, number=0):
    """A sample of an info file as a dataset hands it to the pipeline: paths joined."""
    path = Path(path)
    sample = pickle.loads(path.read_bytes())['data_list'][number]
    for image in sample['images'].values():
        image['img_path'] = str(path.parent / image['img_path'])
    sample['lidar_points']['lidar_path'] = str(path.parent / sample['lidar_points']['lidar_path'])
    sample['lidar_path'] = sample['lidar_points']['lidar_path']
    return sample


def devkit_pixels(points, table, name):
    """Pixels (n, 2) and depth (n,) as nuscenes-devkit's ``map_pointcloud_to_image`` computes them, through the global
    frame and both ego poses; in float64, for float32 is a tenth of a millimetre at global coordinates."""
    cloud = LidarPointCloud(np.concatenate([points[:, :3].T, np.zeros((1, len(points)))]).astype(np.float64))
    for record in (table['LIDAR_TOP'], table['LIDAR_TOP']['ego']):
        cloud.rotate(Quaternion(record['rotation']).rotation_matrix)
        cloud.translate(np.array(record['translation']))
    for record in (table[name]['ego'], table[name]):
        cloud.translate(-np.array(record['translation']))
        cloud.rotate(Quaternion(record['rotation']).rotation_matrix.T)
    seen = view_points(cloud.points[:3], np.array(table[name]['camera_intrinsic']), normalize=True)
    return seen[:2].T, cloud.points[2]
