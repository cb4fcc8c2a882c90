"""ScanNet for segmentation, with 20 or 200 classes."""
from typing import Any, Dict

from mmdet3d.datasets import ScanNetSegDataset
from mmdet3d.registry import DATASETS
from pretrain3d.label_spaces import get_label_space

from .limited_seg import LimitedSegDataset

_META_KEYS = ('classes', 'palette', 'seg_valid_class_ids', 'seg_all_class_ids')


def _metainfo(name: str) -> Dict[str, Any]:
    info = get_label_space(name).metainfo()
    return {key: info[key] for key in _META_KEYS}


@DATASETS.register_module()
class ScanNet20Dataset(LimitedSegDataset, ScanNetSegDataset):
    """``ScanNetSegDataset`` with the options of the data-efficient benchmark."""
    METAINFO = _metainfo('ScanNet20')


@DATASETS.register_module()
class ScanNet200Dataset(ScanNet20Dataset):
    """The same with the 200 classes; ``data_prefix`` names the folder of their ids, ``semantic_mask_200``."""
    METAINFO = _metainfo('ScanNet200')
