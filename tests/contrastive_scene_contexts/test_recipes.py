"""What recipes have to agree on: encoders that move whole, the paper's numbers, sweeps that can be read."""
from pathlib import Path

import pytest
import torch
import yaml
from mmdet3d.registry import MODELS
from mmengine.config import Config

from pretrain3d.contrastive_scene_contexts import get_partition

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / 'configs' / 'contrastive_scene_contexts'


def recipe(name):
    return Config.fromfile(str(FOLDER / f'{name}.py'), import_custom_modules=False)


SRUNET, SPUNET = 'srunet_8xb4-p8-60k_scannet-pairs', 'spunet_8xb4-p8-60k_scannet-pairs'
ROOMS = 'spunet_1xb4-p8-rooms_scannet-pairs'


def encoder(cfg):
    """The recipe's network, its weights without memory."""
    with torch.device('meta'):
        return MODELS.build(cfg.model.backbone)


@pytest.mark.parametrize('pretraining, finetuning', [
    (ROOMS, 'benchmarks/spunet_1xb4-rooms-pretrained_scannet20'),
    (ROOMS, '../scannet/spunet_1xb4-rooms_scannet20'),
    (SRUNET, 'benchmarks/srunet_8xb6-scannet-pretrained_scannet20'),
    (SRUNET, 'benchmarks/srunet_8xb6-scannet-pretrained_scannet200'),
    (SRUNET, 'benchmarks/srunet_8xb6-s3dis-pretrained_s3dis'),
    (SRUNET, 'benchmarks/srunet_1xb6-scannet-lr-pretrained_scannet20'),
    (SRUNET, 'benchmarks/srunet_1xb6-scannet-probe_scannet20'),
    (SPUNET, 'benchmarks/spunet_1xb12-800e-pretrained_scannet20')])
def test_the_encoder_fits_the_recipe_that_follows(pretraining, finetuning):
    """Every tensor has a place of its name and shape, norms divide by the same, voxels hold the same features."""
    first, second = recipe(pretraining), recipe(finetuning)
    networks = [encoder(cfg) for cfg in (first, second)]
    shapes = [{key: value.shape for key, value in network.state_dict().items()} for network in networks]
    assert shapes[0] == shapes[1]
    epsilons = [{name: module.eps for name, module in network.named_modules() if hasattr(module, 'eps')}
                for network in networks]
    assert epsilons[0] == epsilons[1] and epsilons[0]
    assert first.model.data_preprocessor.feature_dims == second.model.data_preprocessor.feature_dims == [3, 4, 5]
    hooks = [hook for hook in second.get('custom_hooks', []) if hook['type'] == 'WeightTransferHook']
    assert all(hook['min_matched'] == 1 and f'/{pretraining}/' in hook['checkpoint'] for hook in hooks)
    assert len(hooks) == finetuning.startswith('benchmarks/')


def test_another_stem_would_be_seen():
    """What the test above compares does differ where the input does: recipes with normals have six channels."""
    first, second = encoder(recipe(SPUNET)), encoder(recipe('../scannet/spunet_1xb12-800e_scannet20'))
    differ = [key for key, value in second.state_dict().items() if value.shape != first.state_dict()[key].shape]
    assert len(differ) == 1


@pytest.mark.parametrize('name, processes, rate, steps', [
    ('srunet_1xb6-scannet-lr-scratch_scannet20', 1, 0.8, 5000),  # by_scenes.sh
    ('srunet_1xb6-scannet-lr-pretrained_scannet20', 1, 0.8, 5000),
    ('srunet_8xb6-scannet-scratch_scannet20', 8, 0.1, 10000),  # by_points.sh
    ('srunet_8xb6-scannet-pretrained_scannet20', 8, 0.1, 10000),
    ('srunet_8xb6-scannet-scratch_scannet200', 8, 0.1, 10000),
    ('srunet_8xb6-s3dis-scratch_s3dis', 8, 0.1, 60000)])
def test_published_settings_of_few_labels(name, processes, rate, steps):
    cfg = recipe(f'benchmarks/{name}')
    optimizer, schedule = cfg.optim_wrapper.optimizer, cfg.param_scheduler
    assert (optimizer.type, optimizer.lr, optimizer.momentum, optimizer.dampening, optimizer.weight_decay) == (
        'SGD', rate, 0.9, 0.1, 1e-4)
    assert cfg.train_cfg.max_iters == cfg.train_cfg.val_interval == steps and cfg.train_dataloader.batch_size == 6
    assert f'_{processes}xb6-' in name
    assert [(step.type, step.power, step.end, step.by_epoch) for step in schedule] == [('PolyLR', 0.9, steps, False)]
    kind, classes = {'scannet20': ('ScanNet20', 20), 'scannet200': ('ScanNet200', 200), 's3dis': ('S3DIS13', 13)}[
        name.rpartition('_')[2]]
    assert cfg.model.decode_head.num_classes == cfg.model.data_preprocessor.num_classes == classes
    for split in ('train', 'val', 'test'):
        dataset = cfg[f'{split}_dataloader'].dataset
        assert dataset.type == f'{kind}Dataset'
        assert dataset.data_prefix.pts_semantic_mask == 'semantic_mask' + ('_200' if classes == 200 else '')


def test_every_recipe_is_in_the_list_and_the_readme():
    listed = {model['Name']: model for model in yaml.safe_load((FOLDER / 'metafile.yml').read_text())['Models']}
    paths = {path.stem: path for path in FOLDER.rglob('*.py')}
    assert set(listed) == set(paths)
    for name, model in listed.items():
        assert ROOT / model['Config'] == paths[name]
    readme = (FOLDER / 'README.md').read_text()
    for path in [*paths.values(), *(FOLDER / 'benchmarks').glob('*.yaml')]:
        assert f'`{path.name}`' in readme.replace('../scannet/', ''), path.name


@pytest.mark.parametrize('path', sorted(FOLDER.glob('srunet_8xb4-*-60k*.py')), ids=lambda path: path.stem)
def test_published_settings(path):
    cfg = recipe(path.stem)
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.lr, optimizer.momentum, optimizer.weight_decay) == ('SGD', 0.1, 0.8, 1e-4)
    assert cfg.train_cfg.max_iters == 60000 and cfg.train_dataloader.batch_size * 8 == 32
    size = 0.02 if 'v20' in path.stem else 0.025
    steps = cfg.train_dataloader.dataset.pipeline
    views = [step for step in steps if step.type == 'MakeViews'][0].views
    grids = [step.voxel_size for view in views.values() for step in view if step.type == 'GridSamplePoints']
    radius = [step.radius for step in steps if step.type == 'MatchViews'][0]
    assert cfg.model.data_preprocessor.voxel_size == size and grids == [size] * 2
    assert radius == pytest.approx(1.5 * size)
    loss = cfg.model.head.loss
    if loss.type == 'SceneContextLoss':
        assert loss.temperature == 0.4 and cfg.model.head.samples_per_scene == 4096
        assert get_partition(loss.preset).exclude_radius == 0.05
        assert get_partition(loss.preset).shells == (0.5, )


@pytest.mark.parametrize('path', sorted((FOLDER / 'benchmarks').glob('*.yaml')), ids=lambda path: path.name)
def test_sweeps_can_be_read(path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / 'tools'))
    monkeypatch.setenv('PRETRAIN3D_TASKS', '/data/tasks')
    from _sweep_spec import make_cells, read_spec
    spec = read_spec(str(path))
    cells = make_cells(spec)
    assert len({cell.folder for cell in cells}) == len(cells) >= 6
    processes = {Path(variant['config']).name.split('xb')[0].split('_')[-1] for variant in spec['variants'].values()}
    assert processes == {str(spec['gpus_per_cell'])}
    if path.name == 'figure3.yaml':
        assert {cell.variant for cell in cells} == {'scratch', *(f'p{p}_{n}' for p in (1, 2, 4, 8)
                                                                 for n in (1024, 2048, 4096, 8192))}
        assert all(cell.env.get('PRETRAIN3D_CHECKPOINT', 'scratch').split('/')[-2:] == [cell.variant, 'iter_20000.pth']
                   for cell in cells if cell.variant != 'scratch')
    if 'official' in path.name:
        assert all('/data/tasks/' in cell.config and 'limit_seed' not in cell.config for cell in cells)
