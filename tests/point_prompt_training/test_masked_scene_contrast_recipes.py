"""The recipes: released numbers, every view in step, weights that move on, more epochs from the same draws."""
from pathlib import Path

import pytest
import torch
from mmdet3d.registry import DATASETS, MODELS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope

from pretrain3d.datasets.seeding import seeded
from pretrain3d.engine.hooks.config_check import ConfigCheckHook
from pretrain3d.engine.weights import load_weights

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / 'configs' / 'point_prompt_training'
FULL, ROOMS = 'msc_spunet_8xb4-600e_scannet', 'msc_spunet_1xb4-rooms_scannet'


def recipe(name):
    return Config.fromfile(str(FOLDER / f'{name}.py'), import_custom_modules=False)


@pytest.fixture
def loaded(drawn_scannet, monkeypatch):
    """Sample of a recipe's training set on drawn rooms."""
    monkeypatch.setenv('PRETRAIN3D_SCANNET', str(drawn_scannet.converted))
    init_default_scope('mmdet3d')

    def load(name, indices=(0, ), seed=0):
        cfg = recipe(name)
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
        samples = []
        for index in indices:
            with seeded((seed, index)):
                samples.append(dataset[index])
        return cfg, samples
    return load


def test_released_settings():
    cfg = recipe(FULL)
    optimizer, schedule = cfg.optim_wrapper.optimizer, cfg.param_scheduler[0]
    assert (optimizer.type, optimizer.lr, optimizer.momentum, optimizer.weight_decay, optimizer.nesterov) == (
        'SGD', 0.1, 0.8, 1e-4, True)
    assert (schedule.type, schedule.eta_max, schedule.pct_start, schedule.div_factor, schedule.final_div_factor,
            schedule.end) == ('OneCycleLR', 0.1, 0.01, 10, 1e4, 600)
    assert cfg.train_cfg.max_epochs == 600 and cfg.train_dataloader.batch_size * 8 == 32
    head = cfg.model.head
    assert (head.mask_rate, head.patch_size, head.mix_prob) == (0.4, 0.1, 0.8)
    assert (head.radius, head.max_neighbours) == (0.03, 8)
    assert head.pairs_per_scene * cfg.train_dataloader.batch_size == 8192
    assert (head.loss.temperature, head.loss.negatives) == (0.4, 'rank')
    assert 'normal_weight' not in head  # colour alone is restored
    assert cfg.model.backbone == dict(type='SpUNet', in_channels=6) and cfg.model.data_preprocessor.voxel_size == 0.02
    steps = cfg.train_dataloader.dataset.pipeline
    views = [step for step in steps if step.type == 'MakeViews'][0].views
    assert views.view0 == views.view1
    assert [step.type for step in views.view0] == [
        'RandomRotatePoints', 'RandomRotatePoints', 'RandomRotatePoints', 'RandomFlipPoints', 'RandomJitterPoints',
        'RandomColorJitter', 'ChromaticJitter', 'GridSamplePoints', 'SphereCrop', 'CenterShift', 'NormalizePointsColor']
    shared = [step.type for step in steps]
    assert shared.index('GlobalRotScaleTrans') < shared.index('KeepWorldCoordinates') < shared.index('MakeViews')


def test_the_unsupervised_joint_recipe():
    """Every data set says a domain that the backbone knows; views are those of the single one; no test scan is seen."""
    cfg, single = recipe('msc_spunet-ppt_8xb4-120k_indoor'), recipe(FULL)
    loader = cfg.train_dataloader
    domains = [dataset.pipeline[-1].domain for dataset in loader.dataset.datasets]
    assert domains == cfg.model.backbone.domains == list(loader.batch_sampler.ratios)
    assert loader.batch_sampler.ratios == dict(Structured3D=4, ScanNet=2, S3DIS=1)
    for dataset in loader.dataset.datasets:
        assert dataset.pipeline[:-1] == single.train_dataloader.dataset.pipeline[:-1]
        assert 5 not in dataset.get('areas', []) and 'train' in dataset.get('ann_file', 'train')
    assert cfg.model.head == single.model.head and cfg.model.backbone.backbone == single.model.backbone
    init_default_scope('mmdet3d')
    names = [name for name, _ in MODELS.build(cfg.model.backbone).named_parameters()]
    slow = [name for name in names if any(key in name for key in cfg.optim_wrapper.paramwise_cfg.custom_keys)]
    assert sum('prompts' in name for name in slow) == 3 and sum('modulation.weight' in name for name in slow) == 59
    # OneCycleLR(eta_max=...) would give all groups one rate.
    assert {step.type for step in cfg.param_scheduler} == {'LinearLR', 'CosineAnnealingLR'}
    assert 'eta_min' not in cfg.param_scheduler[1]


@pytest.mark.parametrize('name', [FULL, ROOMS])
def test_every_key_of_a_view_is_in_step_with_its_points(name, loaded):
    """The released pipeline loses `origin_coord`'s index at its head: 5,000 rows beside 2,236 points."""
    _, (sample, ) = loaded(name)
    views = sample['inputs']['views']
    assert set(views) == {'view0', 'view1'} and sample['data_samples'].metainfo['domain'] == 'ScanNet'
    for view in views.values():
        points, world = view['points'], view['xyz_world']
        assert points.shape[1] == 9 and len(points) == len(world) > 300
        # Rotation, flip and 2 cm of noise leave distances as they were, up to the noise.
        some = torch.arange(0, len(points), 7)
        gap = torch.cdist(points[some, :3], points[some, :3]) - torch.cdist(world[some], world[some])
        assert gap.abs().max() < 2 * 0.02 * 3 ** 0.5 + 1e-3
        assert 0 <= points[:, 3:6].min() and points[:, 3:6].max() <= 1
        torch.testing.assert_close(points[:, 6:].norm(dim=1), torch.ones(len(points)), atol=1e-3, rtol=0)
    first, second = (set(map(tuple, view['xyz_world'].tolist())) for view in views.values())
    assert first & second and first - second and second - first  # of one cloud, other crops


def test_draws_of_a_sample_do_not_depend_on_its_batch(loaded):
    """The same draw alone and as the second of two: the same voxels are masked, the same pairs contrasted."""
    cfg, samples = loaded(ROOMS, (0, 1))
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.heads['msc'].mix_prob = 0.
    masks = []
    for batch in (samples, samples[1:]):
        data = model.data_preprocessor(pseudo_collate(batch), training=True)
        clean = {name: view['voxels'] for name, view in data['inputs']['views'].items()}
        made = model.heads['msc'].corrupt_views(clean, data['inputs'], data['data_samples'])
        masks.append([mask[one['coors'][:, 0] == len(batch) - 1] for one, mask in made.values()])
    assert all(map(torch.equal, *masks)) and all(mask.any() for mask in masks[0])


def test_training_on_a_drawn_world(drawn_scannet, monkeypatch):
    """A few steps of the rooms recipe: losses fall; matches of a scan that it has not seen are found more often."""
    monkeypatch.setenv('PRETRAIN3D_SCANNET', str(drawn_scannet.converted))
    init_default_scope('mmdet3d')
    cfg = recipe(ROOMS)
    cfg.model.data_preprocessor.voxel_size = 0.15
    cfg.model.head.update(radius=0.15, pairs_per_scene=128)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)

    def losses(indices, seed):
        samples = []
        for index in indices:
            with seeded((seed, index)):
                samples.append(dataset[index])
        data = model.data_preprocessor(pseudo_collate(samples), training=True)
        return model.parse_losses(model(**data, mode='loss'))

    @torch.no_grad()
    def retrieved():
        return sum(float(losses((2, ), 1000 + seed)[1]['msc.retrieval']) for seed in range(4)) / 4

    before, curve = retrieved(), []
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for step in range(24):
        total, log = losses((0, 1), step)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        curve.append([float(log[f'msc.{name}']) for name in ('loss_contrast', 'loss_color')])
    start, end, after = torch.tensor(curve[:4]).mean(0), torch.tensor(curve[-4:]).mean(0), retrieved()
    print(start, end, before, after)
    assert end[0] < 0.9 * start[0] and end[1] < 0.5 * start[1]
    assert after > 2 * before and after > 4 / 128  # by chance 1 / 128


@pytest.mark.parametrize('pretraining, finetuning', [
    (FULL, 'spunet_1xb12-800e-msc_scannet20'), (ROOMS, 'spunet_1xb4-rooms-msc_scannet20')])
def test_the_encoder_moves_whole(pretraining, finetuning, tmp_path, monkeypatch):
    """The hook's own options load every tensor of the encoder; the head stays behind."""
    first, second = recipe(pretraining), recipe(f'benchmarks/{finetuning}')
    init_default_scope('mmdet3d')
    torch.manual_seed(0)
    trained = MODELS.build(first.model)
    torch.save(dict(state_dict=trained.state_dict()), tmp_path / 'msc.pth')
    hook, = (dict(one) for one in second.custom_hooks if one['type'] == 'WeightTransferHook')
    assert f'/{pretraining}/' in hook.pop('checkpoint') and hook.pop('type') and hook['min_matched'] == 1
    torch.manual_seed(1)
    model = MODELS.build(second.model)
    load_weights(model, str(tmp_path / 'msc.pth'), **hook)
    wanted = trained.backbone.state_dict()
    assert all(torch.equal(value, wanted[key]) for key, value in model.backbone.state_dict().items())
    assert first.model.data_preprocessor.feature_dims == second.model.data_preprocessor.feature_dims
    ConfigCheckHook().before_run(type('Runner', (), dict(cfg=second))())
