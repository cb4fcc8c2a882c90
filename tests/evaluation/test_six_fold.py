"""Folds of a cross-validation: scores whose values are known."""
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import pretrain3d  # noqa: F401
from mmdet3d.registry import METRICS
from pretrain3d.evaluation.six_fold import fold_scores, read_confusion, write_confusion

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'analysis' / 's3dis_six_fold.py'
# Two classes and a column of points without a prediction. A small fold, all right, and a large one, half wrong.
SMALL = [[10, 0, 0], [0, 10, 0]]
LARGE = [[500, 300, 200], [0, 0, 0]]


def fold(rows, classes=('wall', 'floor')):
    return dict(classes=list(classes), confusion=dict(vertex=np.array(rows)))


def test_mean_and_pooled_score_of_two_folds():
    scores = fold_scores(dict(small=fold(SMALL), large=fold(LARGE)))
    assert [scores['small'][key] for key in ('miou', 'macc', 'allacc')] == [1, 1, 1]
    # Wall: 500 hits of 1000 labelled and none predicted in excess; floor: 300 predicted, none labelled.
    np.testing.assert_allclose(scores['large']['iou'], [0.5, 0])
    assert [scores['large'][key] for key in ('miou', 'macc', 'allacc')] == [0.25, 0.5, 0.5]
    assert scores['mean'] == dict(miou=0.625, macc=0.75, allacc=0.75)
    # Together: wall 510 of 1010, floor 10 hits of 10 labelled and 310 predicted.
    np.testing.assert_allclose(scores['pooled']['iou'], [510 / 1010, 10 / 310])
    assert scores['pooled']['miou'] == pytest.approx((510 / 1010 + 10 / 310) / 2)
    assert scores['pooled']['macc'] == pytest.approx((510 / 1010 + 1) / 2)
    assert scores['pooled']['allacc'] == pytest.approx(520 / 1020)


def test_the_metric_writes_what_the_folds_need(tmp_path):
    """Six tests, then the tool: it prints what the points of all tests together give."""
    rng = np.random.default_rng(0)
    classes, points = ('ceiling', 'floor', 'wall'), []
    for area in range(1, 7):
        metric = METRICS.build(dict(type='MeanIoUMetric', dump=str(tmp_path / 'folds' / f'area{area}.json')))
        metric.dataset_meta = dict(classes=classes)
        for _ in range(2):
            truth = rng.integers(0, 4, 50 * area)
            found = np.where(rng.random(len(truth)) < 0.1 * area, truth, rng.integers(0, 4, len(truth)))
            points.append((truth, found))
            metric.process(None, [dict(eval_ann_info=dict(pts_semantic_mask=truth),
                                       pred_pts_seg=dict(pts_semantic_mask=torch.from_numpy(found)))])
        metric.evaluate(2)
    files = sorted(map(str, (tmp_path / 'folds').iterdir()))
    assert len(files) == 6
    done = subprocess.run([sys.executable, str(TOOL), *files, '--json', str(tmp_path / 'scores.json')],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    truth, found = map(np.concatenate, zip(*points))
    ious = [((truth == k) & (found == k)).sum() / (((truth == k) | (found == k)) & (truth < 3)).sum()
            for k in range(3)]
    pooled = json.loads((tmp_path / 'scores.json').read_text())['pooled']
    np.testing.assert_allclose(pooled['iou'], ious)
    assert f'miou {100 * np.mean(ious):.2f}' in done.stdout.splitlines()[-1]
    wrong = subprocess.run([sys.executable, str(TOOL), *files[:5]], capture_output=True, text=True)
    assert wrong.returncode == 2 and '5 different files for 6 folds' in wrong.stderr


def test_without_dump_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    metric = METRICS.build(dict(type='MeanIoUMetric'))
    metric.dataset_meta = dict(classes=('wall', ))
    metric.process(None, [dict(eval_ann_info=dict(pts_semantic_mask=np.zeros(3, int)),
                               pred_pts_seg=dict(pts_semantic_mask=torch.zeros(3)))])
    metric.evaluate(1)
    assert not list(tmp_path.iterdir())


def test_files_survive_the_disk(tmp_path):
    write_confusion(tmp_path / 'a.json', ('wall', 'floor'), dict(vertex=np.array(LARGE)))
    found = read_confusion(tmp_path / 'a.json')
    assert found['classes'] == ['wall', 'floor']
    np.testing.assert_array_equal(found['confusion']['vertex'], LARGE)
    for content in ('', '[1]', '{"classes": ["a"]}', '{"classes": ["a"], "confusion": {"vertex": "no"}}',
                    '{"classes": ["a"], "confusion": {"vertex": [[1]]}}',
                    '{"classes": ["a"], "confusion": {"vertex": [[-1, 0]]}}'):
        (tmp_path / 'bad.json').write_text(content)
        with pytest.raises(ValueError, match='bad.json'):
            read_confusion(tmp_path / 'bad.json')
    with pytest.raises(ValueError, match='none.json.*dump='):
        read_confusion(tmp_path / 'none.json')


def test_folds_that_do_not_belong_together():
    with pytest.raises(ValueError, match='no folds'):
        fold_scores({})
    with pytest.raises(ValueError, match='no folds of one data set'):
        fold_scores(dict(a=fold(SMALL), b=fold(LARGE, ('wall', 'desk'))))
    with pytest.raises(ValueError, match='b and a hold the same counts'):
        fold_scores(dict(a=fold(SMALL), b=fold(SMALL)))
    with pytest.raises(ValueError, match="no matrix of level 'voxel'"):
        fold_scores(dict(a=fold(SMALL)), 'voxel')
