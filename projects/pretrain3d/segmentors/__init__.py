"""Segmentors that mmdet3d lacks."""
from .domain_segmentor import DomainSegmentor
from .fragment_voting import FragmentVoting
from .voxel_segmentor import VoxelSegmentor

__all__ = ['DomainSegmentor', 'FragmentVoting', 'VoxelSegmentor']
