"""All pairs of points within a radius, by a hash grid: each query meets only the keys of the 27 cells around it."""
from __future__ import annotations

import math
from typing import Iterator, List, Optional, Tuple

import torch
from torch import Tensor

from ._checks import check_floating, check_index, check_matrix, check_same_device

# Cells are this much wider than the radius: a pair whose rounded distance just equals the radius must never be two
# cells apart. Far above the rounding of float32 differences (6e-8), far below what would cost time.
_SLACK = 1 + 1e-5
# Candidate pairs looked at together, which bounds the memory (about 60 bytes each).
_MAX_CANDIDATES = 1 << 22


def radius_join(query: Tensor, key: Tensor, radius: float, query_batch: Optional[Tensor] = None,
                key_batch: Optional[Tensor] = None) -> Tuple[Tensor, Tensor]:
    """Pairs of a query and a key at most ``radius`` apart, ``|q - k|**2 <= radius**2`` in the dtype of the points.

    Args:
        query: (N, 3) metres, floating point.
        key: (M, 3) metres, of the dtype and on the device of ``query``.
        radius: metres, above zero; the boundary belongs to it.
        query_batch: (N,) integers, the sample of every query; pairs never cross samples.
        key_batch: (M,) integers; given if and only if ``query_batch`` is.

    Returns:
        pairs (P, 2) int64 rows [query, key] in increasing order, and dist2 (P,) squared distances, differentiable
        with respect to both clouds.

    Raises:
        TypeError, ValueError: an argument has the wrong dtype, shape or device, a point is NaN or infinite, the
            radius is not above zero, or it is too small for the extent of the keys.
    """
    _check(query, key, radius, query_batch, key_batch)
    if len(query) == 0 or len(key) == 0:
        return torch.empty((0, 2), dtype=torch.int64, device=query.device), query.new_empty(0)
    with torch.no_grad():
        pairs = _search(query, key, float(radius), query_batch, key_batch)
    return pairs, _dist2(query, key, pairs)


def _check(query: Tensor, key: Tensor, radius: float, query_batch: Optional[Tensor],
           key_batch: Optional[Tensor]) -> None:
    for name, value in (('query', query), ('key', key)):
        check_matrix(name, value, 3)
        check_floating(name, value)
    if query.dtype != key.dtype:
        raise TypeError(f'query is {query.dtype} but key is {key.dtype}; convert one of them')
    check_same_device('key', key, 'query', query)
    if not (radius > 0 and math.isfinite(radius)):
        raise ValueError(f'radius must be finite and above zero, got {radius}')
    if (query_batch is None) != (key_batch is None):
        raise ValueError('query_batch and key_batch must be given together or not at all')
    if query_batch is not None:
        check_index('query_batch', query_batch, len(query))
        check_index('key_batch', key_batch, len(key))
    for name, value in (('query', query), ('key', key)):
        if not bool(torch.isfinite(value).all()):
            raise ValueError(f'{name} holds NaN or infinite coordinates; drop such points first')


def _search(query: Tensor, key: Tensor, radius: float, query_batch: Optional[Tensor],
            key_batch: Optional[Tensor]) -> Tensor:
    """Sorted pairs (P, 2) within the radius."""
    key_cell = _cells(key, radius, key_batch)
    query_cell = _cells(query, radius, query_batch)
    low, high = torch.stack((key_cell.amin(0), key_cell.amax(0)))
    margin = torch.tensor([0, 1, 1, 1], device=key.device)  # column 0 is the sample
    rows = ((query_cell >= low - margin) & (query_cell <= high + margin)).all(1).nonzero()[:, 0]
    # Two empty cells on every side, so that the neighbours of any remaining query have keys of their own.
    low, spans = low - 2 * margin, (high - low + 1 + 4 * margin).tolist()
    strides = _strides(spans, radius)
    weight = torch.tensor(strides, device=key.device)
    code, order = torch.sort(((key_cell - low) * weight).sum(1), stable=True)
    base = ((query_cell[rows] - low) * weight).sum(1)
    # Cells that differ in z alone have consecutive codes, so the 27 cells are 9 runs of sorted keys.
    steps = torch.tensor([x * strides[1] + y * strides[2] for x in (-1, 0, 1) for y in (-1, 0, 1)], device=key.device)
    centre = (base[:, None] + steps).reshape(-1)
    start = torch.searchsorted(code, centre - 1)
    length = torch.searchsorted(code, centre + 1, right=True) - start
    hits = []
    limit = torch.tensor(radius, dtype=query.dtype, device=query.device) ** 2
    for run, position in _expand(start, length):
        pairs = torch.stack((rows[torch.div(run, len(steps), rounding_mode='floor')], order[position]), 1)
        hits.append(pairs[_dist2(query, key, pairs) <= limit])
    pairs = torch.cat(hits) if hits else torch.empty((0, 2), dtype=torch.int64, device=query.device)
    return pairs[torch.argsort(pairs[:, 0] * len(key) + pairs[:, 1])]


def _cells(points: Tensor, radius: float, batch: Optional[Tensor]) -> Tensor:
    """(N, 4) int64 rows [sample, x, y, z] of hash-grid cells."""
    cells = torch.floor(points.double() / (radius * _SLACK))
    if bool((cells.abs() >= 2 ** 52).any()):
        raise ValueError(f'radius {radius} is too small for coordinates of this size; use metres for both')
    sample = torch.zeros(len(points), dtype=torch.int64, device=points.device) if batch is None else batch.long()
    return torch.cat((sample[:, None], cells.long()), 1)


def _strides(spans: List[int], radius: float) -> List[int]:
    """Weights that turn a cell into one integer, the last column varying fastest."""
    strides = [1]
    for span in reversed(spans):
        strides.insert(0, strides[0] * span)
    if strides[0] >= 2 ** 63:
        raise ValueError(f'radius {radius} is too small: the keys span {spans[1:]} cells in {spans[0]} samples, too '
                         'many for 63 bits; look for stray points or batch indices')
    return strides[1:]


def _expand(start: Tensor, length: Tensor) -> Iterator[Tuple[Tensor, Tensor]]:
    """The runs ``start[i] ... start[i] + length[i] - 1`` as (run, position) pairs, a bounded number at a time."""
    total = torch.cumsum(length, 0)
    bottom, done = 0, 0
    while bottom < len(start):
        top = int(torch.searchsorted(total, done + _MAX_CANDIDATES, right=True))
        top = max(top, bottom + 1)  # one run may be longer than the bound
        part = length[bottom:top]
        run = torch.repeat_interleave(torch.arange(bottom, top, device=start.device), part)
        offset = torch.arange(len(run), device=start.device) - (total[run] - length[run] - done)
        yield run, start[run] + offset
        bottom, done = top, int(total[top - 1])


def _dist2(query: Tensor, key: Tensor, pairs: Tensor) -> Tensor:
    return (query[pairs[:, 0]] - key[pairs[:, 1]]).pow(2).sum(1)
