"""Base of the LiDAR segmentation datasets: labels by a label space, fewer scenes or frames by options."""
import logging
from os import path as osp
from typing import Any, Dict, List, Optional

import numpy as np
from mmengine.logging import print_log

from mmdet3d.datasets import Det3DDataset, Seg3DDataset
from pretrain3d.label_spaces import LabelSpace

from .info_check import InfoFileError
from .scene_splits import SubsetMixin


def seg_metainfo(space: LabelSpace) -> Dict[str, Any]:
    """``METAINFO`` of a label space in which several raw ids may share a class; its own class names."""
    info = space.metainfo(own_names=True)
    ids = tuple(range(space.num_classes))  # mmdet3d wants the keys; labels go through get_seg_label_mapping
    return dict(classes=info['classes'], palette=info['palette'], seg_valid_class_ids=ids, seg_all_class_ids=ids)


class LidarSegDataset(SubsetMixin, Seg3DDataset):
    """``Seg3DDataset`` over whole sweeps whose raw labels a label space turns into classes; all others are ignored.

    Every sweep is one sample, drawn once an epoch. What segmentation does not read (boxes, sweeps) is left out of the
    samples, which every worker process holds.

    Attributes:
        SPACE: the label space.
        NUM_RAW: raw ids of the files are below this; larger ones are an error.

    Args:
        metainfo (dict, optional): As in ``Seg3DDataset``; other classes than the label space's are refused.
        keep_keys (list[str]): Of 'instances', 'cam_instances', 'lidar_sweeps', 'camera_sweeps': what to keep all the
            same. Defaults to none.
        kwargs: Arguments of ``Seg3DDataset`` and :class:`~.scene_splits.SubsetMixin`.
    """
    SPACE: LabelSpace
    NUM_RAW: int
    NOT_READ = ('instances', 'cam_instances', 'lidar_sweeps', 'camera_sweeps')

    def __init__(self, metainfo: Optional[dict] = None, keep_keys: Any = (), **kwargs) -> None:
        metainfo = dict(metainfo or {})
        classes = metainfo.setdefault('classes', self.METAINFO['classes'])
        if tuple(classes) != tuple(self.METAINFO['classes']):
            raise ValueError(f'{type(self).__name__} has the classes of {self.SPACE.name}, in its order, and '
                             f'metainfo.classes are {list(classes)}: leave metainfo.classes out')
        self._dropped = tuple(key for key in self.NOT_READ if key not in keep_keys)
        super().__init__(metainfo=metainfo, **kwargs)

    def get_seg_label_mapping(self, metainfo: Optional[dict] = None) -> np.ndarray:
        """Class of every raw id (NUM_RAW,) int64; ``ignore_index`` for those without one."""
        return self.SPACE.map_raw(np.arange(self.NUM_RAW))

    def load_data_list(self) -> List[dict]:
        """Samples of the info file, whose own metainfo is read with them and not kept.

        Its keys differ by data set, and mmdet's ConcatDataset of several raises a KeyError about such keys, or none,
        depending on the hash seed of the process.
        """
        given = dict(self._metainfo)
        infos = super().load_data_list()
        self._metainfo = given
        return infos

    def parse_data_info(self, info: dict) -> dict:
        """Join the prefixes, of each camera its own, and drop what is not read."""
        for key in self._dropped:
            info.pop(key, None)
        if 'pts_panoptic_mask_path' in info:
            info['pts_panoptic_mask_path'] = osp.join(self.data_prefix.get('pts_panoptic_mask', ''),
                                                      info['pts_panoptic_mask_path'])
        images = info.get('images', {}) if self.modality.get('use_camera') else {}
        given = {camera: image['img_path'] for camera, image in images.items() if 'img_path' in image}
        info = super().parse_data_info(info)
        for camera, path in given.items():  # Seg3DDataset knows one prefix for all
            if camera in self.data_prefix:
                images[camera]['img_path'] = osp.join(self.data_prefix[camera], path)
        return info

    def filter_data(self) -> List[dict]:
        """Samples that have the labels which the pipeline loads.

        Raises:
            InfoFileError: None has.
        """
        return keep_labelled(self, super().filter_data(), self.LABELS_MEND)

    # What to do about an info file without labels.
    LABELS_MEND = 'make it again from a complete download'


def keep_labelled(dataset: Det3DDataset, infos: List[dict], mend: str) -> List[dict]:
    """Those of ``infos`` that name the label files which the pipeline of ``dataset`` loads; others are counted.

    Raises:
        InfoFileError: None does; ``mend`` says what to do.
    """
    steps = getattr(dataset.pipeline, 'transforms', ())
    wanted = [key for key, flag in (('pts_semantic_mask_path', 'with_seg_3d'),
                                    ('pts_panoptic_mask_path', 'with_panoptic_3d'))
              if any(getattr(step, flag, False) for step in steps)]
    labelled = [info for info in infos if all(key in info for key in wanted)]
    if infos and not labelled:
        raise InfoFileError(f'{dataset.ann_file} names no label files ({", ".join(wanted)}): {mend}')
    if len(labelled) < len(infos):
        print_log(f'{type(dataset).__name__}: {len(infos) - len(labelled)} of {len(infos)} samples of '
                  f'{dataset.ann_file} have no labels and are left out', 'current', logging.WARNING)
    return labelled
