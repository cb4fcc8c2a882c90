import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import ConcatDataset, RepeatDataset
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from mmdet3d.registry import DATASETS, MODELS
from pretrain3d.datasets.info_check import InfoFileError
from pretrain3d.engine.hooks import input_check
from pretrain3d.engine.hooks.input_check import InputCheckHook, leaf_configs, leaf_datasets

VARIABLE = 'PRETRAIN3D_REFERENCE_MMDET3D'
REFERENCE = Path(os.environ.get(VARIABLE, 'unset'), 'tests', 'data', 'nuscenes', 'nus_info.pkl')


@MODELS.register_module(force=True)
class NothingToLearn(BaseModel):
    trained = 0
    processor = None

    def __init__(self):
        super().__init__(data_preprocessor=self.processor)
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, inputs, data_samples=None, mode='tensor'):
        NothingToLearn.trained += 1
        return dict(loss=self.weight.sum())


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmdet3d'):
        NothingToLearn.trained = 0
        yield
        input_check._waiting.clear()


def box(label, length, width):
    return dict(bbox_label_3d=label, bbox_label=label, bbox_3d=[5., 0, 0, length, width, 1.5, 0.3],
                velocity=[0., 0.], bbox_3d_isvalid=True, num_lidar_pts=9)


def write_frames(root, count=2, boxes=None, **sample):
    boxes = [box(0, 4.5, 1.8)] * 3 if boxes is None else boxes
    data_list = []
    for i in range(count):
        np.random.rand(20, 5).astype(np.float32).tofile(root / f'{i}.bin')
        data_list.append(dict(lidar_points=dict(lidar_path=f'{i}.bin', num_pts_feats=5), instances=boxes,
                              token=str(i), images={}, **sample))
    data = dict(metainfo=dict(categories=dict(car=0, truck=1)), data_list=data_list)
    (root / 'infos.pkl').write_bytes(pickle.dumps(data))


def dataset(root, **kwargs):
    return dict(type='NuScenesDataset', data_root=str(root), ann_file='infos.pkl', data_prefix=dict(pts='', img=''),
                metainfo=dict(classes=['car', 'truck']), box_type_3d='LiDAR', pipeline=[
                    dict(type='LoadPointsFromFile', coord_type='LIDAR', load_dim=5, use_dim=4),
                    dict(type='LoadAnnotations3D', with_bbox_3d=True, with_label_3d=True),
                    dict(type='Pack3DDetInputs', keys=['points', 'gt_bboxes_3d', 'gt_labels_3d'])], **kwargs)


def run(root, data, **options):
    """Train through mmengine's Runner with the hook, as mmdet3d's train.py does."""
    cfg = Config(dict(
        model=dict(type='NothingToLearn'), work_dir=str(root / 'work'), default_scope='mmdet3d',
        train_dataloader=dict(
            dataset=data, sampler=dict(type='DefaultSampler', shuffle=False), batch_size=1, num_workers=0),
        train_cfg=dict(by_epoch=True, max_epochs=1), optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.)),
        default_hooks=dict(checkpoint=None), custom_hooks=[dict(type='InputCheckHook', **options)],
        experiment_name=f'check-{root.name}', log_level='WARNING'))
    Runner.from_cfg(cfg).train()


def test_good_data_trains(tmp_path):
    write_frames(tmp_path)
    run(tmp_path, dataset(tmp_path))
    assert NothingToLearn.trained == 2 and not input_check._waiting


@pytest.mark.parametrize('wrap', [
    lambda data: data, lambda data: dict(type='RepeatDataset', times=2, dataset=data),
    lambda data: dict(type='ConcatDataset', datasets=[data, data]),
    lambda data: dict(type='CBGSDataset', dataset=data)])
def test_a_missing_file_stops_the_run_before_training(tmp_path, wrap):
    boxes = [box(0, 4.5, 1.8)] * 3 + [box(1, 9., 2.5)]
    write_frames(tmp_path, boxes=boxes)
    os.remove(tmp_path / '1.bin')
    with pytest.raises(InfoFileError, match='NuScenesDataset.*missing, the first is .*1.bin'):
        run(tmp_path, wrap(dataset(tmp_path)))
    assert not NothingToLearn.trained


def test_old_boxes(tmp_path):
    write_frames(tmp_path, boxes=[box(0, 1.8, 4.5)] * 3)
    with pytest.raises(InfoFileError, match='infos.pkl.*width first'):
        run(tmp_path, dict(type='RepeatDataset', times=2, dataset=dataset(tmp_path)))


def test_old_format(tmp_path):
    (tmp_path / 'infos.pkl').write_bytes(pickle.dumps([dict()]))
    with pytest.raises(InfoFileError, match='infos.pkl.*update_infos_to_v2.py'):
        run(tmp_path, dataset(tmp_path))


def test_unknown_class(tmp_path):
    write_frames(tmp_path)
    with pytest.raises(InfoFileError, match="NuScenesDataset, metainfo.classes: unknown class 'trucks'.*'truck'"):
        run(tmp_path, {**dataset(tmp_path), 'metainfo': dict(classes=['car', 'trucks'])})


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path, )


def test_code_in_the_info_file_never_runs(tmp_path):
    mark = tmp_path / 'mark'
    write_frames(tmp_path, extra=Evil(str(mark)))
    with pytest.raises(InfoFileError, match='refused.*mkdir'):
        run(tmp_path, dataset(tmp_path))
    assert not mark.exists()


@pytest.mark.parametrize('name', ['infos.pickle', 'infos.txt'])
def test_only_files_that_are_checked_are_loaded(tmp_path, name):
    mark = tmp_path / 'mark'
    write_frames(tmp_path, extra=Evil(str(mark)))
    os.rename(tmp_path / 'infos.pkl', tmp_path / name)
    with pytest.raises(InfoFileError, match=name):
        run(tmp_path, {**dataset(tmp_path), 'ann_file': name})
    assert not mark.exists()


def test_a_batch_without_points_is_named(tmp_path):
    write_frames(tmp_path)
    far = dataset(tmp_path)
    far['pipeline'].insert(2, dict(type='PointsRangeFilter', point_cloud_range=[50, 50, 0, 60, 60, 1]))
    with pytest.raises(ValueError, match=r'no point is left of .*0.bin: check the units.*point_cloud_range'):
        run(tmp_path, far)
    assert not NothingToLearn.trained
    NothingToLearn.processor = dict(type='Pretrain3DDataPreprocessor', voxel_size=1.)
    try:
        run(tmp_path, far)
    finally:
        NothingToLearn.processor = None
    assert NothingToLearn.trained == 2


def test_validation_data_is_checked_too(tmp_path):
    write_frames(tmp_path)
    hook = InputCheckHook()
    with pytest.raises(InfoFileError, match='other.pkl does not exist'):
        Runner.build_dataloader(dict(dataset={**dataset(tmp_path), 'ann_file': 'other.pkl'},
                                     sampler=dict(type='DefaultSampler'), batch_size=1))
    assert hook in input_check._waiting


def test_fewer_samples_and_no_hook(tmp_path):
    write_frames(tmp_path, 3)
    os.remove(tmp_path / '1.bin')
    built = DATASETS.build(dataset(tmp_path))
    InputCheckHook(num_samples=0).check_files(built)
    InputCheckHook(num_samples=2).check_files(built)  # the first and the last
    with pytest.raises(InfoFileError):
        InputCheckHook(num_samples=3).check_files(built)
    input_check._waiting.clear()
    Runner.build_dataloader(dict(dataset={**dataset(tmp_path), 'metainfo': dict(classes=['car'])},
                                 sampler=dict(type='DefaultSampler'), batch_size=1))


def test_masks_and_images_only_where_the_pipeline_loads_them(tmp_path):
    write_frames(tmp_path, 1)
    data = pickle.loads((tmp_path / 'infos.pkl').read_bytes())
    data['data_list'][0].update(pts_semantic_mask_path='mask.bin', images=dict(CAM=dict(img_path='a.jpg')))
    (tmp_path / 'infos.pkl').write_bytes(pickle.dumps(data))
    both = dict(modality=dict(use_lidar=True, use_camera=True))
    InputCheckHook().check_files(DATASETS.build(dataset(tmp_path, **both)))
    with_images = dataset(tmp_path, **both)
    with_images['pipeline'].insert(1, dict(type='LoadMultiViewImageFromFiles'))
    with pytest.raises(InfoFileError, match='a.jpg'):
        InputCheckHook().check_files(DATASETS.build(with_images))
    with_masks = dataset(tmp_path)
    with_masks['pipeline'][1]['with_seg_3d'] = True
    with pytest.raises(InfoFileError, match='mask.bin'):
        InputCheckHook().check_files(DATASETS.build(with_masks))


def test_wrappers(tmp_path):
    write_frames(tmp_path)
    one = DATASETS.build(dataset(tmp_path))
    assert list(leaf_datasets(ConcatDataset([one, one]))) == [one, one]
    assert list(leaf_datasets(RepeatDataset(one, 2))) == [one] == list(leaf_datasets(one))
    nested = dict(type='RepeatDataset', dataset=dict(type='ConcatDataset', datasets=[dict(type='A'), dict(type='B')]))
    assert [leaf['type'] for leaf in leaf_configs(nested)] == ['A', 'B']


@pytest.mark.skipif(not REFERENCE.is_file(), reason=f'set {VARIABLE} to a checkout of mmdetection3d for its test data')
def test_mmdet3ds_own_example_of_old_boxes(tmp_path):
    shutil.copy(REFERENCE, tmp_path / 'infos.pkl')
    with pytest.raises(InfoFileError, match='width first'):
        run(tmp_path, dataset(tmp_path))


def test_a_list_that_passes_the_check_and_that_mmdet3d_cannot_read_is_named(tmp_path):
    short = dict(box(0, 4.5, 1.8), bbox_3d=[5., 0, 0, 4, 2, 1.5])
    write_frames(tmp_path, boxes=[box(0, 4.5, 1.8), short])
    with pytest.raises(InfoFileError, match='NuScenesDataset cannot be made of info file .*infos.pkl .ValueError'):
        run(tmp_path, dataset(tmp_path))
    (tmp_path / 'whole').mkdir()
    write_frames(tmp_path / 'whole')
    broken = dataset(tmp_path / 'whole')
    broken['pipeline'][0]['load_dims'] = 5
    with pytest.raises(TypeError, match='load_dims'):  # no fault of the list
        run(tmp_path / 'whole', broken)
