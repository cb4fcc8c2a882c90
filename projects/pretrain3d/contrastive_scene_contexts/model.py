"""Contrastive Scene Contexts (Hou et al., CVPR 2021), and PointContrast (Xie et al., ECCV 2020) by its loss.

Two RGB-D frames of one scene overlap. Each is augmented on its own, made into voxels and encoded by the same sparse
U-Net; points that lie at one place in the world match (``pairs``). The head projects voxels to 32 unit dimensions,
draws matches, and asks every query to prefer its own key to those of other matches: to all (PointInfoNCE), to its
hardest (hardest-contrastive), or, once for every cell of the space around it, to those in that cell (scene contexts).
After pre-training ``backbone`` moves into a segmentor or detector; the projection is left behind.
"""
from typing import Optional, Union

from torch import nn

from mmdet3d.registry import MODELS
from pretrain3d.pretext import PretextModel


@MODELS.register_module()
class ContrastiveSceneContexts(PretextModel):
    """Pre-train a sparse encoder by contrasting two views.

    ``mode='loss'`` gives ``contrast.loss_contrast``, the logged ``contrast.matches`` and ``contrast.retrieval``;
    ``'tensor'`` the encoder's features of every point, of the sample itself if it has voxels, else of the first view.

    Args:
        backbone: config of the encoder, e.g. ``dict(type='SRUNet', in_channels=3)``.
        head: config of :class:`~.head.SceneContextsHead`; its type may be left out.
        encoder_name: name of the encoder among the model's children.
        data_preprocessor: ``Pretrain3DDataPreprocessor`` with ``voxel_size``.
        init_cfg: mmengine's.
    """

    def __init__(self, backbone: dict, head: dict, encoder_name: str = 'backbone',
                 data_preprocessor: Union[dict, nn.Module, None] = None, init_cfg: Optional[dict] = None) -> None:
        heads = dict(contrast={'type': 'SceneContextsHead', **head})
        super().__init__(backbone, heads, encoder_name, data_preprocessor, init_cfg)
