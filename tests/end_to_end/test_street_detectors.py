"""The small detectors through mmengine's runner on a nuScenes v1.0-mini made by hand, tested by nuscenes-devkit."""
import math
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

import pretrain3d  # noqa: F401
from mmdet3d.registry import MODELS
from pretrain3d.backbones import convert

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / 'tests' / 'converters'))  # the hand-made release is there
FOLDER = ROOT / 'configs' / 'nuscenes'
RECIPES = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob('*_nus-3d.py'))


@pytest.fixture(scope='module')
def release(tmp_path_factory):
    """Two scenes to train on and one to validate, three keyframes each, with info files."""
    from nuscenes_tables import prepare, write_tables
    root = tmp_path_factory.mktemp('release')
    write_tables(root)
    return prepare(root)


def run_recipe(name, release, folder, patch, **env):
    """Two steps of a recipe and its own test: the runner, what its test says, and the recipe."""
    for key, value in dict(env, PRETRAIN3D_NUSCENES=str(release), PRETRAIN3D_STEPS='2').items():
        patch.setenv(key, value)
    cfg = Config.fromfile(str(FOLDER / name))
    cfg.work_dir = str(folder)
    for split in ('train', 'val', 'test'):
        cfg[f'{split}_dataloader'].update(num_workers=0, persistent_workers=False)
    cfg.train_dataloader.batch_size = 2
    cfg.custom_hooks = [hook for hook in cfg.custom_hooks if hook['type'] != 'ConfigCheckHook']
    cfg.visualizer = dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')])
    cfg.experiment_name = f'street-{Path(name).stem}'
    cfg.val_evaluator = cfg.val_dataloader = cfg.val_cfg = None
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner, runner.test(), cfg


def test_scratch_on_half_of_the_scenes(release, tmp_path, monkeypatch):
    runner, scores, _ = run_recipe('second_1xb4-street_nus-3d.py', release, tmp_path, monkeypatch, PRETRAIN3D_SCENES='50%')
    names = {runner.train_dataloader.dataset.get_data_info(i)['scene_name']
             for i in range(len(runner.train_dataloader.dataset))}
    assert names == {'scene-0061'} and len(runner.train_dataloader.dataset) == 3
    assert len(runner.test_dataloader.dataset) == 3
    for key in ('mAP', 'NDS'):
        assert 0 <= scores[f'NuScenes metric/pred_instances_3d_NuScenes/{key}'] <= 1


def test_from_the_folded_encoder(release, tmp_path, monkeypatch):
    """CenterPoint whose encoder is that of a prompted checkpoint; it and all else is trained."""
    cfg = Config.fromfile(str(ROOT / 'configs' / 'point_prompt_training' / 'sparse-encoder_1xb4-street_outdoor.py'))
    backbone = convert(MODELS.build(cfg.model.backbone.backbone), ('nuScenes', 'SemanticKITTI'))
    with torch.no_grad():
        for name, value in backbone.named_parameters():
            if 'modulation.bias' in name:
                value.add_(0.25)
    torch.save(dict(state_dict=torch.nn.ModuleDict(dict(backbone=backbone)).state_dict()), tmp_path / 'joint.pth')
    runner, scores, _ = run_recipe(
        'benchmarks/centerpoint_1xb4-street-ppt_nus-3d.py', release, tmp_path / 'run', monkeypatch,
        PRETRAIN3D_CHECKPOINT=str(tmp_path / 'joint.pth'))
    assert math.isfinite(scores['NuScenes metric/pred_instances_3d_NuScenes/mAP'])
    log = next((tmp_path / 'run').rglob('*.log')).read_text()
    assert 'folded for nuScenes' in log and '80 of 80 tensors (100.0 %' in log
    norm = runner.model.pts_middle_encoder.conv_input[1]
    assert (norm.weight - 1.25).abs().max() < 0.02 and (norm.bias - 0.25).abs().max() < 0.02


@pytest.mark.parametrize('name', RECIPES)
def test_head_and_data_count_the_classes_alike(name):
    """CenterPoint's tasks number the classes by their order; the order is that of the data of all three splits."""
    cfg = Config.fromfile(str(FOLDER / name))
    train = cfg.train_dataloader.dataset
    found = [train.get('dataset', train), cfg.val_dataloader.dataset, cfg.test_dataloader.dataset]
    classes = [list(dataset.metainfo.classes) for dataset in found]
    assert classes[0] == classes[1] == classes[2] and len(classes[0]) == 10
    head = cfg.model.pts_bbox_head
    if 'tasks' in head:
        assert [each for task in head.tasks for each in task.class_names] == classes[0]
    else:
        assert head.num_classes == 10
    area = list(cfg.model.data_preprocessor.voxel_layer.point_cloud_range)
    for dataset in found:
        for step in dataset.pipeline:
            assert list(step.get('point_cloud_range', area)) == area


@pytest.mark.parametrize('name', [name for name in RECIPES if '-ppt' in name])
def test_only_weights_tell_pretrained_from_scratch(name):
    pretrained = Config.fromfile(str(FOLDER / name))
    scratch = Config.fromfile(str(FOLDER / Path(name).name.replace('-ppt', '')))
    hook = pretrained.custom_hooks.pop()
    assert hook.min_matched == 1 and hook.domain == 'nuScenes' and hook.type == 'WeightTransferHook'
    given = pretrained.to_dict()
    assert given.pop('checkpoint') == hook.checkpoint
    assert given == scratch.to_dict()
    joint = Path(hook.checkpoint).parent.name
    model = Config.fromfile(str(ROOT / 'configs' / 'point_prompt_training' / f'{joint}.py')).model
    assert model.backbone.backbone.encoder.to_dict() == {
        key: value for key, value in scratch.model.pts_middle_encoder.to_dict().items() if key != '_scope_'}
    steps = Config.fromfile(str(ROOT / 'configs' / 'point_prompt_training' / f'{joint}.py')).train_cfg.max_iters
    assert Path(hook.checkpoint).name == f'iter_{steps}.pth'
