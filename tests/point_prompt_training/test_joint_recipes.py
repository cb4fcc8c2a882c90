"""The joint recipes: rates of prompts over a run, released numbers, data sets by name, sweeps that can be read."""
from pathlib import Path

import pytest
import torch
from mmdet3d.registry import DATASETS, METRICS, MODELS
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.dataset import ConcatDataset as PlainConcatDataset
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS, init_default_scope
from torch import nn

import pretrain3d  # noqa: F401
from pretrain3d.label_spaces import get_label_space

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / 'configs' / 'point_prompt_training'
FULL, ROOMS = 'spunet_8xb3-120k_indoor', 'spunet_1xb4-rooms_indoor'
JOINT = sorted(path.stem for path in FOLDER.glob('spunet*_indoor.py'))
PROMPTS = ('.prompts.', '.modulation.weight', '.adapters.')


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    init_default_scope('mmdet3d')
    for name in ('PRETRAIN3D_DOMAINS', 'PRETRAIN3D_STEPS'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv('PRETRAIN3D_TEXT_BANK', 'hashed-ngrams')


def recipe(name):
    return Config.fromfile(str(FOLDER / f'{name}.py'), import_custom_modules=False)


class Tiny(nn.Module):
    """A weight of the network and one of the prompts, by the names that the groups go by."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Module()
        self.backbone.stem = nn.Linear(1, 1, bias=False)
        self.backbone.prompts = nn.Linear(1, 1, bias=False)


def rates(cfg, schedule=None, every=1):
    """Rates of the network and of its prompts, and the momentum, as they are in every so many steps of a run."""
    wrapper = build_optim_wrapper(Tiny(), cfg.optim_wrapper)
    schedulers = [PARAM_SCHEDULERS.build(dict(one, optimizer=wrapper)) for one in schedule or cfg.param_scheduler]
    found = []
    for step in range(cfg.train_cfg.max_iters):
        if step % every == 0:
            groups = wrapper.optimizer.param_groups
            found.append([group['lr'] for group in groups] + [groups[0].get('momentum', 0.)])
        wrapper.optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    return torch.tensor(found, dtype=torch.float64)


def test_prompts_learn_ten_times_slower_all_the_way():
    cfg = recipe(ROOMS)
    run = rates(cfg)
    assert torch.allclose(run[:, 1], 0.1 * run[:, 0], rtol=1e-9, atol=0)
    assert run[0, 0] == pytest.approx(0.04 * 5e-3) and run[:, 0].max() == pytest.approx(5e-3, rel=1e-2)
    assert int(run[:, 0].argmax()) in (239, 240) and run[-1, 0] < 1e-6
    for scale in (1, 0.01):
        cfg.optim_wrapper.paramwise_cfg.custom_keys.prompts.lr_mult = scale
        assert torch.allclose((other := rates(cfg))[:, 1], scale * other[:, 0])


def test_rates_and_momentum_of_the_long_schedule():
    cfg = recipe(FULL)
    for one in cfg.param_scheduler:  # a tenth of it, in time
        one.update({key: one[key] // 10 for key in ('begin', 'end', 'T_max') if key in one})
    cfg.train_cfg.max_iters //= 10
    run = rates(cfg)
    assert torch.allclose(run[:, 1], 0.1 * run[:, 0], rtol=1e-9, atol=0)
    assert run[0, 0] == pytest.approx(0.005) and run[600, 0] == pytest.approx(0.05, rel=1e-3)
    assert run[6300, 0] == pytest.approx(0.025, rel=1e-3) and run[-1, 0] < 1e-6
    assert [float(run[step, 2]) for step in (0, 600, 6300, 11999)] == pytest.approx([0.95, 0.85, 0.9, 0.95], abs=1e-3)


def test_one_cycle_would_overwrite_the_rate_of_the_prompts():
    """Why the recipes have another scheduler; the released ones set one rate for all."""
    cfg = recipe(ROOMS)
    one_cycle = [dict(type='OneCycleLR', eta_max=5e-3, total_steps=1200, pct_start=0.2, by_epoch=False)]
    run = rates(cfg, one_cycle)
    assert torch.equal(run[:, 0], run[:, 1]) and run[:, 0].max() > 4.9e-3


@pytest.mark.parametrize('adapter, shared', [
    ('norm', True), ('norm', False), ('injection', True), ('attention', True), ('none', True)])
def test_the_slow_groups_are_the_prompts_and_what_is_made_of_them(adapter, shared):
    cfg = recipe(ROOMS)
    model = MODELS.build(dict(cfg.model, backbone=dict(cfg.model.backbone, adapter=adapter, shared_prompt=shared)))
    assert all(vector.dim() == 2 - shared for vector in model.backbone.prompts.vectors.values())
    groups = {id(group['params'][0]): group['lr']
              for group in build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups}
    slow = {name for name, value in model.named_parameters() if groups.get(id(value)) == pytest.approx(5e-4)}
    assert slow == {name for name, value in model.named_parameters()
                    if value.requires_grad and any(part in name for part in PROMPTS)}
    assert not slow if adapter == 'none' else len(slow) > 10
    assert all(rate == pytest.approx(5e-3) for key, rate in groups.items()
               if key not in {id(value) for name, value in model.named_parameters() if name in slow})


@pytest.mark.parametrize('name', JOINT)
def test_every_joint_recipe_agrees_with_itself(name):
    cfg = recipe(name)
    domains = ['Structured3D', 'ScanNet', 'S3DIS']
    processes, batch = (int(part) for part in name.split('_')[1].split('-')[0].split('xb'))
    assert cfg.train_dataloader.batch_size == batch
    assert list(cfg.model.backbone.domains) == list(cfg.model.decode_head.label_spaces) == domains
    assert cfg.model.data_preprocessor.num_classes == {
        domain: len(get_label_space(space).classes) for domain, space in cfg.model.decode_head.label_spaces.items()}
    assert cfg.val_evaluator.label_spaces == cfg.model.decode_head.label_spaces == cfg.test_evaluator.label_spaces
    METRICS.build(cfg.val_evaluator)
    for split in ('train', 'val', 'test'):
        data = cfg[f'{split}_dataloader'].dataset
        assert data.type == 'mmdet.ConcatDataset'
        assert [one.pipeline[-1].domain for one in data.datasets] == domains
        assert all(one.get('test_mode', False) == (split != 'train') for one in data.datasets)
        assert len({str(one.data_root) for one in data.datasets}) == 3
    assert list(cfg.train_dataloader.batch_sampler.ratios) == domains
    assert 'DomainCheckHook' in [hook.type for hook in cfg.custom_hooks]
    assert cfg.model.backbone.adapter == ('none' if 'naive' in name else 'norm')
    if processes == 8:
        optimizer = cfg.optim_wrapper.optimizer
        assert processes * batch == 24 and cfg.train_cfg.max_iters == 120000
        assert (optimizer.type, optimizer.lr, optimizer.weight_decay, optimizer.nesterov) == ('SGD', 0.05, 1e-4, True)
        assert cfg.train_dataloader.batch_sampler.ratios == dict(Structured3D=4, ScanNet=2, S3DIS=1)
        assert cfg.model.data_preprocessor.mix3d_prob == 0.8 and cfg.model.data_preprocessor.voxel_size == 0.02
        crops = [[step for step in one.pipeline if step.type == 'SphereCrop'][0] for one in
                 cfg.train_dataloader.dataset.datasets]
        assert [crop.get('fraction', crop.get('max_points')) for crop in crops] == [0.8, 100000, 0.6]


@pytest.mark.parametrize('name', [FULL, ROOMS])
def test_data_sets_are_chosen_by_name(name, monkeypatch):
    monkeypatch.setenv('PRETRAIN3D_DOMAINS', 'ScanNet=3,S3DIS=1')
    cfg = recipe(name)
    assert cfg.train_dataloader.batch_sampler.ratios == dict(ScanNet=3, S3DIS=1)
    assert list(cfg.model.backbone.domains) == list(cfg.model.decode_head.label_spaces) == ['ScanNet', 'S3DIS']
    assert cfg.model.data_preprocessor.num_classes == dict(ScanNet=20, S3DIS=13)
    assert list(cfg.val_evaluator.label_spaces) == ['ScanNet', 'S3DIS']
    assert [len(cfg[f'{split}_dataloader'].dataset.datasets) for split in ('train', 'val', 'test')] == [2, 2, 2]
    if name == ROOMS:
        assert cfg.train_cfg.max_iters == 1600
        monkeypatch.setenv('PRETRAIN3D_STEPS', '50')
        assert recipe(name).train_cfg.max_iters == 50 == recipe(name).param_scheduler[1].end


def test_data_sets_with_other_classes_are_concatenated():
    """mmengine's own ConcatDataset refuses them; mmdet's, by its name, keeps the meta information of each."""

    @DATASETS.register_module(force=True)
    class TwoNames(BaseDataset):
        def load_data_list(self):
            return [dict(number=0)]

    parts = [dict(type='TwoNames', metainfo=dict(classes=classes)) for classes in (('wall', ), ('floor', 'chair'))]
    joint = DATASETS.build(dict(type='mmdet.ConcatDataset', datasets=parts))
    assert [meta['classes'] for meta in joint.metainfo] == [('wall', ), ('floor', 'chair')] and len(joint) == 2
    with pytest.raises(ValueError, match='does not match'):
        PlainConcatDataset([DATASETS.build(part) for part in parts])


@pytest.mark.parametrize('path', sorted(
    [*(FOLDER / 'benchmarks').glob('*table*.yaml'), *(FOLDER / 'benchmarks').glob('rooms_joint*.yaml')]), ids=lambda path: path.name)
def test_sweeps_can_be_read(path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / 'tools'))
    from _sweep_spec import make_cells, read_spec
    spec = dict(read_spec(str(path)), seeds=[0])
    cells = make_cells(spec)
    assert len({cell.folder for cell in cells}) == len(cells) == len(spec['variants'])
    for cell in cells:
        if 'PRETRAIN3D_DOMAINS' in cell.env:
            trained = {part.split('=')[0] for part in cell.env['PRETRAIN3D_DOMAINS'].split(',')}
            assert {metric.split('/')[0] for metric in cell.metrics} - {'mean'} == trained
            assert ('alone' in cell.variant) == (len(trained) == 1) and (' + ' in cell.variant) == (len(trained) == 2)
            against = spec['variants'][cell.variant]['against']
            if path.name in ('table1.yaml', 'rooms_table1.yaml', 'rooms_joint.yaml'):
                assert against == {metric: f'alone {metric.split("/")[0]}' for metric in cell.metrics}
    if path.name.endswith('table2.yaml'):
        assert len(cells) == 18


@pytest.mark.parametrize('name', ['spunet_1xb4-rooms_indoor', 'spunet_8xb3-120k_indoor', 'spunet_4xb3-350k_outdoor',
                                  'sparse-encoder_1xb4-street_outdoor'])
def test_a_data_set_that_there_is_not_is_named(name, monkeypatch):
    monkeypatch.setenv('PRETRAIN3D_DOMAINS', 'ScanNett=1')
    with pytest.raises(AssertionError, match=r"PRETRAIN3D_DOMAINS names \{'ScanNett'\}: choose from \["):
        Config.fromfile(str(FOLDER / f'{name}.py'))
