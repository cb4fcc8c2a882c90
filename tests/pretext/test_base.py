import pytest
import torch

from pretrain3d.datasets.sparse_batch import build_sparse_batch
from pretrain3d.pretext import Encoded, PretextHead


def test_features_of_points():
    points = [torch.rand(20, 3), torch.zeros(0, 3), torch.rand(5, 3) + 3]
    sparse = build_sparse_batch(points, (.25, .25, .25), (0, 0, 0, 1, 1, 1))
    features = torch.rand(len(sparse['coors']), 7)
    per_point = Encoded(features, sparse).per_point()
    assert [rows.shape for rows in per_point] == [(20, 7), (0, 7), (5, 7)]
    assert torch.equal(per_point[0], features[sparse['point2voxel'][0]]) and not per_point[2].any()


def test_options_of_a_head():
    head = PretextHead(loss_weight=0.5, views=['a', 'b'])
    assert head.views == ('a', 'b') and head.loss_weight == 0.5 and PretextHead().views == ('points', )
    with pytest.raises(TypeError, match="string 'a'"):
        PretextHead(views='a')


def test_what_a_head_must_have():
    class Forgetful(PretextHead):
        corruption = 'x'
    with pytest.raises(NotImplementedError, match='Forgetful.*corrupt'):
        Forgetful().corrupt({})
    with pytest.raises(NotImplementedError, match='Forgetful.*loss'):
        Forgetful().loss({}, {}, [])
    assert Forgetful().predict({}, {}, [1]) == [1]
