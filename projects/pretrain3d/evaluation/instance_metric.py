"""Average precision of instance segmentation by ScanNet's rules, on what mmdet3d's ScanNet loaders give."""
from typing import Any, Dict, List, Optional, Sequence

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.logging import print_log
from terminaltables import AsciiTable

from mmdet3d.evaluation.functional.scannet_utils.evaluate_semantic_instance import (
    assign_instances_for_scan, compute_averages, evaluate_matches, get_options)
from mmdet3d.evaluation.metrics import InstanceSegMetric
from mmdet3d.registry import METRICS

# ScanNet's script encodes a vertex as 1000 * class + instance.
INSTANCES_PER_SCAN = 1000
THRESHOLDS = (('', 'ap'), ('_50%', 'ap50%'), ('_25%', 'ap25%'))


@METRICS.register_module()
class ScanNetInstanceMetric(InstanceSegMetric):
    """mmdet3d's ``InstanceSegMetric``, which calls ``clone()`` on the numpy masks of its own loaders, made to work.

    Precision, recall and matching are mmdet3d's copy of ScanNet's script; what goes in differs:

    - truth as numpy arrays or tensors, of any integer ids. Points without an instance (id <= 0) or without a class are
      void: predictions that lie mostly there do not count. An id with points of several classes is one object for each
      class, as in ScanNet's script, where mmdet3d fails an assertion;
    - ``pred_pts_seg.pts_instance_mask`` either (n,) int64, the row of each point's instance or -1, or (K, n) bool,
      proposals that may overlap; ``instance_labels`` (K,) in [0, num_classes), ``instance_scores`` (K,);
    - only counts are kept of a scan, not its masks.

    Returned keys: ``all_ap`` (mean over IoU 0.50, 0.55 ... 0.90 and over classes), ``all_ap_50%``, ``all_ap_25%``, as
    mmdet3d names them, and ``ap/CLASS``, ``ap_50%/CLASS``, ``ap_25%/CLASS`` of the classes that have objects.

    Args:
        min_region_size: Objects with fewer points are void, predictions with fewer are dropped. 100 is ScanNet's and
            mmdet3d's; Contrastive Scene Contexts' figures were taken with 10.
        collect_device, prefix: mmengine's.
    """

    default_prefix = ''  # the keys stand as they are

    def __init__(self, min_region_size: int = 100, collect_device: str = 'cpu', prefix: Optional[str] = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if min_region_size < 1:
            raise ValueError(f'min_region_size is {min_region_size}; it must be at least 1 point')
        self.options = get_options(dict(min_region_sizes=np.array([min_region_size])))

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Match the predictions of each scan of a batch with its objects."""
        classes, class_ids = self._classes()
        for sample in data_samples:
            name = sample.get('lidar_path') or sample.get('sample_idx', 'a sample')
            try:
                truth = encode_truth(*_truth_masks(sample), class_ids)
                # The evaluation tells predictions of all scans and processes apart by this name.
                tag = f'{get_rank()}_{len(self.results)}'
                found = encode_predictions(sample['pred_pts_seg'], len(truth), class_ids, tag)
            except (KeyError, ValueError) as error:
                raise type(error)(f'{name}: {error.args[0]}') from error
            matched = assign_instances_for_scan(found, truth, self.options, class_ids, classes,
                                                dict(zip(class_ids, classes)))
            self.results.append(dict(zip(('gt', 'pred'), matched)))

    def compute_metrics(self, results: List[Dict[str, dict]]) -> Dict[str, float]:
        """Average precision over all scans; the table is logged."""
        classes, _ = self._classes()
        precision = evaluate_matches(dict(enumerate(results)), classes, self.options)
        averages = compute_averages(precision, self.options, classes)
        scores = {f'all_ap{suffix}': float(averages[f'all_ap{suffix}']) for suffix, _ in THRESHOLDS}
        table = [['classes', *(f'AP{suffix}' for suffix, _ in THRESHOLDS)]]
        for name, values in averages['classes'].items():
            table.append([name, *(f'{values[key]:.4f}' for _, key in THRESHOLDS)])
            scores.update({f'ap{suffix}/{name}': float(values[key]) for suffix, key in THRESHOLDS
                           if not np.isnan(values[key])})
        table.append(['mean', *(f'{scores[f"all_ap{suffix}"]:.4f}' for suffix, _ in THRESHOLDS)])
        print_log('\n' + AsciiTable(table).table, logger='current')
        return scores

    def _classes(self) -> tuple:
        """Names and ids in ScanNet's numbering of the data set's classes."""
        meta = self.dataset_meta or {}
        missing = [key for key in ('classes', 'seg_valid_class_ids') if key not in meta]
        if missing:
            raise KeyError(f"the data set's metainfo has no {missing}: use ScanNetInstanceSegDataset, or give its "
                           'config metainfo=dict(classes=..., seg_valid_class_ids=...)')
        classes, class_ids = tuple(meta['classes']), tuple(int(raw) for raw in meta['seg_valid_class_ids'])
        if len(classes) != len(class_ids):
            raise ValueError(f'metainfo names {len(classes)} classes but {len(class_ids)} seg_valid_class_ids: give '
                             'one raw id for each class, in the same order')
        return classes, class_ids


def encode_truth(semantic: np.ndarray, instance: np.ndarray, class_ids: Sequence[int]) -> np.ndarray:
    """Truth in the encoding of ScanNet's script: 1000 * class id + number of the object, 0 for void.

    Args:
        semantic: (n,) in [0, len(class_ids)], the last one for points without a class.
        instance: (n,) any ids; <= 0 for points without an instance.
        class_ids: Raw id of every class, positive.

    Returns:
        (n,) int64.

    Raises:
        ValueError: different lengths, labels out of range, or over 999 objects.
    """
    semantic, instance = np.asarray(semantic).astype(np.int64), np.asarray(instance).astype(np.int64)
    if semantic.shape != instance.shape:
        raise ValueError(f'{len(semantic)} semantic labels but {len(instance)} instance ids')
    if len(semantic) and not 0 <= semantic.min() <= semantic.max() <= len(class_ids):
        raise ValueError(f'labels lie in [{semantic.min()}, {semantic.max()}] but must be in [0, {len(class_ids)}]; '
                         'map them with PointSegClassMapping behind LoadAnnotations3D')
    encoded = np.zeros(len(semantic), np.int64)
    rows = np.flatnonzero((instance > 0) & (semantic < len(class_ids)))
    objects, number = np.unique(np.stack([semantic[rows], instance[rows]]), axis=1, return_inverse=True)
    if objects.shape[1] >= INSTANCES_PER_SCAN:
        raise ValueError(f'{objects.shape[1]} objects in one scan; ScanNet\'s evaluation knows up to 999')
    encoded[rows] = np.asarray(class_ids)[semantic[rows]] * INSTANCES_PER_SCAN + number.reshape(-1) + 1
    return encoded


def encode_predictions(prediction: Dict[str, Any], count: int, class_ids: Sequence[int],
                       tag: str) -> Dict[str, Dict[str, Any]]:
    """Predictions of a scan in the form of ScanNet's script.

    Args:
        prediction: ``pts_instance_mask`` (count,) int or (K, count) bool, ``instance_labels`` (K,),
            ``instance_scores`` (K,).
        count: Points of the scan.
        class_ids: Raw id of every class.
        tag: Starts the name of each prediction.

    Returns:
        Name -> ``mask`` (count,) bool, ``label_id``, ``conf``.

    Raises:
        KeyError: an entry is missing. ValueError: lengths or labels do not fit.
    """
    missing = [key for key in ('pts_instance_mask', 'instance_labels', 'instance_scores') if key not in prediction]
    if missing:
        raise KeyError(f'pred_pts_seg has no {missing}, which ScanNetInstanceMetric needs of the model')
    masks, labels, scores = (_numpy(prediction[key]) for key in (
        'pts_instance_mask', 'instance_labels', 'instance_scores'))
    if masks.shape[-1:] != (count, ):
        raise ValueError(f'{count} labels but masks of {masks.shape[-1]} points; no transform of the test pipeline may '
                         'drop or add points')
    if masks.ndim == 1:
        if masks.dtype.kind not in 'iu' or (len(masks) and masks.max() >= len(labels)):
            raise ValueError(f'pts_instance_mask is {masks.dtype} up to {masks.max()} with {len(labels)} '
                             'instance_labels; it must hold rows of instance_labels, or -1')
        masks = masks[None] == np.arange(len(labels))[:, None]
    if not len(masks) == len(labels) == len(scores):
        raise ValueError(f'{len(masks)} masks, {len(labels)} instance_labels and {len(scores)} instance_scores')
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(class_ids):
        raise ValueError(f'instance_labels lie in [{labels.min()}, {labels.max()}] but must be below {len(class_ids)}')
    return {f'{tag}_{i}': dict(mask=mask, label_id=class_ids[int(label)], conf=float(score))
            for i, (mask, label, score) in enumerate(zip(masks, labels, scores))}


def _truth_masks(sample: dict) -> tuple:
    """Semantic and instance mask of a scan's points."""
    truth = sample.get('eval_ann_info') or {}
    missing = [key for key in ('pts_semantic_mask', 'pts_instance_mask') if key not in truth]
    if missing:
        raise KeyError(f'eval_ann_info has no {missing}: put LoadAnnotations3D(with_mask_3d=True, with_seg_3d=True) '
                       'and PointSegClassMapping into the test pipeline of a data set with test_mode=True')
    return _numpy(truth['pts_semantic_mask']), _numpy(truth['pts_instance_mask'])


def _numpy(values: Any) -> np.ndarray:
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
