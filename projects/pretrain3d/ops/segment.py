"""Sum, mean and maximum of rows that share a segment index (points of a voxel, pixels of a superpixel)."""
from __future__ import annotations

import torch
from torch import Tensor

from ._checks import check_floating, check_index, check_same_device

_HALF = (torch.float16, torch.bfloat16)


def _check(values: Tensor, index: Tensor, num_segments: int) -> None:
    if not isinstance(values, Tensor):
        raise TypeError(f'values must be a torch.Tensor, got {type(values).__name__}')
    if values.dim() == 0:
        raise ValueError('values must have the shape (N, ...), got a scalar')
    if values.dtype == torch.bool:
        raise TypeError('values must be numbers, got torch.bool; convert with .float() or .long()')
    check_index('index', index, values.shape[0])
    check_same_device('index', index, 'values', values)
    if num_segments < 0:
        raise ValueError(f'num_segments must not be negative, got {num_segments}')
    # On a GPU this test would wait for the device; there the indexing kernels assert it themselves.
    if index.device.type == 'cpu' and index.numel():
        low, high = (int(bound) for bound in torch.aminmax(index))
        if low < 0 or high >= num_segments:
            raise IndexError(f'index must be in [0, num_segments={num_segments}), got values from {low} to {high}')


def segment_sum(values: Tensor, index: Tensor, num_segments: int) -> Tensor:
    """Sum of the rows of each segment: ``out[s] = sum of values[n] over index[n] == s``.

    Half-precision values are added up in float32, so that a long segment neither overflows nor stalls.

    Args:
        values: (N, ...) numbers.
        index: (N,) integers in [0, num_segments), the segment of every row; any order.
        num_segments: number S of segments; a segment without rows is 0.

    Returns:
        (S, ...) of the dtype of ``values``; differentiable.

    Raises:
        TypeError, ValueError: an argument has the wrong dtype, shape or device.
        IndexError: an index is outside [0, num_segments) (CPU; a device assertion on a GPU).
    """
    _check(values, index, num_segments)
    wide = values.float() if values.dtype in _HALF else values
    total = wide.new_zeros((num_segments, *values.shape[1:]))
    return total.index_add(0, index.long(), wide).to(values.dtype)


def segment_mean(values: Tensor, index: Tensor, num_segments: int) -> Tensor:
    """Mean of the rows of each segment, 0 for a segment without rows; see :func:`segment_sum` for the arguments.

    Returns:
        (S, ...) of the dtype of ``values``, which must be floating point; differentiable.
    """
    _check(values, index, num_segments)
    check_floating('values', values)
    wide = values.float() if values.dtype in _HALF else values
    total = segment_sum(wide, index, num_segments)
    count = torch.zeros(num_segments, dtype=torch.int64, device=values.device)
    count = count.index_add(0, index.long(), torch.ones_like(index, dtype=torch.int64)).clamp(min=1)
    count = count.to(total.dtype).reshape(num_segments, *[1] * (values.dim() - 1))
    return (total / count).to(values.dtype)


def segment_max(values: Tensor, index: Tensor, num_segments: int) -> Tensor:
    """Largest value of each segment per column, 0 for a segment without rows; arguments as :func:`segment_sum`.

    The gradient goes to the rows that hold the maximum, in equal shares where several do.

    Returns:
        (S, ...) of the dtype of ``values``; differentiable.
    """
    _check(values, index, num_segments)
    empty = values.new_zeros((num_segments, *values.shape[1:]))
    if values.numel() == 0:
        return empty
    spread = index.long().reshape(-1, *[1] * (values.dim() - 1)).expand_as(values)
    return empty.scatter_reduce(0, spread, values, reduce='amax', include_self=False)
