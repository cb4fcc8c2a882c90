"""Pieces of vehicles: wheels, bodies from an outline, plates, lamps, paints.

Local frame: x forward, y left, z up, metres.
"""
from typing import List, Sequence, Tuple

import numpy as np

from ..textures import hsv
from .solids import Mesh, box, join, quads, tube
from .surfaces import Colour, Paints

_TYRE, _RIM, DARK = (0.07, 0.07, 0.07), (0.55, 0.56, 0.58), (0.1, 0.1, 0.11)
GLASS: Colour = (0.10, 0.13, 0.15)
# White, black, grey and silver rule the roads; the rest is coloured.
_CAR_PAINTS: Tuple[Colour, ...] = (
    (0.90, 0.90, 0.90), (0.92, 0.92, 0.90), (0.08, 0.08, 0.09), (0.13, 0.13, 0.14), (0.40, 0.41, 0.43),
    (0.66, 0.67, 0.69), (0.72, 0.10, 0.09), (0.11, 0.20, 0.45), (0.25, 0.38, 0.55), (0.42, 0.10, 0.12),
    (0.16, 0.30, 0.22), (0.74, 0.62, 0.40), (0.93, 0.76, 0.12), (0.85, 0.42, 0.10))


def car_paint(rng: np.random.Generator) -> Colour:
    """sRGB of a car's body."""
    return _CAR_PAINTS[rng.integers(len(_CAR_PAINTS))]


def vivid(rng: np.random.Generator) -> Colour:
    """A strong colour, for lorries, buses and trailers."""
    return hsv(rng.random(), rng.uniform(0.5, 0.9), rng.uniform(0.45, 0.85))


def wheel(paints: Paints, x: float, y: float, radius: float, width: float) -> Mesh:
    """A wheel whose tyre touches z = 0, ``y`` its outer face."""
    inner = y - np.sign(y) * width
    rim = y + np.sign(y) * 0.004
    tyre = tube((x, inner, radius), (x, y, radius), radius, paints(_TYRE, reflect=0.08), 12)
    disc = tube((x, y - np.sign(y) * 0.02, radius), (x, rim, radius), radius * 0.62,
                paints(_RIM, (0.2, 0.2, 0.2), 'spokes', radius, 0.3), 8, caps='end')
    return join([tyre, disc])


def axles(paints: Paints, places: Sequence[float], half: float, radius: float, width: float = 0.24) -> List[Mesh]:
    """Wheels on both sides at each of ``places`` along x."""
    return [wheel(paints, x, side * half, radius, width) for x in places for side in (-1, 1)]


def loft(profile: Sequence[Tuple[float, float, float]], bottom: float, surface: int) -> Mesh:
    """A body whose upper outline is given: points (x, z, half width) from back to front, down to z = ``bottom``."""
    points = np.asarray(profile, np.float64)
    x, z, half = points.T

    def row(sign: float, height: np.ndarray, inset: float = 1.0) -> np.ndarray:
        return np.stack([x, sign * half * inset, height], 1)

    low, left, right = np.full_like(z, bottom), row(1, z), row(-1, z)
    left_low, right_low = row(1, low), row(-1, low)

    def strip(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return np.stack([first[:-1], first[1:], second[1:], second[:-1]], 1)

    ends = [np.stack([left_low[0], right_low[0], right[0], left[0]]),
            np.stack([right_low[-1], left_low[-1], left[-1], right[-1]])]
    return quads(np.concatenate([strip(right, left), strip(left_low, right_low), strip(right_low, right),
                                 strip(left, left_low), np.stack(ends)]), surface)


def panel(low: Sequence[float], high: Sequence[float], y: float, surface: int) -> Mesh:
    """A thin plate on a side face, from (x, z) ``low`` to ``high`` at ``y``."""
    return box((low[0], y - 0.012, low[1]), (high[0], y + 0.012, high[1]), surface)


def lamps(paints: Paints, front: float, back: float, half: float, z: float, size: float = 0.16) -> List[Mesh]:
    """Headlamps at x = ``front``, rear lamps at x = ``back``."""
    parts = []
    for side in (-1, 1):
        y = sorted((side * (half - 0.06), side * (half - 0.06 - 2.2 * size)))
        parts.append(box((front - 0.05, y[0], z - size / 2), (front + 0.012, y[1], z + size / 2),
                         paints((0.93, 0.94, 0.9), kind='lamp', reflect=0.7)))
        parts.append(box((back - 0.012, y[0], z + 0.03), (back + 0.05, y[1], z + 0.03 + size),
                         paints((0.75, 0.05, 0.05), kind='lamp', reflect=0.7)))
    return parts


def plates(paints: Paints, front: float, back: float, z: float) -> List[Mesh]:
    """Number plates before and behind."""
    white = paints((0.9, 0.9, 0.8), reflect=0.9)
    return [box((x - 0.015, -0.26, z), (x + 0.015, 0.26, z + 0.12), white) for x in (front, back)]
