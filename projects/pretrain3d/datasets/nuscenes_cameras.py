"""nuScenes keyframes with everything that was taken of them: points, six images, boxes, lidarseg."""
import os.path as osp
from typing import List, Optional

import numpy as np

from mmdet3d.registry import DATASETS
from pretrain3d.label_spaces import NUSCENES_LIDARSEG, get_label_space

from .lidar_seg import keep_labelled
from .nuscenes_det import NuScenesDet10Dataset
from .nuscenes_seg import EXTRAS


@DATASETS.register_module()
class NuScenesCamerasDataset(NuScenesDet10Dataset):
    """``NuScenesDet10Dataset`` with cameras on, the labels of lidarseg, and frames without boxes kept.

    Boxes are loaded by ``LoadAnnotations3D``, points' classes (``with_seg_3d=True``) by ``LoadAnnotationsChecked`` and
    ``PointSegClassMapping``: 16 classes, everything else is ``ignore_index`` 16. Info files without boxes or label
    files will do where the pipeline loads none; where it loads labels, frames without are left out and counted.

    ``{version}`` in a folder of ``data_prefix`` stands for the release that the info file is of.

    Args:
        modality (dict, optional): Defaults to None: LiDAR and cameras.
        filter_empty_gt (bool): Whether frames without boxes are left out. Defaults to False.
        kwargs: Arguments of ``NuScenesDet10Dataset``.
    """

    def __init__(self, *args, modality: Optional[dict] = None, filter_empty_gt: bool = False, **kwargs) -> None:
        self.label_space = get_label_space('nuScenes16')
        self._labels_of_raw = self.label_space.map_raw(np.arange(len(NUSCENES_LIDARSEG)))
        super().__init__(*args, modality=modality or dict(use_lidar=True, use_camera=True),
                         filter_empty_gt=filter_empty_gt, **kwargs)

    def parse_data_info(self, info: dict) -> dict:
        """As mmdet3d, and where the labels of the points lie."""
        info.pop('cam_instances', None)  # boxes in images, which nothing here reads and every worker would hold
        info.setdefault('instances', [])
        version = str(self._metainfo.get('version', 'v1.0-trainval'))
        if 'pts_semantic_mask_path' in info:
            folder = self.data_prefix.get('pts_semantic_mask', '').replace('{version}', version)
            info['pts_semantic_mask_path'] = osp.join(folder, info['pts_semantic_mask_path'])
        return super().parse_data_info(info)

    def filter_data(self) -> List[dict]:
        """Samples that have the labels which the pipeline loads.

        Raises:
            InfoFileError: None has.
        """
        return keep_labelled(self, super().filter_data(), EXTRAS)

    def get_data_info(self, index: int) -> dict:
        """The sample, with the class of every raw id of its label file."""
        info = super().get_data_info(index)
        info['seg_label_mapping'] = self._labels_of_raw
        return info
