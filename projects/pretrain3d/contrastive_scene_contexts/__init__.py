"""Contrastive Scene Contexts, and PointContrast: contrast points between two partial views of one scene."""
from .hardest_contrastive import HardestContrastiveLoss
from .head import SceneContextsHead
from .model import ContrastiveSceneContexts
from . import pair_dataset, pair_transforms  # noqa: F401  (registers)
from .partitions import PRESETS, Partition, get_partition
from .scene_context_loss import SceneContextLoss, scene_context_losses

__all__ = [
    'ContrastiveSceneContexts', 'HardestContrastiveLoss', 'PRESETS', 'Partition', 'SceneContextLoss',
    'SceneContextsHead', 'get_partition', 'scene_context_losses'
]
