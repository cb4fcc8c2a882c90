"""Scores of the demo of streets: names of its runs, and the tables that it prints and reports."""
import math
from typing import Dict, List, Mapping, Tuple

import _demo
from _demo import Run

with _demo.light():
    from pretrain3d.label_spaces import get_label_space

LIDARSEG, DETECTION = 'lidarseg', 'detection'
MIOU = 'miou/vertex'
PREFIX = 'NuScenes metric/pred_instances_3d_NuScenes/'
DISTANCES = ('0.5', '1.0', '2.0', '4.0')  # metres between centres up to which a box counts as found
ERRORS = dict(mATE='centre {:.2f} m', mASE='size {:.2f} (1 - IoU)', mAOE='heading {:.2f} rad',
              mAVE='speed {:.2f} m/s', mAAE='attribute {:.2f}')
Runs = Mapping[str, Run]  # kind -> its run


def detection_scores(run: Run) -> Dict[str, float]:
    """The scores of nuscenes-devkit without their prefix."""
    return {key[len(PREFIX):]: value for key, value in run.scores.items() if key.startswith(PREFIX)}


def detection_rows(scores: Mapping[str, float]) -> List[Tuple[str, List[float]]]:
    """(class, its AP at every distance and their mean), and last the means over the classes."""
    rows = []
    for name in get_label_space('nuScenesDet10').classes:
        values = [scores[f'{name}_AP_dist_{distance}'] for distance in DISTANCES]
        rows.append((name, [*values, sum(values) / len(values)]))
    means = [sum(values[column] for _, values in rows) / len(rows) for column in range(len(DISTANCES))]
    return [*rows, ('mean', [*means, scores['mAP']])]


def errors_in_words(scores: Mapping[str, float]) -> str:
    """Mean errors of the boxes that were found; those that no class defines are left out."""
    told = [text.format(scores[key]) for key, text in ERRORS.items() if math.isfinite(scores.get(key, math.nan))]
    return ', '.join(told) or '-'


def print_scores(runs: Runs) -> None:
    """IoU by class, and AP by class with mAP and NDS."""
    scores = runs[LIDARSEG].scores
    print('\nlidarseg: IoU on every point of the two scenes that were not trained on')
    for name in get_label_space('nuScenes16').classes:
        if f'iou_vertex/{name}' in scores:
            print(f'  {name:<22}{scores[f"iou_vertex/{name}"]:6.3f}')
    print(f'  {"mean":<22}{scores[MIOU]:6.3f}')
    if DETECTION not in runs:
        return
    scores = detection_scores(runs[DETECTION])
    print('\ndetection: AP of boxes whose centres are within 0.5, 1, 2 and 4 m, and mean (nuscenes-devkit)')
    for name, values in detection_rows(scores):
        print(f'  {name:<22}' + ' '.join(f'{value:6.3f}' for value in values))
    print(f'  mAP {scores["mAP"]:.3f}   NDS {scores["NDS"]:.3f}   errors: {errors_in_words(scores)}')
