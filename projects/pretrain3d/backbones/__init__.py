"""Encoders on sparse voxels: SpUNet, SRUNet and mmdet3d's MinkUNet."""
from .convert_pointcept import convert_pointcept_key, convert_pointcept_state_dict
from .minkunet import SparseMinkUNet
from .sparse_unet import SparseUNet
from .spunet import SpUNet
from .srunet import SRUNet

__all__ = ['SRUNet', 'SpUNet', 'SparseMinkUNet', 'SparseUNet', 'convert_pointcept_key', 'convert_pointcept_state_dict']
