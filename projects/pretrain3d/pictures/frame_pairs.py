"""Two RGB-D frames of one scene as clouds side by side, with places that both have seen joined by lines."""
import colorsys
from dataclasses import dataclass
from typing import Sequence, Tuple

import numpy as np
from PIL import Image, ImageDraw

from ..converters.pairs.neighbours import RadiusIndex
from .raster import View, colour_pixels, edge_shade, halve, point_radius, rasterise, view_from

PANEL = (620, 460)  # pixels of one frame
GAP = 20
RAISED = np.radians(15)  # that much higher than the camera stood is it looked at from
PALE = 0.3  # of the colour that points without a partner keep
NEIGHBOURS = 12  # that a normal is fitted to


@dataclass(frozen=True)
class FrameCloud:
    """The stored points of a frame: xyz (N, 3) metres in the world, rgb (N, 3), pose (4, 4) camera to world."""
    xyz: np.ndarray
    rgb: np.ndarray
    pose: np.ndarray


def matches(first: FrameCloud, second: FrameCloud, radius: float) -> np.ndarray:
    """(P, 2) int64 rows of points that lie within ``radius`` (metres) of each other, many-to-many."""
    return RadiusIndex(second.xyz, radius).pairs(first.xyz)


def pair_picture(clouds: Sequence[FrameCloud], pairs: np.ndarray, lines: int = 32) -> Image.Image:
    """Both clouds, pale where the other frame saw nothing, and ``lines`` of the ``pairs`` (P, 2) spread over them."""
    drawn = [_drawn(cloud, pairs[:, side]) for side, cloud in enumerate(clouds)]
    width, height = PANEL
    sheet = Image.new('RGB', (2 * width + GAP, height), (255, 255, 255))
    for side, (_, picture) in enumerate(drawn):
        sheet.paste(Image.fromarray(picture), (side * (width + GAP), 0))
    places = [view.project(cloud.xyz[pairs[:, side]])[:, :2] / 2 + (side * (width + GAP), 0)
              for side, (cloud, (view, _)) in enumerate(zip(clouds, drawn))]
    chosen = spread_rows(np.concatenate(places, 1), lines)
    # Lines from left to right run through the colours, so that one can follow them.
    chosen = chosen[np.argsort(places[0][chosen, 0])]
    over = Image.new('RGBA', sheet.size)
    draw = ImageDraw.Draw(over)
    for number, row in enumerate(chosen):
        colour = tuple(int(255 * part) for part in colorsys.hsv_to_rgb(0.83 * number / max(len(chosen), 1), 0.9, 0.85))
        ends = [tuple(place[row]) for place in places]
        draw.line((*ends[0], *ends[1]), fill=(*colour, 165), width=2)
        for x, y in ends:
            draw.ellipse((x - 5, y - 5, x + 5, y + 5), fill=(*colour, 255), outline=(255, 255, 255, 255), width=2)
    return Image.alpha_composite(sheet.convert('RGBA'), over).convert('RGB')


def spread_rows(places: np.ndarray, count: int, candidates: int = 2000) -> np.ndarray:
    """Rows of ``places`` (P, D), at most ``count``, each as far as can be from those before it."""
    rows = np.linspace(0, len(places) - 1, min(candidates, len(places))).astype(int)
    left = places[rows]
    chosen, distance = [], np.full(len(left), np.inf)
    for _ in range(min(count, len(left))):
        pick = int(np.argmax(distance))
        chosen.append(rows[pick])
        distance = np.minimum(distance, ((left - left[pick]) ** 2).sum(1))
    return np.array(chosen, int)


def normals_towards(xyz: np.ndarray, eye: np.ndarray) -> np.ndarray:
    """(N, 3) unit normals of the plane through each point's neighbours, turned towards ``eye`` (3,)."""
    from scipy.spatial import cKDTree
    rows = cKDTree(xyz).query(xyz, k=min(NEIGHBOURS, len(xyz)))[1].reshape(len(xyz), -1)
    around = xyz[rows] - xyz[rows].mean(1, keepdims=True)
    normal = np.linalg.eigh(np.einsum('nki,nkj->nij', around, around))[1][:, :, 0]
    return normal * np.where(np.einsum('ni,ni->n', normal, eye - xyz) < 0, -1, 1)[:, None]


def _drawn(cloud: FrameCloud, matched: np.ndarray) -> Tuple[View, np.ndarray]:
    """The view of a frame's cloud from above its camera, and the picture at half the view's size."""
    xyz = cloud.xyz.astype(np.float64)
    forward = cloud.pose[:3, 2]
    elevation = np.clip(np.arcsin(np.clip(-forward[2], -1, 1)) + RAISED, 0.1, 1.4)
    view = view_from(xyz, np.arctan2(-forward[1], -forward[0]), elevation, 2 * PANEL[0], 2 * PANEL[1])
    index, depth = rasterise(view, xyz, normals_towards(xyz, cloud.pose[:3, 3]), point_radius(xyz))
    rgb = cloud.rgb.astype(float)
    lonely = np.ones(len(xyz), bool)
    lonely[matched] = False
    rgb[lonely] = 255 - (255 - rgb[lonely].mean(1, keepdims=True)) * PALE
    return view, halve(colour_pixels(index, rgb, edge_shade(depth, 1.0)))
