"""mmdet3d's MinkUNet on the sparse batch of the data preprocessor."""
from typing import Dict, Mapping, Optional, Sequence

import torch
from spconv.pytorch import SparseConvTensor, SparseSequential
from spconv.pytorch.conv import SparseConvolution
from torch import Tensor, nn

from mmdet3d.models.backbones import MinkUNetBackbone
from mmdet3d.models.layers.sparse_block import SparseBasicBlock
from mmdet3d.registry import MODELS

from .blocks import apply_conv, apply_norm, count_levels, make_sparse_tensor
from .prompts.injection import ADAPTER


@MODELS.register_module()
class SparseMinkUNet(MinkUNetBackbone):
    """mmdet3d's ``MinkUNetBackbone`` with its spconv layers and parameter names, read through our contract.

    Its checkpoints load unchanged. Only the forward pass differs from mmdet3d's, which takes the extents from the
    largest coordinate (an odd one loses its last slab of voxels at every level without a word, one below 16 fails),
    and the batch size from the last row, and fails on a batch without voxels or, in training, with a single one at
    some level.

    Args:
        in_channels: Channels of the voxel features.
        base_channels: Width of the stem.
        encoder_channels, encoder_blocks: Width and number of blocks at strides 2, 4, 8, ...
        decoder_channels, decoder_blocks: The same for the way up, the deepest level first.
        init_cfg: mmengine's.

    Attributes:
        out_channels: Width of what ``forward`` returns.
        total_stride: Extents are padded to multiples of it.
        coors_order: Order of the coordinate columns.
    """

    coors_order = 'bxyz'
    takes_empty = True  # a batch without voxels goes through every norm, which may wait for other ranks

    def __init__(self,
                 in_channels: int,
                 base_channels: int = 32,
                 encoder_channels: Sequence[int] = (32, 64, 128, 256),
                 encoder_blocks: Sequence[int] = (2, 2, 2, 2),
                 decoder_channels: Sequence[int] = (256, 128, 96, 96),
                 decoder_blocks: Sequence[int] = (2, 2, 2, 2),
                 init_cfg: Optional[Dict] = None) -> None:
        levels = count_levels(encoder_channels, encoder_blocks, decoder_channels, decoder_blocks)
        # Lists of its own: mmdet3d inserts into them.
        super().__init__(
            in_channels=in_channels, base_channels=base_channels, num_stages=levels,
            encoder_channels=list(encoder_channels), encoder_blocks=list(encoder_blocks),
            decoder_channels=list(decoder_channels), decoder_blocks=list(decoder_blocks), sparseconv_backend='spconv',
            init_cfg=init_cfg)
        self.in_channels = in_channels
        self.out_channels = decoder_channels[-1]
        self.total_stride = 2**levels

    def forward(self, sparse: Mapping) -> Tensor:
        """Encode a sparse batch.

        Args:
            sparse: ``voxels`` (N, in_channels), ``coors`` (N, 4) [batch, x, y, z], ``batch_size``, ``spatial_shape``.

        Returns:
            (N, out_channels) features, row i belongs to ``coors[i]``. A batch without voxels gives (0, out_channels)
            that hangs in the graph of every parameter.
        """
        x = _apply(self.conv_input, make_sparse_tensor(sparse, self.in_channels, self.total_stride, self.coors_order))
        skips = []
        for stage in self.encoder:
            skips.append(x)
            x = _apply(stage, x)
        for up, blocks in self.decoder:
            x = _apply(up, x)
            x = _apply(blocks, x.replace_feature(torch.cat((x.features, skips.pop().features), dim=1)))
        return x.features


def _apply(module: nn.Module, x: SparseConvTensor) -> SparseConvTensor:
    """Apply one of mmdet3d's sparse modules, layer by layer, each of which then also takes fewer than two rows.

    As if it were called: what domain prompts add before it is added here.
    """
    if ADAPTER in module.__dict__:
        x = module.__dict__[ADAPTER](x)
    if isinstance(module, (nn.Sequential, SparseSequential)):
        for layer in module.children():
            x = _apply(layer, x)
        return x
    if isinstance(module, SparseConvolution):
        return apply_conv(module, x)
    if isinstance(module, SparseBasicBlock):
        out = _apply(module.norm1, _apply(module.conv1, x))
        out = _apply(module.norm2, _apply(module.conv2, _apply(module.relu, out)))
        shortcut = x if module.downsample is None else _apply(module.downsample, x)
        return _apply(module.relu, out.replace_feature(out.features + shortcut.features))
    if isinstance(module, nn.ReLU):
        return x.replace_feature(torch.relu(x.features))
    return x.replace_feature(apply_norm(module, x.features))
