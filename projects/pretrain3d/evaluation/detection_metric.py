"""nuScenes detection metric that reads an info file instead of the nuScenes database."""
import logging
import os.path as osp
from typing import Dict, List, Optional, Sequence, Tuple, Union

import numpy as np
import torch
from mmengine import load
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from nuscenes.eval.detection.config import config_factory

from mmdet3d.evaluation.metrics.nuscenes_metric import NuScenesMetric
from mmdet3d.registry import METRICS
from mmdet3d.structures import LiDARInstance3DBoxes
from .det_boxes import FramePose, check_class_names, label_names, predicted_boxes, truth_boxes
from .det_scores import ERRORS, DetectionScores, score_detections


@METRICS.register_module()
class NuScenesInfoMetric(BaseMetric):
    """Centre-distance AP and true-positive errors of nuScenes, from an mmdet3d v1.1 info file alone.

    The numbers come from nuscenes-devkit's ``accumulate``, ``calc_ap`` and ``calc_tp``. Means are taken over the
    classes present in the ground truth. There is no mAAE, and hence no NDS, unless a converter added
    ``attribute_name`` to every instance; bicycle racks, which the devkit uses to remove some boxes, are not in info
    files. On a dataset with all ten classes present, mAP is otherwise the devkit's.

    Result keys under ``NuScenesInfo/``: ``mAP``, ``mATE``, ``mASE``, ``mAOE``, ``mAVE`` (``mAAE``, ``NDS``),
    ``AP_<class>``, and with ``min_points=(1, 5)`` also ``mAP_min5`` and ``AP_min5_<class>``. A table is logged.

    Args:
        ann_file: v1.1 info file with poses and ``instances`` (boxes by their centre, LiDAR frame).
        min_points: a box of the truth counts from this many points (LiDAR and radar) on. The first value makes the
            plain keys and the errors (1: the devkit's rule), each further value ``k`` the keys ``_mink``; predictions
            that match truth with fewer points are then neither demanded nor punished.
        eval_version: name of the devkit's configuration.
        backend_args: how mmengine reads ``ann_file``.
        prefix, collect_device: see ``mmengine.evaluator.BaseMetric``.
    """
    default_prefix = 'NuScenesInfo'

    def __init__(self, ann_file: str, min_points: Union[int, Sequence[int]] = 1,
                 eval_version: str = 'detection_cvpr_2019', backend_args: Optional[dict] = None,
                 prefix: Optional[str] = None, collect_device: str = 'cpu') -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.ann_file = ann_file
        self.min_points = (min_points, ) if isinstance(min_points, int) else tuple(min_points)
        if not self.min_points or min(self.min_points) < 1:
            raise ValueError(f'min_points needs at least one value and all of them >= 1, got {min_points!r}')
        self.config = config_factory(eval_version)
        self.backend_args = backend_args

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Keep the finite predictions of each frame as arrays (boxes by their centre, LiDAR frame)."""
        for sample in data_samples:
            prediction = sample['pred_instances_3d']
            boxes, scores = prediction['bboxes_3d'], prediction['scores_3d'].detach().cpu().numpy()
            if not isinstance(boxes, LiDARInstance3DBoxes):
                raise TypeError(f'NuScenesInfoMetric needs LiDARInstance3DBoxes, got {type(boxes).__name__}')
            table = torch.cat([boxes.gravity_center, boxes.tensor[:, 3:]], dim=1).detach().cpu().numpy()
            sane = np.isfinite(table).all(1) & (table[:, 3:6] > 0).all(1) & np.isfinite(scores)
            self.results.append(dict(
                key=_frame_key(sample), sample_idx=sample.get('sample_idx'), boxes=table[sane], scores=scores[sane],
                labels=prediction['labels_3d'].detach().cpu().numpy()[sane], broken=int((~sane).sum())))

    def compute_metrics(self, results: List[dict]) -> Dict[str, float]:
        """Score all frames; called on the first rank with the results of every rank."""
        classes = check_class_names(self.dataset_meta['classes'])
        info_file = _load_infos(self.ann_file, self.backend_args)
        names = label_names(info_file['metainfo'])
        check_class_names(names.values())
        infos = info_file['data_list']
        attributes = _have_attributes(infos)
        default_attribute = NuScenesMetric.DefaultAttribute if attributes else None
        by_path = _positions_by_path(infos)
        truth, predictions, broken = {}, {}, 0
        for result in results:
            position = self._position(result, by_path, len(infos))
            info = infos[position]
            # Info files of other datasets may lack tokens, and the devkit wants strings.
            token = str(info.get('token', position))
            result = _best(result, self.config.max_boxes_per_sample)
            broken += result['broken']
            truth[token] = truth_boxes(info, names, token)
            predictions[token] = predicted_boxes(result['boxes'], result['scores'], result['labels'], classes,
                                                 FramePose.from_info(info), token, default_attribute)
        self._warn(broken, len(truth), len(infos))
        metrics: Dict[str, float] = {}
        for index, points in enumerate(self.min_points):
            scores = score_detections(truth, predictions, self.config, classes, points, attributes)
            metrics.update(_as_metrics(scores, suffix='' if index == 0 else f'_min{points}', errors=index == 0))
            title = f'{len(truth)} frame(s), truth with >= {points} point(s)'
            print_log(f'\n{title}\n{format_table(scores)}', logger='current')
        return metrics

    def _position(self, result: dict, by_path: Dict[str, int], num_infos: int) -> int:
        """Position in the info file of the frame that was predicted.

        The LiDAR file name tells it, where names are unique; ``sample_idx`` counts within the dataset, which may be a
        subset of the file.
        """
        if result['key'] is not None and by_path:
            if result['key'] not in by_path:
                raise ValueError(f'{result["key"]} was predicted but is not in {self.ann_file}; '
                                 'give the metric the same ann_file as the dataset')
            return by_path[result['key']]
        index = result['sample_idx']
        if not isinstance(index, int) or not 0 <= index < num_infos:
            raise ValueError(f'a prediction has no lidar_path and its sample_idx {index!r} is not a position in '
                             f"{self.ann_file} ({num_infos} frames); let the packer keep 'lidar_path' in its meta_keys")
        return index

    def _warn(self, broken: int, num_frames: int, num_infos: int) -> None:
        if broken:
            print_log(f'{broken} predicted boxes had NaN, infinite or non-positive sizes and were left out: '
                      'the network may have diverged', logger='current', level=logging.WARNING)
        if num_frames < num_infos:
            print_log(f'{num_frames} of the {num_infos} frames of {self.ann_file} were predicted; '
                      'only they are evaluated', logger='current', level=logging.WARNING)


def _frame_key(sample: dict) -> Optional[str]:
    path = sample.get('lidar_path')
    return osp.basename(path) if path else None


def _positions_by_path(infos: List[dict]) -> Dict[str, int]:
    """LiDAR file name -> position in the info file; empty if names repeat or are missing."""
    names = [osp.basename(info.get('lidar_points', {}).get('lidar_path', '')) for info in infos]
    if len(set(names)) < len(names) or '' in names:
        return {}
    return {name: position for position, name in enumerate(names)}


def _load_infos(ann_file: str, backend_args: Optional[dict]) -> dict:
    content = load(ann_file, backend_args=backend_args)
    if not isinstance(content, dict) or 'data_list' not in content:
        raise ValueError(f"{ann_file} is not an mmdet3d v1.1 info file (no 'data_list'); convert it with "
                         'tools/dataset_converters/update_infos_to_v2.py of mmdet3d')
    return dict(metainfo=content.get('metainfo', {}), data_list=content['data_list'])


def _have_attributes(infos: List[dict]) -> bool:
    """Whether a converter added attributes: all counted instances have the key, '' meaning none for that object."""
    instances = [one for info in infos for one in info.get('instances', []) if one['bbox_label_3d'] >= 0]
    return bool(instances) and all('attribute_name' in one for one in instances)


def _best(result: dict, limit: int) -> dict:
    """The ``limit`` best-scored boxes: the devkit refuses frames with more."""
    if len(result['scores']) <= limit:
        return result
    order = np.argsort(-result['scores'], kind='stable')[:limit]
    return dict(result, **{key: result[key][order] for key in ('boxes', 'scores', 'labels')})


def _as_metrics(scores: DetectionScores, suffix: str, errors: bool) -> Dict[str, float]:
    metrics = {f'mAP{suffix}': scores.mean_ap}
    if errors:
        metrics.update(scores.mean_errors)
        if scores.nds is not None:
            metrics['NDS'] = scores.nds
    metrics.update({f'AP{suffix}_{name}': scores.class_ap(name) for name in scores.ap})
    return metrics


def format_table(scores: DetectionScores) -> str:
    """Per-class table: boxes, AP by distance threshold, errors; the last row holds the means."""
    shorts = [short for short in ERRORS if f'm{short}' in scores.mean_errors]
    distances: Tuple[float, ...] = tuple(next(iter(scores.ap.values()))) if scores.ap else ()
    head = ['class', 'boxes', 'AP', *(f'AP@{distance:g}m' for distance in distances), *shorts]
    rows = [[name, str(scores.num_truth[name]), _number(scores.class_ap(name)),
             *(_number(scores.ap[name][distance]) for distance in distances),
             *(_number(scores.errors[name][short]) for short in shorts)] for name in scores.ap]
    means = [_number(float(np.mean([row[distance] for row in scores.ap.values()]))) for distance in distances]
    rows.append(['mean', str(sum(scores.num_truth.values())), _number(scores.mean_ap), *means,
                 *(_number(scores.mean_errors[f'm{short}']) for short in shorts)])
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = ['  '.join(cell.ljust(width) if column == 0 else cell.rjust(width)
                       for column, (cell, width) in enumerate(zip(row, widths))) for row in [head, *rows]]
    return '\n'.join(lines + ([f'NDS {scores.nds:.3f}'] if scores.nds is not None else []))


def _number(value: float) -> str:
    return '-' if np.isnan(value) else f'{value:.3f}'
