"""SpUNet: the sparse U-Net of Point Prompt Training (Pointcept's ``SpUNet-v1m1``)."""
from typing import Dict, Optional, Sequence

from spconv.pytorch import SubMConv3d
from torch import nn

from mmdet3d.registry import MODELS
from .sparse_unet import SparseUNet


@MODELS.register_module()
class SpUNet(SparseUNet):
    """SpUNet with a 5^3 stem; 39,157,844 parameters with ``in_channels=6, num_classes=20``.

    SpUNet-L (412.6 M) is ``base_channels=96, encoder_channels=(96, 192, 384, 768), encoder_blocks=(6, 6, 12, 6),
    decoder_channels=(768, 384, 192, 192)``. The decoder's last two widths of the small network are 96: Table 10 of the
    paper prints 64, which contradicts its own 39.2 M parameters.

    Submanifold convolutions and linear layers start as a normal of deviation 0.02, biases as 0; strided and inverse
    convolutions keep spconv's uniform.

    Args:
        in_channels: channels of the voxel features, e.g. 6 for colour and normal.
        num_classes: width of the output layer; 0: the features of the decoder (96 channels).
        base_channels: width of the stem.
        encoder_channels, encoder_blocks: width and number of blocks at strides 2, 4, 8, 16.
        decoder_channels, decoder_blocks: the same for the way up, the deepest level first.
        norm_cfg: every norm; None: ``dict(type='BN1d', eps=1e-3, momentum=0.01)``.
        init_cfg: mmengine's.
    """

    def __init__(self,
                 in_channels: int,
                 num_classes: int = 0,
                 base_channels: int = 32,
                 encoder_channels: Sequence[int] = (32, 64, 128, 256),
                 encoder_blocks: Sequence[int] = (2, 3, 4, 6),
                 decoder_channels: Sequence[int] = (256, 128, 96, 96),
                 decoder_blocks: Sequence[int] = (2, 2, 2, 2),
                 norm_cfg: Optional[Dict] = None,
                 init_cfg: Optional[Dict] = None) -> None:
        if norm_cfg is None:
            norm_cfg = dict(type='BN1d', eps=1e-3, momentum=0.01)
        super().__init__(
            in_channels=in_channels, out_channels=num_classes, stem_kernel=5, base_channels=base_channels,
            encoder_channels=encoder_channels, encoder_blocks=encoder_blocks, decoder_channels=decoder_channels,
            decoder_blocks=decoder_blocks, norm_cfg=norm_cfg, init_cfg=init_cfg)
        for module in self.modules():
            if isinstance(module, (SubMConv3d, nn.Linear)):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
