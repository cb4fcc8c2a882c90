"""Heads and losses that several methods share."""
from .domain_head import DecoupledHead, DomainHead, UnionizedHead
from .language_guided import LanguageGuidedHead
from .lovasz import lovasz_softmax
from .point_info_nce import PointInfoNCELoss, info_nce
from .reduction import gather_rows, global_mean
from .segmentation_head import SegmentationHead

__all__ = [
    'DecoupledHead', 'DomainHead', 'LanguageGuidedHead', 'PointInfoNCELoss', 'SegmentationHead', 'UnionizedHead',
    'gather_rows', 'global_mean', 'info_nce', 'lovasz_softmax'
]
