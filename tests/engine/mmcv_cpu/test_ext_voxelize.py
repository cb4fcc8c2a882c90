"""Hard and dynamic voxelisation and the scatter operator against loops over points."""
import math
from itertools import product

import numpy as np
import pytest
import torch

from pretrain3d.engine import mmcv_cpu as ext

SIZE = torch.tensor([0.5, 0.25, 1.])
RANGE = torch.tensor([-2., -1., -1., 2., 1., 2.])


def cell_of(point):
    """(z, y, x) of one point by the float32 formula, or None outside."""
    result = []
    for axis in range(3):
        value = (np.float32(point[axis]) - np.float32(RANGE[axis])) / np.float32(SIZE[axis])
        extent = round(float((RANGE[3 + axis] - RANGE[axis]) / SIZE[axis]))
        if not math.isfinite(value) or not 0 <= math.floor(value) < extent:
            return None
        result.append(math.floor(value))
    return tuple(result[::-1])


def hard_brute(points, max_points, max_voxels):
    voxels = {}
    for row, point in enumerate(points.tolist()):
        cell = cell_of(point)
        if cell is None or (cell not in voxels and len(voxels) == max_voxels):
            continue
        rows = voxels.setdefault(cell, [])
        if len(rows) < max_points:
            rows.append(row)
    return voxels


def hard(module, points, max_points, max_voxels, deterministic=True, size=SIZE, extent=RANGE):
    voxels = points.new_zeros(max_voxels, max_points, points.shape[1])
    coors = torch.zeros(max_voxels, 3, dtype=torch.int)
    counts = torch.zeros(max_voxels, dtype=torch.int)
    number = torch.zeros((), dtype=torch.long)
    module.hard_voxelize_forward(points, size, extent, voxels, coors, counts, number, max_points=max_points,
                                 max_voxels=max_voxels, NDim=3, deterministic=deterministic)
    return voxels, coors, counts, number


def cloud(rng, count, dtype=torch.float32):
    points = torch.rand(count, 4, generator=rng, dtype=dtype) * torch.tensor([5., 2.5, 4., 1.]) - torch.tensor(
        [2.5, 1.25, 1.5, 0.])
    return points.to(dtype)


EDGES = torch.tensor([[-2., -1., -1., 0.], [2., 0., 0., 1.], [0., 1., 0., 2.], [0., 0., 2., 3.], [1.5, 0.75, 1., 4.],
                      [math.nan, 0., 0., 5.], [0., math.inf, 0., 6.], [0., 0., -math.inf, 7.], [-2.00001, 0., 0., 8.],
                      [-1.5, 0., 0., 9.], [1e30, 0., 0., 10.]])


@pytest.mark.parametrize('count, max_points, max_voxels, dtype', [
    (400, 3, 500, torch.float32), (400, 2, 20, torch.float32), (400, 1, 1, torch.float32), (50, 5, 30, torch.float64),
    (0, 3, 4, torch.float32)])
def test_hard_voxelisation_equals_a_loop(rng, count, max_points, max_voxels, dtype):
    points = cloud(rng, count, dtype)
    expected = hard_brute(points, max_points, max_voxels)
    for deterministic in (True, False):
        voxels, coors, counts, number = hard(ext, points, max_points, max_voxels, deterministic)
        assert number.item() == len(expected)
        assert [tuple(row) for row in coors[:number].tolist()] == list(expected)
        for voxel, rows in enumerate(expected.values()):
            assert counts[voxel] == len(rows)
            assert torch.equal(voxels[voxel, :len(rows)], points[rows])
            assert (voxels[voxel, len(rows):] == 0).all()
        assert (counts[number:] == 0).all() and (voxels[number:] == 0).all()


def test_bins_are_half_open_and_broken_points_lie_outside():
    coors = torch.full((len(EDGES), 3), 7, dtype=torch.int)
    ext.dynamic_voxelize_forward(EDGES, SIZE, RANGE, coors, NDim=3)
    assert coors.tolist() == [list(cell_of(point) or (-1, -1, -1)) for point in EDGES.tolist()]
    assert coors[0].tolist() == [0, 0, 0] and coors[1].tolist() == [-1, -1, -1] and coors[4].tolist() == [2, 7, 7]
    *_, number = hard(ext, EDGES, 5, 10)
    assert number == 3


def test_a_cloud_outside_the_range_has_no_voxels(rng):
    voxels, coors, counts, number = hard(ext, cloud(rng, 30) + 100, 5, 10)
    assert number == 0 and (voxels == 0).all() and (counts == 0).all()


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_dynamic_voxelisation_equals_a_loop(rng, dtype):
    points = cloud(rng, 300, dtype)
    coors = torch.zeros(300, 3, dtype=torch.int)
    ext.dynamic_voxelize_forward(points, SIZE, RANGE, coors)
    assert coors.tolist() == [list(cell_of(point) or (-1, -1, -1)) for point in points.tolist()]


def scatter_brute(feats, coors, kind):
    groups = {}
    for row, cell in enumerate(coors.tolist()):
        if min(cell) >= 0:
            groups.setdefault(tuple(cell), []).append(row)
    cells = sorted(groups)
    reduce = dict(max=lambda rows: feats[rows].max(0)[0], mean=lambda rows: feats[rows].mean(0),
                  sum=lambda rows: feats[rows].sum(0))[kind]
    point2voxel = [cells.index(tuple(cell)) if min(cell) >= 0 else -1 for cell in coors.tolist()]
    return torch.stack([reduce(groups[cell]) for cell in cells]), cells, point2voxel, [len(groups[c]) for c in cells]


@pytest.mark.parametrize('kind, dims, spread', list(product(('max', 'mean', 'sum'), (3, 4), (4, 2**21))))
def test_scatter_equals_a_loop(rng, kind, dims, spread):
    feats = torch.randn(80, 5, generator=rng, dtype=torch.float64)
    coors = torch.randint(-1, 3, (80, dims), generator=rng, dtype=torch.int32)
    coors = torch.where(coors == 2, spread, coors)  # the wide spread does not fit one 64-bit key
    reduced, voxels, point2voxel, counts = ext.dynamic_point_to_voxel_forward(feats, coors, kind)
    expected = scatter_brute(feats, coors, kind)
    torch.testing.assert_close(reduced, expected[0])
    assert [tuple(row) for row in voxels.tolist()] == expected[1] and voxels.dtype == coors.dtype
    assert point2voxel.tolist() == expected[2] and point2voxel.dtype == torch.int32
    assert counts.tolist() == expected[3] and counts.dtype == torch.int32


@pytest.mark.parametrize('coors', [torch.zeros(0, 3, dtype=torch.int32), torch.full((6, 3), -1, dtype=torch.int32)])
def test_scatter_of_nothing(coors):
    reduced, voxels, point2voxel, counts = ext.dynamic_point_to_voxel_forward(torch.ones(len(coors), 2), coors, 'mean')
    assert reduced.shape == (0, 2) and voxels.shape == (0, 3) and counts.numel() == 0
    assert point2voxel.tolist() == [-1] * len(coors)
    grad = torch.ones(len(coors), 2)
    ext.dynamic_point_to_voxel_backward(grad, reduced, torch.ones(len(coors), 2), reduced, point2voxel, counts, 'mean')
    assert (grad == 0).all()


def test_scatter_refuses_an_unknown_reduction():
    with pytest.raises(ValueError, match="'median'"):
        ext.dynamic_point_to_voxel_forward(torch.ones(1, 1), torch.zeros(1, 3, dtype=torch.int32), 'median')


@pytest.mark.parametrize('kind', ['max', 'mean', 'sum'])
def test_scatter_gradient(rng, kind, mended_ops):
    coors = torch.randint(-1, 2, (30, 3), generator=rng, dtype=torch.int32)
    feats = torch.randn(30, 3, generator=rng, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: mended_ops.dynamic_scatter(x, coors, kind)[0], feats)


def test_the_gradient_of_a_shared_maximum_goes_to_the_lowest_row(mended_ops):
    feats = torch.tensor([[1.], [5.], [5.], [2.]], requires_grad=True)
    coors = torch.tensor([[0, 0, 0]] * 4, dtype=torch.int32)
    mended_ops.dynamic_scatter(feats, coors, 'max')[0].sum().backward()
    assert feats.grad.tolist() == [[0.], [1.], [0.], [0.]]


@pytest.mark.full
@pytest.mark.parametrize('max_points, max_voxels', [(10, 20000), (3, 500)])
def test_voxelisation_equals_the_compiled_operator(rng, compiled, max_points, max_voxels):
    points = torch.cat((EDGES[(EDGES.isfinite()).all(1)], cloud(rng, 20000)))
    size, extent = torch.tensor([.05, .05, .1]), RANGE
    ours = hard(ext, points, max_points, max_voxels, size=size, extent=extent)
    theirs = hard(compiled, points, max_points, max_voxels, size=size, extent=extent)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs))
    coors = torch.zeros(2, len(points), 3, dtype=torch.int)
    ext.dynamic_voxelize_forward(points, size, extent, coors[0], NDim=3)
    compiled.dynamic_voxelize_forward(points, size, extent, coors[1], NDim=3)
    assert torch.equal(*coors)
