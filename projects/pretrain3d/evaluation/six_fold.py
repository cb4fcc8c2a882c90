"""Scores of confusion matrices: of one test, and of the folds of a cross-validation together."""
import json
from pathlib import Path
from typing import Any, Dict, Mapping, Sequence, Union

import numpy as np

from pretrain3d.files import write_atomic

MEANS = ('miou', 'macc', 'allacc')


def write_confusion(path: Union[str, Path], classes: Sequence[str], confusions: Mapping[str, np.ndarray]) -> None:
    """Write the confusion matrices of a test (``MeanIoUMetric(dump=...)``); the file is whole or absent.

    Args:
        path: JSON file; its folder is made if need be.
        classes: names, in the order of the labels.
        confusions: level ('vertex', 'voxel') -> (C, C + 1) counts as of ``confusion_matrix``.
    """
    content = dict(classes=list(classes), confusion={level: matrix.tolist() for level, matrix in confusions.items()})
    write_atomic(Path(path), json.dumps(content).encode())


def read_confusion(path: Union[str, Path]) -> Dict[str, Any]:
    """What :func:`write_confusion` wrote: ``classes`` and ``confusion``, level -> (C, C + 1) int64.

    Raises:
        ValueError: the file is absent or not of :func:`write_confusion`.
    """
    try:
        content = json.loads(Path(path).read_text())
        classes = [str(name) for name in content['classes']]
        found = {level: np.array(rows, dtype=np.int64) for level, rows in content['confusion'].items()}
    except OSError as error:
        raise ValueError(f'{path} cannot be read ({error.strerror}): test the fold with dump=... of '
                         'MeanIoUMetric') from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f'{path} holds no confusion matrices: it must be written by dump=... of '
                         'MeanIoUMetric') from error
    for level, matrix in found.items():
        if matrix.shape != (len(classes), len(classes) + 1) or matrix.min(initial=0) < 0:
            raise ValueError(f'{path}: the matrix of {level!r} has shape {matrix.shape}, {len(classes)} classes need '
                             f'{(len(classes), len(classes) + 1)} and counts from 0 on')
    return dict(classes=classes, confusion=found)


def fold_scores(folds: Mapping[str, Mapping[str, Any]], level: str = 'vertex') -> Dict[str, Dict[str, Any]]:
    """Scores of each fold, their mean, and those of all folds' points taken together.

    The two differ: the mean gives each fold the same weight, and a class is averaged over the folds that have it; the
    pooled score adds up hits and misses first. Papers on S3DIS report the one or the other.

    Args:
        folds: name of a fold -> what :func:`read_confusion` returns.
        level: 'vertex' or 'voxel'.

    Returns:
        name of each fold, 'mean' and 'pooled' -> ``miou``, ``macc``, ``allacc`` and, except of the mean, ``iou`` (C,).

    Raises:
        ValueError: no folds, other classes or no such level in one of them, or a fold given twice.
    """
    if not folds:
        raise ValueError('no folds given')
    first = next(iter(folds))
    matrices: Dict[str, np.ndarray] = {}
    for name, fold in folds.items():
        if fold['classes'] != folds[first]['classes']:
            raise ValueError(f'{name} has the classes {fold["classes"]}, {first} has {folds[first]["classes"]}: these '
                             'are no folds of one data set')
        if level not in fold['confusion']:
            raise ValueError(f'{name} has no matrix of level {level!r}, only of {sorted(fold["confusion"])}: name it '
                             'in the levels of MeanIoUMetric')
        same = [other for other, matrix in matrices.items() if np.array_equal(matrix, fold['confusion'][level])]
        if same and fold['confusion'][level].any():
            raise ValueError(f'{name} and {same[0]} hold the same counts: one fold was given twice')
        matrices[name] = fold['confusion'][level]
    scores = {name: segmentation_scores(matrix) for name, matrix in matrices.items()}
    mean = {key: float(np.mean([score[key] for score in scores.values()])) for key in MEANS}
    return dict(scores, mean=mean, pooled=segmentation_scores(sum(matrices.values())))


def segmentation_scores(confusion: np.ndarray) -> Dict[str, Any]:
    """Scores of a confusion matrix (C, C + 1) as of :func:`confusion_matrix`.

    Returns:
        ``iou`` (C,), nan where a class is neither labelled nor predicted, and the scalars ``miou``, ``macc``,
        ``allacc``, nan where nothing is labelled.
    """
    hits = np.diagonal(confusion).astype(np.float64)
    labelled, predicted = confusion.sum(axis=1), confusion.sum(axis=0)[:-1]
    iou = _ratio(hits, labelled + predicted - hits)
    return dict(iou=iou, miou=_mean(iou), macc=_mean(_ratio(hits, labelled)),
                allacc=float(_ratio(hits.sum(keepdims=True), labelled.sum(keepdims=True))[0]))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Elementwise quotient, nan for 0 / 0."""
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def _mean(values: np.ndarray) -> float:
    """Mean of what is not nan."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float('nan')
