"""RoIAlign with averaging, through torchvision's CPU kernel (same sampling points, same half-pixel convention)."""
import torch
from torch import Tensor

from .missing import needs_compiled

AVERAGE = 1


@torch.no_grad()
def roi_align_forward(input: Tensor, rois: Tensor, output: Tensor, argmax_y: Tensor, argmax_x: Tensor,
                      aligned_height: int, aligned_width: int, spatial_scale: float, sampling_ratio: int,
                      pool_mode: int, aligned: bool) -> None:
    """Write the pooled features into ``output`` (K, C, aligned_height, aligned_width).

    Args:
        input: (B, C, H, W); rois: (K, 5) batch row, x1, y1, x2, y2 in the units of ``1 / spatial_scale``.
        sampling_ratio: samples per bin and axis; 0 means one per input pixel.
        pool_mode: 1, averaging. Maximum pooling (0) raises ``NotImplementedError``.
    """
    from torchvision.ops import roi_align
    if pool_mode != AVERAGE:
        raise needs_compiled("roi_align_forward with pool_mode='max'")
    output.copy_(roi_align(input, rois, (aligned_height, aligned_width), spatial_scale, sampling_ratio, aligned))


@torch.no_grad()
def roi_align_backward(grad_output: Tensor, rois: Tensor, argmax_y: Tensor, argmax_x: Tensor, grad_input: Tensor,
                       aligned_height: int, aligned_width: int, spatial_scale: float, sampling_ratio: int,
                       pool_mode: int, aligned: bool) -> None:
    """Add the gradient with respect to the features to ``grad_input`` (B, C, H, W)."""
    from torchvision.ops import roi_align
    if pool_mode != AVERAGE:
        raise needs_compiled("roi_align_backward with pool_mode='max'")
    with torch.enable_grad():  # pooling is linear in the features, so its gradient is the same at zero
        features = torch.zeros_like(grad_input).requires_grad_()
        pooled = roi_align(features, rois, (aligned_height, aligned_width), spatial_scale, sampling_ratio, aligned)
    grad_input.add_(torch.autograd.grad(pooled, features, grad_output)[0])
