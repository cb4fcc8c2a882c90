"""Structured3D for segmentation: whole rooms with 25 classes."""
from mmdet3d.registry import DATASETS

from .limited_seg import LimitedSegDataset
from .scannet_splits import _metainfo


@DATASETS.register_module()
class Structured3DDataset(LimitedSegDataset):
    """Structured3D's 25 classes; files hold NYU40 ids, which ``PointSegClassMapping`` turns into 0 ... 24, and into the
    ignore label 25 what is none of the 25. Fewer rooms and fewer labels as in ``LimitedSegDataset``."""
    METAINFO = _metainfo('Structured3D25')
