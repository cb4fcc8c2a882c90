"""Mean IoU beside counting by hand, and beside mmdet3d's own."""
import math

import numpy as np
import pytest
import torch

import pretrain3d  # noqa: F401
from mmdet3d.evaluation import seg_eval
from mmdet3d.registry import METRICS
from pretrain3d.evaluation.seg_metric import confusion_matrix
from pretrain3d.evaluation.six_fold import segmentation_scores

CLASSES = ('wall', 'floor', 'chair', 'desk')


def build(classes=CLASSES, **config):
    metric = METRICS.build(dict(type='MeanIoUMetric', **config))
    metric.dataset_meta = dict(classes=classes, ignore_index=len(classes))
    return metric


def sample(truth, prediction, **more):
    return dict(lidar_path='scene.bin', eval_ann_info=dict(pts_semantic_mask=np.asarray(truth)),
                pred_pts_seg=dict(pts_semantic_mask=torch.as_tensor(prediction), **more))


def evaluate(metric, samples):
    for one in samples:
        metric.process(None, [one])
    return metric.evaluate(len(samples))


def scans(seed, num_classes=4, with_none=True):
    rng = np.random.default_rng(seed)
    return [(rng.integers(0, num_classes + 1, n), rng.integers(0, num_classes + with_none, n)) for n in (50, 0, 33)]


def count_by_hand(pairs, num_classes=4):
    """Scores from loops over points."""
    points = [(t, p) for truth, prediction in pairs for t, p in zip(truth, prediction) if t != num_classes]
    iou, accuracy = [], []
    for c in range(num_classes):
        hit = sum(t == c and p == c for t, p in points)
        either, labelled = sum(t == c or p == c for t, p in points), sum(t == c for t, p in points)
        iou.append(hit / either if either else math.nan)
        accuracy.append(hit / labelled if labelled else math.nan)
    found = sum(t == p for t, p in points) / len(points)
    return dict(miou=np.nanmean(iou), macc=np.nanmean(accuracy), allacc=found), iou


@pytest.mark.parametrize('seed', range(3))
def test_equals_counting(seed):
    pairs = scans(seed)
    scores = evaluate(build(), [sample(*pair) for pair in pairs])
    means, iou = count_by_hand(pairs)
    for key, value in means.items():
        assert scores[f'{key}/vertex'] == pytest.approx(value, rel=1e-12)
    for name, value in zip(CLASSES, iou):
        assert scores[f'iou_vertex/{name}'] == pytest.approx(value, rel=1e-12)
    assert len(scores) == 3 + len(CLASSES)


def test_equals_mmdet3d():
    pairs = scans(5, with_none=False)
    scores = evaluate(build(), [sample(*pair) for pair in pairs])
    theirs = seg_eval([t for t, _ in pairs], [p for _, p in pairs], dict(enumerate(CLASSES)), len(CLASSES))
    assert scores['miou/vertex'] == pytest.approx(theirs['miou'])
    assert scores['macc/vertex'] == pytest.approx(theirs['acc_cls'])
    assert scores['allacc/vertex'] == pytest.approx(theirs['acc'])


def test_truth_as_prediction_is_perfect():
    """Also where points are unlabelled and classes absent."""
    truth = np.array([0, 1, 4, 1, 3, 4])
    scores = evaluate(build(), [sample(truth, np.where(truth == 4, 2, truth))])
    # Class 2 is predicted on unlabelled points only, which do not count: it stays absent.
    assert scores['miou/vertex'] == scores['macc/vertex'] == scores['allacc/vertex'] == 1.0
    assert 'iou_vertex/chair' not in scores


def test_rule_for_absent_classes():
    """Neither labelled nor predicted: no IoU. Predicted but never labelled: IoU 0, and no accuracy."""
    scores = evaluate(build(), [sample([0, 0, 1, 1], [0, 2, 1, 1])])
    assert 'iou_vertex/desk' not in scores and scores['iou_vertex/chair'] == 0
    assert scores['miou/vertex'] == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert scores['macc/vertex'] == pytest.approx((1 / 2 + 1) / 2)


def test_ignore_label_minus_one_is_refused():
    """mmdet3d's metric drops the last class then: its IoU is wrong on purpose here."""
    truth, prediction = np.array([0, 0, 1, 2, -1]), np.array([0, 0, 1, 0, 0])
    theirs = seg_eval([truth], [prediction], dict(enumerate('abc')), -1)
    assert math.isnan(theirs['c']) and theirs['miou'] == pytest.approx((2 / 3 + 1) / 2)
    metric = build(('a', 'b', 'c'))
    scores = evaluate(metric, [sample(np.where(truth < 0, 3, truth), prediction)])
    assert scores['miou/vertex'] == pytest.approx((2 / 3 + 1 + 0) / 3)
    with pytest.raises(ValueError, match=r'scene.bin: labels lie in \[-1, 2\]'):
        metric.process(None, [sample(truth, prediction)])
    metric.dataset_meta['ignore_index'] = -1
    with pytest.raises(ValueError, match='set ignore_index=3'):
        metric.process(None, [sample(truth, prediction)])


def test_no_prediction_counts_as_missed():
    scores = evaluate(build(), [sample([0, 0, 1, 1], [0, 4, 1, 4])])
    assert scores['iou_vertex/wall'] == scores['iou_vertex/floor'] == 0.5
    assert scores['allacc/vertex'] == 0.5


def test_voxel_level():
    """Majority label of each voxel, labelled points first; a point outside every voxel counts at vertex level."""
    scores = evaluate(build(levels=('vertex', 'voxel')), [sample(
        [0, 0, 1, 4, 4, 2, 3], [0, 0, 0, 1, 1, 1, 4],
        point2voxel=torch.tensor([0, 0, 0, 1, 2, 2, -1]), voxel_semantic_mask=torch.tensor([0, 1, 1]))])
    # Voxel labels: 0, none, 2 (against 0, 1, 1).
    assert scores['allacc/voxel'] == 0.5
    assert scores['miou/voxel'] == pytest.approx((1 + 0 + 0) / 3)
    assert scores['allacc/vertex'] == pytest.approx(2 / 5)
    with pytest.raises(KeyError, match='VoxelSegmentor'):
        evaluate(build(levels=('voxel', )), [sample([0], [0])])


def test_nothing_labelled_is_nan():
    scores = evaluate(build(), [sample([4, 4], [0, 1])])
    assert len(scores) == 3 and all(math.isnan(value) for value in scores.values())


def test_confusion_matrix_of_many_random_points():
    rng = np.random.default_rng(0)
    truth, prediction = rng.integers(0, 8, 5000), rng.integers(0, 8, 5000)
    matrix = confusion_matrix(torch.from_numpy(truth), torch.from_numpy(prediction), 7)
    wanted = np.zeros((8, 8), int)
    np.add.at(wanted, (truth, prediction), 1)
    assert matrix.shape == (7, 8) and np.array_equal(matrix, wanted[:7])
    assert segmentation_scores(matrix)['allacc'] == pytest.approx((truth == prediction)[truth < 7].mean())


def test_wrong_input_is_refused():
    metric = build()
    with pytest.raises(ValueError, match='scene.bin: 3 labels but 2 predictions'):
        metric.process(None, [sample([0, 1, 2], [0, 1])])
    with pytest.raises(ValueError, match='predictions lie in'):
        metric.process(None, [sample([0, 1], [0, 7])])
    with pytest.raises(KeyError, match='LoadAnnotations3D'):
        metric.process(None, [dict(sample([0], [0]), eval_ann_info={})])
    with pytest.raises(ValueError, match='levels'):
        build(levels=('mesh', ))
    metric.dataset_meta = {}
    with pytest.raises(KeyError, match='classes'):
        metric.process(None, [sample([0], [0])])
