"""People, cycles and their riders. Local frame: x forward, y left, z up from the ground; stretched to their boxes."""
from typing import Dict, List, Tuple

import numpy as np

from ..textures import hsv
from .solids import Mesh, blob, box, join, tube
from .surfaces import Colour, Paints

_SKINS: Tuple[Colour, ...] = ((0.88, 0.70, 0.58), (0.76, 0.56, 0.42), (0.55, 0.37, 0.26), (0.36, 0.24, 0.17))
_HAIR: Tuple[Colour, ...] = ((0.08, 0.06, 0.05), (0.22, 0.14, 0.09), (0.45, 0.33, 0.2), (0.6, 0.6, 0.6))
_DARK: Colour = (0.08, 0.08, 0.09)


def _cloth(rng: np.random.Generator) -> Colour:
    return hsv(rng.random(), rng.uniform(0.1, 0.75), rng.uniform(0.15, 0.9))


def _outfit(rng: np.random.Generator, paints: Paints, kind: str) -> Dict[str, int]:
    """Rows for skin, hair, shirt, trousers and shoes."""
    shirt, legs = _cloth(rng), hsv(rng.uniform(0.55, 0.7), rng.uniform(0.1, 0.5), rng.uniform(0.1, 0.45))
    hair, pattern, reflect = _HAIR[rng.integers(4)], 'cloth', 0.3
    if kind == 'worker':
        shirt, hair, pattern, reflect = (0.95, 0.50, 0.08), (0.95, 0.85, 0.2), 'vest', 0.75
    elif kind == 'police':
        shirt, legs, hair = (0.07, 0.09, 0.22), (0.06, 0.07, 0.15), (0.05, 0.06, 0.15)
    return dict(skin=paints(_SKINS[rng.integers(4)], reflect=0.35), hair=paints(hair, reflect=0.2),
                shirt=paints(shirt, (0.9, 0.92, 0.7), pattern, 0.25, reflect, seed=int(rng.integers(99))),
                legs=paints(legs, kind='cloth', scale=0.2, reflect=0.2), shoes=paints(_DARK, reflect=0.15))


def _head(outfit: Dict[str, int], x: float, z: float, size: float = 0.23) -> List[Mesh]:
    """Head and hair around (x, 0, z)."""
    return [blob((x, 0, z), (0.2, 0.17, size), outfit['skin'], 7, 4),
            blob((x - 0.025, 0, z + 0.035), (0.2, 0.185, size * 0.85), outfit['hair'], 7, 3)]


def person(rng: np.random.Generator, paints: Paints, kind: str = 'adult', walks: bool = True) -> Mesh:
    """Someone who stands, or strides."""
    outfit = _outfit(rng, paints, kind)
    stride = rng.uniform(0.26, 0.36) if walks else 0.04
    foot = rng.choice([-1, 1])
    parts = [blob((0, 0, 1.2), (0.27, 0.44, 0.68), outfit['shirt'], 8, 5),
             box((-0.1, -0.17, 0.82), (0.1, 0.17, 1.0), outfit['legs']),
             tube((0, 0, 1.45), (0.01, 0, 1.58), 0.055, outfit['skin'], 5, caps='none'), *_head(outfit, 0.02, 1.64)]
    for side in (-1, 1):
        ahead = side * foot
        knee, ankle = (ahead * stride * 0.55 + 0.03, side * 0.1, 0.48), (ahead * stride, side * 0.1, 0.07)
        parts += [tube((0, side * 0.09, 0.9), knee, 0.085, outfit['legs'], 6, 0.065, 'none'),
                  tube(knee, ankle, 0.065, outfit['legs'], 6, 0.05, 'none'),
                  box((ankle[0] - 0.07, ankle[1] - 0.045, 0), (ankle[0] + 0.17, ankle[1] + 0.045, 0.09),
                      outfit['shoes'])]
        elbow = (-ahead * stride * 0.45, side * 0.25, 1.14)
        hand = (-ahead * stride * 0.8 + 0.1, side * 0.24, 0.92)
        parts += [tube((0, side * 0.2, 1.42), elbow, 0.055, outfit['shirt'], 5, 0.045, 'end'),
                  tube(elbow, hand, 0.045, outfit['skin' if kind == 'child' else 'shirt'], 5, 0.035, 'end'),
                  blob(hand, (0.08, 0.06, 0.1), outfit['skin'], 5, 3)]
    if kind == 'adult' and rng.random() < 0.35:
        bag = paints(_cloth(rng), kind='cloth', scale=0.1)
        parts.append(box((-0.3, -0.16, 1.02), (-0.12, 0.16, 1.45), bag))
    return join(parts)


def _ring(paints: Paints, x: float, radius: float, tyre: float) -> List[Mesh]:
    """A wheel with spokes: a hoop of short bars."""
    angle = 2 * np.pi * np.arange(15) / 14
    points = np.stack([x + (radius - tyre) * np.cos(angle), np.zeros(15), radius + (radius - tyre) * np.sin(angle)], 1)
    black = paints((0.06, 0.06, 0.06), reflect=0.1)
    parts = [tube(a, b, tyre, black, 5, caps='none') for a, b in zip(points, points[1:])]
    steel = paints((0.6, 0.6, 0.62), reflect=0.4)
    for first, second in ((0, 7), (3, 10), (5, 12)):
        parts.append(tube(points[first], points[second], 0.012, steel, 4, caps='none'))
    parts.append(tube((x, -0.06, radius), (x, 0.06, radius), 0.05, steel, 6))
    return parts


def bicycle(rng: np.random.Generator, paints: Paints, rider: bool = False) -> Mesh:
    """A bicycle, with or without a rider."""
    frame = paints(hsv(rng.random(), 0.75, 0.7), reflect=0.35)
    dark = paints(_DARK, reflect=0.15)
    crank, seat, head = (-0.1, 0, 0.32), (-0.3, 0, 0.85), (0.38, 0, 0.85)
    bars = [(crank, seat), (seat, head), (crank, head), ((-0.55, 0, 0.34), crank), ((-0.55, 0, 0.34), seat),
            (head, (0.55, 0, 0.34)), (head, (0.36, 0, 1.02))]
    parts = [tube(a, b, 0.026, frame, 6) for a, b in bars]
    parts += _ring(paints, -0.55, 0.34, 0.028) + _ring(paints, 0.55, 0.34, 0.028)
    parts += [tube((0.36, -0.28, 1.02), (0.36, 0.28, 1.02), 0.022, dark, 6),
              box((-0.42, -0.08, 0.85), (-0.18, 0.08, 0.93), dark),
              tube((-0.1, -0.12, 0.32), (-0.1, 0.12, 0.32), 0.07, dark)]
    if rng.random() < 0.5:  # a basket
        parts.append(box((0.45, -0.16, 0.75), (0.75, 0.16, 0.98), dark, (0.05, 0.05, 0.03, 0.03)))
    if rider:
        parts += _rider(rng, paints, (-0.3, 0.93), (0.34, 1.02), (-0.08, 0.25), 0.28)
    return join(parts)


def motorcycle(rng: np.random.Generator, paints: Paints, rider: bool = False) -> Mesh:
    """A motorcycle or scooter, with or without a rider."""
    colour = hsv(rng.random(), rng.uniform(0.2, 0.9), rng.uniform(0.2, 0.8))
    paint = paints(colour, kind='lacquer', reflect=0.35, shine=0.25)
    dark, steel = paints(_DARK, reflect=0.15), paints((0.55, 0.55, 0.57), reflect=0.4, shine=0.2)
    parts = [tube((x, -w, 0.31), (x, w, 0.31), 0.31, dark, 14) for x, w in ((-0.68, 0.075), (0.7, 0.055))]
    parts += [tube((x, -0.08, 0.31), (x, 0.08, 0.31), 0.17, steel, 10) for x in (-0.68, 0.7)]
    parts += [blob((0.12, 0, 0.82), (0.62, 0.3, 0.34), paint, 10, 6),
              box((-0.35, -0.17, 0.3), (0.3, 0.17, 0.66), steel),
              box((-0.85, -0.13, 0.74), (-0.1, 0.13, 0.86), dark, (0.1, 0, 0, 0)),
              box((-1.0, -0.14, 0.62), (-0.55, 0.14, 0.78), paint, (0.0, 0.1, 0.03, 0.03)),
              box((0.5, -0.07, 0.6), (0.95, 0.07, 0.68), paint),
              tube((-0.7, -0.2, 0.35), (0.1, -0.2, 0.35), 0.06, steel),
              blob((0.55, 0, 0.92), (0.22, 0.2, 0.24), paints((0.9, 0.9, 0.85), kind='lamp', reflect=0.7), 8, 5),
              tube((0.4, -0.36, 1.08), (0.4, 0.36, 1.08), 0.03, dark, 6)]
    parts += [tube((0.7, y, 0.31), (0.42, y, 1.05), 0.035, steel, 6) for y in (-0.09, 0.09)]
    parts += [tube((0.4, y, 1.08), (0.38, y * 1.15, 1.25), 0.015, dark, 4) for y in (-0.28, 0.28)]
    parts += [blob((0.38, y, 1.28), (0.04, 0.12, 0.09), dark, 6, 4) for y in (-0.33, 0.33)]
    if rng.random() < 0.4:
        parts.append(box((-1.05, -0.2, 0.86), (-0.65, 0.2, 1.2), dark))
    if rider:
        parts += _rider(rng, paints, (-0.32, 0.86), (0.38, 1.1), (0.0, 0.36), 0.3)
    return join(parts)


def _rider(rng: np.random.Generator, paints: Paints, seat: Tuple[float, float], hands: Tuple[float, float],
           feet: Tuple[float, float], reach: float) -> List[Mesh]:
    """Someone on a saddle at (x, z), who holds the bars and has the feet down there."""
    own = Paints(paints.palette, 'noise', 'rider')
    own.raw = paints.raw
    outfit = _outfit(rng, own, 'worker' if rng.random() < 0.2 else 'adult')
    outfit['hair'] = own(hsv(rng.random(), rng.uniform(0, 0.8), rng.uniform(0.2, 0.9)), reflect=0.35)
    lean = 0.18
    shoulder = (seat[0] + lean, seat[1] + 0.55)
    middle = (seat[0] + lean / 2, 0, seat[1] + 0.3)
    parts = [blob(middle, (0.32, 0.42, 0.68), outfit['shirt'], 10, 6),
             *_head(outfit, shoulder[0] + 0.06, shoulder[1] + 0.18, 0.25)]
    for side in (-1, 1):
        knee = (seat[0] + 0.38, side * 0.14, seat[1] - 0.12 - side * 0.06)
        ankle = (feet[0], side * 0.14, feet[1] - side * 0.07)
        elbow = ((shoulder[0] + hands[0]) / 2, side * reach, (shoulder[1] + hands[1]) / 2 - 0.1)
        parts += [tube((seat[0], side * 0.1, seat[1] + 0.04), knee, 0.085, outfit['legs'], 6, 0.065, 'none'),
                  tube(knee, ankle, 0.065, outfit['legs'], 6, 0.045, 'none'),
                  box((ankle[0] - 0.08, ankle[1] - 0.045, ankle[2] - 0.06),
                      (ankle[0] + 0.16, ankle[1] + 0.045, ankle[2] + 0.03), outfit['shoes']),
                  tube((shoulder[0], side * 0.19, shoulder[1]), elbow, 0.055, outfit['shirt'], 5, 0.045, 'end'),
                  tube(elbow, (hands[0], side * reach * 0.85, hands[1]), 0.045, outfit['shirt'], 5, 0.035, 'end')]
    return parts


# Category -> width, length, height in metres.
SIZES = {'vehicle.bicycle': (0.62, 1.75, 1.15), 'vehicle.bicycle/rider': (0.64, 1.75, 1.72),
         'vehicle.motorcycle': (0.78, 2.1, 1.35), 'vehicle.motorcycle/rider': (0.8, 2.1, 1.66),
         'human.pedestrian.adult': (0.62, 0.72, 1.74), 'human.pedestrian.child': (0.5, 0.55, 1.25),
         'human.pedestrian.construction_worker': (0.66, 0.7, 1.76),
         'human.pedestrian.police_officer': (0.66, 0.7, 1.78)}


def draw_cycle(rng: np.random.Generator, paints: Paints, category: str, rider: bool) -> Tuple[Mesh, np.ndarray]:
    """A bicycle or motorcycle around its box's centre, and (3,) width, length, height."""
    size = np.asarray(SIZES[category + ('/rider' if rider else '')]) * rng.uniform(0.95, 1.05, 3)
    mesh = (bicycle if category == 'vehicle.bicycle' else motorcycle)(rng, paints, rider)
    return mesh.fitted(size[[1, 0, 2]]), size


def draw_person(rng: np.random.Generator, paints: Paints, category: str, walks: bool) -> Tuple[Mesh, np.ndarray]:
    """Someone around the box's centre, and (3,) width, length, height; who stands takes less room."""
    kind = dict(adult='adult', child='child', construction_worker='worker', police_officer='police')
    mesh = person(rng, paints, kind[category.split('.')[-1]], walks)
    size = np.asarray(SIZES[category]) * rng.uniform(0.93, 1.07, 3)
    if not walks:
        size[1] *= 0.6
    return mesh.fitted(size[[1, 0, 2]]), size
