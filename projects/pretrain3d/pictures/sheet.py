"""The contact sheet: for every scan its frames with labels, coloured cloud from two sides, label cloud and boxes."""
from typing import Iterable, List, Optional, Sequence, Tuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .frame_labels import frame_colour, frame_labels, frame_points
from .raster import View, colour_pixels, edge_shade, halve, point_radius, rasterise, shade, view_from
from ..label_spaces import LabelSpace
from .scans import SPACE, BrowsedScan, is_furniture

WIDTH, GAP, TITLE, HEADER, CAPTION, LEGEND = 1680, 8, 44, 30, 20, 30
FRAMES, FRAME_HEIGHT, PANELS, PANEL_HEIGHT = 4, 156, 4, 360
PANEL_WIDTH = (WIDTH - GAP * (PANELS + 1)) // PANELS // 2 * 2
ROW_HEIGHT = HEADER + FRAME_HEIGHT + CAPTION + PANEL_HEIGHT + LEGEND + 3 * GAP
INK, FAINT, PAPER = (30, 30, 34), (120, 120, 126), (255, 255, 255)
# Elevation of the oblique view, radians; the azimuth is the corner from which most furniture is seen.
ELEVATION, AZIMUTHS = np.radians(48), np.radians([35, 125, 215, 305])
BOX_CORNERS = np.array([(x, y, z) for x in (-.5, .5) for y in (-.5, .5) for z in (-.5, .5)])
BOX_EDGES = [(a, b) for a in range(8) for b in range(a) if np.abs(BOX_CORNERS[a] - BOX_CORNERS[b]).sum() == 1]


def sheet_size(rows: int, height: int = ROW_HEIGHT) -> Tuple[int, int]:
    """(width, height) pixels of the sheet of that many rows of ``height``, by default of scans."""
    return WIDTH, TITLE + rows * (height + GAP) + GAP


def stack(rows: Iterable[Image.Image], title: str, size: Tuple[int, int]) -> Image.Image:
    """The sheet of ``rows``, one below the other, under ``title``."""
    sheet = Image.new('RGB', size, PAPER)
    write_text(sheet, (GAP + 2, 8), title, 22)
    top = TITLE
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height + GAP
    return sheet


def empty_row(name: str, height: int) -> Image.Image:
    """A row with a header that names what is in it."""
    row = Image.new('RGB', (WIDTH, height), PAPER)
    ImageDraw.Draw(row).rectangle((0, 0, WIDTH, HEADER - 4), fill=(236, 238, 242))
    write_text(row, (GAP + 2, 3), name, 17)
    return row


def label_colours(space: LabelSpace) -> np.ndarray:
    """(classes + 1, 3) colours of 0 ... 255 by label, the last one of what has no class."""
    return np.array([*space.palette, (205, 205, 205)], float)


def draw_sheet(scans: Sequence[BrowsedScan], title: str) -> Image.Image:
    """The sheet of ``scans``, one below the other, under ``title``."""
    return stack(map(draw_scan, scans), title, sheet_size(len(scans)))


def draw_scan(scan: BrowsedScan) -> Image.Image:
    """One row of the sheet."""
    row = empty_row(scan.name, ROW_HEIGHT)
    width = int(ImageDraw.Draw(row).textlength(scan.name, font=ImageFont.load_default(size=17)))
    write_text(row, (GAP + max(150, width + 20), 5), _facts(scan), 15, FAINT)
    row.paste(_frame_strip(scan), (0, HEADER + GAP // 2))
    top = HEADER + FRAME_HEIGHT + GAP + CAPTION
    for place, (caption, panel) in enumerate(_cloud_panels(scan)):
        left = GAP + place * (PANEL_WIDTH + GAP)
        row.paste(panel, (left, top))
        write_text(row, (left + 2, top - CAPTION), caption, 14, FAINT)
    row.paste(legend_strip(scan.label, scan.space), (0, top + PANEL_HEIGHT + GAP // 2))
    return row


def _facts(scan: BrowsedScan) -> str:
    extent = np.ptp(scan.aligned(), axis=0)
    parts = [scan.split or 'no split', f'{len(scan.xyz):,} points', '{:.1f} x {:.1f} x {:.1f} m'.format(*extent),
             f'{len(scan.boxes)} boxes' if scan.label is not None else 'not annotated']
    if scan.frames:
        lost = scan.frames.get('lost', 0)
        parts.append(f'{len(scan.frames["frames"])} frames' + (f' ({lost} lost)' if lost else ''))
    return '   '.join(parts)


def _frame_strip(scan: BrowsedScan) -> Image.Image:
    """Pairs of a frame and the same frame under its labels, ``FRAMES`` of them spread over the recording."""
    strip = Image.new('RGB', (WIDTH, FRAME_HEIGHT), PAPER)
    records = scan.frames['frames'] if scan.frames else []
    if not records:
        write_text(strip, (GAP + 2, FRAME_HEIGHT // 2 - 10), _no_frames(scan), 15, FAINT)
        return strip
    from scipy.spatial import cKDTree
    tree = cKDTree(scan.xyz) if scan.label is not None else None
    slot = (WIDTH - GAP) // FRAMES
    picks = np.linspace(0, len(records), FRAMES, endpoint=False).astype(int)[:len(records)]
    for place, pick in enumerate(np.unique(picks)):
        size = ((slot - GAP - 2) // 2, FRAME_HEIGHT)
        colour = frame_colour(scan.frame_root, records[pick], size)
        left = GAP + place * slot
        strip.paste(Image.fromarray(colour), (left, 0))
        if tree is not None:
            points, valid = frame_points(scan.frame_root, records[pick], scan.frames, size)
            label = frame_labels(points, valid, tree, scan.label, scan.space.ignore_index).reshape(size[1], size[0])
            mixed = np.where((label == scan.space.ignore_index)[..., None], colour * 0.6,
                             colour * 0.4 + label_colours(scan.space)[label] * 0.6)
            strip.paste(Image.fromarray((mixed + 0.5).astype(np.uint8)), (left + size[0] + 2, 0))
    return strip


def _no_frames(scan: BrowsedScan) -> str:
    return 'no frames recorded (converter: --frames STEP)' if scan.space is SPACE else f'no frames ({scan.space.name})'


def _cloud_panels(scan: BrowsedScan) -> List[Tuple[str, Image.Image]]:
    """(caption, picture) of the four views of the cloud; drawn at twice the size and halved."""
    xyz, normal = scan.aligned(), scan.aligned_normals()
    radius = point_radius(xyz)
    size = (2 * PANEL_WIDTH, 2 * PANEL_HEIGHT)
    oblique = view_from(xyz, best_azimuth(xyz, normal, scan.label, scan.space), ELEVATION, *size)
    above = view_from(xyz, -np.pi / 2, np.pi / 2, *size)
    index, depth = rasterise(oblique, xyz, normal, radius)
    edges = edge_shade(depth)
    top_index, top_depth = rasterise(above, xyz, normal, radius)
    rgb = scan.rgb.astype(float)
    panels = [('cloud', colour_pixels(index, rgb, edges)),
              ('cloud from above', colour_pixels(top_index, rgb, edge_shade(top_depth, 0.8)))]
    light = shade(oblique, normal)[:, None]
    if scan.label is None:
        panels += [('not annotated', np.full_like(panels[0][1], 255))] * 2
        return [(caption, Image.fromarray(halve(picture))) for caption, picture in panels]
    panels.append(('labels', colour_pixels(index, label_colours(scan.space)[scan.label] * light, edges)))
    grey = np.repeat(255 - (255 - rgb.mean(1, keepdims=True) * light) * 0.45, 3, 1)
    panels.append(('detection boxes', colour_pixels(index, grey, edges)))
    pictures = [(caption, Image.fromarray(halve(picture))) for caption, picture in panels]
    _draw_boxes(pictures[-1][1], oblique, scan)
    return pictures


def best_azimuth(xyz: np.ndarray, normal: np.ndarray, label: Optional[np.ndarray],
                 space: LabelSpace = SPACE) -> float:
    """The corner from which most furniture is seen, on a coarse picture; the first one for scans without labels."""
    if label is None:
        return float(AZIMUTHS[0])
    furniture = is_furniture(label, space)
    coarse = np.full(len(xyz), 0.08)
    seen = []
    for azimuth in AZIMUTHS:
        view = view_from(xyz, azimuth, ELEVATION, PANEL_WIDTH // 3, PANEL_HEIGHT // 3)
        index, _ = rasterise(view, xyz, normal, coarse)
        seen.append(furniture[index[index >= 0]].sum() / view.scale ** 2)
    return float(AZIMUTHS[int(np.argmax(seen))])


def _draw_boxes(picture: Image.Image, view: View, scan: BrowsedScan) -> None:
    """Edges of the boxes in their classes' colours, far ones first, and their names at their upper ends."""
    draw = ImageDraw.Draw(picture)
    colours = label_colours(scan.space)
    order = sorted(scan.boxes, key=lambda box: -float(box[0][:3] @ view.rotation[2]))
    tops = []
    for box, name, label in order:
        place = view.project(box[:3] + BOX_CORNERS * box[3:6])[:, :2] / 2
        colour = tuple(int(part * 0.85) for part in colours[label])
        for a, b in BOX_EDGES:
            draw.line((*place[a], *place[b]), fill=colour, width=2)
        tops.append((place[1::2].mean(0), name))
    for (x, y), name in tops:
        font = ImageFont.load_default(size=12)
        left, upper, right, lower = draw.textbbox((x, y), name, font=font, anchor='mm')
        draw.rectangle((left - 2, upper - 1, right + 2, lower + 1), fill=(255, 255, 255))
        draw.text((x, y), name, fill=INK, font=font, anchor='mm')


def legend_strip(label: Optional[np.ndarray], space: LabelSpace) -> Image.Image:
    """Swatches and names of the classes that occur, commonest first."""
    strip = Image.new('RGB', (WIDTH, LEGEND), PAPER)
    if label is None:
        return strip
    count, colours = np.bincount(label, minlength=space.num_classes + 1), label_colours(space)
    draw, left = ImageDraw.Draw(strip), GAP + 2
    for index in np.argsort(-count, kind='stable'):
        if not count[index]:
            continue
        name = space.classes[index] if index < space.num_classes else 'no class'
        draw.rectangle((left, 7, left + 15, 22), fill=tuple(int(part) for part in colours[index]))
        write_text(strip, (left + 20, 5), name, 14)
        left += 20 + int(draw.textlength(name, font=ImageFont.load_default(size=14))) + 16
    return strip


def write_text(picture: Image.Image, place: Tuple[int, int], text: str, size: int, colour=INK) -> None:
    ImageDraw.Draw(picture).text(place, text, fill=colour, font=ImageFont.load_default(size=size))
