"""Joint training on two LiDARs and on three: what the recipes say, the inputs of the encoder, and runs, one of them
with an encoder that is folded."""
import copy
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.hub import get_config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from outdoor_files import write_nuscenes, write_semantickitti, write_waymo

import pretrain3d  # noqa: F401
from mmdet3d.registry import DATASETS, MODELS
from pretrain3d.backbones import convert
from pretrain3d.engine.weights import load_weights
from pretrain3d.label_spaces import get_label_space

ROOT = Path(__file__).resolve().parents[2] / 'configs'
STOCK = {
    'voxel01': 'centerpoint/centerpoint_voxel01_second_secfpn_8xb4-cyclic-20e_nus-3d.py',
    'voxel0075': 'centerpoint/centerpoint_voxel0075_second_secfpn_8xb4-cyclic-20e_nus-3d.py'}
DETECTORS = {
    'voxel01': ['centerpoint_voxel01_8xb4-20e_nus-3d.py', 'second_voxel01_8xb4-20e_nus-3d.py'],
    'voxel0075': ['centerpoint_voxel0075_8xb4-20e_nus-3d.py'],
    'street': ['centerpoint_1xb4-street_nus-3d.py', 'second_1xb4-street_nus-3d.py']}
JOINT = dict(
    voxel01='sparse-encoder_4xb3-voxel01-350k_outdoor.py', voxel0075='sparse-encoder_4xb3-voxel0075-350k_outdoor.py',
    street='sparse-encoder_1xb4-street_outdoor.py')


def joint_config(size):
    return Config.fromfile(str(ROOT / 'point_prompt_training' / JOINT[size]))


def plain(cfg):
    """A config's part as plain values, tuples as lists."""
    if isinstance(cfg, dict):
        return {key: plain(value) for key, value in cfg.items() if key != '_scope_'}
    return [plain(value) for value in cfg] if isinstance(cfg, (list, tuple)) else cfg


@pytest.fixture(scope='module')
def worlds(tmp_path_factory):
    """The data sets, named by the environment."""
    folder = tmp_path_factory.mktemp('outdoor')
    with pytest.MonkeyPatch.context() as patch:
        for name, write in (('NUSCENES', write_nuscenes), ('SEMANTICKITTI', write_semantickitti),
                            ('WAYMO', write_waymo)):
            write(folder / name)
            patch.setenv(f'PRETRAIN3D_{name}', str(folder / name))
        patch.setenv('PRETRAIN3D_TEXT_BANK', 'hashed-ngrams')
        yield folder


@pytest.mark.parametrize('size', JOINT)
def test_encoder_and_grid_are_the_detectors(size):
    """Of ours, and of mmdet3d's own recipe where it has one."""
    model = joint_config(size).model
    encoder, grid = plain(model.backbone.backbone.encoder), model.data_preprocessor
    detectors = [Config.fromfile(str(ROOT / 'nuscenes' / name)).model for name in DETECTORS[size]]
    detectors += [get_config(f'mmdet3d::{STOCK[size]}').model] if size in STOCK else []
    for detector in detectors:
        assert plain(detector.pts_middle_encoder) == encoder
        layer = detector.data_preprocessor.voxel_layer
        assert list(layer.voxel_size) == list(grid.voxel_size)
        assert list(layer.point_cloud_range) == list(grid.point_cloud_range)
        assert detector.pts_voxel_encoder.num_features == encoder['in_channels']
    assert grid.coors_order == 'bzyx'


@pytest.mark.parametrize('size', ['voxel01', 'street'])
def test_the_encoder_sees_what_the_detector_gives_it(size):
    """The same cloud through both preprocessors: intensity of 0 ... 255 and a time on one side, strength on the other.

    Equal up to the order of the voxels as long as no voxel holds more points than mmdet3d takes (10).
    """
    cfg = joint_config(size).model
    detector = Config.fromfile(str(ROOT / 'nuscenes' / DETECTORS[size][0])).model
    rng = np.random.default_rng(0)
    points = torch.from_numpy(rng.uniform((-60, -60, -6), (60, 60, 4), (3000, 3)).astype(np.float32))
    points = torch.cat([points, points[:1000] + 1e-3])  # several points in a voxel
    strength = torch.from_numpy(rng.random((4000, 1)).astype(np.float32))
    columns = detector.pts_voxel_encoder.num_features
    stock = MODELS.build(detector.data_preprocessor)
    seen = stock(dict(inputs=dict(points=[torch.cat(
        [points, strength * 255, torch.zeros(4000, columns - 4)], 1)]), data_samples=[]))['inputs']['voxels']
    wanted = MODELS.build(detector.pts_voxel_encoder)(seen['voxels'], seen['num_points'], seen['coors'])
    ours = MODELS.build(dict(cfg.data_preprocessor, num_classes=None))
    sparse = ours(dict(inputs=dict(points=[torch.cat([points, strength], 1)]), data_samples=[]))['inputs']['voxels']
    found = MODELS.build(dict(cfg.backbone.backbone)).encoder_inputs(sparse['voxels'])
    order = [sorted(range(len(coors)), key=coors.tolist().__getitem__) for coors in (seen['coors'], sparse['coors'])]
    assert torch.equal(seen['coors'][order[0]], sparse['coors'][order[1]])
    assert torch.allclose(wanted[order[0]], found[order[1]], rtol=1e-5, atol=1e-4) and found[:, 3].max() > 200


def joint_run(cfg, folder, steps):
    """Runner after ``steps`` steps and a validation, the domains of each step's batch, the scores."""
    cfg.work_dir = str(folder)
    cfg.train_dataloader.update(num_workers=0, persistent_workers=False, batch_size=2)
    cfg.val_dataloader.update(num_workers=0, persistent_workers=False)
    cfg.train_cfg.update(max_iters=steps, val_interval=steps)
    cfg.param_scheduler = None
    cfg.default_hooks.checkpoint = dict(type='CheckpointHook', by_epoch=False, interval=steps)
    cfg.custom_hooks = [dict(type='DomainCheckHook')]
    cfg.visualizer = dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')])
    cfg.experiment_name = f'outdoor-joint-{steps}'
    for key in ('test_dataloader', 'test_evaluator', 'test_cfg'):
        cfg.pop(key)
    domains, scores = [], []

    class Record(Hook):
        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            assert math.isfinite(outputs['loss'])
            domains.append({sample.metainfo['domain'] for sample in data_batch['data_samples']})

        def after_val_epoch(self, runner, metrics=None):
            scores.append(metrics)

    runner = Runner.from_cfg(cfg)
    runner.register_hook(Record())
    runner.train()
    return runner, domains, scores[0]


def test_a_run_of_the_small_recipe_and_its_encoder_in_a_detector(worlds, tmp_path):
    """Two steps of each data set, one validation of both, and the folded encoder with every tensor matched."""
    runner, domains, scores = joint_run(joint_config('street'), tmp_path, 4)
    assert domains == [{'nuScenes'}, {'SemanticKITTI'}] * 2
    assert {'nuScenes/miou/voxel', 'SemanticKITTI/miou/vertex', 'mean/miou/vertex'} <= set(scores)
    for name in DETECTORS['street']:
        detector = MODELS.build(Config.fromfile(str(ROOT / 'nuscenes' / name)).model).eval()
        report = load_weights(
            detector, str(tmp_path / 'iter_4.pth'), source='backbone.encoder', target='pts_middle_encoder',
            domain='nuScenes', min_matched=1.)
        assert not report.missing and not report.unexpected and not report.mismatched
        backbone = copy.deepcopy(runner.model.backbone).eval()
        coors = torch.tensor([[0, 3, 10, 12], [0, 3, 11, 12], [0, 9, 200, 300]]).int()
        with torch.no_grad(), backbone.prompts.use('nuScenes'):
            wanted = backbone.encoder(torch.ones(3, 4), coors, 1)
            assert torch.allclose(detector.pts_middle_encoder(torch.ones(3, 4), coors, 1), wanted, atol=1e-5)
        assert wanted.abs().max() > 0


def test_all_three_say_the_same_about_themselves(worlds):
    """mmdet's ConcatDataset compares metainfo in the order of a set of names; a key that the first data set lacks is a
    KeyError for some hash seeds."""
    init_default_scope('mmdet3d')
    joint = Config.fromfile(str(ROOT / '_base_' / 'datasets' / 'outdoor_joint.py'))
    keys = [set(DATASETS.build(part).metainfo) for part in joint.train_dataloader.dataset.datasets]
    assert len(keys) == 3 and keys[0] == keys[1] == keys[2] >= {'classes', 'palette', 'ignore_index'}


@pytest.mark.parametrize('name', ['spunet_4xb3-350k_outdoor.py', 'spunet_4xb3-decoupled-350k_outdoor.py'])
def test_a_run_on_all_three(worlds, tmp_path, name):
    """A step of each, which moves that one's statistics alone, and scores of all three over their own classes."""
    cfg = Config.fromfile(str(ROOT / 'point_prompt_training' / name))
    cfg.model.data_preprocessor.voxel_size = 0.4
    cfg.model.backbone.backbone.update(
        base_channels=8, encoder_channels=[8, 8, 16, 16], decoder_channels=[16, 16, 8, 8],
        encoder_blocks=[1, 1, 1, 1], decoder_blocks=[1, 1, 1, 1])
    cfg.model.decode_head.in_channels = 8
    runner, domains, scores = joint_run(cfg, tmp_path, 3)
    assert domains == [{'nuScenes'}, {'SemanticKITTI'}, {'Waymo'}]
    for domain, space in cfg.label_spaces.items():
        names = {key.split('/')[-1] for key in scores if key.startswith(f'{domain}/iou_vertex/')}
        classes = get_label_space(space).classes
        assert names and names <= set(classes) and len(classes) == cfg.numbers[domain]
        assert 0 <= scores[f'{domain}/miou/vertex'] <= 1 and 0 <= scores[f'{domain}/miou/voxel'] <= 1
        steps = {int(value) for key, value in runner.model.state_dict().items()
                 if key.endswith('num_batches_tracked') and domain in key.split('.')}
        assert steps == {1}
    assert scores['mean/miou/vertex'] == pytest.approx(
        np.mean([scores[f'{domain}/miou/vertex'] for domain in cfg.ratios]))


@pytest.mark.parametrize('name', ['spunet_4xb3-350k_outdoor.py', 'spunet_4xb3-decoupled-350k_outdoor.py'])
def test_spunet_outdoors_has_the_papers_settings(name, monkeypatch):
    monkeypatch.setenv('PRETRAIN3D_TEXT_BANK', 'hashed-ngrams')
    cfg = Config.fromfile(str(ROOT / 'point_prompt_training' / name))
    assert cfg.ratios == dict(nuScenes=1, SemanticKITTI=1, Waymo=1) and cfg.train_cfg.max_iters == 350000
    assert cfg.optim_wrapper.optimizer.lr == 2e-3 and cfg.optim_wrapper.optimizer.weight_decay == 5e-3
    for domain, dataset in zip(cfg.ratios, cfg.train_dataloader.dataset.datasets):
        kinds = [step['type'] for step in dataset.pipeline]
        assert kinds[-1] == 'PackPretrain3DInputs' and dataset.pipeline[-1].domain == domain
        assert kinds[4:] == ['RandomRotatePoints', 'ClipPoints', 'GlobalRotScaleTrans', 'RandomFlipPoints',
                             'RandomJitterPoints', 'GridSamplePoints', 'PackPretrain3DInputs']
    for domain, dataset in zip(cfg.ratios, cfg.test_dataloader.dataset.datasets):
        clip, = (step for step in dataset.pipeline if step['type'] == 'ClipPoints')
        assert clip.point_cloud_range == cfg.point_clip_ranges[domain] and dataset.test_mode
    with torch.device('meta'):
        model = MODELS.build(cfg.model.backbone)
    assert model.prompts.names == ('nuScenes', 'SemanticKITTI', 'Waymo')
    assert model.in_channels == 4


@pytest.mark.parametrize('name', [*JOINT.values(), 'spunet_4xb3-350k_outdoor.py'])
def test_only_what_prompts_add_learns_slower(name):
    """Not a norm's own scale and shift."""
    cfg = Config.fromfile(str(ROOT / 'point_prompt_training' / name))
    domains = ('nuScenes', 'SemanticKITTI')
    plain = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    model = torch.nn.ModuleDict(dict(backbone=convert(plain, domains)))
    rate = cfg.optim_wrapper.optimizer.lr
    groups = build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups
    names = [name for name, _ in model.named_parameters()]
    rates = {name: group['lr'] / rate for name, group in zip(names, groups)}
    assert len(names) == len(groups)
    slow = {name for name in names if 'prompts' in name or name.endswith('modulation.weight')}
    assert len(slow) == 3
    assert rates == pytest.approx({name: 0.1 if name in slow else 1 for name in names})


def test_drawn_streets_are_of_two_and_papers_data_of_two_where_asked(monkeypatch):
    pair = dict(nuScenes=1, SemanticKITTI=1)
    street = joint_config('street')
    assert street.ratios == street.train_dataloader.batch_sampler.ratios == pair
    assert list(street.model.backbone.domains) == list(street.val_evaluator.label_spaces) == list(pair)
    monkeypatch.setenv('PRETRAIN3D_DOMAINS', 'nuScenes=1,SemanticKITTI=1')
    cfg = joint_config('voxel01')
    assert cfg.ratios == cfg.train_dataloader.batch_sampler.ratios == pair
    for part in (cfg.label_spaces, cfg.val_evaluator.label_spaces, cfg.model.decode_head.label_spaces):
        assert part == dict(nuScenes='nuScenes16', SemanticKITTI='SemanticKITTI19')
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        assert [part.pipeline[-1].domain for part in loader.dataset.datasets] == list(pair)


@pytest.mark.parametrize('size', JOINT)
def test_one_domain_alone(size, monkeypatch):
    monkeypatch.setenv('PRETRAIN3D_DOMAINS', 'nuScenes=1')
    cfg = joint_config(size)
    assert list(cfg.model.backbone.domains) == ['nuScenes']
    assert len(cfg.train_dataloader.dataset.datasets) == len(cfg.val_dataloader.dataset.datasets) == 1
    assert dict(cfg.model.decode_head.label_spaces) == dict(nuScenes='nuScenes16')
    assert dict(cfg.model.data_preprocessor.num_classes) == dict(nuScenes=16)
