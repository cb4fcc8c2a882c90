"""Grid means and neighbours within a radius, for clouds on the CPU; metres throughout."""
from typing import Tuple

import numpy as np

from ..batch import SceneError
from . import _kernels

# Wider by this than the radius, so that rounding never puts two points within the radius two cells apart.
_SLACK = 1 + 1e-6
# Cells of one cloud's grid (one byte each). A cloud that needs more gets wider cells, which stays exact.
_MAX_CELLS = 1 << 24


def grid_means(size: float, xyz: np.ndarray, *others: np.ndarray) -> Tuple[np.ndarray, ...]:
    """Mean of the points of every cell ``floor(xyz / size)`` of the world's grid.

    Args:
        size: metres. xyz: (N, 3). others: (N, C) arrays to be averaged with them.

    Returns:
        float64 means (M, 3) and (M, C), cells in the order in which they first occur.
    """
    values = np.concatenate([xyz, *others], 1, dtype=np.float64)
    if not len(values):
        return tuple(np.zeros((0, part.shape[1])) for part in (xyz, *others))
    cells = np.floor(values[:, :3] / size).astype(np.int64)
    cells -= cells.min(0)
    span = cells.max(0) + 1
    if float(span[0]) * float(span[1]) * float(span[2]) >= 2 ** 62:
        raise SceneError(f'points spread over {(span * size).tolist()} m, too far for cells of {size} m')
    keys = (cells[:, 0] * span[1] + cells[:, 1]) * span[2] + cells[:, 2]
    bits = (3 * len(keys) // 2).bit_length()  # at most two thirds full
    sums, counts = np.empty_like(values), np.empty(len(keys), np.int64)
    found = _kernels.cell_sums(values, keys, np.full(1 << bits, -1, np.int32), 64 - bits, np.empty_like(keys), sums,
                               counts)
    means = sums[:found] / counts[:found, None]
    return tuple(np.split(means, np.cumsum([part.shape[1] for part in (xyz, *others)])[:-1], axis=1))


class RadiusIndex:
    """Answers which keys lie within ``radius`` (inclusive, in float64) of query points.

    Keys are sorted into columns over x, y and by z inside a column; a mask of the cells next to any key turns most
    other queries away after one look.

    Args:
        keys: (M, 3) metres, at least one. radius: metres.
    """

    def __init__(self, keys: np.ndarray, radius: float) -> None:
        keys = np.ascontiguousarray(keys, np.float64)
        self.radius, self._low = float(radius), keys.min(0)
        self._size = radius * _SLACK
        extent = keys.max(0) - self._low
        while np.prod(np.floor(extent / self._size) + 3) > _MAX_CELLS:
            self._size *= 1.25
        # One empty cell on every side.
        cells = np.floor((keys - self._low) / self._size).astype(np.int64) + 1
        self._mask = np.zeros(cells.max(0) + 2, bool)
        _kernels.mark_neighbours(cells, self._mask)
        column = cells[:, 0] * self._mask.shape[1] + cells[:, 1]
        self._order = np.lexsort((keys[:, 2], column)).astype(np.int32)
        self._points = keys[self._order]
        counts = np.bincount(column, minlength=self._mask.shape[0] * self._mask.shape[1])
        self._columns = np.concatenate([[0], np.cumsum(counts)])

    def bound(self, query: np.ndarray) -> int:
        """An upper bound of :meth:`count`, in one look per query."""
        return _kernels.count_candidates(query, self._low, self._size, self._mask)

    def count(self, query: np.ndarray) -> int:
        """How many rows of ``query`` (N, 3) float64 have a key within the radius."""
        return _kernels.count_near(query, self._low, self._size, self._mask, self._columns, self._points, self.radius)

    def matches(self, query: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """All keys within the radius.

        Returns:
            counts (N,) int32 of every query's keys, and the keys (P,) int32, query after query, ascending in each.
        """
        counts = np.empty(len(query), np.int32)
        found = np.empty(max(16 * len(query), 1024), np.int32)
        while True:
            total = _kernels.match(query, self._low, self._size, self._mask, self._columns, self._points, self._order,
                                   self.radius, counts, found)
            if total <= len(found):
                return counts, found[:total].copy()
            found = np.empty(total, np.int32)

    def pairs(self, query: np.ndarray) -> np.ndarray:
        """(P, 2) int64 rows [query, key] within the radius, sorted; ``query`` (N, 3) of any float type."""
        counts, keys = self.matches(np.ascontiguousarray(query, np.float64))
        return np.stack([np.repeat(np.arange(len(counts)), counts), keys.astype(np.int64)], 1)
