"""Which points lie in which 3D boxes.

Boxes are x, y, z of the *bottom* centre, dx, dy, dz, yaw. A point on the floor or the ceiling of a box is inside, a
point on a side wall is outside, as in mmcv's kernels.
"""
import torch
from torch import Tensor

# Point-box pairs handled at once; bounds memory.
CHUNK = 1 << 18


def _inside(points: Tensor, boxes: Tensor) -> Tensor:
    """(N, T) bool for points (N, 3) and boxes (T, 7)."""
    shift = points[:, None, :2] - boxes[None, :, :2]
    cos, sin = torch.cos(-boxes[:, 6]), torch.sin(-boxes[:, 6])
    along = shift[..., 0] * cos - shift[..., 1] * sin
    across = shift[..., 0] * sin + shift[..., 1] * cos
    middle = boxes[:, 2] + boxes[:, 5] / 2
    return ((along.abs() < boxes[:, 3] / 2) & (across.abs() < boxes[:, 4] / 2)
            & ((points[:, None, 2] - middle).abs() <= boxes[:, 5] / 2))


def _chunks(points: Tensor, boxes: Tensor):
    """Yield slices of the points with their (n, T) membership."""
    rows = max(1, CHUNK // max(1, boxes.shape[0]))
    for begin in range(0, points.shape[0], rows):
        part = slice(begin, begin + rows)
        yield part, _inside(points[part], boxes)


@torch.no_grad()
def points_in_boxes_cpu_forward(boxes_tensor: Tensor, pts_tensor: Tensor, pts_indices_tensor: Tensor) -> None:
    """Write 1 or 0 into ``pts_indices_tensor`` (T, N) int32 for boxes (T, 7) and points (N, 3)."""
    for part, inside in _chunks(pts_tensor, boxes_tensor):
        pts_indices_tensor[:, part] = inside.t().to(pts_indices_tensor.dtype)


@torch.no_grad()
def points_in_boxes_part_forward(boxes_tensor: Tensor, pts_tensor: Tensor, box_idx_of_points_tensor: Tensor) -> None:
    """Write the first box that holds each point into ``box_idx_of_points_tensor`` (B, N) int32; others stay as given.

    Args:
        boxes_tensor: (B, T, 7); pts_tensor: (B, N, 3).
    """
    if boxes_tensor.shape[1] == 0:
        return
    for boxes, points, target in zip(boxes_tensor, pts_tensor, box_idx_of_points_tensor):
        for part, inside in _chunks(points, boxes):
            first = inside.to(torch.uint8).argmax(1).to(target.dtype)
            target[part] = torch.where(inside.any(1), first, target[part])


@torch.no_grad()
def points_in_boxes_all_forward(boxes_tensor: Tensor, pts_tensor: Tensor, box_idx_of_points_tensor: Tensor) -> None:
    """Set ``box_idx_of_points_tensor`` (B, N, T) int32 to 1 where a point lies in a box; others stay as given."""
    for boxes, points, target in zip(boxes_tensor, pts_tensor, box_idx_of_points_tensor):
        for part, inside in _chunks(points, boxes):
            target[part].masked_fill_(inside, 1)
