"""SemanticKITTI: sweeps of 64 beams with 19 classes."""
from pathlib import PurePath

from mmdet3d.registry import DATASETS
from pretrain3d.label_spaces import get_label_space

from .lidar_seg import LidarSegDataset, seg_metainfo


@DATASETS.register_module()
class SemanticKITTI19Dataset(LidarSegDataset):
    """The 19 classes of SemanticKITTI on infos as mmdet3d's converter or ``tools/data/semantickitti.py`` write them.

    mmdet3d's ``SemanticKittiDataset`` takes raw ids that its mapping does not list for class 0, the car; here they are
    ignored. Its misspelt class names are spelt out. Labels hold the instance in their upper 16 bits: load them with
    ``seg_3d_dtype='np.uint32', seg_offset=2**16, dataset_type='semantickitti'``.

    ``scenes`` are sequences ('00' ... '10'); the usual 1 % is ``frames='1%'``: every hundredth sweep of all sequences.

    Args:
        kwargs: Arguments of :class:`~.lidar_seg.LidarSegDataset`.
    """
    METAINFO = seg_metainfo(get_label_space('SemanticKITTI19'))
    SPACE = get_label_space('SemanticKITTI19')
    NUM_RAW = max(raw for raw, _ in SPACE.raw_pairs) + 1
    LABELS_MEND = 'sequences 11 to 21 have none; use the train or val list'

    def parse_data_info(self, info: dict) -> dict:
        """Join the prefixes; name the sequence and the frame."""
        path = PurePath(info['lidar_points']['lidar_path'])
        info.setdefault('scene_name', path.parts[-3] if len(path.parts) > 2 else '')
        info.setdefault('sample_idx', f'{info["scene_name"]}/{path.stem}')
        return super().parse_data_info(info)
