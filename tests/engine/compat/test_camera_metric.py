"""nuScenes boxes of the camera metric on CPU beside mmdet3d's own function, its ``.cuda()`` turned into nothing."""
import numpy as np
import pytest
import torch
from mmdet3d.evaluation.metrics import nuscenes_metric
from mmdet3d.models.layers import box3d_multiclass_nms
from mmdet3d.structures import xywhr2xyxyr
from mmengine.config import ConfigDict
from nuscenes.utils.data_classes import Box
from pyquaternion import Quaternion

import pretrain3d  # noqa: F401  mends the metric
from pretrain3d.engine.compat.camera_metric import boxes_on_cpu


def boxes(count: int) -> list:
    rng = np.random.default_rng(0)
    return [Box(rng.normal(0, 20, 3), rng.uniform(0.5, 4, 3), Quaternion.random(), label=int(rng.integers(10)),
                score=float(rng.uniform()), velocity=tuple(rng.normal(0, 1, 3))) for _ in range(count)]


@pytest.mark.parametrize('count', [0, 1, 25])
def test_equals_mmdet3d(monkeypatch, count):
    found = boxes(count)
    ours, scores, labels = boxes_on_cpu(found)
    monkeypatch.setattr(torch.Tensor, 'cuda', lambda self: self)
    theirs, their_scores, their_labels = nuscenes_metric.nusc_box_to_cam_box3d.__wrapped__(found)
    torch.testing.assert_close(ours.tensor, theirs.tensor)
    torch.testing.assert_close(ours.gravity_center, theirs.gravity_center)
    torch.testing.assert_close(scores, their_scores)
    assert torch.equal(labels, their_labels)


@pytest.mark.skipif(torch.cuda.is_available(), reason='with CUDA the metric keeps its own branch')
def test_the_metrics_suppression_runs_without_cuda():
    """The lines of ``NuScenesMetric`` that follow: the same box seen by two cameras is kept once."""
    seen = boxes(12)
    moved, scores, labels = nuscenes_metric.nusc_box_to_cam_box3d(seen + seen)
    config = ConfigDict(use_rotate_nms=True, nms_across_levels=False, nms_pre=4096, nms_thr=0.05, score_thr=0.0,
                        min_bbox_size=0, max_per_frame=500)
    kept = box3d_multiclass_nms(moved.tensor, xywhr2xyxyr(moved.bev), scores, 0.0, 500, config,
                                mlvl_attr_scores=labels)
    assert 0 < len(kept[0]) <= 12
