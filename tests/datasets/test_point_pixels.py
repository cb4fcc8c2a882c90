"""Pairs of points and pixels: beside plain formulas, the devkit, brute force, and under random augmentation."""
import pickle
from pathlib import Path

import camera_keyframe
import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from pyquaternion import Quaternion

from mmdet3d.registry import TRANSFORMS
from mmdet3d.structures import LiDARInstance3DBoxes
from mmdet3d.structures.points import LiDARPoints
from pretrain3d.datasets import camera_images
from pretrain3d.datasets.point_index import follow_index, split_index
from pretrain3d.datasets.point_pixels import (AlignPointPixels, FindPointPixels, focal_lengths, inside_image, project,
                                              projection, unoccluded)

REAL = next((Path(__file__).resolve().parents[3] / 'shared' / 'real' / 'nuscenes_frame').glob('*.pkl'), None)
LOAD = [dict(type='LoadPointsChecked', coord_type='LIDAR', load_dim=5, use_dim=4)]
FIND = [dict(type='AddPointIndex'), dict(type='PrepareCameras'), dict(type='FindPointPixels')]
RANGE = [-50., -50., -5., 50., 50., 4.]
AUGMENT = [
    dict(type='GlobalRotScaleTrans', rot_range=[-3.1, 3.1], scale_ratio_range=[0.9, 1.1],
         translation_std=[0.5, 0.5, 0.2]),
    dict(type='RandomFlip3D', sync_2d=False, flip_ratio_bev_horizontal=0.5, flip_ratio_bev_vertical=0.5),
    dict(type='PointsRangeFilter', point_cloud_range=RANGE), dict(type='PointShuffle'),
    dict(type='DrawImageCrops', flip_prob=0.5, min_pairs=100)]
FINISH = [dict(type='LoadCameraImages', size=(224, 416)), dict(type='UpdateCameras'), dict(type='AlignPointPixels')]


def build(steps):
    return Compose([TRANSFORMS.build(step) for step in steps])


@pytest.fixture(scope='module')
def keyframe(tmp_path_factory):
    return camera_keyframe.write_keyframe(tmp_path_factory.mktemp('keyframe'))


@pytest.fixture(scope='module')
def found(keyframe):
    """The sample with its pairs found, to be augmented in copies."""
    return build(LOAD + FIND)(camera_keyframe.read_sample(keyframe[0]))


def copied(sample):
    return dict(pickle.loads(pickle.dumps(sample)))


def plain_pairs(sample, xyz):
    """(camera, row) -> (u, v, depth), the definition: one point after the other."""
    out = {}
    for camera, image in enumerate(sample['images'].values()):
        lidar2cam, intrinsic = np.asarray(image['lidar2cam']), np.asarray(image['cam2img'])
        for row, point in enumerate(xyz):
            x, y, z = lidar2cam[:3, :3] @ point + lidar2cam[:3, 3]
            if z > 1:
                u, v, _ = intrinsic @ [x / z, y / z, 1]
                if 0 <= u < image['width'] and 0 <= v < image['height']:
                    out[camera, row] = (u, v, z)
    return out


def test_pairs_are_the_plain_projection(found):
    pairs = found['recorded_pixels']
    want = plain_pairs(found, found['points'].tensor[:, :3].double().numpy())
    assert list(zip(pairs.camera, pairs.row)) == sorted(want) and len(want) > 1000
    values = np.array([want[key] for key in sorted(want)])
    assert np.abs(values[:, :2] - pairs.pixel).max() < 1e-9 and np.abs(values[:, 2] - pairs.depth).max() < 1e-9
    assert np.bincount(pairs.camera).min() > 50


class Tables:
    """As much of the devkit's ``NuScenes`` as mmdet3d's converter asks for."""

    def __init__(self, table):
        self.table = table

    def get(self, kind, token):
        record = self.table[token]
        return dict(sample_data=dict(token=token, calibrated_sensor_token=token, ego_pose_token=token, timestamp=0),
                    calibrated_sensor=record, ego_pose=record['ego'])[kind]

    def get_sample_data_path(self, token):
        return f'/{token}.jpg'


def converted_matrix(table, name):
    """``lidar2cam`` as mmdet3d's ``create_data.py`` writes it: ego motion included, float32."""
    import importlib.util

    import mmdet3d
    path = Path(mmdet3d.__file__).parent / '.mim' / 'tools' / 'dataset_converters' / 'nuscenes_converter.py'
    if not path.is_file():
        pytest.skip('mmdet3d is not installed from its wheel: its converter is elsewhere')
    spec = importlib.util.spec_from_file_location('mmdet3d_nuscenes_converter', path)
    converter = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(converter)
    top = table['LIDAR_TOP']
    sweep = converter.obtain_sensor2top(
        Tables(table), name, top['translation'], Quaternion(top['rotation']).rotation_matrix,
        top['ego']['translation'], Quaternion(top['ego']['rotation']).rotation_matrix, name)
    rotation, translation = sweep['sensor2lidar_rotation'], sweep['sensor2lidar_translation']
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation.T, -rotation.T @ translation
    return matrix.astype(np.float32).tolist()


def test_devkit_and_mmdet3d_infos_agree(keyframe, tmp_path):
    """By the devkit through global coordinates, and by our pipeline from what mmdet3d's converter makes of the same
    tables."""
    path, (table, ) = keyframe
    sample = camera_keyframe.read_sample(path)
    for name, image in sample['images'].items():
        matrix = converted_matrix(table, name)
        assert np.abs(np.subtract(matrix, image['lidar2cam'])).max() < 1e-6
        image['lidar2cam'] = matrix
    out = build(LOAD + FIND)(sample)
    pairs, points = out['recorded_pixels'], out['points'].tensor.numpy()
    checked = 0
    for camera, name in enumerate(sample['images']):
        pixel, depth = camera_keyframe.devkit_pixels(points, table, name)
        own = pairs.camera == camera
        assert np.abs(pixel[pairs.row[own]] - pairs.pixel[own]).max() < 1e-3
        assert np.abs(depth[pairs.row[own]] - pairs.depth[own]).max() < 1e-5
        inside = (depth > 1) & inside_image(pixel, (320, 180))
        assert abs(inside.sum() - own.sum()) <= 1  # on the border, by rounding
        checked += own.sum()
        # That the car drove on between the two time stamps is not nothing.
        still = dict(table, **{name: dict(table[name], ego=table['LIDAR_TOP']['ego'])})
        assert np.abs(camera_keyframe.devkit_pixels(points, still, name)[0] - pixel)[pairs.row[own]].max() > 1
    assert checked > 1000


def test_image_bounds_are_half_open():
    pixel = np.array([[0, 0], [-1e-9, 5], [5, -1e-9], [99.999, 49.999], [100, 5], [5, 50], [np.nan, 5], [np.inf, 5]])
    assert inside_image(pixel, (100, 50)).tolist() == [True, False, False, True] + [False] * 4


def test_near_and_hidden_points_have_no_pixels():
    lidar2img = np.array([[100., 0, 50, 0], [0, 100, 25, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    points = torch.tensor([[0., 0, 5], [0, 0, 1], [0, 0, 1.001], [0, 0, -5], [0, 0, 0], [9, 0, 5], [0.02, 0, 8]])
    images = dict(CAM=dict(lidar2img=lidar2img, width=100, height=50, img_path='a.jpg'))
    for footprint, rows in ((None, [0, 2, 6]), ((0., 0.), [2])):
        out = FindPointPixels(footprint=footprint)(dict(points=LiDARPoints(points), images=images))['recorded_pixels']
        assert out.row.tolist() == rows and out.camera.tolist() == [0] * len(rows)
    # Behind by less than the tolerance.
    out = FindPointPixels(footprint=(0, 0), tolerance=5.)(dict(points=LiDARPoints(points), images=images))
    assert out['recorded_pixels'].row.tolist() == [0, 2]


def unoccluded_twin(pixel, depth, footprint, tolerance):
    keep = []
    cells = np.floor(pixel).astype(int)
    for i in range(len(pixel)):
        near = [depth[j] for j in range(len(pixel)) if abs(cells[i, 0] - cells[j, 0]) <= footprint[0]
                and abs(cells[i, 1] - cells[j, 1]) <= footprint[1]]
        keep.append(depth[i] <= min(near) * (1 + tolerance))
    return keep


@pytest.mark.parametrize('footprint', [(0, 0), (1, 0), (0, 2), (3, 5)])
@pytest.mark.parametrize('tolerance', [0., 0.05, 0.5])
def test_z_buffer_beside_brute_force(footprint, tolerance):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        size = (40, 25) if seed % 2 else (12, 30)
        count = (0, 1, 300, 150)[seed]
        pixel, depth = rng.uniform(0, 1, (count, 2)) * size, rng.uniform(1, 40, count)
        got = unoccluded(pixel, depth, size, footprint, tolerance)
        want = unoccluded_twin(pixel, depth.astype(np.float32), footprint, np.float32(tolerance))
        assert got.tolist() == want
        assert count < 2 or 0 < sum(want) < count


def test_the_footprint_is_an_angle():
    """The same scene at twice the resolution: the same points are hidden. A wall with a board before it."""
    z, y = np.meshgrid(np.linspace(-2, 2, 41), np.linspace(-4, 4, 81), indexing='ij')
    wall = np.stack([y.ravel(), z.ravel(), np.full(y.size, 12.)], 1)
    near = np.abs(wall[:, 0] / 12) < 0.1
    board = np.where(near[:, None], wall / 2, wall)[near]  # the same rays, half as far
    # Seen from a camera 5 cm beside the sensor, rays of wall and board no longer coincide.
    points = np.concatenate([wall[~near], board, wall[near]])
    kept = []
    for factor in (1, 2):
        lidar2img = np.array([[400. * factor, 0, 200 * factor, 20 * factor], [0, 400 * factor, 100 * factor, 0],
                              [0, 0, 1, 0], [0, 0, 0, 1]])
        assert np.allclose(focal_lengths(lidar2img), 400 * factor)
        images = dict(CAM=dict(lidar2img=lidar2img, width=400 * factor, height=200 * factor, img_path='a.jpg'))
        sample = dict(points=LiDARPoints(torch.from_numpy(points).float()), images=images)
        kept.append(FindPointPixels(footprint=(0.5, 0.5))(dict(sample))['recorded_pixels'].row.tolist())
        without = FindPointPixels()(dict(sample))['recorded_pixels'].row
    behind = np.arange(len(points)) >= len(points) - near.sum()
    assert len(set(kept[0]) ^ set(kept[1])) <= 0.01 * len(points)
    hidden = ~np.isin(without, kept[0])
    assert hidden[behind[without]].mean() > 0.9 and hidden[~behind[without]].mean() < 0.06


def test_rows_are_followed():
    rng = np.random.default_rng(0)
    for _ in range(20):
        index = rng.integers(0, 30, rng.integers(0, 60))
        rows = rng.integers(0, 40, rng.integers(0, 50))
        got = sorted(zip(*(part.tolist() for part in follow_index(rows, index))))
        assert got == sorted((p, n) for p, row in enumerate(rows) for n, old in enumerate(index) if old == row)


def boxes_of(sample):
    boxes = np.array([each['bbox_3d'] for each in sample['instances']], np.float32)
    return LiDARInstance3DBoxes(boxes, box_dim=boxes.shape[1], origin=(0.5, 0.5, 0.5))


def corners_agree(before, after, matrix, image, pixels, tolerance):
    """Corners of boxes (B, 8, 3) that the camera sees are projected to the same places before and after; returns how
    many were compared.

    A flip changes the order of a box's corners, not the corners.
    """
    uv, depth = project(before.reshape(-1, 3), matrix)
    seen = ((depth > 1) & inside_image(uv, (image['width'], image['height']))).reshape(-1, 8)
    want = (uv @ pixels[:2, :2].T + pixels[:2, 2]).reshape(-1, 8, 2)
    got = project(after.reshape(-1, 3), projection(image))[0].reshape(-1, 8, 2)
    nearest = np.linalg.norm(want[:, :, None] - got[:, None], axis=-1).min(2)
    assert nearest[seen].max(initial=0) < tolerance, nearest[seen].max()
    return int(seen.sum())


def check_augmented(found, out, corners):
    """Everything that must hold for one augmented sample."""
    pairs, mixed = found['recorded_pixels'], out['point_pixels']
    camera, row = mixed[:, 0].astype(int), mixed[:, 1].astype(int)
    points, index = split_index(out['points'])
    points = points[:, :3].double().numpy()
    keys = pairs.camera * 2 ** 24 + pairs.row
    which = np.searchsorted(keys, camera * 2 ** 24 + index[row]).clip(max=len(keys) - 1)
    assert np.array_equal(keys[which], camera * 2 ** 24 + index[row])
    matrices = np.stack(out['img_aug_matrix'])
    moved = pairs.pixel * matrices[pairs.camera][:, [0, 1], [0, 1]] + matrices[pairs.camera][:, :2, 2]
    assert not matrices[:, [0, 1], [1, 0]].any()
    # No pair lost, none invented: exactly those whose point is left and whose pixel is in the picture.
    expected = np.isin(pairs.row, index) & inside_image(moved.astype(np.float32), (416, 224))
    assert np.array_equal(np.sort(which), np.flatnonzero(expected)) and len(which) == len(np.unique(which))
    # Where the plain projection, seen through the crop, is.
    assert np.abs(moved[which] - mixed[:, 2:]).max() < 1e-3
    worst, compared = 0., 0
    after = out['gt_bboxes_3d'].corners.double().numpy()
    for number, (name, image) in enumerate(out['images'].items()):
        own = camera == number
        uv, depth = project(points[row[own]], image['lidar2img'])
        worst = max(worst, np.abs(uv - mixed[own, 2:]).max(initial=0))
        assert np.allclose(depth, out['point_pixel_depth'][own], rtol=1e-5, atol=1e-4)
        # Back from pixel and depth to the packed point.
        homogeneous = np.concatenate([uv, np.ones((len(uv), 1))], 1) * depth[:, None]
        back = np.linalg.inv(image['lidar2img']) @ np.concatenate([homogeneous, np.ones((len(uv), 1))], 1).T
        assert np.abs(back.T[:, :3] - points[row[own]]).max(initial=0) < 1e-4
        compared += corners_agree(corners, after, projection(found['images'][name]), image, matrices[number], 1e-3)
    # The augmented points through the rewritten matrices: the same pixels, in spite of float32 coordinates.
    assert worst < 1e-3
    return len(which), compared


def augment_many(found, times, monkeypatch):
    # Geometry is what is tested here: decoding a thousand times the same six files is not.
    monkeypatch.setattr(camera_images, 'decode', blank)
    boxes = boxes_of(found)
    corners = boxes.corners.double().numpy()
    pipeline, seen, compared, flips = build(AUGMENT + FINISH), 0, 0, set()
    for seed in range(times):
        np.random.seed(seed), torch.manual_seed(seed)
        sample = dict(found, points=found['points'].clone(), gt_bboxes_3d=boxes.clone(), bbox3d_fields=['gt_bboxes_3d'],
                      images={name: dict(image) for name, image in found['images'].items()})
        out = pipeline(sample)
        more = check_augmented(found, out, corners)
        seen, compared = seen + more[0], compared + more[1]
        flips.add((out['pcd_horizontal_flip'], out['pcd_vertical_flip']))
    assert len(flips) == 4 and compared > 5 * times
    return seen


_BLANK = {}


def blank(data, reduction=1):
    key = id(data), reduction
    size = _BLANK.setdefault(len(data), camera_images.stored_size(data))
    if key not in _BLANK:
        _BLANK[key] = np.zeros((size[1] // reduction, size[0] // reduction, 3), np.uint8)
    return _BLANK[key]


def test_a_thousand_augmentations_of_a_drawn_keyframe(found, monkeypatch):
    assert augment_many(found, 1000, monkeypatch) > 1000 * 500


@pytest.mark.skipif(REAL is None, reason='real nuScenes keyframe is not here')
@pytest.mark.parametrize('times', [100, pytest.param(1000, marks=pytest.mark.full)])
def test_augmentations_of_the_real_keyframe(times, monkeypatch):
    real = build(LOAD + FIND)(camera_keyframe.read_sample(REAL))
    assert len(real['recorded_pixels']) > 20000
    assert augment_many(real, times, monkeypatch) > times * 5000


# ---- the rest of a pipeline


def finished(sample, steps, **changes):
    np.random.seed(0), torch.manual_seed(0)
    return build(steps)(dict(copied(sample), **changes))


def test_late_pairs_are_the_early_ones(keyframe):
    """Found behind UpdateCameras, from augmented float32 points."""
    start = camera_keyframe.read_sample(keyframe[0])
    np.random.seed(0), torch.manual_seed(0)
    early = build(LOAD + FIND + AUGMENT[:4] + FINISH)(copied(start))
    np.random.seed(0), torch.manual_seed(0)
    late = build(LOAD + FIND[:2] + AUGMENT[:4] + FINISH[:2] + FIND[2:] + FINISH[2:])(copied(start))
    assert early['pcd_scale_factor'] != 1 and len(early['point_pixels']) > 1000
    assert np.array_equal(early['point_pixels'][:, :2], late['point_pixels'][:, :2])
    assert np.abs(early['point_pixels'] - late['point_pixels']).max() < 1e-3
    assert np.allclose(early['point_pixel_depth'], late['point_pixel_depth'], rtol=1e-5)


def test_repeated_points_repeat_their_pairs(found):
    order = torch.cat([torch.arange(0, 3000, 3), torch.arange(0, 300, 3)])
    out = finished(found, FINISH[2:], points=found['points'][order])
    pairs, mixed = found['recorded_pixels'], out['point_pixels']
    want = sorted((camera, new) for camera, old in zip(pairs.camera, pairs.row)
                  for new in np.flatnonzero(order.numpy() == old))
    assert [tuple(row) for row in mixed[:, :2].astype(int)] == want and len(want) > 1000 / 3
    # Pixels of the recorded images where none was loaded.
    index = order.numpy()[mixed[:, 1].astype(int)]
    place = {key: i for i, key in enumerate(zip(pairs.camera, pairs.row))}
    which = [place[key] for key in zip(mixed[:, 0].astype(int), index)]
    assert np.allclose(mixed[:, 2:], pairs.pixel[which]) and np.allclose(out['point_pixel_depth'], pairs.depth[which])


def test_the_floor_of_a_packed_pixel_is_in_the_image(found):
    """float32 rounds 415.999999 to 416."""
    pairs = found['recorded_pixels']
    edge = type(pairs)(np.zeros(3, int), np.arange(3), np.array([[320 - 1e-9, 5.], [5., 180 - 1e-9], [319.9, 179.9]]),
                       np.full(3, 9.))
    out = finished(found, FINISH[2:], recorded_pixels=edge)
    assert out['point_pixels'][:, 1].tolist() == [2]


def test_too_few_pairs_give_the_sample_up(found):
    many = len(found['recorded_pixels'])
    assert AlignPointPixels(min_pairs=many)(copied(found)) is not None
    assert AlignPointPixels(min_pairs=many + 1)(copied(found)) is None


def test_an_empty_cloud_has_no_pairs(found):
    sample = copied(found)
    sample['points'] = sample['points'][:0]
    out = build(FIND[2:] + FINISH)(sample)
    assert out['point_pixels'].shape == (0, 4) and out['point_pixel_depth'].shape == (0, )
    assert FindPointPixels(footprint=(0.2, 0.5))(sample)['recorded_pixels'].pixel.shape == (0, 2)


def test_only_points_of_the_keyframe_are_paired_before_sweeps(keyframe):
    """``LoadPointsFromMultiSweeps`` puts earlier points behind those of the keyframe."""
    start = camera_keyframe.read_sample(keyframe[0])
    start['timestamp'] = 5.
    sweep = dict(lidar_path=start['lidar_path'], num_pts_feats=5, lidar2sensor=np.eye(4).tolist())
    start['lidar_sweeps'] = [dict(lidar_points=sweep, timestamp=4.9)]
    load = [dict(type='LoadPointsChecked', coord_type='LIDAR', load_dim=5, use_dim=5), *FIND[1:],
            dict(type='LoadPointsFromMultiSweeps', sweeps_num=1, use_dim=[0, 1, 2, 3, 4]), FIND[0]]
    out = build(load + AUGMENT[:2] + [dict(type='PointShuffle')] + FINISH[1:])(start)
    assert len(out['points']) > 5000
    rows = out['point_pixels'][:, 1].astype(int)
    assert len(rows) > 1000 and (out['points'].tensor[rows, 4] == 0).all()
    assert np.array_equal(np.unique(split_index(out['points'])[1][rows]), np.unique(out['recorded_pixels'].row))


def test_a_batch(found):
    """Packed and through the data preprocessor: images normalised and stacked, pairs moved along."""
    from pretrain3d.datasets import Pretrain3DDataPreprocessor
    pack = [dict(type='PackPretrain3DInputs', keys=['points', 'img', 'point_pixels', 'point_pixel_depth'])]
    steps = AUGMENT[:4] + [dict(type='LoadCameraImages', size=(60, 104)), *FINISH[1:], *pack]
    samples = [finished(found, steps), finished(found, AUGMENT[2:3] + steps[4:])]
    assert all(sample['inputs']['img'].shape == (6, 3, 60, 104) for sample in samples)
    assert all(sample['inputs']['img'].dtype == torch.uint8 for sample in samples)
    preprocessor = Pretrain3DDataPreprocessor(voxel_size=0.5, mean=[10., 20., 30.], std=[2., 4., 8.], bgr_to_rgb=True)
    data = dict(inputs={key: [sample['inputs'][key] for sample in samples] for key in samples[0]['inputs']},
                data_samples=[sample['data_samples'] for sample in samples])
    out = preprocessor(dict(data, inputs=dict(data['inputs'])), training=True)
    images = out['inputs']['imgs']
    assert images.shape == (2, 6, 3, 60, 104) and images.dtype == torch.float32
    plain = samples[1]['inputs']['img'].flip(1).float() - torch.tensor([10., 20., 30.])[:, None, None]
    assert torch.allclose(images[1], plain / torch.tensor([2., 4., 8.])[:, None, None])
    for sample, pairs, depth, points in zip(out['data_samples'], *(out['inputs'][key] for key in (
            'point_pixels', 'point_pixel_depth', 'points'))):
        assert len(pairs) == len(depth) > 1000 and points.shape[1] == 4  # the index column is off
        lidar2img = torch.from_numpy(np.stack(sample.metainfo['lidar2img']))[pairs[:, 0].long()]
        xyz = points[pairs[:, 1].long(), :3].double()
        moved = torch.einsum('pij,pj->pi', lidar2img[:, :3, :3], xyz) + lidar2img[:, :3, 3]
        assert (moved[:, :2] / moved[:, 2:] - pairs[:, 2:]).abs().max() < 1e-3
        assert torch.allclose(moved[:, 2].float(), depth, rtol=1e-4)
        assert len(sample.metainfo['img_aug_matrix']) == 6
    other = finished(found, [dict(type='LoadCameraImages', size=(64, 104)), *FINISH[1:], *pack])
    fewer = dict(inputs=dict(other['inputs'], img=samples[0]['inputs']['img'][:5]), data_samples=other['data_samples'])
    for odd in (other, fewer):
        mixed = dict(inputs={key: [samples[0]['inputs'][key], odd['inputs'][key]] for key in odd['inputs']},
                     data_samples=[samples[0]['data_samples'], odd['data_samples']])
        with pytest.raises(ValueError, match=r'lidar0.bin.*\(6, 3, 60, 104\).*LoadCameraImages'):
            preprocessor(mixed)


def test_errors(found, keyframe):
    augmented = finished(found, AUGMENT[:1])
    with pytest.raises(ValueError, match='lidar0.bin: the points are augmented and the cameras are not'):
        FindPointPixels()(augmented)
    with pytest.raises(KeyError, match='put PrepareCameras'):
        build(LOAD + FIND[2:])(camera_keyframe.read_sample(keyframe[0]))
    lost = copied(found)
    del lost['images']['CAM_BACK']['lidar2cam']
    with pytest.raises(KeyError, match='lidar0.bin, camera CAM_BACK .*has no lidar2img, nor cam2img'):
        FindPointPixels()(lost)
    with pytest.raises(KeyError, match='has no images: put PrepareCameras'):
        FindPointPixels()(dict(copied(found), images={}))
    with pytest.raises(KeyError, match='put FindPointPixels before'):
        AlignPointPixels()(dict(points=found['points'], images={}))
    with pytest.raises(ValueError, match='put AddPointIndex before'):
        AlignPointPixels()(dict(copied(found), points=LiDARPoints(torch.rand(5, 3))))
    with pytest.raises(ValueError, match='the cloud had 7 points at AddPointIndex'):
        AlignPointPixels()(dict(copied(found), point_index_size=7))
    for options in (dict(min_depth=0), dict(footprint=(1, )), dict(footprint=(-1, 0)), dict(tolerance=-1)):
        with pytest.raises(ValueError, match='FindPointPixels'):
            FindPointPixels(**options)
