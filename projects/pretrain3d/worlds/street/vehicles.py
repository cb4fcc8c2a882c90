"""Vehicles on four and more wheels: bodies of several solids, stretched to fill their boxes exactly.

Local frame: x forward, y left, z up. Shapes are drawn in metres near their usual size.
"""
from typing import Dict, Tuple

import numpy as np

from .bodywork import DARK, GLASS, axles, car_paint, lamps, loft, plates
from .heavy import bus, construction, trailer, truck
from .solids import Mesh, box, join, tube
from .surfaces import Paints

# Outlines of the lower body and the cabin: x from back to front as shares of 4.5 m, heights as shares of 1.5 m.
_CARS = dict(
    sedan=(((-2.25, 0.62), (-2.2, 0.95), (-1.45, 1.0), (0.75, 0.98), (2.0, 0.82), (2.25, 0.62)),
           (-1.75, -0.95, 0.15, 1.0)),
    hatch=(((-2.25, 0.55), (-2.15, 0.98), (-1.5, 1.0), (0.9, 1.0), (2.0, 0.88), (2.25, 0.6)),
           (-2.15, -1.75, 0.25, 1.15)),
    suv=(((-2.25, 0.6), (-2.2, 1.02), (-1.5, 1.03), (0.9, 1.03), (2.05, 0.95), (2.25, 0.7)),
         (-2.2, -1.9, 0.2, 1.0)),
    van=(((-2.25, 0.6), (-2.22, 1.0), (-1.5, 1.0), (1.3, 1.0), (2.1, 0.85), (2.25, 0.62)),
         (-2.22, -2.1, 0.75, 1.7)))


def car(rng: np.random.Generator, paints: Paints, kind: str = '') -> Mesh:
    """A sedan, hatchback, off-roader or minivan."""
    kind = kind or str(rng.choice(['sedan', 'sedan', 'hatch', 'suv', 'suv', 'van']))
    outline, (back, roof_back, roof_front, front) = _CARS[kind]
    colour = car_paint(rng)
    paint = paints(colour, kind='lacquer', reflect=0.1 + 0.5 * np.mean(colour), shine=0.25)
    glass, dark = paints(GLASS, kind='glass', reflect=0.04, shine=0.75), paints(DARK, reflect=0.06)
    half, waist, top = 0.92, 0.96, 1.5
    width = [half - 0.1, half - 0.03, half, half, half - 0.02, half - 0.14]
    body = loft([(x, z, w) for (x, z), w in zip(outline, width)], 0.3, paint)
    skirt = box((-2.15, -half + 0.04, 0.16), (2.12, half - 0.04, 0.32), dark)
    inset = 0.05
    cabin = box((back, -half + inset, waist), (front, half - inset, top), [paint, paint, glass, glass, glass, glass],
                (roof_back - back, front - roof_front, 0.16, 0.16))
    pillars = [box((x - 0.05, -half + inset - 0.012, waist), (x + 0.05, half - inset + 0.012, top - 0.04), paint,
                   (0, 0, 0.16, 0.16)) for x in ((roof_back + roof_front) / 2 - 0.1, roof_back + 0.05)]
    roof = box((roof_back - 0.04, -half + inset + 0.13, top - 0.05), (roof_front + 0.04, half - inset - 0.13, top),
               paint)
    wheels = axles(paints, (-1.38, 1.38), half, 0.33)
    arches = [tube((x, side * (half - 0.06), 0.33), (x, side * (half + 0.003), 0.33), 0.4, dark, 10, caps='end')
              for x in (-1.38, 1.38) for side in (-1, 1)]
    mirrors = [box((front - 0.35, min(side * half, side * (half + 0.1)), waist + 0.02),
                   (front - 0.2, max(side * half, side * (half + 0.1)), waist + 0.15), paint) for side in (-1, 1)]
    grille = box((2.1, -0.5, 0.4), (2.262, 0.5, 0.58), dark)
    return join([body, skirt, cabin, *pillars, roof, *wheels, *arches, *mirrors, grille,
                 *lamps(paints, 2.19, -2.25, half - 0.06, 0.68), *plates(paints, 2.262, -2.25, 0.45)])


# Category -> (shape, kinds, sizes in metres: width, length, height as (mean, relative spread) of nuScenes's boxes).
SHAPES: Dict[str, tuple] = {
    'vehicle.car': (car, ('sedan', 'sedan', 'hatch', 'suv', 'suv', 'van'), (1.93, 4.55, 1.62)),
    'vehicle.truck': (truck, ('box', 'flatbed', 'box'), (2.45, 7.2, 3.1)),
    'vehicle.truck/pickup': (truck, ('pickup', ), (2.0, 5.5, 1.9)),
    'vehicle.truck/tractor': (truck, ('tractor', ), (2.55, 6.4, 3.5)),
    'vehicle.bus.rigid': (bus, ('', ), (2.85, 11.3, 3.4)),
    'vehicle.bus.bendy': (bus, ('bendy', ), (2.85, 16.5, 3.4)),
    'vehicle.trailer': (trailer, ('box', 'container', 'tank'), (2.65, 11.6, 3.9)),
    'vehicle.construction': (construction, ('excavator', 'loader'), (2.65, 6.4, 3.1))}


def draw_vehicle(rng: np.random.Generator, paints: Paints, model: str) -> Tuple[Mesh, np.ndarray]:
    """A vehicle of a key of :data:`SHAPES`: its mesh around the box's centre, and (3,) width, length, height."""
    shape, kinds, mean = SHAPES[model]
    kind = kinds[rng.integers(len(kinds))]
    size = np.asarray(mean) * rng.uniform(0.95, 1.03, 3)
    if kind in ('van', 'suv'):
        size *= (1.0, 1.02, 1.1)
    mesh = shape(rng, paints, kind)
    return mesh.fitted(size[[1, 0, 2]]), size
