"""SRUNet: the sparse residual U-Net of PointContrast and Contrastive Scene Contexts ("Res16UNet")."""
from typing import Dict, Optional

from spconv.pytorch import SparseInverseConv3d
from spconv.pytorch.conv import SparseConvolution
from torch import nn

from mmdet3d.registry import MODELS
from .sparse_unet import SparseUNet

ENCODER_CHANNELS = (32, 64, 128, 256)
VARIANTS = {
    '34C': dict(encoder_blocks=(2, 3, 4, 6), decoder_channels=(256, 128, 96, 96), decoder_blocks=(2, 2, 2, 2)),
    '18A': dict(encoder_blocks=(2, 2, 2, 2), decoder_channels=(128, 128, 96, 96), decoder_blocks=(2, 2, 2, 2)),
}


@MODELS.register_module()
class SRUNet(SparseUNet):
    """SRUNet-34C (37.85 M parameters with a 32-d output) or SRUNet-18A (15.48 M), with a 3^3 stem.

    Args:
        in_channels: channels of the voxel features, e.g. 3 for colour.
        out_channels: width of the output layer (linear with bias); 0: the features of the decoder (96 channels).
        depth: ``'34C'`` or ``'18A'``.
        norm_cfg: norms of stem, down and up layers; None: ``dict(type='BN1d', momentum=0.05)``, the value for
            pre-training (0.02 when fine-tuning).
        block_norm_cfg: norms inside the residual blocks; None: ``dict(type='BN1d', momentum=0.1)``, as in the released
            code, which does not hand its momentum on to the blocks.
        init_cfg: mmengine's.
    """

    def __init__(self,
                 in_channels: int,
                 out_channels: int = 0,
                 depth: str = '34C',
                 norm_cfg: Optional[Dict] = None,
                 block_norm_cfg: Optional[Dict] = None,
                 init_cfg: Optional[Dict] = None) -> None:
        if depth not in VARIANTS:
            raise ValueError(f'depth of SRUNet must be one of {sorted(VARIANTS)}, got {depth!r}')
        if norm_cfg is None:
            norm_cfg = dict(type='BN1d', momentum=0.05)
        if block_norm_cfg is None:
            block_norm_cfg = dict(type='BN1d', momentum=0.1)
        super().__init__(
            in_channels=in_channels, out_channels=out_channels, stem_kernel=3, base_channels=32,
            encoder_channels=ENCODER_CHANNELS, norm_cfg=norm_cfg, block_norm_cfg=block_norm_cfg,
            widen_when_down=False, init_cfg=init_cfg, **VARIANTS[depth])
        for module in self.modules():
            if isinstance(module, (SparseConvolution, nn.Linear)):
                _init_uniform(module)


def _init_uniform(layer: nn.Module) -> None:
    """U(-b, b) with b = 1 / sqrt(fan), fan = C_in * K; MinkowskiEngine takes C_out * K in transposed convolutions."""
    fan = layer.weight[0].numel()  # weights are (C_out, ..., C_in)
    if isinstance(layer, SparseInverseConv3d):
        fan = fan // layer.in_channels * layer.out_channels
    bound = fan**-0.5
    nn.init.uniform_(layer.weight, -bound, bound)
    if layer.bias is not None:
        nn.init.uniform_(layer.bias, -bound, bound)
