"""Rooms: shells (rectangular, L-shaped, two rooms with an opening) and the placement of furniture in them."""
from dataclasses import dataclass
from typing import List, Optional, Tuple

import numpy as np

from ..shapes import Item, Part, box, rotation_z, translation
from ..textures import Texture, draw
from .furniture import footprint
from .style import Style

WALL_THICKNESS = 0.12
# What homes hold, by kind of room; the lines are explained in style.py.
RECIPES = dict(
    bedroom=(('door', 1, 1, 'hang'), ('window', 1, 1, 'hang'), ('bed', 1, 1, 'wall'), ('cabinet', 1, 2, 'wall'),
             ('desk', 1, 1, 'wall'), ('chair', 1, 2, 'front:desk'), ('curtain', 1, 2, 'hang'), ('picture', 1, 2, 'hang'),
             ('nightstand', 0, 1, 'wall'), ('pillow', 1, 2, 'on:bed'), ('monitor', 0, 1, 'on:desk'), ('lamp', 0, 1, 'wall'),
             ('carton', 0, 2, 'free'), ('bookshelf', 0, 1, 'wall')),
    living=(('door', 1, 1, 'hang'), ('window', 1, 1, 'hang'), ('sofa', 1, 2, 'wall'), ('table', 1, 2, 'free'),
            ('bookshelf', 1, 2, 'wall'), ('curtain', 1, 2, 'hang'), ('picture', 1, 3, 'hang'), ('ottoman', 0, 2, 'free'),
            ('lamp', 0, 1, 'wall'), ('chair', 1, 2, 'free'), ('cabinet', 0, 1, 'wall'), ('carton', 0, 1, 'free')),
    kitchen=(('door', 1, 1, 'hang'), ('window', 1, 1, 'hang'), ('counter', 1, 2, 'wall'), ('refrigerator', 1, 1, 'wall'),
             ('table', 1, 1, 'free'), ('chair', 2, 4, 'front:table'), ('cabinet', 1, 1, 'wall'), ('sink', 1, 1, 'wall'),
             ('trash_can', 1, 1, 'wall'), ('picture', 0, 1, 'hang'), ('carton', 0, 1, 'free')),
    bathroom=(('door', 1, 1, 'hang'), ('bathtub', 1, 1, 'wall'), ('shower_curtain', 1, 1, 'front:bathtub'),
              ('toilet', 1, 1, 'wall'), ('sink', 1, 1, 'wall'), ('cabinet', 0, 1, 'wall'), ('window', 0, 1, 'hang'),
              ('trash_can', 1, 1, 'wall'), ('picture', 0, 1, 'hang')),
    office=(('door', 1, 1, 'hang'), ('window', 1, 1, 'hang'), ('desk', 1, 2, 'wall'), ('chair', 1, 2, 'front:desk'),
            ('bookshelf', 1, 2, 'wall'), ('cabinet', 1, 1, 'wall'), ('table', 0, 1, 'free'), ('chair', 1, 2, 'free'),
            ('monitor', 1, 2, 'on:desk'), ('trash_can', 1, 1, 'free'), ('picture', 0, 2, 'hang'), ('ottoman', 0, 1, 'free'),
            ('carton', 0, 2, 'free')))
KINDS = tuple(RECIPES)
HOMES = Style(RECIPES, sizes=dict(bathroom=((2.4, 3.1), (2.4, 3.1))), plain=('bathroom',))
TRIES = 60


@dataclass(frozen=True)
class Wall:
    """A straight wall: its two floor corners (2,), the room lying to the left of start -> end."""
    start: np.ndarray
    end: np.ndarray

    @property
    def length(self) -> float:
        """Metres between the corners."""
        return float(np.linalg.norm(self.end - self.start))

    @property
    def yaw(self) -> float:
        """Turn that makes an item's -y (its front) look into the room."""
        direction = self.end - self.start
        return float(np.arctan2(direction[1], direction[0]) + np.pi)

    @property
    def inward(self) -> np.ndarray:
        """(2,) unit normal that points into the room."""
        direction = (self.end - self.start) / self.length
        return np.array([-direction[1], direction[0]])


@dataclass
class Room:
    """A furnished room in a gravity-aligned frame with the floor at z = 0."""
    kind: str
    floors: List[Tuple[float, float, float, float]]
    walls: List[Wall]
    height: float
    items: List[Item]

    @property
    def parts(self) -> List[Part]:
        """All solids of all items, in order."""
        return [part for item in self.items for part in item.parts]

    @property
    def part_item(self) -> np.ndarray:
        """(P,) the item that each of :attr:`parts` belongs to."""
        return np.repeat(np.arange(len(self.items)), [len(item.parts) for item in self.items])


def _corner_walls(corners: List[Tuple[float, float]]) -> List[Wall]:
    points = [np.asarray(corner, np.float64) for corner in corners]
    return [Wall(points[i], points[(i + 1) % len(points)]) for i in range(len(points))]


def shell(rng: np.random.Generator, kind: str, style: Style = HOMES) -> Tuple[list, List[Wall]]:
    """Floor rectangles (x0, y0, x1, y1) and walls of a room of ``kind``; some L-shaped, some of two rooms."""
    width, depth = (rng.uniform(*bounds) for bounds in (style.sizes or {}).get(kind, style.size))
    shape = rng.random()
    if kind in style.plain or shape < style.shapes[0]:
        return [(0, 0, width, depth)], _corner_walls([(0, 0), (width, 0), (width, depth), (0, depth)])
    if shape < style.shapes[1]:
        cut_x, cut_y = width * rng.uniform(0.55, 0.7), depth * rng.uniform(0.5, 0.65)
        corners = [(0, 0), (width, 0), (width, cut_y), (cut_x, cut_y), (cut_x, depth), (0, depth)]
        return [(0, 0, width, cut_y), (0, 0, cut_x, depth)], _corner_walls(corners)
    extra, gap = rng.uniform(2.0, 2.6), depth * rng.uniform(0.35, 0.6)
    walls = _corner_walls([(0, 0), (width + extra, 0), (width + extra, depth), (0, depth)])
    for y0, y1 in ((0.0, gap - 0.5), (gap + 0.5, depth)):
        low, high = np.array([width, y0]), np.array([width, y1])
        walls += [Wall(low, high), Wall(high + (WALL_THICKNESS, 0), low + (WALL_THICKNESS, 0))]
    return [(0, 0, width, depth), (width + WALL_THICKNESS, 0, width + extra, depth)], walls


def _shell_items(rng: np.random.Generator, floors, walls: List[Wall], height: float, style: Style) -> List[Item]:
    paint, ground = draw(rng, style.paint, 0.3), draw(rng, style.ground, 0.25)
    accent = draw(rng, style.accent, 0.3)
    low = np.min([f[:2] for f in floors], 0)
    high = np.max([f[2:] for f in floors], 0)

    def slab(z: float, texture: Texture) -> Tuple[Part, ...]:
        return tuple(box((f[2] - f[0], f[3] - f[1], 0.1), ((f[0] + f[2]) / 2, (f[1] + f[3]) / 2, z), texture)
                     for f in _disjoint(floors, low, high))

    items = [Item('floor', slab(-0.05, ground))]
    if style.ceiling:
        items.append(Item('ceiling', slab(height + 0.05, draw(rng, style.ceiling, 0.4))))
    for index, wall in enumerate(walls):
        middle = (wall.start + wall.end) / 2 - wall.inward * WALL_THICKNESS / 2
        part = box((wall.length, WALL_THICKNESS, height), (0, 0, height / 2), accent if index == 1 else paint)
        items.append(Item('wall', (part.moved(translation(*middle) @ rotation_z(wall.yaw)),)))
    return items


def _disjoint(floors, low, high):
    """Floor rectangles without overlap (an L is given as two overlapping ones); two rooms get one slab."""
    if len(floors) == 1:
        return floors
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = floors
    if bx0 >= ax1:
        return [(*low, *high)]
    return [floors[0], (bx0, ay1, bx1, by1)]


class Furnisher:
    """Places items so that their footprints neither collide nor leave the floor."""

    def __init__(self, rng: np.random.Generator, floors, walls: List[Wall], style: Style = HOMES) -> None:
        self.rng, self.floors, self.walls, self.style = rng, floors, walls, style
        self.items: List[Item] = []
        self.names: List[str] = []
        self.boxes: List[Tuple[np.ndarray, np.ndarray]] = []
        self.stacked: List[bool] = []

    def keep(self, name: str, item: Item, stacked: bool = False) -> None:
        """Let ``item`` be there: what is placed later keeps clear of it."""
        self.items.append(item)
        self.names.append(name)
        self.boxes.append(footprint(item))
        self.stacked.append(stacked)

    def place(self, name: str, where: str) -> Optional[Item]:
        """Try to place one ``name``; ``None`` when the room is too full for it."""
        for _ in range(TRIES):
            item = self.style.archetype(name)(self.rng)
            pose = self._pose(item, where)
            if pose is None:
                return None
            moved = item.moved(pose)
            if self._fits(moved, where):
                self.keep(name, moved, where.startswith(('on:', 'head:')))
                return moved
        return None

    def _pose(self, item: Item, where: str) -> Optional[np.ndarray]:
        rng = self.rng
        low, high = footprint(item)
        if where == 'free':
            x0, y0, x1, y1 = self.floors[rng.integers(len(self.floors))]
            return translation(rng.uniform(x0 + 0.4, x1 - 0.4), rng.uniform(y0 + 0.4, y1 - 0.4)) @ rotation_z(
                rng.integers(4) * np.pi / 2 + rng.normal(0, 0.12))
        if where == 'middle':
            x0, y0, x1, y1 = self.floors[0]
            turn = rng.integers(2) * np.pi + (np.pi / 2 if y1 - y0 > x1 - x0 else 0) + rng.normal(0, 0.03)
            spot = np.array([x0 + x1, y0 + y1]) / 2 + rng.normal(0, 0.2, 2)
            return translation(*spot) @ rotation_z(turn)
        if where in ('wall', 'hang'):
            lengths = np.array([wall.length for wall in self.walls])
            wall = self.walls[rng.choice(len(self.walls), p=lengths / lengths.sum())]
            room = wall.length - (high[0] - low[0]) - 0.1
            if room <= 0:
                return translation(1e3, 1e3)  # does not fit this wall: never inside, so another draw follows
            offset = room * rng.random() + 0.05 + (high[0] - low[0]) / 2
            along = wall.start + (wall.end - wall.start) / wall.length * offset
            gap = 0.02 if where == 'wall' else -0.02
            return translation(*(along + wall.inward * (high[1] + gap))) @ rotation_z(wall.yaw)
        relation, anchor = where.split(':')
        rows = [i for i, name in enumerate(self.names) if name == anchor]
        if not rows:
            return None
        row = rows[rng.integers(len(rows))]
        base_low, base_high = self.boxes[row]
        heading = self.items[row].parts[0].pose[:3, :3]
        centre = (base_low + base_high)[:2] / 2
        if relation in ('on', 'head'):
            reach = np.maximum((base_high - base_low)[:2] / 2 - 0.3, 0)
            spot = centre + rng.uniform(-1, 1, 2) * reach
            if relation == 'head':  # keep to the back of it
                spot += heading[:2, 1] * (reach @ np.abs(heading[:2, 1]) - (spot - centre) @ heading[:2, 1])
            yaw = np.arctan2(heading[1, 0], heading[0, 0]) + rng.normal(0, 0.15)
            top = self._top(row, spot)
            return translation(*spot, top) @ rotation_z(yaw)
        front = -heading[:2, 1]
        side = heading[:2, 0]
        half = np.abs((base_high - base_low)[:2] @ np.abs(np.stack([side, front], 1))) / 2
        if relation == 'around':
            return self._around(centre, half, np.stack([side, front], 1), high[1])
        if relation == 'beside':
            aside = side * rng.choice((-1, 1)) * (half[0] + (high[0] - low[0]) / 2 + 0.04)
            return translation(*(centre + aside - front * (half[1] - high[1]))) @ rotation_z(
                np.arctan2(heading[1, 0], heading[0, 0]))
        turn = rng.integers(4) * np.pi / 2 if anchor == 'table' else 0.0
        cloth = anchor == 'bathtub'
        offset = front * (half[1] + (0.1 if cloth else high[1] * 0.6)) + side * rng.uniform(-0.4, 0.4) * half[0]
        turned = rotation_z(turn)[:2, :2] @ offset
        yaw = np.arctan2(heading[1, 0], heading[0, 0]) + turn + (0 if cloth else np.pi + rng.normal(0, 0.2))
        return translation(*(centre + turned)) @ rotation_z(yaw)

    def _around(self, centre: np.ndarray, half: np.ndarray, axes: np.ndarray, reach: float) -> np.ndarray:
        """Pose (4, 4) at any side of what stands at ``centre`` (2,), facing it; long sides are chosen more often.

        ``half`` (2,) are its half extents along the columns of ``axes`` (2, 2)."""
        rng = self.rng
        along = int(rng.random() < half[1] / half.sum())  # the axis that the side runs along
        away = axes[:, 1 - along] * rng.choice((-1, 1))
        spot = centre + away * (half[1 - along] + reach * 0.7) + axes[:, along] * half[along] * rng.uniform(-0.85, 0.85)
        return translation(*spot) @ rotation_z(np.arctan2(away[1], away[0]) - np.pi / 2 + rng.normal(0, 0.15))

    def _top(self, row: int, spot: np.ndarray) -> float:
        """Height of the highest flat part of item ``row`` under ``spot`` (2,)."""
        best = 0.0
        for part in self.items[row].parts:
            corners = part.world_quads().reshape(-1, 3)
            low, high = corners.min(0), corners.max(0)
            if (low[:2] <= spot).all() and (spot <= high[:2]).all():
                best = max(best, high[2])
        return best

    def _fits(self, item: Item, where: str) -> bool:
        low, high = footprint(item)
        if where.startswith(('on:', 'head:')):
            others = [b for stacked, b in zip(self.stacked, self.boxes) if stacked]
        else:
            # A chair may stand tucked under its own table.
            anchor = where.partition(':')[2]
            others = [b for name, b in zip(self.names, self.boxes) if name != anchor]
            if not self._inside(low, high, slack=0.2 if where == 'hang' else 0.05):
                return False
        margin = 0.03
        for other_low, other_high in others:
            if ((low < other_high + margin) & (high > other_low - margin)).all():
                return False
        return True

    def _inside(self, low: np.ndarray, high: np.ndarray, slack: float) -> bool:
        return any(low[0] >= x0 - slack and low[1] >= y0 - slack and high[0] <= x1 + slack and high[1] <= y1 + slack
                   for x0, y0, x1, y1 in self.floors)


def furnish(rng: np.random.Generator, kind: str, style: Style = HOMES) -> Room:
    """Draw a room of ``kind`` (one of ``style.kinds``) with its furniture."""
    if kind not in style.recipes:
        raise ValueError(f'unknown kind of room {kind!r}; choose one of {style.kinds}')
    floors, walls = shell(rng, kind, style)
    height = rng.uniform(*style.height)
    furnisher = Furnisher(rng, floors, walls, style)
    for item in style.structure(rng, kind, floors, walls, height) if style.structure else ():
        furnisher.keep(item.category, item)
    for name, fewest, most, where in style.recipes[kind]:
        for _ in range(int(rng.integers(fewest, most + 1))):
            furnisher.place(name, where)
    return Room(kind, floors, walls, height, _shell_items(rng, floors, walls, height, style) + furnisher.items)
