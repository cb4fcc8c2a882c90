"""What recipes have to agree on: encoders that move whole, the paper's numbers, sweeps that can be read."""
from pathlib import Path

import pytest
from mmengine.config import Config

from pretrain3d.contrastive_scene_contexts import get_partition

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / 'configs' / 'contrastive_scene_contexts'


def recipe(name):
    return Config.fromfile(str(FOLDER / f'{name}.py'), import_custom_modules=False)


@pytest.mark.parametrize('pretraining, finetuning', [
    ('spunet_1xb4-p8-rooms_scannet-pairs', 'benchmarks/spunet_1xb4-rooms-pretrained_scannet20'),
    ('spunet_1xb4-p8-rooms_scannet-pairs', '../scannet/spunet_1xb4-rooms_scannet20'),
    ('srunet_8xb4-p8-60k_scannet-pairs', 'benchmarks/srunet_8xb6-scannet-pretrained_scannet20')])
def test_the_encoder_fits_the_recipe_that_follows(pretraining, finetuning):
    first, second = recipe(pretraining).model, recipe(finetuning).model
    for key in ('type', 'in_channels', 'depth', 'base_channels', 'encoder_channels', 'decoder_channels'):
        assert first.backbone.get(key) == second.backbone.get(key), key
    assert first.data_preprocessor.feature_dims == second.data_preprocessor.feature_dims == [3, 4, 5]


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
    from _sweep_spec import make_cells, read_spec
    cells = make_cells(read_spec(str(path)))
    assert len({cell.folder for cell in cells}) == len(cells) >= 10
    if path.name == 'figure3.yaml':
        assert {cell.variant for cell in cells} == {'scratch', *(f'p{p}_{n}' for p in (1, 2, 4, 8)
                                                                 for n in (1024, 2048, 4096, 8192))}
