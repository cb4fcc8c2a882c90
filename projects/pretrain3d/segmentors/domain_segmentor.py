"""One segmentor for data sets with labels of their own."""
from typing import Dict, List, Optional

import torch
from torch import Tensor

from mmdet3d.registry import MODELS
from mmdet3d.structures import PointData
from mmdet3d.structures.det3d_data_sample import OptSampleList, SampleList

from .voxel_segmentor import VoxelSegmentor, _voxel_labels


@MODELS.register_module()
class DomainSegmentor(VoxelSegmentor):
    """``VoxelSegmentor`` whose samples may be of several domains, also in one batch.

    Every data sample says its domain in ``metainfo['domain']``. The backbone gets the names (``sparse['domains']``,
    which a prompted one reads), the head its rows by domain. Labels and predictions of a sample are in the label space
    of its domain.

    Args:
        backbone: config of a sparse encoder, e.g. ``PromptedBackbone``.
        decode_head: config of a ``DecoupledHead``, ``UnionizedHead`` or ``LanguageGuidedHead``.
        keep_logits: as of ``VoxelSegmentor``.
        domain: domain of samples that do not say theirs; None: they are an error, unless the head has only one.
        data_preprocessor, init_cfg: mmengine's.
    """

    def __init__(self, backbone: Dict, decode_head: Dict, keep_logits: bool = True, domain: Optional[str] = None,
                 data_preprocessor: Optional[Dict] = None, init_cfg: Optional[Dict] = None) -> None:
        super().__init__(backbone, decode_head, keep_logits, data_preprocessor, init_cfg)
        self.domain = None if domain is None else self.decode_head.check_domain(domain)

    def sample_domains(self, data_samples: SampleList) -> List[str]:
        """The domain of each sample. UnknownNameError: the head does not have it; the known ones are named."""
        return [self.decode_head.check_domain(sample.metainfo.get('domain', self.domain)) for sample in data_samples]

    def loss(self, batch_inputs: Dict, batch_data_samples: SampleList) -> Dict[str, Tensor]:
        """Loss of the head, each voxel among the classes of its own domain."""
        domains = self.sample_domains(batch_data_samples)
        features, counts = self._encode(batch_inputs, domains)
        rows = list(zip(domains, features.split(counts), _voxel_labels(batch_data_samples).split(counts)))
        parts = {}
        for name in dict.fromkeys(domains):
            own = [(part, labels) for domain, part, labels in rows if domain == name]
            parts[name] = tuple(map(torch.cat, zip(*own)))
        return self.decode_head.loss_by_domain(parts)

    def predict(self, batch_inputs: Dict, batch_data_samples: SampleList) -> SampleList:
        """As ``VoxelSegmentor.predict``, each sample in the label space of its domain."""
        domains = self.sample_domains(batch_data_samples)
        features, counts = self._encode(batch_inputs, domains)
        start = 0
        for i, (sample, part) in enumerate(zip(batch_data_samples, features.split(counts))):
            logits = self.decode_head(part, domains[i])
            rows = batch_inputs['voxels']['point2voxel'][i]
            own, seen = rows - start, rows >= 0
            classes = logits.argmax(dim=1)
            by_point = classes.new_full(rows.shape, logits.shape[1])
            by_point[seen] = classes[own[seen]]
            sample.pred_pts_seg = PointData(
                pts_semantic_mask=by_point, voxel_semantic_mask=classes, point2voxel=own.where(seen, rows))
            if self.keep_logits:
                values = logits.new_zeros(len(rows), logits.shape[1])
                values[seen] = logits[own[seen]]
                sample.set_data(dict(pts_seg_logits=PointData(pts_seg_logits=values.T)))
            start += len(part)
        return batch_data_samples

    def encode_decode(self, batch_inputs: Dict, batch_data_samples: OptSampleList = None) -> Tensor:
        """Logits (N, K) of the voxels of a batch of one domain."""
        samples = batch_data_samples or []
        domains = self.sample_domains(samples) or [self.decode_head.check_domain(self.domain)]
        if len(set(domains)) > 1:
            raise ValueError(f'logits of {sorted(set(domains))} have other numbers of classes; use mode="predict"')
        features, _ = self._encode(batch_inputs, domains[0])
        return self.decode_head(features, domains[0])

    def _encode(self, batch_inputs: Dict, domains: object) -> tuple:
        """Features of all voxels, and how many each sample has."""
        if 'voxels' not in batch_inputs:
            return self.extract_feat(batch_inputs), []  # raises, and says why
        sparse = dict(batch_inputs['voxels'], domains=domains)
        features = self.extract_feat(dict(batch_inputs, voxels=sparse))
        counts = sparse['coors'][:, 0].long().bincount(minlength=sparse['batch_size']).tolist()
        return features, counts
