"""Heads and losses that several methods share."""
from .lovasz import lovasz_softmax
from .reduction import global_mean
from .segmentation_head import SegmentationHead

__all__ = ['SegmentationHead', 'global_mean', 'lovasz_softmax']
