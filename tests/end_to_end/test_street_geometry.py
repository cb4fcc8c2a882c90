"""What nuscenes-devkit makes of a drawn street's poses, points and boxes agrees with the drawing."""
import numpy as np
import pytest
from nuscenes import NuScenes
from nuscenes.utils.data_classes import LidarPointCloud
from nuscenes.utils.geometry_utils import points_in_box, view_points
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
    """LiDAR points in a camera as the devkit projects them: pixels (N, 2), depths (N,) and whether they may move (N,).

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
    raw = np.fromfile(f'{nusc.dataroot}/{nusc.get("lidarseg", sample["data"]["LIDAR_TOP"])["filename"]}', np.uint8)
    ahead = points.points[:3, points.points[2] > 1]
    pixel = view_points(ahead, np.array(record['camera_intrinsic']), normalize=True)[:2].T
    return pixel, ahead[2], raw[points.points[2] > 1] < 24


def test_projected_points_lie_on_what_the_cameras_see(nusc, streets):
    """Depth of the drawing where devkit projects LiDAR points: theirs, within the noise.

    A camera may see something nearer than a point, which the LiDAR, mounted higher, sees over or past; it must not see
    through a point. The drawing is asked at the 3 x 3 pixels around a point, as a pixel may be metres wide.
    """
    seen, same, through, flat = 0, 0, 0, []
    for sample in nusc.sample[::4]:
        street, start = streets[sample['scene_token']]
        for channel in CAMERAS:
            pixel, depth, movable = projected(nusc, sample, channel)
            time = (nusc.get('sample_data', sample['data'][channel])['timestamp'] - start) * 1e-6
            image = street.depth(channel, time)
            height, width = image.shape
            column, row = np.floor(pixel).astype(int).T
            inside = (column >= 1) & (column < width - 1) & (row >= 1) & (row < height - 1)
            column, row, depth, movable = column[inside], row[inside], depth[inside], movable[inside]
            around = np.stack([image[row + dy, column + dx] for dy in (-1, 0, 1) for dx in (-1, 0, 1)])
            low, high, slack = around.min(0), around.max(0), 4 * NOISE + 0.01 * depth
            seen += len(depth)
            agree = (depth > low - slack) & (depth < high + slack)
            same += agree.sum()
            through += (depth < low - slack).sum()
            flat.append((depth - around[4])[agree & ~movable & (high < low + 0.1)])
    assert seen > 5000
    assert same > 0.88 * seen and through < 0.015 * seen, (same, through, seen)
    flat = np.concatenate(flat)
    assert len(flat) > 30 and np.median(np.abs(flat)) < 2 * NOISE, (len(flat), np.median(np.abs(flat)))


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
