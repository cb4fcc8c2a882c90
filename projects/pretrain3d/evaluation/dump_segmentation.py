"""Predicted classes of every point on disk, one file a scan."""
import io
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mmdet3d.registry import METRICS
from pretrain3d.files import write_atomic

FORMS = ('npy', 'txt')


@METRICS.register_module()
class DumpSegmentation(BaseMetric):
    """Writes ``<out_dir>/<scan>.npy`` or ``.txt`` for every sample while a data set is tested, and scores nothing.

    mmengine's ``DumpResults`` keeps all predictions, logits included, in memory and in one pickle; mmdet3d's
    ``SegMetric`` writes text files only from info keys of old formats. Here a file is written as soon as its scan is
    done. Needs no labels, so that it serves a hidden test set too::

        test_evaluator = [_base_.test_evaluator, dict(type='DumpSegmentation', out_dir='predictions')]

    Args:
        out_dir: folder for the files; made if need be.
        form: ``'npy'``: (n,) uint8 or int16 class indices in the order of the points, ``num_classes`` for none.
            ``'txt'``: raw ids of the data set (its metainfo's ``seg_valid_class_ids``), one a line, 0 for none, as the
            ScanNet benchmark takes them.
        collect_device, prefix: mmengine's.
    """

    default_prefix = ''

    def __init__(self, out_dir: str, form: str = 'npy', collect_device: str = 'cpu',
                 prefix: Optional[str] = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if form not in FORMS:
            raise ValueError(f'form of DumpSegmentation must be among {FORMS}, got {form!r}')
        self.out_dir = Path(out_dir)
        self.form = form
        self._sources: Dict[str, str] = {}

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Write the files of a batch.

        Raises:
            ValueError: two samples have files of the same name, or the data set has no raw ids for ``'txt'``.
        """
        for sample in data_samples:
            source = str(sample.get('lidar_path') or sample.get('sample_idx', ''))
            name = Path(source).stem
            self._check_name(self._sources, name, source)
            self.results.append((name, source))
            classes = torch.as_tensor(sample['pred_pts_seg']['pts_semantic_mask']).cpu().numpy()
            self._write(self.out_dir / f'{name}.{self.form}', classes)

    def compute_metrics(self, results: List[Tuple[str, str]]) -> Dict[str, float]:
        """Say where the files are; no scores."""
        self._sources.clear()
        sources: Dict[str, str] = {}
        for name, source in results:  # of all processes
            self._check_name(sources, name, source)
        print_log(f'{len(sources)} predictions written to {self.out_dir}', logger='current')
        return {}

    def _check_name(self, sources: Dict[str, str], name: str, source: str) -> None:
        """Files of different samples must not overwrite each other; the same sample twice is the sampler's padding."""
        if sources.setdefault(name, source) != source:
            raise ValueError(f'{sources[name]} and {source} would both be written to '
                             f'{self.out_dir / name}.{self.form}; test one folder of scans at a time')

    def _write(self, path: Path, classes: np.ndarray) -> None:
        """Write a file whole or not at all."""
        num_classes, buffer = len(self.dataset_meta['classes']), io.BytesIO()
        if self.form == 'npy':
            np.save(buffer, classes.astype(np.uint8 if num_classes < 256 else np.int16))
        else:
            np.savetxt(buffer, self._raw_ids(num_classes)[classes], fmt='%d')
        write_atomic(path, buffer.getvalue())

    def _raw_ids(self, num_classes: int) -> np.ndarray:
        """(num_classes + 1,) raw id of every class, 0 for none."""
        ids = self.dataset_meta.get('seg_valid_class_ids')
        if ids is None or len(ids) != num_classes:
            raise ValueError("the data set's metainfo has no seg_valid_class_ids for its classes, so no raw ids can be "
                             "written; use form='npy'")
        return np.array([*ids, 0])
