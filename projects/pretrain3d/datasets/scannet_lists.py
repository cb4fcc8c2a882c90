"""Lists that say which scans, points or boxes of ScanNet are labelled: the official files and lists of one's own.

Nothing that is pickled in a file is run.
"""
import json
import pickle
import types
import zlib
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple, Union

import numpy as np
import torch

from pretrain3d.files import read_names
from pretrain3d.plain_pickle import DataUnpickler

PathLike = Union[str, Path]


class _ListUnpickler(DataUnpickler):
    """Reads what ``torch.save`` makes of a dict of indices, too."""
    also = frozenset({('collections', 'defaultdict'), ('torch._utils', '_rebuild_tensor'),
                      ('torch._utils', '_rebuild_tensor_v2'), ('torch', 'LongStorage'), ('torch', 'IntStorage')})


_PICKLE = types.SimpleNamespace(
    __name__='restricted_pickle', Unpickler=_ListUnpickler, UnpicklingError=pickle.UnpicklingError,
    load=lambda file, **kwargs: _ListUnpickler(file, **kwargs).load())


def _read_dict(path: PathLike) -> Dict[str, Any]:
    """The dict of a .json, .npz or torch-pickled file."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'{path} does not exist: it comes with ScanNet\'s data-efficient benchmark '
                                '(download-scannet.py --data_efficient), or give a number to draw a list')
    try:
        if path.suffix == '.json':
            held = json.loads(path.read_text())
        elif path.suffix == '.npz':
            with np.load(path, allow_pickle=False) as file:
                held = {name: file[name] for name in file.files}
        else:
            held = torch.load(path, map_location='cpu', pickle_module=_PICKLE, weights_only=False)
    except Exception as error:  # torn files end in nearly anything
        raise ValueError(f'{path} cannot be read as a list of labels: {type(error).__name__}: {error}') from error
    if not isinstance(held, dict):
        raise ValueError(f'{path} holds a {type(held).__name__}; it must hold a dict from scan to indices')
    return held


def _indices(values: Any, path: PathLike, scan: str) -> np.ndarray:
    """Indices (K,) int64 without repetitions, in their order."""
    try:
        array = np.asarray(values).reshape(-1)
    except ValueError as error:  # a list of lists of different lengths
        raise ValueError(f'{path}: the indices of {scan} are no row of numbers ({error})') from error
    if array.size and array.dtype.kind not in 'iu':
        raise ValueError(f'{path}: the indices of {scan} are {array.dtype}; they must be integers')
    array = array.astype(np.int64)
    if array.size and array.min() < 0:
        raise ValueError(f'{path}: {scan} has a negative index')
    return array[np.sort(np.unique(array, return_index=True)[1])]


def read_point_list(path: PathLike) -> Dict[str, np.ndarray]:
    """Limited annotations: scan -> indices (K,) int64 of its labelled vertices (of ``*_vh_clean_2.ply``).

    Args:
        path: The official ``points20`` ... ``points200`` (pickled by torch), or a dict in .json or .npz.

    Raises:
        FileNotFoundError: The file is missing.
        ValueError: The file is no such list, or holds anything but plain data.
    """
    return {scan: _indices(values, path, scan) for scan, values in _read_dict(path).items()}


def read_box_list(path: PathLike) -> Dict[str, np.ndarray]:
    """Limited boxes: scan -> rows (K,) int64 of the kept boxes among the scan's boxes.

    Args:
        path: The official list (scan -> (rows, instance ids), of which the rows are read), or scan -> rows, in the
            formats of :func:`read_point_list`.

    Raises:
        FileNotFoundError, ValueError: As in :func:`read_point_list`.
    """
    rows = {}
    for scan, values in _read_dict(path).items():
        pair = isinstance(values, (tuple, list)) and len(values) == 2 and all(np.ndim(value) == 1 for value in values)
        rows[scan] = _indices(values[0] if pair else values, path, scan)
    return rows


def read_scene_list(path: PathLike) -> List[str]:
    """Limited reconstructions: scan names of a text file, one a line.

    Raises:
        FileNotFoundError: The file is missing.
        ValueError: It is no text.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'{path} does not exist: it is a list of scans, one a line (tasks/scenes/*.txt of '
                                "ScanNet's data-efficient benchmark); or give a share in (0, 1] to draw one")
    return read_names(path)


def choose_scenes(names: Sequence[str], share: float, seed: int = 0) -> List[str]:
    """A random share of the scans, at least one; smaller shares are part of larger ones of the same seed.

    1, 5, 10 and 20 % of ScanNet's 1201 are 12, 60, 120 and 240, as in the official lists. The choice depends on the
    names, not on their order.
    """
    if not 0 < share <= 1:
        raise ValueError(f'the share of scans is {share}; it must be in (0, 1]')
    ordered = sorted(set(names))
    order = np.random.default_rng([seed, 0]).permutation(len(ordered))
    return [ordered[i] for i in order[:max(1, round(share * len(ordered)))]]


def scan_rng(scan: str, seed: int) -> np.random.Generator:
    """Generator that depends on the scan's name and the seed alone."""
    return np.random.default_rng([seed, 1, zlib.crc32(scan.encode())])


def choose_points(semantic: np.ndarray, instance: np.ndarray, count: int, ignore_index: int,
                  rng: np.random.Generator) -> np.ndarray:
    """Points to label by hand, drawn instance by instance: every object gets one before any gets a second.

    Args:
        semantic, instance: (V,) labels; points with ``ignore_index`` are never drawn, points without an instance
            (<= 0) count as one object for each class.
        count: How many; fewer come back where fewer points have a class.
        rng: Its state alone decides; for one state, fewer points are part of more points.

    Returns:
        np.ndarray: (K,) int64 sorted by the order of drawing.
    """
    rows = rng.permutation(len(semantic))
    rows = rows[semantic[rows] != ignore_index]
    group = np.where(instance[rows] > 0, instance[rows], -1 - semantic[rows])
    by_group = np.argsort(group, kind='stable')
    _, start, size = np.unique(group[by_group], return_index=True, return_counts=True)
    turn = np.empty(len(rows), dtype=np.int64)
    turn[by_group] = np.arange(len(rows)) - np.repeat(start, size)
    # Within a turn, objects in the order in which the permutation met their points: no object is favoured.
    return rows[np.argsort(turn, kind='stable')][:count].astype(np.int64)


def choose_boxes(scan: str, count: int, boxes: int, seed: int = 0) -> np.ndarray:
    """Rows (K,) int64, sorted, of ``boxes`` of a scan's ``count`` boxes; fewer boxes are part of more of one seed."""
    return np.sort(scan_rng(scan, seed).permutation(count)[:boxes])


def split_names(spec: Union[float, int, str, Path], names: Sequence[str], seed: int) -> Tuple[str, ...]:
    """Scans that a ``limit_scenes`` option selects from ``names``: a share, or those of a list file.

    Raises:
        ValueError: None of the listed scans is among the names.
    """
    if not isinstance(spec, (str, Path)):
        return tuple(choose_scenes(names, spec, seed))
    listed = set(read_scene_list(spec))
    chosen = tuple(name for name in names if name in listed)
    if not chosen:
        raise ValueError(f'none of the {len(listed)} scans of {spec} is in the data set: it is a list of another '
                         'split, or the scans are not converted')
    return chosen
