"""mmdet3d's class-balanced sampling where few scenes are labelled and some classes are in none of them."""
import logging
from typing import Dict, List

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from mmdet3d.datasets import CBGSDataset
from mmdet3d.registry import DATASETS


@DATASETS.register_module()
class FewLabelsCBGSDataset(CBGSDataset):
    """``CBGSDataset``, with the same arguments and draws; classes that no frame has take no part, where mmdet3d's
    divides by zero."""

    def _get_sample_indices(self, dataset: BaseDataset) -> List[int]:
        """Rows of ``dataset``, as many for each class that there is.

        Raises:
            ValueError: No frame has a box of any class.
        """
        frames: Dict[int, List[int]] = {number: [] for number in range(len(self.metainfo['classes']))}
        for row in range(len(dataset)):
            for number in dataset.get_cat_ids(row):
                if number != -1:  # of no class
                    frames[number].append(row)
        there = [rows for rows in frames.values() if rows]
        if not there:
            raise ValueError(f'none of the {len(dataset)} samples of {getattr(dataset, "ann_file", "the dataset")} has '
                             'a box of any class, so classes cannot be balanced: choose other scenes')
        absent = [name for name, rows in zip(self.metainfo['classes'], frames.values()) if not rows]
        if absent:
            print_log(f'{type(self).__name__}: no sample has {", ".join(absent)}; the other classes are balanced',
                      'current', logging.WARNING)
        total, share = sum(map(len, there)), 1 / len(there)
        # In mmdet3d's order of operations, so that the same seed draws the same frames.
        return [row for rows in there
                for row in np.random.choice(rows, int(len(rows) * (share / (len(rows) / total)))).tolist()]
