"""Which coarse voxel of a strided sparse convolution stands for a fine one."""
from typing import Sequence

import torch
from torch import Tensor


def coarse_cells(cells: Tensor, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int],
                 extents: Sequence[int]) -> Tensor:
    """Cell of the output grid of a convolution that stands for each cell of its input grid.

    Output cell o reads the input cells o * stride - padding + (0 ... kernel - 1). Of the windows that hold a cell it is
    the one whose centre is nearest, the lower one of two. Each axis is on its own.

    Args:
        cells: (N, 3) integers >= 0.
        kernel, stride, padding: of the convolution, per axis.
        extents: of its output grid.

    Returns:
        (N, 3) int64, all -1 where no window holds the cell: the last cells of grids that stride and kernel do not fill.
    """
    kernel, stride, padding, extents = (torch.as_tensor(each, device=cells.device, dtype=torch.int64)
                                        for each in (kernel, stride, padding, extents))
    reach = cells.long() + padding  # o * stride <= reach <= o * stride + kernel - 1
    # Nearest centre: (reach - (kernel - 1) / 2) / stride, rounded, halves down.
    twice = 2 * reach - kernel + 1 - stride
    nearest = -torch.div(-twice, 2 * stride, rounding_mode='floor')
    nearest = nearest.clamp(min=0).minimum(extents - 1)
    offset = reach - nearest * stride
    inside = ((offset >= 0) & (offset < kernel)).all(1, keepdim=True)
    return nearest.where(inside, nearest.new_full((), -1))


def find_rows(indices: Tensor, batch: Tensor, cells: Tensor, extents: Sequence[int]) -> Tensor:
    """Rows of a sparse grid at given cells.

    Args:
        indices: (M, 4) integers [batch, 3 axes] of the grid, each there once, in any order.
        batch: (N,) sample of each wanted cell.
        cells: (N, 3) wanted cells; negative: none.
        extents: of the grid.

    Returns:
        (N,) int64 rows of ``indices``, -1 where the grid has no such cell.
    """
    if not len(indices) or not len(cells):
        return torch.full((len(cells), ), -1, dtype=torch.int64, device=cells.device)
    keys, order = _flat(indices[:, 0], indices[:, 1:], extents).sort()
    wanted = _flat(batch, cells, extents)
    place = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
    found = (keys[place] == wanted) & (cells >= 0).all(1)
    return order[place].where(found, order.new_full((), -1))


def gather_rows(values: Tensor, rows: Tensor) -> Tensor:
    """(M, C) values at rows (N,), zeros where a row is -1."""
    return torch.cat([values, values.new_zeros(1, values.shape[1])])[rows]


def _flat(batch: Tensor, cells: Tensor, extents: Sequence[int]) -> Tensor:
    """One int64 number per cell of a batch."""
    number = batch.long()
    for axis, extent in enumerate(extents):
        number = number * int(extent) + cells[:, axis].long()
    return number
