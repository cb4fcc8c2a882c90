"""What triangles are made of: colour, reflectivity and label, looked up by the row of a palette."""
from dataclasses import dataclass
from typing import Dict, List, Tuple

import numpy as np

from ...label_spaces.outdoor import NUSCENES_LIDARSEG

RAW: Dict[str, int] = {name: index for index, (name, _) in enumerate(NUSCENES_LIDARSEG)}
# Finer than lidarseg's raw ids, for the writers of other data sets.
DETAILS: Tuple[str, ...] = (
    'none', 'road', 'parking', 'lane marking', 'road marking', 'kerb', 'sidewalk', 'terrain', 'other ground', 'building', 'fence',
    'vegetation', 'trunk', 'pole', 'traffic sign', 'traffic light', 'other structure', 'vehicle', 'person', 'rider',
    'barrier', 'cone', 'other object')
Colour = Tuple[float, float, float]


@dataclass(frozen=True)
class Surface:
    """One material.

    Attributes:
        base, accent: sRGB in [0, 1]. kind: pattern, see :mod:`.patterns`. scale: of the pattern, metres.
        reflect: share of the LiDAR's light that comes back. shine: share of the sky that is mirrored.
        raw: lidarseg's raw id. detail: name of :data:`DETAILS`. seed: of the pattern.
    """
    base: Colour
    accent: Colour = (0.0, 0.0, 0.0)
    kind: str = 'plain'
    scale: float = 1.0
    reflect: float = 0.2
    shine: float = 0.0
    raw: int = 0
    detail: str = 'none'
    seed: int = 0


class Palette:
    """Rows of surfaces, and their properties as arrays."""

    def __init__(self) -> None:
        self.rows: List[Surface] = []
        self._known: Dict[Surface, int] = {}
        self._columns: Dict[str, np.ndarray] = {}

    def add(self, surface: Surface) -> int:
        """Row of ``surface``; equal surfaces share one."""
        if surface not in self._known:
            self._known[surface] = len(self.rows)
            self.rows.append(surface)
            self._columns.clear()
        return self._known[surface]

    def column(self, name: str) -> np.ndarray:
        """One property of all rows; ``detail`` as the position in :data:`DETAILS`, colours linear and float32."""
        if name not in self._columns:
            values = [getattr(row, name) for row in self.rows]
            if name == 'detail':
                column = np.array([DETAILS.index(value) for value in values], np.uint8)
            elif name == 'raw':
                column = np.array(values, np.uint8)
            elif name in ('base', 'accent'):
                column = np.clip(np.array(values, np.float32), 0, 1) ** np.float32(2.2)
            elif name == 'seed':
                column = np.array(values).astype(np.uint32)
            elif name in ('scale', 'reflect', 'shine'):
                column = np.array(values, np.float32)
            else:
                column = np.array(values)
            self._columns[name] = column
        return self._columns[name]


class Paints:
    """Hands out palette rows for one thing, all with its label."""

    def __init__(self, palette: Palette, raw: str, detail: str) -> None:
        self.palette, self.raw, self.detail = palette, RAW[raw], detail

    def __call__(self, base: Colour, accent: Colour = (0.0, 0.0, 0.0), kind: str = 'plain', scale: float = 1.0,
                 reflect: float = 0.2, shine: float = 0.0, seed: int = 0, detail: str = '') -> int:
        """Row of a surface of this colour."""
        return self.palette.add(Surface(tuple(map(float, base)), tuple(map(float, accent)), kind, float(scale),
                                        float(reflect), float(shine), self.raw, detail or self.detail, seed))
