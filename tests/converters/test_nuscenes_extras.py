"""What is added to nuScenes' info files, beside the devkit's own view of the tables; missing files."""
import copy
import pickle

import numpy as np
import pytest
from nuscenes.nuscenes import NuScenes
from nuscenes_tables import CAMERAS, SCENES, SIZE, VERSION, cloud, prepare, write_tables
from pretrain3d.converters.nuscenes.extras import (_sweep, add_extras, find_lost, leave_out, read_infos, read_release,
                                                   sensor2global, write_infos)
from pretrain3d.converters.nuscenes.tables import TableError
from pyquaternion import Quaternion


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    return prepare(write_tables(tmp_path_factory.mktemp('nuscenes')), extras=False)


@pytest.fixture(scope='module')
def devkit(made):
    return NuScenes(VERSION, str(made), verbose=False)


@pytest.fixture()
def plain(made):
    """Content as mmdet3d's converter left it."""
    return {split: read_infos(made / f'nuscenes_infos_{split}.pkl') for split in ('train', 'val')}


@pytest.fixture(scope='module')
def release(made):
    return read_release(made, VERSION)


@pytest.fixture()
def extended(plain, release):
    for split, infos in plain.items():
        add_extras(infos, release, split)
    return plain


def frames(extended):
    return [info for infos in extended.values() for info in infos['data_list']]


def test_scenes_and_attributes_are_the_devkits(extended, devkit):
    seen = set()
    for info in frames(extended):
        sample = devkit.get('sample', info['token'])
        assert info['scene_name'] == devkit.get('scene', sample['scene_token'])['name']
        assert SCENES[info['scene_index']] == info['scene_name']
        for instance, token in zip(info['instances'], sample['anns']):
            tokens = devkit.get('sample_annotation', token)['attribute_tokens']
            assert instance['attribute_name'] == (devkit.get('attribute', tokens[0])['name'] if tokens else '')
            seen.add(instance['attribute_name'])
    assert seen == {'vehicle.moving', 'pedestrian.standing', '', 'vehicle.parked', 'vehicle.stopped'}


def test_label_files_are_those_of_the_frame(extended, made):
    for number, info in enumerate(frames(extended)):
        scene, frame = SCENES.index(info['scene_name']), int(info['lidar_points']['lidar_path'].split('__')[2][0])
        points, raw, panoptic = cloud(scene, frame, frame * 250000)
        assert np.array_equal(np.fromfile(made / 'samples' / 'LIDAR_TOP' / info['lidar_points']['lidar_path'],
                                          np.float32), points.reshape(-1))
        assert np.array_equal(np.fromfile(made / 'lidarseg' / VERSION / info['pts_semantic_mask_path'], np.uint8), raw)
        with np.load(made / 'panoptic' / VERSION / info['pts_panoptic_mask_path']) as held:
            assert np.array_equal(held['data'], panoptic)


def devkit_lidar2cam(devkit, lidar_token, camera_token):
    """By the devkit's own way: LiDAR, car then, world, car later, camera."""
    matrix = np.eye(4)
    lidar, camera = devkit.get('sample_data', lidar_token), devkit.get('sample_data', camera_token)
    for row, back in ((lidar, False), (camera, True)):
        steps = [devkit.get('calibrated_sensor', row['calibrated_sensor_token']),
                 devkit.get('ego_pose', row['ego_pose_token'])]
        for step in reversed(steps) if back else steps:
            move = Quaternion(step['rotation']).transformation_matrix
            move[:3, 3] = step['translation']
            matrix = (np.linalg.inv(move) if back else move) @ matrix
    return matrix


def test_camera_sweeps_are_earlier_frames_seen_from_the_keyframes_lidar(extended, devkit, made):
    lengths = set()
    for info in frames(extended):
        sample = devkit.get('sample', info['token'])
        assert set(info['camera_sweeps']) == set(CAMERAS)
        for channel, entries in info['camera_sweeps'].items():
            token = info['images'][channel]['sample_data_token']
            lengths.add(len(entries))
            for entry in entries:
                token = devkit.get('sample_data', token)['prev']
                row = devkit.get('sample_data', token)
                assert entry['sample_data_token'] == token and entry['img_path'] == row['filename']
                assert (made / entry['img_path']).is_file()
                assert entry['timestamp'] < info['images'][channel]['timestamp']
                assert set(info['images'][channel]) <= set(entry)
                expected = devkit_lidar2cam(devkit, sample['data']['LIDAR_TOP'], token)
                assert np.abs(np.array(entry['lidar2cam']) - expected).max() < 1e-9
                assert np.abs(np.array(entry['ego2global'])[:3, 3] - devkit.get(
                    'ego_pose', row['ego_pose_token'])['translation']).max() < 1e-6
    assert lengths == {0, 2, 4}


@pytest.mark.parametrize('sweeps', [0, 5])
def test_images_say_the_size_that_was_recorded(plain, made, sweeps):
    add_extras(plain['val'], read_release(made, VERSION, sweeps > 0), 'val', sweeps=sweeps)
    for info in plain['val']['data_list']:
        entries = [*info['images'].values(), *(one for some in info.get('camera_sweeps', {}).values() for one in some)]
        assert len(entries) >= 6 and {(entry['width'], entry['height']) for entry in entries} == {SIZE}


def test_a_sweep_at_the_keyframe_would_be_mmdet3ds_entry(plain, release):
    for info in plain['val']['data_list']:
        lidar2global = sensor2global(release.lidars[info['token']], release)
        for image in info['images'].values():
            entry = _sweep(release.frames[image['sample_data_token']], release, lidar2global)
            for key in ('cam2img', 'lidar2cam', 'cam2ego'):
                assert np.abs(np.array(entry[key]) - image[key]).max() < 2e-7 * 110
            assert entry['timestamp'] == pytest.approx(image['timestamp'])


def test_again_changes_nothing(extended, release, tmp_path):
    path = tmp_path / 'infos.pkl'
    assert write_infos(path, extended['train']) and not write_infos(path, extended['train'])
    again = read_infos(path)
    add_extras(again, release, 'again')
    assert not write_infos(path, again)
    add_extras(again, release, 'less', sweeps=0)
    assert write_infos(path, again) and 'camera_sweeps' not in read_infos(path)['data_list'][2]


def test_sweeps_are_limited(plain, release):
    add_extras(plain['val'], release, 'val', sweeps=1)
    assert [len(info['camera_sweeps']['CAM_BACK']) for info in plain['val']['data_list']] == [0, 1, 1]


def test_without_label_tables_there_are_no_label_keys(made, plain, release):
    bare = copy.copy(release)
    bare.labels = {}
    add_extras(plain['val'], bare, 'val')
    assert not any('pts_semantic_mask_path' in info or 'pts_panoptic_mask_path' in info
                   for info in plain['val']['data_list'])


def test_missing_files_are_found_and_what_they_belong_to_is_left_out(extended, made, tmp_path):
    import shutil
    root = shutil.copytree(made, tmp_path / 'copy')
    infos = extended['train']
    assert find_lost(infos, root).lines() == []
    first, second, third = infos['data_list'][:3]
    (root / 'lidarseg' / VERSION / first['pts_semantic_mask_path']).unlink()
    (root / 'panoptic' / VERSION / second['pts_panoptic_mask_path']).unlink()
    (root / 'sweeps' / 'LIDAR_TOP' / 'scene-1094__LIDAR_TOP__1.pcd.bin').unlink()
    (root / 'sweeps' / 'CAM_BACK' / 'scene-1094__CAM_BACK__3.jpg').write_bytes(b'')
    (root / 'samples' / 'CAM_FRONT' / 'scene-0061__CAM_FRONT__2.jpg').unlink()
    lost = find_lost(infos, root)
    assert [line.split(' missing')[0] for line in lost.lines()] == [
        '1 files of keyframes', '1 files of lidar sweeps', '2 files of camera sweeps', '1 files of lidarseg',
        '1 files of panoptic']
    assert leave_out(infos, lost) == 1 and len(infos['data_list']) == 5
    assert 'pts_semantic_mask_path' not in first and 'pts_panoptic_mask_path' in first
    assert 'pts_panoptic_mask_path' not in second and 'pts_semantic_mask_path' in second
    assert [len(info.get('lidar_sweeps', ())) for info in (first, second, third)] == [0, 1, 3]
    assert [len(third['camera_sweeps'][channel]) for channel in ('CAM_BACK', 'CAM_FRONT')] == [3, 4]
    assert find_lost(infos, root).lines() == []


def test_infos_of_other_tables_are_refused(plain, release):
    broken = copy.deepcopy(plain['val'])
    broken['data_list'][1]['instances'][0]['num_lidar_pts'] += 1
    with pytest.raises(TableError, match='has 5 boxes, which are not the 5 of the tables'):
        add_extras(broken, release, 'val')
    del plain['val']['data_list'][0]['instances'][2]
    with pytest.raises(TableError, match='has 4 boxes'):
        add_extras(plain['val'], release, 'val')
    plain['train']['data_list'][0]['token'] = 'x'
    with pytest.raises(TableError, match="table sample has no row 'x'"):
        add_extras(plain['train'], release, 'train')


def test_files_that_are_no_info_files(tmp_path):
    with pytest.raises(TableError, match='does not exist: make it with tools/data/nuscenes.py'):
        read_infos(tmp_path / 'a.pkl')
    for content in (b'no pickle', pickle.dumps([1]), pickle.dumps(dict(metainfo=dict(dataset='kitti'), data_list=[1]))):
        (tmp_path / 'a.pkl').write_bytes(content)
        with pytest.raises(TableError, match='a.pkl'):
            read_infos(tmp_path / 'a.pkl')
