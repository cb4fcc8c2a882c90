"""RoIAlign with averaging against a loop over sampling points."""
import math

import pytest
import torch

from pretrain3d.engine import mmcv_cpu as ext

ROIS = torch.tensor([[0., 1., 1., 6., 5.], [1., 0.3, 2.2, 3.1, 7.9], [1., -3., -2., 12., 9.], [0., 4., 4., 4., 4.]],
                    dtype=torch.float64)


def bilinear(image, y, x):
    """Value at continuous pixel coordinates; the border is repeated for one pixel and zero beyond."""
    height, width = image.shape
    if y < -1 or y > height or x < -1 or x > width:
        return 0.
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    fy, fx = y - top, x - left
    return float(image[top, left] * (1 - fy) * (1 - fx) + image[top, right] * (1 - fy) * fx +
                 image[bottom, left] * fy * (1 - fx) + image[bottom, right] * fy * fx)


def pool_brute(image, rois, size, scale, ratio, aligned):
    result = image.new_zeros(len(rois), image.shape[1], *size)
    for k, c, i, j in torch.cartesian_prod(*map(torch.arange, result.shape)).tolist():
        shift = .5 if aligned else 0.
        x0, y0, x1, y1 = (float(value) * scale - shift for value in rois[k, 1:])
        width, height = x1 - x0, y1 - y0
        if not aligned:
            width, height = max(width, 1.), max(height, 1.)
        rows = ratio or math.ceil(height / size[0])
        columns = ratio or math.ceil(width / size[1])
        values = [bilinear(image[int(rois[k, 0]), c], y0 + (i + (a + .5) / rows) * height / size[0],
                           x0 + (j + (b + .5) / columns) * width / size[1])
                  for a in range(rows) for b in range(columns)]
        result[k, c, i, j] = sum(values) / max(len(values), 1)
    return result


def pool(module, image, rois, size, scale, ratio, aligned, mode=1):
    output, empty = image.new_zeros(len(rois), image.shape[1], *size), image.new_zeros(0)
    module.roi_align_forward(image, rois, output, empty, empty, aligned_height=size[0], aligned_width=size[1],
                             spatial_scale=scale, sampling_ratio=ratio, pool_mode=mode, aligned=aligned)
    return output


CASES = [(1., 2, True), (1., 0, True), (.5, 0, False), (.5, 3, True)]


@pytest.mark.parametrize('scale, ratio, aligned', CASES)
def test_pooling_equals_a_loop(rng, scale, ratio, aligned):
    image = torch.randn(2, 3, 8, 9, generator=rng, dtype=torch.float64)
    args = (ROIS, (3, 2), scale, ratio, aligned)
    torch.testing.assert_close(pool(ext, image, *args), pool_brute(image, *args))
    assert pool(ext, image, ROIS[:0], (3, 2), scale, ratio, aligned).shape == (0, 3, 3, 2)


def test_gradient(rng, mended_ops):
    image = torch.randn(2, 2, 6, 7, generator=rng, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: mended_ops.roi_align(x, ROIS, (3, 2), .7, 2, 'avg', True), image)


def test_maximum_pooling_says_what_it_needs(rng):
    image = torch.zeros(1, 1, 4, 4)
    with pytest.raises(NotImplementedError, match="roi_align_forward with pool_mode='max' needs compiled mmcv"):
        pool(ext, image, ROIS.float(), (2, 2), 1., 2, True, mode=0)
    with pytest.raises(NotImplementedError, match='roi_align_backward'):
        ext.roi_align_backward(image, ROIS.float(), image, image, image, 2, 2, 1., 2, 0, True)


@pytest.mark.full
@pytest.mark.parametrize('scale, ratio, aligned', CASES)
def test_pooling_equals_the_compiled_operator(rng, compiled, scale, ratio, aligned):
    image, rois = torch.randn(2, 3, 8, 9, generator=rng), ROIS.float()
    args = ((3, 2), scale, ratio, aligned)
    torch.testing.assert_close(pool(ext, image, rois, *args), pool(compiled, image, rois, *args))
    rois = rois[:3]  # the compiled backward divides by zero for a region without area
    grad = torch.randn(3, 3, 3, 2, generator=rng)
    ours, theirs = torch.zeros(2, *image.shape)
    for module, target in ((ext, ours), (compiled, theirs)):
        module.roi_align_backward(grad, rois, image.new_zeros(0), image.new_zeros(0), target, aligned_height=3,
                                  aligned_width=2, spatial_scale=scale, sampling_ratio=ratio, pool_mode=1,
                                  aligned=aligned)
    torch.testing.assert_close(ours, theirs)
