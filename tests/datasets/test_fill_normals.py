"""A cloud without normals: estimated, zeros, or an error that says how to mend it."""
import numpy as np
import pytest
import torch

import pretrain3d  # noqa: F401
from mmdet3d.registry import TRANSFORMS
from mmdet3d.structures.points import DepthPoints
from pretrain3d.datasets.point_index import AddPointIndex, split_index
from pretrain3d.datasets.transforms_indoor import FillNormals, NamePointColumns
from pretrain3d.datasets.transforms_indoor.columns import attribute
from pretrain3d.normals import estimate_normals


def sample(columns=6, normal=False):
    cloud = np.random.default_rng(0).uniform(0, 3, (500, columns)).astype(np.float32)
    cloud[:, 2] *= 0.01
    results = dict(points=DepthPoints(cloud, points_dim=columns), lidar_path='rooms/a.bin')
    return NamePointColumns(color=[3, 4, 5], normal=[6, 7, 8] if normal else None)(results)


def test_estimates_are_those_of_the_function():
    results = FillNormals('estimate')(sample())
    points = results['points']
    assert points.tensor.shape == (500, 9) and points.points_dim == 9
    np.testing.assert_array_equal(attribute(points, 'normal'), estimate_normals(points.tensor[:, :3].numpy()))
    assert torch.equal(points.tensor[:, :6], sample()['points'].tensor) and points.attribute_dims['color'] == [3, 4, 5]
    other = FillNormals('estimate', neighbours=60)(sample())['points']
    assert not torch.equal(attribute(other, 'normal'), attribute(points, 'normal'))


def test_zeros_and_normals_that_are_there():
    zeros = FillNormals('zeros')(sample())['points']
    assert zeros.tensor.shape == (500, 9) and not attribute(zeros, 'normal').any()
    for policy in ('estimate', 'zeros', 'error'):
        kept = FillNormals(policy)(sample(9, normal=True))['points']
        assert torch.equal(kept.tensor, sample(9, normal=True)['points'].tensor)


def test_an_error_names_the_sample_and_the_mend():
    with pytest.raises(ValueError, match=r"rooms/a.bin has no normals.*FillNormals\(policy='estimate'\)"):
        FillNormals()(sample())
    with pytest.raises(ValueError, match="policy is 'guess'"):
        FillNormals('guess')
    with pytest.raises(ValueError, match='at least 3'):
        FillNormals('estimate', neighbours=2)


def test_the_index_column_is_left_alone_and_empty_clouds_pass():
    results = FillNormals('zeros')(AddPointIndex()(sample()))
    tensor, index = split_index(results['points'])
    assert tensor.shape == (500, 9) and np.array_equal(index, np.arange(500)) and not tensor[:, 6:].any()
    empty = dict(points=DepthPoints(np.zeros((0, 6), np.float32), points_dim=6))
    assert FillNormals('estimate')(empty)['points'].tensor.shape == (0, 9)


def test_registered():
    assert isinstance(TRANSFORMS.build(dict(type='FillNormals', policy='zeros')), FillNormals)
