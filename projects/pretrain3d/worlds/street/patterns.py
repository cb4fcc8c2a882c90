"""Patterns of surfaces as functions of texture coordinates; the same ones colour images and answer the LiDAR.

Colours are linear light, float32. Detail finer than ``blur`` (metres that one ray stands for) fades into its mean, so
that far surfaces do not flicker.
"""
from dataclasses import dataclass
from typing import Callable, Dict

import numpy as np

from .surfaces import Palette

_ONE = np.float32(1)


@dataclass
class Look:
    """Surface points: ``uv`` (n, 2) metres, ``seed`` (n,) uint32, ``scale`` (n,), ``blur`` (n,) metres, ``triangle``
    (n,); a pattern changes ``colour`` (n, 3), ``reflect`` (n,), ``shine`` (n,) and ``glow`` (n,), given ``accent``."""
    uv: np.ndarray
    seed: np.ndarray
    scale: np.ndarray
    blur: np.ndarray
    triangle: np.ndarray
    colour: np.ndarray
    accent: np.ndarray
    reflect: np.ndarray
    shine: np.ndarray
    glow: np.ndarray

    def part(self, start: int, end: int) -> 'Look':
        """A view of some points."""
        return Look(*(getattr(self, name)[start:end] for name in self.__dataclass_fields__))

    def blend(self, share: np.ndarray) -> None:
        """Mix the accent into the colour."""
        self.colour += share.astype(np.float32, copy=False)[:, None] * (self.accent - self.colour)

    def fade(self, size) -> np.ndarray:
        """(n,) 1 where detail of ``size`` metres is seen, 0 where a ray is coarser than it."""
        return np.clip(1.6 - 1.2 * self.blur / size, 0, 1).astype(np.float32)


def hashed(x: np.ndarray, y: np.ndarray, seed) -> np.ndarray:
    """(n,) float32 in [0, 1), reproducible, of integer lattice points and seeds."""
    word = (x.astype(np.int64).astype(np.uint32) * np.uint32(0x9E3779B1)
            ^ y.astype(np.int64).astype(np.uint32) * np.uint32(0x85EBCA77)
            ^ np.asarray(seed).astype(np.uint32) * np.uint32(0xC2B2AE3D))
    word ^= word >> np.uint32(15)
    word *= np.uint32(0x2C1B3C6D)
    word ^= word >> np.uint32(12)
    word *= np.uint32(0x297A2D39)
    word ^= word >> np.uint32(15)
    return (word >> np.uint32(8)).astype(np.float32) * np.float32(2.0 ** -24)


def noise(x: np.ndarray, y: np.ndarray, seed) -> np.ndarray:
    """(n,) smooth noise in [0, 1]."""
    low_x, low_y = np.floor(x), np.floor(y)
    a, b = (x - low_x).astype(np.float32), (y - low_y).astype(np.float32)
    a, b = a * a * (3 - 2 * a), b * b * (3 - 2 * b)
    lower = hashed(low_x, low_y, seed) * (_ONE - a) + hashed(low_x + 1, low_y, seed) * a
    upper = hashed(low_x, low_y + 1, seed) * (_ONE - a) + hashed(low_x + 1, low_y + 1, seed) * a
    return lower * (_ONE - b) + upper * b


def _rest(value: np.ndarray) -> np.ndarray:
    """Fractional part."""
    return value - np.floor(value)


def _worn(look: Look) -> None:
    u, v = (look.uv / look.scale[:, None]).T
    look.blend(0.55 * noise(u, v, look.seed) + 0.45 * noise(5 * u, 5 * v, look.seed) * look.fade(0.2 * look.scale))


def _plain(look: Look) -> None:
    u, v = look.uv.T
    look.colour *= (0.94 + 0.12 * noise(u * 3, v * 3, look.seed))[:, None]


def _asphalt(look: Look) -> None:
    s, d = look.uv.T
    grain = hashed(np.floor(s * 40), np.floor(d * 40), look.seed) * look.fade(0.025) + 0.5 * (1 - look.fade(0.025))
    tyres = np.clip(np.cos(2 * np.pi * (np.abs(d) - 0.8) / 1.75), 0, 1) ** 2
    repair = noise(s / 9 + 31, d / 3.5, look.seed) > 0.73
    crack = (np.abs(noise(s / 2.3, d / 1.7, look.seed) - 0.5) < 0.005) & (look.blur < 0.05)
    share = 0.35 * noise(s / 6, d / 2, look.seed) + 0.24 * grain + 0.14 * tyres + 0.27 * repair + 0.4 * crack
    look.blend(np.clip(share, 0, 1))


def _tiles(look: Look) -> None:
    u, v = (look.uv / look.scale[:, None]).T
    stone = hashed(np.floor(u), np.floor(v), look.seed)
    gap = 0.025 / look.scale
    joint = ((_rest(u) < gap) | (_rest(v) < gap)) * look.fade(0.05)
    dirt = 0.25 * noise(u / 4, v / 4, look.seed)
    look.blend(np.clip(0.45 * stone * look.fade(look.scale) + dirt + 0.8 * joint, 0, 1))


def _grass(look: Look) -> None:
    u, v = look.uv.T
    look.blend(np.clip(1.5 * noise(u / 3.1, v / 3.1, look.seed) - 0.45, 0, 1))
    blades = noise(u * 9, v * 9, look.seed) * look.fade(0.11) + 0.5 * (1 - look.fade(0.11))
    look.colour *= (0.6 + 0.8 * blades)[:, None]


def _bands(look: Look) -> None:
    look.blend((_rest(look.uv[:, 0] / look.scale) < 0.5) * look.fade(look.scale) + 0.5 * (1 - look.fade(look.scale)))


def _slant(look: Look) -> None:
    look.blend((_rest((look.uv[:, 0] + look.uv[:, 1]) / look.scale) < 0.5).astype(np.float32))


def _planks(look: Look) -> None:
    u, v = look.uv.T
    row = np.floor(v / look.scale)
    look.blend(0.6 * hashed(row, 0 * row, look.seed) + 0.4 * noise(u * 1.5, v * 22, look.seed) * look.fade(0.05))


def _cloth(look: Look) -> None:
    u, v = look.uv.T
    look.colour *= (0.82 + 0.3 * noise(u * 6, v * 6, look.seed))[:, None]


def _vest(look: Look) -> None:
    band = np.abs(_rest(look.uv[:, 1] / look.scale) - 0.5) < 0.2
    look.blend(band.astype(np.float32))
    look.reflect *= np.where(band, _ONE, np.float32(0.6))


def _livery(look: Look) -> None:
    """A stripe and blocks of another colour."""
    u, v = (look.uv / look.scale[:, None]).T
    stripe = np.abs(v - 0.35) < 0.08
    block = (hashed(np.floor(u * 1.2), np.floor(v * 2), look.seed) > 0.72) & (v > 0.55) & (v < 1.05)
    look.blend((0.9 * (stripe | block)).astype(np.float32))


def _bark(look: Look) -> None:
    u, v = (look.uv / look.scale[:, None]).T
    look.blend(noise(u * 2, v * 0.6, look.seed))


def _leaves(look: Look) -> None:
    """Every leaf, whose texture coordinates are one point, has its own shade."""
    shade = hashed(look.uv[:, 0] * 50, look.uv[:, 1] * 50, look.seed)
    look.blend(0.9 * shade)
    look.colour *= (0.75 + 0.5 * noise(look.uv[:, 0] * 9, look.uv[:, 1] * 9, look.seed))[:, None]
    look.reflect *= (0.6 + 0.8 * shade)


def _spokes(look: Look) -> None:
    look.blend((look.triangle % 2).astype(np.float32))


def _sign(look: Look) -> None:
    """A plate with a white bar or a white rim; texture coordinates run from a corner or from a round rim."""
    u, v = (look.uv / look.scale[:, None]).T
    bar = (np.abs(v - 0.5) < 0.12) & (np.abs(u - 0.5) < 0.36)
    look.blend(0.95 * bar.astype(np.float32))


def _lacquer(look: Look) -> None:
    u, v = look.uv.T
    look.colour *= (0.97 + 0.06 * noise(u * 2, v * 2, look.seed))[:, None]
    dirt = np.clip(0.25 - v, 0, 0.25)
    look.colour *= (1 - dirt)[:, None].astype(np.float32)


def _lamp(look: Look) -> None:
    look.glow += np.float32(0.35)


def _panes(look: Look, inside: np.ndarray, u: np.ndarray, v: np.ndarray) -> None:
    """Windows where ``inside``: dark glass that mirrors the sky, some with blinds or light behind them."""
    pick = hashed(np.floor(u), np.floor(v), look.seed + 7)
    inner = np.float32([0.03, 0.04, 0.05]) + (pick > 0.62)[:, None] * np.float32([0.16, 0.15, 0.13])
    inner = np.where((pick > 0.93)[:, None], np.float32([0.5, 0.42, 0.26]), inner)
    fade = look.fade(1.5)[:, None]
    mean = np.float32([0.07, 0.075, 0.08])
    inner = inner * fade + mean * (1 - fade)
    look.colour[inside] = inner[inside]
    look.shine[inside] = 0.45
    look.reflect[inside] = 0.05


def _facade(look: Look) -> None:
    """Plaster with a grid of windows."""
    u, v = look.uv[:, 0] / look.scale, (look.uv[:, 1] - 4.2) / np.float32(3.4)
    look.blend(0.35 * noise(look.uv[:, 0] / 2.5, look.uv[:, 1] / 6, look.seed))
    a, b = _rest(u), _rest(v)
    frame = (np.abs(a - 0.5) < 0.29) & (b > 0.22) & (b < 0.82)
    look.colour *= (1 - 0.45 * frame * look.fade(0.15))[:, None]
    look.colour *= (1 - 0.25 * (b < 0.04) * look.fade(0.15))[:, None]
    inside = (np.abs(a - 0.5) < 0.26) & (b > 0.25) & (b < 0.79) & ~((np.abs(a - 0.5) < 0.012) & (look.blur < 0.06))
    _panes(look, inside, u, v)


def _brick(look: Look) -> None:
    """Courses of bricks, and windows as a facade has them."""
    u, v = look.uv[:, 0] / np.float32(0.24), look.uv[:, 1] / np.float32(0.075)
    course = np.floor(v)
    stone = hashed(np.floor(u + 0.5 * (course % 2)), course, look.seed)
    joint = (_rest(v) < 0.14) | (_rest(u + 0.5 * (course % 2)) < 0.05)
    near = look.fade(0.07)
    look.colour *= (0.75 + 0.4 * (stone * near + 0.5 * (1 - near)) + 0.35 * joint * near)[:, None]
    _facade(look)


def _curtainwall(look: Look) -> None:
    """Glass from floor to floor between mullions."""
    u, v = look.uv[:, 0] / np.float32(1.5), (look.uv[:, 1] - 4.2) / np.float32(3.4)
    a, b = _rest(u), _rest(v)
    inside = (a > 0.05) & (b > 0.16)
    tint = 0.7 * look.colour.copy()
    _panes(look, inside, u, v)
    look.colour[inside] = 0.5 * look.colour[inside] + 0.3 * tint[inside]
    look.shine[inside] = 0.6
    look.reflect[inside] = 0.1


def _shops(look: Look) -> None:
    """Ground floor: shop windows, a sign over each, pillars between."""
    u, v = look.uv[:, 0] / look.scale, look.uv[:, 1]
    a, cell = _rest(u), np.floor(u)
    kind = hashed(cell, 0 * cell, look.seed + 3)
    board = (v > 3.0) & (v < 3.7) & (a > 0.06) & (a < 0.94) & (kind > 0.25)
    hue = np.stack([hashed(cell, 0 * cell + i, look.seed) for i in range(3)], 1)
    look.colour[board] = 0.06 + 0.5 * hue[board] ** 2
    letters = board & (np.abs(v - 3.35) < 0.15) & (hashed(np.floor(look.uv[:, 0] * 3.5), cell, look.seed) > 0.4) \
        & (np.abs(a - 0.5) < 0.3) & (look.blur < 0.12)
    look.colour[letters] = 0.8
    inside = (v > 0.45) & (v < 2.8) & (a > 0.07) & (a < 0.93) & (np.abs(a - 0.36) > 0.012) & (kind > 0.25)
    plinth = (v < 0.45)
    look.colour *= (1 - 0.35 * plinth)[:, None]
    _panes(look, inside, u * 3, v / np.float32(2.8))
    goods = inside & (v < 1.5) & (hashed(np.floor(look.uv[:, 0] * 1.8), np.floor(v * 2), look.seed) > 0.5)
    look.colour[goods] += 0.12 * hue[goods]


def _nothing(look: Look) -> None:
    """One colour."""


PATTERNS: Dict[str, Callable[[Look], None]] = dict(
    plain=_plain, worn=_worn, asphalt=_asphalt, tiles=_tiles, grass=_grass, bands=_bands, slant=_slant, planks=_planks,
    cloth=_cloth, vest=_vest, livery=_livery, bark=_bark, leaves=_leaves, spokes=_spokes, sign=_sign, lacquer=_lacquer,
    lamp=_lamp, facade=_facade, brick=_brick, curtainwall=_curtainwall, shops=_shops, glass=_nothing)


def look_at(palette: Palette, surface: np.ndarray, uv: np.ndarray, triangle: np.ndarray, blur: np.ndarray) -> Look:
    """How points look: rows of the palette (n,), texture coordinates (n, 2), triangles (n,), metres per ray (n,).

    Of the result only ``colour``, ``reflect``, ``shine`` and ``glow`` are in the order of the points.
    """
    names = sorted(PATTERNS)
    codes = np.array([names.index(row.kind) for row in palette.rows], np.int8)[surface]
    order = np.argsort(codes, kind='stable')
    cuts = np.searchsorted(codes[order], np.arange(len(names) + 1))
    rows = surface[order]

    def column(name: str) -> np.ndarray:
        return palette.column(name)[rows]

    look = Look(uv[order], column('seed'), column('scale'), blur[order], triangle[order], column('base'),
                column('accent'), column('reflect'), column('shine'), np.zeros(len(rows), np.float32))
    for code, (start, end) in enumerate(zip(cuts, cuts[1:])):
        if end > start:
            PATTERNS[names[code]](look.part(start, end))
    for name in ('colour', 'reflect', 'shine', 'glow'):  # back to the order of the points
        values = getattr(look, name)
        sorted_back = np.empty_like(values)
        sorted_back[order] = values
        setattr(look, name, sorted_back)
    return look
