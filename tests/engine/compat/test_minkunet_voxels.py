"""The CPU branch of the MinkUNet voxeliser beside mmdet3d's own, whose ``.cuda()`` the test turns into nothing."""
import numpy as np
import pytest
import torch
from mmdet3d.models.data_preprocessors import Det3DDataPreprocessor
from mmdet3d.registry import MODELS
from mmdet3d.structures import Det3DDataSample, PointData
from mmengine.registry import DefaultScope

import pretrain3d  # noqa: F401  mends the preprocessor

SIZES = (300, 1, 120)


def make(batch_first: bool, max_voxels) -> Det3DDataPreprocessor:
    with DefaultScope.overwrite_default_scope('mmdet3d'):
        return MODELS.build(dict(
            type='Det3DDataPreprocessor', voxel=True, voxel_type='minkunet', batch_first=batch_first,
            max_voxels=max_voxels, voxel_layer=dict(max_num_points=-1, point_cloud_range=[-9, -9, -9, 9, 9, 9],
                                                    voxel_size=[0.5, 0.25, 1.0], max_voxels=(-1, -1))))


def clouds(labelled: bool):
    generator = torch.Generator().manual_seed(0)
    points = [torch.randn(size, 4, generator=generator) for size in SIZES]
    samples = [Det3DDataSample() for _ in SIZES]
    for sample, size in zip(samples, SIZES):
        sample.gt_pts_seg = PointData()
        if labelled:
            sample.gt_pts_seg.pts_semantic_mask = torch.randint(0, 5, (size, ), generator=generator)
    return points, samples


@pytest.mark.parametrize('train, labelled', [(True, True), (False, True), (False, False)])
@pytest.mark.parametrize('batch_first, max_voxels', [(True, None), (True, 80), (False, 80)])
def test_equals_mmdet3d(monkeypatch, batch_first, max_voxels, train, labelled):
    preprocessor = make(batch_first, max_voxels).train(train)
    points, samples = clouds(labelled)
    np.random.seed(3)
    ours = preprocessor.voxelize(points, samples)
    assert max_voxels is None or not train or (ours['coors'][:, 0 if batch_first else 3] == 0).sum() == max_voxels

    monkeypatch.setattr(torch.Tensor, 'cuda', lambda self: self)
    _, twins = clouds(labelled)
    np.random.seed(3)
    theirs = Det3DDataPreprocessor.voxelize.__wrapped__(preprocessor, points, twins)
    for key in ('voxels', 'coors'):
        assert ours[key].dtype == theirs[key].dtype and torch.equal(ours[key], theirs[key])
    for sample, twin in zip(samples, twins):
        assert torch.equal(sample.batch_idx, twin.batch_idx)
        assert sample.point2voxel_map.dtype == twin.point2voxel_map.dtype == torch.int64
        assert torch.equal(sample.point2voxel_map, twin.point2voxel_map)
        if labelled:
            assert torch.equal(sample.gt_pts_seg.voxel_semantic_mask, twin.gt_pts_seg.voxel_semantic_mask)


def test_other_voxel_types_go_to_mmdet3d():
    with DefaultScope.overwrite_default_scope('mmdet3d'):
        preprocessor = MODELS.build(dict(
            type='Det3DDataPreprocessor', voxel=True, voxel_layer=dict(
                max_num_points=5, point_cloud_range=[-4, -4, -4, 4, 4, 4], voxel_size=[1, 1, 1], max_voxels=100)))
    points, samples = clouds(False)
    out = preprocessor.voxelize(points, samples)
    assert 'num_points' in out and int(out['coors'][:, 0].max()) == 2
