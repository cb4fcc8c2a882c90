"""Augmentation of coloured indoor clouds with normals: what mmdet3d's own transforms cannot do.

Taken from mmdet3d instead: ``RandomJitterPoints``, scaling by ``GlobalRotScaleTrans(rot_range=[0, 0])``,
``PointShuffle``, ``NormalizePointsColor(color_mean=None)`` (rgb / 255).
"""
from .color import ChromaticAutoContrast, ChromaticJitter, ChromaticTranslation
from .color_jitter import RandomColorJitter
from .columns import NamePointColumns
from .elastic import ElasticDistortion
from .geometry import CenterShift, RandomFlipPoints, RandomRotatePoints
from .normals import FillNormals
from .sampling import GridSamplePoints, RandomDropoutPoints, SphereCrop

__all__ = [
    'CenterShift', 'ChromaticAutoContrast', 'ChromaticJitter', 'ChromaticTranslation', 'ElasticDistortion',
    'GridSamplePoints', 'NamePointColumns', 'RandomColorJitter', 'RandomDropoutPoints', 'RandomFlipPoints',
    'RandomRotatePoints', 'SphereCrop'
]
