"""What nuscenes-devkit makes of a drawn street's poses, points and boxes agrees with the drawing."""
import dataclasses

import numpy as np
import pytest
from nuscenes import NuScenes
from nuscenes.utils.data_classes import LidarPointCloud
from nuscenes.utils.geometry_utils import points_in_box, transform_matrix, view_points
from pretrain3d.worlds.street.nuscenes_taxonomy import token
from pretrain3d.worlds.street.rig import CAMERAS
from pretrain3d.worlds.street.scene import draw_street
from pyquaternion import Quaternion

# Standard deviation of the drawn LiDAR's range, metres.
NOISE = 0.02


@pytest.fixture(scope='module')
def nusc(drawn_street):
    return NuScenes('v1.0-mini', str(drawn_street.world), verbose=False)


@pytest.fixture(scope='module')
def streets(drawn_street, nusc):
    """Scene token -> (its street drawn anew, microseconds of its first keyframe)."""
    return {scene['token']: (draw_street(scene['name'], drawn_street.preset, drawn_street.seed),
                             nusc.get('sample', scene['first_sample_token'])['timestamp']) for scene in nusc.scene}


def projected(nusc, sample, channel):
    """LiDAR points in a camera as the devkit projects them: pixels (N, 2) and depths (N,).

    Those less than a metre before the camera are left out.
    """
    points = LidarPointCloud.from_file(nusc.get_sample_data_path(sample['data']['LIDAR_TOP']))
    for table, forth, place in (('calibrated_sensor', True, 'LIDAR_TOP'), ('ego_pose', True, 'LIDAR_TOP'),
                                ('ego_pose', False, channel), ('calibrated_sensor', False, channel)):
        record = nusc.get(table, nusc.get('sample_data', sample['data'][place])[f'{table}_token'])
        if forth:
            points.rotate(Quaternion(record['rotation']).rotation_matrix)
            points.translate(np.array(record['translation']))
        else:
            points.translate(-np.array(record['translation']))
            points.rotate(Quaternion(record['rotation']).rotation_matrix.T)
    ahead = points.points[:3, points.points[2] > 1]
    pixel = view_points(ahead, np.array(record['camera_intrinsic']), normalize=True)[:2].T
    return pixel, ahead[2]


def test_projected_points_lie_on_what_the_cameras_see(nusc, streets):
    """Roughly, in all cameras at their own times: what the depth is at the 3 x 3 pixels around a point.

    A camera may see something nearer than a point, which the LiDAR, mounted higher, sees over or past; it must not see
    through a point. A pixel of these images may be metres wide: the next test looks at centimetres.
    """
    seen, same, through = 0, 0, 0
    for sample in nusc.sample[::4]:
        street, start = streets[sample['scene_token']]
        for channel in CAMERAS:
            pixel, depth = projected(nusc, sample, channel)
            time = (nusc.get('sample_data', sample['data'][channel])['timestamp'] - start) * 1e-6
            image = street.depth(channel, time)
            height, width = image.shape
            column, row = np.floor(pixel).astype(int).T
            inside = (column >= 1) & (column < width - 1) & (row >= 1) & (row < height - 1)
            column, row, depth = column[inside], row[inside], depth[inside]
            around = np.stack([image[row + dy, column + dx] for dy in (-1, 0, 1) for dx in (-1, 0, 1)])
            low, high, slack = around.min(0), around.max(0), 4 * NOISE + 0.01 * depth
            seen += len(depth)
            same += ((depth > low - slack) & (depth < high + slack)).sum()
            through += (depth < low - slack).sum()
    assert seen > 5000
    assert same > 0.88 * seen and through < 0.015 * seen, (same, through, seen)


def range_errors(image, intrinsic, points, origin):
    """How much farther along their rays LiDAR points lie than the planes that a camera sees around their pixels.

    On a plane the inverse of the depth is an affine function of the pixel. One is fitted to the 9 x 9 pixels around a
    point, and kept if it fits them all to 3 mm of depth: the depth alone decides, not how well the point agrees.

    Args:
        image: (H, W) depth. intrinsic: (3, 3). points: (N, 3) and origin: (3,) of their rays, in the camera's frame.

    Returns:
        (M,) metres, and (M, 3) the planes' unit normals in the camera's frame.
    """
    points = points[points[:, 2] > 1]
    column, row = np.floor(view_points(points.T, intrinsic, normalize=True)[:2]).astype(int)
    height, width = image.shape
    inside = (column >= 4) & (column < width - 4) & (row >= 4) & (row < height - 4)
    points, column, row = points[inside], column[inside], row[inside]
    down, right = np.mgrid[-4:5, -4:5]
    inverse = 1 / image[row[:, None, None] + down, column[:, None, None] + right].astype(np.float64)
    along, across, middle = (np.einsum('nij,ij->n', inverse, weight / (weight ** 2).sum())
                             for weight in (right, down, np.ones_like(down)))
    fitted = along[:, None, None] * right + across[:, None, None] * down + middle[:, None, None]
    flat = (np.abs(fitted - inverse) < 0.003 * inverse ** 2).all((1, 2))
    # 1 / z = (a, b, c) (u, v, 1), with u = column + 0.5 in a pixel's middle: plane . xyz = 1.
    plane = np.stack([along, across, middle - along * (column + 0.5) - across * (row + 0.5)], 1) @ intrinsic
    normal = plane / np.maximum(np.linalg.norm(plane, axis=1, keepdims=True), 1e-12)
    ray = (points - origin) / np.linalg.norm(points - origin, axis=1, keepdims=True)
    flat &= np.abs((normal * ray).sum(1)) > 0.05
    error = ((plane * points).sum(1)[flat] - 1) / (plane * ray).sum(1)[flat]
    return error, normal[flat]


def test_points_lie_on_the_planes_a_camera_sees_within_the_noise(drawn_street, nusc):
    """On surfaces across every axis of the ego, without an offset; 2 cm along that axis would be seen.

    The camera is asked at the LiDAR's time, with as many pixels as in the release. The LiDAR sits higher: points more
    than 0.3 m (15 standard deviations) behind a plane are hidden from the camera, and few.
    """
    fine, channel = dataclasses.replace(drawn_street.preset, image_size=(1600, 900)), 'CAM_FRONT_LEFT'
    shifts = [np.zeros(3), *0.02 * np.eye(3)]
    found = [[] for _ in shifts]
    for scene in nusc.scene:
        street = draw_street(scene['name'], fine, drawn_street.seed)
        first = nusc.get('sample', scene['first_sample_token'])
        data = nusc.get('sample', first['next'])['data']
        lidar, camera = (nusc.get('sample_data', data[name]) for name in ('LIDAR_TOP', channel))
        image = street.depth(channel, (lidar['timestamp'] - first['timestamp']) * 1e-6)
        points = LidarPointCloud.from_file(nusc.get_sample_data_path(lidar['token'])).points[:3].astype(np.float64)
        lidar, camera = (nusc.get('calibrated_sensor', each['calibrated_sensor_token']) for each in (lidar, camera))
        intrinsic = np.diag([1600 / drawn_street.preset.image_size[0]] * 2 + [1]) @ camera['camera_intrinsic']
        to_camera = transform_matrix(camera['translation'], Quaternion(camera['rotation']), inverse=True)
        for shift, held in zip(shifts, found):
            pose = to_camera @ transform_matrix(lidar['translation'] + shift, Quaternion(lidar['rotation']))
            error, normal = range_errors(image, intrinsic, (pose[:3, :3] @ points).T + pose[:3, 3], pose[:3, 3])
            held.append(np.column_stack([error, np.abs(normal @ to_camera[:3, :3])]))
    true, *moved = (np.concatenate(held) for held in found)
    for axis in range(3):
        facing = true[true[:, 1 + axis] > 0.7, 0]
        error = facing[facing < 0.3]
        assert len(error) > 300 and len(error) > 0.8 * len(facing), (axis, len(error), len(facing))
        assert abs(np.median(error)) < 0.005, (axis, np.median(error))
        assert (np.abs(error) < 3 * NOISE).mean() > 0.98, (axis, (np.abs(error) < 3 * NOISE).mean())
        shifted = moved[axis][(moved[axis][:, 1 + axis] > 0.7) & (moved[axis][:, 0] < 0.3), 0]
        assert abs(np.median(shifted)) > 0.015, (axis, np.median(shifted))


def test_poses_are_those_of_the_drawing(nusc, streets):
    for sample in nusc.sample[::5]:
        street, start = streets[sample['scene_token']]
        for name in sample['data'].values():
            data = nusc.get('sample_data', name)
            record = nusc.get('ego_pose', data['ego_pose_token'])
            pose = street.ego_pose((data['timestamp'] - start) * 1e-6)
            np.testing.assert_allclose(record['translation'], pose[:3, 3], atol=1e-9)
            np.testing.assert_allclose(Quaternion(record['rotation']).rotation_matrix, pose[:3, :3], atol=1e-9)


def test_recount_of_points_in_boxes(nusc):
    total = 0
    for sample in nusc.sample:
        path, boxes, _ = nusc.get_sample_data(sample['data']['LIDAR_TOP'])
        points = LidarPointCloud.from_file(path).points[:3]
        for box in boxes:
            count = points_in_box(box, points).sum()
            assert nusc.get('sample_annotation', box.token)['num_lidar_pts'] == count >= 1
            total += count
    assert total > 1000


def test_boxes_are_those_of_the_drawing(drawn_street, nusc, streets):
    """Velocities, as devkit makes them of a second's way, are near the derivative; what brakes differs by a little."""
    differences, speeds = [], []
    things = {}  # instance token -> (thing, microseconds of the scene's first keyframe)
    for scene in nusc.scene:
        street, start = streets[scene['token']]
        for row, thing in enumerate(street.instances):
            key = token(drawn_street.seed, drawn_street.preset.name, scene['name'], 'instance', row)
            things[key] = (thing, start)
    for annotation in nusc.sample_annotation:
        thing, start = things[annotation['instance_token']]
        assert nusc.get('category', nusc.get('instance', annotation['instance_token'])['category_token'])['name'] == \
            thing.category == annotation['category_name']
        time = (nusc.get('sample', annotation['sample_token'])['timestamp'] - start) * 1e-6
        centre, yaw = thing.pose(time)
        np.testing.assert_allclose(annotation['translation'], centre, atol=6e-4)
        np.testing.assert_allclose(annotation['size'], thing.size, atol=6e-4)
        ahead = Quaternion(annotation['rotation']).rotation_matrix[:2, 0]
        np.testing.assert_allclose(ahead, [np.cos(yaw), np.sin(yaw)], atol=1e-9)
        velocity = nusc.box_velocity(annotation['token'])[:2]
        if '' not in (annotation['prev'], annotation['next']) and not np.isnan(velocity).any():
            differences.append(np.linalg.norm(velocity - thing.velocity(time)))
            speeds.append(np.linalg.norm(velocity))
    assert len(differences) > 50 and max(speeds) > 3
    assert np.quantile(differences, 0.95) < 0.35 and np.median(differences) < 0.05


def test_ego_drives_where_the_map_says(nusc):
    for scene in nusc.scene:
        place = nusc.get('map', nusc.get('log', scene['log_token'])['map_token'])
        poses = np.array([nusc.get('ego_pose', data['ego_pose_token'])['translation'] for data in nusc.sample_data
                          if nusc.get('sample', data['sample_token'])['scene_token'] == scene['token']])
        assert place['mask'].is_on_mask(poses[:, 0], poses[:, 1]).all()
        aside = poses + [500, 500, 0]
        assert not place['mask'].is_on_mask(aside[:, 0], aside[:, 1]).any()
