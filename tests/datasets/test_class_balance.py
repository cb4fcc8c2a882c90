"""Class-balanced sampling: mmdet3d's own where every class is there, and where some are not."""
import numpy as np
import pytest
from mmengine.dataset import BaseDataset

import pretrain3d  # noqa: F401
from mmdet3d.datasets import CBGSDataset
from pretrain3d.datasets.class_balance import FewLabelsCBGSDataset

CLASSES = ('car', 'truck', 'bus')


class Frames(BaseDataset):
    """Frames that are told which classes they have."""
    METAINFO = dict(classes=CLASSES)

    def __init__(self, rows):
        self.rows = rows
        super().__init__(pipeline=[], serialize_data=False)

    def load_data_list(self):
        return [dict(classes=row) for row in self.rows]

    def get_cat_ids(self, idx):
        return set(self.rows[idx])


def drawn(kind, rows):
    np.random.seed(5)
    return kind(Frames(rows)).sample_indices


def test_with_all_classes_it_is_mmdet3ds():
    rows = [[0]] * 20 + [[0, 1]] * 7 + [[2, -1]] * 2 + [[-1], []]
    found = drawn(FewLabelsCBGSDataset, rows)
    assert found == drawn(CBGSDataset, rows) and len(found) == 36
    counts = np.array([sum(name in rows[row] for row in found) for name in range(3)])
    assert counts[2] == 12  # of two frames, as many as of the 27 with cars


def test_classes_that_no_frame_has_take_no_part():
    rows = [[0]] * 20 + [[2]] * 2 + [[-1]]
    with pytest.raises(ZeroDivisionError):
        drawn(CBGSDataset, rows)
    found = drawn(FewLabelsCBGSDataset, rows)
    assert len(found) == 22 and sum(row >= 20 for row in found) == 11 and max(found) == 21


def test_no_class_at_all_is_told():
    with pytest.raises(ValueError, match='none of the 2 samples .*choose other scenes'):
        drawn(FewLabelsCBGSDataset, [[-1], []])
