"""Structured3D as the recipes read it: labels by name, the truth scores 1.0, training crops of 80 %."""
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.registry import init_default_scope

import pretrain3d  # noqa: F401
from mmdet3d.registry import DATASETS
from mmdet3d.structures import PointData
from pretrain3d.converters.structured3d.convert import convert_splits
from pretrain3d.datasets.info_check import check_info_file
from pretrain3d.datasets.sparse_batch import build_sparse_batch, vote_voxel_labels
from pretrain3d.label_spaces import get_label_space
from pretrain3d.label_spaces.indoor import NYU40
from pretrain3d.worlds.rooms import build as building
from pretrain3d.worlds.rooms.presets import PRESETS, Preset

ROOT = Path(__file__).resolve().parents[2]
SPACE = get_label_space('Structured3D25')
# The issue's classes, in label order, and their NYU40 ids.
CLASSES = ('wall floor cabinet bed chair sofa table door window picture desk shelves curtain dresser pillow mirror '
           'ceiling refrigerator television nightstand sink lamp otherstructure otherfurniture otherprop').split()
IDS = [*range(1, 10), 11, *range(14, 20), 22, 24, 25, 32, 34, 35, 38, 39, 40]


@pytest.fixture(scope='module')
def homes(tmp_path_factory):
    root = tmp_path_factory.mktemp('homes')
    PRESETS['test'] = Preset(train=5, val=2, spacing=0.1, frames=4, width=64, height=48)
    try:
        building.build(root, 'test', seed=2, variant='structured3d')
    finally:
        del PRESETS['test']
    convert_splits(root, root, quiet=True)
    return root


@pytest.fixture()
def config(homes, monkeypatch):
    monkeypatch.setenv('PRETRAIN3D_STRUCTURED3D', str(homes))
    init_default_scope('mmdet3d')
    return Config.fromfile(str(ROOT / 'configs' / '_base_' / 'datasets' / 'structured3d_seg.py'))


def test_the_classes_are_those_of_the_issue_and_of_the_label_space(config):
    dataset = DATASETS.build(config.val_dataloader.dataset)
    assert tuple(dataset.metainfo['classes']) == SPACE.classes == tuple(CLASSES)
    assert [NYU40[raw - 1][0] for raw in IDS] == CLASSES
    assert tuple(dataset.metainfo['seg_valid_class_ids']) == tuple(IDS)
    assert dataset.ignore_index == 25
    mapping = dataset.seg_label_mapping
    assert len(mapping) > 40 and mapping.tolist() == SPACE.map_raw(np.arange(len(mapping))).tolist()


def test_every_label_is_the_drawn_one(config, homes):
    """NYU40 ids on disk come out as the label of the class of that name; the rest is ignored."""
    dataset = DATASETS.build(config.val_dataloader.dataset)
    seen = set()
    for index in range(len(dataset)):
        sample = dataset[index]['data_samples']
        raw = np.fromfile(homes / 'semantic_mask' / f'{dataset.get_data_info(index)["scan"]}.bin', np.int64)
        label = sample.eval_ann_info['pts_semantic_mask']
        for value in np.unique(raw):
            name = NYU40[value - 1][0] if value else None
            expected = SPACE.index(name) if name in SPACE.classes else 25
            assert set(label[raw == value]) == {expected}
            seen.add(expected)
    assert len(seen) > 8


@pytest.mark.parametrize('corrupted', [False, True])
def test_the_truth_scores_one(config, corrupted):
    samples = []
    for split in ('train', 'val'):
        dataset = DATASETS.build({**config.val_dataloader.dataset, 'ann_file': f'structured3d_infos_{split}.pkl'})
        samples += [dataset[index] for index in range(len(dataset))]
    evaluator = Evaluator(dict(config.val_evaluator))
    evaluator.dataset_meta = dataset.metainfo
    for sample in samples:
        mask = torch.from_numpy(sample['data_samples'].eval_ann_info['pts_semantic_mask']).long()
        assert len(mask) == len(sample['inputs']['points'])
        sparse = build_sparse_batch([sample['inputs']['points']], (0.02, ) * 3)
        voxel = vote_voxel_labels([mask], sparse, 25)[0]
        if corrupted:
            mask, voxel = mask.clone(), voxel.clone()
            mask[:50], voxel[:50] = (mask[:50] + 1) % 25, (voxel[:50] + 1) % 25
        sample['data_samples'].pred_pts_seg = PointData(
            pts_semantic_mask=mask, voxel_semantic_mask=voxel, point2voxel=sparse['point2voxel'][0])
        evaluator.process([sample['data_samples']], sample)
    scores = evaluator.evaluate(len(samples))
    for kind in ('miou', 'macc', 'allacc'):
        for level in ('vertex', 'voxel'):
            assert 0.3 < scores[f'{kind}/{level}'] < 1 if corrupted else scores[f'{kind}/{level}'] == 1


def test_samples_say_their_domain_and_training_keeps_80_percent(config):
    dataset = DATASETS.build(config.train_dataloader.dataset)
    assert len(dataset) == 5
    sample = dataset[0]
    assert sample['data_samples'].metainfo['domain'] == 'Structured3D'
    points = sample['inputs']['points']
    assert points.shape[1] == 9 and 0 <= points[:, 3:6].min() <= points[:, 3:6].max() <= 1
    torch.testing.assert_close(points[:, 6:].norm(dim=1), torch.ones(len(points)), atol=1e-4, rtol=0)
    crops = [step for step in dataset.pipeline.transforms if type(step).__name__ == 'SphereCrop']
    assert [crop.fraction for crop in crops] == [0.8]


def test_rooms_and_labels_can_be_limited(config):
    train = config.train_dataloader.dataset
    assert len(DATASETS.build({**train, 'limit_scenes': 0.4})) == 2
    few = DATASETS.build({**train, 'limit_points': 20})
    label = few[0]['data_samples'].gt_pts_seg.pts_semantic_mask
    assert 0 < int((label < 25).sum()) <= 20


def test_the_info_file_passes_the_check_that_runs_make(homes):
    for split in ('train', 'val'):
        check_info_file(str(homes / f'structured3d_infos_{split}.pkl'))
