"""Hook that draws predictions while mmdet3d's ``test.py`` runs."""
import os.path as osp
from typing import List, Optional, Sequence

import numpy as np
import torch
from mmengine.hooks import Hook

from mmdet3d.registry import HOOKS
from mmdet3d.structures import LiDARInstance3DBoxes
from .detection_picture import Camera, Frame, draw_detections


@HOOKS.register_module()
class DetectionPictureHook(Hook):
    """Draws the first frames of a test run: points from above, true and predicted boxes, every camera's image.

    Pictures go to ``<work_dir>/<timestamp>/pictures/<token>.png``. Unlike mmdet3d's visualisation hook it needs no
    open3d. Images are found through the dataset's info; for their paths to be complete the dataset wants
    ``modality=dict(use_lidar=True, use_camera=True)``. Where an image is missing its panel says so.

    Args:
        max_pictures: how many frames this process draws.
        score_threshold: predictions below are not drawn.
        title: written above, before the frame's token.
        extent: half the side of the view from above, metres; by default what holds 99 % of the points.
        out_dir: folder for the pictures instead of the one above.
    """
    priority = 'LOW'

    def __init__(self, max_pictures: int = 4, score_threshold: float = 0.3, title: str = '',
                 extent: Optional[float] = None, out_dir: Optional[str] = None) -> None:
        self.max_pictures = max_pictures
        self.score_threshold = score_threshold
        self.title = title
        self.extent = extent
        self.out_dir = out_dir
        self._drawn = 0

    def before_test_epoch(self, runner: 'mmengine.runner.Runner') -> None:  # noqa: F821
        """Start counting anew."""
        self._drawn = 0

    def after_test_iter(self, runner: 'mmengine.runner.Runner', batch_idx: int, data_batch: dict,  # noqa: F821
                        outputs: Optional[Sequence] = None) -> None:
        """Draw the samples of a batch until ``max_pictures`` are done."""
        dataset = runner.test_dataloader.dataset
        for points, sample in zip(data_batch['inputs']['points'], outputs or ()):
            if self._drawn >= self.max_pictures:
                return
            info = dataset.get_data_info(int(sample.sample_idx))
            name = str(info.get('token', sample.sample_idx))
            folder = self.out_dir or osp.join(runner.log_dir, 'pictures')
            path = draw_detections(
                make_frame(points, sample, info, dataset.metainfo['classes']), osp.join(folder, f'{name}.png'),
                title=' '.join(filter(None, [self.title, name])), score_threshold=self.score_threshold,
                extent=self.extent)
            runner.logger.info(f'picture: {path}')
            self._drawn += 1


def make_frame(points: torch.Tensor, sample: 'mmdet3d.structures.Det3DDataSample', info: dict,  # noqa: F821
               classes: List[str]) -> Frame:
    """Gather what is drawn.

    Args:
        points: (N, >= 3) of the sample. sample: with ``pred_instances_3d`` and, if the dataset loads it,
            ``eval_ann_info``. info: the dataset's entry with ``images``. classes: names by predicted label.
    """
    predictions = sample.pred_instances_3d
    truth = (sample.eval_ann_info or {}) if 'eval_ann_info' in sample else {}
    true_boxes = np.zeros((0, 7))
    if len(truth.get('gt_labels_3d', ())):
        true_boxes = _centred(truth['gt_bboxes_3d'])[np.asarray(truth['gt_labels_3d']) >= 0]
    cameras = {name: Camera(image['img_path'], np.asarray(image['lidar2cam']), np.asarray(image['cam2img']))
               for name, image in info.get('images', {}).items()
               if {'img_path', 'lidar2cam', 'cam2img'} <= set(image)}
    boxes, scores = _centred(predictions.bboxes_3d), predictions.scores_3d.detach().cpu().numpy()
    sane = np.isfinite(boxes[:, :7]).all(axis=1) & np.isfinite(scores)
    names = [classes[label] for label in predictions.labels_3d.tolist()]
    return Frame(points.detach().cpu().numpy(), true_boxes, boxes[sane], scores[sane],
                 [name for name, keep in zip(names, sane) if keep], cameras)


def _centred(boxes: LiDARInstance3DBoxes) -> np.ndarray:
    """(N, >= 7) by the centre of the box; the class itself keeps the centre of the bottom face."""
    return torch.cat([boxes.gravity_center, boxes.tensor[:, 3:]], dim=1).detach().cpu().numpy()
