"""Homes as Structured3D has them: furnished by designers, in flat clean colours, with their ceilings."""
import dataclasses
from typing import List

import numpy as np

from ..shapes import Item, Part, box, cylinder, folded_sheet, translation
from ..textures import Texture, draw
from .furniture import bookshelf
from .style import Style

Rng = np.random.Generator
FRONTS = ('white', 'white', 'oak', 'walnut')
HANDLE = Texture((0.55, 0.55, 0.57), (0.55, 0.55, 0.57))
GLASS = Texture((0.72, 0.8, 0.86), (0.72, 0.8, 0.86))
SCREEN = Texture((0.05, 0.05, 0.07), (0.05, 0.05, 0.07))
LEAVES = Texture((0.2, 0.45, 0.18), (0.2, 0.45, 0.18))


def clean(item: Item) -> Item:
    """The item in one flat, slightly paler colour for each part; pictures keep their pattern."""
    if item.category == 'picture':
        return item
    parts = []
    for part in item.parts:
        colour = tuple(0.1 + 0.9 * value for value in part.texture.base)
        parts.append(dataclasses.replace(part, texture=Texture(colour, colour)))
    return Item(item.category, tuple(parts))


def _drawers(width: float, depth: float, low: float, high: float, rows: int, columns: int,
             front: Texture) -> List[Part]:
    """Fronts with handles, ``rows`` x ``columns``, on the -y face of a box between the heights ``low`` and ``high``."""
    parts, step, span = [], (high - low) / rows, width / columns
    for row in range(rows):
        for column in range(columns):
            x, z = -width / 2 + (column + 0.5) * span, low + (row + 0.5) * step
            parts += [box((span - 0.03, 0.03, step - 0.03), (x, -depth / 2 - 0.01, z), front),
                      box((0.12, 0.04, 0.03), (x, -depth / 2 - 0.03, z + step * 0.25), HANDLE)]
    return parts


def _chest(category: str, rng: Rng, width: float, depth: float, height: float, rows: int, columns: int) -> Item:
    body, front = draw(rng, FRONTS), draw(rng, FRONTS)
    return Item(category, (box((width, depth, height), (0, 0, height / 2), body),
                           *_drawers(width, depth, 0.06, height, rows, columns, front)))


def dresser(rng: Rng) -> Item:
    """A chest of six or eight drawers at hip height."""
    return _chest('dresser', rng, rng.uniform(1.0, 1.5), rng.uniform(0.42, 0.52), rng.uniform(0.75, 0.95),
                  int(rng.integers(3, 5)), 2)


def wardrobe(rng: Rng) -> Item:
    """A wardrobe that reaches nearly to the ceiling, with tall doors."""
    columns = int(rng.integers(2, 5))
    return _chest('wardrobe', rng, 0.5 * columns, rng.uniform(0.55, 0.65), rng.uniform(2.1, 2.4), 1, columns)


def tv_stand(rng: Rng) -> Item:
    """A long low cabinet."""
    return _chest('cabinet', rng, rng.uniform(1.5, 2.2), rng.uniform(0.35, 0.45), rng.uniform(0.35, 0.5), 1, 3)


def kitchen_unit(rng: Rng) -> Item:
    """A base unit with a worktop; in homes of this kind it counts as a cabinet."""
    width, height = rng.uniform(1.5, 2.4), rng.uniform(0.82, 0.9)
    base = _chest('cabinet', rng, width, 0.6, height, 1, int(round(width / 0.55)))
    return Item('cabinet', (*base.parts, box((width, 0.64, 0.05), (0, -0.02, height + 0.025), draw(rng, ('stone',)))))


def wall_unit(rng: Rng) -> Item:
    """A cabinet that hangs above head height."""
    width, height = rng.uniform(1.2, 2.0), rng.uniform(0.6, 0.75)
    body, front, low = draw(rng, FRONTS), draw(rng, FRONTS), 1.5
    return Item('cabinet', (box((width, 0.35, height), (0, 0, low + height / 2), body),
                            *_drawers(width, 0.35, low, low + height, 1, int(round(width / 0.5)), front)))


def shelves(rng: Rng) -> Item:
    """An open frame with boards and rows of books."""
    return Item('shelves', bookshelf(rng).parts)


def television(rng: Rng) -> Item:
    """A flat screen that hangs on a wall, or stands on a foot where it is put on something."""
    width = rng.uniform(1.0, 1.5)
    height = width * 0.57
    return Item('television', (box((width, 0.06, height), (0, 0, height / 2 + 0.06), SCREEN),
                               box((0.4, 0.2, 0.06), (0, 0, 0.03), SCREEN)))


def wall_television(rng: Rng) -> Item:
    """A flat screen on a wall, at the height of eyes that sit or lie."""
    return Item('television', tuple(part.moved(translation(0, 0, 0.9)) for part in television(rng).parts[:1]))


def mirror(rng: Rng) -> Item:
    """A framed glass, from face size to the height of a person."""
    tall = rng.random() < 0.4
    width, height = rng.uniform(0.5, 0.8), rng.uniform(1.5, 1.7) if tall else rng.uniform(0.7, 1.0)
    z = 1.0 if tall else 1.5
    frame = draw(rng, ('metal', 'oak', 'walnut'))
    parts = [box((width, 0.04, height), (0, 0.01, z), GLASS)]
    parts += [box((width + 0.06, 0.08, 0.06), (0, 0, z + side * height / 2), frame) for side in (-1, 1)]
    parts += [box((0.06, 0.08, height), (side * width / 2, 0, z), frame) for side in (-1, 1)]
    return Item('mirror', tuple(parts))


def table_lamp(rng: Rng) -> Item:
    """A lamp for a nightstand or a dresser."""
    foot, height = draw(rng, ('metal', 'white', 'walnut')), rng.uniform(0.3, 0.45)
    return Item('lamp', (cylinder((0.13, 0.13, 0.04), (0, 0, 0.02), foot),
                         cylinder((0.05, 0.05, height), (0, 0, height / 2), foot),
                         cylinder((0.24, 0.24, 0.18), (0, 0, height), draw(rng, ('white', 'oak')))))


def curtain(rng: Rng) -> Item:
    """One of the two cloths beside a window, from under the ceiling to the floor."""
    cloth = draw(rng, ('fabric', 'white', 'blue_cloth'))
    return Item('curtain', (folded_sheet((rng.uniform(0.35, 0.55), 0.09, 2.4), (0, 0, 1.22), 4, cloth),))


def coffee_table(rng: Rng) -> Item:
    """A low table before a sofa, round or with a shelf."""
    width, depth, height, top = rng.uniform(0.8, 1.2), rng.uniform(0.5, 0.7), rng.uniform(0.36, 0.45), draw(rng, FRONTS)
    if rng.random() < 0.4:
        return Item('coffee table', (cylinder((depth + 0.2, depth + 0.2, 0.05), (0, 0, height), top),
                                     cylinder((0.3, 0.3, height), (0, 0, height / 2), draw(rng, FRONTS))))
    parts = [box((width, depth, thick), (0, 0, z), top) for thick, z in ((0.05, height), (0.03, 0.15))]
    parts += [box((0.06, depth, height), (side * (width / 2 - 0.03), 0, height / 2), top) for side in (-1, 1)]
    return Item('coffee table', tuple(parts))


def vase(rng: Rng) -> Item:
    """A vase or a bowl."""
    width, height = rng.uniform(0.12, 0.2), rng.uniform(0.15, 0.35)
    return Item('vase', (cylinder((width, width, height), (0, 0, height / 2), draw(rng, ('vivid', 'white', 'stone'))),))


def plant(rng: Rng) -> Item:
    """A pot with foliage of stacked discs."""
    pot, height = rng.uniform(0.28, 0.36), rng.uniform(0.9, 1.4)
    parts = [cylinder((pot, pot, 0.32), (0, 0, 0.16), draw(rng, ('white', 'stone', 'walnut'))),
             cylinder((0.05, 0.05, height - 0.3), (0, 0, (height + 0.3) / 2), draw(rng, ('walnut',)))]
    parts += [cylinder((width, width, 0.16), (0, 0, z), LEAVES)
              for width, z in zip((0.4, 0.55, 0.35), np.linspace(0.6 * height, height, 3))]
    return Item('plant', tuple(parts))


def stool(rng: Rng) -> Item:
    """A padded stool."""
    size = rng.uniform(0.4, 0.55)
    return Item('stool', (cylinder((size, size, 0.4), (0, 0, 0.2), draw(rng, ('fabric', 'white'))),))


def structure(rng: Rng, kind: str, floors, walls, height: float) -> List[Item]:
    """Lamps under the ceiling, a moulding around it, at times a flue in the first corner."""
    items = []
    for x0, y0, x1, y1 in floors:
        size, drop = rng.uniform(0.4, 0.7), rng.uniform(0.1, 0.18)
        spot = ((x0 + x1) / 2, (y0 + y1) / 2, height - drop / 2)
        items.append(Item('ceiling lamp', (cylinder((size, size, drop), spot, draw(rng, ('white',))),)))
    if rng.random() < 0.7:
        depth, tall, texture = rng.uniform(0.06, 0.15), rng.uniform(0.08, 0.18), draw(rng, ('white', 'oak'))
        parts = []
        for wall in walls:
            middle = (wall.start + wall.end) / 2 + wall.inward * depth / 2
            parts.append(box((wall.length, depth, tall), (*middle, height - tall / 2), texture, wall.yaw))
        items.append(Item('moulding', tuple(parts)))
    if rng.random() < 0.35:
        x0, y0 = floors[0][:2]
        size = rng.uniform(0.3, 0.45)
        items.append(Item('flue', (box((size, size, height), (x0 + size / 2, y0 + size / 2, height / 2),
                                       draw(rng, ('white', 'stone'))),)))
    return items


_OPENINGS = (('door', 1, 1, 'hang'), ('window', 1, 1, 'hang'), ('curtain', 2, 2, 'beside:window'))
RECIPES = dict(
    bedroom=(*_OPENINGS, ('bed', 1, 1, 'wall'), ('nightstand', 2, 2, 'beside:bed'), ('pillow', 2, 4, 'head:bed'),
             ('table_lamp', 1, 2, 'on:nightstand'), ('wardrobe', 1, 1, 'wall'), ('dresser', 0, 1, 'wall'),
             ('mirror', 0, 1, 'hang'), ('wall_television', 0, 1, 'hang'), ('picture', 1, 3, 'hang'),
             ('vase', 1, 2, 'on:dresser'), ('stool', 0, 1, 'free'), ('plant', 0, 1, 'wall')),
    living=(*_OPENINGS, ('sofa', 1, 1, 'wall'), ('tv_stand', 1, 1, 'wall'), ('television', 1, 1, 'on:tv_stand'),
            ('coffee_table', 1, 1, 'front:sofa'), ('sofa', 1, 1, 'wall'), ('pillow', 1, 3, 'head:sofa'),
            ('shelves', 0, 2, 'wall'), ('lamp', 1, 1, 'wall'), ('vase', 1, 2, 'on:coffee_table'),
            ('picture', 1, 3, 'hang'), ('plant', 1, 2, 'wall')),
    kitchen=(*_OPENINGS[:2], ('kitchen_unit', 1, 2, 'wall'), ('refrigerator', 1, 1, 'wall'),
             ('wall_unit', 1, 2, 'hang'), ('sink', 1, 1, 'beside:kitchen_unit'), ('table', 1, 1, 'free'),
             ('chair', 2, 4, 'front:table'), ('vase', 1, 2, 'on:table'),
             ('picture', 0, 1, 'hang'), ('trash_can', 0, 1, 'wall')),
    study=(*_OPENINGS, ('desk', 1, 1, 'wall'), ('chair', 1, 1, 'front:desk'), ('table_lamp', 1, 1, 'on:desk'),
           ('shelves', 1, 2, 'wall'), ('sofa', 1, 1, 'wall'), ('dresser', 0, 1, 'wall'), ('picture', 1, 3, 'hang'),
           ('plant', 1, 1, 'wall'), ('mirror', 0, 1, 'hang')),
    bathroom=(('door', 1, 1, 'hang'), ('window', 1, 1, 'hang'), ('bathtub', 0, 1, 'wall'), ('toilet', 1, 1, 'wall'),
              ('sink', 1, 1, 'wall'), ('mirror', 1, 1, 'hang'), ('wall_unit', 0, 1, 'hang'), ('stool', 0, 1, 'free'),
              ('plant', 0, 1, 'wall')))
ARCHETYPES = dict(
    dresser=dresser, wardrobe=wardrobe, tv_stand=tv_stand, kitchen_unit=kitchen_unit, wall_unit=wall_unit,
    shelves=shelves, television=television, wall_television=wall_television, mirror=mirror, table_lamp=table_lamp,
    coffee_table=coffee_table, curtain=curtain, vase=vase, plant=plant, stool=stool)
STYLE = Style(
    RECIPES, size=((3.6, 5.0), (3.4, 4.6)), sizes=dict(bathroom=((2.2, 3.0), (2.0, 2.8))), plain=('bathroom',),
    shapes=(0.8, 0.95), height=(2.55, 2.85), paint=('white', 'white', 'paint'), ground=('oak', 'wood', 'stone'),
    accent=('white', 'paint', 'walnut'), ceiling=('white',), archetypes=ARCHETYPES, structure=structure)
