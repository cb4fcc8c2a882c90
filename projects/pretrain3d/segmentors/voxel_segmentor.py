"""Semantic segmentation on voxels, evaluated on every original point."""
from typing import Dict, Optional

import torch
from torch import Tensor

from mmdet3d.models.segmentors import Base3DSegmentor
from mmdet3d.registry import MODELS
from mmdet3d.structures import PointData
from mmdet3d.structures.det3d_data_sample import OptSampleList, SampleList
from pretrain3d.datasets.sparse_batch import gather_points


@MODELS.register_module()
class VoxelSegmentor(Base3DSegmentor):
    """A sparse encoder and a head; trained on voxel labels, its predictions carried to the points of each voxel.

    Needs ``Pretrain3DDataPreprocessor`` with ``voxel_size`` and, to train, ``num_classes``.

    Args:
        backbone: config of a sparse encoder, e.g. ``SpUNet`` with ``num_classes=0``.
        decode_head: config of ``SegmentationHead``.
        keep_logits: whether ``predict`` also returns the logits of every point, which test-time augmentation
            (``Seg3DTTAModel``) sums; they are n x num_classes numbers per scan.
        data_preprocessor, init_cfg: mmengine's.
    """

    def __init__(self,
                 backbone: Dict,
                 decode_head: Dict,
                 keep_logits: bool = True,
                 data_preprocessor: Optional[Dict] = None,
                 init_cfg: Optional[Dict] = None) -> None:
        super().__init__(data_preprocessor, init_cfg)
        self.backbone = MODELS.build(backbone)
        self.decode_head = MODELS.build(decode_head)
        self.keep_logits = keep_logits

    def extract_feat(self, batch_inputs: Dict) -> Tensor:
        """Features (N, C) of the voxels of a batch, aligned with ``batch_inputs['voxels']['coors']``."""
        if 'voxels' not in batch_inputs:
            raise KeyError("inputs hold no 'voxels': set voxel_size in the Pretrain3DDataPreprocessor "
                           f'(inputs have {sorted(batch_inputs)})')
        return self.backbone(batch_inputs['voxels'])

    def encode_decode(self, batch_inputs: Dict, batch_data_samples: OptSampleList = None) -> Tensor:
        """Logits (N, num_classes) of the voxels of a batch."""
        return self.decode_head(self.extract_feat(batch_inputs))

    def loss(self, batch_inputs: Dict, batch_data_samples: SampleList) -> Dict[str, Tensor]:
        """Losses of the head, on ``gt_pts_seg.voxel_semantic_mask`` of every sample."""
        return self.decode_head.loss(self.extract_feat(batch_inputs), _voxel_labels(batch_data_samples))

    def predict(self, batch_inputs: Dict, batch_data_samples: SampleList) -> SampleList:
        """Predict every original point.

        Each sample gets ``pred_pts_seg.pts_semantic_mask`` (n,) int64, the class of each point's voxel, or
        ``num_classes`` for a point outside the point cloud range, which the network never saw;
        ``pred_pts_seg.voxel_semantic_mask`` (N_i,) and ``pred_pts_seg.point2voxel`` (n,), rows of the former or -1,
        with which ``MeanIoUMetric`` scores voxels; and, with ``keep_logits``, ``pts_seg_logits.pts_seg_logits``
        (num_classes, n), 0 outside the range.
        """
        sparse = batch_inputs['voxels']
        logits = self.encode_decode(batch_inputs)
        classes = logits.argmax(dim=1)
        by_point = gather_points(classes, sparse, fill=logits.shape[1])
        counts = sparse['coors'][:, 0].long().bincount(minlength=sparse['batch_size']).tolist()
        start = 0
        for i, sample in enumerate(batch_data_samples):
            rows = sparse['point2voxel'][i]
            sample.pred_pts_seg = PointData(
                pts_semantic_mask=by_point[i],
                voxel_semantic_mask=classes[start:start + counts[i]],
                point2voxel=(rows - start).where(rows >= 0, rows))
            start += counts[i]
        if self.keep_logits:
            for sample, values in zip(batch_data_samples, gather_points(logits, sparse)):
                sample.set_data(dict(pts_seg_logits=PointData(pts_seg_logits=values.T)))
        return batch_data_samples

    def _forward(self, batch_inputs: Dict, batch_data_samples: OptSampleList = None) -> Tensor:
        """Logits (N, num_classes) of the voxels."""
        return self.encode_decode(batch_inputs, batch_data_samples)


def _voxel_labels(data_samples: SampleList) -> Tensor:
    """Labels of the voxels of a batch (N,), in the order of ``coors``."""
    for sample in data_samples:
        if 'gt_pts_seg' not in sample or 'voxel_semantic_mask' not in sample.gt_pts_seg:
            raise KeyError(f'{sample.metainfo.get("lidar_path", "a sample")} has no voxel labels: pack '
                           'pts_semantic_mask (PackPretrain3DInputs keys) and set num_classes in the '
                           'Pretrain3DDataPreprocessor')
    return torch.cat([sample.gt_pts_seg.voxel_semantic_mask for sample in data_samples])
