"""S3DIS' areas as one data set: whole rooms, classes by name, the truth scores 1."""
import pickle
import shutil

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

import pretrain3d  # noqa: F401
from mmdet3d.registry import DATASETS, METRICS
from pretrain3d.datasets.info_check import InfoFileError
from pretrain3d.datasets.s3dis import S3DIS13Dataset
from pretrain3d.label_spaces import get_label_space

SPACE = get_label_space('S3DIS13')
CONFIG = 'configs/_base_/datasets/s3dis_seg.py'


@pytest.fixture()
def config(drawn_s3dis, monkeypatch, request):
    init_default_scope('mmdet3d')
    monkeypatch.setenv('PRETRAIN3D_S3DIS', str(drawn_s3dis.converted))
    return Config.fromfile(str(request.config.rootpath / CONFIG))


def test_areas_and_class_names(config):
    """By the config: five areas for training, Area 5 for validation, the classes in mmdet3d's and our order."""
    from mmdet3d.datasets import S3DISSegDataset
    train, val = (DATASETS.build(config[f'{split}_dataloader'].dataset) for split in ('train', 'val'))
    assert (len(train), len(val)) == (5, 2)
    scans = [train.get_data_info(index)['scan'][:6] for index in range(5)]
    assert scans == [f'Area_{number}' for number in (1, 2, 3, 4, 6)]
    assert val.get_data_info(1)['scan'].startswith('Area_5_')
    classes = ('ceiling floor wall beam column window door table chair sofa bookcase board clutter').split()
    for dataset in (train, val):
        assert list(dataset.metainfo['classes']) == classes == list(SPACE.classes)
        assert dataset.metainfo['ignore_index'] == dataset.ignore_index == 13
        assert dataset.seg_label_mapping.tolist()[:14] == list(range(14))
    assert tuple(S3DISSegDataset.METAINFO['classes']) == SPACE.classes


def test_samples_hold_the_labels_of_the_files(config, drawn_s3dis):
    """Each named class keeps its name through loading, mapping and packing, and the sample says its domain."""
    dataset = DATASETS.build(config.val_dataloader.dataset)
    for index in range(len(dataset)):
        info, sample = dataset.get_data_info(index), dataset[index]
        room = info['scan'][len('Area_5_'):]
        label = sample['data_samples'].gt_pts_seg.pts_semantic_mask.numpy()
        assert sample['data_samples'].domain == 'S3DIS' and len(label) == info['num_points']
        for name in SPACE.classes:
            files = (drawn_s3dis.world / 'Area_5' / room / 'Annotations').glob(f'{name}_*.txt')
            assert (label == SPACE.index(name)).sum() == sum(len(path.read_text().splitlines()) for path in files)
        points = sample['inputs']['points']
        assert points.shape[1] == 9 and points[:, 3:6].max() <= 1
        torch.testing.assert_close(points[:, 6:].norm(dim=1), torch.ones(len(points)), atol=1e-4, rtol=0)


def test_the_truth_as_prediction_scores_one(config):
    dataset = DATASETS.build(config.val_dataloader.dataset)
    metric = METRICS.build(dict(type='MeanIoUMetric'))
    metric.dataset_meta = dataset.metainfo
    samples = []
    for index in range(len(dataset)):
        truth = dataset[index]['data_samples'].eval_ann_info['pts_semantic_mask']
        samples.append(dict(eval_ann_info=dict(pts_semantic_mask=truth), lidar_path=str(index),
                            pred_pts_seg=dict(pts_semantic_mask=torch.as_tensor(truth))))
    metric.process(None, samples)
    scores = metric.evaluate(len(samples))
    assert scores['miou/vertex'] == scores['macc/vertex'] == scores['allacc/vertex'] == 1.0
    present = {SPACE.classes[label] for sample in samples
               for label in np.unique(sample['eval_ann_info']['pts_semantic_mask'])}
    assert {key[len('iou_vertex/'):] for key in scores if key.startswith('iou_vertex/')} == present
    metric.process(None, [dict(sample, pred_pts_seg=dict(
        pts_semantic_mask=(sample['pred_pts_seg']['pts_semantic_mask'] + 1) % 13)) for sample in samples])
    assert metric.evaluate(len(samples))['miou/vertex'] == 0


def test_limits_and_mistakes(drawn_s3dis, tmp_path):
    root = str(drawn_s3dis.converted)
    assert len(S3DIS13Dataset(areas=[1, 2, 3, 4, 6], data_root=root, limit_scenes=0.4)) == 2
    for areas in ([], [1, 1], [7]):
        with pytest.raises(ValueError, match='areas are'):
            S3DIS13Dataset(areas=areas, data_root=root)
    with pytest.raises(InfoFileError, match='s3dis_infos_Area_2.pkl does not exist'):
        shutil.copy(drawn_s3dis.converted / 's3dis_infos_Area_1.pkl', tmp_path)
        S3DIS13Dataset(areas=[1, 2], data_root=str(tmp_path))
    (tmp_path / 's3dis_infos_Area_2.pkl').write_bytes(pickle.dumps([1]))
    with pytest.raises(InfoFileError, match='s3dis_infos_Area_2.pkl'):
        S3DIS13Dataset(areas=[1, 2], data_root=str(tmp_path))
