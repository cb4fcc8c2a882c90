"""Scores of the demo of several data sets: which runs there are, and the table of each data set that it prints."""
from typing import Dict, List, Mapping, Sequence, Tuple

import numpy as np
from _demo import Run

# Domain -> (its world's name for tools/make_world.py, the variable that names its converted folder).
DOMAINS: Dict[str, Tuple[str, str]] = dict(
    Structured3D=('structured3d', 'PRETRAIN3D_STRUCTURED3D'),
    ScanNet=('scannet', 'PRETRAIN3D_SCANNET'),
    S3DIS=('s3dis', 'PRETRAIN3D_S3DIS'))
ALONE, NAIVE, PPT = 'alone', 'naive', 'prompts'
JOINT = (NAIVE, PPT)
COLUMNS = (ALONE, *JOINT)
FIVE_SEEDS = 'docs/negative_transfer.md'
Runs = Mapping[str, Sequence[Run]]  # a domain's name, or one of JOINT -> its runs, seed by seed


def runs_of(runs: Runs, domain: str) -> Dict[str, Sequence[Run]]:
    """The runs that tell of a domain: alone, naive, prompts."""
    return {ALONE: runs[domain], **{kind: runs[kind] for kind in JOINT}}


def scores_of(run: Run, domain: str) -> Dict[str, float]:
    """The scores of one domain in a run, named as those of a data set alone."""
    return {key[len(domain) + 1:]: value for key, value in run.scores.items() if key.startswith(f'{domain}/')}


def means(runs: Runs, domain: str) -> Dict[str, Dict[str, float]]:
    """Mean scores of a domain over the seeds, of each kind of training."""
    found = {}
    for kind, group in runs_of(runs, domain).items():
        scores = [scores_of(run, domain) for run in group]
        keys = dict.fromkeys(key for each in scores for key in each)
        found[kind] = {key: float(np.mean([each[key] for each in scores if key in each])) for key in keys}
    return found


def rows(runs: Runs, key: str = 'miou/vertex') -> List[Tuple[str, List[float]]]:
    """(domain, its mean score in each of COLUMNS), and last the mean over the domains."""
    found = [(domain, [scores[key] for scores in means(runs, domain).values()]) for domain in DOMAINS]
    return [*found, ('mean', np.mean([values for _, values in found], axis=0).tolist())]


def print_scores(runs: Runs, seeds: Sequence[int]) -> None:
    """Mean IoU of each domain in each kind of training, mean over the seeds."""
    over = f', mean over seeds {", ".join(map(str, seeds))}' if len(seeds) > 1 else f', seed {seeds[0]}'
    print(f'\nMean IoU on every point of rooms that were not trained on{over}')
    print(f'  {"":<14}' + ''.join(f'{column:>10}' for column in COLUMNS) + f'{"naive - alone":>16}'
          f'{"prompts - alone":>17}')
    for domain, (alone, naive, prompts) in rows(runs):
        print(f'  {domain:<14}{alone:>10.3f}{naive:>10.3f}{prompts:>10.3f}{naive - alone:>+16.3f}'
              f'{prompts - alone:>+17.3f}')
    print(f'{len(seeds)} seed{"s" if len(seeds) > 1 else ""} of one set of worlds; five seeds with intervals: '
          f'{FIVE_SEEDS}')
