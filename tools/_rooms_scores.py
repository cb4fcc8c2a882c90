"""Scores of the rooms demo over its seeds: means, ranges, paired differences, and the table that it prints."""
from typing import Dict, List, Mapping, Sequence

import _demo
import numpy as np
from _demo import Run

KEY = 'miou/vertex'
FIVE_SEEDS = 'docs/scene_contexts.md'


def mean_scores(scores: Sequence[Mapping[str, float]]) -> Dict[str, float]:
    """Mean of every score over the runs that have it (a class that is neither there nor predicted has none)."""
    keys = dict.fromkeys(key for found in scores for key in found)
    return {key: float(np.mean([found[key] for found in scores if key in found])) for key in keys}


def means(runs: Mapping[str, Sequence[Run]]) -> Dict[str, Dict[str, float]]:
    """Mean scores of every kind of run."""
    return {kind: mean_scores([run.scores for run in group]) for kind, group in runs.items()}


def differences(runs: Mapping[str, Sequence[Run]], key: str = KEY) -> List[float]:
    """Second kind minus first kind, seed by seed."""
    first, second = runs.values()
    return [after.scores[key] - before.scores[key] for before, after in zip(first, second)]


def spread(values: Sequence[float], form: str = '.3f') -> str:
    """Mean and range."""
    told = f'{np.mean(values):{form}}'
    return told if len(values) == 1 else f'{told} ({min(values):{form}} to {max(values):{form}})'


def print_scores(runs: Mapping[str, Sequence[Run]], seeds: Sequence[int]) -> None:
    """IoU of every class and their mean on every vertex, mean over the seeds; then the seeds one by one."""
    with _demo.light():
        from pretrain3d.pictures.segmentation import SPACE, by_class, difference
    found = means(runs)
    classes = [by_class(scores, 'vertex') for scores in found.values()]
    wide = max(map(len, SPACE.classes))
    over = f', mean over seeds {", ".join(map(str, seeds))}' if len(seeds) > 1 else ''
    print(f'\nIoU on every vertex of rooms that were not trained on{over}')
    print(f'  {"":<{wide}}' + ''.join(f'  {kind:>11}' for kind in found) + '  difference')

    def line(name: str, values: Sequence[object]) -> None:
        told = ''.join(f'  {"–" if value is None else f"{value:.3f}":>11}' for value in values)
        print(f'  {name:<{wide}}{told}  {difference(*values):>10}')

    for index in sorted({index for column in classes for index in column},
                        key=lambda index: -classes[0].get(index, 0)):
        line(SPACE.classes[index], [column.get(index) for column in classes])
    line('mean', [scores[KEY] for scores in found.values()])
    print()
    for number, seed in enumerate(seeds):
        line(f'mean, seed {seed}', [group[number].scores[KEY] for group in runs.values()])
    print(f'  paired difference of the mean IoU: {spread(differences(runs), "+.3f")}')
    print(f'{len(seeds)} seed{"s" if len(seeds) > 1 else ""} of one world; five seeds with intervals: {FIVE_SEEDS}')
