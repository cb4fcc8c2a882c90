"""mmdet3d's own converter on a small release: what it makes, where it appears, and what stops it."""
import json
import os
import pickle
import shutil

import numpy as np
import pytest
from nuscenes_tables import CAMERAS, KEYFRAMES, OBJECTS, SIZE, VERSION, prepare, write_tables
from pretrain3d.converters.nuscenes.create import create, is_done
from pretrain3d.converters.nuscenes.tables import TableError, check_release


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp('samples') / 'nuscenes'  # a path in which mmdet3d would take sweeps for samples
    root.mkdir()
    return prepare(write_tables(root), database=True, extras=False)


@pytest.fixture()
def release(tmp_path):
    return write_tables(tmp_path)


def infos(root, split):
    return pickle.loads((root / f'nuscenes_infos_{split}.pkl').read_bytes())


def edit(root, table, change):
    path = root / VERSION / f'{table}.json'
    rows = json.loads(path.read_text())
    change(rows)
    path.write_text(json.dumps(rows))


def test_frames_of_both_splits_and_nothing_else(made):
    assert [len(infos(made, split)['data_list']) for split in ('train', 'val')] == [2 * KEYFRAMES, KEYFRAMES]
    assert all('scene-0103' in info['lidar_points']['lidar_path'] for info in infos(made, 'val')['data_list'])
    assert infos(made, 'train')['metainfo']['version'] == VERSION
    assert sorted(path.name for path in made.iterdir()) == sorted([
        'lidarseg', 'panoptic', 'maps', 'samples', 'sweeps', VERSION, 'nuscenes_gt_database',
        'nuscenes_dbinfos_train.pkl', 'nuscenes_infos_train.pkl', 'nuscenes_infos_val.pkl'])


def test_sweeps_lead_to_the_sweeps_wherever_the_data_lie(made):
    """mmdet3d looks for the word 'samples' in a sweep's whole path; the data lie in a folder of that name."""
    from mmdet3d.datasets import NuScenesDataset
    data = NuScenesDataset(str(made), 'nuscenes_infos_train.pkl', metainfo=dict(version=VERSION), data_prefix=dict(
        pts='samples/LIDAR_TOP', sweeps='sweeps/LIDAR_TOP', img=''))
    paths = [sweep['lidar_points']['lidar_path'] for i in range(len(data))
             for sweep in data.get_data_info(i).get('lidar_sweeps', ())]
    # A frame's earlier sweeps: every second one is a keyframe's.
    assert len(paths) == 2 * (2 + 4) and all(os.path.exists(path) for path in paths)
    assert sum('/sweeps/' in path for path in paths) == len(paths) / 2


def test_points_in_boxes_are_as_many_as_the_tables_say(made):
    for info in infos(made, 'val')['data_list']:
        points = np.fromfile(made / 'samples' / 'LIDAR_TOP' / info['lidar_points']['lidar_path'], np.float32)
        xyz = points.reshape(-1, 5)[:, :3].astype(np.float64)
        for instance, (_, _, _, size, _, count) in zip(info['instances'], OBJECTS):
            *centre, length, width, height, yaw = instance['bbox_3d']
            assert np.allclose((width, length, height), size)
            local = (xyz - centre) @ [[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]]
            # The LiDAR is tilted by a degree, the box in mmdet3d's frame is not.
            inside = (np.abs(local) <= np.array([length, width, height]) / 2 + 0.03).all(1).sum()
            assert count <= inside <= count + 6 and instance['num_lidar_pts'] == count


def test_objects_are_cut_out_with_their_points_and_class(made):
    """mmdet3d's script alone calls the six police cars, which have no class, barriers."""
    held = pickle.loads((made / 'nuscenes_dbinfos_train.pkl').read_bytes())
    assert {name: len(rows) for name, rows in held.items() if rows} == dict(car=6, pedestrian=6, barrier=6)
    for row in held['car']:
        assert len(np.fromfile(made / row['path'], np.float32)) == 5 * row['num_points_in_gt'] > 0
    assert all(row['box3d_lidar'][3] < 1 for row in held['barrier'])
    assert len(list((made / 'nuscenes_gt_database').iterdir())) == 18


def test_image_boxes_are_clipped_to_the_images_size(made):
    boxes = np.array([box['bbox'] for info in infos(made, 'train')['data_list']
                      for boxes in info['cam_instances'].values() for box in boxes])
    assert len(boxes) >= 10 and boxes.min() >= 0 and (boxes.max(0) <= [*SIZE, *SIZE]).all()
    assert (boxes[:, 2] == SIZE[0]).any(), 'a box that reaches over the border'
    from mmdet3d.datasets import convert_utils
    assert convert_utils.post_process_coords([[-5., -5.], [2000., 5.], [5., 2000.]])[2:] == (1600, 900)


def test_it_is_done_until_the_tables_change(made, tmp_path):
    copy = shutil.copytree(made, tmp_path / 'copy')
    assert is_done(copy, VERSION, 'nuscenes', True) and not is_done(copy, 'v1.0-trainval', 'nuscenes', True)
    (copy / 'nuscenes_dbinfos_train.pkl').unlink()
    assert is_done(copy, VERSION, 'nuscenes', False) and not is_done(copy, VERSION, 'nuscenes', True)
    os.utime(copy / VERSION / 'scene.json')
    os.utime(copy / VERSION / 'scene.json', (2e9, 2e9))
    assert not is_done(copy, VERSION, 'nuscenes', False)


def test_a_failed_or_killed_run_leaves_the_folder_as_it_was(release, dead_process):
    (release / 'nuscenes_infos_train.pkl').write_bytes(b'old')
    before = sorted(path.name for path in release.iterdir())
    seen = []

    def half(folder, size):
        seen.append((size, sorted(path.name for path in (folder / 'data' / 'nuscenes').iterdir())))
        (folder / 'data' / 'nuscenes' / 'nuscenes_infos_train.pkl').write_bytes(b'half')
        return len(seen) - 1

    with pytest.raises(TableError, match='left no nuscenes_infos_val.pkl'):
        create(release, VERSION, half, database=False)
    with pytest.raises(TableError, match='ended with status 1'):
        create(release, VERSION, half, database=False)
    from pretrain3d.files import HOST
    left = release / f'.nuscenes_infos.{HOST}.{dead_process}.partial'
    left.mkdir()
    with pytest.raises(KeyboardInterrupt):
        create(release, VERSION, lambda folder, size: (_ for _ in ()).throw(KeyboardInterrupt), database=False)
    assert sorted(path.name for path in release.iterdir()) == before
    assert (release / 'nuscenes_infos_train.pkl').read_bytes() == b'old'
    assert seen[0] == (SIZE, ['lidarseg', 'maps', 'panoptic', 'samples', 'sweeps', VERSION])


def test_worlds_of_unknown_scenes_have_no_frames(release):
    edit(release, 'scene', lambda rows: [row.update(name=f'street-{row["name"]}') for row in rows])
    with pytest.raises(TableError, match='none of the 8 scenes of a split of v1.0-mini.*official names'):
        create(release, VERSION, None)


def test_check_release_gives_the_size_of_the_images(release):
    assert check_release(release, VERSION) == SIZE


@pytest.mark.parametrize('what, message', [
    ('table', 'ego_pose.json does not exist: .* must hold v1.0-mini'),
    ('version', 'it holds v1.0-mini'),
    ('json', r'sensor.json is no json .*: copy it again'),
    ('rows', 'sensor.json is no table of nuScenes'),
    ('lidar', r'1 files of keyframes missing or empty: samples/LIDAR_TOP/scene-0061__LIDAR_TOP__2.pcd.bin'),
    ('image', '1 files of keyframes missing or empty: samples/CAM_BACK/'),
    ('lidarseg', '1 files of nuScenes-lidarseg missing or empty: .*move v1.0-mini/lidarseg.json away'),
    ('camera', 'no frames of CAM_BACK_LEFT'), ('sizes', r'several sizes, \[\(160, 90\), \(1600, 900\)\]')])
def test_what_stops_it_is_told_before_it_starts(release, what, message):
    version = 'v1.0-trainval' if what == 'version' else VERSION
    if what == 'table':
        (release / VERSION / 'ego_pose.json').unlink()
    elif what == 'json':
        (release / VERSION / 'sensor.json').write_text('[{"tok')
    elif what == 'rows':
        (release / VERSION / 'sensor.json').write_text('{}')
    elif what == 'lidar':
        (release / 'samples' / 'LIDAR_TOP' / 'scene-0061__LIDAR_TOP__2.pcd.bin').write_bytes(b'')
    elif what == 'image':
        next((release / 'samples' / 'CAM_BACK').iterdir()).unlink()
    elif what == 'lidarseg':
        next((release / 'lidarseg' / VERSION).iterdir()).unlink()
    elif what == 'camera':
        edit(release, 'sensor', lambda rows: [row.update(channel='CAM_X') for row in rows
                                              if row['channel'] == 'CAM_BACK_LEFT'])
    elif what == 'sizes':
        assert len(CAMERAS) == 6
        edit(release, 'sample_data', lambda rows: rows[-1].update(width=1600, height=900))
    with pytest.raises(TableError, match=message):
        check_release(release, version)


def test_the_training_release_is_made_without_the_test_release(release):
    """create_data.py --version v1.0 wants both; here the release that is asked for is enough."""
    for table in (release / VERSION).glob('*.json'):
        table.write_text(table.read_text().replace(VERSION, 'v1.0-trainval'))
    for folder in ('.', 'lidarseg', 'panoptic'):
        (release / folder / VERSION).rename(release / folder / 'v1.0-trainval')
    prepare(release, extras=False, version='v1.0-trainval')
    assert infos(release, 'val')['metainfo']['version'] == 'v1.0-trainval'
    assert [len(infos(release, split)['data_list']) for split in ('train', 'val')] == [2 * KEYFRAMES, KEYFRAMES]
