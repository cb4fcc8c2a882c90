"""Segmentors that mmdet3d lacks."""
from .domain_segmentor import DomainSegmentor
from .voxel_segmentor import VoxelSegmentor

__all__ = ['DomainSegmentor', 'VoxelSegmentor']
