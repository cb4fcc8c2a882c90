import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from mmcv.transforms import Compose

from mmdet3d.registry import TRANSFORMS
from mmdet3d.structures import CameraInstance3DBoxes, DepthInstance3DBoxes, LiDARInstance3DBoxes
from mmdet3d.structures.points import CameraPoints, DepthPoints, LiDARPoints
from pretrain3d.datasets.cameras import UpdateCameras, crop_matrix, flip_matrix, recorded_augmentation, resize_matrix

REAL = Path(__file__).resolve().parents[3] / 'shared' / 'real' / 'nuscenes_frame'

ROTATE = dict(type='GlobalRotScaleTrans', rot_range=[0.7, 0.7], scale_ratio_range=[1., 1.])
SCALE = dict(type='GlobalRotScaleTrans', rot_range=[0, 0], scale_ratio_range=[1.3, 1.3])
SHIFT = dict(type='GlobalRotScaleTrans', rot_range=[0, 0], scale_ratio_range=[1, 1], translation_std=[2., 3., 1.])
ALL = dict(type='GlobalRotScaleTrans', rot_range=[-2.8, 2.8], scale_ratio_range=[.8, 1.2], translation_std=[1., 1, 1])
FLIP_H = dict(type='RandomFlip3D', sync_2d=False, flip_ratio_bev_horizontal=1., flip_ratio_bev_vertical=0.)
FLIP_V = dict(type='RandomFlip3D', sync_2d=False, flip_ratio_bev_horizontal=0., flip_ratio_bev_vertical=1.)
FLIP_BOTH = dict(type='RandomFlip3D', sync_2d=False, flip_ratio_bev_horizontal=1., flip_ratio_bev_vertical=1.)
CHAINS = [[], [ROTATE], [SCALE], [SHIFT], [FLIP_H], [FLIP_V], [ALL], [ALL, FLIP_H], [FLIP_H, ALL], [FLIP_V, ALL],
          [ALL, FLIP_BOTH], [FLIP_BOTH, ALL, FLIP_BOTH], [FLIP_H, FLIP_H], [FLIP_V, ALL, FLIP_V]]


def rotation(rng):
    q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return q * np.linalg.det(q)


def camera(rng):
    """A camera with skew-free intrinsics and a pose that has the cloud in front of it."""
    lidar2cam = np.eye(4)
    lidar2cam[:3, :3], lidar2cam[:3, 3] = rotation(rng), [*rng.normal(size=2), 90.]
    cam2img = np.array([[900., 0, 800], [0, 950., 450], [0, 0, 1]])
    return dict(cam2img=cam2img.tolist(), lidar2cam=lidar2cam.tolist())


def project(lidar2img, points):
    """Pixels (n, 2) and depth (n,) of points (n, 3), in float64."""
    lidar2img = np.asarray(lidar2img, np.float64)
    homogeneous = np.concatenate([points, np.ones((len(points), 1))], 1) @ lidar2img.T
    return homogeneous[:, :2] / homogeneous[:, 2:3], homogeneous[:, 2]


def square(matrix):
    out = np.eye(4)
    matrix = np.asarray(matrix)
    out[:matrix.shape[0], :matrix.shape[1]] = matrix
    return out


def run(chain, results):
    np.random.seed(4), torch.manual_seed(4)
    return Compose([TRANSFORMS.build(step) for step in chain])(results)


def check_camera(old, new, before, after, scale, sign, pixels=np.eye(3), tolerance=1e-3):
    """The same points, before and after augmentation, fall on the same spot of the image."""
    uv, depth = project(square(old['cam2img']) @ square(old['lidar2cam']), before)
    seen = depth > 1
    moved = np.concatenate([uv, np.ones((len(uv), 1))], 1) @ pixels.T
    lidar2cam, cam2img = square(new['lidar2cam']), square(new['cam2img'])
    found, new_depth = project(new['lidar2img'], after)
    assert seen.sum() > 20
    assert np.abs(found - moved[:, :2])[seen].max() < tolerance
    assert np.allclose(new_depth[seen], scale * depth[seen], rtol=1e-5)
    assert np.allclose(cam2img @ lidar2cam, new['lidar2img'], atol=1e-9)
    assert np.allclose(lidar2cam[:3, :3] @ lidar2cam[:3, :3].T, np.eye(3), atol=1e-5)
    assert np.isclose(np.linalg.det(lidar2cam[:3, :3]), sign, atol=1e-5)
    assert np.allclose(lidar2cam[3], [0, 0, 0, 1])


KINDS = {LiDARPoints: LiDARInstance3DBoxes, DepthPoints: DepthInstance3DBoxes, CameraPoints: CameraInstance3DBoxes}


@pytest.mark.parametrize('chain', CHAINS, ids=str)
@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('with_boxes', [False, True])
def test_3d_augmentation(chain, kind, with_boxes):
    rng = np.random.default_rng(1)
    before = rng.uniform(-30, 30, (60, 3)).astype(np.float32)
    cameras = [camera(rng) for _ in range(3)]
    results = dict(points=kind(torch.from_numpy(before)), images={f'CAM{i}': dict(c) for i, c in enumerate(cameras)})
    if with_boxes:
        results['gt_bboxes_3d'] = KINDS[kind](torch.rand(2, 7))
    if sum(step['type'] == 'RandomFlip3D' for step in chain) > 1:
        assert chain[0] == chain[-1]  # mmdet3d draws a flip once and repeats it
    out = UpdateCameras()(run(chain, results))
    after = out['points'].tensor.double().numpy()
    matrix, scale = recorded_augmentation(out)
    assert np.allclose(after, before @ matrix[:3, :3].T + matrix[:3, 3], atol=1e-4)
    sign = np.sign(np.linalg.det(matrix))
    for i, old in enumerate(cameras):
        check_camera(old, out['images'][f'CAM{i}'], before.astype(np.float64), after, scale, sign)
        assert np.asarray(out['images'][f'CAM{i}']['cam2img']).shape == (3, 3)


IMAGE_STEPS = [resize_matrix(0.5, 0.45), crop_matrix(30., 80.), flip_matrix(704.), crop_matrix(-12., 0.)]


@pytest.mark.parametrize('order', list(itertools.permutations(range(4), 3))[::3])
@pytest.mark.parametrize('form', ['3x3', '4x4'])
def test_image_augmentation_of_each_camera(order, form):
    rng = np.random.default_rng(2)
    before = rng.uniform(-30, 30, (60, 3)).astype(np.float32)
    cameras = [camera(rng) for _ in range(2)]
    pixels = [np.eye(3), IMAGE_STEPS[order[2]] @ IMAGE_STEPS[order[1]] @ IMAGE_STEPS[order[0]]]
    given = pixels
    if form == '4x4':
        given = [np.eye(4), np.eye(4)]
        for wide, narrow in zip(given, pixels):
            wide[:2, :2], wide[:2, 3] = narrow[:2, :2], narrow[:2, 2]
    results = dict(points=LiDARPoints(torch.from_numpy(before)), img_aug_matrix=given,
                   cam2img=[c['cam2img'] for c in cameras], lidar2cam=[c['lidar2cam'] for c in cameras],
                   images={f'CAM{i}': dict(c) for i, c in enumerate(cameras)})
    out = UpdateCameras()(run([ALL, FLIP_H], results))
    after = out['points'].tensor.double().numpy()
    for i, old in enumerate(cameras):
        new = {key: out[key][i] for key in ('cam2img', 'lidar2cam', 'lidar2img')}
        check_camera(old, new, before.astype(np.float64), after, out['pcd_scale_factor'], -1, pixels[i])
        assert all(np.array_equal(new[key], out['images'][f'CAM{i}'][key]) for key in new)


def test_pixel_matrices():
    u = np.array([10., 20, 1])
    assert (resize_matrix(.5, 2) @ u).tolist() == [5, 40, 1]
    assert (crop_matrix(3, 4) @ u).tolist() == [7, 16, 1]
    assert (flip_matrix(100) @ u).tolist() == [90, 20, 1]


def test_one_camera_with_a_shift_in_its_intrinsics():
    rng = np.random.default_rng(3)
    before = rng.uniform(-30, 30, (60, 3)).astype(np.float32)
    old = camera(rng)
    old['cam2img'] = square(old['cam2img'])
    old['cam2img'][:3, 3] = [45., -2, 0.01]  # as KITTI's P2
    results = dict(points=LiDARPoints(torch.from_numpy(before)), **old, images=dict(CAM2=dict(old)))
    out = UpdateCameras()(run([ALL], results))
    after = out['points'].tensor.double().numpy()
    uv, depth = project(old['cam2img'] @ square(old['lidar2cam']), before.astype(np.float64))
    for place in (out, out['images']['CAM2']):
        found, new_depth = project(place['lidar2img'], after)
        assert np.abs(found - uv)[depth > 1].max() < 1e-3
        assert np.allclose(new_depth, out['pcd_scale_factor'] * depth, rtol=1e-5)
        assert np.allclose(place['cam2img'] @ place['lidar2cam'], place['lidar2img'])


@pytest.mark.parametrize('key', ['lidar2img', 'depth2img'])
def test_a_projection_alone(key):
    rng = np.random.default_rng(4)
    before = rng.uniform(-30, 30, (60, 3)).astype(np.float32)
    one = camera(rng)
    matrix = square(one['cam2img']) @ square(one['lidar2cam'])
    out = UpdateCameras()(run([ALL, FLIP_V], dict(points=DepthPoints(torch.from_numpy(before)),
                                                  images=dict(CAM0={key: matrix}), img_aug_matrix=crop_matrix(5, 6))))
    uv, depth = project(matrix, before.astype(np.float64))
    found, new_depth = project(out['images']['CAM0'][key], out['points'].tensor.double().numpy())
    assert np.abs(found - uv + [5, 6])[depth > 1].max() < 1e-3
    assert np.allclose(new_depth, out['pcd_scale_factor'] * depth, rtol=1e-5)


def test_global_alignment_leaves_no_record():
    rng = np.random.default_rng(5)
    before = rng.uniform(-5, 5, (60, 3)).astype(np.float32)
    old = camera(rng)
    align = np.eye(4)
    align[:2, :2], align[:3, 3] = [[0.8, -0.6], [0.6, 0.8]], [1., 2, 3]
    results = dict(points=DepthPoints(torch.from_numpy(before)), axis_align_matrix=align, images=dict(CAM0=dict(old)))
    out = UpdateCameras(global_alignment=True)(run([dict(type='GlobalAlignment', rotation_axis=2), ALL], results))
    check_camera(old, out['images']['CAM0'], before.astype(np.float64), out['points'].tensor.double().numpy(),
                 out['pcd_scale_factor'], 1)


def test_without_cameras_only_the_matrix_is_added():
    out = UpdateCameras()(run([ALL], dict(points=LiDARPoints(torch.rand(3, 3)))))
    assert out['lidar_aug_matrix'].shape == (4, 4) and 'lidar2img' not in out and 'images' not in out


def test_vision_only_samples_use_the_box_mode():
    from mmdet3d.structures import Box3DMode
    for mode, axis in ((Box3DMode.LIDAR, 1), (Box3DMode.DEPTH, 0), (Box3DMode.CAM, 0)):
        matrix, _ = recorded_augmentation(dict(transformation_3d_flow=['HF'], box_mode_3d=mode))
        assert matrix[axis, axis] == -1 and np.trace(matrix) == 2


def test_errors():
    points = LiDARPoints(torch.rand(3, 3))
    with pytest.raises(ValueError, match='a.bin.*pcd_rotation records only the last'):
        UpdateCameras()(run([ALL, ALL], dict(points=points, lidar_path='a.bin')))
    done = UpdateCameras()(dict(points=points))
    with pytest.raises(ValueError, match='updated already'):
        UpdateCameras()(done)
    with pytest.raises(ValueError, match="does not know.*'X'"):
        UpdateCameras()(dict(points=points, transformation_3d_flow=['X']))
    with pytest.raises(ValueError, match='RandomFlip3D flipped the image'):
        UpdateCameras()(dict(points=points, flip=True, img=[0]))
    rng = np.random.default_rng(0)
    images = {f'CAM{i}': camera(rng) for i in range(2)}
    with pytest.raises(ValueError, match='3 entries for 2 cameras'):
        UpdateCameras()(dict(points=points, images=images, img_aug_matrix=[np.eye(3)] * 3))
    with pytest.raises(ValueError, match='affine'):
        UpdateCameras()(dict(points=points, images=images, img_aug_matrix=np.ones((3, 3))))
    with pytest.raises(ValueError, match='differs between cameras'):
        UpdateCameras()(dict(points=points, images=images, **camera(rng),
                             img_aug_matrix=[np.eye(3), resize_matrix(.5, .5)]))


@pytest.mark.skipif(not REAL.is_dir(), reason='real nuScenes keyframe is not here')
@pytest.mark.parametrize('chain', [[ALL, FLIP_BOTH], [FLIP_H, ALL], [FLIP_V, ALL]], ids=['RST-HV', 'H-RST', 'V-RST'])
def test_real_keyframe_with_loaded_images(chain):
    import pickle
    info, = REAL.glob('*.pkl')
    sample = pickle.loads(info.read_bytes())['data_list'][0]
    for image in sample['images'].values():
        image['img_path'] = str(REAL / image['img_path'])
    sample['lidar_points']['lidar_path'] = str(REAL / sample['lidar_points']['lidar_path'])
    old = {name: dict(image) for name, image in sample['images'].items()}
    load = [dict(type='LoadPointsFromFile', coord_type='LIDAR', load_dim=5, use_dim=3)]
    before = run(load, dict(sample))['points'].tensor.double().numpy()
    pixels = [flip_matrix(704) @ crop_matrix(0, 140) @ resize_matrix(0.44, 0.44)] * 6
    out = UpdateCameras()(dict(run([*load, *chain, dict(type='LoadMultiViewImageFromFiles', num_views=6)], sample),
                               img_aug_matrix=pixels))
    after = out['points'].tensor.double().numpy()
    matrix, scale = recorded_augmentation(out)
    sign = np.sign(np.linalg.det(matrix))
    exact = before @ matrix[:3, :3].T + matrix[:3, 3]
    # Stored points are float32: 1e-5 m of rounding 1 m before the lens is a hundredth of a pixel, no fault of ours.
    assert np.abs(exact - after).max() < 3e-5
    for i, name in enumerate(old):
        new = {key: out[key][i] for key in ('cam2img', 'lidar2cam', 'lidar2img')}
        check_camera(old[name], new, before, exact, scale, sign, pixels[i])
