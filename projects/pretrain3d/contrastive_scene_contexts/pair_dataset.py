"""Datasets of pre-training without labels: listed pairs of frames, and plain folders of point files."""
import os
import os.path as osp
from collections import Counter
from pathlib import Path
from typing import Any, Dict, List, Optional

from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from mmdet3d.registry import DATASETS
from pretrain3d.datasets.info_check import InfoFileError, load_plain_pickle
from pretrain3d.files import read_names

_MAKE = 'make it with tools/data/make_frame_pairs.py'


def _wrong_key(pair: Any) -> Optional[str]:
    """The first entry of a listed pair that is missing or not of its type; ``None``: all are well."""
    if not isinstance(pair, dict):
        return 'all'
    for key in ('scan', 'view0_path', 'view1_path'):
        if not isinstance(pair.get(key), str) or not pair[key].isprintable():
            return key
    overlap, table = pair.get('overlap'), pair.get('table', {})
    if not isinstance(overlap, float) or not 0 <= overlap <= 1:
        return 'overlap'
    if 'table' in pair and (not isinstance(table, dict) or not isinstance(table.get('path'), str) or any(
            type(table.get(key)) is not int or not 0 <= table[key] < 1 << 48
            for key in ('offset', 'queries', 'matches'))):
        return 'table'
    return None


@DATASETS.register_module()
class FramePairDataset(BaseDataset):
    """Pairs of overlapping RGB-D frames, as ``tools/data/make_frame_pairs.py`` lists them.

    A sample holds what the list says of a pair (``scan``, ``frames``, ``view0_path``, ``view1_path``, ``overlap``,
    ``shares``, ``num_points``, and ``table`` where matches are stored), paths joined with ``data_root``;
    ``LoadFramePair`` reads it.

    Args:
        ann_file (str): ``frame_pairs_<split>.pkl``.
        data_root (str): Folder that the list's paths are relative to.
        split (str, optional): Split that the list must be of; None takes any. Defaults to 'train'.
        dataset_name (str, optional): Data set that it must be of, as its ``metainfo`` says. Defaults to None: any.
        min_overlap (float, optional): Pairs of less overlap are left out. Defaults to None: those of the list.
        check_files (bool): Whether to look for the first frame file, and the tables, of every scan while loading the
            list. Defaults to True.
        kwargs: Arguments of mmengine's ``BaseDataset``.
    """

    def __init__(self, ann_file: str, data_root: str = '', split: Optional[str] = 'train',
                 dataset_name: Optional[str] = None, min_overlap: Optional[float] = None, check_files: bool = True,
                 **kwargs) -> None:
        if min_overlap is not None and not 0 <= min_overlap <= 1:
            raise ValueError(f'FramePairDataset: min_overlap is {min_overlap}; it must be a share in [0, 1]')
        self.split = split
        self.dataset_name = dataset_name
        self.min_overlap = min_overlap
        self.checks_files = check_files
        super().__init__(ann_file=ann_file, data_root=data_root, **{'data_prefix': dict(pts=''), **kwargs})

    def load_data_list(self) -> List[dict]:
        """Read and check the list.

        Raises:
            InfoFileError: It is missing, damaged, no pair list, of another split or data set, made with a higher
                ``min_overlap`` than asked for, or its files are missing.
        """
        if not osp.isfile(self.ann_file):
            raise InfoFileError(f'pair list {self.ann_file} does not exist: check data_root and ann_file, or {_MAKE}')
        content = load_plain_pickle(self.ann_file)
        meta = content.get('metainfo') if isinstance(content, dict) else None
        if not isinstance(meta, dict) or meta.get('content') != 'frame_pairs' or not isinstance(
                content.get('data_list'), list):
            raise InfoFileError(f'{self.ann_file} is no list of frame pairs: {_MAKE}')
        for place, pair in enumerate(content['data_list']):
            wrong = _wrong_key(pair)
            if wrong:
                raise InfoFileError(f'pair list {self.ann_file}: data_list[{place}] is damaged in {wrong!r}; {_MAKE}')
        self._check_meta(meta)
        for key, value in meta.items():
            self._metainfo.setdefault(key, value)
        data_list = [self.parse_data_info(raw) for raw in content['data_list']]
        if self.checks_files:
            self._check_files(data_list)
        return data_list

    def _check_meta(self, meta: Dict[str, Any]) -> None:
        """The list is of the split and data set asked for, and was made with a threshold at most ours."""
        for name, wanted, found in (('split', self.split, meta.get('split')),
                                    ('dataset', self.dataset_name, meta.get('dataset'))):
            if wanted is not None and wanted != found:
                option = 'split' if name == 'split' else 'dataset_name'
                raise InfoFileError(f'pair list {self.ann_file} is of {name} {found!r}, and {option}={wanted!r} is '
                                    f'asked for: name the right ann_file, or set {option} of FramePairDataset')
        least = meta.get('min_overlap', 0)
        if not isinstance(least, (int, float)):
            raise InfoFileError(f'pair list {self.ann_file} is damaged in its min_overlap, {least!r}: {_MAKE}')
        if self.min_overlap is not None and least > self.min_overlap:
            raise InfoFileError(f'pair list {self.ann_file} holds pairs from overlap {meta["min_overlap"]} on, and '
                                f'min_overlap={self.min_overlap} is asked for: make it again with --min-overlap '
                                f'{self.min_overlap}')

    def parse_data_info(self, raw_data_info: dict) -> dict:
        """A pair with its paths joined with the data root."""
        info = dict(raw_data_info)
        base = self.data_prefix.get('pts') or self.data_root or ''
        for key in ('view0_path', 'view1_path'):
            info[key] = osp.join(base, info[key])
        if 'table' in info:
            info['table'] = dict(info['table'], path=osp.join(base, info['table']['path']))
        return info

    def _check_files(self, data_list: List[dict]) -> None:
        """Of every scan the first frame and the tables are there."""
        first: Dict[str, dict] = {}
        for info in data_list:
            first.setdefault(info['scan'], info)
        paths = [path for info in first.values() for path in (info['view0_path'], info.get('table', {}).get('path'))
                 if path]
        missing = [path for path in paths if not osp.isfile(path)]
        if missing:
            raise InfoFileError(f'{self.ann_file} names files that do not exist, {len(missing)} of {len(paths)} looked '
                                f'for, first {missing[0]}: check data_root, or {_MAKE}')

    def filter_data(self) -> List[dict]:
        """The pairs of enough overlap.

        Raises:
            InfoFileError: None is left.
        """
        least = self.min_overlap or 0.
        kept = [info for info in self.data_list if info['overlap'] >= least]
        if len(kept) < len(self.data_list):
            print_log(f'{self.ann_file}: {len(self.data_list) - len(kept)} of {len(self.data_list)} pairs left out, '
                      f'their overlap is below {least}', 'current')
        if not kept:
            raise InfoFileError(f'pair list {self.ann_file} has no pair of overlap {least} or more among its '
                                f'{len(self.data_list)}: lower min_overlap of FramePairDataset, or {_MAKE}')
        return kept


@DATASETS.register_module()
class PointFolderDataset(BaseDataset):
    """Every point file below a folder, for pre-training on clouds that nobody listed or labelled.

    Args:
        data_root (str): The folder; subfolders are searched too.
        load_dim (int): float32 values per point; files that do not hold whole points are refused by name.
        suffix (str): End of the files' names. Defaults to '.bin'.
        name_list (str, optional): Text file with the names to use, one a line, without folder and suffix; keeps
            validation clouds out. Defaults to None: all files.
        kwargs: Arguments of mmengine's ``BaseDataset``.
    """

    def __init__(self, data_root: str, load_dim: int, suffix: str = '.bin', name_list: Optional[str] = None,
                 **kwargs) -> None:
        if load_dim < 3:
            raise ValueError(f'PointFolderDataset: load_dim is {load_dim}; a point has at least x, y and z')
        self.load_dim = load_dim
        self.suffix = suffix
        self.name_list = name_list
        super().__init__(ann_file='', data_root=data_root, **{'data_prefix': dict(pts=''), **kwargs})

    def load_data_list(self) -> List[dict]:
        """Find the files, in the order of their paths.

        Raises:
            InfoFileError: The folder is missing or has no such file, a listed name is missing or not unique, or a file
                is empty or does not hold whole points.
        """
        root = Path(self.data_root)
        if not root.is_dir():
            raise InfoFileError(f'folder {root} does not exist: check data_root of PointFolderDataset')
        paths = sorted(path for path in root.rglob(f'*{self.suffix}') if path.is_file())
        if self.name_list is not None:
            paths = self._listed(paths)
        if not paths:
            raise InfoFileError(f'folder {root} holds no *{self.suffix} file: check data_root and suffix of '
                                'PointFolderDataset')
        sizes = [os.stat(path).st_size for path in paths]
        bad = [(path, size) for path, size in zip(paths, sizes) if size % (4 * self.load_dim) or not size]
        if bad:
            raise InfoFileError(f'{len(bad)} of {len(paths)} files below {root} do not hold whole points of '
                                f'{self.load_dim} float32 values, first {bad[0][0]} with {bad[0][1]} bytes: mend or '
                                'remove them, or set load_dim of PointFolderDataset')
        return [dict(lidar_points=dict(lidar_path=str(path), num_pts_feats=self.load_dim), lidar_path=str(path),
                     num_points=size // (4 * self.load_dim)) for path, size in zip(paths, sizes)]

    def _listed(self, paths: List[Path]) -> List[Path]:
        """The files that the list names."""
        wanted = [word for line in read_names(self.name_list) for word in line.split()]
        count = Counter(path.name[:-len(self.suffix)] for path in paths)
        wrong = [name for name in wanted if count[name] != 1]
        if wrong:
            raise InfoFileError(f'{self.name_list} names {wrong[0]!r}, of which {self.data_root} has '
                                f'{count[wrong[0]]} files *{self.suffix} ({len(wrong)} of {len(wanted)} names do not '
                                'fit): it is a list of other clouds')
        chosen = set(wanted)
        return [path for path in paths if path.name[:-len(self.suffix)] in chosen]
