"""Detection on ScanNet with few scans or few boxes: the data-efficient benchmark as options of a data set."""
from pathlib import Path
from typing import List, Optional, Union

import numpy as np
from mmcv.transforms import BaseTransform

from mmdet3d.datasets import ScanNetDataset
from mmdet3d.registry import DATASETS, TRANSFORMS

from .scannet_lists import choose_boxes, read_box_list, split_names
from .limited_seg import scan_name


@DATASETS.register_module()
class ScanNetDetDataset(ScanNetDataset):
    """``ScanNetDataset`` whose training set may be limited.

    Args:
        limit_scenes (float or str, optional): Share of the scans in (0, 1], drawn by ``limit_seed``, or a file with
            one scan a line. Defaults to None: all.
        limit_boxes (int or str, optional): Boxes of every scan, drawn by ``limit_seed``, or a list file
            (:func:`~.scannet_lists.read_box_list`). Needs ``LimitBoxes()`` in the pipeline. Defaults to None: all.
        limit_seed (int): Defaults to 0.
        test_mode: As in ``ScanNetDataset``.
        kwargs: Arguments of ``ScanNetDataset``.

    Raises:
        KeyError: The list of boxes has no entry for a scan.
        ValueError: Limits in test mode, no ``LimitBoxes`` in the pipeline, or a list that does not fit the scans.
    """

    def __init__(self,
                 limit_scenes: Union[float, str, None] = None,
                 limit_boxes: Union[int, str, None] = None,
                 limit_seed: int = 0,
                 test_mode: bool = False,
                 **kwargs) -> None:
        if test_mode and (limit_scenes is not None or limit_boxes is not None):
            raise ValueError(f'{type(self).__name__}: limit_scenes and limit_boxes are for training; leave them out '
                             'where test_mode=True')
        self.limit_scenes = limit_scenes
        self.limit_boxes = None if limit_boxes is None else LimitBoxes(limit_boxes, limit_seed)
        self.limit_seed = limit_seed
        super().__init__(test_mode=test_mode, **kwargs)
        steps = getattr(self.pipeline, 'transforms', ())
        if limit_boxes is not None and not any(isinstance(step, LimitBoxes) for step in steps):
            raise ValueError(f'{type(self).__name__} has limit_boxes={limit_boxes!r}, but its pipeline has no '
                             'LimitBoxes: put dict(type=\'LimitBoxes\') behind PointSegClassMapping')

    def filter_data(self) -> List[dict]:
        """Infos of the scans that the split keeps, each with the rows of its kept boxes."""
        infos = super().filter_data()
        if self.limit_scenes is not None:
            kept = set(split_names(self.limit_scenes, [scan_name(info) for info in infos], self.limit_seed))
            infos = [info for info in infos if scan_name(info) in kept]
        if self.test_mode:
            return infos
        self.num_ins_per_cat = [0] * len(self.num_ins_per_cat)  # the table in the log: what is left
        for info in infos:
            labels = info['ann_info']['gt_labels_3d']
            if self.limit_boxes is not None:
                info['limit_boxes'] = self.limit_boxes.rows(scan_name(info), len(labels))
                labels = labels[info['limit_boxes']]
            for label in labels[labels >= 0]:
                self.num_ins_per_cat[label] += 1
        return infos


@TRANSFORMS.register_module()
class LimitBoxes(BaseTransform):
    """Keep few boxes of every scan; points outside the kept objects lose their labels.

    Place it behind ``LoadAnnotations3D`` and ``PointSegClassMapping``, before anything that drops points or boxes.
    Unlabelled objects count as background in the detector's loss, as in the published benchmark.

    Required Keys:

    - gt_bboxes_3d, gt_labels_3d
    - limit_boxes (np.ndarray, optional): rows of the kept boxes, written by ``ScanNetDetDataset``
    - ann_info (dict): with ``instance_id``, where there are point masks (our converter writes it)
    - seg_label_mapping (np.ndarray), pts_semantic_mask, pts_instance_mask: where present

    Modified Keys:

    - gt_bboxes_3d, gt_labels_3d, pts_semantic_mask, pts_instance_mask

    Args:
        boxes (int or str, optional): How many to draw for each scan, or a list file
            (:func:`~.scannet_lists.read_box_list`). Defaults to None: as the data set asks by ``limit_boxes``; all
            where it does not.
        seed (int): Defaults to 0.
    """

    def __init__(self, boxes: Union[int, str, None] = None, seed: int = 0) -> None:
        if isinstance(boxes, int) and boxes < 1:
            raise ValueError(f'LimitBoxes: boxes is {boxes}; it must be at least 1, a list file, or None')
        self.boxes = boxes
        self.seed = seed
        self._list = read_box_list(boxes) if isinstance(boxes, (str, Path)) else None

    def transform(self, results: dict) -> dict:
        """Limit the boxes.

        Raises:
            KeyError: The list has no entry for the scan.
            ValueError: It lists a box that the scan has not, or the boxes do not say which instance they are of.
        """
        count = len(results['gt_labels_3d'])
        rows = results.get('limit_boxes') if self.boxes is None else self.rows(scan_name(results), count)
        if rows is None:
            return results
        results['gt_bboxes_3d'] = results['gt_bboxes_3d'][rows]
        results['gt_labels_3d'] = results['gt_labels_3d'][rows]
        if 'pts_instance_mask' in results:
            dropped = ~np.isin(results['pts_instance_mask'], self._instances(results, rows, count))
            results['pts_instance_mask'] = np.where(dropped, 0, results['pts_instance_mask'])
            if 'pts_semantic_mask' in results:
                # Raw id 0 is "not annotated" in ScanNet: where it maps to is the ignore label.
                ignore = results['seg_label_mapping'][0]
                results['pts_semantic_mask'] = np.where(dropped, ignore, results['pts_semantic_mask'])
        return results

    def rows(self, scan: str, count: int) -> np.ndarray:
        """Rows of the kept boxes (K,) int64, sorted, among the ``count`` of a scan."""
        if self._list is None:
            return choose_boxes(scan, count, self.boxes, self.seed)
        if scan not in self._list:
            raise KeyError(f'{self.boxes} has no entry for {scan}: it is a list of another split; choose the scans '
                           'with limit_scenes')
        rows = np.sort(self._list[scan])
        if len(rows) and rows[-1] >= count:
            raise ValueError(f'{self.boxes} lists box {rows[-1]} of {scan}, which has {count}: it was made for other '
                             'boxes')
        return rows

    @staticmethod
    def _instances(results: dict, rows: np.ndarray, count: int) -> np.ndarray:
        """Instance ids of the kept boxes."""
        known: Optional[np.ndarray] = results['ann_info'].get('instance_id')
        if known is None and count:
            raise ValueError(f'{scan_name(results)}: the boxes of the info file have no instance_id, so the points of '
                             'dropped objects cannot be found; convert with tools/data/scannet.py')
        return np.asarray(known)[rows] if count else np.zeros(0, np.int64)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(boxes={self.boxes!r}, seed={self.seed})'
