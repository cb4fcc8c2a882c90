"""Linear classifier on voxel features, with cross-entropy and Lovasz-softmax."""
from typing import Dict, Optional, Sequence

import torch
import torch.nn.functional as F
from mmengine.dist import get_world_size
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmdet3d.registry import MODELS
from .lovasz import lovasz_softmax
from .reduction import gather_rows, global_mean


@MODELS.register_module()
class SegmentationHead(BaseModule):
    """Class scores of every voxel; the label of voxels to be ignored is ``num_classes``.

    Args:
        in_channels: channels of the encoder's features.
        num_classes: number of classes.
        class_weights: weight of each class in the cross-entropy; None: all 1.
        ce_weight: factor of the cross-entropy; 0 leaves it out.
        lovasz_weight: factor of the Lovasz-softmax; 0 leaves it out.
        lovasz_batch: whose voxels it sorts together. It is no sum over voxels, so 'all' (the ranks') is what equals
            one process with the whole batch; scores are gathered for it. 'rank': each its own, as released trainings
            on several GPUs, then the mean over the ranks with labelled voxels.
        init_cfg: mmengine's.
    """

    def __init__(self,
                 in_channels: int,
                 num_classes: int,
                 class_weights: Optional[Sequence[float]] = None,
                 ce_weight: float = 1.0,
                 lovasz_weight: float = 1.0,
                 lovasz_batch: str = 'all',
                 init_cfg: Optional[Dict] = None) -> None:
        super().__init__(init_cfg)
        if ce_weight < 0 or lovasz_weight < 0 or ce_weight + lovasz_weight == 0:
            raise ValueError('ce_weight and lovasz_weight must not be negative, nor both 0, got '
                             f'{ce_weight} and {lovasz_weight}')
        if lovasz_batch not in ('all', 'rank'):
            raise ValueError(f"lovasz_batch must be 'all' or 'rank', got {lovasz_batch!r}")
        if class_weights is not None and len(class_weights) != num_classes:
            raise ValueError(f'class_weights has {len(class_weights)} entries for num_classes={num_classes}')
        self.num_classes = num_classes
        self.ce_weight = ce_weight
        self.lovasz_weight = lovasz_weight
        self.lovasz_batch = lovasz_batch
        weights = None if class_weights is None else torch.tensor(list(class_weights), dtype=torch.float32)
        self.register_buffer('class_weights', weights, persistent=False)
        self.classifier = nn.Linear(in_channels, num_classes)
        nn.init.trunc_normal_(self.classifier.weight, std=0.02)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, features: Tensor) -> Tensor:
        """(N, in_channels) features -> (N, num_classes) logits."""
        return self.classifier(features)

    def loss(self, features: Tensor, labels: Tensor) -> Dict[str, Tensor]:
        """Losses of a batch of voxels.

        Args:
            features: (N, in_channels); N may be 0.
            labels: (N,) integers in [0, num_classes], where num_classes means: ignore.

        Returns:
            ``loss_ce``: (class-weighted) mean over the voxels of all ranks that count. ``loss_lovasz``: see
            ``lovasz_batch``. Half precision is left for float32.
        """
        if labels.shape != features.shape[:1]:
            raise ValueError(f'{features.shape[0]} voxels but labels of shape {tuple(labels.shape)}')
        labels = labels.long()
        if not labels.is_cuda and len(labels) and not 0 <= labels.min() <= labels.max() <= self.num_classes:
            # A GPU asserts this by itself.
            raise ValueError(f'labels lie in [{labels.min()}, {labels.max()}] but must be in [0, {self.num_classes}), '
                             f'or {self.num_classes} for unlabelled; map them in the pipeline (PointSegClassMapping)')
        logits = self(features)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        losses = {}
        if self.ce_weight:
            losses['loss_ce'] = self.ce_weight * self._cross_entropy(logits, labels)
        if self.lovasz_weight:
            losses['loss_lovasz'] = self.lovasz_weight * self._lovasz(logits.softmax(dim=1), labels)
        return losses

    def _lovasz(self, probabilities: Tensor, labels: Tensor) -> Tensor:
        """Lovasz-softmax of the voxels of all ranks, or the mean of the ranks' own."""
        counted = labels != self.num_classes
        if self.lovasz_batch == 'rank':
            return global_mean(lovasz_softmax(probabilities, labels, self.num_classes), counted.any())
        if get_world_size() > 1:
            probabilities, _ = gather_rows(probabilities[counted])
            labels, _ = gather_rows(labels[counted])
        return lovasz_softmax(probabilities, labels, self.num_classes)

    def _cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Sum of w_y (-log p_y) over the voxels of all ranks, by the sum of w_y."""
        total = F.cross_entropy(logits, labels, self.class_weights, ignore_index=self.num_classes, reduction='sum')
        if self.class_weights is None:
            return global_mean(total, (labels != self.num_classes).sum())
        padded = F.pad(self.class_weights, (0, 1))  # the ignored weigh nothing
        return global_mean(total, padded[labels].sum())
