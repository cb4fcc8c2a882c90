"""Buildings along the road: facades with windows, doors, canopies, balconies, parapets; and fences between them."""
from typing import List, Tuple

import numpy as np

from ..textures import hsv
from .road import COURT, DEEP, STEP, Road, Section
from .solids import Mesh, box, join, quads, tube
from .surfaces import Paints, Palette

_STOREY = 3.4


class Lot:
    """A building site: the local frame has x along the road, y away from it, and its origin at the facade's middle."""

    def __init__(self, road: Road, start: float, end: float, front: float, flank: int) -> None:
        corners = road.place(np.array([start, end]), flank * front)
        along = corners[1] - corners[0]
        self.width = float(np.linalg.norm(along))
        self.yaw = float(np.arctan2(along[1], along[0]))
        self.centre = np.array([*corners.mean(0), STEP])
        self.flank = flank

    def set(self, mesh: Mesh) -> Mesh:
        """A mesh of the local frame in the global one."""
        if self.flank < 0:  # mirrored: away from the road is -y
            mesh = Mesh(mesh.corners[:, ::-1] * (1, -1, 1), mesh.uv[:, ::-1], mesh.surface)
        return mesh.moved(self.yaw, self.centre)


def _wall(start, end, low: float, high: float, surface: int) -> Mesh:
    """An upright wall from ``start`` to ``end`` (2,); texture coordinates are metres along it and above the ground."""
    (x0, y0), (x1, y1) = start, end
    length = float(np.hypot(x1 - x0, y1 - y0))
    corners = np.array([[x0, y0, low], [x1, y1, low], [x1, y1, high], [x0, y0, high]])
    uv = np.array([[0, low], [length, low], [length, high], [0, high]])
    return quads(corners[None], surface, uv[None])


def block(x0: float, x1: float, depth: Tuple[float, float], heights: Tuple[float, float], skin: int, roof: int,
          back: int) -> Mesh:
    """Four walls and a roof."""
    (y0, y1), (low, high) = depth, heights
    walls = [_wall((x0, y0), (x1, y0), low, high, skin), _wall((x1, y0), (x1, y1), low, high, skin),
             _wall((x1, y1), (x0, y1), low, high, back), _wall((x0, y1), (x0, y0), low, high, skin)]
    top = np.array([[x0, y0, high], [x1, y0, high], [x1, y1, high], [x0, y1, high]])
    return join([*walls, quads(top[None], roof)])


def _wall_colour(rng: np.random.Generator, style: str):
    if style == 'brick':
        return hsv(rng.uniform(0.01, 0.05), rng.uniform(0.4, 0.6), rng.uniform(0.4, 0.6)), 'brick'
    if style == 'pastel':
        return hsv(rng.random(), rng.uniform(0.08, 0.28), rng.uniform(0.75, 0.95)), 'facade'
    if style == 'glass':
        return hsv(rng.uniform(0.5, 0.62), rng.uniform(0.05, 0.2), rng.uniform(0.4, 0.6)), 'curtainwall'
    return hsv(rng.uniform(0.06, 0.14), rng.uniform(0.03, 0.15), rng.uniform(0.55, 0.85)), 'facade'


def building(rng: np.random.Generator, paints: Paints, lot: Lot, tall: bool) -> Mesh:
    """One building on a lot."""
    styles = ['brick', 'glass', 'concrete', 'glass'] if tall else ['pastel', 'pastel', 'brick', 'concrete']
    style = str(rng.choice(styles))
    colour, kind = _wall_colour(rng, style)
    storeys = int(rng.integers(4, 12) if tall else rng.integers(2, 5))
    seed = int(rng.integers(1 << 30))
    accent = tuple(0.75 * c for c in colour)
    skin = paints(colour, accent, kind, rng.uniform(2.6, 3.8), 0.3, 0.0, seed)
    shop = paints(tuple(0.8 * c for c in colour), hsv(rng.random(), 0.6, 0.5), 'shops', rng.uniform(4.5, 6.5), 0.28,
                  seed=seed)
    trim = paints(tuple(min(1.0, 1.15 * c) for c in colour), accent, 'worn', 1.0, 0.35)
    roof = paints((0.4, 0.39, 0.38), (0.3, 0.3, 0.3), 'worn', 1.0, 0.2)
    half, depth = lot.width / 2 - rng.uniform(0.0, 0.4), rng.uniform(11, 18)
    base, top = 4.2, 4.2 + storeys * _STOREY
    parts = [block(-half, half, (0, depth), (-0.4, base), shop, roof, skin),
             block(-half, half, (0.0, depth), (base, top), skin, roof, skin),
             box((-half - 0.1, -0.25, base - 0.25), (half + 0.1, 0.05, base + 0.15), trim),
             box((-half - 0.12, -0.3, top), (half + 0.12, depth + 0.1, top + 0.7), trim)]
    parts += _trimmings(rng, paints, half, base, top, storeys, style, trim)
    return lot.set(join(parts))


def _trimmings(rng: np.random.Generator, paints: Paints, half: float, base: float, top: float, storeys: int, style: str,
               trim: int) -> List[Mesh]:
    """What stands out of a facade: canopy, pilasters, balconies, things on the roof."""
    parts = []
    cloth = paints(hsv(rng.random(), 0.6, 0.6), (0.9, 0.88, 0.84), 'bands', 0.7, 0.3)
    door = rng.uniform(-0.6, 0.6) * half
    parts.append(box((door - 1.6, -1.3, 2.75), (door + 1.6, 0, 2.95), trim))
    wood = paints((0.25, 0.17, 0.12), (0.15, 0.1, 0.07), 'planks', 0.2, 0.2)
    parts.append(box((door - 0.7, -0.06, 0), (door + 0.7, 0.02, 2.3), wood))
    if style in ('pastel', 'brick') and rng.random() < 0.7:
        parts.append(box((-half + 0.5, -1.2, 2.5), (door - 2, 0, 3.2), cloth, (0, 0, 1.1, 0)) if door - 2 > -half + 1.5
                     else box((door + 2, -1.2, 2.5), (half - 0.5, 0, 3.2), cloth, (0, 0, 1.1, 0)))
    if style == 'concrete':
        for x in np.linspace(-half, half, max(int(half / 2.2), 2)):
            parts.append(box((x - 0.25, -0.3, 0), (x + 0.25, 0.0, top), trim))
    if style in ('pastel', 'brick'):
        rail = paints((0.2, 0.2, 0.22), reflect=0.2)
        for storey in range(storeys):
            for x in np.arange(-half + 2.2, half - 2, 5.2):
                if rng.random() < 0.45:
                    z = base + storey * _STOREY
                    parts += [box((x - 1.1, -0.95, z - 0.1), (x + 1.1, 0, z + 0.05), trim),
                              box((x - 1.1, -0.95, z + 0.05), (x + 1.1, -0.9, z + 0.95), rail)]
    for _ in range(3):
        x, y = rng.uniform(-0.7, 0.7) * half, rng.uniform(2, 8)
        parts.append(box((x - 1, y - 1, top), (x + 1, y + 1, top + rng.uniform(1.2, 2.8)), trim))
    return parts


def fence(rng: np.random.Generator, palette: Palette, road: Road, start: float, end: float, d: float) -> Mesh:
    """A railing, or a low wall with a hedge's height, along the road."""
    paints = Paints(palette, 'static.manmade', 'fence')
    parts = []
    if rng.random() < 0.6:
        steel = paints((0.16, 0.18, 0.18), reflect=0.25)
        posts = np.arange(start, end + 0.01, 1.6)
        place = np.concatenate([road.place(posts, d), np.full((len(posts), 1), STEP)], 1)
        parts += [tube(at, at + (0, 0, 1.1), 0.04, steel, 5) for at in place]
        for height in (0.25, 0.6, 1.0):
            parts += [tube(a + (0, 0, height), b + (0, 0, height), 0.025, steel, 4, caps='none')
                      for a, b in zip(place, place[1:])]
    else:
        stone = paints((0.62, 0.58, 0.52), (0.45, 0.42, 0.38), 'brick', 0.5, 0.3)
        for s in np.arange(start, end - 1, 4.0):
            place = road.place(np.array([s, min(s + 4, end)]), d)
            yaw = np.arctan2(*(place[1] - place[0])[::-1])
            length = np.linalg.norm(place[1] - place[0])
            wall = box((-length / 2, -0.12, 0), (length / 2, 0.12, 0.9), stone)
            parts.append(wall.moved(yaw, (*place.mean(0), STEP)))
    return join(parts)


def line_with_buildings(rng: np.random.Generator, palette: Palette, road: Road, sections: List[Section],
                        tall: bool, reach: float) -> List[Mesh]:
    """Buildings on both sides of the road, gardens between some, and blocks that close the view.

    Args:
        tall: a town of high buildings. reach: metres by which the carriageway goes on beyond the road's ends.
    """
    paints = Paints(palette, 'static.manmade', 'building')
    meshes = []
    for flank in (-1, 1):
        gaps = [each for each in sections if each.flank == flank and each.kind == 'junction']
        at = -50.0
        for gap in [*gaps, None]:
            stop = gap.start - 1.5 if gap else road.length + 50
            while stop - at > 9:
                width = min(rng.uniform(13, 24), stop - at)
                if stop - at - width < 9:
                    width = stop - at
                if rng.random() < 0.82 or width > 26:
                    lot = Lot(road, at, at + width, COURT + 0.8 + rng.uniform(0, 2.2), flank)
                    meshes.append(building(rng, paints, lot, tall))
                else:
                    meshes.append(fence(rng, palette, road, at + 1, at + width - 1, flank * (COURT + 0.6)))
                at += width + (0 if rng.random() < 0.7 else 2.5)
            if gap:
                meshes += _side_street(rng, paints, road, gap, tall)
                at = gap.end + 1.5
    for away in (-1, 1):  # beside the road's ends, and across it where nobody drives any more
        for beyond, places in ((55.0, (-83, -57, -31, 31, 57, 83)), (reach + 8, (-13, 13))):
            end = -beyond if away < 0 else road.length + beyond
            for d in places:
                lot = Lot(road, end, end + 0.1, d, 1)
                lot.width, lot.yaw = 25.0, lot.yaw - away * np.pi / 2
                meshes.append(building(rng, paints, lot, True))
    return meshes


def _side_street(rng: np.random.Generator, paints: Paints, road: Road, gap: Section, tall: bool) -> List[Mesh]:
    """Blocks along a side street, behind the corner buildings, and one across its end."""
    meshes = []
    for s, inwards in ((gap.start - 2.5, -1), (gap.end + 2.5, 1)):
        for deep in (44.0, 66.0, 88.0):
            place = road.place(s, gap.flank * deep)
            lot = Lot(road, s - 10, s + 10, deep, gap.flank)
            lot.width, lot.centre = 21.0, np.array([*place, STEP])
            # The facade looks at the side street: its local -y points from the building towards the street.
            away = road.heading(s) + (0 if inwards > 0 else np.pi)
            lot.yaw, lot.flank = away - np.pi / 2, 1
            meshes.append(building(rng, paints, lot, tall))
    lot = Lot(road, gap.start - 12, gap.end + 12, DEEP + 3, gap.flank)
    meshes.append(building(rng, paints, lot, True))
    return meshes
