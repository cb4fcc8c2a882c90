"""The base config of cameras and its dataset, on a hand-made nuScenes that mmdet3d's converter has read."""
import shutil
import sys
from pathlib import Path

import camera_keyframe
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmdet3d.registry import DATASETS
from mmdet3d.structures import LiDARInstance3DBoxes
from pretrain3d.datasets import Pretrain3DDataPreprocessor
from pretrain3d.datasets.point_pixels import inside_image
from pretrain3d.label_spaces import get_label_space

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / 'configs' / '_base_' / 'datasets' / 'nuscenes_cameras.py'


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    folder = str(ROOT / 'tests' / 'converters')
    sys.path.append(folder)
    try:
        from nuscenes_tables import prepare, write_tables
    finally:
        sys.path.remove(folder)
    return prepare(write_tables(tmp_path_factory.mktemp('nuscenes')))


@pytest.fixture()
def config(root, monkeypatch):
    monkeypatch.setenv('PRETRAIN3D_NUSCENES', str(root))
    return Config.fromfile(str(CONFIG))


def build(cfg, loader='train_dataloader', **changes):
    return DATASETS.build(dict(cfg[loader].dataset, **changes))


def seen_pairs(sample):
    pairs = sample['inputs']['point_pixels'].numpy()
    return pairs[:, 0].astype(int), pairs[:, 1].astype(int), pairs[:, 2:]


def test_training_samples_hold_everything(config):
    dataset = build(config)
    assert len(dataset) == 6 and dataset.metainfo['version'] == 'v1.0-mini'
    np.random.seed(0)
    sample = dataset[1]
    inputs, labels = sample['inputs'], sample['data_samples']
    assert sorted(inputs) == ['img', 'point_pixel_depth', 'point_pixels', 'points']
    assert inputs['points'].shape == (530, 4) and 0 <= inputs['points'][:, 3].min() <= inputs['points'][:, 3].max() <= 1
    assert inputs['img'].shape == (6, 3, 224, 416)
    assert len(labels.gt_instances_3d.bboxes_3d) == len(labels.gt_instances_3d.labels_3d) == 3  # one has no points
    # lidarseg, in step with points: the drawn car is a car.
    space = get_label_space('nuScenes16')
    classes = labels.gt_pts_seg.pts_semantic_mask.numpy()
    assert classes.shape == (530, ) and (classes == 16).sum() == 10 + 30  # noise, and the police car has no class
    boxes = LiDARInstance3DBoxes(labels.gt_instances_3d.bboxes_3d.tensor[:, :7])
    inside = boxes.points_in_boxes_all(inputs['points'][:, :3])
    for name, box_class in (('car', 0), ('pedestrian', 7), ('barrier', 9)):
        column = inside[:, labels.gt_instances_3d.labels_3d == box_class].any(1).numpy()
        assert column[classes == space.index(name)].mean() > 0.95
    camera, row, pixel = seen_pairs(sample)
    assert len(row) > 50 and inside_image(pixel, (416, 224)).all() and row.max() < 530
    for number, matrix in enumerate(labels.metainfo['lidar2img']):
        own = camera == number
        moved = np.asarray(matrix) @ np.concatenate([inputs['points'][row[own], :3].double(), np.ones((own.sum(), 1))],
                                                    1).T
        assert np.abs(moved[:2].T / moved[2][:, None] - pixel[own]).max(initial=0) < 1e-3


def test_pairs_are_where_the_devkit_projects_the_points(config, root):
    from nuscenes import NuScenes
    tables = NuScenes(version='v1.0-mini', dataroot=str(root), verbose=False)
    dataset = build(config, 'val_dataloader')
    checked = 0
    for number in range(len(dataset)):
        sample = dataset[number]
        data = tables.get('sample', dataset.get_data_info(number)['token'])['data']
        table = {}
        for channel, token in data.items():
            frame = tables.get('sample_data', token)
            mount, ego = (tables.get(kind, frame[f'{kind}_token']) for kind in ('calibrated_sensor', 'ego_pose'))
            table[channel] = dict(mount, ego=ego)
        points = sample['inputs']['points'].double().numpy()
        camera, row, pixel = seen_pairs(sample)
        for place, name in enumerate(config.cameras):
            want, depth = camera_keyframe.devkit_pixels(points, table, name)
            own = camera == place
            # Test images are whole, resized from 160 x 90.
            assert np.abs(want[row[own]] * [416 / 160, 224 / 90] - pixel[own]).max(initial=0) < 1e-3
            assert np.abs(depth[row[own]] - sample['inputs']['point_pixel_depth'].numpy()[own]).max(initial=0) < 1e-4
            assert abs(int(own.sum()) - ((depth > 1) & inside_image(want, (160, 90))).sum()) <= 1
            checked += own.sum()
    assert checked > 300


def test_pretraining_needs_no_labels(config, root, tmp_path):
    """Neither label files nor boxes; the whole loader and the data preprocessor."""
    bare = tmp_path / 'nuscenes'
    shutil.copytree(root, bare, ignore=shutil.ignore_patterns('lidarseg', 'panoptic', 'sweeps', '*database*'))
    from pretrain3d.converters.nuscenes.extras import read_infos, write_infos
    infos = read_infos(bare / 'nuscenes_infos_train.pkl')
    for info in infos['data_list']:
        del info['instances']
    write_infos(bare / 'nuscenes_infos_train.pkl', infos)
    loader = Runner.build_dataloader(dict(
        config.train_dataloader, num_workers=0, persistent_workers=False, batch_size=3,
        dataset=dict(config.train_dataloader.dataset, data_root=str(bare), pipeline=config.pretrain_pipeline)), seed=1)
    batch = next(iter(loader))
    out = Pretrain3DDataPreprocessor(voxel_size=0.1, **config.image_norm)(batch, training=True)['inputs']
    assert out['imgs'].shape == (3, 6, 3, 224, 416) and -3 < out['imgs'].min() < out['imgs'].max() < 3
    assert len(out['point_pixels']) == 3 and all(pairs.shape[1] == 4 for pairs in out['point_pixels'])
    assert torch.equal(out['voxels']['coors'][:, 0].unique(), torch.arange(3, dtype=torch.int32))


def test_labels_that_are_loaded_must_be_there(config, root, tmp_path):
    from pretrain3d.converters.nuscenes.extras import read_infos, write_infos
    from pretrain3d.datasets.info_check import InfoFileError
    infos = read_infos(root / 'nuscenes_infos_train.pkl')
    del infos['data_list'][0]['pts_semantic_mask_path']
    write_infos(tmp_path / 'some.pkl', infos)
    assert len(build(config, ann_file=str(tmp_path / 'some.pkl'))) == 5
    for info in infos['data_list'][1:]:
        del info['pts_semantic_mask_path']
    write_infos(tmp_path / 'none.pkl', infos)
    with pytest.raises(InfoFileError, match='none.pkl names no label files.*nuscenes_extras.py'):
        build(config, ann_file=str(tmp_path / 'none.pkl'))
    assert len(build(config, ann_file=str(tmp_path / 'none.pkl'), pipeline=config.pretrain_pipeline)) == 6


def test_an_image_of_another_size_is_told(config, root, tmp_path):
    """Even where its middle is about that of the recorded one."""
    from PIL import Image
    other = tmp_path / 'nuscenes'
    shutil.copytree(root, other, ignore=shutil.ignore_patterns('panoptic', 'sweeps', '*database*'))
    dataset = build(config, data_root=str(other))
    Image.new('RGB', (150, 90)).save(dataset.get_data_info(0)['images']['CAM_BACK']['img_path'])
    with pytest.raises(ValueError, match='CAM_BACK.*recorded with 160 x 90 pixels.*the file has 150 x 90'):
        dataset[0]
    from pretrain3d.datasets.bad_samples import Policy, guard, read_records
    guard(dataset, Policy('skip', 1, str(tmp_path / 'noted')))
    path = dataset.get_data_info(0)['images']['CAM_BACK']['img_path']
    assert dataset[0] and next(iter(read_records(tmp_path / 'noted')))['files'] == [path]


def test_a_lost_image_follows_the_policy_of_bad_samples(config, root, tmp_path):
    from pretrain3d.datasets.bad_samples import Policy, guard, read_records
    broken = tmp_path / 'nuscenes'
    shutil.copytree(root, broken, ignore=shutil.ignore_patterns('panoptic', 'sweeps', '*database*'))
    for name, policy in (('raise', 'raise'), ('skip', 'skip')):
        dataset = build(config, data_root=str(broken))
        path = Path(dataset.get_data_info(2)['images']['CAM_BACK']['img_path'])
        path.unlink(missing_ok=True)
        folder = tmp_path / name
        guard(dataset, Policy(policy, 1, str(folder)))
        if policy == 'raise':
            with pytest.raises(FileNotFoundError, match=f'CAM_BACK|{path.name}'):
                dataset[2]
        else:
            assert dataset[2]['inputs']['img'].shape == (6, 3, 224, 416)
            record, = read_records(folder)
            assert record['files'] == [str(path)] and record['index'] == 2


def test_defaults_can_be_overruled(config):
    dataset = build(config, filter_empty_gt=True, scenes=['scene-1094'], pipeline=[],
                    modality=dict(use_lidar=True, use_camera=False))
    info = dataset.get_data_info(0)
    assert len(dataset) == 3 and dataset.filter_empty_gt and 'cam_instances' not in info
    assert Path(info['lidar_path']).is_file() and not Path(info['images']['CAM_BACK']['img_path']).is_file()
