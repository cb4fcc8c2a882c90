"""A voxel segmentor, from files in mmdet3d's ScanNet format to scores on every original point, through a Runner."""
import math
import pickle
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.runner import Runner

import pretrain3d  # noqa: F401
from mmdet3d.datasets import ScanNetSegDataset
from mmdet3d.registry import MODELS

MODEL_CONFIGS = Path(__file__).resolve().parents[2] / 'configs' / '_base_' / 'models'
WALL, FLOOR, CHAIR, UNLABELLED = 1, 2, 5, 0  # raw ids as ScanNet stores them


def write_room(root: Path, name: str, seed: int) -> dict:
    """Write one scan of a corner of a room with a box in it; return its info."""
    rng = np.random.default_rng(seed)

    def patch(count, low, high, colour, label):
        xyz = rng.uniform(low, high, (count, 3))
        rgb = np.clip(rng.normal(colour, 30, (count, 3)), 0, 255)
        return np.hstack([xyz, rgb]), np.full(count, label)

    x, y = rng.uniform(0.4, 1.2, 2)
    parts = [
        patch(900, (0, 0, 0), (2, 2, 0.02), (120, 90, 60), FLOOR),
        patch(900, (0, 0, 0), (0.02, 2, 1.5), (150, 150, 140), WALL),
        patch(500, (x, y, 0.1), (x + 0.4, y + 0.4, 0.5), (150, 120, 90), CHAIR),
        patch(100, (1.6, 1.6, 0.5), (1.9, 1.9, 0.8), (100, 100, 100), UNLABELLED),
    ]
    points = np.concatenate([part[0] for part in parts]).astype(np.float32)
    labels = np.concatenate([part[1] for part in parts]).astype(np.int64)
    for folder, array in (('points', points), ('semantic_mask', labels)):
        (root / folder).mkdir(parents=True, exist_ok=True)
        array.tofile(root / folder / f'{name}.bin')
    return dict(sample_idx=name, lidar_points=dict(num_pts_feats=6, lidar_path=f'{name}.bin'),
                pts_semantic_mask_path=f'{name}.bin', instances=[])


def write_infos(root: Path) -> None:
    """Write two scans and their info file of format v1.1."""
    infos = dict(metainfo=dict(dataset='scannet_seg', info_version='1.1'),
                 data_list=[write_room(root, f'scene000{i}_00', i) for i in range(2)])
    with open(root / 'infos.pkl', 'wb') as file:
        pickle.dump(infos, file)


def make_config(root: Path, work_dir: Path, mapped: bool = True) -> Config:
    """A narrow SpUNet on the two scans, by mmdet3d's own data set and pipeline."""
    load = [
        dict(type='LoadPointsFromFile', coord_type='DEPTH', shift_height=False, use_color=True, load_dim=6,
             use_dim=[0, 1, 2, 3, 4, 5]),
        dict(type='LoadAnnotations3D', with_bbox_3d=False, with_label_3d=False, with_mask_3d=False, with_seg_3d=True),
    ] + [dict(type='PointSegClassMapping')] * mapped + [dict(type='NormalizePointsColor', color_mean=None)]
    classes = list(ScanNetSegDataset.METAINFO['classes'])

    def loader(test_mode, batch_size, keys):
        return dict(
            batch_size=batch_size, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=not test_mode),
            dataset=dict(
                type='ScanNetSegDataset', data_root=str(root), ann_file='infos.pkl', metainfo=dict(classes=classes),
                data_prefix=dict(pts='points', pts_semantic_mask='semantic_mask'), test_mode=test_mode,
                # Both scans again and again: one epoch, since mmengine sleeps 2 s where one ends.
                scene_idxs=None if test_mode else [0, 1] * 40,
                pipeline=load + [dict(type='PackPretrain3DInputs', keys=keys)]))

    config = Config.fromfile(MODEL_CONFIGS / 'spunet.py')
    config.merge_from_dict(dict(
        default_scope='mmdet3d', work_dir=str(work_dir), experiment_name=work_dir.name, randomness=dict(seed=0),
        model=dict(
            data_preprocessor=dict(voxel_size=0.1, feature_dims=[3, 4, 5]),
            backbone=dict(
                in_channels=3, base_channels=8, encoder_channels=(8, 16, 16, 16), encoder_blocks=(1, 1, 1, 1),
                decoder_channels=(16, 16, 8, 8), decoder_blocks=(1, 1, 1, 1),
                norm_cfg=dict(type='BN1d', momentum=0.1)),
            decode_head=dict(in_channels=8)),
        train_dataloader=loader(False, 2, ['points', 'pts_semantic_mask']),
        train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=1),
        optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=0.02)),
        param_scheduler=[dict(type='CosineAnnealingLR', T_max=40, by_epoch=False)],
        val_dataloader=loader(True, 1, ['points']), val_cfg=dict(),
        val_evaluator=dict(type='MeanIoUMetric', levels=['vertex', 'voxel']),
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=1))))
    return config


def test_segmentor_overfits_two_scans(tmp_path):
    write_infos(tmp_path / 'data')
    runner = Runner.from_cfg(make_config(tmp_path / 'data', tmp_path / 'segmentor'))
    scores = runner.val_loop.run()
    assert scores['miou/vertex'] < 0.3  # before training
    runner.train()
    scores = {key: history.current() for key, history in runner.message_hub.log_scalars.items() if '/' in key}
    scores = {key.split('/', 1)[1]: value for key, value in scores.items() if key.startswith('val/')}
    assert scores['miou/vertex'] > 0.9 and scores['miou/voxel'] > 0.9
    assert scores['macc/vertex'] > 0.9 and scores['allacc/vertex'] > 0.9
    assert {'iou_vertex/wall', 'iou_vertex/floor', 'iou_vertex/chair'} <= set(scores)
    assert (tmp_path / 'segmentor' / 'epoch_1.pth').exists()


def test_unmapped_labels_are_refused(tmp_path):
    """mmdet3d's stock ScanNet test pipeline has no PointSegClassMapping, so raw ids (up to 40) would be scored."""
    write_infos(tmp_path / 'data')
    labels = np.fromfile(tmp_path / 'data' / 'semantic_mask' / 'scene0000_00.bin', dtype=np.int64)
    labels[0] = 39
    labels.tofile(tmp_path / 'data' / 'semantic_mask' / 'scene0000_00.bin')
    runner = Runner.from_cfg(make_config(tmp_path / 'data', tmp_path / 'unmapped', mapped=False))
    with pytest.raises(ValueError, match='scene0000_00.bin: labels lie in .* PointSegClassMapping'):
        runner.val_loop.run()


@pytest.mark.parametrize('name', ['spunet', 'srunet', 'minkunet'])
def test_model_configs_build_and_step(name):
    """The full-size models, one step on a scan of one sample without points and one with."""
    import torch
    from mmdet3d.structures import Det3DDataSample, PointData
    config = Config.fromfile(MODEL_CONFIGS / f'{name}.py').model
    model = MODELS.build(dict(config, _scope_='mmdet3d')).train()
    channels = 3 + config.backbone.in_channels
    data = dict(inputs=dict(points=[torch.rand(60, channels) * 0.3, torch.rand(0, channels)]), data_samples=[])
    for points in data['inputs']['points']:
        sample = Det3DDataSample()
        sample.gt_pts_seg = PointData(pts_semantic_mask=torch.randint(0, 21, (len(points), )))
        data['data_samples'].append(sample)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = model(**model.data_preprocessor(data, training=True), mode='loss')
    assert losses['loss_ce'].item() == pytest.approx(math.log(20), rel=0.2)
    sum(losses.values()).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    optimizer.step()
