"""Segmentors that mmdet3d lacks."""
from .voxel_segmentor import VoxelSegmentor

__all__ = ['VoxelSegmentor']
