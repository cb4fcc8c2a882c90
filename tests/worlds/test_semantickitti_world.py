"""Streets in SemanticKITTI's layout: labels by name, instances, poses that bring sweeps together, the same bytes."""
import dataclasses
import hashlib
import json

import numpy as np
import pytest
from pretrain3d.label_spaces import NUSCENES_LIDARSEG, SEMANTICKITTI_RAW, get_label_space
from pretrain3d.worlds.street import build as building
from pretrain3d.worlds.street import semantickitti_layout as layout
from pretrain3d.worlds.street import semantickitti_labels as labelling
from pretrain3d.worlds.street.presets import PRESETS, SCENES
from pretrain3d.worlds.street.scene import DETAILS, LidarSweep, draw_street
from pretrain3d.worlds.street.semantickitti_labels import kitti_labels, thing_ids

CHOSEN = ('scene-0061', 'scene-0103', 'scene-0916')
RAW = {name: number for number, (name, _) in enumerate(NUSCENES_LIDARSEG)}


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp('kitti')
    PRESETS['few'] = dataclasses.replace(PRESETS['tiny'], name='few', keyframes=2, azimuths=120)
    try:
        building.build(root, 'few', 3, variant='semantickitti', scenes=CHOSEN)
        yield root
    finally:
        del PRESETS['few']


def sweep(root, sequence, number):
    folder = root / 'sequences' / sequence
    points = np.fromfile(folder / 'velodyne' / f'{number:06d}.bin', np.float32).reshape(-1, 4)
    labels = np.fromfile(folder / 'labels' / f'{number:06d}.label', np.uint32)
    assert len(points) == len(labels)
    return points, labels


def test_files_of_every_sequence(world):
    assert sorted(path.name for path in (world / 'sequences').iterdir()) == ['00', '08']
    assert json.loads((world / 'scenes.json').read_text())['08'] == [
        dict(scene='scene-0103', sweeps=3), dict(scene='scene-0916', sweeps=3)]
    for sequence, count in (('00', 3), ('08', 6)):
        folder = world / 'sequences' / sequence
        for kind in ('velodyne', 'labels'):
            assert [path.stem for path in sorted((folder / kind).iterdir())] == [f'{i:06d}' for i in range(count)]
        assert np.loadtxt(folder / 'poses.txt').shape == (count, 12)
        times = np.loadtxt(folder / 'times.txt')
        assert len(times) == count and (np.diff(times) > 0.2).all()
        lines = (folder / 'calib.txt').read_text().splitlines()
        assert [line.split(':')[0] for line in lines] == ['P0', 'P1', 'P2', 'P3', 'Tr']


def test_all_training_scenes_have_a_sequence_of_their_own():
    places = layout.places()
    train = [places[name] for name, split in SCENES if split == 'train']
    assert len(set(train)) == 8 and '08' not in dict(train) and {turn for _, turn in train} == {0}
    assert [places[name] for name, split in SCENES if split == 'val'] == [('08', 0), ('08', 1)]


def test_points_and_labels_are_within_bounds(world):
    for sequence, count in (('00', 3), ('08', 6)):
        for number in range(count):
            points, labels = sweep(world, sequence, number)
            assert len(points) > 1000 and np.isfinite(points).all()
            assert 0 <= points[:, 3].min() and 0.05 < points[:, 3].max() <= 1
            raw, instance = labels & 0xFFFF, labels >> 16
            assert set(raw.tolist()) <= set(SEMANTICKITTI_RAW)
            assert (np.isin(raw[instance > 0], [*range(10, 33), *range(252, 260)])).all()
            assert (instance[np.isin(raw, [40, 48, 50, 70, 72])] == 0).all()


def test_validation_has_all_classes_at_the_smallest_preset():
    space, counts = get_label_space('SemanticKITTI19'), np.zeros(20, int)
    for name in ('scene-0103', 'scene-0916'):
        street = draw_street(name, PRESETS['tiny'], 0, 'semantickitti')
        for number, time in enumerate((0.0, 1.0, 2.0)):
            labels = kitti_labels(street.lidar(time, number), street.instances, time)
            counts += np.bincount(space.map_raw(labels & 0xFFFF), minlength=20)
    assert counts[:19].min() >= 50, dict(zip(space.classes, counts))
    assert counts[19] < 0.1 * counts.sum()


def test_labels_agree_with_lidarsegs(world):
    """Nothing flat becomes upright, no vehicle a plant: coarse groups of both label sets agree for every point."""
    street = draw_street('scene-0061', PRESETS['few'], 3, 'semantickitti')
    seen = street.lidar(0.0, 0)
    _, labels = sweep(world, '00', 0)
    ours = np.array([name.split('.')[0] for name, _ in NUSCENES_LIDARSEG])[seen.raw_label]
    raw = labels & 0xFFFF
    assert np.isin(raw[ours == 'flat'], [40, 44, 48, 49, 60, 72]).all()
    assert np.isin(raw[ours == 'vehicle'], [*range(10, 21), 31, 32, *range(252, 260)]).all()
    assert np.isin(raw[seen.raw_label == RAW['static.vegetation']], [70, 71]).all()
    assert np.isin(raw[seen.raw_label == RAW['static.manmade']], [50, 51, 52, 80, 81, 99]).all()
    assert (labels >> 16)[(seen.instance >= 0) & (ours == 'vehicle')].min() > 0


def test_poses_lead_from_a_sweep_to_the_first_one(world):
    """As the data set's users do it: Tr^-1 pose Tr moves a sweep's points into the frame of the first sweep."""
    for sequence, names in (('00', CHOSEN[:1]), ('08', CHOSEN[1:])):
        poses = np.loadtxt(world / 'sequences' / sequence / 'poses.txt').reshape(-1, 3, 4)
        calibration = (world / 'sequences' / sequence / 'calib.txt').read_text()
        lines = dict(line.split(': ') for line in calibration.splitlines())
        tr = np.vstack([np.array(lines['Tr'].split(), float).reshape(3, 4), [0, 0, 0, 1]])
        streets = [draw_street(name, PRESETS['few'], 3, 'semantickitti') for name in names]
        lidar = [street.ego_pose(time) @ street.rig['LIDAR_TOP'].pose for street in streets for time in (0, 0.25, 0.5)]
        assert len(poses) == len(lidar) and np.linalg.norm((lidar[2] - lidar[0])[:3, 3]) > 0.2
        for pose, truth in zip(poses, lidar):
            moved = np.linalg.inv(tr) @ np.vstack([pose, [0, 0, 0, 1]]) @ tr
            assert np.abs(moved - np.linalg.inv(lidar[0]) @ truth).max() < 1e-3


class Thing:
    """An instance of some category that moves or stands."""

    def __init__(self, category, speed=0.0, attribute=''):
        self.category, self.speed, self.name = category, speed, attribute

    def velocity(self, time):
        return np.array([self.speed, 0.0])

    def attribute(self, time):
        return self.name


THINGS = [
    (Thing('vehicle.car'), 'car', 10), (Thing('vehicle.car', 3.), 'car', 252),
    (Thing('vehicle.bus.rigid', 3.), 'other-vehicle', 257), (Thing('vehicle.truck'), 'truck', 18),
    (Thing('vehicle.construction'), 'other-vehicle', 20), (Thing('vehicle.trailer', 1.), 'other-vehicle', 259),
    (Thing('vehicle.bicycle', 0., 'cycle.without_rider'), 'bicycle', 11),
    (Thing('vehicle.bicycle', 4., 'cycle.with_rider'), 'bicyclist', 253),
    (Thing('vehicle.motorcycle', 0., 'cycle.with_rider'), 'motorcyclist', 32),
    (Thing('human.pedestrian.child', 1.), 'person', 254), (Thing('human.pedestrian.adult'), 'person', 30),
    (Thing('movable_object.trafficcone'), None, 0)]


def test_things_by_category_and_movement():
    assert thing_ids([thing for thing, _, _ in THINGS], 0.0).tolist() == [raw for _, _, raw in THINGS]
    for _, name, raw in THINGS:
        assert name is None or SEMANTICKITTI_RAW[raw] == name


def test_labels_point_by_point():
    rows = [('flat.driveable_surface', 'road', -1, 40), ('flat.driveable_surface', 'lane marking', -1, 60),
            ('flat.other', 'kerb', -1, 48), ('static.manmade', 'pole', -1, 80), ('static.manmade', 'none', -1, 50),
            ('static.vegetation', 'trunk', -1, 71), ('movable_object.trafficcone', 'cone', 11, 99),
            ('movable_object.barrier', 'barrier', -1, 51), ('noise', 'road', -1, 1), ('noise', 'vehicle', 0, 1),
            ('vehicle.car', 'vehicle', 1, 2 << 16 | 252), ('vehicle.bicycle', 'rider', 7, 8 << 16 | 253)]
    seen = LidarSweep(np.zeros((len(rows), 5), np.float32), np.array([RAW[row[0]] for row in rows], np.uint8),
                      np.array([row[2] for row in rows]), np.array([DETAILS.index(row[1]) for row in rows], np.uint8))
    things = [thing for thing, _, _ in THINGS]
    assert kitti_labels(seen, things, 0.0).tolist() == [row[3] for row in rows]
    later = kitti_labels(seen, things, 0.0, first=2001)
    assert later.dtype == np.uint32 and later[10] == 2002 << 16 | 252 and later[0] == 40


def test_every_raw_id_exists_and_every_name_is_drawn():
    assert set(labelling.SURFACES) <= set(DETAILS) and set(labelling.CATEGORIES) <= set(RAW)
    given = {*labelling.SURFACES.values(), *labelling.CATEGORIES.values(), *labelling.PERSON}
    for pair in (*labelling.THINGS.values(), *labelling.RIDERS.values()):
        given |= set(pair)
    assert given <= set(SEMANTICKITTI_RAW)
    assert set(labelling.THINGS) | set(labelling.PERSONS) <= set(RAW)


def test_the_same_bytes_in_another_process(world, tmp_path):
    def contents(root):
        return {path.relative_to(root): hashlib.md5(path.read_bytes()).hexdigest()
                for path in (root / 'sequences' / '00').rglob('*') if path.is_file()}
    building.build(tmp_path, 'few', 3, jobs=2, variant='semantickitti', scenes=CHOSEN[:1])
    assert contents(tmp_path) == contents(world) and len(contents(world)) == 9


def test_a_sequence_is_not_written_from_its_middle(tmp_path):
    record = dict(scene='scene-0916', sequence='08', turn=1, times=[0.0], poses=[np.eye(4).tolist()])
    with pytest.raises(ValueError, match='sequence 08 lacks its first street'):
        layout.finish(tmp_path, [record], PRESETS['tiny'])
