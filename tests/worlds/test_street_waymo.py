"""Streets in the layout of Waymo's Perception v2: names and types, images that invert the points, classes, bytes."""
import dataclasses
import hashlib
import json
import pickle

import numpy as np
import pytest

pq = pytest.importorskip('pyarrow.parquet')

from pretrain3d.converters.waymo.convert import convert_splits  # noqa: E402
from pretrain3d.label_spaces import NUSCENES_LIDARSEG, WAYMO22  # noqa: E402
from pretrain3d.worlds.street import build as building  # noqa: E402
from pretrain3d.worlds.street import waymo_labels as labelling  # noqa: E402
from pretrain3d.worlds.street import waymo_layout as layout  # noqa: E402
from pretrain3d.worlds.street.presets import PRESETS  # noqa: E402
from pretrain3d.worlds.street.rig import LIDARS  # noqa: E402
from pretrain3d.worlds.street.scene import DETAILS, LidarSweep, draw_street  # noqa: E402
from pretrain3d.worlds.street.waymo_images import SPLIT  # noqa: E402

CHOSEN = dict(training='scene-0061', validation='scene-0103')
FRAMES, WIDTH = 6, 73
RAW = {name: number for number, (name, _) in enumerate(NUSCENES_LIDARSEG)}
# Columns and types as waymo-open-dataset declares them (v2/perception).
IMAGE = {'values': 'list<element: float>', 'shape': 'fixed_size_list<element: int32>[3]'}
KEYS = {'key.segment_context_name': 'string', 'key.frame_timestamp_micros': 'int64', 'key.laser_name': 'int8'}
TRANSFORM = 'fixed_size_list<element: double>[16]'


def image_columns(component, returns=2, values='list<element: float>'):
    return {f'[{component}].range_image_return{number}.{kind}': type_ for number in range(1, returns + 1)
            for kind, type_ in dict(IMAGE, values=values).items()}


COLUMNS = dict(
    lidar={**KEYS, **image_columns('LiDARComponent')},
    lidar_segmentation={**KEYS, **image_columns('LiDARSegmentationLabelComponent', 2, 'list<element: int32>')},
    lidar_pose={**KEYS, **image_columns('LiDARPoseComponent', 1)},
    vehicle_pose={**dict(list(KEYS.items())[:2]), '[VehiclePoseComponent].world_from_vehicle.transform': TRANSFORM},
    lidar_calibration={
        'key.segment_context_name': 'string', 'key.laser_name': 'int8',
        '[LiDARCalibrationComponent].extrinsic.transform': TRANSFORM,
        '[LiDARCalibrationComponent].beam_inclination.min': 'double',
        '[LiDARCalibrationComponent].beam_inclination.max': 'double',
        '[LiDARCalibrationComponent].beam_inclination.values': 'list<element: double>'})


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp('waymo')
    PRESETS['few'] = dataclasses.replace(PRESETS['tiny'], name='few', keyframes=2, azimuths=30)
    try:
        building.build(root, 'few', 3, variant='waymo', scenes=tuple(CHOSEN.values()))
        yield root
    finally:
        del PRESETS['few']


@pytest.fixture(scope='module')
def streets(world):
    return {split: draw_street(name, PRESETS['few'], 3, 'waymo') for split, name in CHOSEN.items()}


def read(root, split, tag):
    """Rows of the top LiDAR (or of the vehicle); the others are in test_street_waymo_sides.py."""
    [file] = (root / split / tag).iterdir()
    return [row for row in pq.read_table(file).to_pylist() if row.get('key.laser_name', 1) == 1]


def image(row, number=1):
    [name] = [name for name in row if name.endswith(f'range_image_return{number}.values')]
    return np.array(row[name]).reshape(row[name.replace('values', 'shape')])


def test_folders_columns_and_types_are_the_releases(world):
    index = json.loads((world / 'scenes.json').read_text())
    assert {record['split']: record['scene'] for record in index.values()} == CHOSEN
    for segment, record in index.items():
        assert (record['frames'], record['labelled']) == (FRAMES, 2)
        drive, *ends = segment.split('_')
        assert drive.isdigit() and ends == ['20', '000', '20', '500']
        for tag, columns in COLUMNS.items():
            file = pq.ParquetFile(world / record['split'] / tag / f'{segment}.parquet')
            held = {field.name: str(field.type) for field in file.schema_arrow}
            assert held == columns and list(held) == list(columns)
            count = dict(lidar_calibration=1, lidar_segmentation=2).get(tag, FRAMES)
            rows = file.read().to_pylist()
            lasers = [1, 2, 3, 4, 5] if tag in ('lidar', 'lidar_calibration') else [1]
            assert file.metadata.num_rows == file.num_row_groups == len(rows) == count * len(lasers)
            assert all(row['key.segment_context_name'] == segment for row in rows)
            assert [row.get('key.laser_name', 1) for row in rows] == count * lasers
        assert sorted(path.name for path in (world / record['split']).iterdir()) == sorted(COLUMNS)


def test_ten_frames_a_second_of_which_every_fifth_is_labelled(world):
    for split in CHOSEN:
        times = {tag: [row['key.frame_timestamp_micros'] for row in read(world, split, tag)]
                 for tag in ('lidar', 'lidar_pose', 'vehicle_pose', 'lidar_segmentation')}
        assert times['lidar'] == times['lidar_pose'] == times['vehicle_pose']
        assert (np.abs(np.diff(times['lidar']) - 100_000) <= 80).all()
        assert times['lidar_segmentation'] == times['lidar'][::5]


def test_range_images_are_exact_inverses_of_the_points(world, streets):
    """A pixel's own ray, by its row and column alone, at its range is the drawn point; and no point is left over."""
    for split, street in streets.items():
        for number, row in enumerate(read(world, split, 'lidar')):
            values, model = image(row), LIDARS['waymo']
            assert values.shape == (64, WIDTH, 4)
            sweep = street.lidar(0.1 * number + 0.05, number)
            at = {}
            for i, j in zip(*np.nonzero(values[..., 0] > 0)):
                inclination, azimuth = model.elevations[63 - i], np.pi - 2 * np.pi * (j + 0.5) / WIDTH
                flat = np.cos(inclination)
                ray = np.array([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(inclination)])
                at[WIDTH * (63 - i) + j] = [*(values[i, j, 0] * ray), values[i, j, 1] * 255, 63 - i]
            order = np.argsort(sweep.points[:, 4] * WIDTH + np.mod(np.rint(
                (np.pi - np.arctan2(sweep.points[:, 1], sweep.points[:, 0])) * WIDTH / (2 * np.pi) - 0.5), WIDTH))
            found = np.array([at[key] for key in sorted(at)])
            np.testing.assert_allclose(found, sweep.points[order], rtol=1e-6, atol=2e-5)
            missing = values[values[..., 0] <= 0]
            assert len(missing) and (missing == -1).all() and (values[values[..., 0] > 0][:, 3] == -1).all()


def test_a_beam_that_meets_two_things_has_two_returns(world):
    seen = 0
    for split in CHOSEN:
        labels = {row['key.frame_timestamp_micros']: row for row in read(world, split, 'lidar_segmentation')}
        for row in read(world, split, 'lidar'):
            first, second = image(row), image(row, 2)
            i, j = np.nonzero(second[..., 0] > 0)
            beside = (j + 1) % WIDTH
            assert (second[i, j, 0] - first[i, j, 0] > SPLIT).all() and len(i)
            assert (second[i, j, 0] == first[i, beside, 0]).all() and (second[second[..., 0] <= 0] == -1).all()
            near = (first[..., 0] > 0) & (np.roll(first[..., 0], -1, 1) > 0) & (second[..., 0] <= 0)
            difference = np.abs(np.roll(first[..., 0], -1, 1) - first[..., 0])
            assert (first[..., 2][near & (difference <= SPLIT)] == difference[near & (difference <= SPLIT)]).all()
            assert (first[..., 2][(first[..., 0] > 0) & ~(near & (difference <= SPLIT))] == 0).all()
            if row['key.frame_timestamp_micros'] in labels:
                ours, theirs = (image(labels[row['key.frame_timestamp_micros']], number) for number in (1, 2))
                assert (theirs[i, j] == ours[i, beside]).all() and not theirs[second[..., 0] <= 0].any()
                assert not ours[first[..., 0] <= 0].any()
                seen += len(i)
    assert seen > 50


def test_the_converter_gives_back_what_was_drawn(world, streets):
    """Points of the first return in the frame's vehicle, within single precision, and their classes exactly."""
    outcome = convert_splits(world, quiet=True)
    assert outcome.frames == dict(training=2, validation=2) and not outcome.bad and not outcome.notes
    for split, name in (('training', 'train'), ('validation', 'val')):
        infos = pickle.loads((world / f'waymo_infos_{name}.pkl').read_bytes())['data_list']
        for number, info in zip((0, 5), infos):
            street, time = streets[split], 0.1 * number
            sweep = street.lidar(time + 0.05, number)
            points = np.fromfile(world / info['lidar_points']['lidar_path'], np.float32).reshape(-1, 5)
            classes = np.fromfile(world / info['pts_semantic_mask_path'], np.uint8)
            lidar = street.ego_pose(time + 0.05) @ street.rig['LIDAR_TOP'].pose
            drawn = np.concatenate([sweep.points[:, :3], np.ones((len(sweep.points), 1))], 1).astype(np.float64)
            truth = (np.linalg.inv(street.ego_pose(time)) @ lidar @ drawn.T).T[:, :3]
            np.testing.assert_allclose(info['ego2global'], street.ego_pose(time))
            column = np.mod(np.rint((np.pi - np.arctan2(drawn[:, 1], drawn[:, 0])) * WIDTH / (2 * np.pi) - 0.5), WIDTH)
            order = np.lexsort((column, -sweep.points[:, 4]))
            firsts = len(order)
            assert len(points) == len(classes) == info['num_points'] > firsts
            np.testing.assert_allclose(points[:firsts, :3], truth[order], rtol=1e-6, atol=1e-4)  # poses are float32
            np.testing.assert_allclose(points[:firsts, 3] * 255, sweep.points[order, 3], atol=1e-4)
            _, expected = labelling.waymo_labels(sweep, street.instances, time + 0.05)
            assert (classes[:firsts] == expected[order]).all()
            # The road lies at the vehicle's feet, and the vehicle's own motion is not in the picture.
            assert abs(np.median(points[classes == WAYMO22.index('road') + 1, 2])) < 0.05
            assert np.linalg.norm((street.ego_pose(time + 0.05) - street.ego_pose(time))[:3, 3]) > 0.1


def test_poses_of_pixels_are_those_of_the_turns_middle(world, streets):
    for split, street in streets.items():
        for number, row in enumerate(read(world, split, 'lidar_pose')):
            poses, truth = image(row), street.ego_pose(0.1 * number + 0.05)
            assert poses.shape == (64, WIDTH, 6) and (poses == poses[0, 0]).all() and not poses[0, 0, :2].any()
            np.testing.assert_allclose(poses[0, 0, 3:], truth[:3, 3], atol=1e-4)
            np.testing.assert_allclose(poses[0, 0, 2], np.arctan2(truth[1, 0], truth[0, 0]), atol=1e-6)


def test_validation_has_every_class_at_the_smallest_preset():
    counts = np.zeros(23, int)
    for name in ('scene-0103', 'scene-0916'):
        street = draw_street(name, PRESETS['tiny'], 0, 'waymo')
        for number in (0, 10, 20):
            seen = layout.observe(street, number, 0.1 * number)
            assert seen.first_labels.shape == (64, 878, 2)
            counts += np.bincount(seen.first_labels[..., 1][seen.first[..., 0] > 0], minlength=23)
    assert counts[1:].min() >= 50, dict(zip(WAYMO22.classes, counts[1:]))
    assert counts[0] < 0.1 * counts.sum()


class Thing:
    """An instance of some category."""

    def __init__(self, category, attribute=''):
        self.category, self.name = category, attribute

    def attribute(self, time):
        return self.name


THINGS = [(Thing('vehicle.car'), 'car'), (Thing('vehicle.bus.bendy'), 'bus'), (Thing('vehicle.truck'), 'truck'),
          (Thing('vehicle.construction'), 'other vehicle'), (Thing('vehicle.trailer'), 'other vehicle'),
          (Thing('vehicle.bicycle', 'cycle.without_rider'), 'bicycle'),
          (Thing('vehicle.bicycle', 'cycle.with_rider'), 'bicyclist'),
          (Thing('vehicle.motorcycle', 'cycle.with_rider'), 'motorcyclist'),
          (Thing('human.pedestrian.child'), 'pedestrian'), (Thing('movable_object.trafficcone'), 'construction cone'),
          (Thing('movable_object.barrier'), None), (Thing('human.pedestrian.stroller'), None)]


def test_labels_point_by_point():
    rows = [('flat.driveable_surface', 'road', -1, 'road'), ('flat.driveable_surface', 'parking', -1, 'road'),
            ('flat.driveable_surface', 'lane marking', -1, 'lane marker'),
            ('flat.driveable_surface', 'road marking', -1, 'other ground'), ('flat.sidewalk', 'kerb', -1, 'curb'),
            ('flat.sidewalk', 'sidewalk', -1, 'sidewalk'), ('flat.terrain', 'terrain', -1, 'walkable'),
            ('flat.other', 'other ground', -1, 'walkable'), ('static.manmade', 'traffic light', -1, 'traffic light'),
            ('static.manmade', 'pole', -1, 'pole'), ('static.manmade', 'traffic sign', -1, 'sign'),
            ('static.manmade', 'none', -1, 'building'), ('static.manmade', 'fence', -1, None),
            ('static.manmade', 'other structure', -1, None), ('static.vegetation', 'trunk', -1, 'tree trunk'),
            ('noise', 'road', -1, None), ('noise', 'vehicle', 0, None)]
    kinds = dict(human='person', vehicle='vehicle', movable_object='other object')
    rows += [(thing.category, kinds[thing.category.split('.')[0]], row, name)
             for row, (thing, name) in enumerate(THINGS)]
    seen = LidarSweep(np.zeros((len(rows), 5), np.float32), np.array([RAW[row[0]] for row in rows], np.uint8),
                      np.array([row[2] for row in rows]), np.array([DETAILS.index(row[1]) for row in rows], np.uint8))
    instances, classes = labelling.waymo_labels(seen, [thing for thing, _ in THINGS], 0.0)
    assert classes.tolist() == [0 if row[3] is None else WAYMO22.index(row[3]) + 1 for row in rows]
    assert instances.tolist() == [row[2] + 1 if row[3] and row[2] >= 0 else 0 for row in rows]


def test_every_name_is_drawn_and_every_class_is_given():
    assert {*labelling.SURFACES, *labelling.NAMELESS} <= set(DETAILS)
    assert {*labelling.CATEGORIES, *labelling.THINGS, *labelling.RIDERS} <= set(RAW)
    tables = (labelling.SURFACES, labelling.CATEGORIES, labelling.THINGS, labelling.RIDERS)
    given = {name for table in tables for name in table.values()}
    assert given == set(WAYMO22.classes)


def test_two_points_on_a_ray_are_no_sweep(streets):
    street = streets['training']
    sweep = street.lidar(0.05, 0)
    twice = LidarSweep(*(np.concatenate([part, part[:1]]) for part in (
        sweep.points, sweep.raw_label, sweep.instance, sweep.detail)))
    labels = labelling.waymo_labels(twice, street.instances, 0.05)
    with pytest.raises(ValueError, match='two points of a sweep lie on one ray of 64 beams and 73 columns'):
        layout.range_images(twice, *labels, 64, WIDTH)


def test_the_same_bytes_in_another_process(world, tmp_path):
    def contents(root):
        return {str(path.relative_to(root)): hashlib.md5(path.read_bytes()).hexdigest()
                for path in root.rglob('training/*/*.parquet') if 'points' not in path.parts}
    building.build(tmp_path, 'few', 3, jobs=2, variant='waymo', scenes=(CHOSEN['training'], ))
    assert contents(tmp_path) == contents(world) and len(contents(world)) == len(COLUMNS)
