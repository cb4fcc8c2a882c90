"""Writes scanned offices exactly as Stanford3dDataset_v1.2_Aligned_Version (S3DIS) lies on disk.

``OUT/Area_<k>/<room>/<room>.txt``: all points, a line each, ``x y z r g b`` (metres with three decimals, 0 ... 255);
``OUT/Area_<k>/<room>/Annotations/<class>_<i>.txt``: those of one object; the class is what the file's name says.
``OUT/Area_<k>/Area_<k>_alignmentAngle.txt``: each room's angle to the axes, in degrees (aligned: 0).
Areas 1 to 4 and 6 are for training, Area 5 for validation. Rooms are called by their kind: office_1, hallway_2.
"""
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Tuple

import numpy as np

from ...files import write_atomic
from .layout import furnish
from .s3dis_style import OFFICES, SEQUENCE, Cloud, sample_room
from .variants import Variant

VERSION = 1
AREAS = (1, 2, 3, 4, 5, 6)
VALIDATION_AREA = 5
# An object of which next to nothing was seen has no file.
FEWEST_POINTS = 10


@dataclass(frozen=True)
class Preset:
    """How many rooms there are and how densely they were scanned.

    Attributes:
        train, val: number of rooms in areas 1, 2, 3, 4, 6 together, and in area 5.
        density: points per square metre (the real ones: several thousand).
    """
    train: int
    val: int
    density: float


PRESETS: Dict[str, Preset] = dict(
    tiny=Preset(train=6, val=5, density=600), small=Preset(train=60, val=15, density=900),
    medium=Preset(train=240, val=60, density=2500))


def rooms(preset: Preset) -> List[Tuple[int, str, str]]:
    """(area, kind, name) of every room, area by area; a kind is numbered within its area."""
    train_areas = [area for area in AREAS if area != VALIDATION_AREA]
    area_of = sorted([train_areas[index % len(train_areas)] for index in range(preset.train)]
                     + [VALIDATION_AREA] * preset.val)
    found, numbers, within = [], Counter(), Counter()
    for index, area in enumerate(area_of):
        # The validation area begins with the sequence, or a small one would lack kinds that training has.
        kind = SEQUENCE[(within[area] if area == VALIDATION_AREA else index) % len(SEQUENCE)]
        within[area] += 1
        numbers[area, kind] += 1
        found.append((area, kind, f'{kind}_{numbers[area, kind]}'))
    return found


def draw(rng: np.random.Generator, folder: Path, index: int, preset: Preset) -> None:
    """Draw room ``index`` into ``folder``: offices, scanned from many standpoints."""
    _, kind, name = rooms(preset)[index]
    room = furnish(rng, kind, OFFICES)
    cloud = sample_room(rng, room, preset.density)
    # Rooms lie somewhere on their area's floor, along its axes.
    cloud.xyz += (*rng.uniform(-25, 25, 2), rng.uniform(-0.05, 0.05))
    write_room(folder, name, cloud, [item.category for item in room.items])


def write_room(folder: Path, name: str, cloud: Cloud, categories: List[str]) -> None:
    """Write the text files of one room.

    Args:
        folder: the room's folder, which must exist.
        name: for instance ``office_1``.
        cloud: its points. categories: class of every item that ``cloud.item`` names.
    """
    (folder / 'Annotations').mkdir()
    numbers, texts = Counter(), []
    for item, category in enumerate(categories):
        rows = cloud.item == item
        if rows.sum() < FEWEST_POINTS:
            continue
        numbers[category] += 1
        texts.append(_lines(cloud.xyz[rows], cloud.rgb[rows]))
        (folder / 'Annotations' / f'{category}_{numbers[category]}.txt').write_text(texts[-1])
    (folder / f'{name}.txt').write_text(''.join(texts))


def _lines(xyz: np.ndarray, rgb: np.ndarray) -> str:
    rows = zip(*xyz.T.tolist(), *rgb.T.tolist())
    return ''.join('%.3f %.3f %.3f %d %d %d\n' % row for row in rows)


def finish(root: Path, preset: Preset) -> None:
    """Write the areas' lists of angles."""
    for area in AREAS:
        lines = [f'## Global alignment angle per disjoint space in Area_{area} ##',
                 '## Disjoint Space Name Global Alignment Angle ##']
        lines += [f'{name} 0' for of, _, name in rooms(preset) if of == area]
        write_atomic(root / f'Area_{area}' / f'Area_{area}_alignmentAngle.txt', ('\n'.join(lines) + '\n').encode())


VARIANT = Variant(
    mark='rooms as=s3dis', version=VERSION, presets=PRESETS, draw=draw, finish=finish,
    folders=lambda preset: [f'Area_{area}/{name}' for area, _, name in rooms(preset)])
