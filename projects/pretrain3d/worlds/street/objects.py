"""Movable things of a work site and of the roadside: cones, barriers, debris, bins, cycle racks."""
from typing import Tuple

import numpy as np

from ..textures import hsv
from .solids import Mesh, box, join, tube
from .surfaces import Paints


def cone(rng: np.random.Generator, paints: Paints) -> Mesh:
    """A traffic cone with two reflecting bands."""
    orange, white = paints((0.93, 0.32, 0.06), reflect=0.45), paints((0.93, 0.93, 0.9), reflect=0.95)
    base = paints((0.12, 0.12, 0.12) if rng.random() < 0.5 else (0.9, 0.3, 0.06), reflect=0.15)
    parts = [box((-0.2, -0.2, 0), (0.2, 0.2, 0.05), base)]
    heights, radii = (0.05, 0.25, 0.4, 0.5, 0.62, 0.75), (0.15, 0.118, 0.094, 0.078, 0.058, 0.037)
    for index in range(5):
        skin, caps = white if index in (1, 3) else orange, 'end' if index == 4 else 'none'
        parts.append(tube((0, 0, heights[index]), (0, 0, heights[index + 1]), radii[index], skin, 12, radii[index + 1],
                          caps))
    return join(parts)


def barrier(rng: np.random.Generator, paints: Paints) -> Mesh:
    """A water-filled or concrete barrier, or a board on feet; it bars along y, and is thin along x."""
    kind = rng.integers(3)
    red, white = (0.80, 0.22, 0.10), (0.92, 0.91, 0.88)
    if kind < 2:
        colour = ((red, white)[rng.integers(2)]) if kind == 0 else (0.68, 0.67, 0.64)
        skin = paints(colour, tuple(0.8 * c for c in colour), 'worn', 0.4, 0.35)
        return join([box((-0.25, -1, 0), (0.25, 1, 0.22), skin), box((-0.25, -1, 0.22), (0.25, 1, 0.45), skin,
                                                                      (0.12, 0.12, 0, 0)),
                     box((-0.13, -1, 0.45), (0.13, 1, 1.0), skin, (0.04, 0.04, 0, 0))])
    boards = paints(red, white, 'slant', 0.3, 0.7)
    steel = paints((0.5, 0.5, 0.5), reflect=0.3)
    parts = [box((-0.03, -1, z), (0.03, 1, z + 0.25), boards) for z in (0.35, 0.75)]
    for y in (-0.85, 0.85):
        parts += [tube((0, y, 0.05), (0, y, 1.0), 0.03, steel, 6),
                  box((-0.25, y - 0.05, 0), (0.25, y + 0.05, 0.06), steel)]
    return join(parts)


def debris(rng: np.random.Generator, paints: Paints) -> Mesh:
    """A heap of planks and rubble."""
    wood = paints((0.45, 0.33, 0.2), (0.3, 0.2, 0.12), 'planks', 0.2)
    stone = paints((0.5, 0.48, 0.45), (0.3, 0.3, 0.3), 'worn', 0.2)
    parts = [box((-0.6, -0.4, 0), (0.6, 0.4, 0.15), stone, (0.2, 0.2, 0.1, 0.1))]
    for _ in range(5):
        x, y = rng.uniform(-0.45, 0.45), rng.uniform(-0.3, 0.3)
        parts.append(box((x - 0.15, y - 0.1, 0), (x + 0.15, y + 0.1, rng.uniform(0.2, 0.5)), stone, (0.05,) * 4))
    parts += [tube((-0.7, -0.3, 0.2), (0.6, 0.35, 0.5), 0.05, wood, 4),
              tube((-0.6, 0.3, 0.1), (0.7, -0.2, 0.4), 0.05, wood, 4)]
    return join(parts)


def bin_on_wheels(rng: np.random.Generator, paints: Paints) -> Mesh:
    """A large waste bin."""
    colour = hsv(rng.choice([0.33, 0.6, 0.08]), 0.6, rng.uniform(0.25, 0.5))
    skin, dark = paints(colour, kind='worn', scale=0.5, reflect=0.3), paints((0.08, 0.08, 0.08), reflect=0.1)
    parts = [box((-0.33, -0.5, 0.15), (0.33, 0.5, 1.1), skin, (-0.06, -0.06, -0.06, -0.06)),
             box((-0.42, -0.58, 1.1), (0.42, 0.58, 1.2), skin, (0.05, 0.05, 0.05, 0.05))]
    parts += [tube((x, y - 0.04, 0.08), (x, y + 0.04, 0.08), 0.08, dark) for x in (-0.25, 0.25) for y in (-0.4, 0.4)]
    return join(parts)


def rack(rng: np.random.Generator, paints: Paints) -> Mesh:
    """Hoops to lock cycles to, in a row along x."""
    steel = paints((0.62, 0.63, 0.65), reflect=0.45, shine=0.2)
    parts = []
    for x in np.linspace(-1.4, 1.4, 5):
        parts += [tube((x, y, 0), (x, y, 0.8), 0.035, steel, 6) for y in (-0.35, 0.35)]
        parts.append(tube((x, -0.38, 0.8), (x, 0.38, 0.8), 0.035, steel, 6))
    return join(parts)


# Category -> (shape, width, length, height in metres).
SHAPES = {'movable_object.trafficcone': (cone, (0.42, 0.42, 0.78)),
          'movable_object.barrier': (barrier, (2.1, 0.52, 1.02)),
          'movable_object.debris': (debris, (0.9, 1.5, 0.55)),
          'movable_object.pushable_pullable': (bin_on_wheels, (1.2, 0.85, 1.2)),
          'static_object.bicycle_rack': (rack, (0.78, 2.9, 0.84))}


def draw_object(rng: np.random.Generator, paints: Paints, category: str) -> Tuple[Mesh, np.ndarray]:
    """A thing of a key of :data:`SHAPES` around its box's centre, and (3,) width, length, height."""
    shape, mean = SHAPES[category]
    size = np.asarray(mean) * rng.uniform(0.93, 1.08, 3)
    return shape(rng, paints).fitted(size[[1, 0, 2]]), size
