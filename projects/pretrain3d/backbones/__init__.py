"""Encoders: SpUNet and SRUNet on sparse voxels."""
from .convert_pointcept import convert_pointcept_key, convert_pointcept_state_dict
from .sparse_unet import SparseUNet
from .spunet import SpUNet
from .srunet import SRUNet

__all__ = ['SRUNet', 'SpUNet', 'SparseUNet', 'convert_pointcept_key', 'convert_pointcept_state_dict']
