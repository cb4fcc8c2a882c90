"""The hash-grid join beside brute force over all pairs."""
import sys

import pytest
import torch

from pretrain3d.ops import radius_join

MODULE = sys.modules['pretrain3d.ops.radius_join']
DEVICES = ['cpu', pytest.param('cuda', marks=pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU'))]


def slow(query, key, radius, query_batch=None, key_batch=None):
    dist2 = (query[:, None] - key[None]).pow(2).sum(-1)
    near = dist2 <= torch.tensor(radius, dtype=query.dtype) ** 2
    if query_batch is not None:
        near &= query_batch[:, None] == key_batch[None]
    pairs = near.nonzero()
    return pairs, dist2[pairs[:, 0], pairs[:, 1]]


def same(got, want):
    assert torch.equal(got[0].cpu(), want[0])
    torch.testing.assert_close(got[1].cpu(), want[1])


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
@pytest.mark.parametrize('radius', [0.05, 0.3, 1.7, 40.])
def test_equals_brute_force(radius, dtype, device):
    generator = torch.Generator().manual_seed(int(radius * 100))
    query = torch.randn(150, 3, generator=generator, dtype=dtype) * 2
    key = torch.randn(200, 3, generator=generator, dtype=dtype) * 2 + 0.5
    pairs, dist2 = radius_join(query.to(device), key.to(device), radius)
    assert pairs.dtype == torch.int64 and dist2.dtype == dtype
    same((pairs, dist2), slow(query, key, radius))
    if radius == 40.:
        assert len(pairs) == 150 * 200


def test_equals_cdist_in_float64():
    generator = torch.Generator().manual_seed(9)
    query, key = (torch.rand(n, 3, generator=generator, dtype=torch.float64) for n in (300, 250))
    near = torch.cdist(query, key, compute_mode='donot_use_mm_for_euclid_dist') <= 0.1
    assert near.any() and torch.equal(radius_join(query, key, 0.1)[0], near.nonzero())


@pytest.mark.parametrize('device', DEVICES)
def test_samples_never_mix(device):
    generator = torch.Generator().manual_seed(4)
    query, key = (torch.randn(n, 3, generator=generator) for n in (120, 90))
    query_batch = torch.randint(0, 4, (120,), generator=generator)
    key_batch = torch.randint(1, 6, (90,), generator=generator)  # samples 0, 4 and 5 have one side only
    want = slow(query, key, 0.8, query_batch, key_batch)
    assert len(want[0]) > 50
    same(radius_join(*(t.to(device) for t in (query, key)), 0.8, query_batch.to(device), key_batch.to(device)), want)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
@pytest.mark.parametrize('step', [1., 0.1, 0.3])
def test_the_boundary_belongs_to_the_radius(step, dtype):
    lattice = torch.stack(torch.meshgrid(*[torch.arange(-3, 4)] * 3, indexing='ij'), -1).reshape(-1, 3).to(dtype) * step
    for radius in (step, 2 * step):
        same(radius_join(lattice, lattice, radius), slow(lattice, lattice, radius))
    if step == 1.:  # inner points have 6 neighbours and themselves
        pairs, _ = radius_join(lattice, lattice, 1.)
        inner = (lattice.abs() < 3).all(1)
        assert (torch.bincount(pairs[:, 0])[inner] == 7).all()


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_a_pair_that_rounds_onto_the_boundary_is_not_two_cells_apart(dtype):
    # -1e-20 and 1 lie in cells -1 and 1 of a grid of exact width 1, yet their difference rounds to 1.
    query, key = torch.tensor([[-1e-20, 0, 0]], dtype=dtype), torch.tensor([[1., 0, 0]], dtype=dtype)
    assert radius_join(query, key, 1.)[0].tolist() == [[0, 0]]
    assert radius_join(key, query, 1.)[0].tolist() == [[0, 0]]


def test_chunks_change_nothing(monkeypatch):
    generator = torch.Generator().manual_seed(6)
    query, key = (torch.randn(n, 3, generator=generator) for n in (30, 25))
    want = slow(query, key, 0.7)
    assert len(want[0]) > 20
    for limit in (1, 3, 50):  # smaller than single runs, too
        monkeypatch.setattr(MODULE, '_MAX_CANDIDATES', limit)
        same(radius_join(query, key, 0.7), want)


def test_far_apart_clouds_and_large_coordinates():
    query = torch.tensor([[0., 0, 0], [1e5, -1e5, 1e4]], dtype=torch.float64)
    key = torch.tensor([[1e5, -1e5, 1e4 + 0.03], [-500, 3, 2]], dtype=torch.float64)
    assert radius_join(query, key, 0.05)[0].tolist() == [[1, 0]]
    assert radius_join(query[:1], key, 0.05)[0].shape == (0, 2)


@pytest.mark.parametrize('n, m', [(0, 0), (0, 4), (4, 0)])
def test_empty_clouds(n, m):
    pairs, dist2 = radius_join(torch.zeros(n, 3), torch.zeros(m, 3), 1.)
    assert pairs.shape == (0, 2) and pairs.dtype == torch.int64 and dist2.shape == (0,)


def test_distances_are_differentiable():
    generator = torch.Generator().manual_seed(8)
    query, key = (torch.rand(6, 3, generator=generator, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert len(radius_join(query, key, 0.6)[0]) > 5
    assert torch.autograd.gradcheck(lambda q, k: radius_join(q, k, 0.6)[1], (query, key))


A, B = torch.zeros(2, 3), torch.zeros(3, 3)


@pytest.mark.parametrize('arguments, error, word', [
    ((torch.zeros(2, 2), B, 1.), ValueError, 'query'), ((A, torch.zeros(3), 1.), ValueError, 'key'),
    ((A.long(), B, 1.), TypeError, 'query'), ((A, B.double(), 1.), TypeError, 'key'),
    ((A, B, 0.), ValueError, 'radius'), ((A, B, float('nan')), ValueError, 'radius'),
    ((A, B, 1., torch.zeros(2, dtype=torch.long)), ValueError, 'key_batch'),
    ((A, B, 1., torch.zeros(3, dtype=torch.long), torch.zeros(3, dtype=torch.long)), ValueError, 'query_batch'),
    ((A, B, 1., torch.zeros(2), torch.zeros(3, dtype=torch.long)), TypeError, 'query_batch'),
    ((A, B / 0, 1.), ValueError, 'key'), ((A + float('inf'), B, 1.), ValueError, 'query'),
    ((A, torch.tensor([[1e9, 1e9, 1e9], [0, 0, 0]]), 1e-3), ValueError, 'radius'),
    ((A, torch.full((1, 3), 1e20), 1e-3), ValueError, 'radius')])
def test_errors_name_the_argument(arguments, error, word):
    with pytest.raises(error, match=word):
        radius_join(*arguments)
