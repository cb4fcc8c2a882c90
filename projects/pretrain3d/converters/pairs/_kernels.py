"""numba kernels: means of grid cells, and neighbours within a radius by columns of sorted points."""
import numpy as np

from ...jit import compiled


@compiled
def cell_sums(values, keys, table, shift, owner, sums, counts):
    """Sum the rows of ``values`` (N, C) over equal ``keys`` (N,), cells in the order of first occurrence.

    ``table`` holds -1 and has a power-of-two length above N; ``shift`` is 64 minus its exponent. Returns the number
    of cells; the first so many rows of ``sums`` (N, C) and ``counts`` (N,) are theirs.
    """
    mask = table.shape[0] - 1
    found = 0
    for i in range(keys.shape[0]):
        key = keys[i]
        slot = np.int64((np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(shift))
        while table[slot] >= 0 and owner[table[slot]] != key:
            slot = (slot + 1) & mask
        cell = table[slot]
        if cell < 0:
            cell = found
            table[slot] = found
            owner[found] = key
            counts[found] = 0
            for c in range(values.shape[1]):
                sums[found, c] = 0.0
            found += 1
        for c in range(values.shape[1]):
            sums[cell, c] += values[i, c]
        counts[cell] += 1
    return found


@compiled
def mark_neighbours(cells, mask):
    """Set the 27 cells around every row of ``cells`` (N, 3); all of them lie inside ``mask`` (X, Y, Z)."""
    for i in range(cells.shape[0]):
        x, y, z = cells[i, 0], cells[i, 1], cells[i, 2]
        for dx in range(-1, 2):
            for dy in range(-1, 2):
                for dz in range(-1, 2):
                    mask[x + dx, y + dy, z + dz] = True


@compiled
def _cell(value, low, size):
    return np.int64(np.floor((value - low) / size)) + 1


@compiled
def count_candidates(query, low, size, mask):
    """How many rows of ``query`` (N, 3) lie in a marked cell: never fewer than those with a key within ``size``."""
    total = 0
    for i in range(query.shape[0]):
        x = _cell(query[i, 0], low[0], size)
        y = _cell(query[i, 1], low[1], size)
        z = _cell(query[i, 2], low[2], size)
        if 0 <= x < mask.shape[0] and 0 <= y < mask.shape[1] and 0 <= z < mask.shape[2] and mask[x, y, z]:
            total += 1
    return total


@compiled
def _first_above(points, start, stop, bound):
    """First row in ``start ... stop`` of ``points``, sorted by z there, whose z is at least ``bound``."""
    while start < stop:
        middle = (start + stop) // 2
        if points[middle, 2] < bound:
            start = middle + 1
        else:
            stop = middle
    return start


@compiled
def count_near(query, low, size, mask, columns, points, radius):
    """How many rows of ``query`` (N, 3) have a key within ``radius`` (inclusive)."""
    total = 0
    limit = radius * radius
    for i in range(query.shape[0]):
        qx, qy, qz = query[i, 0], query[i, 1], query[i, 2]
        x, y, z = _cell(qx, low[0], size), _cell(qy, low[1], size), _cell(qz, low[2], size)
        if not (0 <= x < mask.shape[0] and 0 <= y < mask.shape[1] and 0 <= z < mask.shape[2] and mask[x, y, z]):
            continue
        near = False
        for step in range(9):  # the middle column first: there it ends most often
            column = (x + (step + 4) % 9 // 3 - 1) * mask.shape[1] + y + (step + 4) % 3 - 1
            if column < 0 or column >= columns.shape[0] - 1:
                continue
            row = _first_above(points, columns[column], columns[column + 1], qz - size)
            while row < columns[column + 1] and points[row, 2] <= qz + size:
                dx, dy, dz = qx - points[row, 0], qy - points[row, 1], qz - points[row, 2]
                if dx * dx + dy * dy + dz * dz <= limit:
                    near = True
                    break
                row += 1
            if near:
                break
        total += near
    return total


@compiled
def match(query, low, size, mask, columns, points, order, radius, counts, found):
    """Write the keys within ``radius`` of every query, ascending, one query after the other, into ``found``.

    ``counts`` (N,) is set to the number of each query's keys. Returns the total; where ``found`` is too short nothing
    beyond its end is written, and the caller comes again with a longer one.
    """
    total = 0
    limit = radius * radius
    for i in range(query.shape[0]):
        counts[i] = 0
        qx, qy, qz = query[i, 0], query[i, 1], query[i, 2]
        x, y, z = _cell(qx, low[0], size), _cell(qy, low[1], size), _cell(qz, low[2], size)
        if not (0 <= x < mask.shape[0] and 0 <= y < mask.shape[1] and 0 <= z < mask.shape[2] and mask[x, y, z]):
            continue
        begin = total
        for step in range(9):
            column = (x + step // 3 - 1) * mask.shape[1] + y + step % 3 - 1
            if column < 0 or column >= columns.shape[0] - 1:
                continue
            row = _first_above(points, columns[column], columns[column + 1], qz - size)
            while row < columns[column + 1] and points[row, 2] <= qz + size:
                dx, dy, dz = qx - points[row, 0], qy - points[row, 1], qz - points[row, 2]
                if dx * dx + dy * dy + dz * dz <= limit:
                    if total < found.shape[0]:
                        found[total] = order[row]
                    total += 1
                row += 1
        counts[i] = total - begin
        if total <= found.shape[0]:
            _sort(found, begin, total)
    return total


@compiled
def _sort(values, begin, end):
    """Insertion sort of a short run."""
    for i in range(begin + 1, end):
        value, j = values[i], i
        while j > begin and values[j - 1] > value:
            values[j] = values[j - 1]
            j -= 1
        values[j] = value
