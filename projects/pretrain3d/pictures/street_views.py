"""A keyframe of a street drawn: in its cameras, from above, and as a cloud seen from behind the vehicle."""
from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

import numpy as np
from PIL import Image, ImageDraw

from .sheet import BOX_CORNERS, BOX_EDGES, label_colours
from .streets import INSTANCES, SPACE, Boxes, Camera, Keyframe
from ..label_spaces import NUSCENES_LIDARSEG

NEAR = 0.3  # metres in front of a camera that edges are cut off at
REACH = 42.0  # metres shown from above, to each side
# Depth colours from near to far: red, yellow, green, blue.
DEPTHS = (0, 8, 18, 35, 60)
DEPTH_COLOURS = ((230, 40, 40), (245, 200, 40), (90, 200, 80), (40, 150, 230), (70, 50, 160))
# Light, since nuScenes' colours of sidewalks, people and cones are dark.
BACKGROUND, VEHICLE, INK = (248, 248, 250), (120, 120, 128), (20, 20, 24)
TRUTH, FOUND = (0, 170, 70), (240, 90, 0)
RIGHT, WRONG, UNLABELLED = (180, 188, 202), (214, 30, 36), (228, 225, 214)
# The vehicle that carries the sensors, from its rear axle: back, front, half its width.
EGO = (-1.0, 3.1, 0.87)
LINES = [(BOX_CORNERS[a], BOX_CORNERS[b]) for a, b in BOX_EDGES]
HEADING = [((0, 0, -0.5), (0.75, 0, -0.5))]  # from the middle through the front
THINGS = sorted({SPACE.index(name) for _, name in NUSCENES_LIDARSEG if name}
                - {SPACE.index(name) for name in ('driveable_surface', 'other_flat', 'sidewalk', 'terrain', 'manmade',
                                                  'vegetation')})


@dataclass(frozen=True)
class Eye:
    """A perspective view.

    Attributes:
        place: (3,). rotation: (3, 3), rows right, down, forward. focal, middle: pixels.
        width, height: pixels.
    """
    place: np.ndarray
    rotation: np.ndarray
    focal: float
    width: int
    height: int

    @classmethod
    def looking(cls, place: Sequence[float], target: Sequence[float], width: int, height: int,
                field: float = 70) -> 'Eye':
        """From ``place`` to ``target``, ``field`` degrees wide."""
        forward = np.subtract(target, place).astype(float)
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, (0, 0, 1.0))
        right /= np.linalg.norm(right)
        return cls(np.asarray(place, float), np.stack([right, np.cross(forward, right), forward]),
                   width / 2 / np.tan(np.radians(field) / 2), width, height)

    def project(self, xyz: np.ndarray) -> np.ndarray:
        """(..., 3) column, row (pixels) and depth (metres)."""
        seen = (xyz - self.place) @ self.rotation.T
        depth = np.where(np.abs(seen[..., 2:]) < 1e-9, 1e-9, seen[..., 2:])
        return np.concatenate([seen[..., :2] / depth * self.focal + (self.width / 2, self.height / 2),
                               seen[..., 2:]], -1)


def chase(width: int, height: int) -> Eye:
    """From behind and above the vehicle."""
    return Eye.looking((-17, 0, 12.5), (9, 0, -1.5), width, height)


def splat(canvas: np.ndarray, pixel: np.ndarray, depth: np.ndarray, colour: np.ndarray, radius: np.ndarray) -> None:
    """Draw discs into ``canvas`` (H, W, 3), the nearest one over the others.

    Args:
        pixel: (N, 2) column, row. depth: (N,), smaller is nearer. colour: (N, 3). radius: (N,) pixels.
    """
    height, width = canvas.shape[:2]
    base = np.floor(pixel).astype(np.int64)
    reach = int(np.ceil(radius.max())) if len(radius) else 0
    places, rows = [], []
    for dx in range(-reach, reach + 1):
        for dy in range(-reach, reach + 1):
            column, line = base[:, 0] + dx, base[:, 1] + dy
            near = ((column + 0.5 - pixel[:, 0]) ** 2 + (line + 0.5 - pixel[:, 1]) ** 2
                    <= np.maximum(radius, 0.71) ** 2)
            inside = near & (column >= 0) & (column < width) & (line >= 0) & (line < height)
            places.append((line * width + column)[inside])
            rows.append(np.flatnonzero(inside))
    if not places:
        return
    place, row = np.concatenate(places), np.concatenate(rows)
    order = np.lexsort((-depth[row], place))  # by pixel, the nearest last
    place, row = place[order], row[order]
    last = np.flatnonzero(np.append(place[1:] != place[:-1], True)) if len(place) else np.zeros(0, np.int64)
    canvas.reshape(-1, 3)[place[last]] = colour[row[last]]


def class_colours(label: np.ndarray) -> np.ndarray:
    """(N, 3) colours of classes, ignore index included."""
    return label_colours(SPACE)[label]


def error_colours(truth: np.ndarray, found: np.ndarray) -> np.ndarray:
    """(N, 3): wrong classes red, right ones grey, points without a class pale."""
    kind = np.where(truth == SPACE.ignore_index, 2, (truth != found).astype(int))
    return np.array([RIGHT, WRONG, UNLABELLED], float)[kind]


def depth_colours(depth: np.ndarray) -> np.ndarray:
    """(N, 3) colours of depths in metres."""
    return np.stack([np.interp(depth, DEPTHS, [colour[part] for colour in DEPTH_COLOURS]) for part in range(3)], -1)


def panoptic_colours(instance: np.ndarray) -> np.ndarray:
    """(N, 3) colours of panoptic labels: a colour of its own for each object, faded class colours for all else."""
    label = SPACE.map_raw(instance // INSTANCES)
    colour = 0.45 * class_colours(label) + 0.55 * 225
    thing = np.isin(label, THINGS)
    known, which = np.unique(instance[thing], return_inverse=True)
    hue = np.arange(len(known)) * 0.61803 % 1  # neighbours in number are far apart in hue
    wheel = np.clip(np.abs((hue[:, None] * 6 + (0, 4, 2)) % 6 - 3) - 1, 0, 1)
    colour[thing] = (20 + 190 * wheel)[which.ravel()]
    return colour


def draw_cloud(keyframe: Keyframe, colour: np.ndarray, size: Tuple[int, int]) -> Image.Image:
    """The cloud in the colours (N, 3) from behind the vehicle, near points larger; drawn at twice ``size``."""
    eye = chase(2 * size[0], 2 * size[1])
    place = eye.project(keyframe.xyz)
    seen = place[:, 2] > 2
    canvas = np.zeros((eye.height, eye.width, 3)) + BACKGROUND
    radius = np.clip(0.09 * eye.focal / np.maximum(place[seen, 2], 1), 1.2, 7.0)
    splat(canvas, place[seen, :2], place[seen, 2], colour[seen], radius)
    picture = Image.fromarray((canvas + 0.5).astype(np.uint8)).resize(size, Image.Resampling.BOX)
    _edges(picture, _ego_boxes(), LINES, lambda xyz: eye.project(xyz) * (0.5, 0.5, 1), [VEHICLE], 2)
    return picture


def draw_above(keyframe: Keyframe, colour: np.ndarray, size: int, boxes: Sequence[Tuple[Boxes, Optional[tuple], int]],
               reach: float = REACH) -> Image.Image:
    """The cloud in the colours (N, 3) from above, forward up, with boxes and their headings.

    Args:
        size: of the square picture, pixels. boxes: (boxes, their colour or None for their classes', width of lines).
        reach: metres to each side.
    """
    scale = size / reach  # pixels a metre, at twice the size

    def project(xyz: np.ndarray) -> np.ndarray:
        return np.stack([size - xyz[..., 1] * scale, size - xyz[..., 0] * scale, 50 - xyz[..., 2]], -1)

    place = project(keyframe.xyz)
    canvas = np.zeros((2 * size, 2 * size, 3)) + BACKGROUND
    splat(canvas, place[:, :2], place[:, 2], colour, np.full(len(place), 2.1))
    picture = Image.fromarray((canvas + 0.5).astype(np.uint8)).resize((size, size), Image.Resampling.BOX)
    floor = [(a, b) for a, b in LINES if a[2] < 0 and b[2] < 0] + [tuple(map(np.array, line)) for line in HEADING]
    for group, fixed, width in (*boxes, (_ego_boxes(), VEHICLE, 2)):
        colours = [fixed] * len(group) if fixed else _box_colours(group)
        _edges(picture, group, floor, lambda xyz: project(xyz) * (0.5, 0.5, 1), colours, width)
    return picture


def draw_camera(camera: Camera, size: Tuple[int, int], boxes: Sequence[Tuple[Boxes, Optional[tuple], int]] = (),
                points: Optional[Tuple[np.ndarray, np.ndarray]] = None) -> Image.Image:
    """An image with projected points and boxes.

    Args:
        size: of the picture, pixels. boxes: as for :func:`draw_above`. points: (N, 3) positions and (N, 3) colours, or
            ``None`` for the colours to tell the depth.
    """
    height, width = camera.image.shape[:2]
    scale = np.array([size[0] / width, size[1] / height, 1])
    picture = Image.fromarray(camera.image).resize(size, Image.Resampling.BICUBIC)
    if points is not None:
        xyz, colour = points
        place = camera.project(xyz) * scale
        seen = place[:, 2] > NEAR
        canvas = np.asarray(picture).astype(float) * 0.7
        colour = depth_colours(place[:, 2]) if colour is None else colour
        splat(canvas, place[seen, :2], place[seen, 2], colour[seen], np.full(seen.sum(), max(0.8, size[0] / 300)))
        picture = Image.fromarray((canvas + 0.5).astype(np.uint8))
    for group, fixed, line in boxes:
        ahead = group.keep(_in_image(group, camera))
        colours = [fixed] * len(ahead) if fixed else _box_colours(ahead)
        _edges(picture, ahead, LINES, lambda xyz: camera.project(xyz) * scale, colours, line,
               lambda xyz: xyz @ camera.pose[2, :3] + camera.pose[2, 3])
    return picture


def _in_image(boxes: Boxes, camera: Camera) -> np.ndarray:
    """(B,) whether a corner, or the middle, of a box is in the image."""
    place = camera.project(boxes.points(np.concatenate([BOX_CORNERS, np.zeros((1, 3))])))
    height, width = camera.image.shape[:2]
    inside = (place[..., 2] > NEAR) & (place[..., 0] > 0) & (place[..., 0] < width)
    return (inside & (place[..., 1] > 0) & (place[..., 1] < height)).any(1)


def _edges(picture: Image.Image, boxes: Boxes, lines: Sequence[Tuple[np.ndarray, np.ndarray]], project,
           colours: List[tuple], width: int, depth=None) -> None:
    """Edges of boxes, the farthest box first; what lies nearer than ``NEAR`` by ``depth`` is cut off."""
    draw = ImageDraw.Draw(picture)
    ends = boxes.points(np.concatenate([np.stack(line) for line in lines])).reshape(len(boxes), len(lines), 2, 3)
    far = project(boxes.centre)[:, 2] if len(boxes) else ()
    for row in np.argsort(-np.asarray(far), kind='stable'):
        for first, second in ends[row]:
            if depth is not None:
                clipped = clip(first, second, depth(first) - NEAR, depth(second) - NEAR)
                if clipped is None:
                    continue
                first, second = clipped
            a, b = project(np.stack([first, second]))[:, :2]
            if np.abs([*a, *b]).max() < 1e5:
                draw.line((*a, *b), fill=colours[row], width=width)


def clip(first: np.ndarray, second: np.ndarray, before: float, after: float
         ) -> Optional[Tuple[np.ndarray, np.ndarray]]:
    """The part of a line where a value that is ``before`` at its first and ``after`` at its second end is positive."""
    if before <= 0 and after <= 0:
        return None
    if before > 0 and after > 0:
        return first, second
    middle = first + (second - first) * (before / (before - after))
    return (first, middle) if before > 0 else (middle, second)


def _box_colours(boxes: Boxes) -> List[tuple]:
    return [tuple(int(part) for part in colour) for colour in class_colours(boxes.label)]


def _ego_boxes() -> Boxes:
    back, front, half = EGO
    return Boxes(np.array([[(back + front) / 2, 0, 0.8]]), np.array([[front - back, 2 * half, 1.5]]), np.eye(3)[None],
                 np.array([SPACE.ignore_index]), np.ones(1), np.ones(1, np.int64))
