"""Mean intersection over union of semantic segmentation, on original points and on voxels."""
from typing import Any, Dict, List, Optional, Sequence

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from terminaltables import AsciiTable
from torch import Tensor

from mmdet3d.registry import METRICS
from pretrain3d.ops.voxelize import vote_labels

from .six_fold import segmentation_scores, write_confusion

LEVELS = ('vertex', 'voxel')


@METRICS.register_module()
class MeanIoUMetric(BaseMetric):
    """Scores of a semantic segmentation over a whole data set; stands where mmdet3d's ``SegMetric`` would.

    The ignore label is the number of classes. ``SegMetric`` with another one goes wrong silently: with -1 it drops the
    last class from the mean. Here other labels are refused. Confusion matrices are kept, not the scans.

    A class that is neither labelled nor predicted anywhere has no IoU and is left out of the mean (as in ``SegMetric``
    and ScanNet's own script); one that is predicted but never labelled has IoU 0. A class that is never labelled has no
    accuracy. Predictions equal to the number of classes mean "none" and count as missed.

    Returned keys, for each level: ``miou/LEVEL``, ``macc/LEVEL`` (mean over classes of the share of its points found),
    ``allacc/LEVEL`` (share of points found) and ``iou_LEVEL/CLASS`` of the classes that have one, all in [0, 1].

    Args:
        levels: ``'vertex'``: every original point against ``eval_ann_info['pts_semantic_mask']``; ``'voxel'``: every
            voxel against the majority of its points' labels, which needs the voxel predictions of ``VoxelSegmentor``.
        dump: file for the summed confusion matrices (``six_fold.py``), e.g. to add up the folds of a cross-validation;
            None: they are not kept.
        collect_device, prefix: mmengine's.
    """

    default_prefix = ''  # the keys stand as they are

    def __init__(self,
                 levels: Sequence[str] = ('vertex', ),
                 dump: Optional[str] = None,
                 collect_device: str = 'cpu',
                 prefix: Optional[str] = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        unknown = sorted(set(levels) - set(LEVELS))
        if unknown or not levels:
            raise ValueError(f'levels of MeanIoUMetric must be among {LEVELS}, got {list(levels)}')
        self.levels = tuple(levels)
        self.dump = dump

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Reduce the predictions of a batch to one confusion matrix per sample and level."""
        num_classes = self._num_classes()
        for sample in data_samples:
            name = sample.get('lidar_path') or sample.get('sample_idx', 'a sample')
            prediction = {key: torch.as_tensor(value) for key, value in sample['pred_pts_seg'].items()}
            truth = self._truth(sample, name)
            matrices = {}
            for level in self.levels:
                pair = (truth, prediction['pts_semantic_mask'])
                if level == 'voxel':
                    pair = _voxel_pair(truth, prediction, num_classes, name)
                try:
                    matrices[level] = confusion_matrix(*pair, num_classes)
                except ValueError as error:
                    raise ValueError(f'{name}: {error}') from error
            self.results.append(matrices)

    def compute_metrics(self, results: List[Dict[str, np.ndarray]]) -> Dict[str, float]:
        """Scores of the summed confusion matrices; the table is logged."""
        classes, scores = self.dataset_meta['classes'], {}
        table = [['level', *classes, 'miou', 'macc', 'allacc']]
        sums = {level: sum(result[level] for result in results) for level in self.levels}
        if self.dump is not None:
            write_confusion(self.dump, classes, sums)
        for level, confusion in sums.items():
            found = segmentation_scores(confusion)
            scores.update({f'iou_{level}/{name}': float(iou) for name, iou in zip(classes, found['iou'])
                           if not np.isnan(iou)})
            means = {key: float(found[key]) for key in ('miou', 'macc', 'allacc')}
            scores.update({f'{key}/{level}': value for key, value in means.items()})
            table.append([level, *(f'{value:.4f}' for value in (*found['iou'], *means.values()))])
        print_log('\n' + AsciiTable([list(row) for row in zip(*table)]).table, logger='current')
        return scores

    def _num_classes(self) -> int:
        """Number of classes of the data set, whose ignore label must be that number."""
        meta = self.dataset_meta or {}
        if 'classes' not in meta:
            raise KeyError("the data set's metainfo has no 'classes': give its config metainfo=dict(classes=...)")
        num_classes = len(meta['classes'])
        ignore_index = meta.get('ignore_index', num_classes)
        if ignore_index != num_classes:
            raise ValueError(f'the data set has ignore_index={ignore_index}; MeanIoUMetric needs the number of '
                             f'classes, {num_classes}: set ignore_index={num_classes} in the data set config and map '
                             'unlabelled points to it')
        return num_classes

    @staticmethod
    def _truth(sample: dict, name: str) -> Tensor:
        """Labels (n,) of the original points."""
        truth = (sample.get('eval_ann_info') or {}).get('pts_semantic_mask')
        if truth is None:
            raise KeyError(f"{name}: no eval_ann_info['pts_semantic_mask']; put LoadAnnotations3D(with_seg_3d=True) "
                           'and PointSegClassMapping into the test pipeline of a data set with test_mode=True')
        return torch.as_tensor(truth).long().cpu()


def confusion_matrix(truth: Tensor, prediction: Tensor, num_classes: int) -> np.ndarray:
    """Counts (num_classes, num_classes + 1): rows are the truth, columns the prediction, the last one "none".

    Args:
        truth: (n,) in [0, num_classes]; num_classes is left out.
        prediction: (n,) in [0, num_classes]; num_classes means that nothing was predicted.

    Raises:
        ValueError: different lengths, or values outside the range.
    """
    truth, prediction = truth.long().cpu(), prediction.long().cpu()
    if truth.shape != prediction.shape:
        raise ValueError(f'{len(truth)} labels but {len(prediction)} predictions; no transform of the test pipeline '
                         'may drop or add points')
    for what, values in (('labels', truth), ('predictions', prediction)):
        if len(values) and not 0 <= values.min() <= values.max() <= num_classes:
            raise ValueError(f'{what} lie in [{values.min()}, {values.max()}] but must be in [0, {num_classes}], where '
                             f'{num_classes} means none; map the labels with PointSegClassMapping')
    columns = num_classes + 1
    counts = torch.bincount(truth * columns + prediction, minlength=columns * columns)
    return counts.view(columns, columns)[:num_classes].numpy()


def _voxel_pair(truth: Tensor, prediction: Dict[str, Tensor], num_classes: int, name: str) -> Sequence[Tensor]:
    """Majority label and prediction of every voxel of a sample."""
    if 'point2voxel' not in prediction or 'voxel_semantic_mask' not in prediction:
        raise KeyError(f"{name}: pred_pts_seg has no 'point2voxel' and 'voxel_semantic_mask', which VoxelSegmentor "
                       "gives; leave 'voxel' out of the levels of MeanIoUMetric")
    rows, classes = prediction['point2voxel'].cpu(), prediction['voxel_semantic_mask'].cpu()
    if len(rows) != len(truth):
        raise ValueError(f'{name}: {len(truth)} labels but {len(rows)} points')
    inside = rows >= 0
    return vote_labels(truth[inside], rows[inside], len(classes), num_classes, num_classes), classes
