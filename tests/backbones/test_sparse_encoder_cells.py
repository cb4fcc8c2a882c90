"""Coarse cells of fine ones beside a search through every window, and beside spconv's own grids."""
import itertools

import pytest
import torch
from spconv.pytorch import SparseConv3d, SparseConvTensor

import pretrain3d  # noqa: F401
from pretrain3d.backbones.sparse_encoder_cells import coarse_cells, find_rows, gather_rows

# The strided layers of mmdet3d's encoders, and others.
LAYERS = [((3, 3, 3), (2, 2, 2), (1, 1, 1)), ((3, 3, 3), (2, 2, 2), (0, 1, 1)), ((3, 1, 1), (2, 1, 1), (0, 0, 0)),
          ((2, 2, 2), (2, 2, 2), (0, 0, 0)), ((4, 3, 5), (3, 1, 2), (1, 0, 2)), ((1, 1, 1), (2, 3, 1), (0, 0, 0))]


def output_extents(extents, kernel, stride, padding):
    return [(extent + 2 * p - k) // s + 1 for extent, k, s, p in zip(extents, kernel, stride, padding)]


def searched_axis(cell, kernel, stride, padding, extent):
    """Every window of one axis that holds the cell, the nearest centre first."""
    windows = [o for o in range(extent) if o * stride - padding <= cell < o * stride - padding + kernel]
    return min(windows, key=lambda o: (abs(2 * (o * stride - padding) + kernel - 1 - 2 * cell), o), default=-1)


@pytest.mark.parametrize('kernel, stride, padding', LAYERS)
@pytest.mark.parametrize('extents', [(11, 8, 9), (5, 12, 7)])
def test_cells_are_those_of_the_search(kernel, stride, padding, extents):
    out = output_extents(extents, kernel, stride, padding)
    cells = torch.tensor(list(itertools.product(*map(range, extents))))
    found = coarse_cells(cells, kernel, stride, padding, out)
    wanted = []
    for cell in cells.tolist():
        each = [searched_axis(*axis) for axis in zip(cell, kernel, stride, padding, out)]
        wanted.append([-1] * 3 if -1 in each else each)
    assert torch.equal(found, torch.tensor(wanted))


def test_stride_two_with_padding_one_halves():
    cells = torch.arange(8)[:, None].expand(-1, 3)
    assert coarse_cells(cells, (3, ) * 3, (2, ) * 3, (1, ) * 3, (4, ) * 3)[:, 0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize('kernel, stride, padding', LAYERS)
def test_spconv_has_the_cell_of_every_voxel(kernel, stride, padding):
    """Rows of spconv's grid: wherever a window holds the voxel, and nowhere else."""
    generator = torch.Generator().manual_seed(0)
    extents, batch_size = (11, 8, 9), 3
    flat = torch.randperm(batch_size * 11 * 8 * 9, generator=generator)[:150]
    indices = torch.stack([flat // 792, flat // 72 % 11, flat // 9 % 8, flat % 9], 1).int()
    conv = SparseConv3d(1, 1, kernel, stride, padding, bias=False)
    coarse = conv(SparseConvTensor(torch.ones(150, 1), indices, list(extents), batch_size))
    cells = coarse_cells(indices[:, 1:], conv.kernel_size, conv.stride, conv.padding, coarse.spatial_shape)
    rows = find_rows(coarse.indices, indices[:, 0], cells, coarse.spatial_shape)
    there = {tuple(cell): row for row, cell in enumerate(coarse.indices.tolist())}
    wanted = [there.get((int(batch), *cell), -1) for (batch, *_), cell in zip(indices.tolist(), cells.tolist())]
    assert rows.tolist() == wanted
    assert ((rows >= 0) == (cells >= 0).all(1)).all()
    assert (rows >= 0).float().mean() > 0.5 or stride == (2, 3, 1)


def test_missing_rows_are_zeros_with_gradients_of_the_others():
    values = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    rows = torch.tensor([2, -1, 0, 2])
    out = gather_rows(values, rows)
    assert torch.equal(out, torch.stack([values[2], torch.zeros(3).double(), values[0], values[2]]))
    assert torch.autograd.gradcheck(lambda each: gather_rows(each, rows), values)


def test_nothing_to_find():
    none = torch.zeros(0, 4, dtype=torch.int32)
    assert find_rows(none, torch.zeros(2), torch.zeros(2, 3), (4, 4, 4)).tolist() == [-1, -1]
    assert find_rows(torch.zeros(1, 4).int(), none[:, 0], none[:, 1:], (4, 4, 4)).shape == (0, )
    # Another sample, and a cell that only looks like one of the grid when numbered.
    grid = torch.tensor([[0, 0, 1, 0], [1, 0, 0, 0]])
    assert find_rows(grid, torch.tensor([1, 0]), torch.tensor([[0, 1, 0], [0, 1, -1]]), (2, 2, 2)).tolist() == [-1, -1]
