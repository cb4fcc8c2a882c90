"""Segmentation scores of several data sets in one run, each in its own label space."""
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mmdet3d.registry import METRICS
from pretrain3d.heads.domain_head import Classes, _resolve
from pretrain3d.label_spaces.space import unknown

from .seg_metric import MeanIoUMetric

MEAN = 'mean'


@METRICS.register_module()
class DomainMeanIoUMetric(BaseMetric):
    """``MeanIoUMetric`` of each domain, of samples that say theirs (``metainfo['domain']``), in whatever order.

    Returned keys: those of ``MeanIoUMetric`` behind the domain, ``ScanNet/miou/vertex``, ``S3DIS/iou_vertex/wall``;
    and the means over the domains that have samples, ``mean/miou/LEVEL``, ``mean/macc/LEVEL``, ``mean/allacc/LEVEL``.

    Args:
        label_spaces: domain -> name of its label space, as of the head.
        classes: domain -> class names or dataset type where the labels count otherwise, as of the head.
        levels: as of ``MeanIoUMetric``.
        dump: as of ``MeanIoUMetric``, ``{domain}`` in it stands for the domain.
        collect_device, prefix: mmengine's.
    """

    default_prefix = ''  # the keys stand as they are

    def __init__(self, label_spaces: Mapping[str, str], classes: Optional[Mapping[str, Classes]] = None,
                 levels: Sequence[str] = ('vertex', ), dump: Optional[str] = None, collect_device: str = 'cpu',
                 prefix: Optional[str] = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if not label_spaces or MEAN in label_spaces:
            raise ValueError(f'label_spaces of DomainMeanIoUMetric is {label_spaces!r}; it must name domains, none of '
                             f'them {MEAN!r}, which the mean over domains is called')
        if dump is not None and len(label_spaces) > 1 and '{domain}' not in dump:
            raise ValueError(f'dump={dump!r} would be written by every domain: put {{domain}} into the name')
        classes = dict(classes or {})
        for domain in classes:
            if domain not in label_spaces:
                raise unknown('domain', domain, label_spaces, ', '.join(label_spaces))
        self.class_names = {domain: _resolve(space, classes.get(domain)) for domain, space in label_spaces.items()}
        self.parts: Dict[str, MeanIoUMetric] = {}
        for domain, names in self.class_names.items():
            self.parts[domain] = MeanIoUMetric(levels, dump and dump.format(domain=domain), collect_device)
            self.parts[domain].dataset_meta = dict(classes=names)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Reduce each prediction to confusion matrices in the label space of its domain."""
        for sample in data_samples:
            domain = sample.get('domain')
            if domain not in self.parts:
                name = sample.get('lidar_path') or sample.get('sample_idx', 'a sample')
                raise unknown('domain', domain, self.parts,
                              f'{", ".join(self.parts)}, by label_spaces of DomainMeanIoUMetric for {name}: name it '
                              "there, and give the PackPretrain3DInputs of the data set's pipeline its domain")
            part = self.parts[domain]
            part.process(data_batch, [sample])
            self.results.append((domain, part.results.pop()))

    def compute_metrics(self, results: List[Tuple[str, Dict[str, np.ndarray]]]) -> Dict[str, float]:
        """Scores of each domain, whose tables are logged, and their means."""
        scores: Dict[str, float] = {}
        means: Dict[str, List[float]] = {}
        for domain, part in self.parts.items():
            own = [matrices for name, matrices in results if name == domain]
            if not own:
                continue
            print_log(f'{domain}, {len(own)} samples:', logger='current')
            for key, value in part.compute_metrics(own).items():
                scores[f'{domain}/{key}'] = value
                if not key.startswith('iou_'):
                    means.setdefault(f'{MEAN}/{key}', []).append(value)
        scores.update({key: float(np.mean(values)) for key, values in means.items()})
        return scores
