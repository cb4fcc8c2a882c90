"""Lorries, pickups, buses, trailers and construction machines.

Shapes are drawn in metres near their usual size; local frame: x forward, y left, z up.
"""
import numpy as np

from .bodywork import DARK, GLASS, axles, car_paint, lamps, loft, panel, plates, vivid
from .solids import Mesh, box, join, quads, tube
from .surfaces import Colour, Paints


def _cab(paints: Paints, colour: Colour, front: float, length: float, half: float, floor: float, top: float) -> Mesh:
    """A lorry's cab that ends at x = ``front``."""
    paint = paints(colour, kind='lacquer', reflect=0.15 + 0.4 * np.mean(colour), shine=0.2)
    glass, dark = paints(GLASS, kind='glass', reflect=0.04, shine=0.75), paints(DARK, reflect=0.06)
    middle = floor + 0.48 * (top - floor)
    parts = [box((front - length, -half, floor), (front, half, middle), paint),
             box((front - length, -half, middle), (front, half, top), paint, (0, 0.22, 0.08, 0.08)),
             box((front - 0.02, -half, floor - 0.15), (front + 0.04, half, floor + 0.25), dark)]
    rise = (top - middle)
    lean = [0.22 * share for share in (0.12, 0.85)]
    pane = np.array([[front - lean[0], -half + 0.14, middle + 0.12 * rise], [front - lean[0], half - 0.14,
                    middle + 0.12 * rise], [front - lean[1], half - 0.2, middle + 0.85 * rise],
                     [front - lean[1], -half + 0.2, middle + 0.85 * rise]]) + (0.015, 0, 0)
    parts.append(quads(pane[None], glass))
    for side in (-1, 1):
        rear, low, high = front - length * 0.75, middle + 0.1 * rise, middle + 0.8 * rise
        near, far = side * (half + 0.008), side * (half - 0.044)
        pane = np.array([[rear, near, low], [front - 0.2, near, low], [front - 0.3, far, high], [rear, far, high]])
        parts.append(quads(pane[None], glass))
        parts.append(box((front - 0.25, min(side * half, side * (half + 0.18)), middle + 0.1),
                         (front - 0.13, max(side * half, side * (half + 0.18)), middle + 0.6), dark))
    return join(parts)


def truck(rng: np.random.Generator, paints: Paints, kind: str = '') -> Mesh:
    """A box lorry, a flatbed with load, a pickup, or a tractor for a trailer."""
    kind = kind or str(rng.choice(['box', 'box', 'flatbed', 'pickup']))
    if kind == 'pickup':
        return _pickup(rng, paints)
    colour = car_paint(rng) if rng.random() < 0.5 else vivid(rng)
    dark = paints(DARK, reflect=0.06)
    half = 1.2
    if kind == 'tractor':
        parts = [_cab(paints, colour, 3.0, 2.2, half, 0.55, 3.2), box((-3.0, -0.5, 0.6), (0.9, 0.5, 0.95), dark),
                 box((-2.6, -0.9, 0.95), (-1.2, 0.9, 1.15), dark), *axles(paints, (-2.3, -1.2, 2.1), half, 0.5, 0.45)]
        return join(parts + lamps(paints, 3.02, -3.0, half, 0.75, 0.2))
    chassis = box((-3.5, -0.5, 0.5), (3.3, 0.5, 0.85), dark)
    parts = [chassis, _cab(paints, colour, 3.5, 1.7, 1.1, 0.5, 2.45), *axles(paints, (-2.2, 2.5), 1.12, 0.45, 0.35)]
    if kind == 'box':
        skin = (0.9, 0.9, 0.88) if rng.random() < 0.6 else vivid(rng)
        wall = paints(skin, vivid(rng), 'livery', rng.uniform(1.2, 2.2), 0.45, 0.03, int(rng.integers(1 << 20)))
        parts.append(box((-3.5, -half, 0.85), (1.6, half, 3.2), wall))
        parts.append(box((-3.512, -0.02, 0.95), (-3.49, 0.02, 3.1), dark))
    else:
        wood = paints((0.45, 0.34, 0.22), (0.3, 0.22, 0.14), 'planks', 0.2, 0.2)
        parts += [box((-3.5, -half, 0.85), (1.6, half, 1.0), wood)]
        parts += [box((-3.5, y, 1.0), (1.6, y + 0.06, 1.5), wood) for y in (-half, half - 0.06)]
        load = paints(vivid(rng), (0.3, 0.3, 0.3), 'planks', 0.5, 0.25)
        parts += [box((-3.2 + 1.2 * i, -0.9, 1.0), (-2.1 + 1.2 * i, 0.9, 1.5 + rng.uniform(0.2, 1.0)), load)
                  for i in range(4)]
    return join(parts + lamps(paints, 3.52, -3.5, 1.05, 0.72, 0.18) + plates(paints, 3.55, -3.52, 0.5))


def _pickup(rng: np.random.Generator, paints: Paints) -> Mesh:
    colour = car_paint(rng)
    paint = paints(colour, kind='lacquer', reflect=0.1 + 0.5 * np.mean(colour), shine=0.25)
    glass, dark = paints(GLASS, kind='glass', reflect=0.04, shine=0.75), paints(DARK, reflect=0.06)
    half = 0.98
    body = loft([(0.3, 1.12, half), (1.4, 1.12, half), (2.6, 1.05, half - 0.05), (2.75, 0.75, half - 0.1)], 0.4, paint)
    bed = [box((-2.75, -half, 0.45), (0.3, half, 0.75), paint), box((-2.75, -half, 0.75), (-2.67, half, 1.12), paint)]
    bed += [box((-2.75, y, 0.75), (0.3, y + 0.08, 1.12), paint) for y in (-half, half - 0.08)]
    cabin = box((-0.55, -half + 0.05, 1.1), (1.45, half - 0.05, 1.8), [paint, paint, glass, glass, glass, glass],
                (0.15, 0.75, 0.15, 0.15))
    return join([body, *bed, box((-0.5, -half, 0.4), (0.35, half, 1.12), paint), cabin,
                 box((-0.45, -half + 0.2, 1.74), (0.75, half - 0.2, 1.8), paint),
                 box((0.38, -half + 0.03, 1.1), (0.48, half - 0.03, 1.76), paint, (0, 0, .14, .14)),
                 *axles(paints, (-1.75, 1.75), half, 0.38, 0.26), box((2.6, -half, 0.42), (2.8, half, 0.62), dark),
                 *lamps(paints, 2.74, -2.76, half - 0.06, 0.86), *plates(paints, 2.8, -2.77, 0.5)])


def bus(rng: np.random.Generator, paints: Paints, kind: str = '') -> Mesh:
    """A city bus of one storey, or (``bendy``) of two joined halves."""
    colour, trim = vivid(rng), (0.9, 0.9, 0.88)
    if rng.random() < 0.4:
        colour, trim = trim, colour
    skin = paints(colour, kind='lacquer', reflect=0.4, shine=0.12)
    stripe = paints(trim, kind='lacquer', reflect=0.4, shine=0.1)
    glass, dark = paints(GLASS, kind='glass', reflect=0.05, shine=0.6), paints(DARK, reflect=0.06)
    half, end, front = 1.25, -5.5, 5.5
    parts = [box((end, -half, 0.3), (front, half, 1.15), skin), box((end, -half, 1.15), (front, half, 2.75), dark),
             box((end, -half, 2.75), (front, half, 3.2), skin, (0.1, 0.1, 0.1, 0.1)),
             box((-4.0, -0.8, 3.2), (-1.5, 0.8, 3.4), stripe)]
    for side in (-1, 1):
        y = side * half
        for x in np.arange(end + 0.25, front - 1.3, 1.4):
            parts.append(panel((x, 1.3), (x + 1.25, 2.6), y, glass))
        parts.append(panel((end + 0.02, 0.85), (front - 0.02, 1.05), y, stripe))
    for x in (front - 1.1, -0.3):  # doors, on the side of the kerb
        parts.append(panel((x, 0.4), (x + 0.95, 2.6), -half - 0.01, glass))
    parts.append(box((front - 0.01, -half + 0.12, 1.15), (front + 0.02, half - 0.12, 2.6), glass))
    parts.append(box((front - 0.01, -0.7, 2.66), (front + 0.02, 0.7, 2.95), paints((0.95, 0.6, 0.1), kind='lamp')))
    parts.append(box((end - 0.02, -half + 0.2, 1.5), (end + 0.01, half - 0.2, 2.6), glass))
    if kind == 'bendy':
        parts.append(box((-1.6, -half - 0.03, 0.35), (-0.8, half + 0.03, 3.1),
                         paints((0.16, 0.16, 0.17), (0.05, 0.05, 0.05), 'bands', 0.1, 0.1)))
    parts += axles(paints, (-3.4, 3.0), half + 0.01, 0.48, 0.3)
    return join(parts + lamps(paints, front + 0.01, end, half, 0.7, 0.2) + plates(paints, front + .02, end - .02, .4))


def trailer(rng: np.random.Generator, paints: Paints, kind: str = '') -> Mesh:
    """A box trailer, a container on a skeleton, or a tank."""
    kind = kind or str(rng.choice(['box', 'container', 'tank']))
    dark, half = paints(DARK, reflect=0.06), 1.25
    parts = [box((-5.5, -0.5, 0.85), (5.2, 0.5, 1.15), dark), *axles(paints, (-4.6, -3.4), half, 0.5, 0.45),
             box((2.6, -0.8, 0.0), (2.8, 0.8, 0.9), dark), box((-5.52, -half, 0.5), (-5.4, half, 0.65), dark)]
    if kind == 'tank':
        steel = paints((0.75, 0.76, 0.78), (0.6, 0.6, 0.62), 'bands', 1.5, 0.5, 0.35)
        parts += [tube((-5.3, 0, 2.45), (5.4, 0, 2.45), 1.25, steel, 18),
                  box((-4, -0.3, 3.65), (4, 0.3, 3.8), dark)]
    else:
        skin = vivid(rng) if kind == 'container' or rng.random() < 0.4 else (0.9, 0.9, 0.88)
        pattern = ('bands', 0.22) if kind == 'container' else ('livery', rng.uniform(1.5, 3))
        accent = tuple(0.75 * c for c in skin) if kind == 'container' else vivid(rng)
        wall = paints(skin, accent, pattern[0], pattern[1], 0.4, 0.03, int(rng.integers(1 << 20)))
        parts.append(box((-5.5, -half, 1.15), (5.5, half, 3.85), wall))
        parts.append(box((-5.515, -0.03, 1.2), (-5.49, 0.03, 3.8), dark))
    return join(parts + lamps(paints, 5.2, -5.5, half, 0.9, 0.14)[1::2])


def construction(rng: np.random.Generator, paints: Paints, kind: str = '') -> Mesh:
    """An excavator or a wheel loader."""
    kind = kind or str(rng.choice(['excavator', 'loader']))
    yellow = paints((0.90, 0.64, 0.08), (0.6, 0.42, 0.1), 'worn', 0.8, 0.4)
    dark, steel = paints(DARK, reflect=0.08), paints((0.35, 0.34, 0.33), (0.25, 0.2, 0.17), 'worn', 0.4, 0.2)
    glass = paints(GLASS, kind='glass', reflect=0.04, shine=0.7)
    if kind == 'excavator':
        parts = [box((-2.4, y, 0.0), (1.2, y + 0.55, 0.75), dark, (0.2, 0.2, 0, 0)) for y in (-1.3, 0.75)]
        parts += [box((-1.6, -0.8, 0.4), (0.6, 0.8, 0.9), steel), box((-2.6, -1.25, 0.95), (0.9, 1.25, 1.75), yellow),
                  box((-2.6, -1.25, 1.75), (-0.9, 1.25, 2.1), yellow, (0.2, 0, 0.1, 0.1)),
                  box((-0.6, 0.15, 1.75), (0.95, 1.2, 2.95), [yellow, yellow, glass, glass, glass, glass],
                      (0.1, 0.15, 0.05, 0.05)), box((-0.55, 0.2, 2.9), (0.85, 1.15, 3.0), yellow)]
        arm = [(0.7, 1.5), (2.2, 3.0), (3.3, 2.4), (3.0, 0.75)]
        for (x0, z0), (x1, z1), radius in zip(arm, arm[1:], (0.24, 0.22, 0.18)):
            parts.append(tube((x0, -0.35, z0), (x1, -0.35, z1), radius, yellow, 6))
        parts.append(box((2.5, -0.9, 0.0), (3.4, 0.2, 0.8), steel, (0.1, 0.35, 0, 0)))
    else:
        parts = [*axles(paints, (-1.5, 1.2), 1.25, 0.72, 0.5), box((-2.9, -0.95, 0.7), (-0.2, 0.95, 1.9), yellow,
                                                                  (0.3, 0, 0.1, 0.1)),
                 box((-0.2, -0.6, 0.6), (2.1, 0.6, 1.2), yellow),
                 box((-2.93, -0.8, 0.75), (-2.6, 0.8, 1.0), paints((0.9, 0.75, 0.1), DARK, 'slant', 0.3, 0.5)),
                 box((-2.75, -0.6, 1.1), (-2.5, 0.6, 1.8), paints(DARK, (0.2, 0.2, 0.2), 'planks', 0.1, 0.1)),
                 *(box((-2.2, y - 0.02, 1.05), (-0.9, y + 0.02, 1.65), dark) for y in (-0.9, 0.9)),
                 tube((-1.9, 0.5, 1.85), (-1.9, 0.5, 2.6), 0.07, dark),
                 box((-0.9, -0.75, 1.8), (0.6, 0.75, 3.1), [yellow, yellow, glass, glass, glass, glass],
                     (0.1, 0.2, 0.1, 0.1)), box((-0.8, -0.65, 3.05), (0.4, 0.65, 3.15), yellow)]
        parts += [tube((1.2, y, 1.5), (2.7, y, 0.7), 0.14, yellow, 6) for y in (-0.6, 0.6)]
        parts.append(box((2.5, -1.35, 0.0), (3.4, 1.35, 1.0), steel, (0.0, 0.5, 0, 0)))
    return join(parts)
