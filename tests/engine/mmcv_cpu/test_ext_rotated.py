"""Overlap and IoU of rotated rectangles against polygon clipping."""
import math

import pytest
import torch

from pretrain3d.engine import mmcv_cpu as ext
from pretrain3d.engine.mmcv_cpu.rotated import near_pairs, overlap_area, overlap_matrix


def boxes(rng, count, dtype=torch.float64, spread=6.):
    raw = torch.rand(count, 5, generator=rng, dtype=torch.float64)
    return (raw * torch.tensor([spread, spread, 4., 3., 14.]) + torch.tensor([0., 0., .2, .2, -7.])).to(dtype)


def iou_of(module, one, two, mode=0, aligned=False):
    ious = one.new_zeros(len(one) if aligned else len(one) * len(two))
    module.box_iou_rotated(one, two, ious, mode_flag=mode, aligned=aligned)
    return ious if aligned else ious.view(len(one), len(two))


def test_overlap_equals_clipping(rng, clipping):
    one, two = boxes(rng, 40), boxes(rng, 30)
    expected = torch.tensor([[clipping.overlap(a, b) for b in two] for a in one], dtype=torch.float64)
    assert (expected > 0).any() and (expected == 0).any()
    torch.testing.assert_close(overlap_matrix(one, two), expected, rtol=1e-9, atol=1e-9)


CASES = {
    'identical': ((1, 2, 3, 2, .3), (1, 2, 3, 2, .3), 6),
    'half a turn': ((1, 2, 3, 2, .3), (1, 2, 3, 2, .3 + math.pi), 6),
    'quarter turn, sides swapped': ((1, 2, 3, 2, .3), (1, 2, 2, 3, .3 + math.pi / 2), 6),
    'cross': ((0, 0, 4, 1, 0), (0, 0, 4, 1, math.pi / 2), 1),
    'contained': ((0, 0, 8, 8, .7), (.5, .5, 2, 1, .1), 2),
    'shares a side inside': ((0, 0, 4, 2, 0), (1, 0, 2, 2, 0), 4),
    'touches at a side': ((0, 0, 2, 2, 0), (2, 0, 2, 2, 0), 0),
    'touches at a corner': ((0, 0, 2, 2, 0), (2, 2, 2, 2, 0), 0),
    'near but apart': ((0, 0, 4, 1, 0), (0, 1.001, 4, 1, 0), 0),
    'diamond in a square': ((0, 0, 2, 2, 0), (0, 0, math.sqrt(2), math.sqrt(2), math.pi / 4), 2),
    'octagon': ((0, 0, 2, 2, 0), (0, 0, 2, 2, math.pi / 4), 8 * (math.sqrt(2) - 1)),
    'no width': ((0, 0, 0, 2, .2), (0, 0, 2, 2, 0), 0),
    'a point': ((0, 0, 0, 0, 0), (0, 0, 2, 2, 0), 0),
}


@pytest.mark.parametrize('name', CASES)
def test_overlap_of_special_positions(name):
    one, two, expected = CASES[name]
    one, two = (torch.tensor([box], dtype=torch.float64) for box in (one, two))
    assert overlap_area(one, two).item() == pytest.approx(expected, abs=1e-9)
    assert overlap_area(two, one).item() == pytest.approx(expected, abs=1e-9)
    assert overlap_matrix(one, two).item() == pytest.approx(expected, abs=1e-9)


def test_overlap_moves_with_the_world(rng):
    one, two = boxes(rng, 30), boxes(rng, 30)
    turn, shift = 1.1, torch.tensor([1e4, -3e3], dtype=torch.float64)
    cos, sin = math.cos(turn), math.sin(turn)
    rotation = torch.tensor([[cos, sin], [-sin, cos]], dtype=torch.float64)
    moved = [torch.cat((box[:, :2] @ rotation + shift, box[:, 2:4], box[:, 4:] + turn), 1) for box in (one, two)]
    torch.testing.assert_close(overlap_matrix(*moved), overlap_matrix(one, two), rtol=1e-6, atol=1e-7)


def test_near_pairs_misses_no_overlap(rng):
    one, two = boxes(rng, 50), boxes(rng, 40)
    near = torch.zeros(50, 40, dtype=torch.bool)
    near[near_pairs(one, two)] = True
    exact = overlap_area(one.repeat_interleave(40, 0), two.repeat(50, 1)).view(50, 40)
    assert (exact[~near] < 1e-12).all() and (~near).any()


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_iou_modes(rng, dtype, clipping):
    one, two = boxes(rng, 12, dtype), boxes(rng, 9, dtype)
    shared = torch.tensor([[clipping.overlap(a, b) for b in two] for a in one], dtype=torch.float64)
    expected = torch.tensor([[clipping.iou(a, b) for b in two] for a in one], dtype=dtype)
    torch.testing.assert_close(iou_of(ext, one, two), expected, rtol=1e-5, atol=1e-6)
    share = (shared / (one[:, 2] * one[:, 3]).double()[:, None]).to(dtype)
    torch.testing.assert_close(iou_of(ext, one, two, mode=1), share, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(iou_of(ext, one[:9], two, aligned=True), expected[:9].diagonal(), rtol=1e-5, atol=1e-6)


def test_iou_of_boxes_without_area_is_zero_and_of_no_boxes_is_empty():
    flat = torch.tensor([[0., 0., 0., 2., 0.], [0., 0., -1., 2., 0.], [0., 0., 1., 1., 0.]])
    assert torch.equal(iou_of(ext, flat, flat), torch.diag(torch.tensor([0., 0., 1.])))
    assert iou_of(ext, flat[:0], flat).shape == (0, 3) and iou_of(ext, flat, flat[:0]).shape == (3, 0)
    assert iou_of(ext, flat[:0], flat[:0], aligned=True).shape == (0, )


def test_iou_needs_no_gradient(rng):
    one = boxes(rng, 3).requires_grad_()
    assert not iou_of(ext, one, one).requires_grad


@pytest.mark.full
@pytest.mark.parametrize('mode', [0, 1])
def test_iou_equals_the_compiled_operator(rng, compiled, mode):
    one, two = boxes(rng, 60, torch.float32, 10.), boxes(rng, 50, torch.float32, 10.)
    torch.testing.assert_close(iou_of(ext, one, two, mode), iou_of(compiled, one, two, mode), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(iou_of(ext, one[:50], two, mode, True), iou_of(compiled, one[:50], two, mode, True),
                               rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(iou_of(ext, one, one, mode, True), iou_of(compiled, one, one, mode, True),
                               rtol=1e-3, atol=1e-3)
