"""Detection scores from boxes alone: nuscenes-devkit's own functions, put together without the nuScenes database.

What the devkit's ``DetectionEval`` does and this does as well: range by class measured from the ego vehicle, removal of
ground truth without points, AP at four centre distances, true-positive errors at 2 m. What differs: classes absent from
the ground truth do not enter the means (the devkit counts them as 0), and boxes in bicycle racks are not removed (info
files do not hold racks).
"""
from collections import defaultdict
from dataclasses import dataclass
from typing import Dict, List, Sequence

import numpy as np
from nuscenes.eval.common.data_classes import EvalBoxes
from nuscenes.eval.detection.algo import accumulate, calc_ap, calc_tp
from nuscenes.eval.detection.data_classes import DetectionBox, DetectionConfig, DetectionMetrics

# Errors the devkit leaves undefined: a cone looks the same from every side, barriers and cones do not move.
UNDEFINED = dict(traffic_cone=('attr_err', 'vel_err', 'orient_err'), barrier=('attr_err', 'vel_err'))
ERRORS = dict(ATE='trans_err', ASE='scale_err', AOE='orient_err', AVE='vel_err', AAE='attr_err')


@dataclass
class DetectionScores:
    """Scores over the classes present in the ground truth.

    Attributes:
        num_truth: class -> ground-truth boxes counted.
        ap: class -> distance threshold (m) -> AP in [0, 1].
        errors: class -> ATE (m) | ASE (1 - IoU) | AOE (rad) | AVE (m/s) | AAE (1 - accuracy) -> error; NaN where the
            devkit leaves it undefined for that class. AAE only with attributes.
        mean_ap: mean over classes and thresholds; 0 without any truth.
        mean_errors: mATE ... -> mean over the classes that define it (NaN if none does).
        nds: nuScenes detection score, only with attributes, else None.
    """
    num_truth: Dict[str, int]
    ap: Dict[str, Dict[float, float]]
    errors: Dict[str, Dict[str, float]]
    mean_ap: float
    mean_errors: Dict[str, float]
    nds: 'float | None'

    def class_ap(self, name: str) -> float:
        """AP of a class, mean over the distance thresholds."""
        return float(np.mean(list(self.ap[name].values())))


def within_range(boxes: Dict[str, List[DetectionBox]], config: DetectionConfig) -> Dict[str, List[DetectionBox]]:
    """Boxes nearer to the ego vehicle (x, y) than their class's range; frames stay, even empty ones."""
    return {token: [box for box in frame if box.ego_dist < config.class_range[box.detection_name]]
            for token, frame in boxes.items()}


def score_detections(truth: Dict[str, List[DetectionBox]], predictions: Dict[str, List[DetectionBox]],
                     config: DetectionConfig, classes: Sequence[str], min_points: int = 1,
                     attributes: bool = False) -> DetectionScores:
    """Score predictions against truth.

    Args:
        truth: frame token -> boxes with ``num_pts``.
        predictions: frame token -> boxes with a score; the same frames as truth.
        config: the devkit's evaluation settings.
        classes: classes to score; those without truth are left out of every mean.
        min_points: truth with fewer points is neither demanded nor punished: a prediction that the devkit's matching
            gives to such a box is dropped before the counting. Boxes with no point at all are removed first, as the
            devkit does, so ``min_points=1`` is the devkit's rule.
        attributes: whether truth carries attributes, hence AAE and NDS exist.
    """
    if set(truth) != set(predictions):
        raise ValueError(f'{len(truth)} frames of truth but {len(predictions)} of predictions')
    truth, predictions = within_range(truth, config), within_range(predictions, config)
    seen = {token: [box for box in frame if box.num_pts != 0] for token, frame in truth.items()}
    demanded = {token: [box for box in frame if box.num_pts >= min_points or box.num_pts < 0]
                for token, frame in seen.items()}
    metrics = DetectionMetrics(config)
    num_truth: Dict[str, int] = {}
    for name in classes:
        num_truth[name] = sum(box.detection_name == name for frame in demanded.values() for box in frame)
        if num_truth[name]:
            _score_class(metrics, name, _of_class(seen, name), _of_class(demanded, name),
                         _of_class(predictions, name), config)
    return _summary(metrics, {name: count for name, count in num_truth.items() if count}, config, attributes)


def _of_class(boxes: Dict[str, List[DetectionBox]], name: str) -> Dict[str, List[DetectionBox]]:
    return {token: [box for box in frame if box.detection_name == name] for token, frame in boxes.items()}


def _score_class(metrics: DetectionMetrics, name: str, seen: Dict[str, List[DetectionBox]],
                 demanded: Dict[str, List[DetectionBox]], predictions: Dict[str, List[DetectionBox]],
                 config: DetectionConfig) -> None:
    """Add AP and errors of one class to the devkit's container."""
    for distance in config.dist_ths:
        kept = drop_matched_to_faint(seen, demanded, predictions, config, distance)
        data = accumulate(_eval_boxes(demanded), _eval_boxes(kept), name, config.dist_fcn_callable, distance)
        metrics.add_label_ap(name, distance, calc_ap(data, config.min_recall, config.min_precision))
        if distance == config.dist_th_tp:
            for error in ERRORS.values():
                undefined = error in UNDEFINED.get(name, ())
                metrics.add_label_tp(name, error, np.nan if undefined else calc_tp(data, config.min_recall, error))


def drop_matched_to_faint(seen: Dict[str, List[DetectionBox]], demanded: Dict[str, List[DetectionBox]],
                          predictions: Dict[str, List[DetectionBox]], config: DetectionConfig,
                          distance: float) -> Dict[str, List[DetectionBox]]:
    """Predictions of one class without those whose match among all ``seen`` truth is not ``demanded``.

    The same greedy matching as the devkit's ``accumulate``: best score first, each to the nearest free box of its
    frame. What remains therefore matches in ``accumulate`` as it did here.
    """
    kept = {}
    for token, boxes in predictions.items():
        wanted = {id(box) for box in demanded[token]}
        if len(wanted) == len(seen[token]):
            kept[token] = boxes
            continue
        free, keep = list(seen[token]), []
        # Ties in score go to the later box, as in the devkit.
        for index in sorted(range(len(boxes)), key=lambda i: (boxes[i].detection_score, i), reverse=True):
            gaps = [config.dist_fcn_callable(box, boxes[index]) for box in free]
            nearest = int(np.argmin(gaps)) if gaps else -1
            if nearest < 0 or gaps[nearest] >= distance:
                keep.append(index)
            elif id(free.pop(nearest)) in wanted:
                keep.append(index)
        kept[token] = [boxes[index] for index in sorted(keep)]
    return kept


def _eval_boxes(boxes: Dict[str, List[DetectionBox]]) -> EvalBoxes:
    out = EvalBoxes()
    for token, frame in boxes.items():
        out.add_boxes(token, frame)
    return out


def _summary(metrics: DetectionMetrics, num_truth: Dict[str, int], config: DetectionConfig,
             attributes: bool) -> DetectionScores:
    """Read the devkit's container out, with absent classes outside every mean."""
    names = {short: error for short, error in ERRORS.items() if attributes or short != 'AAE'}
    errors: Dict[str, Dict[str, float]] = defaultdict(dict)
    for name in num_truth:
        for short, error in names.items():
            errors[name][short] = float(metrics.get_label_tp(name, error))
    mean_errors = {}
    for short in names:
        defined = [row[short] for row in errors.values() if not np.isnan(row[short])]
        mean_errors[f'm{short}'] = float(np.mean(defined)) if defined else float('nan')
    ap = {name: {distance: metrics.get_label_ap(name, distance) for distance in config.dist_ths} for name in num_truth}
    nds = None
    if attributes and num_truth:
        # The devkit's nd_score takes nanmean over all ten classes.
        for name in set(config.class_names) - set(num_truth):
            for error in ERRORS.values():
                metrics.add_label_tp(name, error, np.nan)
        nds = float(metrics.nd_score)
    return DetectionScores(num_truth, ap, dict(errors), metrics.mean_ap if num_truth else 0.0, mean_errors, nds)
