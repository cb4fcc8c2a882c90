import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from mmdet3d.registry import HOOKS, MODELS
from pretrain3d.datasets.bad_samples import BadSampleError, Policy, file_names
from pretrain3d.engine.hooks.bad_samples import BadSampleHook, describe_skipped

COUNT = 12


@MODELS.register_module(force=True)
class PointSum(BaseModel):

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return dict(loss=self.weight.sum()) if mode == 'loss' else data_samples


@HOOKS.register_module(force=True)
class SeenHook(Hook):
    seen = []

    def _before_iter(self, runner, batch_idx, data_batch=None, mode='train'):
        SeenHook.seen += [(Path(sample.metainfo['lidar_path']).stem, float(points.sum()))
                          for points, sample in zip(data_batch['inputs']['points'], data_batch['data_samples'])]


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmdet3d'):
        SeenHook.seen = []
        yield


def write_frames(root, cut=(), without_boxes=()):
    box = dict(bbox_label_3d=0, bbox_label=0, bbox_3d=[5., 0, 0, 4, 2, 1.5, 0.3], velocity=[0., 0.],
               bbox_3d_isvalid=True, num_lidar_pts=9)
    data_list = []
    for i in range(COUNT):
        points = np.random.default_rng(i).random((20, 5), np.float32).tobytes()
        (root / f'{i}.bin').write_bytes(points[:-3] if i in cut else points)
        data_list.append(dict(lidar_points=dict(lidar_path=f'{i}.bin', num_pts_feats=5), token=str(i), images={},
                              instances=[] if i in without_boxes else [box]))
    (root / 'infos.pkl').write_bytes(pickle.dumps(dict(metainfo=dict(categories=dict(car=0)), data_list=data_list)))


def loader(root, workers=0, sampler='SeededSampler', loading='LoadPointsFromFile', wrap=None, **kwargs):
    dataset = dict(type='NuScenesDataset', data_root=str(root), ann_file='infos.pkl', data_prefix=dict(pts='', img=''),
                   metainfo=dict(classes=['car']), box_type_3d='LiDAR', pipeline=[
                       dict(type=loading, coord_type='LIDAR', load_dim=5, use_dim=4),
                       dict(type='LoadAnnotations3D', with_bbox_3d=True, with_label_3d=True),
                       dict(type='GlobalRotScaleTrans'),
                       dict(type='Pack3DDetInputs', keys=['points', 'gt_bboxes_3d', 'gt_labels_3d'],
                            meta_keys=['lidar_path'])], **kwargs)
    if wrap:
        dataset = dict(type=wrap, dataset=dataset, **(dict(times=1) if wrap == 'RepeatDataset' else {}))
    return dict(dataset=dataset, sampler=dict(type=sampler), batch_size=2, num_workers=workers)


def run(root, data, by_iterations=False, **options):
    cfg = Config(dict(
        model=dict(type='PointSum'), work_dir=str(root / 'work'), default_scope='mmdet3d', train_dataloader=data,
        train_cfg=dict(by_epoch=False, max_iters=8) if by_iterations else dict(by_epoch=True, max_epochs=1),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.)), randomness=dict(seed=3),
        default_hooks=dict(checkpoint=None, bad_samples=dict(type='BadSampleHook', **options)),
        custom_hooks=[dict(type='SeenHook')], experiment_name=f'bad-{root.name}-{len(SeenHook.seen)}',
        log_level='WARNING'))
    SeenHook.seen.clear()
    runner = Runner.from_cfg(cfg)
    try:
        runner.train()
    finally:
        run.folder = Path(runner.log_dir) / 'bad_samples'
    return list(SeenHook.seen)


@pytest.mark.parametrize('by_iterations, workers, wrap', [
    (False, 0, None), (True, 0, None), (True, 1, None), (False, 0, 'RepeatDataset'),
    (False, 0, 'CBGSDataset')])
def test_a_file_that_stock_mmdet3d_cannot_read_is_named(tmp_path, by_iterations, workers, wrap):
    write_frames(tmp_path, cut=range(COUNT) if wrap == 'CBGSDataset' else [7])  # it leaves some out
    sampler = 'SeededInfiniteSampler' if by_iterations else 'SeededSampler'
    with pytest.raises(ValueError, match=r'/\d+\.bin: ValueError: buffer size must be a multiple'):
        run(tmp_path, loader(tmp_path, workers, sampler, wrap=wrap), by_iterations)


def test_an_error_that_names_the_file_is_left_alone(tmp_path):
    write_frames(tmp_path, cut=[7])
    with pytest.raises(ValueError, match='^point file .*7.bin has 397 bytes') as error:
        run(tmp_path, loader(tmp_path, loading='LoadPointsChecked'))
    assert not isinstance(error.value, BadSampleError)


def test_a_sample_without_a_file_name_is_told_by_its_place(tmp_path):
    write_frames(tmp_path)
    infos = pickle.loads((tmp_path / 'infos.pkl').read_bytes())
    infos['data_list'][7]['lidar_points']['lidar_path'] = ''
    (tmp_path / 'infos.pkl').write_bytes(pickle.dumps(infos))
    with pytest.raises(BadSampleError, match=r'sample 7 of .*infos.pkl, '):
        run(tmp_path, loader(tmp_path))


def test_the_replacement_depends_on_the_draw_alone(tmp_path):
    write_frames(tmp_path)
    whole = run(tmp_path, loader(tmp_path), on_bad_sample='skip')
    assert len({name for name, _ in whole}) == COUNT and not run.folder.exists()
    write_frames(tmp_path, cut=[2, 7, 8])
    runs = [run(tmp_path, loader(tmp_path, workers), on_bad_sample='skip', max_bad=3) for workers in (0, 2)]
    assert runs[0] == runs[1]
    differ = [new for old, new in zip(whole, runs[0]) if old != new]
    assert len(runs[0]) == COUNT and len(differ) == 3  # all others are as they were, augmentation included
    assert not {name for name, _ in runs[0]} & {'2', '7', '8'}
    own = dict(whole)
    assert all(own[name] != total for name, total in differ)  # a replacement is drawn with a seed of its own


def test_how_a_reading_failed_does_not_matter(tmp_path):
    write_frames(tmp_path, cut=[2])
    first = run(tmp_path, loader(tmp_path), on_bad_sample='skip')
    (tmp_path / '2.bin').unlink()
    assert run(tmp_path, loader(tmp_path), on_bad_sample='skip') == first


def test_with_stock_samplers_and_worker_processes_files_are_skipped_too(tmp_path, capfd):
    write_frames(tmp_path, cut=[2])
    seen = run(tmp_path, loader(tmp_path, 2, 'DefaultSampler'), on_bad_sample='skip')
    assert len(seen) == COUNT and '2' not in {name for name, _ in seen}
    assert f'1 x {tmp_path}/2.bin: ValueError: buffer size' in describe_skipped(run.folder)
    assert f'1 x {tmp_path}/2.bin' in capfd.readouterr().err + ''.join(
        path.read_text() for path in run.folder.parent.glob('*.log'))


def test_the_ceiling_ends_the_run(tmp_path):
    write_frames(tmp_path, cut=[2, 7])
    with pytest.raises(BadSampleError, match=r'2 of 12 samples of .*infos.pkl cannot be read.*allows 1 .*\d.bin'):
        run(tmp_path, loader(tmp_path), on_bad_sample='skip')
    with pytest.raises(BadSampleError, match='2 of 12'):  # counted over processes
        run(tmp_path, loader(tmp_path, 2), on_bad_sample='skip', max_bad=1)
    # One bad file that is drawn again and again is one.
    write_frames(tmp_path, cut=[2])
    run(tmp_path, dict(loader(tmp_path, sampler='SeededInfiniteSampler'), batch_size=6), True, on_bad_sample='skip')
    assert '4 x' in describe_skipped(run.folder)


def test_a_broken_pipeline_does_not_skip_for_ever(tmp_path):
    write_frames(tmp_path, cut=range(COUNT))
    with pytest.raises(BadSampleError, match='21 samples in a row cannot be read, the last one is .*bin'):
        run(tmp_path, loader(tmp_path), on_bad_sample='skip', max_bad=COUNT)


def test_frames_without_boxes_are_counted_and_replaced_as_ever(tmp_path):
    write_frames(tmp_path, without_boxes=[2, 3])
    guarded = run(tmp_path, loader(tmp_path))
    assert len(guarded) == COUNT and not {'2', '3'} & {name for name, _ in guarded}
    report = describe_skipped(run.folder)
    assert 'infos.pkl gave nothing to learn from' in report and int(report.split()[0]) >= 2

    from pretrain3d.datasets import bad_samples
    from pretrain3d.engine.hooks import bad_samples as hook
    keep, hook.guard = hook.guard, lambda *_: None
    try:
        assert run(tmp_path, loader(tmp_path)) == guarded  # as mmengine replaces them
    finally:
        hook.guard = keep
    assert hook.guard is bad_samples.guard


def test_frames_without_boxes_only_are_an_error(tmp_path):
    write_frames(tmp_path, without_boxes=range(COUNT))
    with pytest.raises(BadSampleError, match=r'4 samples in a row .*infos.pkl have nothing to learn from.*\.bin'):
        run(tmp_path, loader(tmp_path, max_refetch=3))


def test_testing_never_skips(tmp_path):
    write_frames(tmp_path, cut=[7])
    from mmdet3d.registry import DATASETS
    from pretrain3d.datasets.bad_samples import guard
    config = loader(tmp_path)['dataset']
    built = DATASETS.build(dict(config, test_mode=True, pipeline=config['pipeline'][::3]))
    guard(built, Policy('skip', 5, str(tmp_path / 'bad')))
    copy = pickle.loads(pickle.dumps(built))  # what a spawned worker gets
    assert copy[6] is not None and copy.prepare_data.dataset is copy
    with pytest.raises(BadSampleError, match='7.bin'):
        copy[7]


def test_a_full_disk_is_no_samples_fault(tmp_path):
    write_frames(tmp_path)
    from mmdet3d.registry import DATASETS
    from pretrain3d.datasets.bad_samples import guard
    built = DATASETS.build(loader(tmp_path)['dataset'])

    def full(data):
        raise OSError(28, 'No space left on device')

    built.pipeline.transforms.insert(0, full)
    guard(built, Policy('skip', 5, str(tmp_path / 'bad')))
    with pytest.raises(OSError, match='No space'):
        built[0]


def test_options_and_report():
    for wrong in (dict(on_bad_sample='ignore'), dict(max_bad=-1)):
        with pytest.raises(ValueError, match=list(wrong)[0]):
            BadSampleHook(**wrong)
    assert [Policy('skip', share, '').limit(1000) for share in (0, 0.01, 0.0001, 1, 7)] == [0, 10, 1, 1, 7]
    info = dict(lidar_path='a', lidar_points=dict(lidar_path='a'), images=dict(c=dict(img_path='b')), token='t',
                lidar_sweeps=[dict(lidar_points=dict(lidar_path='c'))], path=3)
    assert sorted(file_names(info)) == ['a', 'b', 'c']


def test_torn_records_are_passed_over(tmp_path):
    entry = json.dumps(dict(index=1, list='l', files=['f'], error='E: x'))
    (tmp_path / 'rank0.a.1.jsonl').write_text(f'{entry}\n{entry}\n{entry[:-4]}')
    (tmp_path / 'rank1.a.2.jsonl').write_text(f'{entry}\n3\n')
    assert '3 x f: E: x' in describe_skipped(tmp_path)
    shutil.rmtree(tmp_path)
    assert describe_skipped(tmp_path) is None


