"""Chunked InfoNCE against the whole matrix."""
import pytest
import torch
import torch.nn.functional as F

from pretrain3d.heads import PointInfoNCELoss, info_nce, point_info_nce


def drawn(rows=40, channels=5):
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(rows, channels, generator=generator, dtype=torch.float64)
    key = query + torch.randn(rows, channels, generator=generator, dtype=torch.float64)
    return F.normalize(query, dim=1).requires_grad_(), F.normalize(key, dim=1).requires_grad_()


@pytest.mark.parametrize('chunk', [40, 1 << 20])
def test_it_is_cross_entropy_with_the_diagonal_as_target(monkeypatch, chunk):
    monkeypatch.setattr(point_info_nce, 'CHUNK', chunk)
    query, key = drawn()
    plain = F.cross_entropy(query @ key.T / 0.07, torch.arange(40))
    ours = PointInfoNCELoss(temperature=0.07)(query, key, torch.arange(40) % 2, 2)
    assert (ours - plain).abs() < 1e-12
    for mine, theirs in zip(torch.autograd.grad(ours, (query, key)), torch.autograd.grad(plain, (query, key))):
        assert (mine - theirs).abs().max() < 1e-12


@pytest.mark.parametrize('chunk', [40, 1 << 20])
def test_further_negatives_match_nothing(monkeypatch, chunk):
    monkeypatch.setattr(point_info_nce, 'CHUNK', chunk)
    query, key = drawn()
    ours = info_nce(query[:25], key[:25], 0.07, negatives=key[25:]).mean()
    plain = F.cross_entropy(query[:25] @ key.T / 0.07, torch.arange(25))
    assert (ours - plain).abs() < 1e-12
    for mine, theirs in zip(torch.autograd.grad(ours, (query, key)), torch.autograd.grad(plain, (query, key))):
        assert (mine - theirs).abs().max() < 1e-12
    none = info_nce(query[:0], key[:0], 0.07, negatives=key)
    none.sum().backward()
    assert none.shape == (0, ) and not key.grad.any()


def test_scenes_see_their_own_keys_only(monkeypatch):
    monkeypatch.setattr(point_info_nce, 'CHUNK', 50)
    query, key = drawn()
    scene = torch.randint(0, 3, (40, ), generator=torch.Generator().manual_seed(1)) * 2  # 1 and 3 have none
    plain = [F.cross_entropy(query[scene == s] @ key[scene == s].T / 0.4, torch.arange(int((scene == s).sum())))
             for s in (0, 2, 4)]
    ours = PointInfoNCELoss(negatives='scene')(query, key, scene, 6)
    assert (ours - sum(plain) / 3).abs() < 1e-12
    assert torch.autograd.gradcheck(lambda q, k: info_nce(q, k, 0.4, scene[:9], 5), (query[:9], key[:9]))


def test_second_direction_and_empty():
    query, key = drawn()
    assert torch.autograd.gradcheck(lambda q, k: info_nce(q, k, 0.4), (query[:7], key[:7]))
    for negatives in ('batch', 'rank', 'scene'):
        loss = PointInfoNCELoss(negatives=negatives)(query[:0], key[:0], torch.zeros(0, dtype=torch.int64), 2)
        loss.backward()
        assert loss == 0


def test_bad_arguments_are_named():
    query, key = drawn()
    with pytest.raises(ValueError, match='temperature'):
        PointInfoNCELoss(temperature=0.)
    with pytest.raises(ValueError, match='negatives'):
        PointInfoNCELoss(negatives='all')
    with pytest.raises(ValueError, match='scene'):
        PointInfoNCELoss(negatives='scene')(query, key)
    with pytest.raises(ValueError, match='query and key'):
        PointInfoNCELoss()(query, key[:3])
    with pytest.raises(ValueError, match='not both'):
        info_nce(query, key, 0.4, torch.zeros(40, dtype=torch.int64), negatives=key)
    with pytest.raises(ValueError, match='num_scenes'):
        info_nce(query, key, 0.4, torch.full((40, ), 3), 2)
