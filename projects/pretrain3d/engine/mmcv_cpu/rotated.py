"""Exact overlap of rotated rectangles in the plane: the geometry under every rotated IoU and suppression.

In the frame of rectangle B its area in common with A is, by Green's theorem, the integral along A's boundary of
``clamp(y, -h/2, h/2) dx`` over ``|x| <= w/2``. Along an edge the integrand is piecewise linear, so three trapezoids
per edge give the area exactly, with no polygon and no special case for parallel, touching or identical sides.
"""
from typing import Tuple

import torch
from torch import Tensor

# Rows of pairs handled at once; bounds memory at about 100 MB.
CHUNK = 1 << 18


def overlap_area(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """Area shared by rectangle ``i`` of one set and rectangle ``i`` of the other.

    Args:
        boxes1, boxes2: (N, 5) float64 x, y, width, height, angle in radians counter-clockwise from +x
            (clockwise where y points down).

    Returns:
        (N,) float64.
    """
    corners = _corners_in_frame(boxes1, boxes2)
    width = boxes2[:, None, 2].abs() / 2
    height = boxes2[:, None, 3].abs() / 2
    x0, y0 = corners.unbind(-1)
    x1, y1 = x0.roll(-1, 1), y0.roll(-1, 1)
    dx, dy = x1 - x0, y1 - y0
    # The edge's stretch t in [start, stop] over |x| <= width.
    start, stop = _stretch(x0, dx, width)
    # Where it crosses y = -height and y = +height, inside that stretch.
    low, high = _stretch(y0, dy, height)
    low, high = torch.maximum(torch.minimum(low, stop), start), torch.maximum(torch.minimum(high, stop), start)
    times = torch.stack((start, torch.minimum(low, high), torch.maximum(low, high), stop), -1)
    level = torch.maximum(torch.minimum(y0[..., None] + dy[..., None] * times, height[..., None]), -height[..., None])
    mean = (level[..., 1:] + level[..., :-1]) / 2
    area = (mean * (times[..., 1:] - times[..., :-1])).sum(-1) * dx
    area = area.sum(1).abs()
    # Boxes apart leave rounding behind; a threshold of 0 must not take it for an overlap.
    rounding = 1e-12 * height[:, 0] * (boxes1[:, 2].abs() + boxes1[:, 3].abs())
    return torch.where(area > rounding, area, 0)


def _corners_in_frame(boxes: Tensor, frame: Tensor) -> Tensor:
    """Corners (N, 4, 2) of ``boxes`` seen from the centre and along the axes of ``frame``."""
    cos, sin = torch.cos(frame[:, 4]), torch.sin(frame[:, 4])
    dx, dy = boxes[:, 0] - frame[:, 0], boxes[:, 1] - frame[:, 1]
    centre = torch.stack((dx * cos + dy * sin, dy * cos - dx * sin), -1)
    angle = boxes[:, 4] - frame[:, 4]
    along = torch.stack((torch.cos(angle), torch.sin(angle)), -1) * boxes[:, 2:3].abs() / 2
    across = torch.stack((-torch.sin(angle), torch.cos(angle)), -1) * boxes[:, 3:4].abs() / 2
    return centre[:, None] + torch.stack((along + across, across - along, -along - across, along - across), 1)


def _stretch(origin: Tensor, step: Tensor, bound: Tensor) -> Tuple[Tensor, Tensor]:
    """The stretch of t in [0, 1] in which ``|origin + t * step| <= bound``; start equals stop if there is none."""
    still = step == 0
    pace = torch.where(still, 1, step)
    one, two = (-bound - origin) / pace, (bound - origin) / pace
    start = torch.minimum(one, two).clamp(0, 1)
    stop = torch.maximum(one, two).clamp(0, 1)
    within = origin.abs() <= bound
    return torch.where(still, 0, start), torch.where(still, within.to(stop), stop)


def near_pairs(boxes1: Tensor, boxes2: Tensor) -> Tuple[Tensor, Tensor]:
    """Rows ``i``, ``j`` of the rectangles whose circumscribed circles meet; all others cannot overlap."""
    radius1 = boxes1[:, 2:4].norm(dim=1) / 2
    radius2 = boxes2[:, 2:4].norm(dim=1) / 2
    rows = max(1, (1 << 22) // max(1, boxes2.shape[0]))
    found = []
    for begin in range(0, boxes1.shape[0], rows):
        part = slice(begin, begin + rows)
        gap = (boxes1[part, None, :2] - boxes2[None, :, :2]).square().sum(-1)
        meet = gap <= (radius1[part, None] + radius2[None]).square()
        found.append(meet.nonzero() + torch.tensor([begin, 0]))
    pairs = torch.cat(found) if found else torch.zeros(0, 2, dtype=torch.int64)
    return pairs[:, 0], pairs[:, 1]


def pair_overlap(boxes1: Tensor, boxes2: Tensor, rows1: Tensor, rows2: Tensor) -> Tensor:
    """Overlap (P,) of the pairs of rows, in chunks."""
    areas = [overlap_area(boxes1[one], boxes2[two]) for one, two in zip(rows1.split(CHUNK), rows2.split(CHUNK))]
    return torch.cat(areas) if areas else boxes1.new_zeros(0)


def overlap_matrix(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """Overlap (N, M) of every rectangle with every other, float64."""
    boxes1, boxes2 = boxes1.double(), boxes2.double()
    rows1, rows2 = near_pairs(boxes1, boxes2)
    matrix = boxes1.new_zeros(boxes1.shape[0], boxes2.shape[0])
    matrix[rows1, rows2] = pair_overlap(boxes1, boxes2, rows1, rows2)
    return matrix


@torch.no_grad()
def box_iou_rotated(boxes1: Tensor, boxes2: Tensor, ious: Tensor, mode_flag: int = 0, aligned: bool = False) -> None:
    """Write the IoU of rotated boxes into ``ious``, in place.

    Boxes with an area below 1e-14 overlap nothing. Computed in float64; the compiled operator's hull in float32 is
    off by up to 1e-3 for boxes that nearly coincide.

    Args:
        boxes1: (N, 5) x, y, width, height, angle in radians.
        boxes2: (M, 5).
        ious: N * M values, or N when ``aligned``.
        mode_flag: 0 divides by the union, 1 by the area of ``boxes1``.
    """
    one, two = boxes1.detach().double(), boxes2.detach().double()
    area1, area2 = one[:, 2] * one[:, 3], two[:, 2] * two[:, 3]
    if aligned:
        overlap = pair_overlap(one, two, *[torch.arange(one.shape[0])] * 2)
    else:
        overlap = overlap_matrix(one, two)
        area1, area2 = area1[:, None], area2[None]
    base = area1 + area2 - overlap if mode_flag == 0 else area1
    empty = (area1 < 1e-14) | (area2 < 1e-14)
    ious.copy_(torch.where(empty, 0, overlap / base).reshape(ious.shape))
