"""Views of a pair and their matches, against brute force by world coordinates."""
import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from pair_world import VIEWS, drawn_pairs, frame_pipeline  # noqa: F401

import pretrain3d  # noqa: F401
from mmdet3d.registry import DATASETS, TRANSFORMS
from mmdet3d.structures.points import DepthPoints
from pretrain3d.contrastive_scene_contexts.pair_transforms import follow_rows
from pretrain3d.converters.pairs.storage import read_frame, read_table

# Everything that drops, repeats or reorders points, and moves what is left.
ROUGH = [
    dict(type='CenterOnMean'), dict(type='RandomDropoutPoints', ratio=0.4, prob=1.),
    dict(type='SphereCrop', fraction=0.8), dict(type='PointShuffle'),
    dict(type='RandomRotatePoints', axis='z', angle_range=[-3, 3]), dict(type='RandomFlipPoints', prob=0.5),
    dict(type='GlobalRotScaleTrans', rot_range=[0, 0], scale_ratio_range=[0.9, 1.1]),
    dict(type='RandomJitterPoints', jitter_std=0.005, clip_range=0.02), dict(type='GridSamplePoints', voxel_size=0.08),
    dict(type='NormalizePointsColor', color_mean=None)]


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmdet3d')


def build(root, pipeline):
    return DATASETS.build(dict(type='FramePairDataset', data_root=str(root), ann_file='frame_pairs_train.pkl',
                               pipeline=pipeline))


def brute(first, second, radius):
    first, second = first.astype(np.float64), second.astype(np.float64)
    return np.argwhere(sum(np.subtract.outer(first[:, axis], second[:, axis]) ** 2 for axis in range(3)) <= radius ** 2)


def worlds(inputs):
    return [inputs['views'][view]['xyz_world'].numpy() for view in VIEWS]


@pytest.mark.parametrize('source', ['table', 'radius'])
@pytest.mark.parametrize('seed', range(3))
def test_matches_survive_dropping_cropping_and_shuffling(drawn_pairs, source, seed):
    match = dict(source=source, **(dict(radius=0.0375) if source == 'radius' else {}))
    dataset = build(drawn_pairs, frame_pipeline(ROUGH, match, with_table=source == 'table'))
    np.random.seed(seed)
    inputs = dataset[seed]['inputs']
    first, second = worlds(inputs)
    stored = [len(read_frame(dataset.get_data_info(seed)[f'{view}_path'])[0]) for view in VIEWS]
    assert len(first) < 0.6 * stored[0] and len(second) < 0.6 * stored[1]
    pairs = inputs['pairs'].numpy()
    assert pairs.dtype == np.int64 and len(pairs) > 50
    assert np.array_equal(pairs, brute(first, second, 0.0375))


def test_points_and_world_coordinates_stay_in_step(drawn_pairs):
    """A rigid motion takes the world coordinates to the points, row by row, and colours ride along."""
    steps = [dict(type='RandomDropoutPoints', ratio=0.4, prob=1.), dict(type='PointShuffle'),
             dict(type='CenterOnMean'), dict(type='RandomRotatePoints', axis='z', angle_range=[-3, 3]),
             dict(type='RandomRotatePoints', axis='x', angle_range=[-0.05, 0.05])]
    dataset = build(drawn_pairs, frame_pipeline(steps, dict(source='radius', radius=0.0375)))
    np.random.seed(0)
    info, inputs = dataset.get_data_info(0), dataset[0]['inputs']
    for view, world in zip(VIEWS, worlds(inputs)):
        points = inputs['views'][view]['points'].numpy()
        centred = world - world.mean(0)
        assert abs(points[:, :3].mean(0)).max() < 1e-4
        rotation = np.linalg.lstsq(centred, points[:, :3], rcond=None)[0]
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-4)
        np.testing.assert_allclose(centred @ rotation, points[:, :3], atol=1e-4)
        xyz, rgb, _ = read_frame(info[f'{view}_path'])
        colour = {tuple(position): tuple(value) for position, value in zip(xyz, rgb)}
        assert [colour[tuple(position)] for position in world] == [tuple(row) for row in points[:, 3:]]


def test_without_augmentation_the_table_is_unchanged(drawn_pairs):
    dataset = build(drawn_pairs, frame_pipeline([], dict(source='table'), with_table=True))
    table = dataset.get_data_info(2)['table']
    assert np.array_equal(dataset[2]['inputs']['pairs'].numpy(), read_table(table['path'], table))


@pytest.mark.parametrize('seed', range(10))
def test_follow_rows_twin(seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 30, 2)
    pairs = np.stack([rng.integers(0, size, 40) for size in sizes], 1)
    pairs = np.unique(pairs, axis=0)[:rng.integers(0, 40)]
    first, second = (rng.integers(0, size, rng.integers(0, 40)) for size in sizes)
    known = {tuple(pair) for pair in pairs}
    expected = [(i, j) for i, a in enumerate(first) for j, b in enumerate(second) if (a, b) in known]
    assert follow_rows(pairs, first, second).tolist() == [list(pair) for pair in expected]


def cloud_sample(size=400, seed=0):
    rng = np.random.default_rng(seed)
    values = np.concatenate([rng.uniform(-2, 2, (size, 3)), rng.uniform(0, 255, (size, 3))], 1).astype(np.float32)
    points = DepthPoints(torch.from_numpy(values), points_dim=6, attribute_dims=dict(color=[3, 4, 5]))
    return dict(points=points, lidar_path='cloud.bin')


def run(steps, results):
    for step in steps:
        results = TRANSFORMS.build(step)(results)
        if results is None:
            return None
    return results


def two_crops(steps0, steps1, **match):
    return [dict(type='KeepWorldCoordinates'), dict(type='AddPointIndex'),
            dict(type='MakeViews', views=dict(view0=steps0, view1=steps1)),
            dict(type='MatchViews', source='index', **match),
            dict(type='PackPretrain3DInputs', keys=['pairs'], point_keys=['xyz_world'])]


@pytest.mark.parametrize('seed', range(3))
def test_two_crops_match_where_they_share_points(seed):
    np.random.seed(seed)
    inputs = run(two_crops(ROUGH, ROUGH), cloud_sample(seed=seed))['inputs']
    first, second = worlds(inputs)
    pairs = inputs['pairs'].numpy()
    assert 20 < len(pairs) < len(first)
    assert np.array_equal(pairs, brute(first, second, 0))


def test_points_that_were_drawn_twice_match_twice():
    np.random.seed(0)
    repeat = [dict(type='PointSample', num_points=900, replace=True)]
    inputs = run(two_crops(repeat, []), cloud_sample())['inputs']
    assert len(inputs['pairs']) == 900
    first, second = worlds(inputs)
    assert np.array_equal(inputs['pairs'].numpy(), brute(first, second, 0))


def test_views_without_common_points_have_no_pairs_or_give_up():
    nothing = [dict(type='SphereCrop', max_points=1)]
    np.random.seed(1)
    inputs = run(two_crops(nothing, nothing), cloud_sample())['inputs']
    assert inputs['pairs'].shape == (0, 2) and inputs['pairs'].dtype == torch.int64
    np.random.seed(1)
    assert run(two_crops(nothing, nothing, min_pairs=5)[:-1], cloud_sample()) is None


def test_empty_views():
    empty = [dict(type='PointsRangeFilter', point_cloud_range=[90, 90, 90, 91, 91, 91]), dict(type='CenterOnMean')]
    steps = two_crops(empty, [])
    assert run(steps, cloud_sample())['inputs']['pairs'].shape == (0, 2)
    steps[3] = dict(type='MatchViews', source='radius', radius=0.1)
    assert run(steps, cloud_sample())['inputs']['pairs'].shape == (0, 2)


def test_errors_say_what_to_do(drawn_pairs):
    steps = two_crops([], [])
    with pytest.raises(KeyError, match='put MakeViews before it'):
        run([steps[0], steps[1], steps[3]], cloud_sample())
    with pytest.raises(ValueError, match='no index column'):
        run([steps[0], steps[2], steps[3]], cloud_sample())
    with pytest.raises(KeyError, match='KeepWorldCoordinates before MakeViews'):
        run([steps[1], steps[2], dict(type='MatchViews', source='radius', radius=0.1)], cloud_sample())
    with pytest.raises(KeyError, match='with_table=True'):
        run([*steps[:3], dict(type='MatchViews', source='table')], cloud_sample())
    with pytest.raises(KeyError, match='LoadFramePair before MakeViews'):
        run([dict(type='TakeFrame', view='view0')], cloud_sample())
    info = build(drawn_pairs, []).get_data_info(0)
    with pytest.raises(ValueError, match='belongs to other frames'):
        run([dict(type='LoadFramePair', with_table=True)], dict(info, view0_path=info['view1_path'])
            if info['num_points'][1] < info['num_points'][0] else dict(info, view1_path=info['view0_path']))
    info.pop('table')
    with pytest.raises(KeyError, match='--tables all'):
        run([dict(type='LoadFramePair', with_table=True)], info)


@pytest.mark.parametrize('wrong', [
    dict(source='nearest'), dict(source='radius'), dict(source='radius', radius=-1.0), dict(source='table', radius=0.1),
    dict(source='index', views=['view0'])])
def test_options_that_make_no_sense(wrong):
    with pytest.raises(ValueError, match='MatchViews'):
        TRANSFORMS.build(dict(type='MatchViews', **wrong))
    with pytest.raises(ValueError, match='TakeFrame'):
        TRANSFORMS.build(dict(type='TakeFrame', view='view2'))
