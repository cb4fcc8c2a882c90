"""The contact sheet of keyframes: six cameras with boxes and with points, the scene from above, labels and objects."""
from typing import List, Sequence, Tuple

import numpy as np
from PIL import Image

from .sheet import (CAPTION, FAINT, GAP, HEADER, LEGEND, WIDTH, empty_row, legend_strip, sheet_size, stack,
                    write_text)
from .street_views import (INK, class_colours, depth_colours, draw_above, draw_camera, draw_cloud,
                           panoptic_colours)
from .streets import CAMERAS, SPACE, Boxes, Keyframe

COLUMNS = 3
CAMERA = ((WIDTH - GAP * (COLUMNS + 1)) // COLUMNS, 309)
SMALL = ((WIDTH - GAP * 7) // 6, 153)
PANEL_HEIGHT = 500
CLOUD = ((WIDTH - PANEL_HEIGHT - GAP * 4) // 2 // 2 * 2, PANEL_HEIGHT)
POINTS_TOP = HEADER + 2 * (CAPTION + CAMERA[1])
PANELS_TOP = POINTS_TOP + CAPTION + SMALL[1] + GAP
ROW_HEIGHT = PANELS_TOP + CAPTION + PANEL_HEIGHT + LEGEND + GAP


def street_sheet_size(keyframes: int) -> Tuple[int, int]:
    """(width, height) pixels of the sheet of that many keyframes."""
    return sheet_size(keyframes, ROW_HEIGHT)


def draw_street_sheet(keyframes: Sequence[Keyframe], title: str) -> Image.Image:
    """The sheet of ``keyframes``, one below the other, under ``title``."""
    return stack(map(draw_keyframe, keyframes), title, street_sheet_size(len(keyframes)))


def draw_keyframe(keyframe: Keyframe) -> Image.Image:
    """One row of the sheet."""
    row = empty_row(keyframe.name, ROW_HEIGHT)
    write_text(row, (GAP + 190, 5), describe(keyframe), 15, FAINT)
    colours, told = point_colours(keyframe), 'distance' if keyframe.label is None else 'class'
    for place, channel in enumerate(CAMERAS):
        left = GAP + place % COLUMNS * (CAMERA[0] + GAP)
        top = HEADER + place // COLUMNS * (CAPTION + CAMERA[1])
        _panel(row, (left, top), channel, _view(keyframe, channel, CAMERA, boxes=[(keyframe.boxes, None, 2)]))
        left = GAP + place * (SMALL[0] + GAP)
        picture = _view(keyframe, channel, SMALL, points=(keyframe.xyz, colours))
        _panel(row, (left, POINTS_TOP), '' if place else f'LiDAR points, by {told}', picture)
    left = GAP
    for caption, picture in _clouds(keyframe, colours):
        _panel(row, (left, PANELS_TOP), caption, picture)
        left += picture.width + GAP
    if keyframe.label is not None:
        row.paste(legend_strip(keyframe.label, SPACE), (0, PANELS_TOP + CAPTION + PANEL_HEIGHT))
    return row


def describe(keyframe: Keyframe) -> str:
    """What a keyframe holds, in a line."""
    named = int((keyframe.boxes.label < SPACE.num_classes).sum())
    parts = [keyframe.location, f'{keyframe.count} keyframes', f'{len(keyframe.xyz):,} points', f'{named} boxes']
    parts += ['no lidarseg'] if keyframe.label is None else []
    return '   '.join(parts)


def point_colours(keyframe: Keyframe) -> np.ndarray:
    """(N, 3) by class, or by distance where points have no labels."""
    if keyframe.label is not None:
        return class_colours(keyframe.label)
    return depth_colours(np.linalg.norm(keyframe.xyz, axis=1))


def named_boxes(boxes: Boxes) -> Boxes:
    """Those that have a class."""
    return boxes.keep(boxes.label < SPACE.num_classes)


def _view(keyframe: Keyframe, channel: str, size: Tuple[int, int], **drawn) -> Image.Image:
    if channel in keyframe.cameras:
        return draw_camera(keyframe.cameras[channel], size, **drawn)
    return Image.new('RGB', size, (220, 220, 224))


def _clouds(keyframe: Keyframe, colours: np.ndarray) -> List[Tuple[str, Image.Image]]:
    above = draw_above(keyframe, colours, PANEL_HEIGHT, [(keyframe.boxes, INK, 1)])
    panels = [('from above, boxes with their headings', above),
              ('lidarseg' if keyframe.label is not None else 'distance', draw_cloud(keyframe, colours, CLOUD))]
    if keyframe.instance is None:
        return panels + [('no panoptic labels', Image.new('RGB', CLOUD, (220, 220, 224)))]
    return panels + [('panoptic: a colour for each object',
                      draw_cloud(keyframe, panoptic_colours(keyframe.instance), CLOUD))]


def _panel(row: Image.Image, place: Tuple[int, int], caption: str, picture: Image.Image) -> None:
    write_text(row, (place[0] + 2, place[1]), caption, 14, FAINT)
    row.paste(picture, (place[0], place[1] + CAPTION))
