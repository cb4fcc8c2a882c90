"""nuScenes for detection, with fewer scenes by an option, and info files that do not fit refused."""
from typing import List, Union

from mmdet3d.datasets import NuScenesDataset
from mmdet3d.registry import DATASETS

from .info_check import MIN_BOXES, InfoFileError, class_names, count_wide_boxes
from .scene_splits import SubsetMixin, count_boxes


@DATASETS.register_module()
class NuScenesDet10Dataset(SubsetMixin, NuScenesDataset):
    """mmdet3d's ``NuScenesDataset`` with the options ``scenes``, ``frames`` and ``scene_seed``.

    The release ('v1.0-mini', 'v1.0-trainval'), by which ``NuScenesMetric`` opens the devkit's tables, is the one that
    the info file names, where mmdet3d's class says v1.0-trainval for every file. ``camera_sweeps`` are dropped unless
    ``camera_sweeps=True``.

    Args:
        camera_sweeps (bool): Keep the list of earlier camera frames in the samples. Defaults to False.
        kwargs: Arguments of ``NuScenesDataset`` and :class:`~.scene_splits.SubsetMixin`.
    """
    METAINFO = {key: value for key, value in NuScenesDataset.METAINFO.items() if key != 'version'}

    def __init__(self, *args, camera_sweeps: bool = False, **kwargs) -> None:
        self.camera_sweeps = camera_sweeps
        super().__init__(*args, **kwargs)

    def load_data_list(self) -> List[dict]:
        """Samples of the info file.

        Raises:
            InfoFileError: Its labels are in another order than mmdet3d's, which reads them by position, or its boxes
                are of the convention before mmdet3d 1.0.
        """
        infos = super().load_data_list()
        held, known = self._metainfo.get('categories'), list(self.METAINFO['classes'])
        if isinstance(held, dict):
            held = {name: number for name, number in held.items() if number >= 0}
        own = class_names(dict(categories=held)) if held else known
        if own != known:
            raise InfoFileError(f'info file {self.ann_file} numbers its classes as {own}, and mmdet3d reads them as '
                                f'{known}: make it again with tools/data/nuscenes.py')
        wide, seen = count_wide_boxes(infos, known)
        if seen >= MIN_BOXES and wide > seen / 2:
            raise InfoFileError(f'info file {self.ann_file} has boxes of the convention before mmdet3d 1.0 (width '
                                f'first): {wide} of {seen} cars, trucks and the like are wider than long; make it '
                                'again with tools/data/nuscenes.py')
        return infos

    def parse_data_info(self, info: dict) -> Union[List[dict], dict]:
        """As mmdet3d, with the scene's name on the samples of every camera, too."""
        if not self.camera_sweeps:
            info.pop('camera_sweeps', None)
        parsed = super().parse_data_info(info)
        for sample in parsed if isinstance(parsed, list) else ():
            sample.update({key: info[key] for key in ('scene_name', 'scene_index') if key in info})
        return parsed

    def filter_data(self) -> List[dict]:
        """Samples of the chosen scenes; the table of boxes that mmdet3d logs counts those of the chosen ones."""
        infos = super().filter_data()
        if self.scenes is not None or self.frames is not None:
            self.num_ins_per_cat = list(count_boxes(infos, len(self.num_ins_per_cat)))
        return infos
