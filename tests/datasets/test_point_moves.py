"""Transforms that move points of samples with cameras: pixels and matrices stay in step, or an error names them."""
import copy

import camera_keyframe
import numpy as np
import pretrain3d.contrastive_scene_contexts  # noqa: F401  (it registers)
import pytest
import torch
from mmcv.transforms import Compose

from mmdet3d.registry import TRANSFORMS
from pretrain3d.datasets.point_index import split_index
from pretrain3d.datasets.point_pixels import project

LOAD = [dict(type='LoadPointsChecked', coord_type='LIDAR', load_dim=5, use_dim=4)]
INDEX = [dict(type='AddPointIndex'), dict(type='PrepareCameras')]
FIND = [dict(type='FindPointPixels')]
UPDATE = [dict(type='UpdateCameras')]
ALIGN = [dict(type='AlignPointPixels')]
FOLLOWED = {
    'RandomRotatePoints': [dict(axis='z', angle_range=[0.7, 0.7]), dict(axis='x', angle_range=[-0.2, 0.2]),
                           dict(axis='y', angle_range=[-0.2, 0.2])],
    'RandomFlipPoints': [dict(prob=1.)],
    'CenterShift': [dict(), dict(axes='xy', step=0.3)],
    'CenterOnMean': [dict()],
}
FOLLOWED = [dict(type=name, **given) for name, many in FOLLOWED.items() for given in many]
SOMETIMES = [dict(type='RandomRotatePoints', axis='z', angle_range=[-3.1, 3.1], prob=0.8),
             dict(type='RandomFlipPoints', prob=0.5)]
SCALE = dict(type='GlobalRotScaleTrans', rot_range=[-3.1, 3.1], scale_ratio_range=[0.9, 1.1],
             translation_std=[0.5, 0.5, 0.2])
FLIP = dict(type='RandomFlip3D', sync_2d=False, flip_ratio_bev_horizontal=1., flip_ratio_bev_vertical=0.5)
DROP = [dict(type='PointShuffle'), dict(type='RandomDropoutPoints', prob=1.)]
BENT = [dict(type='ElasticDistortion', params=[(5., 10.)], prob=1.),
        dict(type='ClipPoints', point_cloud_range=[-15, -15, -1, 15, 15, 2])]
# mmdet3d's leaves no record.
JITTER = dict(type='RandomJitterPoints', jitter_std=0.5, clip_range=None)


@pytest.fixture(scope='module')
def start(tmp_path_factory):
    return camera_keyframe.read_sample(camera_keyframe.write_keyframe(tmp_path_factory.mktemp('keyframe'))[0])


def run(sample, steps, seed=0):
    np.random.seed(seed), torch.manual_seed(seed)
    return Compose([TRANSFORMS.build(dict(step)) for step in steps])(copy.deepcopy(sample))


def coordinates(results):
    return split_index(results['points'])[0][:, :3].double().numpy()


def distance(out, xyz, images):
    """Pixels between ``point_pixels`` and the points (n, 3) seen through ``images``, and off by how much in depth."""
    pairs, pixels, depths = out['point_pixels'], [], []
    for camera, image in enumerate(images.values()):
        own = pairs[:, 0] == camera
        assert own.sum() > 20
        pixel, depth = project(xyz[pairs[own, 1].astype(int)], np.asarray(image['lidar2img']))
        pixels.append(np.abs(pixel - pairs[own, 2:]).max(1))
        depths.append(np.abs(depth / out['point_pixel_depth'][own] - 1))
    return np.concatenate(pixels), np.concatenate(depths)


def check(out):
    pixels, depths = distance(out, coordinates(out), out['images'])
    assert pixels.max() < 1e-3 and depths.max() < 1e-5


@pytest.mark.parametrize('step', FOLLOWED, ids=str)
def test_cameras_follow_each_transform(start, step):
    still = run(start, LOAD + INDEX + FIND + UPDATE + ALIGN)
    check(still)
    out = run(start, LOAD + INDEX + FIND + [step] + UPDATE + ALIGN)
    assert np.array_equal(out['point_pixels'], still['point_pixels'])
    check(out)
    # The test sees it if a camera stays behind.
    assert np.median(distance(out, coordinates(out), still['images'])[0]) > 5
    # Behind UpdateCameras, from the moved float32 points.
    late = run(start, LOAD + INDEX + [step] + UPDATE + FIND + ALIGN)
    assert np.array_equal(late['point_pixels'][:, :2], still['point_pixels'][:, :2])
    assert np.abs(late['point_pixels'] - still['point_pixels']).max() < 1e-3


def test_cameras_follow_random_compositions(start):
    found = run(start, LOAD + INDEX + FIND)
    lengths, signs = set(), set()
    for seed in range(60):
        rng = np.random.default_rng(seed)
        choice = FOLLOWED + SOMETIMES
        steps = [choice[i] for i in rng.integers(0, len(choice), rng.integers(1, 5))]
        for other in (SCALE, FLIP, *DROP):
            if rng.random() < 0.6:
                steps.insert(rng.integers(0, len(steps) + 1), other)
        out = run(found, steps + UPDATE + ALIGN, seed)
        check(out)
        lengths.add(len(out['transformation_3d_flow']))
        signs.add(np.sign(np.linalg.det(out['lidar_aug_matrix'])))
    assert len(lengths) > 4 and signs == {-1, 1}


def test_cameras_follow_with_loaded_images(start):
    load = [dict(type='DrawImageCrops', flip_prob=0.5, min_pairs=50), dict(type='LoadCameraImages', size=(90, 160))]
    out = run(start, LOAD + INDEX + FIND + [FOLLOWED[0], SCALE, *DROP, FOLLOWED[3]] + load + UPDATE + ALIGN)
    assert len(out['img']) == 6
    check(out)


@pytest.mark.parametrize('step', BENT + [JITTER], ids=str)
def test_pairs_outlive_what_no_camera_can_follow(start, step):
    still = run(start, LOAD + INDEX + FIND + ALIGN)
    for place in range(2):
        moves = [FOLLOWED[0], SCALE]
        moves.insert(place, step)
        out = run(start, LOAD + INDEX + FIND + moves + UPDATE + ALIGN)
        assert np.array_equal(out['point_pixels'], still['point_pixels'])
        # The matrices are those of the points as they would be without it, which is not where they are.
        matrix = out['lidar_aug_matrix']
        plain = coordinates(still) @ matrix[:3, :3].T + matrix[:3, 3]
        assert distance(out, plain, out['images'])[0].max() < 1e-3
        assert distance(out, coordinates(out), out['images'])[0].max() > 5
    behind = run(start, LOAD + INDEX + FIND + UPDATE + [step] + ALIGN)
    assert np.array_equal(behind['point_pixels'], still['point_pixels'])


@pytest.mark.parametrize('step', FOLLOWED + BENT, ids=str)
def test_before_the_pixels_are_found_all_are_refused_by_name(start, step):
    for before in (LOAD + [step] + INDEX, LOAD + INDEX + [step], LOAD + INDEX + [SCALE, step]):
        with pytest.raises(ValueError, match=f'lidar0.bin: .* by .*{step["type"]}.*FindPointPixels before'):
            run(start, before + FIND)
    if step in BENT:
        with pytest.raises(ValueError, match=f'{step["type"]} moves each point by itself.*behind FindPointPixels'):
            run(start, LOAD + INDEX + [step] + UPDATE)
        with pytest.raises(ValueError, match=f' by {step["type"]} of'):  # pixels found once more
            run(start, LOAD + INDEX + FIND + [step] + UPDATE + FIND)


def test_nothing_moves_behind_the_cameras(start):
    for step in FOLLOWED + BENT:
        with pytest.raises(ValueError, match=f'lidar0.bin: {step["type"]} moves the points behind UpdateCameras'):
            run(start, LOAD + INDEX + UPDATE + [step])
    for late in (FIND + UPDATE + [SCALE], UPDATE + FIND + [FLIP]):
        with pytest.raises(ValueError, match='lidar0.bin: .*moved the points behind UpdateCameras'):
            run(start, LOAD + INDEX + late + ALIGN)
    with pytest.raises(ValueError, match='augmented and the cameras are not, by R, S, T of'):
        run(start, LOAD + INDEX + UPDATE + [SCALE] + FIND)


def test_without_cameras_nothing_is_written(start):
    """And with them points are moved by the same draws to the same places."""
    for images in (None, {}):
        bare = {key: value for key, value in start.items() if key != 'images'}
        if images is not None:
            bare['images'] = images
        loaded = run(bare, LOAD)
        for seed, step in enumerate(FOLLOWED + BENT):
            out = run(bare, LOAD + [step], seed)
            assert set(out) == set(loaded)
            assert torch.equal(out['points'].tensor, run(start, LOAD + [step], seed)['points'].tensor)
            assert not torch.equal(out['points'].tensor, loaded['points'].tensor)


def test_boxes_and_a_camera_outside_of_images_are_refused(start):
    for step in FOLLOWED + BENT:
        for key in ('cam2img', 'lidar2img', 'depth2img', 'gt_bboxes_3d'):
            with pytest.raises(ValueError, match=f'{step["type"]} moves points only.*{key}'):
                run(dict(start, **{key: np.eye(4)}), LOAD + [step])
