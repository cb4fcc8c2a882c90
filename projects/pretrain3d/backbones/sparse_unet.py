"""The sparse residual U-Net that SpUNet and SRUNet are two recipes of."""
from typing import Dict, Mapping, Optional, Sequence

import torch
from mmengine.model import BaseModule
from spconv.pytorch import SparseConv3d, SparseConvTensor, SparseInverseConv3d, SubMConv3d
from torch import Tensor, nn

from .blocks import SparseBasicBlock, SparseConvNormReLU, count_levels, make_sparse_tensor


class SparseUNet(BaseModule):
    """Sparse U-Net: stem, L levels down, L levels up with concatenated skips, and an optional 1x1 output layer.

    Level ``i`` (0-based) is ``down[i]`` (kernel 2, stride 2) and ``enc[i]`` (residual blocks) at stride ``2**(i + 1)``;
    ``up[i]`` (inverse of ``down[i]``) and ``dec[i]`` lead back to stride ``2**i``, where ``[upsampled, skip]`` are
    concatenated. The skip of level 0 is the stem.

    Args:
        in_channels: channels of the voxel features.
        out_channels: width of the output layer (linear with bias, what others call a 1x1 convolution); 0 for none: the
            decoder's features.
        stem_kernel: kernel size of the stem.
        base_channels: width of the stem.
        encoder_channels, encoder_blocks: width and number of blocks of level 0, 1, ...
        decoder_channels, decoder_blocks: the same for the way up, the deepest level first.
        norm_cfg: norms of stem, down and up layers.
        block_norm_cfg: norms inside the residual blocks; None: as ``norm_cfg``.
        widen_when_down: whether a strided convolution changes the width (SpUNet) or keeps it and leaves that to the
            first residual block after it (SRUNet).
        init_cfg: mmengine's.

    Attributes:
        out_channels: width of what ``forward`` returns.
        total_stride: extents are padded to multiples of it.
        coors_order: order of the coordinate columns.
    """

    coors_order = 'bxyz'
    takes_empty = True  # a batch without voxels goes through every norm, which may wait for other ranks

    def __init__(self,
                 in_channels: int,
                 out_channels: int,
                 stem_kernel: int,
                 base_channels: int,
                 encoder_channels: Sequence[int],
                 encoder_blocks: Sequence[int],
                 decoder_channels: Sequence[int],
                 decoder_blocks: Sequence[int],
                 norm_cfg: Dict,
                 block_norm_cfg: Optional[Dict] = None,
                 widen_when_down: bool = True,
                 init_cfg: Optional[Dict] = None) -> None:
        super().__init__(init_cfg)
        levels = count_levels(encoder_channels, encoder_blocks, decoder_channels, decoder_blocks)
        if out_channels < 0:
            raise ValueError(f'the number of output channels must be 0 (no output layer) or more, got {out_channels}')
        block_norm_cfg = norm_cfg if block_norm_cfg is None else block_norm_cfg
        self.in_channels = in_channels
        self.total_stride = 2**levels
        # The blocks at stride 1 may share the stem's neighbour table only if it has the same kernel.
        stem_key = 'subm0' if stem_kernel == 3 else 'stem'
        self.stem = SparseConvNormReLU(
            SubMConv3d(in_channels, base_channels, stem_kernel, padding=stem_kernel // 2, bias=False,
                       indice_key=stem_key), norm_cfg)
        self.down, self.enc, self.up, self.dec = (nn.ModuleList() for _ in range(4))
        skip_channels = [base_channels, *encoder_channels]
        # What arrives from below at level i: the bottleneck, or the decoder of level i + 1.
        up_channels = [*list(decoder_channels)[::-1], encoder_channels[-1]]
        for i in range(levels):
            skip, width, out = skip_channels[i], encoder_channels[i], up_channels[i]
            down, key = width if widen_when_down else skip, f'down{i + 1}'
            self.down.append(SparseConvNormReLU(SparseConv3d(skip, down, 2, 2, bias=False, indice_key=key), norm_cfg))
            self.enc.append(_stage(down, width, encoder_blocks[i], block_norm_cfg, f'subm{i + 1}'))
            inverse = SparseInverseConv3d(up_channels[i + 1], out, 2, bias=False, indice_key=key)
            self.up.append(SparseConvNormReLU(inverse, norm_cfg))
            self.dec.append(_stage(out + skip, out, decoder_blocks[levels - 1 - i], block_norm_cfg, f'subm{i}'))
        self.final = nn.Linear(up_channels[0], out_channels) if out_channels else None
        self.out_channels = out_channels or up_channels[0]

    def forward(self, sparse: Mapping) -> Tensor:
        """Encode a sparse batch.

        Args:
            sparse: ``voxels`` (N, in_channels), ``coors`` (N, 4) [batch, x, y, z], ``batch_size``, ``spatial_shape``.

        Returns:
            (N, out_channels) features, row i belongs to ``coors[i]``. A batch without voxels gives (0, out_channels)
            that hangs in the graph of every parameter.
        """
        x = self.stem(make_sparse_tensor(sparse, self.in_channels, self.total_stride, self.coors_order))
        skips = []
        for down, enc in zip(self.down, self.enc):
            skips.append(x)
            x = enc(down(x))
        for up, dec, skip in zip(reversed(self.up), reversed(self.dec), reversed(skips)):
            x = dec(_concatenate(up(x), skip))
        return x.features if self.final is None else self.final(x.features)


def _stage(in_channels: int, out_channels: int, num_blocks: int, norm_cfg: Dict, indice_key: str) -> nn.Sequential:
    """Residual blocks of one level; the first changes the width."""
    widths = [in_channels] + [out_channels] * num_blocks
    return nn.Sequential(
        *[SparseBasicBlock(widths[i], widths[i + 1], norm_cfg, indice_key) for i in range(num_blocks)])


def _concatenate(x: SparseConvTensor, skip: SparseConvTensor) -> SparseConvTensor:
    """Concatenate [x, skip] along channels; an inverse convolution restores the rows of its own input's grid."""
    return x.replace_feature(torch.cat((x.features, skip.features), dim=1))
