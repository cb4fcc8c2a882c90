"""PointNet++ through the sparse batch: what mmdet3d computes, for clouds of any size."""
import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope

import pretrain3d  # noqa: F401
from mmdet3d.models.backbones import PointNet2SASSG
from mmdet3d.registry import MODELS
from pretrain3d.backbones.pointnet2 import evenly

SMALL = dict(type='SparsePointNet2', in_channels=4, num_sampled=96, with_height=True, num_points=(32, 16, 8, 4),
             radius=(0.4, 0.8, 1.2, 1.6), num_samples=(8, 8, 4, 4),
             sa_channels=((8, 8), (8, 12), (12, 12), (12, 16)), fp_channels=((16, 16), (16, 12), (12, 8), (8, 8)))


def build(**options):
    init_default_scope('mmdet3d')
    torch.manual_seed(0)
    return MODELS.build({**SMALL, **options})


def batch(*sizes, columns=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    rows = [torch.rand(size, columns, generator=generator) * 2 for size in sizes]
    number = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    return dict(voxels=torch.cat(rows), coors=torch.cat([number[:, None], torch.zeros(len(number), 3)], 1).int(),
                batch_size=len(sizes), spatial_shape=[1, 1, 1])


@pytest.mark.parametrize('training', [True, False])
def test_with_every_row_sampled_it_is_mmdet3ds(training):
    ours, sparse = build().train(training), batch(96)
    theirs = PointNet2SASSG(**{key: SMALL[key] for key in (
        'in_channels', 'num_points', 'radius', 'num_samples', 'sa_channels', 'fp_channels')}).train(training)
    theirs.load_state_dict(ours.state_dict())
    xyz = sparse['voxels']
    height = xyz[:, 2:] - np.percentile(xyz[:, 2].numpy(), 0.99)  # as mmdet3d's loader takes it
    expected = theirs(torch.cat([xyz, height], 1)[None].float())['fp_features'][-1][0].T
    torch.testing.assert_close(ours(sparse), expected, atol=1e-4, rtol=1e-4)
    assert expected.std(0).max() > 0.1 and ours.out_channels == 8


def test_rows_that_were_not_sampled_are_interpolated_from_the_first_level():
    """A row at the place of a point that the first level picked has that point's features."""
    network = build(in_channels=3, with_height=False).eval()
    sparse = batch(300)
    kept = evenly(300, 96, torch.device('cpu'))
    twin = int(next(row for row in range(300) if row not in kept.tolist()))
    sparse['voxels'][twin] = sparse['voxels'][kept[0]]  # sampling by distance starts at the first point
    features = network(sparse)
    torch.testing.assert_close(features[twin], features[kept[0]])
    assert not torch.equal(features[twin], features[twin + 1])


@pytest.mark.parametrize('sizes', [(300, 40, 1), (150, 0, 96), (5, 7)])
def test_clouds_of_any_size_in_one_batch(sizes):
    network, sparse = build().eval(), batch(*sizes)
    features = network(sparse)
    assert features.shape == (sum(sizes), 8) and features.isfinite().all()
    start = 0
    for size in filter(None, sizes):  # what a sample gets does not depend on its neighbours
        alone = dict(sparse, voxels=sparse['voxels'][start:start + size], batch_size=1,
                     coors=sparse['coors'][start:start + size] * 0)
        torch.testing.assert_close(network(alone), features[start:start + size])
        start += size
    network.train()
    network(sparse).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_without_rows_there_are_no_features():
    assert build()(batch(0, 0)).shape == (0, 8)


def test_evenly():
    device = torch.device('cpu')
    assert evenly(10, 4, device).tolist() == [0, 2, 5, 7]
    assert evenly(3, 7, device).tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert evenly(6, 6, device).tolist() == list(range(6))


def test_wrong_settings_are_named():
    with pytest.raises(ValueError, match='feature_dims'):
        build()(batch(10, columns=6))
    with pytest.raises(ValueError, match='as many fp_channels'):
        build(fp_channels=((16, 16), (16, 12)))
    with pytest.raises(ValueError, match='fewer than the 32'):
        build(num_sampled=31)
