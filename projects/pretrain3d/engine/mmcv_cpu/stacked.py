"""PointNet++ operators on ragged batches laid end to end, as PV-RCNN uses them; mmcv compiles them for CUDA alone."""
import torch
from torch import Tensor

from .pointnet import ball_query_forward


@torch.no_grad()
def stack_ball_query_forward(new_xyz_tensor: Tensor, new_xyz_batch_cnt: Tensor, xyz_tensor: Tensor,
                             xyz_batch_cnt: Tensor, idx_tensor: Tensor, max_radius: float, nsample: int) -> None:
    """Write the first rows within ``max_radius`` of each centre into ``idx_tensor`` (M1 + M2 + ..., nsample) int32.

    Rows count from the start of the sample. A centre without any gets -1 in its first place.

    Args:
        new_xyz_tensor: (M1 + M2 + ..., 3) centres; xyz_tensor: (N1 + N2 + ..., 3).
        new_xyz_batch_cnt, xyz_batch_cnt: (B,) int32 sizes of the samples.
    """
    centres, points = new_xyz_batch_cnt.tolist(), xyz_batch_cnt.tolist()
    parts = zip(new_xyz_tensor.split(centres), xyz_tensor.split(points), idx_tensor.split(centres))
    for new_xyz, xyz, index in parts:
        first = torch.full_like(index, -1)
        ball_query_forward(new_xyz[None], xyz[None], first[None], 1, len(xyz), len(new_xyz), 0., max_radius, nsample)
        found = first[:, :1] >= 0
        index.copy_(torch.where(found, first, index))
        index[:, 0] = torch.where(found[:, 0], index[:, 0], -1)


def _rows(idx: Tensor, idx_batch_cnt: Tensor, features_batch_cnt: Tensor) -> Tensor:
    """Turn rows within a sample (M, nsample) into rows of the whole stack; -1 for those beyond the sample's end."""
    start = torch.repeat_interleave(features_batch_cnt.long().cumsum(0) - features_batch_cnt, idx_batch_cnt.long())
    size = torch.repeat_interleave(features_batch_cnt.long(), idx_batch_cnt.long())
    inside = (idx >= 0) & (idx < size[:, None])
    return torch.where(inside, idx + start[:, None], -1)


@torch.no_grad()
def stack_group_points_forward(features_tensor: Tensor, features_batch_cnt_tensor: Tensor, idx_tensor: Tensor,
                               idx_batch_cnt_tensor: Tensor, out_tensor: Tensor, b: int, c: int, m: int,
                               nsample: int) -> None:
    """Gather rows of ``features_tensor`` (N1 + N2 + ..., C) into ``out_tensor`` (M, C, nsample).

    Rows outside their sample leave ``out_tensor`` as it was (mmcv: 0).
    """
    rows = _rows(idx_tensor, idx_batch_cnt_tensor, features_batch_cnt_tensor)
    taken = features_tensor[rows.clamp(min=0)].transpose(1, 2)
    out_tensor.copy_(torch.where((rows >= 0)[:, None], taken, out_tensor))


@torch.no_grad()
def stack_group_points_backward(grad_out_tensor: Tensor, idx_tensor: Tensor, idx_batch_cnt_tensor: Tensor,
                                features_batch_cnt_tensor: Tensor, grad_features_tensor: Tensor, b: int, c: int,
                                m: int, n: int, nsample: int) -> None:
    """Add the gradient (M, C, nsample) back to ``grad_features_tensor`` (N1 + N2 + ..., C)."""
    rows = _rows(idx_tensor, idx_batch_cnt_tensor, features_batch_cnt_tensor)
    inside = rows >= 0
    grad_features_tensor.index_add_(0, rows[inside], grad_out_tensor.transpose(1, 2)[inside])
