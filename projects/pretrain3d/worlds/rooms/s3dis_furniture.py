"""What stands in offices: the archetypes that furniture.py lacks, named by the classes of S3DIS.

Frames and units as in furniture.py. Everything that is none of the twelve named classes is 'clutter', also cabinets,
pictures and screens, which other data sets name.
"""
from typing import Callable, Dict, List

import numpy as np

from ..shapes import Item, box, cylinder
from ..textures import Texture, draw
from .furniture import ARCHETYPES, PALE, Rng, _legs


def _called(name: str, category: str) -> Callable[[Rng], Item]:
    """The common archetype ``name``, labelled ``category``."""
    def make(rng: Rng) -> Item:
        return Item(category, ARCHETYPES[name](rng).parts)
    return make


def swivel_chair(rng: Rng) -> Item:
    """A five-spoked foot, a gas spring, a seat and a tall back with a gap, mostly with arms."""
    width, depth, seat = rng.uniform(0.48, 0.56), rng.uniform(0.46, 0.54), rng.uniform(0.44, 0.52)
    cloth, hard = draw(rng, ('mesh', 'mesh', 'upholstery', 'leather')), draw(rng, ('mesh', 'steel'))
    back = rng.uniform(0.5, 0.7)
    parts = [box((width, depth, 0.09), (0, 0, seat), cloth),
             box((width * 0.9, 0.07, back), (0, depth / 2, seat + 0.14 + back / 2), cloth),
             box((0.08, 0.05, 0.24), (0, depth / 2, seat + 0.08), hard),
             cylinder((0.07, 0.07, seat - 0.1), (0, 0, (seat - 0.1) / 2 + 0.06), hard)]
    parts += [box((width * 1.15, 0.07, 0.06), (0, 0, 0.05), hard, yaw) for yaw in np.pi * np.arange(3) / 3]
    if rng.random() < 0.7:
        parts += [box((0.06, depth * 0.6, 0.04), (side * width * 0.55, 0, seat + 0.22), hard) for side in (-1, 1)]
        parts += [box((0.04, 0.06, 0.22), (side * width * 0.55, 0, seat + 0.11), hard) for side in (-1, 1)]
    return Item('chair', tuple(parts))


def side_chair(rng: Rng) -> Item:
    """A visitor's chair: a thin shell on a steel frame."""
    width, depth, seat = rng.uniform(0.46, 0.54), rng.uniform(0.46, 0.54), rng.uniform(0.43, 0.47)
    shell, frame = draw(rng, ('upholstery', 'upholstery', 'mesh', 'laminate', 'vivid')), draw(rng, ('steel', 'mesh'))
    parts = [box((width, depth, 0.05), (0, 0, seat), shell),
             box((width, 0.05, 0.34), (0, depth / 2 - 0.02, seat + 0.28), shell),
             *_legs(width, depth, seat - 0.02, 0.035, frame)]
    return Item('chair', tuple(parts))


def chair(rng: Rng) -> Item:
    """Any of the two."""
    return swivel_chair(rng) if rng.random() < 0.55 else side_chair(rng)


def desk(rng: Rng) -> Item:
    """A work desk on panels or steel legs, at times with a return; S3DIS calls it a table."""
    width, depth, height = rng.uniform(1.3, 1.9), rng.uniform(0.65, 0.85), rng.uniform(0.7, 0.76)
    top, leg = draw(rng, ('laminate', 'laminate', *PALE)), draw(rng, ('steel', 'steel', 'mesh'))
    parts = [box((width, depth, 0.035), (0, 0, height), top)]
    if rng.random() < 0.5:
        parts += [box((0.03, depth * 0.95, height), (side * (width / 2 - 0.02), 0, height / 2), top)
                  for side in (-1, 1)]
        parts.append(box((width, 0.03, height * 0.6), (0, depth / 2 - 0.03, height * 0.65), top))
    else:
        parts += _legs(width, depth, height, 0.05, leg)
    if rng.random() < 0.5:
        parts.append(box((0.42, depth * 0.85, height * 0.8), (width / 2 - 0.26, 0, height * 0.4), leg))
    return Item('table', tuple(parts))


def meeting_table(rng: Rng) -> Item:
    """A long top on two trestles or one block."""
    width, depth, height = rng.uniform(2.2, 3.4), rng.uniform(1.0, 1.4), rng.uniform(0.71, 0.76)
    top, foot = draw(rng, ('laminate', 'walnut', 'oak')), draw(rng, ('steel', 'mesh', 'laminate'))
    parts = [box((width, depth, 0.05), (0, 0, height), top)]
    parts += [box((0.5, 0.25, height - 0.02), (side * width * 0.28, 0, height / 2), foot) for side in (-1, 1)]
    return Item('table', tuple(parts))


def low_table(rng: Rng) -> Item:
    """A coffee table of a lounge."""
    size, height = rng.uniform(0.6, 1.0), rng.uniform(0.38, 0.48)
    top, leg = draw(rng, ('laminate', 'walnut', 'enamel')), draw(rng, ('steel', 'mesh'))
    make = cylinder if rng.random() < 0.4 else box
    return Item('table', (make((size, size, 0.05), (0, 0, height), top),
                          cylinder((0.1, 0.1, height), (0, 0, height / 2), leg),
                          cylinder((size * 0.6, size * 0.6, 0.03), (0, 0, 0.02), leg)))


def sofa(rng: Rng) -> Item:
    """A boxy sofa or armchair in leather or office cloth."""
    width = rng.uniform(0.8, 0.95) if rng.random() < 0.4 else rng.uniform(1.4, 2.1)
    depth, seat, arm = rng.uniform(0.75, 0.88), rng.uniform(0.4, 0.44), rng.uniform(0.08, 0.14)
    cloth = draw(rng, ('leather', 'leather', 'upholstery', 'vivid'))
    parts = (box((width, depth, seat), (0, 0, seat / 2), cloth),
             box((width, 0.18, 0.36), (0, depth / 2 - 0.09, seat + 0.18), cloth),
             *(box((arm, depth, 0.18), (side * (width / 2 - arm / 2), 0, seat + 0.09), cloth) for side in (-1, 1)))
    return Item('sofa', parts)


def bookcase(rng: Rng) -> Item:
    """Shelves up to two metres, full of books and files; at times low."""
    width, depth = rng.uniform(0.8, 1.8), rng.uniform(0.3, 0.42)
    height = rng.uniform(0.8, 1.2) if rng.random() < 0.2 else rng.uniform(1.7, 2.2)
    frame = draw(rng, ('laminate', 'steel', 'walnut', 'oak'))
    levels = max(int(round(height / rng.uniform(0.33, 0.42))), 2)
    parts: List = [box((0.03, depth, height), (side * (width / 2 - 0.015), 0, height / 2), frame) for side in (-1, 1)]
    parts.append(box((width, 0.02, height), (0, depth / 2 - 0.01, height / 2), frame))
    for level in range(levels + 1):
        z = 0.05 + level * (height - 0.07) / levels
        parts.append(box((width, depth, 0.025), (0, 0, z), frame))
        if level < levels and rng.random() < 0.9:
            filled, tall = rng.uniform(0.5, 0.95) * (width - 0.08), height / levels * rng.uniform(0.6, 0.85)
            hue, other = (tuple(rng.uniform(0.15, 0.85, 3)) for _ in range(2))
            parts.append(box((filled, depth * 0.75, tall), (-(width - 0.08 - filled) / 2, 0.02, z + tall / 2),
                             Texture(hue, other, 'stripes', rng.uniform(0.03, 0.06), 0)))
    return Item('bookcase', tuple(parts))


def board(rng: Rng) -> Item:
    """A whiteboard, now and then a blackboard, with a tray."""
    width, height, z = rng.uniform(1.2, 2.8), rng.uniform(0.9, 1.25), 1.5
    face = draw(rng, ('enamel', 'enamel', 'enamel', 'mesh'), 0.4)
    rim = draw(rng, ('steel', 'laminate'))
    return Item('board', (box((width, 0.04, height), (0, 0, z), face),
                          box((width + 0.06, 0.05, 0.04), (0, 0.01, z + height / 2), rim),
                          box((width * 0.9, 0.09, 0.03), (0, -0.03, z - height / 2), rim)))


def door(rng: Rng) -> Item:
    """A tall flush leaf in a steel frame, at times with a pane."""
    width, height = rng.uniform(0.85, 1.05), rng.uniform(2.05, 2.2)
    leaf, frame = draw(rng, ('oak', 'walnut', 'laminate', 'plaster')), draw(rng, ('steel', 'mesh'))
    parts = [box((width, 0.08, height), (0, 0, height / 2), leaf),
             box((width + 0.14, 0.12, 0.07), (0, 0, height + 0.035), frame),
             box((0.14, 0.07, 0.03), (width * 0.38, -0.07, 1.02), draw(rng, ('steel',)))]
    parts += [box((0.07, 0.12, height), (side * (width / 2 + 0.035), 0, height / 2), frame) for side in (-1, 1)]
    return Item('door', tuple(parts))


def window(rng: Rng) -> Item:
    """A band of panes, half behind blinds."""
    width, height, low = rng.uniform(1.2, 2.4), rng.uniform(1.3, 1.7), rng.uniform(0.75, 0.95)
    pane, frame = Texture((0.6, 0.72, 0.85), (0.9, 0.95, 1.0), 'plain', 0.5), draw(rng, ('steel', 'mesh', 'enamel'))
    blind = Texture((0.85, 0.84, 0.8), (0.65, 0.64, 0.6), 'stripes', 0.05, 2)
    share = rng.uniform(0.1, 0.6)
    parts = [box((width, 0.06, height), (0, 0.02, low + height / 2), pane),
             box((width, 0.08, height * share), (0, 0, low + height * (1 - share / 2)), blind)]
    parts += [box((width + 0.1, 0.14, 0.06), (0, 0, z), frame) for z in (low, low + height)]
    parts += [box((0.06, 0.12, height), (x * width, 0, low + height / 2), frame) for x in (-0.5, 0, 0.5)]
    return Item('window', tuple(parts))


def file_cabinet(rng: Rng) -> Item:
    """A steel cabinet of drawers, low or tall; S3DIS calls it clutter."""
    width, depth, drawers = rng.uniform(0.42, 0.9), rng.uniform(0.45, 0.6), int(rng.integers(2, 6))
    height = 0.33 * drawers
    body, front = draw(rng, ('steel', 'plaster', 'mesh')), draw(rng, ('steel', 'plaster'))
    parts = [box((width, depth, height), (0, 0, height / 2), body)]
    parts += [box((width - 0.05, 0.03, 0.28), (0, -depth / 2 - 0.01, 0.33 * (row + 0.5)), front)
              for row in range(drawers)]
    return Item('clutter', tuple(parts))


def screen(rng: Rng) -> Item:
    """One or two monitors."""
    dark = Texture((0.05, 0.05, 0.07), (0.15, 0.15, 0.2), 'plain', 0.2)
    width = rng.uniform(0.45, 0.6)
    places = (-width * 0.52, width * 0.52) if rng.random() < 0.35 else (0.0, )
    return Item('clutter', tuple(part for x in places for part in (
        box((width, 0.05, 0.34), (x, 0, 0.3), dark), cylinder((0.2, 0.16, 0.13), (x, 0, 0.065), dark))))


def papers(rng: Rng) -> Item:
    """Stacks of paper, a keyboard, a telephone."""
    parts = []
    for _ in range(int(rng.integers(1, 4))):
        size = (rng.uniform(0.15, 0.35), rng.uniform(0.15, 0.3), rng.uniform(0.03, 0.15))
        spot = rng.uniform(-0.2, 0.2, 2)
        parts.append(box(size, (*spot, size[2] / 2), draw(rng, ('enamel', 'mesh', 'vivid')), rng.uniform(0, 3)))
    return Item('clutter', tuple(parts))


def printer(rng: Rng) -> Item:
    """A copier on the floor."""
    width, depth, height = rng.uniform(0.6, 0.9), rng.uniform(0.55, 0.7), rng.uniform(0.9, 1.15)
    body, dark = draw(rng, ('plaster', 'steel')), draw(rng, ('mesh',))
    return Item('clutter', (box((width, depth, height), (0, 0, height / 2), body),
                            box((width * 0.95, depth * 0.9, 0.12), (0, 0, height + 0.06), dark),
                            box((0.3, 0.35, 0.04), (width / 2 + 0.12, 0, height * 0.7), body)))


ARCHETYPES_OFFICE: Dict[str, Callable[[Rng], Item]] = dict(
    chair=chair, swivel_chair=swivel_chair, side_chair=side_chair, table=desk, meeting_table=meeting_table,
    low_table=low_table, sofa=sofa, bookcase=bookcase, board=board, door=door, window=window,
    file_cabinet=file_cabinet, screen=screen, papers=papers, printer=printer, poster=_called('picture', 'clutter'),
    bin=_called('trash_can', 'clutter'), parcel=_called('carton', 'clutter'), washbasin=_called('sink', 'clutter'),
    toilet=_called('toilet', 'clutter'), lamp=_called('lamp', 'clutter'), curtain=_called('curtain', 'clutter'))
