"""Trees, hedges and shrubs: leaves are many small triangles around a darker core, so that rays find depth in them."""
from typing import List

import numpy as np

from .road import COURT, GREEN, STEP, WALK, Road, Section
from .solids import Mesh, blob, join, tube
from .surfaces import Paints, Palette

_GREENS = ((0.22, 0.36, 0.12), (0.30, 0.42, 0.14), (0.18, 0.32, 0.16), (0.38, 0.44, 0.16))


def leaves(rng: np.random.Generator, centre, size, count: int, leaf: float, surface: int) -> Mesh:
    """``count`` random triangles in the outer part of an ellipsoid of full extents ``size``."""
    way = rng.normal(size=(count, 3))
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    middle = np.asarray(centre) + way * rng.uniform(0.72, 1.0, (count, 1)) * np.asarray(size) / 2
    turn = rng.normal(size=(count, 3, 3))
    turn -= turn.mean(1, keepdims=True)
    # Leaves lie flat on the crown rather than along the radius: only a third of the radial spread is kept.
    turn -= 0.65 * (turn * way[:, None]).sum(2, keepdims=True) * way[:, None]
    corners = middle[:, None] + turn * leaf
    uv = np.repeat(rng.uniform(0, 1000, (count, 1, 2)), 3, 1)
    return Mesh(corners, uv, np.full(count, surface, np.int32))


def tree(rng: np.random.Generator, palette: Palette, count: int = 420) -> Mesh:
    """A street tree of usual size: trunk, boughs and a crown of several clumps, standing at the origin."""
    bark = Paints(palette, 'static.vegetation', 'trunk')((0.33, 0.25, 0.18), (0.2, 0.15, 0.1), 'bark', 0.15, 0.25)
    green = _GREENS[rng.integers(len(_GREENS))]
    paints = Paints(palette, 'static.vegetation', 'vegetation')
    leaf = paints(green, tuple(0.55 * c for c in green), 'leaves', 1.0, 0.3)
    core = paints(tuple(0.45 * c for c in green), tuple(0.3 * c for c in green), 'leaves', 0.3, 0.25)
    fork, high, wide = rng.uniform(2.5, 3.1), rng.uniform(2.9, 4.4), rng.uniform(1.5, 2.1)
    middle = np.array([rng.normal(0, 0.1), rng.normal(0, 0.1), fork + high / 2])
    parts = [tube((0, 0, -0.1), (0, 0, fork + 0.4), 0.17, bark, 8, 0.11)]
    clumps = int(rng.integers(5, 8))
    for index in range(clumps):
        angle = 2 * np.pi * index / clumps + rng.uniform(-0.4, 0.4)
        out = wide * rng.uniform(0.35, 0.6)
        at = middle + (out * np.cos(angle), out * np.sin(angle), high * rng.uniform(-0.22, 0.22))
        size = np.array([wide * 1.15, wide * 1.15, high * 0.5]) * rng.uniform(0.8, 1.15)
        at[2] = max(at[2], fork - 0.1 + size[2] / 2)
        parts += [tube((0, 0, fork), at, 0.07, bark, 5, 0.03, caps='none'), blob(at, size * 0.72, core, 7, 4),
                  leaves(rng, at, size, count // (clumps + 1), 0.2, leaf)]
    top = middle + (0, 0, high * 0.28)
    size = np.array([wide * 1.2, wide * 1.2, high * 0.5])
    parts += [blob(top, size * 0.72, core, 7, 4), leaves(rng, top, size, count // (clumps + 1), 0.2, leaf)]
    return join(parts)


def palm(rng: np.random.Generator, palette: Palette) -> Mesh:
    """A palm at the origin."""
    bark = Paints(palette, 'static.vegetation', 'trunk')((0.45, 0.38, 0.28), (0.3, 0.25, 0.18), 'bark', 0.2, 0.25)
    green = (0.28, 0.42, 0.13)
    leaf = Paints(palette, 'static.vegetation', 'vegetation')(green, tuple(0.5 * c for c in green), 'leaves', 1.0, 0.3)
    high = rng.uniform(5.5, 7.5)
    parts = [tube((0, 0, -0.1), (0, 0, high), 0.18, bark, 8, 0.12)]
    for index in range(16):
        angle = 2.4 * index + rng.uniform(-0.2, 0.2)
        way, lift, reach = np.array([np.cos(angle), np.sin(angle), 0]), rng.uniform(-0.2, 0.7), rng.uniform(1.5, 2.2)
        aside = np.array([-way[1], way[0], 0]) * 0.22
        points = [np.array([0, 0, high]) + way * reach * t + (0, 0, lift * 4 * t * (1 - t) - 1.2 * t * t)
                  for t in (0, 0.35, 0.7, 1.0)]
        for first, second, width in zip(points, points[1:], (1.0, 1.0, 0.6)):
            corners = np.array([[first - aside * width, second - aside * width, second + aside * width],
                                [first - aside * width, second + aside * width, first + aside * width]])
            parts.append(Mesh(corners, np.full((2, 3, 2), 7.0 * index), np.full(2, leaf, np.int32)))
    return join(parts)


def hedge(rng: np.random.Generator, palette: Palette, road: Road, start: float, end: float, d: float) -> Mesh:
    """A row of shrubs along the road."""
    green = _GREENS[rng.integers(len(_GREENS))]
    paints = Paints(palette, 'static.vegetation', 'vegetation')
    leaf = paints(green, tuple(0.55 * c for c in green), 'leaves', 1.0, 0.3)
    core = paints(tuple(0.45 * c for c in green), tuple(0.3 * c for c in green), 'leaves', 0.3, 0.25)
    parts = []
    high = rng.uniform(0.8, 1.5)
    for s in np.arange(start, end, 1.1):
        at = np.array([*road.place(s, d + rng.normal(0, 0.08)), STEP + high * 0.42])
        size = np.array([1.5, 1.2, high]) * rng.uniform(0.85, 1.2)
        parts += [blob(at, size * 0.8, core, 7, 4), leaves(rng, at, size, 60, 0.13, leaf)]
    return join(parts)


def grow(rng: np.random.Generator, palette: Palette, road: Road, sections: List[Section]) -> List[Mesh]:
    """Trees in the strip of green and hedges in front of buildings, clear of side streets and of works."""
    models = [tree(rng, palette) for _ in range(5)]
    if road.side < 0:
        models.append(palm(rng, palette))
    meshes = []
    for flank in (-1, 1):
        gaps = [each for each in sections if each.flank == flank and each.kind == 'junction']
        at = -40.0
        while at < road.length + 40:
            if not any(gap.start - 3.5 < at < gap.end + 3.5 for gap in gaps):
                place = road.place(at, flank * ((WALK + GREEN) / 2 + rng.uniform(-0.3, 0.5)))
                model = models[rng.integers(len(models))]
                scale = rng.uniform(0.9, 1.25) * np.array([1, 1, rng.uniform(0.95, 1.2)])
                grown = Mesh(model.corners * scale, model.uv, model.surface)
                meshes.append(grown.moved(rng.uniform(0, 2 * np.pi), (*place, STEP - 0.03)))
            at += rng.uniform(8, 15)
        at = -40.0
        while at < road.length + 40:
            end = at + rng.uniform(5, 12)
            if not any(gap.start - 1.5 < end and at < gap.end + 1.5 for gap in gaps) and rng.random() < 0.5:
                meshes.append(hedge(rng, palette, road, at, end, flank * (COURT - 0.7)))
            at = end + rng.uniform(2, 9)
    return meshes
