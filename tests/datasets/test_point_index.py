import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmengine.registry import DefaultScope

from mmdet3d.registry import TRANSFORMS
from mmdet3d.structures.points import DepthPoints, LiDARPoints
from pretrain3d.datasets import point_index
from pretrain3d.datasets.packing import PackPretrain3DInputs
from pretrain3d.datasets.point_index import AddPointIndex, split_index

# Transforms that drop, repeat, shuffle or move points; chains of them are drawn at random.
STEPS = [
    dict(type='GlobalRotScaleTrans', rot_range=[-1, 1], scale_ratio_range=[0.9, 1.1], translation_std=[.1, .1, .1]),
    dict(type='RandomFlip3D', sync_2d=False, flip_ratio_bev_horizontal=0.5, flip_ratio_bev_vertical=0.5),
    dict(type='PointsRangeFilter', point_cloud_range=[-1.5, -1.5, -1.5, 1.5, 1.5, 1.5]),
    dict(type='PointShuffle'),
    dict(type='PointSample', num_points=120),
    dict(type='PointSample', num_points=400),  # more than there are: with replacement
    dict(type='PointSample', num_points=0.7),
    dict(type='PointSample', num_points=150, sample_range=1.0),
    dict(type='IndoorPointSample', num_points=140),
    dict(type='RandomJitterPoints'),
]


def cloud(rng, n=250):
    """Results whose every per-point value is a tag of the point: column 3 carries it through all transforms."""
    tags = rng.permutation(n)
    tensor = np.concatenate([rng.uniform(-2, 2, (n, 3)), tags[:, None], 7 * tags[:, None]], 1).astype(np.float32)
    return dict(points=LiDARPoints(tensor, points_dim=5, attribute_dims=dict(height=4)), tags=tags,
                pts_semantic_mask=tags.copy(), superpixel=tags * 3, normal=np.stack([tags, -tags], 1) * 0.5)


@pytest.mark.parametrize('seed', range(12))
def test_per_point_arrays_stay_in_step(seed):
    rng = np.random.default_rng(seed)
    np.random.seed(seed), torch.manual_seed(seed)
    chain = [STEPS[i] for i in rng.permutation(len(STEPS))[:rng.integers(2, 8)]]
    results = cloud(rng)
    results = Compose([TRANSFORMS.build(step) for step in [dict(type='AddPointIndex'), *chain]])(results)
    kept = results['points'].tensor[:, 3].long()
    packed = PackPretrain3DInputs(keys=('points', 'pts_semantic_mask'), point_keys=('superpixel', 'normal'))(results)
    inputs = packed['inputs']
    assert inputs['points'].shape == (len(kept), 5)
    assert torch.equal(inputs['points'][:, 3].long(), kept)
    assert torch.equal(inputs['points'][:, 4].long(), kept * 7)
    assert torch.equal(inputs['superpixel'], kept * 3)
    assert torch.equal(inputs['normal'], torch.stack([kept, -kept], 1) * 0.5)
    assert torch.equal(packed['data_samples'].gt_pts_seg.pts_semantic_mask, kept)


def test_the_column_is_appended_and_taken_off_again():
    points = DepthPoints(torch.rand(4, 6), points_dim=6, attribute_dims=dict(color=[3, 4, 5]))
    results = AddPointIndex()(dict(points=points))
    assert results['points'].attribute_dims == dict(color=[3, 4, 5], index=6) and results['point_index_size'] == 4
    assert points.attribute_dims == dict(color=[3, 4, 5])
    assert isinstance(results['points'], DepthPoints)
    tensor, index = split_index(results['points'])
    assert torch.equal(tensor, points.tensor) and index.tolist() == [0, 1, 2, 3] and index.dtype == np.int64
    assert split_index(points)[1] is None


def test_a_column_that_was_added_later_stays():
    points = AddPointIndex()(dict(points=DepthPoints(torch.rand(4, 3))))['points']
    points.height = torch.arange(4.) * 2
    tensor, index = split_index(points)
    assert torch.equal(tensor, torch.cat([points.tensor[:, :3], torch.arange(4.)[:, None] * 2], 1))
    assert index.tolist() == [0, 1, 2, 3]


def test_index_is_exact_up_to_its_limit():
    largest = torch.tensor([point_index.MAX_POINTS - 1], dtype=torch.int64)
    assert largest.float().long() == largest and (largest + 2).float().long() != largest + 2


def test_too_many_points(monkeypatch):
    monkeypatch.setattr(point_index, 'MAX_POINTS', 3)
    with pytest.raises(ValueError, match='big.bin.*4 points'):
        AddPointIndex()(dict(points=LiDARPoints(torch.rand(4, 3)), lidar_path='big.bin'))


def test_twice_is_refused():
    results = AddPointIndex()(dict(points=LiDARPoints(torch.rand(4, 3))))
    with pytest.raises(ValueError, match='one AddPointIndex'):
        AddPointIndex()(results)


class Dataset:
    """What Seg3DDataset hands to the pipeline in training."""

    def __init__(self, steps):
        with DefaultScope.overwrite_default_scope('mmdet3d'):
            self.pipeline = Compose(steps)

    def run(self):
        return self.pipeline(dict(points=LiDARPoints(torch.rand(9, 3)), dataset=self))


@pytest.mark.parametrize('mix', [
    dict(type='PolarMix', instance_classes=[0], prob=0.),
    dict(type='LaserMix', num_areas=[3], pitch_angles=[-25, 3], prob=0.)])
def test_mixing_clouds_is_refused_after_but_not_before(mix):
    with pytest.raises(ValueError, match=mix['type']):
        Dataset([dict(type='AddPointIndex'), dict(type='PointShuffle'), mix]).run()
    with pytest.raises(ValueError, match=mix['type']):
        Dataset([dict(type='AddPointIndex'), dict(type='RandomChoice', transforms=[[mix], [mix]])]).run()
    assert 'index' in Dataset([mix, dict(type='AddPointIndex')]).run()['points'].attribute_dims
