"""Colour as a function of position: the same texture paints the mesh's vertices and the images' pixels."""
from dataclasses import dataclass
from typing import Sequence, Tuple

import numpy as np

KINDS = ('plain', 'stripes', 'checker', 'grain', 'speckle')


@dataclass(frozen=True)
class Texture:
    """A procedural 3D texture.

    Attributes:
        base, accent: RGB in [0, 1].
        kind: one of :data:`KINDS`.
        scale: size of the pattern in metres.
        axis: the local axis along which stripes and grain run across.
        seed: shifts the pattern's noise.
    """
    base: Tuple[float, float, float]
    accent: Tuple[float, float, float]
    kind: str = 'plain'
    scale: float = 0.1
    axis: int = 0
    seed: int = 0

    def __call__(self, local: np.ndarray) -> np.ndarray:
        """RGB in [0, 1], (N, 3), at local positions (N, 3)."""
        cell = local / self.scale
        if self.kind == 'plain':
            blend = 0.15 * value_noise(cell, self.seed)
        elif self.kind == 'stripes':
            blend = (np.floor(cell[:, self.axis]) % 2)
        elif self.kind == 'checker':
            blend = (np.floor(cell + 1e-4).sum(1) % 2)
        elif self.kind == 'grain':
            stretched = cell.copy()
            stretched[:, self.axis] *= 0.1
            blend = value_noise(stretched * 4, self.seed)
        elif self.kind == 'speckle':
            blend = (value_noise(cell * 3, self.seed) > 0.62).astype(np.float64)
        else:
            raise ValueError(f'unknown texture kind {self.kind!r}; choose one of {KINDS}')
        blend = np.clip(blend, 0, 1)[:, None]
        return (1 - blend) * np.asarray(self.base) + blend * np.asarray(self.accent)


def value_noise(points: np.ndarray, seed: int) -> np.ndarray:
    """Smooth noise in [0, 1], (N,): random values on the integer lattice, trilinearly blended."""
    low = np.floor(points).astype(np.int64)
    fraction = points - low
    fraction = fraction * fraction * (3 - 2 * fraction)
    total = np.zeros(len(points))
    for corner in range(8):
        offset = np.array([corner & 1, corner >> 1 & 1, corner >> 2 & 1])
        weight = np.where(offset, fraction, 1 - fraction).prod(1)
        total += weight * lattice_hash(low + offset, seed)
    return total


def lattice_hash(lattice: np.ndarray, seed: int) -> np.ndarray:
    """Reproducible pseudo-random values in [0, 1), (N,), of integer lattice points (N, 3)."""
    x, y, z = (lattice[:, i].astype(np.uint64) for i in range(3))
    word = (x * np.uint64(0x9E3779B97F4A7C15) ^ y * np.uint64(0xC2B2AE3D27D4EB4F) ^ z * np.uint64(0x165667B19E3779F9)
            ^ np.uint64(seed * 0xD6E8FEB86659FD93 & 0xFFFFFFFFFFFFFFFF))
    word ^= word >> np.uint64(31)
    word *= np.uint64(0xBF58476D1CE4E5B9)
    word ^= word >> np.uint64(29)
    return (word >> np.uint64(11)).astype(np.float64) / float(1 << 53)


# Material families, each shared by several classes, so that colour hints at the class without telling it. (hue range, saturation, value)
FAMILIES = dict(
    wood=((0.05, 0.11), (0.35, 0.7), (0.3, 0.75)),
    oak=((0.08, 0.12), (0.35, 0.55), (0.6, 0.8)),
    walnut=((0.03, 0.07), (0.5, 0.75), (0.2, 0.4)),
    red_cloth=((-0.05, 0.06), (0.35, 0.65), (0.4, 0.8)),
    green_cloth=((0.25, 0.45), (0.3, 0.6), (0.3, 0.7)),
    blue_cloth=((0.55, 0.7), (0.3, 0.6), (0.3, 0.75)),
    fabric=((0.0, 1.0), (0.1, 0.6), (0.25, 0.8)),
    white=((0.08, 0.16), (0.0, 0.08), (0.75, 0.95)),
    metal=((0.55, 0.65), (0.02, 0.12), (0.3, 0.75)),
    paint=((0.0, 1.0), (0.05, 0.25), (0.65, 0.95)),
    stone=((0.05, 0.15), (0.02, 0.15), (0.35, 0.7)),
    vivid=((0.0, 1.0), (0.5, 0.9), (0.4, 0.9)),
    # Offices.
    plaster=((0.09, 0.14), (0.04, 0.16), (0.78, 0.95)),
    carpet=((0.5, 0.72), (0.05, 0.25), (0.25, 0.45)),
    vinyl=((0.08, 0.13), (0.1, 0.25), (0.55, 0.75)),
    laminate=((0.08, 0.11), (0.2, 0.45), (0.6, 0.85)),
    mesh=((0.55, 0.7), (0.0, 0.2), (0.08, 0.25)),
    leather=((0.0, 0.08), (0.3, 0.7), (0.12, 0.4)),
    upholstery=((0.5, 0.68), (0.35, 0.65), (0.3, 0.55)),
    steel=((0.5, 0.7), (0.0, 0.06), (0.45, 0.7)),
    enamel=((0.1, 0.16), (0.0, 0.05), (0.88, 0.99)))
PATTERNS = dict(
    wood=('grain', 'grain', 'plain'), oak=('grain', 'plain'), walnut=('grain', 'plain'),
    red_cloth=('plain', 'stripes'), green_cloth=('plain', 'speckle'), blue_cloth=('plain', 'checker'), fabric=('plain', 'speckle', 'stripes', 'checker'), white=('plain',),
    metal=('plain', 'plain', 'stripes'), paint=('plain', 'plain', 'plain', 'stripes'),
    stone=('speckle', 'checker', 'plain'), vivid=('speckle', 'checker', 'stripes', 'grain'),
    plaster=('plain',), carpet=('speckle', 'checker'), vinyl=('plain', 'checker'), laminate=('plain', 'grain'),
    mesh=('plain',), leather=('plain',), upholstery=('speckle', 'plain'), steel=('plain',), enamel=('plain',))


def draw(rng: np.random.Generator, families: Sequence[str], scale: float = 0.1) -> Texture:
    """Draw a texture from one of the material ``families``."""
    family = families[rng.integers(len(families))]
    hue, saturation, value = (rng.uniform(*bounds) for bounds in FAMILIES[family])
    base = hsv(hue, saturation, value)
    accent = hsv(hue + rng.normal(0, 0.04), saturation * rng.uniform(0.6, 1.3), value * rng.uniform(0.55, 1.25))
    kinds = PATTERNS[family]
    return Texture(base, accent, kinds[rng.integers(len(kinds))], scale * rng.uniform(0.6, 1.6),
                   int(rng.integers(3)), int(rng.integers(1 << 31)))


def hsv(hue: float, saturation: float, value: float) -> Tuple[float, float, float]:
    """RGB in [0, 1] of a hue (turns), saturation and value; out-of-range arguments are clipped."""
    import colorsys
    return colorsys.hsv_to_rgb(hue % 1.0, min(max(saturation, 0.0), 1.0), min(max(value, 0.0), 1.0))
