"""Our lists beside the METAINFO of mmdet3d's datasets, and those datasets built from our metainfo."""
from pathlib import Path

import numpy as np
import pytest

from pretrain3d.label_spaces import get_label_space

mmdet3d = pytest.importorskip('mmdet3d')
from mmdet3d.datasets import (NuScenesDataset, S3DISSegDataset, ScanNetSegDataset,  # noqa: E402
                              SemanticKittiDataset)
from mmdet3d.datasets.seg3d_dataset import Seg3DDataset  # noqa: E402

PAIRS = [('ScanNet20', ScanNetSegDataset), ('S3DIS13', S3DISSegDataset), ('SemanticKITTI19', SemanticKittiDataset),
         ('nuScenesDet10', NuScenesDataset)]


@pytest.mark.parametrize('name, dataset', PAIRS)
def test_classes_and_palette_agree(name, dataset):
    info = get_label_space(name).metainfo()
    theirs = dataset.METAINFO
    assert info['classes'] == tuple(theirs['classes'])
    assert info['palette'] == [list(colour) for colour in theirs['palette']]
    assert get_label_space(name).indices(theirs['classes']) == list(range(len(theirs['classes'])))


@pytest.mark.parametrize('name, dataset', PAIRS[:2])
def test_raw_ids_agree(name, dataset):
    assert get_label_space(name).metainfo()['seg_valid_class_ids'] == tuple(dataset.METAINFO['seg_valid_class_ids'])


def test_semantickitti_map_is_that_of_the_stock_config():
    from mmengine import Config
    path = Path(mmdet3d.__file__).parent / '.mim' / 'configs' / '_base_' / 'datasets' / 'semantickitti.py'
    if not path.exists():
        pytest.skip('this mmdet3d ships no configs')
    stock = Config.fromfile(str(path)).labels_map
    space = get_label_space('SemanticKITTI19')
    assert space.map_raw([int(raw) for raw in stock]).tolist() == list(stock.values())


@pytest.mark.parametrize('name, dataset', PAIRS[:3])
def test_their_datasets_accept_our_metainfo_and_map_as_we_do(name, dataset):
    space = get_label_space(name)
    base = dataset if dataset is not S3DISSegDataset else __import__(
        'mmdet3d.datasets.s3dis_dataset', fromlist=['_S3DISSegDataset'])._S3DISSegDataset
    built = base(data_root='', ann_file='', metainfo=space.metainfo(), pipeline=[], lazy_init=True, test_mode=True)
    assert built.metainfo['classes'] == space.metainfo()['classes'] and built.ignore_index == space.ignore_index
    assert built.metainfo['label2cat'] == space.metainfo()['label2cat']
    raw = np.arange(len(built.seg_label_mapping))
    np.testing.assert_array_equal(np.asarray(built.seg_label_mapping)[raw], space.map_raw(raw))


@pytest.mark.parametrize('name', ['ScanNet200', 'Structured3D25', 'Waymo22'])
def test_a_dataset_of_ours_can_take_its_metainfo_from_a_space(name):
    space = get_label_space(name)
    dataset = type('Ours', (Seg3DDataset,), dict(METAINFO=space.metainfo()))
    built = dataset(data_root='', ann_file='', metainfo=space.metainfo(), pipeline=[], lazy_init=True, test_mode=True)
    raw = np.arange(space.metainfo()['max_label'] + 1)
    np.testing.assert_array_equal(built.seg_label_mapping[raw], space.map_raw(raw))
