"""Streets on disk as nuScenes: whole tables, linked lists, files that match their records."""
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pretrain3d.label_spaces import NUSCENES_LIDARSEG
from pretrain3d.worlds.street import nuscenes_scene
from pretrain3d.worlds.street.nuscenes_taxonomy import TABLES, shared_tables, token, visibility_token
from pretrain3d.worlds.street.rig import rig, rotation_matrix
from pretrain3d.worlds.street.scene import draw_street
from scipy.spatial.transform import Rotation

# Table -> {field: table that its tokens belong to}.
FOREIGN = dict(
    calibrated_sensor=dict(sensor_token='sensor'), instance=dict(
        category_token='category', first_annotation_token='sample_annotation',
        last_annotation_token='sample_annotation'),
    map=dict(log_tokens='log'), sample=dict(scene_token='scene', prev='sample', next='sample'),
    sample_annotation=dict(sample_token='sample', instance_token='instance', visibility_token='visibility',
                           attribute_tokens='attribute', prev='sample_annotation', next='sample_annotation'),
    sample_data=dict(sample_token='sample', ego_pose_token='ego_pose', calibrated_sensor_token='calibrated_sensor',
                     prev='sample_data', next='sample_data'),
    scene=dict(log_token='log', first_sample_token='sample', last_sample_token='sample'),
    lidarseg=dict(sample_data_token='sample_data'), panoptic=dict(sample_data_token='sample_data'))
# Every table's fields, as nuScenes documents them.
FIELDS = dict(
    attribute='token name description', calibrated_sensor='token sensor_token translation rotation camera_intrinsic',
    category='token name description index', ego_pose='token timestamp rotation translation',
    instance='token category_token nbr_annotations first_annotation_token last_annotation_token',
    log='token logfile vehicle date_captured location', map='token log_tokens category filename',
    sample='token timestamp prev next scene_token',
    sample_annotation='token sample_token instance_token visibility_token attribute_tokens translation size rotation '
                      'prev next num_lidar_pts num_radar_pts',
    sample_data='token sample_token ego_pose_token calibrated_sensor_token timestamp fileformat is_key_frame height '
                'width filename prev next',
    scene='token log_token nbr_samples first_sample_token last_sample_token name description',
    sensor='token channel modality', visibility='token level description',
    lidarseg='token sample_data_token filename', panoptic='token sample_data_token filename')


@pytest.fixture(scope='module')
def tables(drawn_street):
    return {table: json.loads((drawn_street.world / 'v1.0-mini' / f'{table}.json').read_text()) for table in TABLES}


@pytest.fixture(scope='module')
def by_token(tables):
    return {table: {record['token']: record for record in records} for table, records in tables.items()}


def channel_of(by_token, record):
    calibration = by_token['calibrated_sensor'][record['calibrated_sensor_token']]
    return by_token['sensor'][calibration['sensor_token']]['channel']


def follow(chain, first):
    """Records from the token ``first`` along ``next``, after looking that ``prev`` leads back."""
    found, before = [], ''
    while first:
        record = chain[first]
        assert record['prev'] == before
        found.append(record)
        before, first = first, record['next']
    return found


def test_fields_and_foreign_keys(tables, by_token):
    assert set(FIELDS) == set(TABLES)
    for table, records in tables.items():
        assert records and len(by_token[table]) == len(records), table
        for record in records:
            assert set(record) == set(FIELDS[table].split()), table
            assert table == 'visibility' or re.fullmatch('[0-9a-f]{32}', record['token'])
            for field, target in FOREIGN.get(table, {}).items():
                values = record[field] if isinstance(record[field], list) else [record[field]]
                for value in values:
                    assert value in by_token[target] or (value == '' and field in ('prev', 'next')), (table, field)
    assert not {record['token'] for record in tables['ego_pose']} ^ {r['ego_pose_token'] for r in tables['sample_data']}
    assert [record['index'] for record in tables['category']] == list(range(32))
    assert [record['name'] for record in tables['category']] == [name for name, _ in NUSCENES_LIDARSEG]


def test_samples_of_a_scene_are_chained_half_a_second_apart(drawn_street, tables, by_token):
    seen = 0
    for scene in tables['scene']:
        chain = follow(by_token['sample'], scene['first_sample_token'])
        assert len(chain) == scene['nbr_samples'] == drawn_street.preset.keyframes
        assert chain[-1]['token'] == scene['last_sample_token']
        assert {sample['scene_token'] for sample in chain} == {scene['token']}
        assert set(np.diff([sample['timestamp'] for sample in chain])) == {500000}
        seen += len(chain)
    assert seen == len(tables['sample'])


def test_measurements_of_a_sensor_are_chained_in_time(drawn_street, tables, by_token):
    preset, seen = drawn_street.preset, 0
    for first in (record for record in tables['sample_data'] if not record['prev']):
        chain = follow(by_token['sample_data'], first['token'])
        seen += len(chain)
        between = preset.camera_sweeps_between if chain[0]['fileformat'] == 'jpg' else preset.sweeps_between
        assert len(chain) == (preset.keyframes - 1) * (between + 1) + 1
        assert len({record['calibrated_sensor_token'] for record in chain}) == 1
        stamps = np.array([record['timestamp'] for record in chain])
        assert (np.diff(stamps) > 0).all() and np.ptp(np.diff(stamps)) < 10
        assert [record['is_key_frame'] for record in chain] == [number % (between + 1) == 0
                                                                for number in range(len(chain))]
        for record in chain:
            sample = by_token['sample'][record['sample_token']]
            late = sample['timestamp'] - record['timestamp']
            if not record['is_key_frame']:  # what a sweep belongs to follows it
                assert 0 < late < 500000 + 50000
            elif channel_of(by_token, record) == 'LIDAR_TOP':
                assert late == 0
            else:
                assert 0 < late < 50000
            assert by_token['ego_pose'][record['ego_pose_token']]['timestamp'] == record['timestamp']
    assert seen == len(tables['sample_data'])
    for sample in tables['sample']:
        keys = [channel_of(by_token, record) for record in tables['sample_data']
                if record['is_key_frame'] and record['sample_token'] == sample['token']]
        assert len(keys) == len(set(keys)) == 7


def test_annotations_of_an_instance_are_chained(tables, by_token):
    seen = 0
    for instance in tables['instance']:
        chain = follow(by_token['sample_annotation'], instance['first_annotation_token'])
        assert len(chain) == instance['nbr_annotations'] and chain[-1]['token'] == instance['last_annotation_token']
        assert {record['instance_token'] for record in chain} == {instance['token']}
        stamps = [by_token['sample'][record['sample_token']]['timestamp'] for record in chain]
        assert (np.diff(stamps) > 0).all()
        seen += len(chain)
    assert seen == len(tables['sample_annotation'])
    for record in tables['sample_annotation']:
        assert record['num_lidar_pts'] >= 1 and record['num_radar_pts'] == 0 and len(record['attribute_tokens']) <= 1
        np.testing.assert_allclose(np.linalg.norm(record['rotation']), 1)


def test_boxes_belong_to_instances_of_several_keyframes(tables, by_token):
    """What is far off, or behind others, may be seen once; what comes within 30 m of the ego seldom is."""
    once = {instance['token'] for instance in tables['instance'] if instance['nbr_annotations'] == 1}
    assert len(once) < 0.19 * len(tables['instance']) and len(once) < 0.065 * len(tables['sample_annotation'])
    ego = {record['sample_token']: by_token['ego_pose'][record['ego_pose_token']]['translation'][:2]
           for record in tables['sample_data'] if record['is_key_frame'] and record['fileformat'] == 'pcd'}
    near = {box['instance_token'] for box in tables['sample_annotation']
            if np.linalg.norm(np.subtract(box['translation'][:2], ego[box['sample_token']])) < 30}
    assert len(near) > 100 and len(near & once) < 0.07 * len(near)


def test_files_are_those_of_the_records(drawn_street, tables, by_token):
    pattern = re.compile(r'(samples|sweeps)/(\w+)/n0\d\d-\d{4}(-\d\d){5}[+-]\d{4}__(\w+)__(\d{16})\.(pcd\.bin|jpg)')
    width, height = drawn_street.preset.image_size
    named = {f'v1.0-mini/{table}.json' for table in TABLES} | {'world.txt'}
    for record in tables['sample_data']:
        folder, first, _, second, stamp, suffix = pattern.fullmatch(record['filename']).groups()
        assert first == second == channel_of(by_token, record) and int(stamp) == record['timestamp']
        assert (folder == 'samples') == record['is_key_frame']
        path = drawn_street.world / record['filename']
        if suffix == 'jpg':
            assert (record['fileformat'], record['width'], record['height']) == ('jpg', width, height)
            with Image.open(path) as picture:
                assert (picture.format, picture.mode, picture.size) == ('JPEG', 'RGB', (width, height))
        else:
            assert (record['fileformat'], record['width'], record['height']) == ('pcd', 0, 0)
            points = np.fromfile(path, np.float32).reshape(-1, 5)
            assert len(points) > 1000 and np.isfinite(points).all()
            assert points[:, 3].min() >= 0 and points[:, 3].max() <= 255
            assert set(np.unique(points[:, 4])) <= set(range(32))
        named.add(record['filename'])
    named |= {record['filename'] for table in ('map', 'lidarseg', 'panoptic') for record in tables[table]}
    there = {str(path.relative_to(drawn_street.world)) for path in drawn_street.world.rglob('*') if path.is_file()}
    assert there == named


def test_labels_are_in_step_with_points(drawn_street, tables, by_token):
    things = range(1, 24)  # animals to trucks; what follows is stuff
    panoptic = {record['token']: record['filename'] for record in tables['panoptic']}
    numbered = 0
    for record in tables['lidarseg']:
        data = by_token['sample_data'][record['sample_data_token']]
        assert record['token'] == record['sample_data_token'] and data['is_key_frame']
        assert record['filename'] == f'lidarseg/v1.0-mini/{record["token"]}_lidarseg.bin'
        raw = np.fromfile(drawn_street.world / record['filename'], np.uint8)
        assert len(raw) == (drawn_street.world / data['filename']).stat().st_size // 20 and raw.max() < 32
        with np.load(drawn_street.world / panoptic[record['token']]) as stored:
            both = stored['data']
        assert both.dtype == np.uint16 and (both // 1000 == raw).all()
        assert (both[~np.isin(raw, things)] % 1000 == 0).all()
        numbered += len(np.unique(both[both % 1000 > 0]))
    assert len(tables['lidarseg']) == len(panoptic) == len(tables['sample']) and numbered > 10


def test_a_thing_keeps_its_number_and_fills_its_box(drawn_street, tables, by_token):
    """Points with an instance's panoptic number lie in that instance's box, at every keyframe."""
    numbers, outside, inside = {}, 0, 0
    for sample in tables['sample'][:drawn_street.preset.keyframes]:
        lidar = next(record for record in tables['sample_data'] if record['sample_token'] == sample['token']
                     and record['is_key_frame'] and record['fileformat'] == 'pcd')
        points = np.fromfile(drawn_street.world / lidar['filename'], np.float32).reshape(-1, 5)[:, :3]
        for entry in (by_token['calibrated_sensor'][lidar['calibrated_sensor_token']],
                      by_token['ego_pose'][lidar['ego_pose_token']]):
            points = points @ rotation_matrix(entry['rotation']).T + entry['translation']
        panoptic = np.load(drawn_street.world / f'panoptic/v1.0-mini/{lidar["token"]}_panoptic.npz')['data']
        for box in (box for box in tables['sample_annotation'] if box['sample_token'] == sample['token']):
            turn = rotation_matrix(box['rotation'])
            half = np.array(box['size'])[[1, 0, 2]] / 2
            within = (np.abs((points - box['translation']) @ turn) <= half + 0.15).all(1)
            category = by_token['instance'][box['instance_token']]['category_token']
            index = by_token['category'][category]['index']
            own = panoptic[within & (panoptic // 1000 == index)]
            if not len(own):
                continue
            number = np.bincount(own).argmax()
            assert numbers.setdefault(box['instance_token'], number) == number
            inside += (panoptic[within] == number).sum()
            outside += (panoptic[~within] == number).sum()
    assert len(set(numbers.values())) == len(numbers) > 5
    assert outside < 0.01 * inside


def test_images_are_what_the_cameras_see(drawn_street, tables, by_token):
    scene = tables['scene'][1]
    street = draw_street(scene['name'], drawn_street.preset, drawn_street.seed)
    start = by_token['sample'][scene['first_sample_token']]['timestamp']
    mine = [record for record in tables['sample_data'] if record['fileformat'] == 'jpg'
            and by_token['sample'][record['sample_token']]['scene_token'] == scene['token']]
    for record in mine[::17]:
        with Image.open(drawn_street.world / record['filename']) as picture:
            stored = np.asarray(picture, dtype=float)
        seen = street.image(channel_of(by_token, record), (record['timestamp'] - start) * 1e-6)
        assert np.abs(stored - seen).mean() < 12  # JPEG's loss on small images


def test_drawing_a_scene_again_gives_the_same_bytes(drawn_street, tables, tmp_path):
    again = nuscenes_scene.record_scene(tmp_path, 'scene-0103', drawn_street.preset, drawn_street.seed)
    drawn = [path for path in tmp_path.rglob('*') if path.is_file()]
    assert len(drawn) > 50
    for path in drawn:
        assert path.read_bytes() == (drawn_street.world / path.relative_to(tmp_path)).read_bytes(), path
    for table, records in again.items():
        assert all(record in tables[table] for record in records), table


def test_recordings_have_names_and_times_of_their_own(tables):
    assert len({log['logfile'] for log in tables['log']}) == len(tables['log']) >= 3
    names = {nuscenes_scene.recording(scene, 'singapore-x') for scene in nuscenes_scene.DRIVES}
    assert len(names) == 10
    log, vehicle, start = nuscenes_scene.recording('scene-0061', 'singapore-onenorth')
    assert log == 'n015-2018-07-24-11-22-45+0800' and vehicle == 'n015'
    assert 0 < start - 1532402565 * 10**6 < 10**6  # 03:22:45 UTC
    assert nuscenes_scene.recording('scene-0103', 'boston-seaport')[:2] == ('n008-2018-08-01-15-16-36-0400', 'n008')


def test_quaternions_are_those_of_the_rotation():
    turns = Rotation.random(200, random_state=0)
    # The four branches' edges too: half turns about the axes and no turn at all.
    edges = Rotation.from_rotvec(np.pi * np.concatenate([np.eye(3), -np.eye(3), np.zeros((1, 3))]))
    for turn in [*turns, *edges]:
        pose = np.eye(4)
        pose[:3, :3] = turn.as_matrix()
        found = nuscenes_scene.quaternion(pose)
        assert found[0] >= 0 and abs(np.linalg.norm(found) - 1) < 1e-12
        np.testing.assert_allclose(rotation_matrix(found), turn.as_matrix(), atol=1e-12)


@pytest.mark.parametrize('share, key', [(0, '1'), (0.39, '1'), (0.41, '2'), (0.7, '3'), (0.81, '4'), (1, '4')])
def test_visibility_levels(share, key):
    assert visibility_token(share) == key


def test_shared_tables_do_not_depend_on_the_world(tables):
    again = shared_tables([record['channel'] for record in tables['sensor']])
    assert all(tables[name] == records for name, records in again.items())
    assert token('a', 1) == token('a', 1) != token('a', 2)


def test_calibration_is_the_rig(drawn_street, tables, by_token):
    sensors = rig(drawn_street.preset)
    for record in tables['calibrated_sensor']:
        sensor = sensors[by_token['sensor'][record['sensor_token']]['channel']]
        np.testing.assert_array_equal(record['translation'], sensor.translation)
        np.testing.assert_array_equal(record['rotation'], sensor.rotation)
        assert (record['camera_intrinsic'] == []) == (sensor.modality == 'lidar')


def test_more_things_than_numbers_are_refused():
    things = ['vehicle.car', 'human.pedestrian.adult', 'vehicle.car', 'human.pedestrian.child', 'animal']
    assert list(nuscenes_scene.thing_numbers(things)) == [1, 1, 2, 2, 1]
    with pytest.raises(ValueError, match='999'):
        nuscenes_scene.thing_numbers(['vehicle.car'] * 1000)


def test_masks_of_another_scale_are_refused(tmp_path):
    with pytest.raises(ValueError, match='0.1 m per pixel'):
        nuscenes_scene.write_png(Path(tmp_path) / 'a.png', np.zeros((4, 4)), 0.2)
