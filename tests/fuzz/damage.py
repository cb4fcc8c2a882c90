"""Ways in which a file may be wrong, drawn by a generator."""
import copy
import math
import os
import pickle
import re

import numpy as np


class Evil:
    """Makes a folder when it is unpickled by something that runs pickles."""

    def __init__(self, canary, how=0):
        self.canary, self.how = str(canary), how

    def __reduce__(self):
        return [(os.mkdir, (self.canary,)), (os.system, (f'mkdir {self.canary}',)),
                (eval, (f'__import__("os").mkdir({self.canary!r})',))][self.how % 3]


def cut(data, rng):
    return data[:rng.integers(len(data) + 1)]


def empty(data, rng):
    return b''


def flip(data, rng):
    array = np.frombuffer(data, np.uint8).copy()
    if len(array):
        # Half of the times near the beginning, where headers are.
        end = len(array) if rng.random() < 0.5 else min(len(array), 300)
        for place in rng.integers(end, size=rng.integers(1, 9)):
            array[place] ^= 1 << rng.integers(8)
    return array.tobytes()


def noise(data, rng):
    return rng.bytes(int(rng.integers(1, 400)))


def insert(data, rng):
    place = rng.integers(len(data) + 1)
    return data[:place] + rng.bytes(int(rng.integers(1, 40))) + data[place:]


def remove(data, rng):
    place = rng.integers(len(data) + 1)
    return data[:place] + data[place + rng.integers(1, 60):]


def repeat(data, rng):
    start, stop = sorted(rng.integers(len(data) + 1, size=2))
    return data[:stop] + data[start:]


def blank(data, rng):
    """A block of zeros, as of a disk that lost power."""
    start, stop = sorted(rng.integers(len(data) + 1, size=2))
    return data[:start] + bytes(stop - start) + data[stop:]


def append(data, rng):
    return data + rng.bytes(int(rng.integers(1, 40)))


def not_finite(data, rng):
    """NaN or infinity in place of an aligned float32 or float64."""
    width = int(rng.choice([4, 8]))
    array = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        place = int(rng.integers(max(1, len(array) // width))) * width
        value = np.array(rng.choice([np.nan, np.inf, -np.inf]), f'<f{width}').tobytes()
        array[place:place + width] = value
    return bytes(array)


def oversize(data, rng):
    """A number that is far too large, in binary or in digits; mostly in the header."""
    numbers = [match.span() for match in re.finditer(rb'\d+', data[:2000])]
    if numbers and rng.random() < 0.5:
        start, stop = numbers[rng.integers(len(numbers))]
        return data[:start] + b'9' * int(rng.choice([9, 12, 19, 40])) + data[stop:]
    width = int(rng.choice([2, 4, 8]))
    place = int(rng.integers(max(1, min(len(data), 400))))
    value = rng.choice([(1 << (8 * width)) - 1, (1 << (8 * width - 1)) - 1, 1 << (8 * width - 8)])
    return data[:place] + int(value).to_bytes(width, 'little') + data[place + width:]


def not_utf8(data, rng):
    place = rng.integers(len(data) + 1)
    wrong = rng.choice([0x80, 0xc3, 0xff, 0xfe, 0xed, 0x00], int(rng.integers(1, 6)))
    return data[:place] + bytes(wrong.tolist()) + data[place:]


def other_format(data, rng):
    """A file of quite another kind."""
    return [b'<html><body>404 Not Found</body></html>',
            b'version https://git-lfs.github.com/spec/v1\noid sha256:00\n', b'{}', b'[]',
            b'null', b'PK\x05\x06' + bytes(18), b'\x80\x04N.', b'ply\n', b'\x93NUMPY\x01\x00',
            pickle.dumps([1]), b'\n', b'\xef\xbb\xbf'][rng.integers(12)]


BYTES = [cut, flip, flip, empty, noise, insert, remove, repeat, blank, append, not_finite, oversize, oversize, not_utf8,
         other_format]


def wrong_value(value, rng):
    """Something of another type, shape or size than ``value``."""
    choices = [None, 'x', '', '\udcff', b'\xff', -1, 0, 1 << 40, 1 << 70, -(1 << 70), math.nan, math.inf, 1e300, 0.5,
               [], {}, [[]], ['x'], [None], [1, 'x'], dict(a=1), (1, 2), True, np.zeros(0),
               np.zeros((2, 3), np.float32),
               np.array('x'), np.float32('nan'), [math.nan] * 7, [1e300] * 7, [-5] * 6, list(range(30))]
    if isinstance(value, np.ndarray):
        choices += [value.astype(kind) for kind in (np.int8, np.float64, np.complex64, bool, object, 'U')]
        choices += [value[..., None], value.reshape(-1), value[:0], value[:-1], np.concatenate([value, value])]
        if value.dtype.kind == 'f' and value.size:
            spoilt = value.copy()
            spoilt.reshape(-1)[rng.integers(value.size)] = rng.choice([np.nan, np.inf, 1e30])
            choices += [spoilt] * 6
        if value.dtype.kind in 'iu' and value.size:
            spoilt = value.copy()
            spoilt.reshape(-1)[rng.integers(value.size)] = np.iinfo(value.dtype).max
            choices += [spoilt] * 6
    if isinstance(value, list):
        choices += [value[:-1], value + value[-1:], value + ['x'], [value], dict(enumerate(value))] * 2
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        choices += [str(value), -value, value + 1, value * 1000, [value], float(value)] * 2
    if isinstance(value, str):
        choices += [value + 'x', value.encode(), '../' * 9 + value, value + '\0', value * 500] * 2
    return choices[rng.integers(len(choices))]


def in_tree(tree, rng, canary=None):
    """A copy of nested dicts and lists in which a few places are wrong; with ``canary``, one holds :class:`Evil`."""
    tree = copy.deepcopy(tree)
    for _ in range(rng.integers(1, 3)):
        holder, key, depth = None, None, 0
        held = tree
        while isinstance(held, (dict, list)) and held and (depth < 1 or rng.random() < 0.85):
            holder, key = held, (list(held)[rng.integers(len(held))] if isinstance(held, dict)
                                 else int(rng.integers(len(held))))
            held, depth = holder[key], depth + 1
        if holder is None:
            return wrong_value(tree, rng)
        kind = rng.random()
        if canary is not None:
            holder[key] = Evil(canary, int(rng.integers(3)))
        elif kind < 0.15:
            del holder[key]
        elif kind < 0.2 and isinstance(holder, dict):
            holder[str(wrong_value(key, rng))] = holder.pop(key)
        else:
            holder[key] = wrong_value(held, rng)
    return tree
