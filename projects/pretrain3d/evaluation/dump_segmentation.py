"""Predicted classes of every point on disk, one file a scan."""
import io
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mmdet3d.registry import METRICS
from pretrain3d.datasets.scan_folder import CHANNELS, read_cloud
from pretrain3d.files import write_atomic
from pretrain3d.label_spaces import get_label_space
from pretrain3d.label_spaces.space import unknown

FORMS = ('npy', 'txt', 'ply')
MESH = '_vh_clean_2'  # of the names of ScanNet's scans, which its benchmark does not take


@METRICS.register_module()
class DumpSegmentation(BaseMetric):
    """Writes ``<out_dir>/<scan>.npy``, ``.txt`` or ``.ply`` for every sample while a data set is tested.

    mmengine's ``DumpResults`` keeps all predictions, logits included, in memory and in one pickle; mmdet3d's
    ``SegMetric`` writes text files only from info keys of old formats. Here a file is written as soon as its scan is
    done. Needs no labels, so that it serves a hidden test set too::

        test_evaluator = [_base_.test_evaluator, dict(type='DumpSegmentation', out_dir='predictions')]

    It scores nothing; ``predictions`` among the scores is the number of files.

    Args:
        out_dir: folder for the files; made if need be.
        form: as follows, in the order of the points.
            ``'npy'``: (n,) uint8 or int16 class indices, ``num_classes`` for none.
            ``'txt'``: raw ids of the data set (its metainfo's ``seg_valid_class_ids``), one a line, 0 for none, as the
            ScanNet benchmark takes them (NYU40's for 20 classes), or the first free id where 0 is a class's (S3DIS).
            ``'ply'``: the scan's own x, y, z, the colour of its class (black for none) and ``label``, the class index.
        columns: for ``'ply'``: float32 numbers per point of the scan's ``.bin`` file.
        label_spaces: domain -> name of its label space, where samples of several domains are tested in one run; then
            classes, colours and raw ids are those of the space of a sample's ``domain``. None: those of the data set.
        collect_device, prefix: mmengine's.
    """

    default_prefix = ''

    def __init__(self, out_dir: str, form: str = 'npy', columns: int = 9,
                 label_spaces: Optional[Mapping[str, str]] = None, collect_device: str = 'cpu',
                 prefix: Optional[str] = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if form not in FORMS:
            raise ValueError(f'form of DumpSegmentation must be among {FORMS}, got {form!r}')
        self.out_dir = Path(out_dir)
        self.form = form
        self.columns = columns
        self.metas = {domain: get_label_space(space).metainfo() for domain, space in (label_spaces or {}).items()}
        self._sources: Dict[str, str] = {}

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Write the files of a batch.

        Raises:
            ValueError: two samples have files of the same name, or the data set has no raw ids for ``'txt'``.
            UnknownNameError: a sample's domain has no label space; the known ones are named.
        """
        for sample in data_samples:
            source = str(sample.get('lidar_path') or sample.get('sample_idx', ''))
            name = Path(source).stem
            name = name[:-len(MESH)] if name.endswith(MESH) else name
            self._check_name(self._sources, name, source)
            self.results.append((name, source))
            classes = torch.as_tensor(sample['pred_pts_seg']['pts_semantic_mask']).cpu().numpy()
            self._write(self.out_dir / f'{name}.{self.form}', classes, source, self._meta(sample))

    def compute_metrics(self, results: List[Tuple[str, str]]) -> Dict[str, float]:
        """Say where the files are, and how many."""
        self._sources.clear()
        sources: Dict[str, str] = {}
        for name, source in results:  # of all processes
            self._check_name(sources, name, source)
        print_log(f'{len(sources)} predictions written to {self.out_dir}', logger='current')
        return dict(predictions=float(len(sources)))  # mmengine writes null for an int

    def _check_name(self, sources: Dict[str, str], name: str, source: str) -> None:
        """Files of different samples must not overwrite each other; the same sample twice is the sampler's padding."""
        if sources.setdefault(name, source) != source:
            raise ValueError(f'{sources[name]} and {source} would both be written to '
                             f'{self.out_dir / name}.{self.form}; test one folder of scans at a time')

    def _meta(self, sample: dict) -> Mapping[str, Any]:
        """Meta information of the classes that a sample's predictions count in."""
        if not self.metas:
            if not isinstance(self.dataset_meta, Mapping):
                raise ValueError('several data sets are tested in one run: give DumpSegmentation label_spaces, as the '
                                 'metric of domains has them')
            return self.dataset_meta
        domain = sample.get('domain')
        if domain not in self.metas:
            raise unknown('domain', domain, self.metas, f'{", ".join(self.metas)} (label_spaces of DumpSegmentation)')
        return self.metas[domain]

    def _write(self, path: Path, classes: np.ndarray, source: str, meta: Mapping[str, Any]) -> None:
        """Write a file whole or not at all."""
        num_classes, buffer = len(meta['classes']), io.BytesIO()
        if self.form == 'npy':
            np.save(buffer, classes.astype(np.uint8 if num_classes < 256 else np.int16))
        elif self.form == 'ply':
            buffer.write(self._cloud(classes, source, meta))
        else:
            np.savetxt(buffer, _raw_ids(meta)[classes], fmt='%d')
        write_atomic(path, buffer.getvalue())

    def _cloud(self, classes: np.ndarray, source: str, meta: Mapping[str, Any]) -> bytes:
        """A ``.ply`` file of the scan ``source`` in the colours of its classes."""
        from plyfile import PlyData, PlyElement
        xyz = read_cloud(source, self.columns)[:, :3]
        if len(xyz) != len(classes):
            raise ValueError(f'{source} holds {len(xyz)} points, but {len(classes)} were predicted: no transform of '
                             "the test pipeline may drop or add points for form='ply'")
        palette = meta.get('palette')
        if palette is None or len(palette) != len(meta['classes']):
            raise ValueError("the data set's metainfo has no palette for its classes; use form='npy'")
        colour = np.array([*palette, (0, 0, 0)], np.uint8)[classes]
        vertex = np.empty(len(xyz), [*((axis, 'f4') for axis in 'xyz'), *((name, 'u1') for name in CHANNELS),
                                     ('label', 'u2')])
        for column, name in enumerate('xyz'):
            vertex[name] = xyz[:, column]
        for column, name in enumerate(CHANNELS):
            vertex[name] = colour[:, column]
        vertex['label'] = classes
        buffer = io.BytesIO()
        PlyData([PlyElement.describe(vertex, 'vertex')]).write(buffer)
        return buffer.getvalue()


def _raw_ids(meta: Mapping[str, Any]) -> np.ndarray:
    """(num_classes + 1,) raw id of every class, and last what stands for none."""
    ids = meta.get('seg_valid_class_ids')
    if ids is None or len(ids) != len(meta['classes']):
        raise ValueError("the data set's metainfo has no seg_valid_class_ids for its classes, so no raw ids can be "
                         "written; use form='npy'")
    return np.array([*ids, 0 if 0 not in ids else max(ids) + 1])
