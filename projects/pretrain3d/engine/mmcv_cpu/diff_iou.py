"""Order of the corners of an intersection polygon: the one compiled step of ``mmcv.ops.diff_iou_rotated_2d`` and 3d."""
import math

import torch
from torch import Tensor

SLOTS = 9  # two rectangles share at most an octagon, closed by its first corner
FIRST_CROSSING = 8  # before it stand the 4 + 4 corners of the rectangles


@torch.no_grad()
def diff_iou_rotated_sort_vertices_forward(vertices: Tensor, mask: Tensor, num_valid: Tensor) -> Tensor:
    """Rows of the valid corners counter-clockwise from +x, closed by the first, padded with an unused crossing.

    Corners that coincide appear once. (The CUDA kernel handles this for two identical boxes alone; where a corner of
    one box lies on a corner of the other it inserts corner 0 and the area comes out wrong.)

    Args:
        vertices: (B, N, 24, 2) candidates relative to the mean of the valid ones: 4 + 4 corners, 16 crossings of
            sides, which are all (0, 0) before centring where they do not exist.
        mask: (B, N, 24) bool, the valid ones; num_valid: (B, N) their number.

    Returns:
        (B, N, 9) int32. Fewer than three distinct corners give padding only, that is no area.
    """
    angle = torch.atan2(vertices[..., 1], vertices[..., 0]).double()
    angle = torch.where(angle < 0, angle + 2 * math.pi, angle).masked_fill(~mask, float('inf'))
    order = angle.argsort(dim=-1, stable=True)
    valid = mask.gather(-1, order)
    points = vertices.gather(-2, order[..., None].expand_as(vertices))
    points = points.masked_fill(~valid[..., None], 0)
    # A corner repeats the one before it (the first: the last) when it stands where that one does. Of nearly equal
    # corners, apart by rounding alone, those with the widest gaps are an octagon's eight.
    last = (valid.sum(-1, keepdim=True) - 1).clamp(min=0)
    before = points.roll(1, -2)
    before[..., :1, :] = points.gather(-2, last[..., None].expand(*last.shape, 2))
    gap = (points - before).abs().amax(-1).masked_fill(~valid, 0)
    rank = gap.argsort(dim=-1, descending=True, stable=True).argsort(dim=-1)
    new = (gap > 1e-6 * points.abs().amax((-1, -2))[..., None]) & (rank < SLOTS - 1)
    count = new.sum(-1, keepdim=True)
    # The mask's first False among the crossings: at most 8 of the 16 exist.
    pad = FIRST_CROSSING + (~mask[..., FIRST_CROSSING:]).to(torch.uint8).argmax(-1, keepdim=True)
    result = pad.repeat(1, 1, SLOTS + 1)
    slot = torch.where(new, new.cumsum(-1) - 1, SLOTS).clamp(max=SLOTS)  # what is dropped goes into the extra slot
    result.scatter_(-1, slot, order)
    result = result[..., :SLOTS]
    result.scatter_(-1, count.clamp(max=SLOTS - 1), result[..., :1].clone())
    return torch.where(count < 3, pad, result).to(torch.int32)
