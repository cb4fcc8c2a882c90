"""What sensors measure of a street: points on surfaces, depth and occlusion, noise, lost returns, light."""
from dataclasses import replace

import numpy as np
import pytest
from pretrain3d.label_spaces.outdoor import NUSCENES_LIDARSEG
from pretrain3d.worlds.street.camera import draw_weather, expose, shade, sky
from pretrain3d.worlds.street.caster import Caster, still_layer
from pretrain3d.worlds.street.lidar import scan
from pretrain3d.worlds.street.patterns import PATTERNS, hashed, look_at, noise
from pretrain3d.worlds.street.presets import PRESETS
from pretrain3d.worlds.street.rays import camera_rays, stream
from pretrain3d.worlds.street.rig import CAMERA_DELAY, CAMERAS, LIDARS, rig
from pretrain3d.worlds.street.scene import draw_street
from pretrain3d.worlds.street.solids import quads
from pretrain3d.worlds.street.surfaces import DETAILS, RAW, Palette, Surface

TIME = 1.0


@pytest.fixture(scope='module')
def street():
    return draw_street('scene-0103', replace(PRESETS['tiny'], image_size=(320, 180)), 0)


@pytest.fixture(scope='module')
def sweep(street):
    return street.lidar(TIME)


def triangles(street, time):
    """Every triangle at a time, placed by the definition of a box's pose: (T, 3, 3), owner (T,), surface (T,)."""
    corners, owner, surface = [street._still.corners], [street._still.owner], [street._still.surface]
    for row, each in enumerate(street.instances):
        if each.moves:
            centre, yaw = each.pose(time)
            turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
            corners.append(each.mesh.corners @ turn.T + centre)
            owner.append(np.full(len(each.mesh), row))
            surface.append(each.mesh.surface)
    return np.concatenate(corners).astype(np.float64), np.concatenate(owner), np.concatenate(surface)


def first_hits(corners, origin, directions):
    """Slow and plain: every ray against every triangle (Cramer's rule). (R,) distance and row of the triangle."""
    a, first, second = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    best, which = np.full(len(directions), np.inf), np.full(len(directions), -1)
    for ray, direction in enumerate(directions):
        cross = np.cross(direction, second)
        determinant = (first * cross).sum(1)
        with np.errstate(divide='ignore', invalid='ignore'):
            inverse = 1 / determinant
            away = origin - a
            u = (away * cross).sum(1) * inverse
            other = np.cross(away, first)
            v = (direction * other).sum(1) * inverse
            t = (second * other).sum(1) * inverse
            t[~((u >= 0) & (v >= 0) & (u + v <= 1) & (t > 1e-6))] = np.inf
        which[ray] = t.argmin()
        best[ray] = t[which[ray]]
    return best, which


def lidar_pose(street, time):
    return street.ego_pose(time) @ street.rig['LIDAR_TOP'].pose


def test_points_lie_on_surfaces_and_carry_their_labels(street, sweep):
    """Rays through random points, against all triangles: range within the noise, owner and label of the triangle."""
    rows = np.random.default_rng(0).permutation(len(sweep.points))[:60]
    pose, (corners, owner, surface) = lidar_pose(street, TIME), triangles(street, TIME)
    xyz = sweep.points[rows, :3].astype(np.float64)
    distance = np.linalg.norm(xyz, axis=1)
    true, which = first_hits(corners, pose[:3, 3], xyz / distance[:, None] @ pose[:3, :3].T)
    error = distance - true
    # A ray along an edge may be told apart differently in single precision: one in 60 is forgiven.
    assert (np.abs(error) < 0.1).sum() >= 59
    good = np.abs(error) < 0.1
    assert abs(error[good].mean()) < 0.01 and 0.012 < error[good].std() < 0.028
    same = sweep.instance[rows] == owner[which]
    assert same.sum() >= 59
    raw = np.array([street._palette.rows[row].raw for row in surface[which]])
    assert (raw == sweep.raw_label[rows]).sum() >= 59


def in_their_boxes(street, sweep):
    """Check that points of instances lie in their boxes and have their categories; returns how many there are."""
    pose = lidar_pose(street, TIME)
    world = sweep.points[:, :3].astype(np.float64) @ pose[:3, :3].T + pose[:3, 3]
    found = 0
    for row, each in enumerate(street.instances):
        mine = sweep.instance == row
        if mine.any():
            centre, yaw = each.pose(TIME)
            turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
            local = (world[mine] - centre) @ turn
            assert (np.abs(local) < each.size[[1, 0, 2]] / 2 + 0.1).all(), each.category
            assert {NUSCENES_LIDARSEG[raw][0] for raw in np.unique(sweep.raw_label[mine])} == {each.category}
            found += mine.sum()
    return found


def test_points_of_instances_lie_in_their_boxes(street, sweep):
    assert in_their_boxes(street, sweep) > 500
    labelled = np.isin(sweep.raw_label, [RAW[each.category] for each in street.instances])
    np.testing.assert_array_equal(labelled, sweep.instance >= 0)


def test_the_pattern_of_beams(street, sweep):
    """nuScenes: 32 beams from -30.67 to 10.67 degrees; columns clockwise from behind; whole intensities up to 255."""
    points = sweep.points.astype(np.float64)
    assert sweep.points.dtype == np.float32 and sweep.points.shape[1] == 5
    elevation = np.degrees(np.arctan2(points[:, 2], np.hypot(points[:, 0], points[:, 1])))
    np.testing.assert_allclose(elevation, -30.67 + points[:, 4] * 41.34 / 31, atol=1e-3)
    clockwise = np.pi - np.arctan2(points[:, 0], points[:, 1])  # from behind: x is right, y is ahead
    column = (np.pi * 2 - clockwise) % (2 * np.pi) / (2 * np.pi) * street.preset.azimuths - 0.5
    np.testing.assert_allclose(column, np.round(column), atol=1e-3)
    order = np.round(column) * 32 + points[:, 4]
    assert (np.diff(order) > 0).all()
    assert (points[:, 3] == np.floor(points[:, 3])).all() and 0 <= points[:, 3].min() and points[:, 3].max() <= 255
    assert np.linalg.norm(points[:, :3], axis=1).max() < 100.2
    assert len(np.unique(points[:, 4])) == 32 and 0.3 < len(points) / (32 * street.preset.azimuths) < 1


@pytest.mark.parametrize('channel', CAMERAS)
def test_images_and_points_agree_in_depth(street, sweep, channel):
    """Points that the camera sees: nothing lies in front of most, and never does a pixel look through a point."""
    pose = np.linalg.inv(street.ego_pose(TIME) @ street.rig[channel].pose) @ lidar_pose(street, TIME)
    camera = sweep.points[:, :3].astype(np.float64) @ pose[:3, :3].T + pose[:3, 3]
    pixel = camera @ street.rig[channel].intrinsic.T
    with np.errstate(divide='ignore', invalid='ignore'):
        pixel = pixel[:, :2] / pixel[:, 2:]
    width, height = street.preset.image_size
    inside = (camera[:, 2] > 1) & (pixel >= 0).all(1) & (pixel < (width, height)).all(1)
    column, row = np.floor(pixel[inside]).astype(int).T
    depth = street.depth(channel, TIME)
    assert depth.shape == (height, width) and depth.dtype == np.float32
    z = camera[inside, 2]
    # A pixel's ray passes up to half a pixel beside the point: on the ground that is a share of the depth.
    close = np.abs(depth[row, column] - z) < 0.08 + 0.03 * z
    assert inside.sum() > 300 and close.mean() > 0.75, close.mean()
    # Rays exactly through the points know no such error; the sensors' places differ, so some points are hidden.
    world = camera[inside] @ (street.ego_pose(TIME) @ street.rig[channel].pose)[:3, :3].T
    distance = np.linalg.norm(world, axis=1)
    eye = (street.ego_pose(TIME) @ street.rig[channel].pose)[:3, 3]
    hits = street._caster(channel, TIME).cast(eye, world / distance[:, None])
    beyond = hits.distance > distance + 0.1
    agree = np.abs(hits.distance - distance) < 0.1
    # Noise along the LiDAR's ray moves a point off thin and slanted things: few.
    assert beyond.mean() < 0.06 and agree.mean() > 0.8, (beyond.mean(), agree.mean())


def test_depth_is_along_the_optical_axis(street):
    """The ground below a level camera: depth = height x focal length / rows below the horizon."""
    for channel in CAMERAS:
        depth, camera = street.depth(channel, TIME), street.rig[channel]
        rows = np.arange(depth.shape[0]) + 0.5 - camera.intrinsic[1, 2]
        plane = camera.translation[2] * camera.intrinsic[1, 1] / np.maximum(rows, 1e-6)
        near = (rows > 0) & (plane < 200)  # farther on the drawn ground may end
        assert (depth <= plane[:, None] + 0.02 + 0.04 * plane[:, None])[near].all()
    on_road = np.abs(street.depth('CAM_FRONT', TIME) - plane[:, None]) < 1  # of the last channel: another height
    assert np.isinf(street.depth('CAM_FRONT', TIME)).any() and on_road.any()


def test_rays_are_the_inverse_of_projection():
    intrinsic = rig(PRESETS['small'])['CAM_BACK'].intrinsic
    rays = camera_rays(intrinsic, 5, 4, 2).reshape(4, 5, 4, 3)
    pixel = rays @ intrinsic.T
    np.testing.assert_allclose(pixel.mean(2)[..., 0], np.tile(np.arange(5) + 0.5, (4, 1)))
    np.testing.assert_allclose(pixel.mean(2)[..., 1], np.tile(np.arange(4)[:, None] + 0.5, 5))
    np.testing.assert_allclose(np.ptp(pixel, axis=2)[..., :2], 0.5)


def test_the_rig_is_that_of_nuscenes():
    """Yaw 0, -55, -110, 180, 110, 55 degrees, level, right axes; together they see all around; focal scales."""
    seen = np.zeros(360, bool)
    for channel, yaw in zip(CAMERAS, (0, -55, -110, 180, 110, 55)):
        small, full = (rig(PRESETS[name])[channel] for name in ('tiny', 'full'))
        axes = full.pose[:3, :3]
        np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-12)
        np.testing.assert_allclose(axes[:, 2], [np.cos(np.radians(yaw)), np.sin(np.radians(yaw)), 0], atol=1e-12)
        np.testing.assert_allclose(axes[:, 1], [0, 0, -1], atol=1e-12)
        np.testing.assert_allclose(small.intrinsic[:2] * 10, full.intrinsic[:2])
        half = np.degrees(np.arctan(800 / full.intrinsic[0, 0]))
        seen[np.arange(int(np.ceil(yaw - half)), int(yaw + half)) % 360] = True
        assert -0.05 < CAMERA_DELAY[channel] <= 0
    assert seen.all()
    lidar = rig(PRESETS['full'])['LIDAR_TOP']
    np.testing.assert_allclose(lidar.pose[:3, :3] @ [0, 1, 0], [1, 0, 0], atol=1e-12)  # y is ahead
    np.testing.assert_allclose(rig(PRESETS['full'], 'waymo')['LIDAR_TOP'].pose[:3, :3], np.eye(3), atol=1e-12)


@pytest.mark.parametrize('sensor', ['semantickitti', 'waymo'])
def test_other_lidars_see_the_same_street(street, sweep, sensor):
    """64 beams, x ahead, more points, another reach and other intensities; the street does not change."""
    other = draw_street('scene-0103', street.preset, 0, sensor)
    for mine, theirs in zip(street.instances, other.instances):
        assert mine.category == theirs.category
        np.testing.assert_array_equal(mine.pose(TIME)[0], theirs.pose(TIME)[0])
    seen = other.lidar(TIME)
    assert len(np.unique(seen.points[:, 4])) == 64 and len(seen.points) > 2.5 * len(sweep.points)
    points = seen.points.astype(np.float64)
    elevation = np.arctan2(points[:, 2], np.hypot(points[:, 0], points[:, 1]))
    np.testing.assert_allclose(elevation, LIDARS[sensor].elevations[points[:, 4].astype(int)], atol=1e-4)
    assert np.linalg.norm(points[:, :3], axis=1).max() < LIDARS[sensor].reach + 0.1
    assert in_their_boxes(other, seen) > 2000
    assert abs(np.median(points[:, 3]) - np.median(sweep.points[:, 3])) > 3
    road = [DETAILS.index(name) for name in ('road', 'lane marking', 'road marking', 'parking')]
    assert np.isin(seen.detail[seen.raw_label == RAW['flat.driveable_surface']], road).all()


def board(distance, tilt=0.0, reflect=0.2):
    """A caster and palette of one wide board across +x, turned by ``tilt`` radians about z."""
    palette = Palette()
    row = palette.add(Surface((0.5, 0.5, 0.5), kind='glass', reflect=reflect, raw=28))
    across = np.array([-np.sin(tilt), np.cos(tilt), 0]) * distance * 0.3
    up = np.array([0, 0, distance * 0.2])
    middle = np.array([distance, 0, 0])
    corners = np.stack([middle - across - up, middle + across - up, middle + across + up, middle - across + up])
    return Caster([still_layer([quads(corners[None], row)], [-1])]), palette


def heard(distance, tilt=0.0, reflect=0.2, seed=0):
    """Share of the rays onto the board that return, and the sweep."""
    caster, palette = board(distance, tilt, reflect)
    model = replace(LIDARS['nuscenes'], forward_yaw=0.0, reach=200.0)
    rays = scan(caster, palette, replace(model, noise=0.0), 2000, np.eye(4), stream(seed, 'x'))
    caster_hits = caster.cast(np.zeros(3), _all_rays(model))
    return len(rays.points) / len(caster_hits.ray), rays


def _all_rays(model):
    from pretrain3d.worlds.street.rays import lidar_rays
    return lidar_rays(model.elevations, 2000, model.forward_yaw)


def test_returns_get_lost_with_range_grazing_and_darkness():
    near, middle, far = (heard(distance)[0] for distance in (10.0, 120.0, 190.0))
    assert near > 0.97 and near > middle + 0.005 > far + 0.01
    straight, grazing = heard(60.0, 0.0, 0.05)[0], heard(60.0, 1.45, 0.05)[0]
    assert straight > grazing + 0.05
    assert heard(60.0, 0.0, 0.3)[0] > heard(60.0, 0.0, 0.02)[0] + 0.05


def test_intensity_is_material_times_incidence():
    def mean(**options):
        return heard(20.0, **options)[1].points[:, 3].mean()

    assert mean(reflect=0.8) > 1.8 * mean(reflect=0.4) > 3 * mean(reflect=0.1)
    assert mean(tilt=0.0) > 1.2 * mean(tilt=1.2)


def test_ranges_have_noise_and_rays_keep_their_own():
    """2 cm; what another ray hits does not change a ray's noise."""
    caster, palette = board(20.0)
    model = replace(LIDARS['nuscenes'], forward_yaw=0.0)
    points = scan(caster, palette, model, 2000, np.eye(4), stream(1)).points[:, :3].astype(np.float64)
    exact = 20.0 / (points[:, 0] / np.linalg.norm(points, axis=1))
    error = np.linalg.norm(points, axis=1) - exact
    assert len(error) > 500 and abs(error.mean()) < 0.004 and 0.018 < error.std() < 0.022
    same = scan(caster, palette, model, 2000, np.eye(4), stream(1)).points
    assert same[:, :3].astype(np.float64).tobytes() == points.tobytes()


def test_images_show_a_street(street):
    """Sky above, road below, and one sees what the caster hits: a camera's own time matters."""
    image = street.image('CAM_FRONT', TIME)
    width, height = street.preset.image_size
    assert image.shape == (height, width, 3) and image.dtype == np.uint8
    depth = street.depth('CAM_FRONT', TIME)
    above, below = image[np.isinf(depth)].mean(0), image[-height // 6:].mean((0, 1))
    assert above.mean() > 130 and above.mean() > below.mean() + 30 > 50
    assert np.ptp(below) < 40  # asphalt is grey, whatever the light
    assert image.reshape(-1, 3).std(0).min() > 25
    later = street.image('CAM_FRONT', TIME + 0.2).astype(int)
    assert np.abs(later - image).mean() > 3
    np.testing.assert_array_equal(street.image('CAM_FRONT', TIME), image)


def test_more_rays_per_pixel_only_smooth_an_image(street):
    fine = replace(street.preset, samples=3)
    smooth = draw_street(street.name, fine, street.seed).image('CAM_BACK', TIME).astype(int)
    rough = street.image('CAM_BACK', TIME).astype(int)
    assert np.abs(smooth - rough).mean() < 8 and np.abs(smooth.mean((0, 1)) - rough.mean((0, 1))).max() < 2


def test_what_stands_in_the_sun_is_brighter_than_its_shadow():
    """A board above half of a plain floor."""
    palette = Palette()
    row = palette.add(Surface((0.5, 0.5, 0.5), kind='glass'))
    floor = np.array([[-9, -9, 0], [9, -9, 0], [9, 9, 0], [-9, 9, 0]], float)
    roof = np.array([[-9, -9, 2], [0, -9, 2], [0, 9, 2], [-9, 9, 2]], float)
    caster = Caster([still_layer([quads(np.stack([floor, roof]), row)], [-1])])
    weather = replace(draw_weather(stream(0)), name='clear', sun=np.array([0, 0, 1.0]), ambient=0.7,
                      sunlight=np.full(3, 2.5, np.float32))
    down = np.array([[-0.5, 0, -1.0], [0.5, 0, -1.0]], np.float32)
    down /= np.linalg.norm(down, axis=1, keepdims=True)
    shadow, lit = shade(caster, palette, weather, np.array([0, 0, 1.5]), down, 1e-3)
    assert lit.mean() > 2.5 * shadow.mean() > 0
    assert (expose(lit[None], 1.0) > expose(shadow[None], 1.0)).all()


def test_the_sky_is_blue_above_and_pale_below():
    weather = next(each for each in map(draw_weather, map(stream, range(20))) if each.name == 'clear')
    weather = replace(weather, sun=np.array([1.0, 0, 0]), clouds=-1.0)
    up, low = sky(weather, np.array([[0, 0.05, 1.0], [0, 1.0, 0.01]], np.float32))
    assert up[2] / up[0] > 2 > low[2] / low[0] > 1


def test_patterns_do_not_depend_on_company():
    """A point looks the same alone and among others, in any order; far away detail becomes its mean."""
    palette = Palette()
    for index, kind in enumerate(sorted(PATTERNS)):
        palette.add(Surface((0.5, 0.4, 0.3), (0.2, 0.3, 0.4), kind, 0.7, 0.3, 0.1, seed=index))
    rng = np.random.default_rng(0)
    count = 600
    surface = rng.integers(0, len(PATTERNS), count)
    uv, triangle = rng.uniform(-20, 20, (count, 2)).astype(np.float32), rng.integers(0, 9999, count)
    blur = rng.uniform(0, 0.3, count).astype(np.float32)
    together = look_at(palette, surface, uv, triangle, blur)
    order = rng.permutation(count)
    mixed = look_at(palette, surface[order], uv[order], triangle[order], blur[order])
    for name in ('colour', 'reflect', 'shine', 'glow'):
        np.testing.assert_array_equal(getattr(together, name)[order], getattr(mixed, name))
    assert (together.colour >= 0).all() and (together.colour < 1.5).all()
    grass = sorted(PATTERNS).index('tiles')
    near, far = (look_at(palette, np.full(count, grass), uv, triangle, np.full(count, blur, np.float32)).colour
                 for blur in (0.0, 5.0))
    assert far.std(0).max() < 0.6 * near.std(0).max()


def test_noise_is_smooth_and_fills_its_range():
    rng = np.random.default_rng(1)
    x, y = rng.uniform(-50, 50, (2, 4000))
    values = noise(x, y, 3)
    assert 0 <= values.min() < 0.1 < 0.9 < values.max() <= 1 and abs(values.mean() - 0.5) < 0.02
    assert np.abs(noise(x + 1e-3, y, 3) - values).max() < 5e-3
    lattice = np.arange(-30.0, 30.0)
    np.testing.assert_allclose(noise(lattice, lattice, 3), hashed(lattice, lattice, 3), atol=1e-6)
    draws = hashed(*np.meshgrid(np.arange(-60.0, 60.0), np.arange(-60.0, 60.0)), 5)
    assert np.abs(np.histogram(draws, 10, (0, 1))[0] / draws.size - 0.1).max() < 0.01


def test_movers_are_where_their_poses_say(street):
    """All at once or one by one."""
    for time in (-0.04, 2.5):
        centres, yaws = street._movers.poses(time)
        for centre, yaw, each in zip(centres, yaws, street._movers.instances):
            np.testing.assert_allclose(each.pose(time)[0], centre, atol=1e-9)
            assert abs(each.pose(time)[1] - yaw) < 1e-12
