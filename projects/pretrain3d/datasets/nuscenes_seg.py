"""nuScenes-lidarseg: keyframes with 16 classes."""
from mmdet3d.registry import DATASETS
from pretrain3d.label_spaces import NUSCENES_LIDARSEG, get_label_space

from .lidar_seg import LidarSegDataset, seg_metainfo

EXTRAS = ('run tools/data/nuscenes_extras.py on the data folder; the labels are the extra downloads nuScenes-lidarseg '
          'and nuScenes-panoptic')


@DATASETS.register_module()
class NuScenes16Dataset(LidarSegDataset):
    """The 16 classes of nuScenes-lidarseg on the keyframes of a ``nuscenes_infos_*.pkl``; raw ids 0 ... 31.

    ``{version}`` in a folder of ``data_prefix`` stands for the release that the info file is of ('v1.0-mini',
    'v1.0-trainval'), in whose folders the labels lie.

    Args:
        kwargs: Arguments of :class:`~.lidar_seg.LidarSegDataset`: ``scenes``, ``frames`` and ``scene_seed`` among them.
    """
    METAINFO = seg_metainfo(get_label_space('nuScenes16'))
    SPACE = get_label_space('nuScenes16')
    NUM_RAW = len(NUSCENES_LIDARSEG)
    LABELS_MEND = EXTRAS

    def parse_data_info(self, info: dict) -> dict:
        """Join the prefixes, with the version that the info file names."""
        version = str(self._metainfo.get('version', 'v1.0-trainval'))
        self.data_prefix = {key: folder.replace('{version}', version) for key, folder in self.data_prefix.items()}
        return super().parse_data_info(info)
