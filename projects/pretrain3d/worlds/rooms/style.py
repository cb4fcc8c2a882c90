"""What rooms of a data set look like: how large they are, what stands in them, what they are made of."""
from dataclasses import dataclass
from typing import Callable, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from ..shapes import Item
from .furniture import ARCHETYPES

# One line of a recipe: (archetype, fewest, most, where). 'wall': back to a wall; 'free': anywhere; 'middle': of the
# floor; 'hang': on a wall above the floor; 'on:X': on top of an X, 'head:X': on its back end; 'beside:X': next to an X,
# their backs in line; 'front:X': before an X; 'around:X': at any side of an X, facing it.
Line = Tuple[str, int, int, str]
Range = Tuple[float, float]


@dataclass(frozen=True)
class Style:
    """Layout statistics and palettes of a data set's rooms.

    Attributes:
        recipes: kind of room -> what it holds.
        size: width and depth of a room in metres, unless ``sizes`` has its kind.
        sizes: kind -> (width, depth). plain: kinds that are always one rectangle.
        shapes: share of rectangles, and of rectangles and L-shapes together; the rest are two rooms with an opening.
        height: of the walls.
        paint, ground, accent: material families of walls, floor and of one wall that differs.
        ceiling: material families of a ceiling (category 'ceiling'); ``None``: rooms are open above.
        archetypes: name -> function that draws one.
        structure: ``structure(rng, kind, floors, walls, height)``: what belongs to the building and furniture keeps
            clear of (columns, beams, lamps).
    """
    recipes: Mapping[str, Sequence[Line]]
    size: Tuple[Range, Range] = ((3.4, 4.6), (3.2, 4.2))
    sizes: Mapping[str, Tuple[Range, Range]] = None
    plain: Tuple[str, ...] = ()
    shapes: Range = (0.6, 0.82)
    height: Range = (2.35, 2.6)
    paint: Tuple[str, ...] = ('paint', 'paint', 'white', 'stone')
    ground: Tuple[str, ...] = ('wood', 'stone', 'fabric')
    accent: Tuple[str, ...] = ('paint', 'fabric')
    ceiling: Optional[Tuple[str, ...]] = None
    archetypes: Mapping[str, Callable[[np.random.Generator], Item]] = None
    structure: Optional[Callable[..., List[Item]]] = None

    @property
    def kinds(self) -> Tuple[str, ...]:
        """Kinds of rooms, in the order of the recipes."""
        return tuple(self.recipes)

    def archetype(self, name: str) -> Callable[[np.random.Generator], Item]:
        """The function that draws ``name``: the style's own, else the common one."""
        return (self.archetypes or {}).get(name) or ARCHETYPES[name]
