"""Encoders on sparse voxels: SpUNet, SRUNet and mmdet3d's MinkUNet; PointNet++ on their points."""
from .convert_pointcept import convert_pointcept_key, convert_pointcept_state_dict
from .minkunet import SparseMinkUNet
from .pointnet2 import SparsePointNet2
from .sparse_unet import SparseUNet
from .spunet import SpUNet
from .srunet import SRUNet

__all__ = ['SRUNet', 'SpUNet', 'SparseMinkUNet', 'SparsePointNet2', 'SparseUNet', 'convert_pointcept_key',
           'convert_pointcept_state_dict']
