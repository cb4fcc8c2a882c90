"""Deformable convolutions against loops over pixels, and their gradients through mmcv's autograd functions."""
import math

import pytest
import torch
import torch.nn.functional as F

from pretrain3d.engine import mmcv_cpu as ext


def sample(image, y, x):
    """Bilinear value of (H, W), zero beyond the border."""
    height, width = image.shape
    total = 0.
    for row, column in ((math.floor(y) + i, math.floor(x) + j) for i in (0, 1) for j in (0, 1)):
        if 0 <= row < height and 0 <= column < width:
            total += float(image[row, column]) * (1 - abs(y - row)) * (1 - abs(x - column))
    return total


def convolve_brute(image, weight, bias, offset, mask, stride, pad, dilation, group, offset_groups):
    batch, channels = image.shape[:2]
    out_channels, per_group, kernel_h, kernel_w = weight.shape
    output = image.new_zeros(batch, out_channels, *offset.shape[2:])
    taps = kernel_h * kernel_w
    for b, o, i, j in torch.cartesian_prod(*map(torch.arange, output.shape)).tolist():
        total = float(bias[o]) if bias is not None else 0.
        for c in range(per_group):
            channel = o // (out_channels // group) * per_group + c
            kind = channel // (channels // offset_groups)
            for tap in range(taps):
                row, column = tap // kernel_w, tap % kernel_w
                y = i * stride[0] - pad[0] + row * dilation[0] + float(offset[b, (kind * taps + tap) * 2, i, j])
                x = j * stride[1] - pad[1] + column * dilation[1] + float(offset[b, (kind * taps + tap) * 2 + 1, i, j])
                value = sample(image[b, channel], y, x) * float(weight[o, c, row, column])
                total += value * (float(mask[b, kind * taps + tap, i, j]) if mask is not None else 1.)
        output[b, o, i, j] = total
    return output


def problem(rng, stride=(1, 1), pad=(1, 1), dilation=(1, 1), group=1, offset_groups=1, kernel=(3, 2)):
    def draw(*shape):
        return torch.randn(*shape, generator=rng, dtype=torch.float64)

    image = draw(2, 4, 5, 6)
    size = [(extent + 2 * p - d * (k - 1) - 1) // s + 1 for extent, s, p, d, k in
            zip(image.shape[2:], stride, pad, dilation, kernel)]
    taps = kernel[0] * kernel[1] * offset_groups
    return dict(image=image, weight=draw(6, 4 // group, *kernel), bias=draw(6), offset=draw(2, 2 * taps, *size) * 1.5,
                mask=torch.sigmoid(draw(2, taps, *size)), stride=stride, pad=pad, dilation=dilation, group=group,
                offset_groups=offset_groups)


def forward_modulated(module, p, with_bias=True):
    batch, out = len(p['image']), len(p['weight'])
    output = p['image'].new_full((batch, out, *p['offset'].shape[2:]), math.nan)
    empty = p['image'].new_empty(0)
    module.modulated_deform_conv_forward(
        p['image'], p['weight'], p['bias'] if with_bias else empty, empty, p['offset'], p['mask'], output,
        p['image'].new_empty(0), kernel_h=p['weight'].shape[2], kernel_w=p['weight'].shape[3], stride_h=p['stride'][0],
        stride_w=p['stride'][1], pad_h=p['pad'][0], pad_w=p['pad'][1], dilation_h=p['dilation'][0],
        dilation_w=p['dilation'][1], group=p['group'], deformable_group=p['offset_groups'], with_bias=with_bias)
    return output


def plain_keys(p):
    return dict(kW=p['weight'].shape[3], kH=p['weight'].shape[2], dW=p['stride'][1], dH=p['stride'][0],
                padW=p['pad'][1], padH=p['pad'][0], dilationW=p['dilation'][1], dilationH=p['dilation'][0],
                group=p['group'], deformable_group=p['offset_groups'], im2col_step=2)


def forward_plain(module, p):
    output = p['image'].new_full((len(p['image']), len(p['weight']), *p['offset'].shape[2:]), math.nan)
    module.deform_conv_forward(p['image'], p['weight'], p['offset'], output, p['image'].new_empty(0),
                               p['image'].new_empty(0), **plain_keys(p))
    return output


SHAPES = [dict(), dict(stride=(2, 1), pad=(0, 2), dilation=(2, 1)), dict(group=2, offset_groups=2, pad=(2, 0))]


@pytest.mark.parametrize('shape', SHAPES)
def test_forward_equals_a_loop(rng, shape):
    p = problem(rng, **shape)
    torch.testing.assert_close(forward_modulated(ext, p), convolve_brute(**p))
    torch.testing.assert_close(forward_modulated(ext, p, with_bias=False), convolve_brute(**{**p, 'bias': None}))
    torch.testing.assert_close(forward_plain(ext, p), convolve_brute(**{**p, 'bias': None, 'mask': None}))


def test_without_offsets_it_is_a_convolution(rng):
    p = problem(rng)
    p.update(offset=torch.zeros_like(p['offset']), mask=torch.ones_like(p['mask']))
    torch.testing.assert_close(forward_modulated(ext, p), F.conv2d(p['image'], p['weight'], p['bias'], padding=1))


@pytest.mark.parametrize('shape', SHAPES)
def test_gradients(rng, shape, mended_ops):
    p = problem(rng, **shape)
    tensors = [p[name].requires_grad_() for name in ('image', 'offset', 'mask', 'weight', 'bias')]
    geometry = (p['stride'], p['pad'], p['dilation'], p['group'], p['offset_groups'])
    assert torch.autograd.gradcheck(lambda *x: mended_ops.modulated_deform_conv2d(*x, *geometry), tensors,
                                    fast_mode=True)
    assert torch.autograd.gradcheck(lambda *x: mended_ops.deform_conv2d(*x, *geometry),
                                    [tensors[0], tensors[1], tensors[3]], fast_mode=True)


def backward_all(module, p, grad):
    """The gradients of both kinds, put into tensors of ones."""
    ones = {name: torch.ones_like(p[name]) for name in ('image', 'offset', 'mask', 'weight', 'bias')}
    empty = p['image'].new_empty(0)
    module.modulated_deform_conv_backward(
        p['image'], p['weight'], p['bias'], empty, p['offset'], p['mask'], empty, ones['image'], ones['weight'],
        ones['bias'], ones['offset'], ones['mask'], grad, kernel_h=p['weight'].shape[2], kernel_w=p['weight'].shape[3],
        stride_h=p['stride'][0], stride_w=p['stride'][1], pad_h=p['pad'][0], pad_w=p['pad'][1],
        dilation_h=p['dilation'][0], dilation_w=p['dilation'][1], group=p['group'],
        deformable_group=p['offset_groups'], with_bias=True)
    plain = {name: torch.ones_like(p[name]) for name in ('image', 'offset', 'weight')}
    module.deform_conv_backward_input(p['image'], p['offset'], grad, plain['image'], plain['offset'], p['weight'],
                                      empty, **plain_keys(p))
    module.deform_conv_backward_parameters(p['image'], p['offset'], grad, plain['weight'], empty, empty,
                                           scale=.5, **plain_keys(p))
    return ones, plain


def test_gradients_of_offset_and_mask_are_written_and_the_others_added(rng):
    p = problem(rng)
    grad = torch.randn(2, 6, *p['offset'].shape[2:], generator=rng, dtype=torch.float64)
    from torchvision.ops import deform_conv2d
    leaves = {name: p[name].clone().requires_grad_() for name in ('image', 'offset', 'mask', 'weight', 'bias')}
    deform_conv2d(leaves['image'], leaves['offset'], leaves['weight'], leaves['bias'], padding=1,
                  mask=leaves['mask']).backward(grad)
    ones, plain = backward_all(ext, p, grad)
    for name, leaf in leaves.items():
        torch.testing.assert_close(ones[name], leaf.grad + (name not in ('offset', 'mask')))
    leaves = {name: p[name].clone().requires_grad_() for name in ('image', 'offset', 'weight')}
    deform_conv2d(leaves['image'], leaves['offset'], leaves['weight'], padding=1).backward(grad)
    torch.testing.assert_close(plain['weight'], 1 + leaves['weight'].grad / 2)
    torch.testing.assert_close(plain['image'], 1 + leaves['image'].grad)
    torch.testing.assert_close(plain['offset'], leaves['offset'].grad)


@pytest.mark.full
@pytest.mark.parametrize('shape', SHAPES)
def test_convolutions_equal_the_compiled_operators(rng, compiled, shape):
    p = {name: value.float() if torch.is_tensor(value) else value for name, value in problem(rng, **shape).items()}
    torch.testing.assert_close(forward_modulated(ext, p), forward_modulated(compiled, p), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(forward_plain(ext, p), forward_plain(compiled, p), rtol=1e-4, atol=1e-4)
    grad = torch.randn(2, 6, *p['offset'].shape[2:], generator=rng)
    for ours, theirs in zip(backward_all(ext, p, grad), backward_all(compiled, p, grad)):
        for name in ours:
            torch.testing.assert_close(ours[name], theirs[name], rtol=1e-4, atol=1e-4, msg=name)
