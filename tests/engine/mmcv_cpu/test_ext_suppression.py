"""Suppression of axis-aligned and rotated boxes, and 2D overlaps, against loops."""
import math

import pytest
import torch

from pretrain3d.engine import mmcv_cpu as ext
from pretrain3d.engine.mmcv_cpu.suppression import greedy_keep


def image_boxes(rng, count, spread=40.):
    corner = torch.rand(count, 2, generator=rng) * spread
    return torch.cat((corner, corner + torch.rand(count, 2, generator=rng) * 15 + 1), 1)


def ground_boxes(rng, count):
    raw = torch.rand(count, 5, generator=rng)
    return raw * torch.tensor([12., 12., 4., 2., 14.]) + torch.tensor([0., 0., .3, .3, -7.])


def plain_iou(one, two, offset):
    width = max(0., float(min(one[2], two[2]) - max(one[0], two[0]) + offset))
    height = max(0., float(min(one[3], two[3]) - max(one[1], two[1]) + offset))
    areas = sum(float((box[2] - box[0] + offset) * (box[3] - box[1] + offset)) for box in (one, two))
    return width * height / (areas - width * height)


def suppress(boxes, scores, threshold, measure):
    left = sorted(range(len(boxes)), key=lambda row: -float(scores[row]))
    kept = []
    while left:
        best, *left = left
        kept.append(best)
        left = [row for row in left if not measure(boxes[best], boxes[row]) > threshold]
    return kept


def rotated(module, boxes, scores, threshold, labels=None):
    order = scores.argsort(descending=True)
    dets = boxes if labels is None else torch.cat((boxes, labels[:, None]), 1)
    return module.nms_rotated(dets, scores, order, dets[order], torch.zeros(0, dtype=torch.int), threshold,
                              int(labels is not None))


def test_greedy_keep_spares_what_only_a_dropped_row_would_suppress():
    pairs = torch.tensor([[2, 3], [0, 1], [1, 2]])
    assert greedy_keep(5, pairs[:, 0], pairs[:, 1]).tolist() == [0, 2, 4]
    assert greedy_keep(3, pairs[:0, 0], pairs[:0, 1]).tolist() == [0, 1, 2]
    assert greedy_keep(0, pairs[:0, 0], pairs[:0, 1]).tolist() == []


@pytest.mark.parametrize('offset, threshold', [(0, .3), (1, .3), (0, .7), (0, 0.)])
def test_nms_equals_a_loop(rng, offset, threshold):
    boxes, scores = image_boxes(rng, 120, 20.), torch.rand(120, generator=rng)
    expected = suppress(boxes, scores, threshold, lambda a, b: plain_iou(a, b, offset))
    assert 1 < len(expected) < 115
    assert ext.nms(boxes, scores, iou_threshold=threshold, offset=offset).tolist() == expected


def test_nms_keeps_a_box_at_the_threshold_and_takes_empty_input():
    boxes = torch.tensor([[0., 0., 10., 10.], [0., 0., 10., 3.]])  # IoU 0.3, which float32 rounds up
    assert ext.nms(boxes, torch.tensor([.9, .8]), iou_threshold=.3, offset=0).tolist() == [0, 1]
    assert ext.nms(boxes, torch.tensor([.9, .8]), iou_threshold=.29, offset=0).tolist() == [0]
    assert ext.nms(boxes[:0], boxes[:0, 0], iou_threshold=.3, offset=0).shape == (0, )


def softnms_brute(boxes, scores, threshold, sigma, floor, method, offset):
    left = {row: float(score) for row, score in enumerate(scores)}
    kept = []
    while left:
        best = max(left, key=left.get)
        kept.append((best, left.pop(best)))
        for row in list(left):
            iou = plain_iou(boxes[best], boxes[row], offset)
            if method == 2:
                left[row] *= math.exp(-iou * iou / sigma)
            elif iou >= threshold:
                left[row] *= 1 - iou if method == 1 else 0
            if left[row] < floor:
                del left[row]
    return kept


@pytest.mark.parametrize('method', [0, 1, 2])
@pytest.mark.parametrize('offset', [0, 1])
def test_softnms_equals_a_loop(rng, method, offset):
    boxes, scores = image_boxes(rng, 60), torch.rand(60, generator=rng)
    dets = torch.full((60, 5), -1.)
    kept = ext.softnms(boxes, scores, dets, iou_threshold=.3, sigma=.5, min_score=.1, method=method, offset=offset)
    expected = softnms_brute(boxes, scores, .3, .5, .1, method, offset)
    assert kept.tolist() == [row for row, _ in expected]
    decayed = torch.tensor([score for _, score in expected])
    torch.testing.assert_close(dets[:len(kept), 4], decayed, rtol=1e-4, atol=1e-5)
    assert torch.equal(dets[:len(kept), :4], boxes[kept])
    assert (dets[len(kept):] == -1).all()


def test_softnms_keeps_the_best_box_whatever_its_score_and_takes_empty_input():
    boxes, dets = torch.tensor([[0., 0., 1., 1.], [5., 5., 6., 6.]]), torch.zeros(2, 5)
    assert ext.softnms(boxes, torch.tensor([.01, .02]), dets, .3, .5, .1, 1, 0).tolist() == [1]
    assert ext.softnms(boxes[:0], boxes[:0, 0], dets[:0], .3, .5, .1, 1, 0).shape == (0, )


@pytest.mark.parametrize('threshold', [.1, .5, 0.])
def test_nms_rotated_equals_a_loop(rng, threshold, clipping):
    boxes, scores = ground_boxes(rng, 70) * torch.tensor([.5, .5, 1, 1, 1]), torch.rand(70, generator=rng)
    expected = suppress(boxes, scores, threshold, clipping.iou)
    assert 3 < len(expected) < 70
    assert rotated(ext, boxes, scores, threshold).tolist() == expected
    labels = torch.arange(70.)
    assert rotated(ext, boxes, scores, threshold, labels).tolist() == expected


def test_nms_rotated_special_input():
    boxes = torch.tensor([[0., 0., 2., 1., 0.], [0., 0., 2., 1., math.pi], [0., 0., 2., 0., 0.], [1., 0., 2., 1., 0.]])
    scores = torch.tensor([.5, .9, .8, .7])
    assert rotated(ext, boxes, scores, .5).tolist() == [1, 2, 3]
    assert rotated(ext, boxes[:0], scores[:0], .5).shape == (0, )
    # The last box shares exactly a third with the others: at the threshold it stays.
    assert rotated(ext, boxes, scores, 1 / 3).tolist() == [1, 2, 3]
    assert rotated(ext, boxes, scores, .33).tolist() == [1, 2]


@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('mode', [0, 1])
def test_bbox_overlaps_equals_a_loop(rng, mode, offset):
    one, two = image_boxes(rng, 15), image_boxes(rng, 12)

    def value(a, b):
        iou = plain_iou(a, b, offset)
        area = [float((box[2] - box[0] + offset) * (box[3] - box[1] + offset)) for box in (a, b)]
        return iou if mode == 0 else iou * sum(area) / (1 + iou) / area[0]

    expected = torch.tensor([[value(a, b) for b in two] for a in one])
    ious = torch.zeros(15, 12)
    ext.bbox_overlaps(one, two, ious, mode=mode, aligned=False, offset=offset)
    torch.testing.assert_close(ious, expected)
    ious = torch.zeros(12)
    ext.bbox_overlaps(one[:12], two, ious, mode=mode, aligned=True, offset=offset)
    torch.testing.assert_close(ious, expected[:12].diagonal())


def test_mmcv_calls_reach_the_functions(rng, mended_ops, clipping):
    boxes, scores = ground_boxes(rng, 30), torch.rand(30, generator=rng)
    dets, kept = mended_ops.nms_rotated(boxes, scores, .2)
    assert kept.tolist() == suppress(boxes, scores, .2, clipping.iou)
    assert torch.equal(dets, torch.cat((boxes, scores[:, None]), 1)[kept])
    flat = image_boxes(rng, 30)
    labels = torch.arange(30) % 2
    kept = mended_ops.batched_nms(flat, scores, labels, dict(type='nms', iou_threshold=.3))[1]
    expected = [row for label in (0, 1) for row in suppress(flat[label::2], scores[label::2], .3,
                                                            lambda a, b: plain_iou(a, b, 0))]
    assert len(kept) == len(expected)
    assert len(mended_ops.soft_nms(flat, scores, .3)[1]) > 0
    assert mended_ops.bbox_overlaps(flat, flat).diagonal().allclose(torch.ones(30))


@pytest.mark.full
def test_suppression_equals_the_compiled_operators(rng, compiled):
    boxes, scores = image_boxes(rng, 400, 100.), torch.rand(400, generator=rng)
    for offset in (0, 1):
        args = dict(iou_threshold=.3, offset=offset)
        assert torch.equal(ext.nms(boxes, scores, **args), compiled.nms(boxes, scores, **args))
        for method in (0, 1, 2):
            found = []
            for module in (ext, compiled):
                dets = torch.zeros(400, 5)
                rows = module.softnms(boxes, scores, dets, sigma=.5, min_score=.05, method=method, **args)
                found.append((rows, dets[:len(rows)]))
            assert torch.equal(found[0][0], found[1][0])
            torch.testing.assert_close(found[0][1], found[1][1])
        for mode in (0, 1):
            ious = torch.zeros(2, 400, 400)
            ext.bbox_overlaps(boxes, boxes, ious[0], mode=mode, aligned=False, offset=offset)
            compiled.bbox_overlaps(boxes, boxes, ious[1], mode=mode, aligned=False, offset=offset)
            torch.testing.assert_close(ious[0], ious[1])
    tilted = ground_boxes(rng, 200)
    assert torch.equal(rotated(ext, tilted, scores[:200], .2), rotated(compiled, tilted, scores[:200], .2))
    labels = torch.arange(200.)  # the compiled operator does not read them either
    assert torch.equal(rotated(ext, tilted, scores[:200], .2, labels),
                       rotated(compiled, tilted, scores[:200], .2, labels))
