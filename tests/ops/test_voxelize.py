"""Voxels, inverse map and label vote beside loops and ``torch.unique``."""
import math
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from pretrain3d.ops import unique_voxels, vote_labels, voxelize, world_to_voxel

# The package exports a function of the module's name, so the module itself has to be looked up.
MODULE = sys.modules['pretrain3d.ops.voxelize']
REAL = sorted((Path(__file__).resolve().parents[2].parent / 'shared' / 'real' / 'nuscenes_frame').glob('*LIDAR_TOP*'))
cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU')


@pytest.fixture(params=['hash', 'sort', pytest.param('cuda', marks=cuda)])
def route(request, monkeypatch):
    """Every path through the code: the hash table, the sort on the CPU, the sort on a GPU; gives the device."""
    if request.param == 'hash' and MODULE._numba_kernels() is None:
        pytest.skip('numba is not installed')
    if request.param == 'sort':
        monkeypatch.setattr(MODULE, '_numba_kernels', lambda: None)
    return 'cuda' if request.param == 'cuda' else 'cpu'


def slow_unique(coors):
    seen, inverse = {}, []
    for row in map(tuple, coors.tolist()):
        inverse.append(seen.setdefault(row, len(seen)))
    counts = [inverse.count(i) for i in range(len(seen))]
    return list(map(list, seen)), inverse, counts


def slow_vote(labels, inverse, num_voxels, ignore_index):
    out = []
    for voxel in range(num_voxels):
        votes = Counter(label for label, i in zip(labels, inverse) if i == voxel and label != ignore_index)
        out.append(min(votes, key=lambda c: (-votes[c], c)) if votes else ignore_index)
    return out


@pytest.mark.parametrize('dtype', [torch.int16, torch.int32, torch.int64])
@pytest.mark.parametrize('columns', [1, 2, 3, 4])
def test_unique_voxels_equals_a_loop(columns, dtype, route):
    coors = torch.randint(-3, 3, (300, columns), generator=torch.Generator().manual_seed(columns)).to(dtype).to(route)
    voxels, inverse, counts = unique_voxels(coors)
    assert voxels.dtype == dtype and inverse.dtype == counts.dtype == torch.int64
    assert (voxels.tolist(), inverse.tolist(), counts.tolist()) == slow_unique(coors)
    assert torch.equal(voxels[inverse], coors)


def test_unique_voxels_of_wide_extents_and_views(route):
    coors = torch.tensor([[-2 ** 31, 2 ** 31 - 1, 9], [2 ** 30, -2 ** 30, 9], [-2 ** 31, 2 ** 31 - 1, 9]], device=route)
    assert unique_voxels(coors[:, :1])[1].tolist() == [0, 1, 0]
    assert unique_voxels(coors[:, 1:])[1].tolist() == [0, 1, 0]
    with pytest.raises(ValueError, match='63 bits'):
        unique_voxels(coors.repeat(1, 2))


def test_unique_voxels_survives_colliding_hashes(route):
    # Multiples of 2**40 share their low bits, which a careless hash would throw into one slot.
    coors = (torch.arange(5000, device=route) % 2500)[:, None] * 2 ** 40
    voxels, inverse, counts = unique_voxels(coors)
    assert torch.equal(voxels, coors[:2500]) and counts.tolist() == [2] * 2500
    assert torch.equal(inverse, torch.arange(5000, device=route) % 2500)


@pytest.mark.parametrize('rows', [0, 1])
def test_empty_and_single(rows, route):
    voxels, inverse, counts = unique_voxels(torch.full((rows, 4), -7, dtype=torch.int32, device=route))
    assert voxels.shape == (rows, 4) and inverse.tolist() == [0] * rows and counts.tolist() == [1] * rows
    for origin in (None, [-4., -4., -4.]):
        result = voxelize(torch.full((rows, 3), -3.3, device=route), 0.5, origin)
        assert result.coors.shape == (rows, 3) and result.coors.dtype == torch.int32
        assert [len(part) for part in result] == [rows] * 4
        assert result.coors.tolist() == [[0] * 3 if origin is None else [1] * 3] * rows


@pytest.mark.parametrize('dtype', [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize('origin', [None, [-12., -11.3, -10.7]])
def test_voxelize_is_the_floor_then_unique(origin, dtype, route):
    points = ((torch.rand(400, 5, generator=torch.Generator().manual_seed(1)) - 0.5) * 20).to(dtype).to(route)
    xyz = points[:, 1:4]  # a view with strides, as clouds with attributes are cut
    size = [0.7, 1.1, 2.]
    result = voxelize(xyz, size, origin)
    cells = world_to_voxel(xyz, size, 0. if origin is None else origin)
    if origin is None:
        cells = cells - cells.amin(0)
        assert result.coors.amin(0).tolist() == [0, 0, 0]
    voxels, inverse, counts = slow_unique(cells)
    assert result.coors.dtype == torch.int32
    assert (result.coors.tolist(), result.inverse.tolist(), result.counts.tolist()) == (voxels, inverse, counts)
    assert result.first.tolist() == [inverse.index(i) for i in range(len(voxels))]


def test_moving_a_cloud_by_whole_voxels_changes_nothing(route):
    points = torch.randint(-100, 100, (200, 3), generator=torch.Generator().manual_seed(2)).double().to(route) / 8
    for here, there in zip(voxelize(points, 0.5), voxelize(points - 3.5, 0.5)):
        assert torch.equal(here, there)


def test_voxelize_needs_no_gradient(route):
    points = torch.rand(5, 3, device=route, requires_grad=True)
    assert len(voxelize(points, 0.1).inverse) == 5


@pytest.mark.parametrize('bad, word', [(math.nan, 'finite'), (math.inf, 'finite'), (-math.inf, 'finite'),
                                       (3e8, '2\\*\\*30')])
@pytest.mark.parametrize('axis', [0, 1, 2])
def test_unfit_points_are_named(bad, word, axis, route):
    points = torch.zeros(9, 3, device=route)
    points[7, axis] = bad
    points[8] = bad
    with pytest.raises(ValueError, match=f'(?s)points_xyz.*{word}') as caught:
        voxelize(points, 0.1)
    assert 'row 7' in str(caught.value)


def test_clouds_too_wide_to_pack_are_named(route):
    with pytest.raises(ValueError, match='points_xyz .*63 bits'):
        voxelize(torch.tensor([[0., 0, 0], [1e6, 1e6, 1e6]], device=route), 0.1)


def test_points_below_the_origin_are_named(route):
    with pytest.raises(ValueError, match='points_xyz row 1 .*below origin'):
        voxelize(torch.tensor([[0., 0, 0], [0, -1, 0]], device=route), 0.5, [0., 0., 0.])


@pytest.mark.parametrize('points, size, error, word', [
    (torch.zeros(3), 1., ValueError, 'points_xyz'), (torch.zeros(3, 4), 1., ValueError, 'points_xyz'),
    (torch.zeros(3, 3).long(), 1., TypeError, 'points_xyz'), (np.zeros((3, 3)), 1., TypeError, 'points_xyz'),
    (torch.zeros(3, 3), -1., ValueError, 'voxel_size'), (torch.zeros(3, 3), [1., 1.], ValueError, 'voxel_size')])
def test_voxelize_errors(points, size, error, word):
    with pytest.raises(error, match=word):
        voxelize(points, size)


@pytest.mark.parametrize('coors, error', [
    (torch.zeros(3, 3), TypeError), (torch.zeros(3, dtype=torch.long), ValueError),
    (torch.zeros(3, 0, dtype=torch.long), ValueError), (torch.zeros(3, 3, dtype=torch.bool), TypeError),
    ([[1]], TypeError)])
def test_unique_voxels_errors(coors, error):
    with pytest.raises(error, match='coors'):
        unique_voxels(coors)


@pytest.mark.parametrize('ignore_index', [4, -1, 255, 0])
@pytest.mark.parametrize('dtype', [torch.int64, torch.int32, torch.uint8])
def test_vote_equals_a_loop(ignore_index, dtype, route):
    if ignore_index < 0 and dtype == torch.uint8:
        pytest.skip('uint8 holds no -1')
    generator = torch.Generator().manual_seed(ignore_index + 300)
    labels = torch.randint(0, 5, (400,), generator=generator)
    labels[labels == 4] = ignore_index
    inverse = torch.randint(0, 90, (400,), generator=generator)
    out = vote_labels(labels.to(dtype).to(route), inverse.to(route), 100, 4, ignore_index)
    assert out.dtype == dtype
    assert out.tolist() == slow_vote(labels.tolist(), inverse.tolist(), 100, ignore_index)


def test_vote_rules_one_by_one(route):
    labels = torch.tensor([9, 9, 9, 2, 5, 3, 3, 5, 9], device=route)
    inverse = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, 2], device=route)
    # one label beats three ignored; 3 and 5 tie; only ignored; no point at all
    assert vote_labels(labels, inverse, 4, 9, 9).tolist() == [2, 3, 9, 9]
    empty = torch.zeros(0, dtype=torch.long, device=route)
    assert vote_labels(empty, empty, 2, 9, 9).tolist() == [9, 9]
    assert vote_labels(empty, empty, 0, 9, 9).tolist() == []


@pytest.mark.parametrize('labels, inverse, word', [
    ([0, 7], [0, 1], 'labels .*num_classes=3.* or ignore_index=3, got 7'), ([0, -1], [0, 1], 'labels .*got -1'),
    ([0, 1], [0, 2], 'inverse .*num_voxels=2'), ([0, 3], [0, -1], 'inverse .*got -1'), ([0, 1], [0], 'inverse')])
def test_vote_errors(labels, inverse, word):
    with pytest.raises(ValueError, match=word):
        vote_labels(torch.tensor(labels), torch.tensor(inverse), 2, 3, 3)


@cuda
def test_a_gpu_gives_the_cpu_result_bit_by_bit():
    points = (torch.rand(20000, 3, generator=torch.Generator().manual_seed(5)) - 0.5) * 30
    for here, there in zip(voxelize(points, 0.1), voxelize(points.cuda(), 0.1)):
        assert torch.equal(here, there.cpu())


@pytest.mark.skipif(not REAL, reason='no real frame in ../shared/real')
def test_a_real_sweep_has_the_voxels_of_torch_unique(route):
    points = torch.from_numpy(np.fromfile(REAL[0], np.float32).reshape(-1, 5)[:, :3].copy()).to(route)
    assert len(points) == 34688
    result = voxelize(points, 0.1)
    cells = world_to_voxel(points, 0.1)
    voxels, inverse, counts = torch.unique(cells, dim=0, return_inverse=True, return_counts=True)
    assert len(voxels) == len(result.coors)
    order = inverse[result.first]  # ours -> theirs
    assert torch.equal(voxels[order], result.coors + cells.amin(0))
    assert torch.equal(order[result.inverse], inverse) and torch.equal(counts[order], result.counts)
