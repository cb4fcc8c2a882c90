"""Bird's-eye overlap and suppression of 3D boxes; mmdet3d's box structures on top."""
import pytest
import torch

from pretrain3d.engine import mmcv_cpu as ext


def boxes(rng, count, dtype=torch.float32):
    raw = torch.rand(count, 7, generator=rng, dtype=torch.float64)
    low = torch.tensor([0., 0., -1., .3, .3, .5, -7.])
    return (raw * torch.tensor([12., 12., 1., 4., 2., 2., 14.]) + low).to(dtype)


def footprint(box):
    return box[[0, 1, 3, 4, 6]].double()


def ground_overlap(one, two):
    result = one.new_zeros(len(one), len(two))
    ext.iou3d_boxes_overlap_bev_forward(one, two, result)
    return result


def suppress(rows, threshold, measure):
    kept = []
    for row in range(rows):
        if not any(measure(best, row) > threshold for best in kept):
            kept.append(row)
    return kept


def kept_by(function, sorted_boxes, threshold):
    keep, number = torch.full((len(sorted_boxes), ), -7), torch.zeros((), dtype=torch.long)
    function(sorted_boxes, keep, number, nms_overlap_thresh=threshold)
    assert (keep[number:] == -7).all()
    return keep[:number].tolist()


def iou_3d(one, two, clipping):
    """Of two boxes given by their bottom centres."""
    top = min(float(one[2] + one[5]), float(two[2] + two[5]))
    shared = clipping.overlap(footprint(one), footprint(two)) * max(0., top - max(float(one[2]), float(two[2])))
    return shared / (float(one[3:6].prod()) + float(two[3:6].prod()) - shared)


def test_overlap_equals_clipping(rng, clipping):
    one, two = boxes(rng, 20), boxes(rng, 15)
    expected = torch.tensor([[clipping.overlap(footprint(a), footprint(b)) for b in two] for a in one])
    torch.testing.assert_close(ground_overlap(one, two), expected, rtol=1e-5, atol=1e-5)
    assert ground_overlap(one[:0], two).shape == (0, 15)


def test_boxes_that_miss_each_other_by_millimetres_share_nothing():
    one = torch.tensor([[0., 0., 0., 4., 2., 1., 0.]])
    assert ground_overlap(one, one + torch.tensor([4.005, 0, 0, 0, 0, 0, 0])).item() == 0


@pytest.mark.parametrize('threshold', [.05, .4])
def test_suppression_equals_a_loop(rng, threshold, clipping):
    sorted_boxes = boxes(rng, 80)

    def turned(a, b):
        return clipping.iou(footprint(sorted_boxes[a]), footprint(sorted_boxes[b]))

    def straight(a, b):
        return clipping.iou(footprint(sorted_boxes[a]) * torch.tensor([1, 1, 1, 1, 0]),
                            footprint(sorted_boxes[b]) * torch.tensor([1, 1, 1, 1, 0]))

    assert kept_by(ext.iou3d_nms3d_forward, sorted_boxes, threshold) == suppress(80, threshold, turned)
    assert kept_by(ext.iou3d_nms3d_normal_forward, sorted_boxes, threshold) == suppress(80, threshold, straight)


def test_suppression_of_nothing_and_of_twins():
    box = torch.tensor([[1., 2., 0., 4., 2., 1., .5]])
    for function in (ext.iou3d_nms3d_forward, ext.iou3d_nms3d_normal_forward):
        assert kept_by(function, box[:0], .5) == []
        assert kept_by(function, box.repeat(3, 1), .5) == [0]


def test_mmcv_calls_reach_the_functions(rng, mended_ops, clipping):
    these, scores = boxes(rng, 25), torch.rand(25, generator=rng)
    order = scores.argsort(descending=True)
    expected = suppress(25, .1, lambda a, b: clipping.iou(footprint(these[order[a]]), footprint(these[order[b]])))
    assert mended_ops.nms3d(these, scores, .1).tolist() == order[expected].tolist()
    assert len(mended_ops.nms3d_normal(these, scores, .1)) > 0
    torch.testing.assert_close(mended_ops.boxes_iou3d(these, these).diagonal(), torch.ones(25))


def test_mmdet3d_box_structures(rng, mended_ops, clipping):
    from mmdet3d.models.layers import nms_bev, nms_normal_bev
    from mmdet3d.structures import LiDARInstance3DBoxes, xywhr2xyxyr
    one, two = boxes(rng, 12), boxes(rng, 10)
    expected = torch.tensor([[iou_3d(a, b, clipping) for b in two] for a in one])
    found = LiDARInstance3DBoxes.overlaps(LiDARInstance3DBoxes(one), LiDARInstance3DBoxes(two))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    scores = torch.rand(12, generator=rng)
    order = scores.argsort(descending=True)
    kept = suppress(12, .1, lambda a, b: clipping.iou(footprint(one[order[a]]), footprint(one[order[b]])))
    corners = xywhr2xyxyr(LiDARInstance3DBoxes(one).bev)
    assert nms_bev(corners, scores, .1).tolist() == order[kept].tolist()
    assert len(nms_normal_bev(corners, scores, .1)) > 0
