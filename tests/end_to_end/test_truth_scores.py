"""Truth fed as prediction scores 1.0 in every metric, through mmdet3d's own ScanNet datasets, loaders and evaluator."""
import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

import pretrain3d  # noqa: F401
from mmdet3d.registry import DATASETS, METRICS
from mmdet3d.structures import DepthInstance3DBoxes, PointData
from pretrain3d.datasets.sparse_batch import build_sparse_batch, vote_voxel_labels

LOAD = dict(type='LoadPointsFromFile', coord_type='DEPTH', shift_height=False, use_color=True, load_dim=6,
            use_dim=[0, 1, 2, 3, 4, 5])
OURS = dict(type='LoadPointsChecked', coord_type='DEPTH', load_dim=6, use_dim=6)
MASKS = [dict(type='LoadAnnotations3D', with_bbox_3d=False, with_label_3d=False, with_mask_3d=True, with_seg_3d=True),
         dict(type='PointSegClassMapping')]


def samples_of(folder, name, pipeline, ours=False):
    """Metainfo of the data set, and its scans through a test pipeline of mmdet3d's or of our loader and packer."""
    init_default_scope('mmdet3d')
    sets = [DATASETS.build(dict(
        type=name, data_root=str(folder), ann_file=f'scannet_infos_{split}.pkl', test_mode=True,
        data_prefix=dict(pts='points', pts_semantic_mask='semantic_mask', pts_instance_mask='instance_mask'),
        pipeline=[OURS if ours else LOAD, *pipeline,
                  dict(type='PackPretrain3DInputs' if ours else 'Pack3DDetInputs', keys=['points'])]))
            for split in ('train', 'val')]
    packed = [dataset[i] for dataset in sets for i in range(len(dataset))]
    assert len(packed) == 5
    return sets[0].metainfo, packed


def evaluate(metric, meta, samples):
    evaluator = Evaluator(metric)
    evaluator.dataset_meta = meta
    for sample in samples:
        evaluator.process([sample['data_samples']], sample)
    return evaluator.evaluate(len(samples))


def truth(sample, key):
    return sample['data_samples'].eval_ann_info[key]


@pytest.mark.parametrize('corrupted', [False, True])
def test_indoor_metric(drawn_scannet, corrupted):
    meta, samples = samples_of(drawn_scannet.converted, 'ScanNetDataset', [])
    present = set()
    for sample in samples:
        boxes, labels = truth(sample, 'gt_bboxes_3d'), torch.from_numpy(truth(sample, 'gt_labels_3d'))
        present |= {meta['classes'][label] for label in labels}
        assert isinstance(boxes, DepthInstance3DBoxes) and len(boxes) == len(labels) > 2
        boxes = boxes.clone()
        if corrupted:
            boxes.tensor[0, 3:6] *= 2  # an overlap of 1/8
        sample['data_samples'].pred_instances_3d = InstanceData(
            bboxes_3d=boxes, labels_3d=labels, scores_3d=torch.ones(len(labels)))
    scores = evaluate(dict(type='IndoorMetric'), meta, samples)
    for level in ('0.25', '0.50'):
        found = {name: scores[f'{name}_AP_{level}'] for name in present}
        if corrupted:
            assert 0 < scores[f'mAP_{level}'] < 1 and min(found.values()) < 1
        else:
            assert scores[f'mAP_{level}'] == scores[f'mAR_{level}'] == 1 and set(found.values()) == {1}


@pytest.mark.parametrize('corrupted', [False, True])
@pytest.mark.parametrize('ours', [False, True])
def test_semantic_metrics(drawn_scannet, corrupted, ours):
    meta, samples = samples_of(drawn_scannet.converted, 'ScanNetSegDataset', MASKS, ours)
    for sample in samples:
        mask = torch.from_numpy(truth(sample, 'pts_semantic_mask')).long()
        sparse = build_sparse_batch([sample['inputs']['points']], (0.02, ) * 3)
        voxel, point2voxel = vote_voxel_labels([mask], sparse, 20)[0], sparse['point2voxel'][0]
        assert len(voxel) < len(mask) and len(mask.unique()) > 4
        if corrupted:
            mask, voxel = mask.clone(), voxel.clone()
            mask[:50], voxel[:50] = (mask[:50] + 1) % 20, (voxel[:50] + 1) % 20
        sample['data_samples'].pred_pts_seg = PointData(
            pts_semantic_mask=mask, voxel_semantic_mask=voxel, point2voxel=point2voxel)
    ours = evaluate(dict(type='MeanIoUMetric', levels=['vertex', 'voxel']), meta, samples)
    theirs = evaluate(dict(type='SegMetric'), meta, samples)
    for score in (theirs['miou'], theirs['acc'], theirs['acc_cls'], *(
            ours[f'{kind}/{level}'] for kind in ('miou', 'macc', 'allacc') for level in ('vertex', 'voxel'))):
        assert 0.5 < score < 1 if corrupted else score == 1


def instance_samples(folder, ours=False):
    """Samples whose prediction is the truth: each object of the 18 classes is an instance."""
    meta, samples = samples_of(folder, 'ScanNetInstanceSegDataset', MASKS, ours)
    for sample in samples:
        semantic, instance = truth(sample, 'pts_semantic_mask'), truth(sample, 'pts_instance_mask')
        mask = np.full(len(semantic), -1)
        ids = np.unique(instance[(instance > 0) & (semantic < 18)])
        for row, identity in enumerate(ids):
            mask[instance == identity] = row
        labels = torch.tensor([semantic[mask == row][0] for row in range(len(ids))])
        assert len(ids) > 2
        sample['data_samples'].pred_pts_seg = PointData(
            pts_instance_mask=torch.from_numpy(mask), instance_labels=labels, instance_scores=torch.ones(len(ids)))
    return meta, samples


@pytest.mark.parametrize('size, ours', [(10, False), (100, False), (10, True)])
def test_instance_metric(drawn_scannet, size, ours):
    meta, samples = instance_samples(drawn_scannet.converted, ours)
    metric = dict(type='ScanNetInstanceMetric', min_region_size=size)
    scores = evaluate(metric, meta, samples)
    assert len(scores) >= 3 + 3 * 4 and set(scores.values()) == {1}
    prediction = samples[0]['data_samples'].pred_pts_seg
    largest = prediction.pts_instance_mask[prediction.pts_instance_mask >= 0].bincount().argmax()
    prediction.instance_labels[largest] = (prediction.instance_labels[largest] + 1) % 18
    worse = evaluate(metric, meta, samples)
    assert all(worse[key] < 1 for key in ('all_ap', 'all_ap_50%', 'all_ap_25%'))


def test_instance_metric_of_mmdet3d_fails_on_its_own_loaders(drawn_scannet):
    meta, samples = instance_samples(drawn_scannet.converted)
    metric = METRICS.build(dict(type='InstanceSegMetric'))
    with pytest.raises(AttributeError, match='clone'):
        evaluate(metric, meta, samples)
