"""Point Prompt Training: one encoder for many data sets, here without labels (Masked Scene Contrast)."""
from .cross_masks import cross_masks
from .masked_scene_contrast import MaskedSceneContrast
from .masked_scene_contrast_head import MaskedSceneContrastHead
from .scene_mixing import mix_scenes
from .view_matching import match_views

__all__ = ['MaskedSceneContrast', 'MaskedSceneContrastHead', 'cross_masks', 'match_views', 'mix_scenes']
