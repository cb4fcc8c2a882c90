"""The ordering of polygon corners, and the differentiable IoU that stands on it."""
import math

import pytest
import torch

from pretrain3d.engine import mmcv_cpu as ext


def order(points, slots):
    """Sort ``points`` [(x, y), ...] given in the named slots of 24 candidates; returns the 9 rows."""
    vertices, mask = torch.zeros(1, 1, 24, 2), torch.zeros(1, 1, 24, dtype=torch.bool)
    vertices[0, 0, slots] = torch.tensor(points)
    mask[0, 0, slots] = True
    vertices = vertices - vertices[mask].mean(0)
    return ext.diff_iou_rotated_sort_vertices_forward(vertices, mask, mask.sum(2, dtype=torch.int32))[0, 0].tolist()


SQUARE = [(1., 1.), (-1., -1.), (-1., 1.), (1., -1.)]


def test_corners_come_counter_clockwise_closed_and_padded():
    assert order(SQUARE, [0, 3, 5, 9]) == [0, 5, 3, 9, 0, 8, 8, 8, 8]
    assert order(SQUARE, [8, 9, 10, 2]) == [8, 10, 9, 2, 8, 11, 11, 11, 11]


def test_fewer_than_three_distinct_corners_are_no_polygon():
    assert order(SQUARE[:2], [0, 4]) == [8] * 9
    assert order([SQUARE[0], SQUARE[1], SQUARE[1], SQUARE[0]], [0, 1, 4, 5]) == [8] * 9
    empty = torch.full((1, 2, 24, 2), math.nan)  # the mean of no corners
    none = torch.zeros(1, 2, 24, dtype=torch.bool)
    assert (ext.diff_iou_rotated_sort_vertices_forward(empty, none, none.sum(2).int()) == 8).all()


def test_coinciding_corners_count_once():
    twins = order(SQUARE + SQUARE, list(range(8)))
    assert twins[0] == twins[4] and {row % 4 for row in twins[:4]} == {0, 1, 2, 3} and twins[5:] == [8] * 4
    some = order(SQUARE + SQUARE[:1], [0, 1, 2, 3, 6])
    assert len(set(some[:4])) == 4 and some[4] == some[0] and some[5:] == [8] * 4


def test_corners_apart_by_rounding_leave_room_for_the_octagon(rng):
    ring = [(math.cos(k * math.pi / 4), math.sin(k * math.pi / 4)) for k in range(8)]
    copies = [(x + 1e-6 * k, y) for k, (x, y) in enumerate(ring)]
    rows = order(ring + copies, list(range(16)))
    assert len({row % 8 for row in rows[:8]}) == 8 and rows[8] == rows[0]


def pairs(rng, count):
    def draw():
        raw = torch.rand(1, count, 5, generator=rng, dtype=torch.float64)
        return raw * torch.tensor([2., 2., 3., 2., 6.]) + torch.tensor([0., 0., .5, .5, -3.])
    return draw(), draw()


def test_iou_equals_clipping(rng, mended_ops, clipping):
    one, two = pairs(rng, 150)
    two[0, :10] = one[0, :10]
    expected = torch.tensor([clipping.iou(a, b) for a, b in zip(one[0], two[0])])
    found = mended_ops.diff_iou_rotated_2d(one, two)[0]
    # mmcv finds crossings in float32-safe margins of 1e-6 and 1e-8, hence the tolerance.
    torch.testing.assert_close(found, expected.double(), rtol=1e-4, atol=1e-5)


def test_iou_gradient(rng, mended_ops):
    one, two = pairs(rng, 6)
    assert torch.autograd.gradcheck(mended_ops.diff_iou_rotated_2d, (one.requires_grad_(), two.requires_grad_()),
                                    atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize('scale', [.5, 2.])
def test_a_box_that_shares_corners_with_another(mended_ops, scale):
    one = torch.tensor([[[0., 0., 4., 2., 0.]]], dtype=torch.float64)
    two = torch.tensor([[[-2 + 2 * scale, 0., 4 * scale, 2., 0.]]], dtype=torch.float64)  # the left side in common
    assert mended_ops.diff_iou_rotated_2d(one, two).item() == pytest.approx(.5, abs=1e-6)
