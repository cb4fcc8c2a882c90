"""Elastic distortion beside plain loops and its stated statistics."""
import numpy as np
import pytest
import torch

import pretrain3d  # noqa: F401
from mmdet3d.structures.points import DepthPoints
from pretrain3d.datasets.transforms_indoor import ElasticDistortion
from pretrain3d.datasets.transforms_indoor.elastic import displacement, smooth_noise


def cloud(count=400, seed=0, scale=3.0):
    """Points with x, y, z in a cube and six more columns."""
    rng = np.random.default_rng(seed)
    columns = np.hstack([rng.uniform(-scale, scale, (count, 3)), rng.uniform(0, 1, (count, 6))])
    return dict(points=DepthPoints(columns.astype(np.float32), points_dim=9))


def test_elastic_displacement_equals_plain_trilinear_interpolation():
    xyz = np.random.default_rng(1).uniform(-1, 2, (60, 3)).astype(np.float32)
    spacing = 0.4
    np.random.seed(7)
    fast = displacement(xyz, spacing)
    np.random.seed(7)
    place = (xyz.astype(np.float64) - xyz.min(0)) / spacing + 1
    noise = smooth_noise(np.ceil(place.max(0)).astype(int) + 2)
    slow = np.zeros((60, 3))
    for n, (x, y, z) in enumerate(place):
        for corner in np.ndindex(2, 2, 2):
            node = np.floor((x, y, z)).astype(int) + corner
            weight = np.prod(1 - np.abs(node - (x, y, z)))
            slow[n] += weight * noise[(slice(None), *node)]
    assert np.allclose(fast, slow, atol=1e-5)


def test_smoothing_is_two_box_filters_with_zeros_outside():
    np.random.seed(2)
    plain = np.random.standard_normal((3, 4, 5, 6)).astype(np.float32)
    for _ in range(2):
        for axis in (1, 2, 3):
            padded = np.pad(plain, [(1, 1) if i == axis else (0, 0) for i in range(4)])
            parts = [np.take(padded, np.arange(k, k + plain.shape[axis]), axis) for k in range(3)]
            plain = sum(parts) / 3
    np.random.seed(2)
    assert np.allclose(smooth_noise((4, 5, 6)), plain, atol=1e-5)


def test_elastic_is_smooth_and_bounded():
    before = cloud(4000)
    np.random.seed(0)
    after = ElasticDistortion(params=[(0.8, 1.6)], prob=1)(cloud(4000))
    xyz = before['points'].tensor[:, :3]
    moved = after['points'].tensor[:, :3] - xyz
    assert 0.1 < moved.std() < 0.2  # 0.1136 * 1.6 = 0.18, less at the border and between nodes
    assert moved.abs().max() < 1.6
    near = torch.cdist(xyz, xyz).fill_diagonal_(9).argmin(1)
    close = (xyz - xyz[near]).norm(dim=1) < 0.1
    assert close.sum() > 50
    assert (moved - moved[near])[close].norm(dim=1).mean() < 0.2 * moved.norm(dim=1).mean()
    assert torch.equal(after['points'].tensor[:, 3:], before['points'].tensor[:, 3:])


def test_every_spacing_bends_the_result_of_the_one_before():
    """Brute force: one displacement after the other, drawn from the same state."""
    params = ((0.3, 0.4), (0.9, 1.2))
    np.random.seed(11)
    after = ElasticDistortion(params=params, prob=1.)(cloud())['points'].tensor
    np.random.seed(11)
    np.random.rand()  # whether to bend at all
    xyz = cloud()['points'].tensor[:, :3].double().numpy()
    for spacing, magnitude in params:
        xyz = xyz + magnitude * displacement(xyz.astype(np.float32), spacing)
    assert np.abs(after[:, :3].numpy() - xyz).max() < 1e-5
    assert torch.equal(after[:, 3:], cloud()['points'].tensor[:, 3:])


def test_stated_deviation_and_its_scale():
    """About 0.11 magnitudes at the nodes; trilinear interpolation between them and the border take some of it."""
    np.random.seed(0)
    noise = smooth_noise((40, 40, 40))[:, 3:-3, 3:-3, 3:-3]
    assert noise.std() == pytest.approx((19 / 81)**1.5, rel=0.05)  # weights 1 2 3 2 1 of 9, squared: 19 / 81 an axis
    inner = displacement(np.random.uniform(0, 8, (20000, 3)).astype(np.float32), 0.25)
    assert 0.07 < inner.std() < 0.1136


def test_chance_and_awkward_clouds():
    np.random.seed(0)
    plain = cloud(20)['points'].tensor
    moved = sum(not torch.equal(ElasticDistortion(prob=0.3)(cloud(20))['points'].tensor, plain) for _ in range(200))
    assert 35 <= moved <= 90
    assert torch.equal(ElasticDistortion(prob=0.)(cloud(20))['points'].tensor, plain)
    assert len(ElasticDistortion(prob=1.)(cloud(0))['points']) == 0
    one = ElasticDistortion(prob=1.)(cloud(1))['points'].tensor
    assert torch.isfinite(one).all()
    flat = cloud(50)
    flat['points'].tensor[:, 2] = 1.5
    assert torch.isfinite(ElasticDistortion(prob=1.)(flat)['points'].tensor).all()


def test_wrong_use_is_refused():
    for params in ([(0., 1.)], [(0.2, -1.)]):
        with pytest.raises(ValueError, match='spacing > 0'):
            ElasticDistortion(params=params)
    with pytest.raises(ValueError, match='metres'):  # a cloud in millimetres
        ElasticDistortion(prob=1.)(cloud(50, scale=3000.))
    with pytest.raises(ValueError, match='gt_bboxes_3d'):
        ElasticDistortion(prob=1.)(dict(cloud(), gt_bboxes_3d=None))
