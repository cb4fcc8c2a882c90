"""Encoders on sparse voxels: SpUNet, SRUNet, mmdet3d's MinkUNet and SparseEncoder; PointNet++ on their points; domain
prompts."""
from .convert_pointcept import convert_pointcept_key, convert_pointcept_state_dict
from .minkunet import SparseMinkUNet
from .pointnet2 import SparsePointNet2
from .prompts import add_domain, convert, find_prompts, fold_domain
from .sparse_encoder import SparseEncoderBackbone
from .sparse_unet import SparseUNet
from .spunet import SpUNet
from .srunet import SRUNet

__all__ = ['SRUNet', 'SpUNet', 'SparseEncoderBackbone', 'SparseMinkUNet', 'SparsePointNet2', 'SparseUNet',
           'add_domain', 'convert', 'convert_pointcept_key', 'convert_pointcept_state_dict', 'find_prompts',
           'fold_domain']
