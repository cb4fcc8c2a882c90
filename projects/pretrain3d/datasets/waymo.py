"""Waymo Open Dataset: LiDAR frames with the 22 classes of its 3D semantic segmentation."""
from mmdet3d.registry import DATASETS
from pretrain3d.label_spaces import get_label_space

from .lidar_seg import LidarSegDataset, seg_metainfo


@DATASETS.register_module()
class Waymo22Dataset(LidarSegDataset):
    """The 22 classes of Waymo on infos as ``tools/data/waymo.py`` writes them.

    mmdet3d has no segmentation of Waymo. Raw ids are 0 ... 22, of which 0 (undefined) is ignored. Only some frames of a
    segment have labels, and the lists hold these. ``scenes`` are segments; ``frames`` counts over the labelled frames
    of all segments. Points of the four unlabelled LiDARs (``--lidars all``) are predicted and never scored.

    Args:
        kwargs: Arguments of :class:`~.lidar_seg.LidarSegDataset`.
    """
    METAINFO = seg_metainfo(get_label_space('Waymo22'))
    SPACE = get_label_space('Waymo22')
    NUM_RAW = max(raw for raw, _ in SPACE.raw_pairs) + 1
    LABELS_MEND = ('its test split has none, and is predicted by a pipeline without LoadAnnotationsChecked and '
                   'PointSegClassMapping; make the lists of the others again with tools/data/waymo.py')
