"""Indoor augmentation against brute force and invariants; every point carries a tag, so that masks out of step show."""
import math

import numpy as np
import pytest
import torch

import pretrain3d  # noqa: F401
from mmdet3d.structures.points import DepthPoints
from pretrain3d.datasets import transforms_indoor as T
from pretrain3d.datasets.point_index import AddPointIndex, split_index
from pretrain3d.datasets.seeding import seeded
from pretrain3d.datasets.sparse_batch import build_sparse_batch
from pretrain3d.datasets.transforms_indoor.geometry import rotation_matrix


def sample(count=400, seed=0, scale=3.0):
    """A cloud of x, y, z, r, g, b, normal whose masks are the row number and the row number + 1000."""
    rng = np.random.default_rng(seed)
    normal = rng.normal(size=(count, 3))
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    cloud = np.hstack([rng.uniform(-scale, scale, (count, 3)), rng.uniform(20, 200, (count, 3)), normal])
    points = DepthPoints(cloud.astype(np.float32), points_dim=9)
    results = dict(points=points, pts_semantic_mask=np.arange(count), pts_instance_mask=np.arange(count) + 1000)
    return AddPointIndex()(T.NamePointColumns(color=[3, 4, 5], normal=[6, 7, 8])(results))


def in_step(results, before):
    """The surviving rows, after checking that masks and columns still belong to them."""
    tensor, index = split_index(results['points'])
    assert np.array_equal(results['pts_semantic_mask'], index)
    assert np.array_equal(results['pts_instance_mask'], index + 1000)
    assert torch.equal(tensor, split_index(before['points'])[0][index])
    assert len(set(index.tolist())) == len(index)
    return index


ALL = [
    T.CenterShift(), T.RandomRotatePoints('x', [-1, 1]), T.RandomFlipPoints(0.5), T.ElasticDistortion(prob=1),
    T.ChromaticAutoContrast(prob=1), T.ChromaticTranslation(prob=1), T.ChromaticJitter(prob=1),
    T.RandomColorJitter(prob=1),
    T.GridSamplePoints(0.7), T.SphereCrop(max_points=100), T.RandomDropoutPoints(0.3, prob=1)
]
RANDOM = [step for step in ALL if not isinstance(step, (T.CenterShift, T.RandomFlipPoints))]


@pytest.mark.parametrize('step', ALL, ids=lambda step: type(step).__name__)
def test_same_seed_same_result_and_index_in_step(step):
    outputs = []
    for _ in range(2):
        with seeded((3, 4)):
            outputs.append(step(sample()))
    assert torch.equal(outputs[0]['points'].tensor, outputs[1]['points'].tensor)
    _, index = split_index(outputs[0]['points'])
    assert np.array_equal(outputs[0]['pts_semantic_mask'], index)
    assert outputs[0]['points'].attribute_dims['color'] == [3, 4, 5]
    assert outputs[0]['points'].tensor.dtype == torch.float32


@pytest.mark.parametrize('step', RANDOM, ids=lambda step: type(step).__name__)
def test_another_seed_another_result(step):
    outputs = []
    for seed in (1, 2):
        with seeded((seed, )):
            outputs.append(step(sample())['points'].tensor)
    assert outputs[0].shape != outputs[1].shape or not torch.equal(*outputs)


@pytest.mark.parametrize('step', ALL, ids=lambda step: type(step).__name__)
def test_empty_cloud(step):
    results = step(sample(0))
    assert results['points'].tensor.shape == (0, 10)


@pytest.mark.parametrize('name, kwargs', [
    ('RandomRotatePoints', dict(axis='z', angle_range=[1, 2])), ('ElasticDistortion', {}), ('ChromaticJitter', {}),
    ('ChromaticAutoContrast', {}), ('ChromaticTranslation', {}), ('RandomDropoutPoints', {}), ('RandomFlipPoints', {})])
def test_probability_zero_changes_nothing(name, kwargs):
    before = sample()
    after = getattr(T, name)(**kwargs, prob=0)(sample())
    assert torch.equal(before['points'].tensor, after['points'].tensor)


def test_probability_is_kept():
    np.random.seed(0)
    step = T.RandomRotatePoints('z', [1, 1], prob=0.3)
    start = sample(3)['points'].tensor
    moved = sum(not torch.equal(step(sample(3))['points'].tensor, start) for _ in range(600))
    assert 130 < moved < 230  # 180 expected, deviation 11


@pytest.mark.parametrize('axis, maps', [('x', 'yz'), ('y', 'zx'), ('z', 'xy')])
def test_rotation_is_right_handed(axis, maps):
    matrix = rotation_matrix(axis, math.pi / 2)
    unit = np.eye(3)
    first, second = ('xyz'.index(letter) for letter in maps)
    assert np.allclose(matrix @ unit[first], unit[second])
    assert np.allclose(matrix @ unit['xyz'.index(axis)], unit['xyz'.index(axis)])
    assert np.isclose(np.linalg.det(matrix), 1)


def test_normals_stay_unit_and_perpendicular_to_their_plane():
    rng = np.random.default_rng(0)
    normal = np.array([1., 2., 3.]) / math.sqrt(14)
    first = np.cross(normal, [0, 0, 1.])
    second = np.cross(normal, first)
    xyz = rng.normal(size=(200, 1)) * first + rng.normal(size=(200, 1)) * second + 0.5 * normal
    cloud = np.hstack([xyz, np.full((200, 3), 100.), np.tile(normal, (200, 1))]).astype(np.float32)
    results = T.NamePointColumns([3, 4, 5], [6, 7, 8])(dict(points=DepthPoints(cloud, points_dim=9)))
    np.random.seed(4)
    for step in (T.RandomRotatePoints('z', [-3, 3]), T.RandomRotatePoints('x', [0.5, 1]),
                 T.RandomRotatePoints('y', [-1, -0.5]), T.RandomFlipPoints(1.), T.CenterShift()):
        results = step(results)
    tensor = results['points'].tensor.double().numpy()
    assert not np.allclose(tensor[:, 6:], normal, atol=0.1)
    assert np.allclose(np.linalg.norm(tensor[:, 6:], axis=1), 1, atol=1e-6)
    chords = tensor[1:, :3] - tensor[:-1, :3]
    assert np.abs((chords * tensor[1:, 6:]).sum(1)).max() < 1e-5
    assert (tensor[:, 3:6] == 100).all()


def test_flip_mirrors_x_and_y_only():
    before, after = sample(), T.RandomFlipPoints(1.)(sample())
    sign = torch.tensor([-1., -1., 1.])
    for columns in (slice(0, 3), slice(6, 9)):
        assert torch.equal(after['points'].tensor[:, columns], before['points'].tensor[:, columns] * sign)


def test_center_shift():
    moved = T.CenterShift()(sample())['points'].tensor[:, :3]
    low, high = moved.amin(0), moved.amax(0)
    assert torch.allclose((low + high)[:2], torch.zeros(2), atol=1e-5) and low[2].abs() < 1e-6
    before = sample()['points'].tensor
    flat = T.CenterShift('xy')(sample())['points'].tensor
    assert torch.equal(flat[:, 2], before[:, 2]) and not torch.equal(flat[:, :2], before[:, :2])
    steps = (T.CenterShift(step=0.5)(sample())['points'].tensor - before)[:, :3] / 0.5
    assert torch.allclose(steps, steps.round(), atol=1e-4) and (steps.abs() > 0.5).any()


def test_auto_contrast_formula():
    np.random.seed(0)
    before = sample()['points'].tensor[:, 3:6]
    out = T.ChromaticAutoContrast(prob=1, blend=1.)(sample())['points'].tensor[:, 3:6]
    assert torch.allclose(out.amin(0), torch.zeros(3), atol=1e-4)
    assert torch.allclose(out.amax(0), torch.full((3, ), 255.), atol=1e-3)
    half = T.ChromaticAutoContrast(prob=1, blend=0.5)(sample())['points'].tensor[:, 3:6]
    assert torch.allclose(half, (before + out) / 2, atol=1e-3)
    grey = sample()
    grey['points'].tensor[:, 3:6] = 77.
    assert (T.ChromaticAutoContrast(prob=1)(grey)['points'].tensor[:, 3:6] == 77).all()


def test_translation_is_one_colour_and_jitter_is_noise():
    np.random.seed(0)
    before = sample(5000)['points'].tensor[:, 3:6]
    shift = T.ChromaticTranslation(prob=1, ratio=0.05)(sample(5000))['points'].tensor[:, 3:6] - before
    assert shift.std(0).max() < 1e-3 and 0 < shift.abs().max() <= 12.75 + 1e-3
    noise = T.ChromaticJitter(prob=1, std=0.02)(sample(5000))['points'].tensor[:, 3:6] - before
    assert noise.std().item() == pytest.approx(5.1, rel=0.05)
    bright = sample()
    bright['points'].tensor[:, 3:6] = 255.
    assert T.ChromaticJitter(prob=1)(bright)['points'].tensor[:, 3:6].max() == 255


def test_colour_transforms_name_what_is_missing():
    with pytest.raises(ValueError, match='NamePointColumns'):
        T.ChromaticJitter(prob=1)(dict(points=DepthPoints(torch.rand(4, 3))))
    with pytest.raises(ValueError, match='points_normals'):
        T.NamePointColumns(normal=[6, 7, 8])(dict(points=DepthPoints(torch.rand(4, 6), points_dim=6)))


@pytest.mark.parametrize('kwargs, size', [(dict(max_points=90), 90), (dict(fraction=0.35), 140),
                                          (dict(max_points=1000), 400), (dict(fraction=1.0), 400)])
def test_sphere_crop_keeps_the_nearest(kwargs, size):
    np.random.seed(3)
    before, after = sample(), T.SphereCrop(**kwargs)(sample())
    index = in_step(after, before)
    assert len(index) == size
    if size < 400:
        np.random.seed(3)
        xyz = before['points'].tensor[:, :3].double()
        distance = (xyz - xyz[np.random.randint(400)]).norm(dim=1)
        assert set(index) == set(distance.argsort()[:size].tolist())


def test_dropout_keeps_a_random_share():
    np.random.seed(0)
    kept = [in_step(T.RandomDropoutPoints(0.25, prob=1)(sample()), sample()) for _ in range(40)]
    assert {len(index) for index in kept} == {300}
    hits = np.bincount(np.concatenate(kept), minlength=400) / 40
    assert 0.3 < hits.min() and hits.max() <= 1 and hits.std() < 0.15


def test_grid_sample_keeps_one_random_point_of_every_voxel():
    np.random.seed(0)
    cells = np.floor(sample()['points'].tensor[:, :3].double().numpy() / 0.9).astype(int)
    occupied = {tuple(cell) for cell in cells}
    seen = set()
    for _ in range(60):
        index = in_step(T.GridSamplePoints(0.9)(sample()), sample())
        assert len(index) == len(occupied) and {tuple(cells[i]) for i in index} == occupied
        seen |= set(index.tolist())
    assert len(seen) > 390  # every point has its turn


def test_labelled_points_survive_where_annotations_are_limited():
    np.random.seed(0)
    labelled = np.random.permutation(400)[:30]
    cells = np.floor(sample()['points'].tensor[:, :3].double().numpy() / 0.9).astype(int)
    for limited in (True, False):
        survived = []
        for _ in range(20):
            results = sample()
            results['pts_semantic_mask'] = np.full(400, 20)
            results['pts_semantic_mask'][labelled] = 5
            if limited:
                results['limited_annotations'] = 20
            results = T.GridSamplePoints(0.9)(T.RandomDropoutPoints(0.5, prob=1)(results))
            _, index = split_index(results['points'])
            left = {tuple(cells[i]) for i, label in zip(index, results['pts_semantic_mask']) if label == 5}
            survived.append(left == {tuple(cells[i]) for i in labelled})
        assert all(survived) if limited else not any(survived)


def test_shift_by_whole_voxels_keeps_one_point_per_voxel():
    np.random.seed(0)
    for whole in (True, False):
        results = sample(3000)
        results['points'].tensor[:, :2] += 0.16  # so that the shift is about half a voxel
        results = T.CenterShift('xy', step=0.3 if whole else None)(T.GridSamplePoints(0.3)(results))
        sparse = build_sparse_batch([results['points'].tensor], (0.3, 0.3, 0.3))
        lost = len(results['points']) - len(sparse['coors'])
        assert lost <= 2 if whole else lost > 50  # float32 rounds a point on an edge now and then


def test_boxes_are_refused():
    for step in (T.CenterShift(), T.RandomFlipPoints(), T.RandomRotatePoints('z', [0, 1]), T.ElasticDistortion()):
        with pytest.raises(ValueError, match='gt_bboxes_3d.*detection'):
            step(dict(sample(), gt_bboxes_3d=None))


@pytest.mark.parametrize('make', [
    lambda: T.SphereCrop(), lambda: T.SphereCrop(max_points=3, fraction=0.5), lambda: T.SphereCrop(fraction=0.),
    lambda: T.GridSamplePoints(0.), lambda: T.RandomDropoutPoints(1.), lambda: T.CenterShift('z'),
    lambda: T.CenterShift(step=0.), lambda: T.RandomRotatePoints('w', [0, 1]),
    lambda: T.RandomRotatePoints('z', [1, 0]), lambda: T.ElasticDistortion([(0., 1.)]),
    lambda: T.NamePointColumns(color=[0, 1, 2])])
def test_wrong_options(make):
    with pytest.raises(ValueError):
        make()
