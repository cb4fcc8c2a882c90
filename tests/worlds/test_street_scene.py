"""Streets as drawn: boxes on the ground, nothing meets, everything that detection and lidarseg need is in sight."""
import numpy as np
import pytest
from pretrain3d.label_spaces.outdoor import NUSCENES16, NUSCENES_LIDARSEG
from pretrain3d.worlds.street.actors import Flow, overlap
from pretrain3d.worlds.street.caster import Caster, Layer, still_layer
from pretrain3d.worlds.street.presets import PRESETS, SCENES, StreetPreset
from pretrain3d.worlds.street.road import COURT
from pretrain3d.worlds.street.scene import CAMERA_DELAY, draw_street
from pretrain3d.worlds.street.surfaces import DETAILS

VAL = tuple(name for name, split in SCENES if split == 'val')
# Metres from the ego within which nuScenes's detection benchmark looks for a class.
RANGES = dict(car=50, truck=50, bus=50, trailer=50, construction_vehicle=50, pedestrian=40, motorcycle=40, bicycle=40,
              traffic_cone=30, barrier=30)
CLASS = dict(NUSCENES_LIDARSEG)
LONG = StreetPreset('long', keyframes=41, sweeps_between=0, camera_sweeps_between=0, image_size=(32, 18), azimuths=180,
                    samples=1)


@pytest.fixture(scope='module', params=['scene-0061', 'scene-0103'])  # traffic on the left and on the right
def street(request):
    return draw_street(request.param, LONG, 5)


def corners(instance, time, margin=0.0):
    """Footprint by nuScenes's own definition of a box: width, length, height and a rotation about its centre."""
    centre, yaw = instance.pose(time)
    width, length, _ = instance.size
    local = np.array([[length, width], [-length, width], [-length, -width], [length, -width]]) / 2
    local += margin * np.sign(local)
    return centre[:2] + local @ np.array([[np.cos(yaw), np.sin(yaw)], [-np.sin(yaw), np.cos(yaw)]])


@pytest.mark.parametrize('preset, seed', [('tiny', 0), ('tiny', 1), ('tiny', 2), ('small', 0), ('full', 0)])
@pytest.mark.parametrize('name', VAL)
def test_every_class_is_in_sight(name, preset, seed):
    """At several keyframes of either scene, in the range of the evaluation, with at least 5 points."""
    street = draw_street(name, PRESETS[preset], seed)
    lookup = np.full(32, 16)
    for raw, index in NUSCENES16.raw_pairs:
        lookup[raw] = index
    detected, seen = dict.fromkeys(RANGES, 0), np.zeros(17, int)
    for time in street.times[::max(2, len(street.times) // 5)]:
        sweep, ego = street.lidar(time), street.ego_pose(time)[:2, 3]
        seen += np.bincount(lookup[sweep.raw_label], minlength=17) >= 5
        points = np.bincount(sweep.instance[sweep.instance >= 0], minlength=len(street.instances))
        most = dict.fromkeys(RANGES, 0)
        for instance, count in zip(street.instances, points):
            name = CLASS[instance.category]
            if name in RANGES and np.linalg.norm(instance.pose(time)[0][:2] - ego) < RANGES[name]:
                most[name] += count
        for name, count in most.items():
            detected[name] += count >= 5
    assert min(detected.values()) >= 2, detected
    assert seen[:16].min() >= 2, dict(zip(NUSCENES16.classes, seen))


def test_instances_stay_for_several_keyframes(street):
    """Every class's things near the ego are there at the next keyframes too."""
    for time in street.times[:-2:8]:
        near = [each for each in street.instances
                if np.linalg.norm(each.pose(time)[0][:2] - street.ego_pose(time)[:2, 3]) < 20]
        after = [np.linalg.norm(each.pose(time + 1.0)[0][:2] - street.ego_pose(time + 1.0)[:2, 3]) for each in near]
        assert len(near) > 10 and max(after) < 20 + 20


def test_boxes_stand_on_the_ground(street):
    """Rays from above onto the ground alone: markings lie 6 mm above the asphalt."""
    ground = Caster([still_layer([street._ground.build()], [-1])])
    for time in (0.0, 7.3, 20.0):
        spots = np.concatenate([[*corners(each, time), each.pose(time)[0][:2]] for each in street.instances])
        bottoms = np.repeat([each.pose(time)[0][2] - each.size[2] / 2 for each in street.instances], 5)
        eyes = np.concatenate([spots, np.full((len(spots), 1), 10.0)], 1)
        hits = ground.cast(eyes, np.tile([0.0, 0.0, -1.0], (len(eyes), 1)))
        wrong = np.abs(10.0 - hits.distance - bottoms) > 0.01
        assert not wrong.any(), {street.instances[row // 5].category for row in np.flatnonzero(wrong)}


def test_meshes_fill_their_boxes(street):
    for each in street.instances:
        points = each.mesh.corners.reshape(-1, 3)
        np.testing.assert_allclose(points.max(0), each.size[[1, 0, 2]] / 2, atol=1e-9)
        np.testing.assert_allclose(points.min(0), -each.size[[1, 0, 2]] / 2, atol=1e-9)


def test_vehicles_are_no_boxes(street):
    """Of a vehicle's corners many lie inside its box, and rays from the side find depth."""
    for each in street.instances:
        if each.category.startswith('vehicle') and not each.category.endswith('trailer'):
            share = np.abs(each.mesh.corners.reshape(-1, 3)) / (each.size[[1, 0, 2]] / 2)
            assert (share.max(1) < 0.97).mean() > 0.1, each.category
            assert len(np.unique(each.mesh.surface)) >= 4


def test_nothing_meets(street):
    """No two boxes share ground at any of many times, by another library's polygons; the ego's car included."""
    shapely = pytest.importorskip('shapely')
    for time in np.linspace(-0.05, 20.0, 12):
        polygons = [shapely.Polygon(corners(each, time)) for each in street.instances]
        ego = street.ego_pose(time)
        car = np.array([[4.0, 0.9], [-1.0, 0.9], [-1.0, -0.9], [4.0, -0.9]]) @ ego[:2, :2].T + ego[:2, 3]
        polygons.append(shapely.Polygon(car))
        tree = shapely.STRtree(polygons)
        for first, second in tree.query(polygons, predicate='intersects').T:
            if first < second:
                assert polygons[first].intersection(polygons[second]).area < 1e-9, (
                    time, [street.instances[i].category if i < len(street.instances) else 'ego'
                           for i in (first, second)])


def test_nothing_stands_in_a_building(street):
    """Rays along the footprints, half a metre up, meet no building."""
    walls = np.flatnonzero(street._palette.column('detail')[street._still.surface] == DETAILS.index('building'))
    assert len(walls) > 1000
    layer = Layer(street._still.corners[walls], street._still.uv[walls], street._still.surface[walls],
                  street._still.owner[walls])
    caster = Caster([layer])
    for time in (0.0, 20.0):
        boxes = np.stack([corners(each, time) for each in street.instances])
        edges = (np.roll(boxes, -1, 1) - boxes).reshape(-1, 2)
        lengths = np.linalg.norm(edges, axis=1)
        flat = np.zeros((len(edges), 1))
        hits = caster.cast(np.concatenate([boxes.reshape(-1, 2), flat + 0.5], 1),
                           np.concatenate([edges / lengths[:, None], flat], 1))
        inside = np.flatnonzero(hits.distance < lengths)
        assert not len(inside), {street.instances[row // 4].category for row in inside}


def test_overlap_against_polygons():
    shapely = pytest.importorskip('shapely')
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(300):
        boxes = []
        for _ in range(2):
            angle, half = rng.uniform(0, 7), rng.uniform(0.2, 2, 2)
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            boxes.append(np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * half @ turn.T + rng.uniform(-2, 2, 2))
        expected = shapely.Polygon(boxes[0]).intersection(shapely.Polygon(boxes[1])).area > 0
        assert overlap(*boxes) == expected
        found += expected
    assert 50 < found < 250


def test_motion(street):
    """Velocities are derivatives of poses, things look where they go, attributes are nuScenes's."""
    known = {'vehicle.moving', 'vehicle.parked', 'vehicle.stopped', 'cycle.with_rider', 'cycle.without_rider',
             'pedestrian.moving', 'pedestrian.standing'}
    moving = 0
    for each in street.instances:
        for time in (0.0, 9.0):
            velocity, attribute = each.velocity(time), each.attribute(time)
            difference = (each.pose(time + 0.05)[0] - each.pose(time - 0.05)[0])[:2] / 0.1
            np.testing.assert_allclose(velocity, difference, atol=0.05)
            speed, yaw = np.linalg.norm(velocity), each.pose(time)[1]
            if speed > 0.5:
                moving += 1
                np.testing.assert_allclose(velocity / speed, [np.cos(yaw), np.sin(yaw)], atol=0.05)
                assert attribute.endswith(('moving', 'with_rider'))
            else:
                assert speed < 1e-6 and not attribute.endswith('.moving')
            needs = each.category.startswith(('vehicle', 'human'))
            assert (attribute in known) if needs else attribute == ''
    assert moving > 50


def test_the_road_is_measured_in_metres(street):
    """Along the centre line, and beyond either end where it goes straight on, s is arc length."""
    road = street._road
    s = np.concatenate([np.linspace(-30, 30, 601), np.linspace(road.length - 30, road.length + 30, 601)]).reshape(2, -1)
    steps = np.linalg.norm(np.diff(road.place(s, 0.0), axis=1), axis=2) / np.diff(s)
    np.testing.assert_allclose(steps, 1.0, atol=2e-3)
    left = road.place(50.0, 2.0) - road.place(50.0, 0.0)
    np.testing.assert_allclose(left, 2 * np.array([-np.sin(road.heading(50.0)), np.cos(road.heading(50.0))]))


def test_flow_is_the_integral_of_a_speed():
    flow = Flow(6.0, 0.5, 18.0, 1.0)
    times = np.linspace(0, 20, 20001)
    speed = np.gradient([flow.travelled(time) for time in times], times)
    np.testing.assert_allclose(speed, 6.0 + 0.5 * np.sin(2 * np.pi * times / 18 + 1.0), atol=1e-3)
    assert flow.travelled(0.0) == 0.0 and flow.travelled(-0.05) < 0


def test_the_map_shows_where_one_drives(street):
    mask, resolution = street.ground_mask()
    assert resolution == 0.1 and set(np.unique(mask)) == {0, 255}

    def at(xy):
        column, row = int(xy[0] / resolution), int(mask.shape[0] - xy[1] / resolution)
        return mask[row, column]

    for time in np.linspace(0, 20, 9):
        assert at(street.ego_pose(time)[:2, 3]) == 255
        near = [each for each in street.instances if each.moves and 0 < each.path.along(time) < street._road.length]
        for each in near:
            assert at(each.pose(time)[0][:2]) == (255 if each.category.startswith('vehicle') else 0), each.category
    for s in np.linspace(20, street._road.length - 20, 12):  # in front of the houses, away from side streets
        flanks = [section.flank for section in street._sections
                  if section.kind == 'junction' and section.start - 1 < s < section.end + 1]
        for flank in {-1, 1} - set(flanks):
            assert at(street._road.place(s, flank * (COURT - 1))) == 0
    assert at(street._road.place(100.0, 0.0)) == 0  # the median


def test_the_ego_drives_in_its_lane(street):
    times = np.linspace(0, 20, 200)
    poses = np.stack([street.ego_pose(time) for time in times])
    np.testing.assert_allclose(poses[:, 2, 3], 0)
    steps = np.diff(poses[:, :2, 3], axis=0)
    speed = np.linalg.norm(steps, axis=1) / np.diff(times)
    assert 4 < speed.min() < speed.max() < 9
    ahead = (poses[:-1, :2, 0] * steps).sum(1) / np.linalg.norm(steps, axis=1)
    assert ahead.min() > 0.999
    turned = np.unwrap(np.arctan2(poses[:, 1, 0], poses[:, 0, 0]))
    assert 0.01 < np.ptp(turned) < 1.0


def test_same_seed_same_bytes_in_any_order():
    """Every sensor depends on seed, scene, time and channel alone, not on what was asked before."""
    preset = PRESETS['tiny']
    first, second = draw_street('scene-0553', preset, 3), draw_street('scene-0553', preset, 3)
    other = draw_street('scene-0553', preset, 4)
    time, channel = 0.5, 'CAM_BACK_LEFT'
    second.image('CAM_FRONT', 1.7)
    image = second.image(channel, time + CAMERA_DELAY[channel])
    sweep = second.lidar(time)
    mine = first.lidar(time)
    for name in ('points', 'raw_label', 'instance', 'detail'):
        assert getattr(sweep, name).tobytes() == getattr(mine, name).tobytes(), name
    assert image.tobytes() == first.image(channel, time + CAMERA_DELAY[channel]).tobytes()
    assert other.lidar(time).points.tobytes() != mine.points.tobytes()
    assert first.lidar(time, 1).points.tobytes() != mine.points.tobytes()
    assert [each.category for each in first.instances] != [each.category for each in other.instances]


def test_token_seeds_are_unique(street):
    assert len({each.token_seed for each in street.instances}) == len(street.instances)


def test_unknown_sensors_and_channels_are_named():
    with pytest.raises(ValueError, match="unknown sensor 'kitti'"):
        draw_street('scene-0061', PRESETS['tiny'], 0, 'kitti')
