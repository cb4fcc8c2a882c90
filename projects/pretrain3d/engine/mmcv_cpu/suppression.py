"""Non-maximum suppression and overlaps of boxes in the image plane: ``nms``, ``softnms``, ``nms_rotated`` and kin."""
import torch
from torch import Tensor

from .rotated import near_pairs, pair_overlap


def greedy_keep(count: int, winner: Tensor, loser: Tensor) -> Tensor:
    """Go down a sorted list and drop whatever a kept row suppresses.

    Args:
        count: rows, best first.
        winner, loser: (P,) int64 pairs of rows with ``winner < loser`` that overlap too much.

    Returns:
        (K,) int64 kept rows, ascending.
    """
    order = winner.argsort(stable=True)
    losers = loser[order].numpy()
    start = torch.bincount(winner, minlength=count).cumsum(0).tolist()
    alive = torch.ones(count, dtype=torch.bool)
    flags = alive.numpy()
    begin = 0
    for row, end in enumerate(start):  # over boxes, a thousand or so; the work in each step is one indexed write
        if end > begin and flags[row]:
            flags[losers[begin:end]] = False
        begin = end
    return alive.nonzero().squeeze(1)


def rotated_keep(boxes: Tensor, iou_threshold: float) -> Tensor:
    """Kept rows of rotated boxes (N, 5) that are sorted best first; a box goes when its IoU is above the threshold."""
    boxes = boxes.detach().double()
    rows1, rows2 = near_pairs(boxes, boxes)
    later = rows1 < rows2
    rows1, rows2 = rows1[later], rows2[later]
    overlap = pair_overlap(boxes, boxes, rows1, rows2)
    area = boxes[:, 2] * boxes[:, 3]
    area1, area2 = area[rows1], area[rows2]
    iou = torch.where((area1 < 1e-14) | (area2 < 1e-14), 0, overlap / (area1 + area2 - overlap))
    # Round as the float32 kernels do, so that a pair at exactly the threshold is on the same side of it.
    drop = iou.float() > torch.tensor(iou_threshold, dtype=torch.float32)
    return greedy_keep(boxes.shape[0], rows1[drop], rows2[drop])


@torch.no_grad()
def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Kept rows, best first; a box goes when its IoU with a better kept one is above the threshold.

    Args:
        boxes: (N, 4) x1, y1, x2, y2.
        scores: (N,).
        offset: 1 where a box from x1 to x2 is ``x2 - x1 + 1`` wide (pixel indices), else 0.
    """
    from torchvision.ops import nms as torchvision_nms
    if boxes.numel() == 0:
        return torch.zeros(0, dtype=torch.int64)
    if offset:
        boxes = torch.cat((boxes[:, :2], boxes[:, 2:] + offset), 1)
    # mmcv compares in float32: 0.3 there is 0.30000001, and a box at exactly 0.3 stays.
    threshold = torch.tensor(iou_threshold, dtype=torch.float32).item()
    return torchvision_nms(boxes, scores.to(boxes.dtype), threshold)


@torch.no_grad()
def softnms(boxes: Tensor, scores: Tensor, dets: Tensor, iou_threshold: float, sigma: float, min_score: float,
            method: int, offset: int) -> Tensor:
    """Decay the scores of boxes that overlap better ones, drop those that fall below ``min_score``.

    Args:
        boxes: (N, 4); scores: (N,).
        dets: (N, 5) receives the K kept boxes with their decayed scores in its first rows.
        method: 0 drops above the threshold, 1 multiplies by ``1 - IoU`` above it, 2 by ``exp(-IoU^2 / sigma)``.

    Returns:
        (K,) int64 rows of the kept boxes in the order of ``dets``. The best box stays whatever its score.
    """
    corners, weight = boxes.detach().numpy(), scores.detach().clone().numpy()
    size = corners[:, 2:] - corners[:, :2] + offset
    area = size[:, 0] * size[:, 1]
    alive = torch.ones(boxes.shape[0], dtype=torch.bool).numpy()
    kept = []
    left = alive.nonzero()[0]
    while left.size:
        best = left[weight[left].argmax()]
        dets[len(kept), :4] = boxes[best].detach()
        dets[len(kept), 4] = float(weight[best])
        kept.append(int(best))
        alive[best] = False
        left = left[left != best]
        low = corners[left, :2].clip(min=corners[best, :2])
        span = (corners[left, 2:].clip(max=corners[best, 2:]) - low + offset).clip(min=0)
        overlap = span[:, 0] * span[:, 1]
        iou = torch.from_numpy(overlap / (area[best] + area[left] - overlap))
        if method == 2:
            decay = torch.exp(-iou * iou / sigma)
        else:
            decay = torch.where(iou >= iou_threshold, 1 - iou if method == 1 else torch.zeros_like(iou), 1.)
        weight[left] *= decay.numpy().astype(weight.dtype)
        left = left[~(weight[left] < min_score)]
    return torch.tensor(kept, dtype=torch.int64)


@torch.no_grad()
def nms_rotated(dets: Tensor, scores: Tensor, order: Tensor, dets_sorted: Tensor, labels: Tensor,
                iou_threshold: float, multi_label: int) -> Tensor:
    """Kept rows of rotated boxes, best first; a box goes when its IoU with a better kept one is above the threshold.

    "Above", as the CUDA kernel has it; the compiled CPU kernel also drops at equality, which empties the result when
    the threshold is 0. As in every compiled kernel the labels do not keep boxes of different classes apart.

    Args:
        dets: (N, 5 or 6) x, y, width, height, angle in radians, and a label that is not read.
        order: (N,) int64 rows by falling score; ``dets_sorted`` is ``dets[order]``.
    """
    if dets.numel() == 0:
        return torch.zeros(0, dtype=torch.int64)
    return order[rotated_keep(dets_sorted[:, :5], iou_threshold)]


@torch.no_grad()
def bbox_overlaps(bboxes1: Tensor, bboxes2: Tensor, ious: Tensor, mode: int, aligned: bool, offset: int) -> None:
    """Write the IoU (``mode`` 0) or the share of ``bboxes1`` that is covered (1) into ``ious`` (N, M), or (N,) aligned.

    Args:
        bboxes1: (N, 4) x1, y1, x2, y2; bboxes2: (M, 4).
        offset: 1 where a box is ``x2 - x1 + 1`` wide. Without it two empty boxes give NaN, as compiled.
    """
    size1 = bboxes1[:, 2:] - bboxes1[:, :2] + offset
    size2 = bboxes2[:, 2:] - bboxes2[:, :2] + offset
    area1, area2 = size1[:, 0] * size1[:, 1], size2[:, 0] * size2[:, 1]
    if not aligned:
        bboxes1, area1 = bboxes1[:, None], area1[:, None]
    low = torch.maximum(bboxes1[..., :2], bboxes2[..., :2])
    span = (torch.minimum(bboxes1[..., 2:], bboxes2[..., 2:]) - low + offset).clamp(min=0)
    overlap = span[..., 0] * span[..., 1]
    ious.copy_(overlap / (area1 + area2 - overlap if mode == 0 else area1))
