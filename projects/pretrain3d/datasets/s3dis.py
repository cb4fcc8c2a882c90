"""S3DIS' areas as one dataset whose samples are whole rooms."""
import os.path as osp
from typing import List, Optional, Sequence

from mmdet3d.registry import DATASETS

from .info_check import check_info_file
from .limited_seg import LimitedSegDataset
from .scannet_splits import _metainfo

AREAS = (1, 2, 3, 4, 5, 6)


@DATASETS.register_module()
class S3DIS13Dataset(LimitedSegDataset):
    """S3DIS' 13 classes; a whole room is one sample, drawn once an epoch, where mmdet3d's ``S3DISSegDataset`` wants
    resampled indices for training.

    Args:
        areas (Sequence[int]): Which areas, of 1 ... 6; ``s3dis_infos_Area_<k>.pkl`` each, below ``data_root``.
        data_root (str): Converted folder.
        limit_scenes, limit_points, limit_seed: Fewer rooms and fewer labels, as in ``LimitedSegDataset``.
        kwargs: Arguments of ``LimitedSegDataset``, without ``ann_file``.
    """
    METAINFO = _metainfo('S3DIS13')

    def __init__(self, areas: Sequence[int], data_root: Optional[str] = None, **kwargs) -> None:
        wrong = [area for area in areas if area not in AREAS]
        if wrong or not len(areas) or len(set(areas)) != len(areas):
            raise ValueError(f'S3DIS13Dataset: areas are {list(areas)}; they must be some of {AREAS}, each once')
        self.areas = tuple(areas)
        self._folder = data_root or ''
        super().__init__(data_root=data_root, **kwargs)

    def load_data_list(self) -> List[dict]:
        """Rooms of all areas, area by area.

        Raises:
            InfoFileError: An area's info file is missing or damaged.
        """
        entries: List[dict] = []
        for area in self.areas:
            self.ann_file = osp.join(self._folder, f's3dis_infos_Area_{area}.pkl')
            check_info_file(self.ann_file)
            entries += super().load_data_list()
        return entries
