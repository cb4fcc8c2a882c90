"""Waymo's four side LiDARs on a drawn street: where they sit, what they see, and that it comes back from the files."""
import dataclasses
import pickle

import numpy as np
import pytest

pq = pytest.importorskip('pyarrow.parquet')

from pretrain3d.converters.waymo.convert import convert_splits  # noqa: E402
from pretrain3d.worlds.street import build as building  # noqa: E402
from pretrain3d.worlds.street import waymo_sides as sides  # noqa: E402
from pretrain3d.worlds.street.caster import Caster, still_layer  # noqa: E402
from pretrain3d.worlds.street.presets import PRESETS  # noqa: E402
from pretrain3d.worlds.street.scene import draw_street  # noqa: E402
from pretrain3d.worlds.street.solids import quads  # noqa: E402

SCENE = 'scene-0103'
YAWS = {'FRONT': 0, 'SIDE_LEFT': 90, 'SIDE_RIGHT': -90, 'REAR': 180}


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    """Folder of one scene, converted with all LiDARs, and its street."""
    root = tmp_path_factory.mktemp('sides')
    preset = PRESETS['near'] = dataclasses.replace(PRESETS['tiny'], name='near', keyframes=2, azimuths=200)
    try:
        building.build(root, 'near', 3, variant='waymo', scenes=(SCENE, ))
    finally:
        del PRESETS['near']
    outcome = convert_splits(root, quiet=True, lidars='all')
    assert outcome.frames == dict(validation=2) and not outcome.bad
    return root, draw_street(SCENE, preset, 3, 'waymo')


def frames(root):
    """Infos, points and raw classes of the labelled frames."""
    for info in pickle.loads((root / 'waymo_infos_val.pkl').read_bytes())['data_list']:
        yield (info, np.fromfile(root / info['lidar_points']['lidar_path'], np.float32).reshape(-1, 5),
               np.fromfile(root / info['pts_semantic_mask_path'], np.uint8))


def rows(root, tag):
    [file] = (root / 'validation' / tag).iterdir()
    return {(row.get('key.frame_timestamp_micros', 0), row['key.laser_name']): row
            for row in pq.read_table(file).to_pylist()}


def image(row, number):
    name = f'[LiDARComponent].range_image_return{number}'
    return np.array(row[f'{name}.values']).reshape(row[f'{name}.shape'])


def test_sizes_go_with_the_preset():
    sizes = {name: sides.image_size(PRESETS[name]) for name in ('full', 'small', 'tiny')}
    assert sizes == dict(full=(200, 600), small=(108, 325), tiny=(38, 115))


def test_calibrations(world):
    """Mounted low around the vehicle, looking outwards and a little down; even beams are said by their bounds."""
    root, _ = world
    held = rows(root, 'lidar_calibration')
    assert sorted(held) == [(0, laser) for laser in range(1, 6)]
    for name, side in sides.SIDES.items():
        row = held[0, side.laser]
        prefix = '[LiDARCalibrationComponent]'
        pose = np.array(row[f'{prefix}.extrinsic.transform']).reshape(4, 4)
        np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-12)
        ahead = np.array([np.cos(np.radians(YAWS[name])), np.sin(np.radians(YAWS[name]))])
        assert pose[:2, 0] @ ahead > 0.998 and -0.06 < pose[2, 0] < -0.01 and pose[2, 2] > 0.99
        assert 0.4 < pose[2, 3] < 1.0 and (pose[:2, 3] - [1.4, 0]) @ ahead > 0.9
        assert [row[f'{prefix}.beam_inclination.{end}'] for end in ('min', 'max')] == [-np.pi / 2, np.pi / 6]
        assert row[f'{prefix}.beam_inclination.values'] is None


def test_what_the_vehicle_hides_and_what_is_too_far_away(world):
    root, street = world
    height, width = sides.image_size(street.preset)
    seen = {name: 0 for name in YAWS}
    for (_, laser), row in rows(root, 'lidar').items():
        for name in [name for name, side in sides.SIDES.items() if side.laser == laser]:
            first, second = image(row, 1), image(row, 2)
            assert first.shape == second.shape == (height, width, 4)
            for values in (first, second):
                there = values[..., 0] > 0
                assert (values[~there] == -1).all() and (values[there][:, 0] < 20.1).all()
                assert (values[there][:, 1:3] >= 0).all() and (values[there][:, 3] == -1).all()
                azimuth = 180 - 360 * (np.arange(width) + 0.5) / width
                off = np.abs((azimuth - YAWS[name] + 180) % 360 - 180)
                assert not there[:, off >= 90].any()
            # Straight down there is always the ground; above the horizon there may be sky.
            assert (first[-1, off < 90, 0] > 0).mean() > 0.7 and (first[0, :, 0] <= 0).any()
            assert (second[..., 0] > 0).sum() < 0.2 * (first[..., 0] > 0).sum()
            seen[name] += (first[..., 0] > 0).sum()
    assert min(seen.values()) > 500, seen


def test_converted_points_lie_where_rays_from_their_lidar_end(world):
    """Each LiDAR's first return by itself: the ray from its place to a point meets the street there, but for noise."""
    root, street = world
    image_rows, compared = rows(root, 'lidar'), 0
    for number, (info, points, _) in zip((0, 5), frames(root)):
        time, start = 0.1 * number, info['num_top_points']
        ego = street.ego_pose(time)
        np.testing.assert_allclose(info['ego2global'], ego)
        caster = street._caster('LIDAR_TOP', time)
        for side in sides.SIDES.values():
            row = image_rows[info['timestamp'], side.laser]
            counts = [int((image(row, each)[..., 0] > 0).sum()) for each in (1, 2)]
            xyz = points[start:start + counts[0], :3].astype(np.float64) @ ego[:3, :3].T + ego[:3, 3]
            origin = ego[:3, :3] @ np.array(side.position) + ego[:3, 3]
            ray = xyz - origin
            length = np.linalg.norm(ray, axis=1)
            away = caster.cast(origin, ray / length[:, None]).distance - length
            # A grazing ray may pass an edge by a hair.
            assert (np.abs(away) < 6 * sides.NOISE).mean() > 0.995 and np.std(away) > 0.7 * sides.NOISE
            assert np.median(np.abs(away)) < sides.NOISE
            start, compared = start + sum(counts), compared + counts[0]
        assert start == len(points)
    assert compared > 1000


def test_they_fill_the_top_lidars_blind_zone_and_have_no_class(world):
    root, _ = world
    for info, points, classes in frames(root):
        top = info['num_top_points']
        assert len(points) == len(classes) == info['num_points'] and classes[:top].any() and not classes[top:].any()
        ground = np.abs(points[:, 2]) < 0.1
        near = ground & (np.hypot(points[:, 0] - 1.43, points[:, 1]) < 5)
        assert not near[:top].any() and near[top:].sum() > 500
        assert ground[top:].mean() > 0.5 and abs(np.median(points[top:][ground[top:], 2])) < 0.02


def test_rays_with_an_end():
    """Over two layers: the same hits as without an end, as far as they are nearer."""
    def wall(x, half):
        return still_layer([quads(np.array([[[x, -half, -half], [x, half, -half], [x, half, half], [x, -half, half]]],
                                           float), 0)], [-1])
    caster = Caster([wall(6.0, 9.0), wall(3.0, 1.0)])
    rays = np.random.default_rng(0).normal((1, 0, 0), (0.05, 0.4, 0.4), (400, 3))
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    far = caster.cast(np.zeros(3), rays)
    for reach in (2.0, 3.3, 6.6, 50.0):
        near, kept = caster.cast(np.zeros(3), rays, reach), far.distance[far.ray] < reach
        np.testing.assert_array_equal(near.ray, far.ray[kept])
        np.testing.assert_array_equal(near.distance, np.where(far.distance < reach, far.distance, np.inf))
        for name in ('surface', 'owner', 'uv', 'normal', 'triangle'):
            np.testing.assert_array_equal(getattr(near, name), getattr(far, name)[kept])
    assert {*far.triangle} == {0, 1, 2, 3}
