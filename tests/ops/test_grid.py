"""The grid convention: voxel centres of grid_sample, half-open bins."""
import math

import pytest
import torch
import torch.nn.functional as F

from pretrain3d.ops import world_to_grid, world_to_voxel

RANGE = [-2., 1., -3., 6., 4., 2.]


@pytest.mark.parametrize('axis', [0, 1, 2])
def test_centres_of_voxels(axis):
    n = 5
    low, high = RANGE[axis], RANGE[axis + 3]
    for i in range(n):
        point = torch.zeros(3, dtype=torch.float64)
        point[axis] = low + (i + 0.5) * (high - low) / n
        assert world_to_grid(point, RANGE)[axis].item() == pytest.approx((2 * i + 1) / n - 1, abs=1e-12)


def test_grid_sample_reads_the_voxel_that_holds_the_point():
    nx, ny, nz = 8, 3, 5
    volume = torch.arange(nx * ny * nz, dtype=torch.float64).reshape(1, 1, nz, ny, nx)
    index = torch.stack(torch.meshgrid(torch.arange(nx), torch.arange(ny), torch.arange(nz), indexing='ij'), -1)
    low, high = torch.tensor(RANGE, dtype=torch.float64).split(3)
    size = (high - low) / torch.tensor([nx, ny, nz])
    points = low + (index + 0.5) * size
    grid = world_to_grid(points, RANGE).reshape(1, nx, ny, nz, 3)
    read = F.grid_sample(volume, grid, mode='bilinear', align_corners=False)[0, 0]
    torch.testing.assert_close(read, volume[0, 0].permute(2, 1, 0))
    assert torch.equal(world_to_voxel(points, size, low), index.int())


def test_outside_is_outside_and_edges_are_one():
    points = torch.tensor([[-2., 1., -3.], [6., 4., 2.], [7., 2., 0.]])
    grid = world_to_grid(points, RANGE)
    assert grid[0].tolist() == [-1, -1, -1] and grid[1].tolist() == [1, 1, 1] and grid[2, 0] > 1
    assert grid.dtype == torch.float32


def test_world_to_grid_gradient_and_empty():
    points = torch.rand(4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda p: world_to_grid(p, RANGE), points)
    assert world_to_grid(torch.zeros(2, 0, 3), torch.tensor(RANGE)).shape == (2, 0, 3)


def test_bins_are_half_open_and_negative_ones_floor():
    points = torch.tensor([[-0.5, 0., 0.5], [0.25, -0.25, 0.24]], dtype=torch.float64)
    assert world_to_voxel(points, 0.25).tolist() == [[-2, 0, 2], [1, -1, 0]]
    assert world_to_voxel(points, [0.5, 0.25, 1.], [0., -1., 0.]).tolist() == [[-1, 4, 0], [0, 3, 0]]
    assert world_to_voxel(points, 1.).dtype == torch.int32


def test_bins_equal_exact_arithmetic_of_the_stored_numbers():
    points = (torch.rand(300, 3, generator=torch.Generator().manual_seed(0)) - 0.5) * 50
    expected = [[math.floor(value / 0.1) for value in row] for row in points.tolist()]
    assert world_to_voxel(points, 0.1).tolist() == expected
    assert world_to_voxel(points.reshape(2, 150, 3), 0.1).reshape(-1, 3).tolist() == expected


@pytest.mark.parametrize('points, size, origin, error, word', [
    (torch.zeros(2, 2), 1., 0., ValueError, 'points'), (torch.zeros(2, 3).int(), 1., 0., TypeError, 'points'),
    ('abc', 1., 0., TypeError, 'points'), (torch.zeros(2, 3), 0., 0., ValueError, 'voxel_size'),
    (torch.zeros(2, 3), [1., 1.], 0., ValueError, 'voxel_size'),
    (torch.zeros(2, 3), float('nan'), 0., ValueError, 'voxel_size'),
    (torch.zeros(2, 3), 1., [0., 0.], ValueError, 'origin'),
    (torch.tensor([[0., 0, 0], [0, math.nan, 0]]), 1., 0., ValueError, 'points must be finite, but row 1'),
    (torch.tensor([[0., math.inf, 0]]), 1., 0., ValueError, 'row 0'),
    (torch.tensor([[0., 2e9, 0]]), 1., 0., ValueError, 'units')])
def test_world_to_voxel_errors(points, size, origin, error, word):
    with pytest.raises(error, match=word):
        world_to_voxel(points, size, origin)


@pytest.mark.parametrize('bounds', [[0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 0], [0, 0, 0, 1, math.nan, 1]])
def test_world_to_grid_errors(bounds):
    with pytest.raises(ValueError, match='range'):
        world_to_grid(torch.zeros(1, 3), bounds)
