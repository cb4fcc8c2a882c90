"""Instance metric beside mmdet3d's own where that works, beside counting by hand, and on awkward input."""
import numpy as np
import pytest
import torch

import pretrain3d  # noqa: F401
from mmdet3d.registry import METRICS
from pretrain3d.evaluation.instance_metric import encode_truth

CLASSES, IDS = ('chair', 'table', 'desk'), (5, 7, 14)


def build(kind='ScanNetInstanceMetric', **config):
    metric = METRICS.build(dict(type=kind, **config))
    metric.dataset_meta = dict(classes=CLASSES, seg_valid_class_ids=IDS)
    return metric


def sample(semantic, instance, masks, labels, scores, convert=np.asarray):
    return dict(lidar_path='scene.bin',
                eval_ann_info=dict(pts_semantic_mask=convert(semantic), pts_instance_mask=convert(instance)),
                pred_pts_seg=dict(pts_instance_mask=torch.as_tensor(np.asarray(masks)),
                                  instance_labels=torch.as_tensor(labels), instance_scores=torch.as_tensor(scores)))


def evaluate(metric, samples):
    for one in samples:
        metric.process(None, [one])
    return metric.evaluate(len(samples))


def random_scan(rng, convert):
    """Objects in a row of 3000 points, predicted with shifted borders and a few wrong classes."""
    borders = np.sort(rng.choice(np.arange(1, 3000), 11, replace=False))
    instance = np.searchsorted(borders, np.arange(3000), side='right')  # 0 is void
    kinds = rng.integers(0, 3, 12)
    kinds[rng.integers(1, 12)] = kinds[0] = 3  # without a class
    moved = np.sort(borders + rng.integers(-60, 61, 11))
    masks = np.searchsorted(moved, np.arange(3000), side='right') - 1
    labels = np.where(rng.random(11) < 0.8, kinds[1:] % 3, rng.integers(0, 3, 11))
    return sample(kinds[instance], instance, masks, labels, rng.random(11), convert)


@pytest.mark.parametrize('seed', range(4))
def test_equals_mmdet3d_where_that_works(seed):
    rng = np.random.default_rng(seed)
    scans = [random_scan(rng, torch.as_tensor) for _ in range(3)]
    theirs = build('InstanceSegMetric')
    wanted = evaluate(theirs, scans)
    scores = evaluate(build(), scans)
    for key in ('all_ap', 'all_ap_50%', 'all_ap_25%'):
        assert scores[key] == pytest.approx(wanted[key]) and 0 < scores[key] < 1
    for name in CLASSES:
        for key in ('ap', 'ap50%', 'ap25%'):
            assert scores[f'{key.replace("ap", "ap_") if key != "ap" else key}/{name}'] == pytest.approx(
                wanted['classes'][name][key])


def test_one_object_by_hand():
    """An overlap of 0.65 counts at 0.50, 0.55 and 0.60 (strictly above the threshold), three of nine."""
    semantic, instance = np.zeros(400, int), np.repeat([1, 0], 200)
    masks = np.where(np.arange(400) < 130, 0, -1)
    scores = evaluate(build(), [sample(semantic, instance, masks, [0], [0.5])])
    assert scores['all_ap_25%'] == scores['all_ap_50%'] == 1 and scores['all_ap'] == pytest.approx(3 / 9)
    assert scores['ap/chair'] == pytest.approx(3 / 9) and 'ap/table' not in scores


def test_overlapping_proposals():
    """Of two proposals for one object the one of lower score is a false positive: precision 1, then 1/2."""
    semantic, instance = np.zeros(400, int), np.repeat([1, 2], 200)
    masks = np.zeros((3, 400), bool)
    masks[0, :200], masks[1, :190], masks[2, 200:] = True, True, True
    perfect = evaluate(build(), [sample(semantic, instance, masks[[0, 2]], [0, 0], [0.9, 0.8])])
    assert perfect['all_ap'] == 1
    doubled = evaluate(build(), [sample(semantic, instance, masks, [0, 0, 0], [0.9, 0.8, 0.7])])
    # Points of the curve: (recall 1/2, precision 1), (1/2, 1/2), (1, 2/3); mmdet3d's rule weighs them by half steps.
    steps = np.convolve([1, 1, .5, .5, 0, 0], [-.5, 0, .5], 'valid')
    assert doubled['all_ap_50%'] == pytest.approx(np.dot([2 / 3, 1 / 2, 1, 1], steps))


def test_small_objects_are_void_by_the_option():
    semantic, instance = np.zeros(300, int), np.repeat([1, 2], [250, 50])
    masks = np.where(instance == 1, 0, -1)  # the small one is missed
    scans = [sample(semantic, instance, masks, [0], [1.])]
    assert evaluate(build(), scans)['all_ap'] == 1
    assert evaluate(build(min_region_size=10), scans)['all_ap_50%'] == pytest.approx(0.5)
    with pytest.raises(ValueError, match='at least 1'):
        build(min_region_size=0)


def test_truth_encoding():
    """An id with two classes is two objects; void stays 0; large and negative ids are fine."""
    encoded = encode_truth(np.array([0, 0, 1, 1, 3, 2, 2]), np.array([7, 7, 7, 0, 8, 123456, -1]), IDS)
    assert (encoded // 1000).tolist() == [5, 5, 7, 0, 0, 14, 0]
    assert len(set(encoded[encoded > 0])) == 3 and encoded[0] == encoded[1]
    with pytest.raises(ValueError, match='up to 999'):
        encode_truth(np.zeros(1000, int), np.arange(1, 1001), IDS)


def test_scans_without_predictions_or_points():
    semantic, instance = np.zeros(200, int), np.ones(200, int)
    none = sample(semantic, instance, np.full(200, -1), np.zeros(0, int), np.zeros(0))
    assert evaluate(build(), [none])['all_ap'] == 0
    empty = sample(np.zeros(0, int), np.zeros(0, int), np.zeros(0, int), np.zeros(0, int), np.zeros(0))
    full = sample(semantic, instance, np.zeros(200, int), [0], [1.])
    assert evaluate(build(), [empty, full])['all_ap'] == 1


def test_wrong_input_is_named():
    semantic, instance = np.array([0, 0, 1]), np.array([1, 1, 2])
    right = (semantic, instance, [0, 0, 1], [0, 1], [1., 1.])
    for place, value, words in (
            (0, [0, 5, 1], 'PointSegClassMapping'), (1, [1, 1], 'instance ids'), (2, [0, 0], 'drop or add points'),
            (2, [0, 0, 4], 'rows of instance_labels'), (3, [0, 3], 'below 3'), (4, [1.], 'instance_scores')):
        wrong = list(right)
        wrong[place] = value
        with pytest.raises(ValueError, match=f'scene.bin: .*{words}'):
            build().process(None, [sample(*wrong)])
    lacking = sample(*right)
    del lacking['eval_ann_info']['pts_instance_mask']
    with pytest.raises(KeyError, match='with_mask_3d=True'):
        build().process(None, [lacking])
    lacking = sample(*right)
    del lacking['pred_pts_seg']['instance_scores']
    with pytest.raises(KeyError, match='scene.bin.*instance_scores'):
        build().process(None, [lacking])
    metric = build()
    metric.dataset_meta = dict(classes=CLASSES)
    with pytest.raises(KeyError, match='seg_valid_class_ids'):
        metric.process(None, [sample(*right)])
    metric.dataset_meta = dict(classes=CLASSES, seg_valid_class_ids=(1, 2))
    with pytest.raises(ValueError, match='one raw id'):
        metric.process(None, [sample(*right)])
