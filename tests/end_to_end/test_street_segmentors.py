"""LiDAR segmentation on small sweeps of nuScenes, SemanticKITTI and Waymo: truth scores 1.0, testing feeds what
training feeds, schedules are the papers', shares of labels those asked for, a probe stands on the encoder of the other
LiDAR."""
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS, init_default_scope
from mmengine.runner import Runner
from outdoor_files import write_nuscenes, write_semantickitti, write_waymo

import pretrain3d  # noqa: F401
from mmdet3d.registry import DATASETS
from mmdet3d.structures import PointData
from pretrain3d.datasets.sparse_batch import build_sparse_batch, vote_voxel_labels

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / 'configs'
SCRATCH = dict(nuscenes='nuscenes/spunet_1xb4-street_nuscenes16.py',
               semantickitti='semantickitti/spunet_1xb4-street_semantickitti19.py',
               waymo='waymo/spunet_1xb4-street_waymo22.py')
RECIPES = sorted(path.relative_to(CONFIGS).as_posix() for name in ('nuscenes16', 'semantickitti19', 'waymo22')
                 for path in CONFIGS.rglob(f'*_{name}.py'))
# Steps of chance, and the one that leaves out points.
CHANCE = {'RandomRotatePoints', 'GlobalRotScaleTrans', 'RandomFlipPoints', 'RandomJitterPoints', 'GridSamplePoints'}
SWEEPS = [path for name in ('nuscenes/benchmarks/*', 'semantickitti/benchmarks/*', 'waymo/benchmarks/*')
          for path in sorted(CONFIGS.glob(f'{name}.yaml'))]


@pytest.fixture(scope='module')
def roots(tmp_path_factory):
    """Folders of the data sets: eight sweeps to train on, in nuScenes each a scene, and one to validate."""
    folder = tmp_path_factory.mktemp('sweeps')
    write_nuscenes(folder / 'nuscenes', frames=8, points=400)
    write_semantickitti(folder / 'semantickitti', frames=8, points=400)
    write_waymo(folder / 'waymo', frames=8, points=400)
    return folder


@pytest.fixture()
def folders(roots, monkeypatch):
    init_default_scope('mmdet3d')
    monkeypatch.setenv('PRETRAIN3D_NUSCENES', str(roots / 'nuscenes'))
    monkeypatch.setenv('PRETRAIN3D_SEMANTICKITTI', str(roots / 'semantickitti'))
    monkeypatch.setenv('PRETRAIN3D_WAYMO', str(roots / 'waymo'))
    monkeypatch.setenv('PRETRAIN3D_STEPS', '2')
    return monkeypatch


def recipe(name, folder=None):
    cfg = Config.fromfile(str(CONFIGS / name))
    cfg.work_dir = str(folder)
    for split in ('train', 'val', 'test'):
        cfg[f'{split}_dataloader'].update(num_workers=0, persistent_workers=False)
    cfg.train_dataloader.batch_size = 2
    cfg.custom_hooks = [hook for hook in cfg.custom_hooks if hook['type'] != 'ConfigCheckHook']
    cfg.visualizer = dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')])
    cfg.experiment_name = f'segmentor-{Path(name).stem}'
    return cfg


@pytest.mark.parametrize('wrong', [False, True])
@pytest.mark.parametrize('name', list(SCRATCH))
def test_the_truth_scores_one(folders, name, wrong):
    cfg = recipe(SCRATCH[name])
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    evaluator = Evaluator(dict(cfg.test_evaluator))
    evaluator.dataset_meta = dataset.metainfo
    number = len(dataset.metainfo['classes'])
    assert number == cfg.model.decode_head.num_classes == cfg.model.data_preprocessor.num_classes
    sample = dataset[0]
    mask = torch.from_numpy(sample['data_samples'].eval_ann_info['pts_semantic_mask']).long()
    sparse = build_sparse_batch([sample['inputs']['points']], (cfg.model.data_preprocessor.voxel_size, ) * 3)
    voxel = vote_voxel_labels([mask], sparse, number)[0]
    if wrong:
        mask, voxel = (mask + 1) % number, (voxel + 1) % number
    sample['data_samples'].pred_pts_seg = PointData(
        pts_semantic_mask=mask, voxel_semantic_mask=voxel, point2voxel=sparse['point2voxel'][0])
    evaluator.process([sample['data_samples']], sample)
    scores = evaluator.evaluate(1)
    for level in ('vertex', 'voxel'):
        assert scores[f'miou/{level}'] == (0 if wrong else 1)


@pytest.mark.parametrize('name', RECIPES)
def test_testing_feeds_what_training_feeds(folders, name):
    """Chance aside: far points too, which training brings onto a box where testing does, and else nowhere."""
    cfg = Config.fromfile(str(CONFIGS / name))
    dataset = dict(cfg.train_dataloader.dataset, test_mode=True)
    steps = dataset.pop('pipeline')
    shown, fed = (DATASETS.build(dict(dataset, pipeline=pipeline))[0] for pipeline in (
        [step for step in steps if step['type'] not in CHANCE], cfg.test_dataloader.dataset.pipeline))
    assert len(fed['inputs']['points']) == 400
    np.testing.assert_array_equal(shown['inputs']['points'], fed['inputs']['points'])
    masks = [sample['data_samples'].gt_pts_seg.pts_semantic_mask for sample in (shown, fed)]
    np.testing.assert_array_equal(*masks)


def test_scenes_and_frames_that_are_trained_on(folders):
    folders.setenv('PRETRAIN3D_SCENES', '25%')
    folders.setenv('PRETRAIN3D_FRAMES', '25%')
    nuscenes = DATASETS.build(recipe(SCRATCH['nuscenes']).train_dataloader.dataset)
    assert [nuscenes.get_data_info(i)['scene_name'] for i in range(len(nuscenes))] == ['scene-0003', 'scene-0007']
    kitti = DATASETS.build(recipe(SCRATCH['semantickitti']).train_dataloader.dataset)
    waymo = DATASETS.build(recipe(SCRATCH['waymo']).train_dataloader.dataset)
    assert [waymo.get_data_info(i)['scene_name'] for i in range(len(waymo))] == ['segment-train0', 'segment-train4']
    paths = [Path(kitti.get_data_info(i)['lidar_points']['lidar_path']).name for i in range(len(kitti))]
    assert paths == ['000000.bin', '000004.bin']
    folders.setenv('PRETRAIN3D_SCENE_SEED', '3')
    drawn = recipe(SCRATCH['nuscenes']).train_dataloader.dataset
    assert (drawn.scenes, drawn.scene_seed) == ('25%', 3) and len(DATASETS.build(drawn)) == 2


def test_every_recipe_from_scratch_obeys_the_variables(folders):
    folders.setenv('PRETRAIN3D_SCENES', '5%')
    folders.setenv('PRETRAIN3D_SCENE_SEED', '1')
    folders.setenv('PRETRAIN3D_FRAMES', '5%')
    for path in sorted(path for data in SCRATCH for path in (CONFIGS / data).glob('*.py')):
        dataset = Config.fromfile(str(path)).train_dataloader.dataset
        dataset = dataset.get('dataset', dataset)  # class-balanced sampling wraps it
        if path.parent.name == 'nuscenes':
            assert (dataset.scenes, dataset.scene_seed) == ('5%', 1), path
        else:  # what a recipe has in its name stays
            assert dataset.frames == ('1%' if '1pct' in path.name else '5%'), path


def test_a_probe_on_the_encoder_of_the_other_lidar(folders, tmp_path):
    """Two steps on SemanticKITTI, then a linear probe on nuScenes: its encoder is still the one that was loaded."""
    Runner.from_cfg(recipe(SCRATCH['semantickitti'], tmp_path / 'kitti')).train()
    file = tmp_path / 'kitti' / 'iter_2.pth'
    folders.setenv('PRETRAIN3D_CHECKPOINT', str(file))
    runner = Runner.from_cfg(recipe('nuscenes/benchmarks/spunet_1xb4-street-probe_nuscenes16.py', tmp_path / 'probe'))
    untrained = runner.model.decode_head.classifier.weight.clone()
    runner.train()
    loaded = torch.load(file, map_location='cpu')['state_dict']
    encoder = runner.model.backbone.state_dict()
    assert len(encoder) > 100
    assert all(torch.equal(value, loaded[f'backbone.{key}']) for key, value in encoder.items())
    assert not torch.equal(runner.model.decode_head.classifier.weight, untrained)
    scores = runner.test()
    assert 0 <= scores['miou/vertex'] <= 1 and 0 <= scores['miou/voxel'] <= 1


class Tiny(torch.nn.Module):
    """Stands for a segmentor where only rates matter."""

    def __init__(self):
        super().__init__()
        self.backbone, self.decode_head = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)


def rates(name, epochs, length=10):
    """[(encoder's rate, head's rate, momentum or beta1)] at the beginning of each epoch, and of the last step."""
    cfg = Config.fromfile(str(CONFIGS / name))
    assert cfg.train_cfg.max_epochs == epochs
    wrapper = build_optim_wrapper(Tiny(), cfg.optim_wrapper)
    schedulers = []
    for entry in cfg.param_scheduler:
        entry = dict(entry)
        kind = PARAM_SCHEDULERS.get(entry.pop('type'))
        if entry.pop('convert_to_iter_based', False):
            schedulers.append(kind.build_iter_from_epoch(optimizer=wrapper, epoch_length=length, **entry))
        else:
            schedulers.append(kind(optimizer=wrapper, **entry))
    found = []
    for step in range(epochs * length):
        if step % length == 0 or step == epochs * length - 1:
            groups = wrapper.optimizer.param_groups
            momentum = groups[0]['betas'][0] if 'betas' in groups[0] else groups[0]['momentum']
            found.append((groups[0]['lr'], groups[-1]['lr'], momentum))
        wrapper.step()
        for scheduler in schedulers:
            if not scheduler.by_epoch or (step + 1) % length == 0:
                scheduler.step()
    return found


@pytest.mark.parametrize('name', [
    'nuscenes/spunet_1xb12-50e_nuscenes16.py', 'semantickitti/spunet_1xb12-50e_semantickitti19.py',
    'waymo/spunet_1xb12-50e_waymo22.py'])
def test_adamw_warms_up_for_two_epochs_of_fifty(name):
    found = rates(name, 50)
    assert found[0] == pytest.approx((2e-4, 2e-4, 0.95), rel=1e-3)
    assert found[2] == pytest.approx((2e-3, 2e-3, 0.85), rel=2e-2)
    assert found[26] == pytest.approx((1e-3, 1e-3, 0.90), rel=2e-2)
    assert found[-1][0] < 1e-5 and found[-1][2] == pytest.approx(0.95, rel=1e-3)


@pytest.mark.parametrize('name, encoder, head', [
    ('nuscenes/srunet_1xb16-100e_nuscenes16.py', 0.05, 0.05),
    ('nuscenes/benchmarks/srunet_1xb32-100e-pretrained_nuscenes16.py', 0.02, 2.0),
    ('nuscenes/benchmarks/srunet_1xb32-100e-probe_nuscenes16.py', 0.02, 2.0),
    ('nuscenes/benchmarks/srunet_1xb32-100e-probe-scratch_nuscenes16.py', 2.0, 2.0),
    ('semantickitti/srunet_1xb10-100e-1pct_semantickitti19.py', 0.05, 0.05),
    ('semantickitti/benchmarks/srunet_1xb20-100e-1pct-pretrained_semantickitti19.py', 0.1, 4.0)])
def test_sgd_follows_a_cosine_of_a_hundred_epochs(name, encoder, head):
    found = rates(name, 100)
    assert found[0] == pytest.approx((encoder, head, 0.9))
    assert found[50] == pytest.approx((encoder / 2, head / 2, 0.9))
    assert found[-1][0] < 1e-3 * encoder


@pytest.mark.parametrize('path', SWEEPS, ids=lambda path: path.name)
def test_sweeps_name_recipes_and_options_that_there_are(path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / 'tools'))
    import _sweep_spec
    spec = _sweep_spec.read_spec(str(path))
    cells = _sweep_spec.make_cells(spec)
    assert len(cells) == len(spec['fractions']) * len(spec['variants']) * len(spec['seeds'])
    assert len({cell.fingerprint for cell in cells}) == len(cells)


def test_sweeps_and_recipes_were_found():
    assert {'lidarseg.yaml', 'street_lidarseg.yaml', 'one_percent.yaml'} <= {path.name for path in SWEEPS}
    assert len(RECIPES) > 15
