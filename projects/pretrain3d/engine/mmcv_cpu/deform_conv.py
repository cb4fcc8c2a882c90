"""Deformable convolution (v1: offsets; v2: offsets and masks) through torchvision's CPU kernels.

mmcv passes scratch buffers (``columns``, ``ones``) and an ``im2col_step``; torchvision needs none of them.
"""
from typing import Optional, Tuple

import torch
from torch import Tensor


def _convolve(input: Tensor, offset: Tensor, mask: Optional[Tensor], weight: Tensor, bias: Optional[Tensor],
              stride: Tuple[int, int], padding: Tuple[int, int], dilation: Tuple[int, int]) -> Tensor:
    from torchvision.ops import deform_conv2d
    return deform_conv2d(input, offset, weight, bias, stride, padding, dilation, mask)


def _backward(targets: dict, grad_output: Tensor, tensors: dict, **geometry) -> None:
    """Put into each tensor of ``targets`` the gradient with respect to the input of the same name.

    As in the compiled kernels, those of offset and mask are written and the others are added.
    """
    leaves = {name: None if value is None else value.detach().requires_grad_(name in targets)
              for name, value in tensors.items()}
    with torch.enable_grad():
        output = _convolve(**leaves, **geometry)
    names = list(targets)
    gradients = torch.autograd.grad(output, [leaves[name] for name in names], grad_output.to(output.dtype))
    for name, gradient in zip(names, gradients):
        if name in ('offset', 'mask'):
            targets[name].copy_(gradient)
        else:
            targets[name].add_(gradient)


@torch.no_grad()
def modulated_deform_conv_forward(input: Tensor, weight: Tensor, bias: Tensor, ones: Tensor, offset: Tensor,
                                  mask: Tensor, output: Tensor, columns: Tensor, kernel_h: int, kernel_w: int,
                                  stride_h: int, stride_w: int, pad_h: int, pad_w: int, dilation_h: int,
                                  dilation_w: int, group: int, deformable_group: int, with_bias: bool) -> None:
    """Write the convolution into ``output`` (B, O, H', W').

    Args:
        input: (B, C, H, W); weight: (O, C / group, kernel_h, kernel_w); bias: (O,), read where ``with_bias``.
        offset: (B, 2 * deformable_group * kernel_h * kernel_w, H', W') in pixels, y before x for each tap.
        mask: (B, deformable_group * kernel_h * kernel_w, H', W').
    """
    output.copy_(_convolve(input, offset, mask, weight, bias if with_bias else None, (stride_h, stride_w),
                           (pad_h, pad_w), (dilation_h, dilation_w)))


@torch.no_grad()
def modulated_deform_conv_backward(input: Tensor, weight: Tensor, bias: Tensor, ones: Tensor, offset: Tensor,
                                   mask: Tensor, columns: Tensor, grad_input: Tensor, grad_weight: Tensor,
                                   grad_bias: Tensor, grad_offset: Tensor, grad_mask: Tensor, grad_output: Tensor,
                                   kernel_h: int, kernel_w: int, stride_h: int, stride_w: int, pad_h: int, pad_w: int,
                                   dilation_h: int, dilation_w: int, group: int, deformable_group: int,
                                   with_bias: bool) -> None:
    """Add the gradients of :func:`modulated_deform_conv_forward` to ``grad_*``; write those of offset and mask."""
    targets = dict(input=grad_input, weight=grad_weight, offset=grad_offset, mask=grad_mask)
    if with_bias:
        targets['bias'] = grad_bias
    tensors = dict(input=input, offset=offset, mask=mask, weight=weight, bias=bias if with_bias else None)
    _backward(targets, grad_output, tensors, stride=(stride_h, stride_w), padding=(pad_h, pad_w),
              dilation=(dilation_h, dilation_w))


@torch.no_grad()
def deform_conv_forward(input: Tensor, weight: Tensor, offset: Tensor, output: Tensor, columns: Tensor, ones: Tensor,
                        kW: int, kH: int, dW: int, dH: int, padW: int, padH: int, dilationW: int, dilationH: int,
                        group: int, deformable_group: int, im2col_step: int) -> None:
    """Write the convolution without masks or bias into ``output`` (B, O, H', W'); ``dW``, ``dH`` are strides."""
    output.copy_(_convolve(input, offset, None, weight, None, (dH, dW), (padH, padW), (dilationH, dilationW)))


@torch.no_grad()
def deform_conv_backward_input(input: Tensor, offset: Tensor, gradOutput: Tensor, gradInput: Tensor,
                               gradOffset: Tensor, weight: Tensor, columns: Tensor, kW: int, kH: int, dW: int,
                               dH: int, padW: int, padH: int, dilationW: int, dilationH: int, group: int,
                               deformable_group: int, im2col_step: int) -> None:
    """Add the gradient with respect to the input to ``gradInput``, write that of the offset into ``gradOffset``."""
    tensors = dict(input=input, offset=offset, mask=None, weight=weight, bias=None)
    _backward(dict(input=gradInput, offset=gradOffset), gradOutput, tensors, stride=(dH, dW),
              padding=(padH, padW), dilation=(dilationH, dilationW))


@torch.no_grad()
def deform_conv_backward_parameters(input: Tensor, offset: Tensor, gradOutput: Tensor, gradWeight: Tensor,
                                    columns: Tensor, ones: Tensor, kW: int, kH: int, dW: int, dH: int, padW: int,
                                    padH: int, dilationW: int, dilationH: int, group: int, deformable_group: int,
                                    scale: float, im2col_step: int) -> None:
    """Add ``scale`` times the gradient with respect to the weight to ``gradWeight``."""
    # The output is linear in the weight, so its gradient is the same at any weight of that shape.
    tensors = dict(input=input, offset=offset, mask=None, weight=torch.zeros_like(gradWeight), bias=None)
    _backward(dict(weight=gradWeight), gradOutput * scale, tensors, stride=(dH, dW), padding=(padH, padW),
              dilation=(dilationH, dilationW))
