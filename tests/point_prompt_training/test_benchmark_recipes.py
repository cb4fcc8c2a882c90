"""Recipes behind a joint training: what they take from its checkpoint, folds, sweeps, predictions by test.py."""
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

import pretrain3d  # noqa: F401
from mmdet3d.registry import MODELS
from pretrain3d.engine.weights import WeightsError
from pretrain3d.label_spaces import get_label_space

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / 'configs' / 'point_prompt_training'
PREDICT = FOLDER / 'benchmarks' / 'spunet_1xb4-rooms-predict_scans.py'
SCANNET, S3DIS, STRUCTURED3D = ('ScanNet', 'ScanNet20'), ('S3DIS', 'S3DIS13'), ('Structured3D', 'Structured3D25')
FINETUNING = [
    ('spunet_8xb3-120k_indoor', 'spunet_1xb12-800e-ppt_scannet20', *SCANNET),
    ('spunet_8xb3-120k_indoor', 'spunet_1xb12-800e-ppt-cosine_scannet20', *SCANNET),
    ('msc_spunet-ppt_8xb4-120k_indoor', 'spunet_1xb12-800e-ppt-backbone_scannet20', *SCANNET),
    ('msc_spunet-ppt_8xb4-120k_indoor', 'spunet_1xb12-600e-ppt-backbone_scannet200', 'ScanNet', 'ScanNet200'),
    ('msc_spunet-ppt_8xb4-120k_indoor', 'spunet_1xb12-3000e-ppt-backbone_s3dis', *S3DIS),
    ('msc_spunet-ppt_1xb4-rooms_indoor', 'spunet_1xb4-rooms-ppt-backbone_scannet20', *SCANNET),
    ('spunet_8xb3-120k_indoor', 'spunet_1xb12-600e-ppt_scannet200', 'ScanNet', 'ScanNet200'),
    ('spunet_8xb3-120k_indoor', 'spunet_1xb12-600e-ppt-linear_scannet200', 'ScanNet', 'ScanNet200'),
    ('spunet_8xb3-120k_indoor', 'spunet_1xb12-3000e-ppt_s3dis', *S3DIS),
    ('spunet_8xb3-120k_indoor', 'spunet_1xb12-3000e-ppt-fold_s3dis', *S3DIS),
    ('spunet_8xb3-120k_indoor', 'spunet_1xb12-100e-ppt_structured3d', *STRUCTURED3D),
    ('spunet_1xb4-rooms_indoor', 'spunet_1xb4-rooms-ppt_scannet20', *SCANNET),
    ('spunet_1xb4-rooms_indoor', 'spunet_1xb4-rooms-ppt_s3dis', *S3DIS),
    ('spunet_1xb4-rooms_indoor', 'spunet_1xb4-rooms-ppt_structured3d', *STRUCTURED3D)]


@pytest.fixture(autouse=True)
def words(monkeypatch):
    init_default_scope('mmdet3d')
    monkeypatch.setenv('PRETRAIN3D_TEXT_BANK', 'hashed-ngrams')


def recipe(name):
    return Config.fromfile(str(FOLDER / f'{name}.py'), import_custom_modules=False)


def parts(cfg):
    """Names, shapes and norms' eps of the network and the head, without memory."""
    found = {}
    for part in ('backbone', 'decode_head'):
        if part not in cfg.model:  # pre-training
            continue
        with torch.device('meta'):
            module = MODELS.build(cfg.model[part])
        found[part] = {name: value.shape for name, value in module.state_dict().items()}
        norms = {f'{name} eps': child.eps for name, child in module.named_modules() if hasattr(child, 'eps')}
        found[part].update(norms)
    return found


@pytest.mark.parametrize('joint, name, domain, space', FINETUNING, ids=[case[1] for case in FINETUNING])
def test_the_joint_model_holds_all_that_is_taken_from_it(joint, name, domain, space):
    first, second = recipe(joint), recipe(f'benchmarks/{name}')
    given, wanted = parts(first), parts(second)
    hooks = {hook['target']: hook for hook in second.custom_hooks if hook['type'] == 'WeightTransferHook'}
    fresh = 'backbone' in name or 'linear' in name
    assert sorted(hooks) == (['backbone'] if fresh else ['backbone', 'decode_head'])
    for part, hook in hooks.items():
        assert hook['source'] == part and hook['min_matched'] == 1 and f'/{joint}/' in hook['checkpoint']
        assert wanted[part].items() <= given[part].items()
        assert any(domain in key for key in wanted['backbone'])
    others = {'ScanNet', 'S3DIS', 'Structured3D'} - {domain}
    assert not any(f'.{other}' in key for key in wanted['backbone'] for other in others)
    assert second.model.decode_head.label_spaces == {domain: space}
    assert second.model.data_preprocessor.num_classes == get_label_space(space).num_classes
    for key in ('voxel_size', 'feature_dims'):
        assert second.model.data_preprocessor[key] == first.model.data_preprocessor[key]
    columns = second.tta_model.vector_columns
    assert columns == [6, 7, 8] and second.tta_pipeline == second.test_dataloader.dataset.pipeline


def test_the_schedule_that_the_paper_states():
    cfg = recipe('benchmarks/spunet_1xb12-800e-ppt-cosine_scannet20')
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.lr, optimizer.momentum, optimizer.weight_decay) == ('SGD', 0.5, 0.9, 1e-4)
    assert [(step.type, step.end) for step in cfg.param_scheduler] == [('LinearLR', 40), ('CosineAnnealingLR', 800)]
    assert cfg.train_cfg.max_epochs == 800 and cfg.train_dataloader.batch_size == 12


def test_folds_keep_their_area_for_testing(monkeypatch):
    """In joint training and fine-tuning; only a test writes counts."""
    for area in range(1, 7):
        monkeypatch.setenv('PRETRAIN3D_S3DIS_AREA', str(area))
        cfg = recipe('benchmarks/spunet_1xb12-3000e-ppt-fold_s3dis')
        others = [other for other in range(1, 7) if other != area]
        assert cfg.train_dataloader.dataset.areas == others and cfg.test_dataloader.dataset.areas == [area]
        assert cfg.val_dataloader.dataset.areas == [area]
        assert cfg.test_evaluator.dump.endswith(f'/area{area}.json') and 'dump' not in cfg.val_evaluator
        joint = recipe('spunet_8xb3-120k_indoor')
        for split, wanted in (('train', others), ('val', [area]), ('test', [area])):
            found = [one.areas for one in joint[f'{split}_dataloader'].dataset.datasets if 'areas' in one]
            assert found == [wanted]


@pytest.mark.parametrize('name', ['finetune', 'rooms_finetune', 's3dis_six_fold', 'scannet_la', 'scannet_la_official',
                                  'scannet_lr', 'scannet_lr_official'])
def test_sweeps_can_be_read(name, monkeypatch):
    path = FOLDER / 'benchmarks' / f'{name}.yaml'
    monkeypatch.syspath_prepend(str(ROOT / 'tools'))
    monkeypatch.setenv('PRETRAIN3D_TASKS', '/data/tasks')
    from _sweep_spec import make_cells, read_spec
    spec = read_spec(str(path))
    cells = make_cells(spec)
    assert len({cell.folder for cell in cells}) == len(cells) >= 6
    if 'official' in path.name:
        assert all('/data/tasks/' in cell.config and 'limit_seed' not in cell.config for cell in cells)
    if path.name == 's3dis_six_fold.yaml':
        assert [cell.env['PRETRAIN3D_S3DIS_AREA'] for cell in cells] == list('123456')
        assert len({cell.env['PRETRAIN3D_CHECKPOINT'] for cell in cells}) == 6
    if path.name.startswith('scannet_l'):
        assert len(spec['fractions']) == 4 and set(spec['variants']) == {'scratch', 'pretrained'}


@pytest.fixture(scope='module')
def scans(tmp_path_factory):
    """Two scans without labels in files of two kinds, and a checkpoint."""
    init_default_scope('mmdet3d')
    folder = tmp_path_factory.mktemp('scans')
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 2, (300, 9)).astype(np.float32)
    points[:, 3:6] *= 100
    points[:, 6:] = (0, 0, 1)
    (folder / 'in').mkdir()
    np.save(folder / 'in' / 'scene0001_00_vh_clean_2.npy', points)
    points[:200].tofile(folder / 'in' / 'scene0002_00.bin')
    torch.manual_seed(0)
    model = MODELS.build(recipe('spunet_1xb4-rooms_indoor').model)
    torch.save(dict(state_dict=model.state_dict(), meta={}), folder / 'joint.pth')
    return folder


def in_process(folder, monkeypatch, domain, out):
    """The config of predictions as test.py would run it."""
    monkeypatch.setenv('PRETRAIN3D_DOMAIN', domain)
    monkeypatch.setenv('PRETRAIN3D_SCANS', str(folder / 'in'))
    monkeypatch.setenv('PRETRAIN3D_PREDICTIONS', str(folder / out))
    cfg = Config.fromfile(str(PREDICT))
    cfg.work_dir, cfg.load_from = str(folder / 'work'), str(folder / 'joint.pth')
    cfg.test_dataloader.update(num_workers=0, persistent_workers=False)
    cfg.visualizer = dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')])
    cfg.experiment_name = f'predict-{out}-{os.getpid()}'
    return cfg


@pytest.mark.parametrize('domain, space', [SCANNET, S3DIS])
def test_predictions_are_in_the_classes_of_the_domain(scans, domain, space, monkeypatch):
    cfg = in_process(scans, monkeypatch, domain, domain)
    assert Runner.from_cfg(cfg).test() == dict(predictions=2)
    found = {path.name: np.load(path) for path in (scans / domain).iterdir()}
    assert {name: len(classes) for name, classes in found.items()} == {'scene0001_00.npy': 300, 'scene0002_00.npy': 200}
    assert max(classes.max() for classes in found.values()) < get_label_space(space).num_classes


def test_an_unknown_domain_is_told_the_known_ones(scans, monkeypatch):
    cfg = in_process(scans, monkeypatch, 'S3DI', 'none')
    with pytest.raises(ValueError, match="'S3DI'.*S3DIS.*Structured3D, ScanNet, S3DIS"):
        Runner.from_cfg(cfg).test()
    assert not (scans / 'none').exists()


def test_a_domain_that_the_checkpoint_has_not_is_refused(scans, monkeypatch):
    """Of a joint training on other data sets: mmengine would predict with prompts as they were drawn."""
    cfg = in_process(scans, monkeypatch, 'S3DIS', 'none')
    joint = torch.load(scans / 'joint.pth')
    joint['state_dict'] = {key: value for key, value in joint['state_dict'].items() if '.S3DIS' not in key}
    torch.save(joint, scans / 'two.pth')
    cfg.load_from = str(scans / 'two.pth')
    with pytest.raises(ValueError, match='nothing of the domain S3DIS.*has Structured3D, ScanNet$'):
        Runner.from_cfg(cfg).test()


def fine_tuning(drawn_s3dis, scans, monkeypatch, checkpoint, name='spunet_1xb4-rooms-ppt_s3dis', **options):
    """A step of a recipe for S3DIS, from a joint checkpoint, as train.py would run it."""
    monkeypatch.setenv('PRETRAIN3D_S3DIS', str(drawn_s3dis.converted))
    monkeypatch.setenv('PRETRAIN3D_CHECKPOINT', str(checkpoint))
    cfg = Config.fromfile(str(FOLDER / 'benchmarks' / f'{name}.py'))
    cfg.merge_from_dict({
        'work_dir': str(scans / 'tuned'), 'experiment_name': f'{name}-{len(options)}-{os.getpid()}',
        'train_cfg.max_iters': 1, 'train_cfg.val_interval': 2, 'default_hooks.checkpoint.interval': 1,
        'optim_wrapper.optimizer': dict(type='SGD', lr=0., _delete_=True), 'param_scheduler': [],
        'visualizer': dict(type='Visualizer', vis_backends=[], _delete_=True), **options})
    for name in ('train', 'val', 'test'):
        cfg[f'{name}_dataloader'].update(num_workers=0, persistent_workers=False)
    return cfg


def test_fine_tuning_begins_with_the_joint_model(drawn_s3dis, scans, monkeypatch):
    """A step without a rate: the weights are the joint model's, statistics move on; a test takes them as they are."""
    Runner.from_cfg(fine_tuning(drawn_s3dis, scans, monkeypatch, scans / 'joint.pth')).train()
    joint, tuned = (torch.load(path)['state_dict'] for path in (scans / 'joint.pth', scans / 'tuned' / 'iter_1.pth'))
    moved = {key for key, value in tuned.items() if not torch.equal(value, joint[key])}
    assert moved and all('.statistics.S3DIS.' in key for key in moved)
    assert any('.prompts.vectors.S3DIS' in key for key in tuned) and not any('ScanNet' in key for key in tuned)
    runner = Runner.from_cfg(fine_tuning(drawn_s3dis, scans, monkeypatch, '/nowhere.pth',
                                         load_from=str(scans / 'tuned' / 'iter_1.pth')))
    assert 0 <= runner.test()['miou/vertex'] <= 1
    assert all(torch.equal(value, tuned[key]) for key, value in runner.model.state_dict().items())


def test_fine_tuning_of_a_data_set_that_the_joint_model_has_not(drawn_s3dis, scans, monkeypatch):
    """A step without a rate: the new domain's prompt is the mean of the others, its statistics move on from theirs; all
    else is the joint model's. Without new_domains the recipe ends, and says that they would mend it."""
    joint = torch.load(scans / 'joint.pth')['state_dict']
    joint = {key: value for key, value in joint.items() if '.S3DIS' not in key}
    torch.save(dict(state_dict=joint), scans / 'without.pth')
    name = 'spunet_1xb4-rooms-ppt-new_s3dis'
    cfg = fine_tuning(drawn_s3dis, scans, monkeypatch, scans / 'without.pth', name, work_dir=str(scans / 'new'))
    hook = next(each for each in cfg.custom_hooks if 'new_domains' in each)
    assert hook.new_domains == dict(S3DIS='mean') and hook.min_matched == 1
    Runner.from_cfg(cfg).train()
    tuned = torch.load(scans / 'new' / 'iter_1.pth')['state_dict']
    vectors = [joint.pop(f'backbone.prompts.vectors.{other}') for other in ('Structured3D', 'ScanNet')]
    assert torch.equal(tuned.pop('backbone.prompts.vectors.S3DIS'), torch.stack(vectors).mean(0))
    assert all('.statistics.S3DIS.' in key for key in tuned if key not in joint)
    assert all(torch.equal(value, joint[key]) for key, value in tuned.items() if key in joint)
    monkeypatch.setenv('PRETRAIN3D_LIKE', 'ScanNet')
    assert recipe(f'benchmarks/{name}').custom_hooks[-2].new_domains == dict(S3DIS='ScanNet')
    cfg = fine_tuning(drawn_s3dis, scans, monkeypatch, scans / 'without.pth')
    with pytest.raises(WeightsError, match="nothing of the domain S3DIS: new_domains={'S3DIS': 'mean'}"):
        Runner.from_cfg(cfg).train()


def test_test_py_votes_and_writes_a_submission(scans, monkeypatch):
    """mmdet3d's own script with --tta; the ids that it writes are those of the voted classes."""
    env = dict(os.environ, PRETRAIN3D_SCANS=str(scans / 'in'), PRETRAIN3D_PREDICTIONS=str(scans / 'submission'),
               OMP_NUM_THREADS='1')
    done = subprocess.run(
        [sys.executable, str(ROOT / 'tools' / 'test.py'), str(PREDICT), str(scans / 'joint.pth'), '--tta', '--work-dir',
         str(scans / 'work'), '--cfg-options', 'test_evaluator.form=txt', 'tta_model.augmentations=s3dis',
         'test_dataloader.num_workers=0', 'test_dataloader.persistent_workers=False'],
        env=env, capture_output=True, text=True, cwd=scans)
    assert done.returncode == 0, done.stderr[-3000:]
    space = get_label_space('ScanNet20')
    cfg = in_process(scans, monkeypatch, 'ScanNet', 'voted')
    cfg.model = dict(type='FragmentVoting', module=cfg.model, augmentations='s3dis', vector_columns=[6, 7, 8])
    Runner.from_cfg(cfg).test()
    for name, size in (('scene0001_00', 300), ('scene0002_00', 200)):
        ids = np.loadtxt(scans / 'submission' / f'{name}.txt', dtype=int)
        assert ids.shape == (size, ) and set(ids) <= set(space.metainfo()['seg_valid_class_ids'])
        np.testing.assert_array_equal(space.map_raw(ids), np.load(scans / 'voted' / f'{name}.npy'))
