"""Line charts as SVG text, to stand in an HTML page."""
import math
from dataclasses import dataclass
from typing import Dict, List, Sequence, Tuple

import numpy as np

from .report import Html, element, join

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 340, 64, 18, 40, 50
LETTER = 7.0  # width of a letter of a name, about
INK, FAINT, LINE = '#1e1e22', '#6b6b73', '#e2e4ea'
# Distinct under the common forms of colour blindness.
COLOURS = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9')


@dataclass(frozen=True)
class Series:
    """One line of a chart: its name, its points (x, y), and whether each point gets a dot.

    Lines of one name have one colour and are named once.
    """
    name: str
    points: Sequence[Tuple[float, float]]
    dots: bool = False


def ticks(low: float, high: float, count: int = 5) -> List[float]:
    """About ``count`` round numbers (1, 2 or 5 times a power of ten apart) inside [low, high]."""
    if not high > low:
        return [low]
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def line_chart(title: str, series: Sequence[Series], x_name: str, y_name: str) -> Html:
    """A chart with axes from 0 (or the smallest value, if that is negative) and a legend where there are two lines.

    Points that are not finite are left out; a chart without any point says so.
    """
    kept = [np.array([point for point in line.points if np.isfinite(point).all()], float).reshape(-1, 2)
            for line in series]
    everything = np.concatenate(kept) if kept else np.zeros((0, 2))
    parts = [_text(LEFT, 20, title, size=16, weight='600')]
    if not len(everything):
        parts.append(_text(WIDTH / 2, HEIGHT / 2, 'no values', 'middle', FAINT))
        return _svg(parts, title)
    low, high = np.minimum(everything.min(0), 0), everything.max(0)
    high = np.where(high > low, low + (high - low) * (1.0, 1.06), low + 1)

    def place(points: np.ndarray) -> np.ndarray:
        share = (points - low) / (high - low)
        return np.stack([LEFT + share[:, 0] * (WIDTH - LEFT - RIGHT),
                         HEIGHT - BOTTOM - share[:, 1] * (HEIGHT - TOP - BOTTOM)], 1)

    parts += _axes(low, high, place, x_name, y_name)
    colours = _colours(series)
    for line, points in zip(series, kept):
        colour, where = colours[line.name], place(points)
        path = ' '.join(f'{x:.1f},{y:.1f}' for x, y in where)
        parts.append(Html(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.2" '
                          'stroke-linejoin="round"/>'))
        if line.dots:
            parts += [Html(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>') for x, y in where]
    if len(colours) > 1:
        parts += _names(colours)
    return _svg(parts, title)


def _axes(low: np.ndarray, high: np.ndarray, place, x_name: str, y_name: str) -> List[Html]:
    parts = []
    for value in ticks(low[1], high[1]):
        y = place(np.array([[low[0], value]]))[0, 1]
        parts += [_rule(LEFT, y, WIDTH - RIGHT, y), _text(LEFT - 8, y + 4, f'{value:g}', 'end', FAINT)]
    for value in ticks(low[0], high[0], 6):
        x = place(np.array([[value, low[1]]]))[0, 0]
        parts.append(_text(x, HEIGHT - BOTTOM + 18, f'{value:g}', 'middle', FAINT))
    bottom = HEIGHT - BOTTOM
    parts += [_rule(LEFT, bottom, WIDTH - RIGHT, bottom, FAINT),
              _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, x_name, 'middle', FAINT),
              element('text', y_name, fill=FAINT, text_anchor='middle',
                      transform=f'translate(16 {(TOP + bottom) / 2:g}) rotate(-90)')]
    return parts


def _colours(series: Sequence[Series]) -> Dict[str, str]:
    """Name -> colour, in the order of the lines."""
    names = dict.fromkeys(line.name for line in series)
    return {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(names)}


def _names(colours: Dict[str, str]) -> List[Html]:
    """In the title's row, from the right, where no line can run through them."""
    parts, right = [], WIDTH - RIGHT
    for name, colour in reversed(colours.items()):
        left = right - LETTER * len(name)
        parts += [_text(right, 20, name, 'end'), _rule(left - 30, 16, left - 6, 16, colour, 3)]
        right = left - 44
    return parts


def _rule(x0: float, y0: float, x1: float, y1: float, colour: str = LINE, width: float = 1) -> Html:
    return Html(f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" stroke="{colour}" '
                f'stroke-width="{width:g}"/>')


def _text(x: float, y: float, content: str, anchor: str = 'start', colour: str = INK, size: int = 13,
          weight: str = '400') -> Html:
    return element('text', content, x=f'{x:.1f}', y=f'{y:.1f}', fill=colour, font_size=f'{size}', font_weight=weight,
                   text_anchor=anchor)


def _svg(parts: Sequence[Html], title: str) -> Html:
    drawing = element('svg', join(parts), viewBox=f'0 0 {WIDTH} {HEIGHT}', role='img', aria_label=title,
                      font_size='13', font_family='inherit')
    return element('figure', drawing)
