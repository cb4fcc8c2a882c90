"""The cells around an anchor point of a room, coloured: what Contrastive Scene Contexts contrasts within."""
from typing import List, Tuple

import numpy as np

from .scans import BrowsedScan, is_furniture

# Quadrants of the y-z plane around the anchor, in the order of the cells' numbers, dark within the inner shell.
QUADRANTS = ('+y, above', '+y, below', '-y, below', '-y, above')
HUES = ((214, 96, 20), (28, 140, 96), (122, 86, 190), (30, 118, 190))
FADED = 0.45  # of the colour that the outer shell keeps
NO_CELL = (25, 25, 25)


def palette() -> np.ndarray:
    """(9, 3) colours of the 8 cells, inner shell first, and of points that belong to none."""
    inner = np.array(HUES, float)
    return np.concatenate([inner, 255 - (255 - inner) * FADED, [NO_CELL]])


def cell_colours(cells: np.ndarray) -> np.ndarray:
    """(V, 3) colours of cell numbers (V,) in -1 ... 7."""
    return palette()[cells]


def cell_names(shell: float, excluded: float) -> List[Tuple[str, Tuple[int, ...]]]:
    """Legend of the cells; radii in metres."""
    radii = [f'{excluded:g} to {shell:g} m', f'beyond {shell:g} m']
    names = [f'{quadrant}, {radius}' for radius in radii for quadrant in QUADRANTS] + [f'nearer than {excluded:g} m']
    return [(name, tuple(map(int, colour))) for name, colour in zip(names, palette())]


def choose_anchor(scan: BrowsedScan) -> int:
    """Row of a point on furniture, about 0.7 m up near the middle of the room; any point where there is none."""
    low, high = scan.xyz.min(0), scan.xyz.max(0)
    goal = np.array([*((low + high) / 2)[:2], low[2] + 0.7])
    distance = np.linalg.norm(scan.xyz - goal, axis=1)
    furniture = is_furniture(scan.label)
    return int(np.argmin(distance + 100 * ~furniture if furniture.any() else distance))
