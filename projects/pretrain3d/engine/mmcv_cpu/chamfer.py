"""Chamfer distance of 2D point sets: each point's squared distance to the nearest point of the other set."""
import torch
from torch import Tensor


def _nearest(source: Tensor, target: Tensor, dist: Tensor, index: Tensor) -> None:
    """Write squared distance and row of the nearest target (B, M, 2) for every source (B, N, 2)."""
    rows = max(1, (1 << 22) // max(1, target.shape[1]))
    for points, others, squares, nearest in zip(source, target, dist, index):
        for begin in range(0, points.shape[0], rows):
            part = slice(begin, begin + rows)
            gap = (points[part, None] - others).square().sum(-1)
            best, row = gap.min(1)
            squares[part] = best
            nearest[part] = row.to(nearest.dtype)


@torch.no_grad()
def chamfer_distance_forward(xyz1: Tensor, xyz2: Tensor, dist1: Tensor, dist2: Tensor, idx1: Tensor,
                             idx2: Tensor) -> None:
    """Fill squared distances ``dist1`` (B, N), ``dist2`` (B, M) and int32 rows ``idx1``, ``idx2``, both ways."""
    _nearest(xyz1, xyz2, dist1, idx1)
    _nearest(xyz2, xyz1, dist2, idx2)


@torch.no_grad()
def chamfer_distance_backward(xyz1: Tensor, xyz2: Tensor, idx1: Tensor, idx2: Tensor, graddist1: Tensor,
                              graddist2: Tensor, gradxyz1: Tensor, gradxyz2: Tensor) -> None:
    """Add the gradients with respect to both point sets to ``gradxyz1`` (B, N, 2) and ``gradxyz2`` (B, M, 2)."""
    for points, others, index, grad, own, far in ((xyz1, xyz2, idx1, graddist1, gradxyz1, gradxyz2),
                                                  (xyz2, xyz1, idx2, graddist2, gradxyz2, gradxyz1)):
        row = index.long()[..., None].expand(-1, -1, 2)
        pull = 2 * grad[..., None] * (points - others.gather(1, row))
        own.add_(pull)
        far.scatter_add_(1, row, -pull)
