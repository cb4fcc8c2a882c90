"""What the sparse U-Nets share: input checks, normalisation, convolution + norm, the residual block.

Every layer here also works on a batch without voxels: it returns no rows, but rows that hang in the autograd graph and
went through every norm, so that in a distributed run this rank reduces the same gradients and joins the same
collectives as the others.
"""
from typing import Dict, Mapping, Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from mmengine.model.utils import _BatchNormXd
from spconv.pytorch import SparseConvTensor, SubMConv3d
from torch import Tensor, nn

from mmdet3d.registry import MODELS

SPARSE_KEYS = ('voxels', 'coors', 'batch_size', 'spatial_shape')


def count_levels(encoder_channels: Sequence[int], encoder_blocks: Sequence[int], decoder_channels: Sequence[int],
                 decoder_blocks: Sequence[int]) -> int:
    """Number of levels of a U-Net, for which each of the four must have one entry.

    Raises:
        ValueError: they differ in length or are empty.
    """
    lengths = [len(each) for each in (encoder_channels, encoder_blocks, decoder_channels, decoder_blocks)]
    if lengths[0] == 0 or len(set(lengths)) > 1:
        raise ValueError('encoder_channels, encoder_blocks, decoder_channels and decoder_blocks must have one entry '
                         f'per level, got {", ".join(map(str, lengths))} entries')
    return lengths[0]


def pad_spatial_shape(extents: Sequence[int], total_stride: int) -> Tuple[int, ...]:
    """Round every extent up to a positive multiple of ``total_stride``.

    A kernel-2 stride-2 convolution has ``floor((D - 2) / 2) + 1`` output cells: with an odd D the last slab of voxels
    vanishes without a word, at every level.
    """
    return tuple(max(-(-int(extent) // total_stride), 1) * total_stride for extent in extents)


def make_sparse_tensor(sparse: Mapping, in_channels: int, total_stride: int, coors_order: str) -> SparseConvTensor:
    """Turn the sparse batch of the data preprocessor into spconv's tensor; rows keep their order.

    Args:
        sparse: ``voxels`` (N, C) float, ``coors`` (N, 4) int32 >= 0 [batch, then three axes], ``batch_size`` int,
            ``spatial_shape`` three ints (unpadded extents in the order of the last three columns of ``coors``), and
            optionally ``coors_order``.
        in_channels: C that the network was built for.
        total_stride: the extents are padded to multiples of it.
        coors_order: order of the columns that the network was built for, e.g. ``'bxyz'``.

    Raises:
        KeyError: a key is missing. ValueError: another column order, channel count or an impossible coordinate.
    """
    missing = [key for key in SPARSE_KEYS if key not in sparse]
    if missing:
        raise KeyError(f'the sparse batch lacks {missing}; use Pretrain3DDataPreprocessor as data_preprocessor '
                       f'(it has {sorted(sparse)})')
    given_order = sparse.get('coors_order', coors_order)
    if given_order != coors_order:
        raise ValueError(f'this backbone reads coordinates as {coors_order!r} but the batch holds {given_order!r}; '
                         f"set coors_order='{coors_order}' in the data_preprocessor config")
    voxels, coors, batch_size = sparse['voxels'], sparse['coors'], int(sparse['batch_size'])
    if voxels.ndim != 2 or coors.shape != (voxels.shape[0], 4):
        raise ValueError(f'voxels must be (N, C) and coors (N, 4), got {tuple(voxels.shape)}, {tuple(coors.shape)}')
    if voxels.shape[1] != in_channels:
        raise ValueError(f'the backbone was built with in_channels={in_channels} but voxels have {voxels.shape[1]} '
                         'channels; make in_channels and the features of the data pipeline agree')
    if not coors.is_cuda:
        _check_coordinates(coors, batch_size, sparse['spatial_shape'])
    shape = pad_spatial_shape(sparse['spatial_shape'], total_stride)
    return SparseConvTensor(voxels, coors.int().contiguous(), list(shape), batch_size)


def _check_coordinates(coors: Tensor, batch_size: int, extents: Sequence[int]) -> None:
    """Refuse coordinates outside the grid, which spconv would drop or wrap. On the CPU only: a GPU would have to wait
    for the answer, and the preprocessor makes no such coordinates."""
    limit = torch.tensor([batch_size, *extents], dtype=coors.dtype)
    if ((coors < 0) | (coors >= limit)).any():
        raise ValueError(f'coors [batch, 3 axes] must lie in [0, {limit.tolist()}), got minimum '
                         f'{coors.amin(0).tolist()} and maximum {coors.amax(0).tolist()}; subtract the minimum of each '
                         'sample and give spatial_shape in the order of the columns')


def make_norm(norm_cfg: Dict, channels: int) -> nn.Module:
    """Build a norm layer for (N, channels) features from an mmcv ``norm_cfg``.

    The type is looked up in mmdet3d's registry, whatever the default scope is, so that norms registered there are
    found also outside a Runner.
    """
    norm_cfg = dict(norm_cfg)
    if isinstance(norm_cfg.get('type'), str):
        norm_class = MODELS.get(norm_cfg['type'])
        if norm_class is None:
            raise KeyError(f"norm_cfg type {norm_cfg['type']!r} is not registered in mmdet3d.registry.MODELS; "
                           "use e.g. dict(type='BN1d')")
        norm_cfg['type'] = norm_class
    return build_norm_layer(norm_cfg, channels)[1]


def apply_norm(norm: nn.Module, features: Tensor) -> Tensor:
    """Apply a norm to (N, C) features, also where N < 2.

    A batch norm has no batch statistics of fewer than two rows (a small scene is one voxel at stride 16): those rows
    are normalised by the running statistics. Norms that synchronise are left alone, other ranks wait for them.
    """
    # mmengine turns norms that synchronise into _BatchNormXd where there is one process.
    plain = type(norm) in (nn.BatchNorm1d, _BatchNormXd)
    if features.shape[0] < 2 and plain and norm.training and norm.track_running_stats:
        return F.batch_norm(features, norm.running_mean, norm.running_var, norm.weight, norm.bias, False, 0.0, norm.eps)
    return norm(features)


def apply_conv(conv: nn.Module, x: SparseConvTensor) -> SparseConvTensor:
    """Apply a sparse convolution; without voxels (spconv cannot) return no rows that hang in the graph.

    Under autocast on the CPU it runs in float32, the one precision spconv has there.
    """
    if x.features.shape[0]:
        if x.features.is_cuda or not torch.is_autocast_cpu_enabled():
            return conv(x)
        with torch.autocast('cpu', enabled=False):
            return conv(x.replace_feature(x.features.float()))
    anchor = x.features.sum() + sum(parameter.sum() for parameter in conv.parameters())
    return x.replace_feature(x.features.new_zeros((0, conv.out_channels)) + anchor * 0)


class SparseConvNormReLU(nn.Module):
    """Sparse convolution (without bias), norm, ReLU.

    Args:
        conv: the sparse convolution.
        norm_cfg: config of the norm.
    """

    def __init__(self, conv: nn.Module, norm_cfg: Dict) -> None:
        super().__init__()
        self.conv = conv
        self.norm = make_norm(norm_cfg, conv.out_channels)

    def forward(self, x: SparseConvTensor) -> SparseConvTensor:
        """(N_in, C_in) features on the input grid -> (N_out, C_out) features on the output grid."""
        x = apply_conv(self.conv, x)
        return x.replace_feature(F.relu(apply_norm(self.norm, x.features)))


class SparseBasicBlock(nn.Module):
    """Residual block: SubM 3^3 - norm - ReLU - SubM 3^3 - norm, plus the shortcut, then ReLU.

    The shortcut is the identity, or a linear map and a norm where the width changes. (A 1x1 convolution is a linear
    map; spconv's reads its (C_out, 1, 1, 1, C_in) kernel as if it were (C_in, C_out), so it is not used.)

    Args:
        in_channels, out_channels: widths.
        norm_cfg: config of its norms.
        indice_key: neighbour table shared by the blocks of one level.
    """

    def __init__(self, in_channels: int, out_channels: int, norm_cfg: Dict, indice_key: str) -> None:
        super().__init__()
        self.conv1 = SubMConv3d(in_channels, out_channels, 3, padding=1, bias=False, indice_key=indice_key)
        self.norm1 = make_norm(norm_cfg, out_channels)
        self.conv2 = SubMConv3d(out_channels, out_channels, 3, padding=1, bias=False, indice_key=indice_key)
        self.norm2 = make_norm(norm_cfg, out_channels)
        self.shortcut: Optional[nn.Module] = None
        if in_channels != out_channels:
            self.shortcut = nn.Linear(in_channels, out_channels, bias=False)
            self.shortcut_norm = make_norm(norm_cfg, out_channels)

    def forward(self, x: SparseConvTensor) -> SparseConvTensor:
        """(N, C_in) -> (N, C_out) features on the same voxels."""
        identity = x.features
        if self.shortcut is not None:
            identity = apply_norm(self.shortcut_norm, self.shortcut(identity))
        out = apply_conv(self.conv1, x)
        out = out.replace_feature(F.relu(apply_norm(self.norm1, out.features)))
        out = apply_conv(self.conv2, out)
        return out.replace_feature(F.relu(apply_norm(self.norm2, out.features) + identity))
