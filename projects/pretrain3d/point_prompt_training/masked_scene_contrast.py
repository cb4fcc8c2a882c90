"""Masked Scene Contrast (Wu et al., CVPR 2023), with domain prompts: unsupervised Point Prompt Training (CVPR 2024).

Two views of one scene, each augmented on its own, are hidden in patches of space that do not overlap; two scenes of the
batch may be laid into one another in the first view. The same sparse encoder sees both. Voxels at one place have to
find each other among all other matches, and the colour (and normal) of the hidden ones has to be told. Afterwards
``backbone`` moves into a segmentor or detector; mask token and reconstructions are left behind.

With a ``PromptedBackbone`` and samples that say their domain, batches may be of one domain or mixed.
"""
from typing import Optional, Union

from torch import nn

from mmdet3d.registry import MODELS
from pretrain3d.pretext import PretextModel


@MODELS.register_module()
class MaskedSceneContrast(PretextModel):
    """Pre-train a sparse encoder by contrasting and restoring two masked views.

    ``mode='loss'`` gives ``msc.loss_contrast``, ``msc.loss_color`` (and ``msc.loss_normal``) and what is logged beside
    them; ``'tensor'`` the encoder's features of every point, unmasked.

    Args:
        backbone: config of the encoder, e.g. ``dict(type='SpUNet', in_channels=6)``.
        head: config of :class:`~.masked_scene_contrast_head.MaskedSceneContrastHead`; its type may be left out.
        encoder_name: name of the encoder among the model's children.
        data_preprocessor: ``Pretrain3DDataPreprocessor`` with ``voxel_size``.
        init_cfg: mmengine's.
    """

    def __init__(self, backbone: dict, head: dict, encoder_name: str = 'backbone',
                 data_preprocessor: Union[dict, nn.Module, None] = None, init_cfg: Optional[dict] = None) -> None:
        heads = dict(msc={'type': 'MaskedSceneContrastHead', **head})
        super().__init__(backbone, heads, encoder_name, data_preprocessor, init_cfg)
