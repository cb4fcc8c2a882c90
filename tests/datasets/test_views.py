import numpy as np
import pytest
import torch

from mmdet3d.structures.points import LiDARPoints
from pretrain3d.datasets.point_index import AddPointIndex, split_index
from pretrain3d.datasets.views import MakeViews


def test_views_number_the_same_points_and_leave_the_sample_alone():
    np.random.seed(0), torch.manual_seed(0)
    data = AddPointIndex()(dict(points=LiDARPoints(torch.rand(50, 3)), dataset=object()))
    before = data['points'].tensor.clone()
    crop = [dict(type='GlobalRotScaleTrans', rot_range=[-1, 1]), dict(type='PointSample', num_points=30)]
    out = MakeViews(views=dict(a=crop, b=crop))(data)
    assert torch.equal(out['points'].tensor, before) and 'transformation_3d_flow' not in out and 'dataset' in out
    a, b = out['views']['a'], out['views']['b']
    assert a['pcd_rotation_angle'] != b['pcd_rotation_angle'] and 'dataset' not in a
    for view in (a, b):
        tensor, index = split_index(view['points'])
        rotation, scale = view['pcd_rotation'], view['pcd_scale_factor']
        assert torch.allclose(tensor, before[index, :3] @ rotation * scale, atol=1e-6)


def test_a_view_that_gives_up_gives_up_the_sample():
    assert MakeViews(views=dict(a=[lambda results: None]))(dict(points=None)) is None


def test_reserved_name():
    with pytest.raises(ValueError, match='points'):
        MakeViews(views=dict(points=[]))
