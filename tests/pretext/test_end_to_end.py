"""A two-head pretext model trains through mmengine's Runner on a stock mmdet3d dataset."""
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

sys.path.insert(0, str(Path(__file__).parent))
import pretext_parts  # noqa: E402,F401  (registers the dummy heads)


def write_scannet(root, scenes=4):
    """Scenes as mmdet3d's ScanNet converter leaves them: points (x, y, z, r, g, b), two masks, an info file."""
    rng = np.random.default_rng(0)
    for folder in ('points', 'semantic_mask', 'instance_mask'):
        (root / folder).mkdir()
    data_list = []
    for i in range(scenes):
        n = 150 + 10 * i
        points = np.concatenate([rng.uniform(0, 3, (n, 3)), rng.integers(0, 256, (n, 3))], 1).astype(np.float32)
        points.tofile(root / 'points' / f'{i}.bin')
        rng.integers(1, 41, n).tofile(root / 'semantic_mask' / f'{i}.bin')
        rng.integers(0, 9, n).tofile(root / 'instance_mask' / f'{i}.bin')
        data_list.append(dict(lidar_points=dict(num_pts_feats=6, lidar_path=f'{i}.bin'), instances=[],
                              pts_semantic_mask_path=f'{i}.bin', pts_instance_mask_path=f'{i}.bin',
                              axis_align_matrix=np.eye(4)))
    (root / 'infos.pkl').write_bytes(pickle.dumps(dict(metainfo=dict(dataset='scannet'), data_list=data_list)))


def config(root, name, workers):
    classes = ('wall', 'floor', 'cabinet', 'bed', 'chair', 'sofa', 'table', 'door', 'window', 'bookshelf', 'picture',
               'counter', 'desk', 'curtain', 'refrigerator', 'showercurtrain', 'toilet', 'sink', 'bathtub',
               'otherfurniture')
    crop = [dict(type='PointSample', num_points=100), dict(type='GlobalRotScaleTrans', rot_range=[-1, 1])]
    pipeline = [
        dict(type='LoadPointsChecked', coord_type='DEPTH', load_dim=6, use_dim=6, use_color=True),
        dict(type='LoadAnnotations3D', with_bbox_3d=False, with_label_3d=False, with_mask_3d=False, with_seg_3d=True),
        dict(type='PointSegClassMapping'),
        dict(type='AddPointIndex'),
        dict(type='RandomFlip3D', sync_2d=False, flip_ratio_bev_horizontal=0.5),
        dict(type='PointShuffle'),
        dict(type='MakeViews', views=dict(other=crop)),
        dict(type='PackPretrain3DInputs', keys=['points', 'pts_semantic_mask', 'views'])]
    return Config(dict(
        default_scope='mmdet3d', work_dir=str(root / name), experiment_name=f'{root.name}-{name}',
        randomness=dict(seed=3), log_level='WARNING',
        model=dict(
            type='PretextModel', backbone=dict(type='CountingEncoder', in_channels=6),
            heads=dict(height=dict(type='HeightHead', views=['points', 'other'], loss_weight=0.1),
                       masked=dict(type='MaskedHead', out_channels=6, loss_weight=0.001)),
            data_preprocessor=dict(type='Pretrain3DDataPreprocessor', voxel_size=0.25, reduce='random',
                                   num_classes=20)),
        train_dataloader=dict(
            batch_size=2, num_workers=workers, sampler=dict(type='SeededInfiniteSampler', shuffle=True),
            dataset=dict(type='ScanNetSegDataset', data_root=str(root), ann_file='infos.pkl',
                         metainfo=dict(classes=classes), scene_idxs=[0, 1, 2, 3], pipeline=pipeline,
                         data_prefix=dict(pts='points', pts_semantic_mask='semantic_mask',
                                          pts_instance_mask='instance_mask'))),
        train_cfg=dict(by_epoch=False, max_iters=3), optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.05)),
        default_hooks=dict(logger=dict(type='LoggerHook', interval=1), checkpoint=None),
        log_processor=dict(by_epoch=False), custom_hooks=[dict(type='InputCheckHook')]))


def train(root, name, workers=0):
    runner = Runner.from_cfg(config(root, name, workers))
    before = {key: value.clone() for key, value in runner.model.state_dict().items()}
    runner.train()
    scalars = runner.message_hub.log_scalars
    curve = {key: scalars[f'train/{key}'].data[0].tolist() for key in ('loss', 'height.loss_height',
                                                                      'masked.loss_masked')}
    return before, runner, curve


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    root = tmp_path_factory.mktemp('scannet')
    write_scannet(root)
    return root


def test_three_iterations(scenes):
    before, runner, curve = train(scenes, 'one')
    after = runner.model.state_dict()
    assert all(not torch.equal(before[key], after[key]) for key in before)
    assert all(len(values) == 3 and np.isfinite(values).all() for values in curve.values())
    assert np.allclose(curve['loss'], np.add(curve['height.loss_height'], curve['masked.loss_masked']), rtol=1e-5)
    assert len(runner.model.backbone.seen) == 9  # per iteration: points, points masked, other view
    for sparse in runner.model.backbone.seen[:1]:
        assert sparse['batch_size'] == 2 and sparse['voxels'].shape[1] == 6
    _, _, with_workers = train(scenes, 'two', workers=1)
    assert with_workers == curve  # nor does anything depend on the loader's processes
