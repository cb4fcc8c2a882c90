"""``Seg3DDataset`` with its default ``metainfo=None``, and with a dict that stays the caller's."""
from mmdet3d.datasets import Seg3DDataset

import pretrain3d  # noqa: F401  mends the dataset


class Rooms(Seg3DDataset):
    METAINFO = dict(classes=('wall', 'floor'), palette=[[1, 2, 3], [4, 5, 6]], seg_valid_class_ids=(0, 1),
                    seg_all_class_ids=(0, 1))

    def load_data_list(self):
        return [dict(lidar_points=dict(lidar_path='a.bin'))]


def test_default_metainfo_takes_every_class():
    dataset = Rooms(lazy_init=True)
    assert dataset.metainfo['classes'] == ('wall', 'floor')
    assert dataset.metainfo['label2cat'] == {0: 'wall', 1: 'floor'}
    assert dataset.metainfo['palette'] == [[1, 2, 3], [4, 5, 6]]


def test_a_callers_dict_stays_as_it_is():
    given = dict(classes=('floor', ))
    dataset = Rooms(metainfo=given, lazy_init=True)
    assert given == dict(classes=('floor', ))
    assert dataset.metainfo['classes'] == ('floor', )
    assert dataset.label_mapping == {0: dataset.ignore_index, 1: 0}
