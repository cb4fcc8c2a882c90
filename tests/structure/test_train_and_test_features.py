"""What a network is fed in testing is what training feeds it, chance aside: place, colours, normals, labels."""
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config

ROOT = Path(__file__).resolve().parents[2]
RECIPES = sorted(path.relative_to(ROOT).as_posix() for folder in ('scannet', 'contrastive_scene_contexts')
                 for path in (ROOT / 'configs' / folder).rglob('*_scannet20*.py'))
# Steps of chance, and those that leave out points.
CHANCE = {'RandomDropoutPoints', 'RandomRotatePoints', 'GlobalRotScaleTrans', 'RandomFlipPoints', 'RandomJitterPoints',
          'ElasticDistortion', 'ChromaticAutoContrast', 'ChromaticTranslation', 'ChromaticJitter',
          'RandomColorJitter', 'GridSamplePoints', 'SphereCrop'}


def features(pipeline, dataset, folder, monkeypatch):
    """Points (N, C) and labels (N,) of one training scan after ``pipeline``."""
    from mmdet3d.registry import DATASETS
    from mmengine.registry import init_default_scope
    init_default_scope('mmdet3d')
    monkeypatch.setenv('PRETRAIN3D_SCANNET', str(folder))
    loader = dict(dataset, ann_file='scannet_infos_train.pkl', pipeline=pipeline, test_mode=True)
    sample = DATASETS.build(loader)[0]
    return sample['inputs']['points'].numpy(), sample['data_samples'].gt_pts_seg.pts_semantic_mask


def test_there_are_recipes():
    assert len(RECIPES) > 8


@pytest.mark.parametrize('name', RECIPES)
def test_testing_feeds_what_training_feeds(name, drawn_scannet, monkeypatch):
    monkeypatch.setenv('PRETRAIN3D_SCANNET', str(drawn_scannet.converted))
    cfg = Config.fromfile(str(ROOT / name))
    import pretrain3d  # noqa: F401  (registers datasets and transforms)
    training = [step for step in cfg.train_dataloader.dataset.pipeline if step['type'] not in CHANCE]
    dataset = cfg.val_dataloader.dataset
    points, labels = features(training, dataset, drawn_scannet.converted, monkeypatch)
    shown, truth = features(dataset.pipeline, dataset, drawn_scannet.converted, monkeypatch)
    assert points.shape == shown.shape and len(points) > 1000
    # Along the floor training ends on whole voxels, which is no other place for the network; heights agree.
    shift = points[:, :2] - shown[:, :2]
    np.testing.assert_allclose(shift, np.broadcast_to(shift[:1], shift.shape), atol=1e-4)
    np.testing.assert_allclose(points[:, 2:], shown[:, 2:], atol=1e-5)
    assert 0 <= points[:, 3:6].min() and 0.3 < points[:, 3:6].max() <= 1
    np.testing.assert_array_equal(labels, truth)
