from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.structures import InstanceData

import pretrain3d  # noqa: F401  (registers the hook)
from mmdet3d.registry import HOOKS
from mmdet3d.structures import Det3DDataSample, LiDARInstance3DBoxes
from pretrain3d.engine.visualization.picture_hook import make_frame

CENTRED = torch.tensor([[10.0, 2, 0.5, 4, 2, 2, 0.3], [5.0, -2, 0.5, 4, 2, 2, 0.3]])


def data_sample(index, boxes=CENTRED):
    sample = Det3DDataSample(metainfo=dict(sample_idx=index))
    sample.pred_instances_3d = InstanceData(
        bboxes_3d=LiDARInstance3DBoxes(boxes, origin=(0.5, 0.5, 0.5)), scores_3d=torch.tensor([0.9, 0.2]),
        labels_3d=torch.tensor([1, 0]))
    sample.eval_ann_info = dict(gt_bboxes_3d=LiDARInstance3DBoxes(CENTRED, origin=(0.5, 0.5, 0.5)),
                                gt_labels_3d=np.array([0, -1]))
    return sample


def info(index):
    matrix = np.eye(4).tolist()
    return dict(token=f'token{index}', images=dict(
        CAM_FRONT=dict(img_path='absent.jpg', lidar2cam=matrix, cam2img=np.eye(3).tolist()),
        CAM_BACK=dict(img_path='no calibration.jpg')))


def test_frame_holds_centres_and_real_labels_only():
    frame = make_frame(torch.zeros(7, 4), data_sample(0), info(0), ['car', 'bus'])
    np.testing.assert_allclose(frame.truth, CENTRED[:1], atol=1e-6)  # label -1 is not an object
    np.testing.assert_allclose(frame.predictions, CENTRED, atol=1e-6)
    assert frame.prediction_names == ['bus', 'car'] and list(frame.cameras) == ['CAM_FRONT']
    broken = CENTRED.clone()
    broken[0, 6] = float('nan')
    frame = make_frame(torch.zeros(7, 4), data_sample(0, broken), info(0), ['car', 'bus'])
    assert frame.prediction_names == ['car'] and len(frame.predictions) == len(frame.scores) == 1
    blind = data_sample(0)
    blind.eval_ann_info = None
    assert len(make_frame(torch.zeros(7, 4), blind, {}, ['car', 'bus']).truth) == 0


@pytest.mark.parametrize('limit, drawn', [(1, ['token0.png']), (3, ['token0.png', 'token1.png', 'token2.png'])])
def test_hook_draws_as_many_as_asked(tmp_path, limit, drawn):
    hook = HOOKS.build(dict(type='DetectionPictureHook', max_pictures=limit, title='before'))
    runner = SimpleNamespace(
        log_dir=str(tmp_path), logger=MMLogger.get_instance('picture_hook'),
        test_dataloader=SimpleNamespace(dataset=SimpleNamespace(
            metainfo=dict(classes=['car', 'bus']), get_data_info=info)))
    for _ in range(2):  # a second test run draws again
        hook.before_test_epoch(runner)
        for batch in range(2):
            samples = [data_sample(2 * batch), data_sample(2 * batch + 1)]
            hook.after_test_iter(runner, batch, dict(inputs=dict(points=[torch.rand(9, 4)] * 2)), samples)
    assert sorted(path.name for path in (tmp_path / 'pictures').iterdir()) == drawn
