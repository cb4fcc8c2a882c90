"""Bird's-eye overlaps and suppression of 3D boxes: the ``iou3d_*`` family, which mmcv compiles for CUDA alone.

Boxes are (N, 7): x, y, z, dx, dy, dz, heading; z and dz do not matter here.
"""
import torch
from torch import Tensor

from .rotated import overlap_matrix
from .suppression import greedy_keep, rotated_keep

FOOTPRINT = (0, 1, 3, 4, 6)


@torch.no_grad()
def iou3d_boxes_overlap_bev_forward(boxes_a: Tensor, boxes_b: Tensor, ans_overlap: Tensor) -> None:
    """Write the shared ground area of every pair into ``ans_overlap`` (N, M), in square metres.

    Exact. The CUDA kernel counts a corner as inside up to 1 cm beyond a side, so boxes that miss each other by
    millimetres get an overlap there of up to that gap times their common side.
    """
    columns = list(FOOTPRINT)
    ans_overlap.copy_(overlap_matrix(boxes_a.detach()[:, columns], boxes_b.detach()[:, columns]))


@torch.no_grad()
def iou3d_nms3d_forward(boxes: Tensor, keep: Tensor, num_out: Tensor, nms_overlap_thresh: float) -> None:
    """Write the kept rows of ``boxes`` (sorted best first) into ``keep`` (N,) int64 and their number into ``num_out``.

    A box goes when its bird's-eye IoU with a better kept one is above the threshold.
    """
    rows = rotated_keep(boxes[:, list(FOOTPRINT)], nms_overlap_thresh)
    keep[:rows.numel()] = rows
    num_out.fill_(rows.numel())


@torch.no_grad()
def iou3d_nms3d_normal_forward(boxes: Tensor, keep: Tensor, num_out: Tensor, nms_overlap_thresh: float) -> None:
    """The same with every heading taken as 0."""
    boxes = boxes.detach()
    low, high = boxes[:, :2] - boxes[:, 3:5] / 2, boxes[:, :2] + boxes[:, 3:5] / 2
    span = (torch.minimum(high[:, None], high) - torch.maximum(low[:, None], low)).clamp(min=0)
    overlap = span[..., 0] * span[..., 1]
    area = boxes[:, 3] * boxes[:, 4]
    iou = overlap / (area[:, None] + area - overlap).clamp(min=1e-8)
    drop = (iou > torch.tensor(nms_overlap_thresh, dtype=torch.float32)).triu(1).nonzero()
    rows = greedy_keep(boxes.shape[0], drop[:, 0], drop[:, 1])
    keep[:rows.numel()] = rows
    num_out.fill_(rows.numel())
