"""Furniture: one function per archetype, each drawing sizes, materials and parts anew for every instance.

An archetype returns an :class:`Item` whose frame has its origin on the floor under the footprint's centre, its back
towards +y (the wall) and its front towards -y. Sizes are metres.
"""
from typing import Callable, Dict, List, Tuple

import numpy as np

from ..shapes import Item, Part, box, cylinder, folded_sheet
from ..textures import Texture, draw

Rng = np.random.Generator
# What a kind of furniture is mostly made of; every list also holds materials of other kinds.
PALE = ('oak', 'oak', 'wood', 'white')
DARK = ('walnut', 'walnut', 'wood', 'vivid')
LACQUERED = ('white', 'white', 'wood', 'metal')
SOFT = ('fabric', 'fabric', 'vivid', 'white')
CERAMIC = ('white', 'white', 'white', 'stone')


def _legs(width: float, depth: float, height: float, thick: float, texture: Texture) -> List[Part]:
    dx, dy = width / 2 - thick / 2, depth / 2 - thick / 2
    return [box((thick, thick, height), (x, y, height / 2), texture) for x in (-dx, dx) for y in (-dy, dy)]


def chair(rng: Rng) -> Item:
    """Four legs or a pedestal, a seat, a back, at times arms."""
    width, depth, seat = rng.uniform(0.42, 0.55), rng.uniform(0.42, 0.55), rng.uniform(0.42, 0.5)
    soft, hard = draw(rng, ('red_cloth', 'red_cloth', 'fabric', 'vivid')), draw(rng, ('metal', 'metal', 'wood'))
    office = rng.random() < 0.4
    parts = [box((width, depth, 0.07), (0, 0, seat), soft),
             box((width, 0.06, rng.uniform(0.4, 0.55)), (0, depth / 2 - 0.03, seat + 0.27), soft)]
    if office:
        parts += [cylinder((0.07, 0.07, seat - 0.06), (0, 0, (seat - 0.06) / 2 + 0.03), hard),
                  cylinder((width, depth, 0.05), (0, 0, 0.03), hard)]
    else:
        parts += _legs(width, depth, seat - 0.03, 0.05, hard)
    if rng.random() < 0.35:
        parts += [box((0.05, depth * 0.8, 0.05), (side * width / 2, 0, seat + 0.22), hard) for side in (-1, 1)]
    return Item('office chair' if office else 'chair', tuple(parts))


def table(rng: Rng) -> Item:
    """A round or square top on legs or on a pedestal."""
    top, low = draw(rng, PALE), rng.random() < 0.25
    width, depth = rng.uniform(0.8, 1.5), rng.uniform(0.7, 1.0)
    height = rng.uniform(0.38, 0.48) if low else rng.uniform(0.68, 0.78)
    if rng.random() < 0.35:
        parts = [cylinder((depth, depth, 0.05), (0, 0, height), top),
                 cylinder((0.12, 0.12, height), (0, 0, height / 2), top)]
    else:
        parts = [box((width, depth, 0.05), (0, 0, height), top), *_legs(width, depth, height, 0.07, draw(rng, PALE))]
    return Item('coffee table' if low else 'table', tuple(parts))


def desk(rng: Rng) -> Item:
    """A top on two side panels with a back board and a block of drawers."""
    width, depth, height = rng.uniform(1.1, 1.6), rng.uniform(0.55, 0.75), rng.uniform(0.7, 0.77)
    wood, front = draw(rng, LACQUERED), draw(rng, LACQUERED)
    parts = [box((width, depth, 0.04), (0, 0, height), wood),
             box((0.04, depth, height), (-width / 2 + 0.02, 0, height / 2), wood),
             box((0.04, depth, height), (width / 2 - 0.02, 0, height / 2), wood),
             box((width, 0.03, height * 0.5), (0, depth / 2 - 0.02, height * 0.7), wood),
             box((0.4, depth * 0.9, height * 0.8), (width / 2 - 0.22, 0, height * 0.42), front)]
    return Item('desk', tuple(parts))


def sofa(rng: Rng) -> Item:
    """Base, back, two arms and cushions; the narrow ones are armchairs."""
    width = rng.uniform(0.85, 1.0) if rng.random() < 0.3 else rng.uniform(1.5, 2.2)
    depth, seat, arm = rng.uniform(0.8, 0.95), rng.uniform(0.4, 0.46), rng.uniform(0.14, 0.22)
    cloth, cushion = draw(rng, ('green_cloth', 'green_cloth', 'fabric', 'white')), draw(rng, SOFT)
    parts = [box((width, depth, seat), (0, 0, seat / 2), cloth),
             box((width, 0.22, 0.45), (0, depth / 2 - 0.11, seat + 0.2), cloth),
             *(box((arm, depth, 0.22), (side * (width / 2 - arm / 2), 0, seat + 0.1), cloth) for side in (-1, 1))]
    for x in np.linspace(-width / 4, width / 4, 2 if width > 1.2 else 1):
        parts.append(box((width / 3, 0.12, 0.3), (x if width > 1.2 else 0, depth / 2 - 0.28, seat + 0.17), cushion))
    return Item('armchair' if width < 1.2 else 'couch', tuple(parts))


def bed(rng: Rng) -> Item:
    """Frame, mattress, blanket, headboard and pillows."""
    width, length, height = rng.uniform(1.0, 1.8), rng.uniform(1.95, 2.1), rng.uniform(0.42, 0.55)
    wood, sheet, blanket = draw(rng, DARK), draw(rng, ('white', 'fabric')), draw(rng, ('blue_cloth', 'blue_cloth', 'fabric'))
    board = rng.uniform(0.8, 1.1)
    parts = [box((width, length, height * 0.55), (0, 0, height * 0.275), wood),
             box((width * 0.97, length * 0.97, height * 0.45), (0, 0, height * 0.775), sheet),
             box((width * 1.02, length * 0.6, 0.06), (0, -length * 0.19, height + 0.02), blanket),
             box((width, 0.07, board), (0, length / 2, board / 2), wood)]
    return Item('bed', tuple(parts))


def pillow(rng: Rng) -> Item:
    """A pillow; stands on a bed."""
    return Item('pillow', (box((rng.uniform(0.45, 0.65), 0.35, 0.14), (0, 0, 0.07), draw(rng, SOFT)),))


def cabinet(rng: Rng) -> Item:
    """A closed box with two door leaves; from sideboard to wardrobe."""
    tall = rng.random() < 0.4
    width, depth = rng.uniform(0.7, 1.5), rng.uniform(0.4, 0.6)
    height = rng.uniform(1.6, 2.1) if tall else rng.uniform(0.7, 1.1)
    body, door_texture = draw(rng, DARK), draw(rng, DARK)
    leaf = width / 2 - 0.03
    parts = [box((width, depth, height), (0, 0, height / 2), body)]
    parts += [box((leaf, 0.03, height - 0.12), (side * (leaf / 2 + 0.01), -depth / 2 - 0.01, height / 2), door_texture)
              for side in (-1, 1)]
    return Item('wardrobe' if tall else 'cabinet', tuple(parts))


def bookshelf(rng: Rng) -> Item:
    """An open frame with boards and rows of books."""
    width, depth, height = rng.uniform(0.7, 1.2), rng.uniform(0.28, 0.38), rng.uniform(1.4, 2.0)
    wood, levels = draw(rng, ('walnut', 'oak', 'wood')), int(rng.integers(4, 6))
    parts = [box((0.04, depth, height), (side * (width / 2 - 0.02), 0, height / 2), wood) for side in (-1, 1)]
    parts.append(box((width, 0.02, height), (0, depth / 2 - 0.01, height / 2), wood))
    for level in range(levels + 1):
        z = 0.02 + level * (height - 0.04) / levels
        parts.append(box((width, depth, 0.03), (0, 0, z), wood))
        if level < levels:
            filled, tall = rng.uniform(0.4, 0.85) * width, (height / levels) * rng.uniform(0.55, 0.8)
            books = Texture((0.6, 0.2, 0.2), (0.2, 0.3, 0.6), 'stripes', rng.uniform(0.03, 0.05), 0)
            parts.append(box((filled, depth * 0.7, tall), (-(width - filled) / 2 + 0.04, 0.02, z + tall / 2), books))
    return Item('bookshelf', tuple(parts))


def counter(rng: Rng) -> Item:
    """A long closed base with an overhanging top."""
    width, depth, height = rng.uniform(1.6, 2.6), rng.uniform(0.58, 0.68), rng.uniform(0.85, 0.95)
    base, top = draw(rng, LACQUERED), draw(rng, ('stone', 'stone', 'wood'))
    parts = (box((width, depth, height), (0, 0, height / 2), base),
             box((width + 0.06, depth + 0.08, 0.07), (0, -0.03, height + 0.03), top))
    return Item('kitchen counter', parts)


def sink(rng: Rng) -> Item:
    """A wash basin on a pedestal with a raised rim."""
    width, depth, height = rng.uniform(0.5, 0.7), rng.uniform(0.42, 0.5), rng.uniform(0.8, 0.88)
    white = draw(rng, CERAMIC)
    wall = 0.07
    parts = [box((width, depth, 0.1), (0, 0, height - 0.14), white),
             cylinder((0.2, 0.2, height - 0.18), (0, 0.05, (height - 0.18) / 2), white)]
    parts += [box((width, wall, 0.12), (0, side * (depth / 2 - wall / 2), height - 0.04), white) for side in (-1, 1)]
    parts += [box((wall, depth, 0.12), (side * (width / 2 - wall / 2), 0, height - 0.04), white) for side in (-1, 1)]
    parts.append(cylinder((0.05, 0.05, 0.22), (0, depth / 2 - 0.06, height + 0.1), draw(rng, ('metal',))))
    return Item('sink', tuple(parts))


def toilet(rng: Rng) -> Item:
    """A bowl with a seat and a water tank."""
    white = draw(rng, CERAMIC)
    parts = (cylinder((0.3, 0.4, 0.36), (0, -0.08, 0.18), white), cylinder((0.4, 0.5, 0.06), (0, -0.1, 0.4), white),
             box((0.44, 0.2, rng.uniform(0.32, 0.42)), (0, 0.24, 0.56), white))
    return Item('toilet', parts)


def bathtub(rng: Rng) -> Item:
    """A hollow tub."""
    width, depth, height, wall = rng.uniform(1.5, 1.75), rng.uniform(0.7, 0.8), rng.uniform(0.5, 0.6), 0.09
    white = draw(rng, CERAMIC)
    parts = [box((width, depth, 0.15), (0, 0, 0.075), white)]
    parts += [box((width, wall, height), (0, side * (depth / 2 - wall / 2), height / 2), white) for side in (-1, 1)]
    parts += [box((wall, depth, height), (side * (width / 2 - wall / 2), 0, height / 2), white) for side in (-1, 1)]
    return Item('bathtub', tuple(parts))


def refrigerator(rng: Rng) -> Item:
    """A tall box with two doors and handles."""
    width, depth, height = rng.uniform(0.6, 0.85), rng.uniform(0.62, 0.75), rng.uniform(1.55, 1.9)
    body, handle = draw(rng, ('metal', 'metal', 'white')), draw(rng, ('metal',))
    split = height * rng.uniform(0.55, 0.7)
    parts = (box((width, depth, height), (0, 0, height / 2), body),
             box((width - 0.04, 0.04, split - 0.06), (0, -depth / 2 - 0.02, split / 2), body),
             box((width - 0.04, 0.04, height - split - 0.04), (0, -depth / 2 - 0.02, (height + split) / 2), body),
             box((0.05, 0.08, split * 0.5), (width * 0.35, -depth / 2 - 0.06, split * 0.6), handle))
    return Item('refrigerator', parts)


def shower_curtain(rng: Rng) -> Item:
    """A cloth that hangs from head height to near the floor along a tub."""
    cloth = draw(rng, ('blue_cloth', 'vivid', 'white'), 0.2)
    return Item('shower curtain', (folded_sheet((rng.uniform(0.9, 1.3), 0.1, 1.75), (0, 0, 1.1), 5, cloth),))


def curtain(rng: Rng) -> Item:
    """A cloth beside a window, from near the ceiling to near the floor."""
    height = rng.uniform(1.7, 2.2)
    cloth = draw(rng, ('red_cloth', 'fabric', 'white'), 0.2)
    return Item('curtain', (folded_sheet((rng.uniform(0.5, 0.9), 0.12, height), (0, 0, 2.3 - height / 2), 4, cloth),))


def window(rng: Rng) -> Item:
    """A frame with a bright pane, thickened so that it can be told from the wall at 8 cm voxels."""
    width, height, z = rng.uniform(0.9, 1.5), rng.uniform(0.9, 1.2), 1.5
    frame, pane = draw(rng, ('white', 'wood')), Texture((0.75, 0.85, 0.95), (0.9, 0.95, 1.0), 'plain', 0.4)
    parts = [box((width, 0.08, height), (0, 0.02, z), pane)]
    parts += [box((width + 0.16, 0.16, 0.09), (0, 0, z + side * height / 2), frame) for side in (-1, 1)]
    parts += [box((0.09, 0.16, height), (side * width / 2, 0, z), frame) for side in (-1, 0, 1)]
    return Item('window', tuple(parts))


def door(rng: Rng) -> Item:
    """A leaf in a frame, with a handle."""
    width, height = rng.uniform(0.8, 0.95), rng.uniform(1.95, 2.1)
    leaf, frame = draw(rng, ('oak', 'oak', 'white', 'paint')), draw(rng, ('wood', 'white'))
    parts = [box((width, 0.1, height), (0, 0, height / 2), leaf),
             box((width + 0.2, 0.16, 0.1), (0, 0, height + 0.05), frame),
             box((0.12, 0.06, 0.04), (width * 0.38, -0.08, 1.0), draw(rng, ('metal',)))]
    parts += [box((0.1, 0.16, height), (side * (width / 2 + 0.05), 0, height / 2), frame) for side in (-1, 1)]
    return Item('door', tuple(parts))


def picture(rng: Rng) -> Item:
    """A framed picture at eye height."""
    width, height = rng.uniform(0.4, 1.0), rng.uniform(0.4, 0.8)
    art, frame = draw(rng, ('vivid',), 0.15), draw(rng, ('wood', 'metal', 'white'))
    return Item('picture', (box((width, 0.08, height), (0, 0, 1.55), frame),
                            box((width - 0.12, 0.04, height - 0.12), (0, -0.04, 1.55), art)))


def trash_can(rng: Rng) -> Item:
    """A small open cylinder or box on the floor."""
    size = rng.uniform(0.25, 0.35)
    make: Callable = cylinder if rng.random() < 0.5 else box
    texture = draw(rng, ('metal', 'vivid', 'fabric'))
    return Item('trash can', (make((size, size, size * 1.3), (0, 0, size * 0.65), texture),))


def ottoman(rng: Rng) -> Item:
    """A padded block to sit on."""
    size, height = rng.uniform(0.45, 0.7), rng.uniform(0.38, 0.45)
    make: Callable = cylinder if rng.random() < 0.5 else box
    return Item('ottoman', (make((size, size, height), (0, 0, height / 2), draw(rng, SOFT)),))


def nightstand(rng: Rng) -> Item:
    """A small box with a drawer; one of the classes outside the 20."""
    width, height = rng.uniform(0.4, 0.5), rng.uniform(0.45, 0.6)
    return Item('nightstand', (box((width, 0.4, height), (0, 0, height / 2), draw(rng, DARK)),
                               box((width - 0.06, 0.03, 0.15), (0, -0.21, height - 0.13), draw(rng, DARK))))


def lamp(rng: Rng) -> Item:
    """A floor lamp; one of the classes outside the 20."""
    height = rng.uniform(1.3, 1.6)
    return Item('lamp', (cylinder((0.28, 0.28, 0.03), (0, 0, 0.015), draw(rng, ('metal',))),
                         cylinder((0.05, 0.05, height), (0, 0, height / 2), draw(rng, ('metal',))),
                         cylinder((0.35, 0.35, 0.28), (0, 0, height), draw(rng, ('white', 'fabric')))))


def monitor(rng: Rng) -> Item:
    """A screen; stands on a desk."""
    width = rng.uniform(0.45, 0.65)
    dark = Texture((0.08, 0.08, 0.1), (0.2, 0.2, 0.25), 'plain', 0.2)
    return Item('monitor', (box((width, 0.05, 0.34), (0, 0, 0.27), dark),
                            cylinder((0.2, 0.16, 0.1), (0, 0, 0.05), dark)))


def carton(rng: Rng) -> Item:
    """A cardboard box; clutter."""
    size = rng.uniform(0.2, 0.45, 3)
    return Item('box', (box(size, (0, 0, size[2] / 2), draw(rng, ('wood', 'stone', 'vivid'))),))


ARCHETYPES: Dict[str, Callable[[Rng], Item]] = dict(
    chair=chair, table=table, desk=desk, sofa=sofa, bed=bed, pillow=pillow, cabinet=cabinet, bookshelf=bookshelf,
    counter=counter, sink=sink, toilet=toilet, bathtub=bathtub, refrigerator=refrigerator,
    shower_curtain=shower_curtain, curtain=curtain, window=window, door=door, picture=picture, trash_can=trash_can,
    ottoman=ottoman, nightstand=nightstand, lamp=lamp, monitor=monitor, carton=carton)


def footprint(item: Item) -> Tuple[np.ndarray, np.ndarray]:
    """Axis-aligned bounds (3,), (3,) of an item in its present frame."""
    corners = np.concatenate([part.world_quads().reshape(-1, 3) for part in item.parts])
    return corners.min(0), corners.max(0)
