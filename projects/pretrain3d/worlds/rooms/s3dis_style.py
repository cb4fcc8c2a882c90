"""Offices as S3DIS shows them: kinds of rooms, what stands in them, columns, beams and lamps, and its sensor."""
from dataclasses import dataclass
from typing import List

import numpy as np

from ..render import Caster
from ..shapes import Item, box, ray_mesh
from ..textures import Texture, draw
from .layout import Room, Wall
from .s3dis_furniture import ARCHETYPES_OFFICE
from .style import Style

RECIPES = dict(
    office=(('door', 1, 1, 'hang'), ('window', 0, 1, 'hang'), ('table', 1, 2, 'wall'), ('bookcase', 1, 3, 'wall'),
            ('swivel_chair', 1, 2, 'front:table'), ('board', 0, 1, 'hang'), ('file_cabinet', 0, 2, 'wall'),
            ('side_chair', 1, 2, 'free'), ('screen', 1, 2, 'on:table'), ('papers', 1, 3, 'on:table'),
            ('bin', 1, 1, 'wall'), ('poster', 0, 1, 'hang'), ('parcel', 0, 2, 'free')),
    conferenceRoom=(('door', 1, 2, 'hang'), ('meeting_table', 1, 1, 'middle'), ('chair', 5, 9, 'around:meeting_table'),
                    ('board', 1, 2, 'hang'), ('window', 0, 2, 'hang'), ('papers', 1, 3, 'on:meeting_table'),
                    ('bin', 0, 1, 'wall'), ('bookcase', 0, 1, 'wall'), ('poster', 0, 1, 'hang')),
    hallway=(('door', 3, 6, 'hang'), ('board', 0, 1, 'hang'), ('poster', 1, 3, 'hang'), ('bin', 0, 1, 'wall'),
             ('file_cabinet', 0, 1, 'wall'), ('side_chair', 0, 2, 'wall'), ('bookcase', 0, 1, 'wall')),
    lounge=(('door', 1, 2, 'hang'), ('sofa', 2, 3, 'wall'), ('low_table', 1, 2, 'free'), ('side_chair', 1, 3, 'free'),
            ('window', 1, 2, 'hang'), ('papers', 0, 2, 'on:low_table'), ('bookcase', 0, 1, 'wall'),
            ('lamp', 0, 1, 'wall'), ('poster', 1, 2, 'hang'), ('curtain', 0, 1, 'hang'), ('bin', 0, 1, 'wall')),
    copyRoom=(('door', 1, 1, 'hang'), ('printer', 1, 2, 'wall'), ('table', 1, 1, 'wall'), ('bookcase', 1, 2, 'wall'),
              ('file_cabinet', 1, 2, 'wall'), ('papers', 1, 2, 'on:table'), ('bin', 1, 2, 'wall'),
              ('parcel', 1, 3, 'free'), ('board', 0, 1, 'hang')),
    WC=(('door', 1, 1, 'hang'), ('toilet', 1, 2, 'wall'), ('washbasin', 1, 2, 'wall'), ('bin', 1, 1, 'wall'),
        ('window', 0, 1, 'hang')),
    openspace=(('door', 1, 2, 'hang'), ('window', 1, 2, 'hang'), ('table', 2, 4, 'wall'), ('board', 1, 1, 'hang'),
               ('swivel_chair', 2, 4, 'front:table'), ('low_table', 0, 1, 'free'), ('sofa', 0, 1, 'wall'),
               ('chair', 1, 2, 'free'), ('bookcase', 1, 2, 'wall'), ('screen', 2, 4, 'on:table'),
               ('papers', 1, 3, 'on:table'), ('file_cabinet', 0, 1, 'wall'), ('bin', 1, 1, 'wall')))
# Offices are most of S3DIS' rooms, halls come next.
SEQUENCE = ('office', 'conferenceRoom', 'office', 'hallway', 'openspace', 'office', 'lounge', 'office', 'copyRoom',
            'hallway', 'office', 'WC')
BEAM_SHARE, COLUMN_SHARE = 0.35, 0.45


def structure(rng: np.random.Generator, kind: str, floors, walls: List[Wall], height: float) -> List[Item]:
    """Columns before walls, beams below the ceiling, and lamps (clutter) on it."""
    if kind == 'WC':
        return []
    items = []
    plaster = draw(rng, ('plaster', 'plaster', 'stone'), 0.3)
    if rng.random() < COLUMN_SHARE:
        for wall in rng.permutation(len(walls))[:rng.integers(1, 3)]:
            wall, size = walls[wall], rng.uniform(0.3, 0.5)
            spot = wall.start + (wall.end - wall.start) * rng.uniform(0.1, 0.9) + wall.inward * size / 2
            if _on_floor(floors, spot, size / 2):
                items.append(Item('column', (box((size, size, height), (*spot, height / 2), plaster),)))
    x0, y0, x1, y1 = floors[rng.integers(len(floors))]
    if rng.random() < BEAM_SHARE:
        deep, thick = rng.uniform(0.25, 0.4), rng.uniform(0.25, 0.4)
        for share in rng.uniform(0.15, 0.85, rng.integers(1, 3)):
            x = x0 + (x1 - x0) * share
            items.append(Item('beam', (box((thick, y1 - y0, deep), (x, (y0 + y1) / 2, height - deep / 2), plaster),)))
    glow = Texture((0.98, 0.97, 0.9), (1.0, 1.0, 0.97), 'plain', 0.5)
    size = (0.25, min(1.2, (y1 - y0) / 2), 0.07)
    lamps = tuple(box(size, (x0 + (x1 - x0) * share, (y0 + y1) / 2, height - 0.03), glow) for share in (0.3, 0.7))
    return items + [Item('clutter', lamps)]


def _on_floor(floors, spot: np.ndarray, half: float) -> bool:
    return any(x0 <= spot[0] - half + 0.3 and spot[0] + half - 0.3 <= x1 and y0 <= spot[1] <= y1
               for x0, y0, x1, y1 in floors)


OFFICES = Style(
    RECIPES, archetypes=ARCHETYPES_OFFICE, structure=structure, size=((3.4, 5.0), (3.0, 4.4)),
    sizes=dict(conferenceRoom=((4.6, 6.2), (3.8, 5.0)), hallway=((5.5, 8.5), (1.7, 2.3)), WC=((2.2, 3.2), (2.0, 3.0)),
               copyRoom=((2.8, 3.8), (2.6, 3.4)), openspace=((5.0, 6.5), (4.2, 5.4))),
    plain=('conferenceRoom', 'hallway', 'WC', 'copyRoom'), shapes=(0.75, 0.95), height=(2.7, 3.2),
    paint=('plaster', 'plaster', 'plaster', 'paint'), accent=('plaster', 'plaster', 'paint', 'laminate'),
    ground=('carpet', 'carpet', 'vinyl', 'stone'), ceiling=('plaster', 'enamel'))


@dataclass(frozen=True)
class Sensor:
    """A scanner on a tripod whose many standpoints leave hardly a hole, and its camera.

    Attributes:
        noise: standard deviation (metres) of a point along its surface's normal.
        stray: share of points that lie up to 3 cm off any surface.
        contrast: range of the exponent of the colour response. warmth: range of red over blue.
        colour_noise: standard deviation of a colour in [0, 1].
    """
    noise: float = 0.003
    stray: float = 0.002
    contrast: tuple = (0.85, 1.2)
    warmth: tuple = (1.02, 1.2)
    colour_noise: float = 0.012


@dataclass
class Cloud:
    """A scanned room: ``xyz`` (N, 3) metres, ``rgb`` (N, 3) uint8, ``item`` (N,) index into the room's items."""
    xyz: np.ndarray
    rgb: np.ndarray
    item: np.ndarray


def standpoints(room: Room) -> np.ndarray:
    """(K, 3): a grid over every rectangle of the floor, at three heights."""
    points = []
    for x0, y0, x1, y1 in room.floors:
        for x in np.linspace(x0, x1, 6)[1:-1]:
            for y in np.linspace(y0, y1, 5)[1:-1]:
                points += [(x, y, 1.5), (x, y, room.height - 0.5), (x, y, 0.5)]
    return np.array(points)


def sample_room(rng: np.random.Generator, room: Room, density: float, sensor: Sensor = Sensor()) -> Cloud:
    """``density`` points per square metre of all surfaces that any of the standpoints sees."""
    parts = room.parts
    caster = Caster(parts)
    triangles, owner = ray_mesh(parts)
    cross = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    area = np.linalg.norm(cross, axis=1) / 2
    count = int(area.sum() * density)
    # Systematic over the summed areas: every triangle gets its share of the points but for a fraction of one.
    row = np.searchsorted(np.cumsum(area), (np.arange(count) + rng.random(count)) * (area.sum() / count))
    row = np.minimum(row, len(area) - 1)
    u, v = rng.random((2, count, 1))
    u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
    corner = triangles[row]
    xyz = corner[:, 0] + u * (corner[:, 1] - corner[:, 0]) + v * (corner[:, 2] - corner[:, 0])
    normal = cross[row] / np.maximum(2 * area[row], 1e-12)[:, None]
    seen = np.zeros(count, bool)
    off = xyz + normal * 0.004  # a little off the surface, or a triangle would hide itself
    for eye in standpoints(room):
        rows = np.flatnonzero(~seen & (((eye - xyz) * normal).sum(1) > 0))
        seen[rows] = caster.visible(off[rows], eye)
    xyz, normal, part = xyz[seen], normal[seen], owner[row[seen]]
    rgb = np.clip(caster.colour(part, xyz, normal), 0, 1) ** rng.uniform(*sensor.contrast)
    warm = np.sqrt(rng.uniform(*sensor.warmth))
    rgb = rgb * (warm, 1.0, 1 / warm) + rng.normal(0, sensor.colour_noise, rgb.shape)
    depth = rng.normal(0, sensor.noise, len(xyz))
    depth = np.where(rng.random(len(xyz)) < sensor.stray, rng.uniform(-0.03, 0.03, len(xyz)), depth)
    return Cloud(xyz + normal * depth[:, None], (np.clip(rgb, 0, 1) * 255 + 0.5).astype(np.uint8), room.part_item[part])
