"""Outlines of 3D boxes, seen from above and through a camera; numpy only."""
from typing import Tuple

import numpy as np

# Corners are numbered bottom then top, each counter-clockwise from front left: 0 front left, 1 rear left,
# 2 rear right, 3 front right.
_SIGNS = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)], dtype=np.float64)
EDGES = np.array([(0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4), (0, 4), (1, 5), (2, 6), (3, 7)])


def box_corners(boxes: np.ndarray) -> np.ndarray:
    """Corners of boxes.

    Args:
        boxes: (N, >= 7) x, y, z of the *centre*, l, w, h, yaw counter-clockwise from +x; metres, radians.

    Returns:
        (N, 8, 3), four of the bottom face then four of the top, numbered as above.
    """
    boxes = np.asarray(boxes, dtype=np.float64)
    local = np.concatenate([np.tile(_SIGNS, (2, 1)), np.repeat([-1.0, 1.0], 4)[:, None]], axis=1)
    corners = local[None] * boxes[:, None, 3:6] / 2
    cos, sin = np.cos(boxes[:, 6:7]), np.sin(boxes[:, 6:7])
    x, y = corners[..., 0], corners[..., 1]
    turned = np.stack([cos * x - sin * y, sin * x + cos * y, corners[..., 2]], axis=-1)
    return turned + boxes[:, None, :3]


def headings(boxes: np.ndarray) -> np.ndarray:
    """(N, 2, 2): for each box the line from its centre to the middle of its front, seen from above (x, y)."""
    boxes = np.asarray(boxes, dtype=np.float64)
    front = np.stack([np.cos(boxes[:, 6]), np.sin(boxes[:, 6])], axis=1) * boxes[:, 3:4] / 2
    return np.stack([boxes[:, :2], boxes[:, :2] + front], axis=1)


def clip_segments(segments: np.ndarray, near: float) -> Tuple[np.ndarray, np.ndarray]:
    """Cut 3D segments at the plane z = ``near``, keeping what lies beyond it.

    Args:
        segments: (N, 2, 3) in camera coordinates (z forward).
        near: metres, > 0.

    Returns:
        (M, 2, 3) what is left, and (M,) the index of the segment it came from.
    """
    depth = segments[..., 2]
    kept = np.flatnonzero((depth >= near).any(axis=1))
    out = segments[kept].copy()
    for end in (0, 1):
        behind = out[:, end, 2] < near
        a, b = out[behind, end], out[behind, 1 - end]
        share = (near - a[:, 2]) / (b[:, 2] - a[:, 2])
        out[behind, end] = a + share[:, None] * (b - a)
    return out, kept


def project_boxes(boxes: np.ndarray, lidar2cam: np.ndarray, cam2img: np.ndarray, size: Tuple[int, int],
                  near: float = 0.2) -> Tuple[np.ndarray, np.ndarray]:
    """Box edges in an image.

    An edge that passes behind the camera is cut in front of it, not mirrored through it. A box is left out when it
    lies wholly behind, or when the outline of what is in front does not touch the image.

    Args:
        boxes: (N, >= 7) by their centre, LiDAR frame. lidar2cam: (4, 4). cam2img: (3, 3) or (4, 4).
        size: width and height of the image, pixels. near: nearest depth drawn, metres.

    Returns:
        (M, 2, 2) segments in pixels, and (M,) the index of the box each belongs to.
    """
    if not len(boxes):
        return np.zeros((0, 2, 2)), np.zeros(0, dtype=np.int64)
    lidar2cam, cam2img = np.asarray(lidar2cam, dtype=np.float64), np.asarray(cam2img, dtype=np.float64)
    corners = box_corners(boxes) @ lidar2cam[:3, :3].T + lidar2cam[:3, 3]
    segments, index = clip_segments(corners[:, EDGES].reshape(-1, 2, 3), near)
    owner = index // len(EDGES)
    pixels = segments @ cam2img[:3, :3].T
    pixels = pixels[..., :2] / pixels[..., 2:]
    shown = np.zeros(len(owner), dtype=bool)
    for box in np.unique(owner):
        mine = owner == box
        low, high = pixels[mine].reshape(-1, 2).min(0), pixels[mine].reshape(-1, 2).max(0)
        shown[mine] = (high > 0).all() and (low < np.asarray(size)).all()
    return pixels[shown], owner[shown]
