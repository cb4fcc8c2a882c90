"""nuScenes for detection through its base config: boxes, sweeps, the release, fewer scenes, infos that do not fit."""
import pickle
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope

import pretrain3d  # noqa: F401
from mmdet3d.registry import DATASETS, METRICS, MODELS
from pretrain3d.datasets.info_check import InfoFileError
from pretrain3d.label_spaces import get_label_space

sys.path.append(str(Path(__file__).resolve().parents[1] / 'converters'))

from nuscenes_tables import OBJECTS, VERSION, prepare, write_tables  # noqa: E402


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return prepare(write_tables(tmp_path_factory.mktemp('nuscenes')))


@pytest.fixture()
def config(root, request, monkeypatch):
    init_default_scope('mmdet3d')
    monkeypatch.setenv('PRETRAIN3D_NUSCENES', str(root))
    return Config.fromfile(str(request.config.rootpath / 'configs' / '_base_' / 'datasets' / 'nuscenes_det.py'))


def build(cfg, split='train', **options):
    return DATASETS.build(dict(cfg[f'{split}_dataloader'].dataset, **options))


@pytest.mark.parametrize('split', ['train', 'val'])
def test_it_goes_into_mmdet3ds_preprocessor(config, split):
    data = build(config, split)
    assert len(data) == dict(train=6, val=3)[split] and list(data.metainfo['classes']) == list(
        get_label_space('nuScenesDet10').classes)
    preprocessor = MODELS.build(dict(type='Det3DDataPreprocessor', voxel=True, voxel_layer=dict(
        max_num_points=10, max_voxels=(9000, 9000), point_cloud_range=config.point_cloud_range,
        voxel_size=[0.1, 0.1, 0.2])))
    made = preprocessor(pseudo_collate([data[0], data[2]]), split == 'train')
    assert made['inputs']['points'][1].shape[1] == 5 and made['inputs']['voxels']['coors'][:, 0].max() == 1
    assert made['data_samples'][0].metainfo['domain'] == 'nuScenes'
    if split == 'train':
        boxes = made['data_samples'][0].gt_instances_3d
        assert set(boxes.labels_3d.tolist()) <= {0, 7, 9} and boxes.bboxes_3d.tensor.shape[1] == 9


def test_sweeps_carry_their_age(config):
    """The third keyframe of a scene has four earlier sweeps, 0.25 s apart."""
    made = build(config, 'val')[2]['inputs']['points']
    assert np.allclose(np.unique(made[:, 4].numpy().round(4)), [0, 0.25, 0.5, 0.75, 1])


@pytest.mark.parametrize('damage, error, message', [
    ('missing', FileNotFoundError, 'sweep file .*LIDAR_TOP__3.pcd.bin does not exist: complete the download'),
    ('torn', ValueError, 'sweep file .*LIDAR_TOP__3.pcd.bin does not hold whole points of 5'),
    ('bytes', ValueError, 'LIDAR_TOP__3.pcd.bin does not hold whole points of 5'),
    ('nan', ValueError, 'LIDAR_TOP__3.pcd.bin has points with NaN'), ('empty', None, '')])
def test_bad_sweeps_are_named_and_empty_ones_add_nothing(config, root, tmp_path, damage, error, message):
    shutil.copytree(root / 'sweeps' / 'LIDAR_TOP', tmp_path / 'sweeps')
    path = tmp_path / 'sweeps' / 'scene-0103__LIDAR_TOP__3.pcd.bin'
    points = np.fromfile(path, np.float32)
    if damage == 'missing':
        path.unlink()
    elif damage == 'bytes':
        path.write_bytes(path.read_bytes()[:-2])
    else:
        {'torn': points[:-3], 'nan': np.where(np.arange(len(points)) == 6, np.nan, points).astype(np.float32),
         'empty': points[:0]}[damage].tofile(path)
    data = build(config, 'val', data_prefix=dict(config.data_prefix, sweeps=str(tmp_path / 'sweeps')))
    if error is None:
        assert np.allclose(np.unique(data[2]['inputs']['points'][:, 4].numpy().round(4)), [0, 0.5, 0.75, 1])
        return
    with pytest.raises(error, match=message):
        data[2]


def test_the_release_is_the_infos_own(config, root):
    from mmdet3d.datasets import NuScenesDataset
    assert build(config).metainfo['version'] == VERSION
    stock = NuScenesDataset(str(root), 'nuscenes_infos_val.pkl', data_prefix=dict(config.data_prefix))
    assert stock.metainfo['version'] == 'v1.0-trainval'


def test_truth_fed_as_prediction_through_the_configs_own_metric(config, root):
    """mmdet3d's NuScenesMetric opens the devkit's tables of the infos' release: all classes that occur score 1."""
    from mmdet3d.structures import LiDARInstance3DBoxes
    data = build(config, 'val')
    metric = METRICS.build(dict(config.val_evaluator))
    metric.dataset_meta = data.metainfo
    for index in range(len(data)):
        truth = data.get_data_info(index)['eval_ann_info']
        keep = truth['gt_labels_3d'] >= 0
        boxes = LiDARInstance3DBoxes(truth['gt_bboxes_3d'].tensor[keep], box_dim=9)
        # mmdet3d gives what stands a class's usual attribute; that is not tested here.
        metric.process({}, [dict(pred_instances_3d=dict(
            bboxes_3d=boxes, scores_3d=torch.ones(len(boxes)), labels_3d=torch.as_tensor(truth['gt_labels_3d'][keep])),
            pred_instances=dict(), sample_idx=truth.get('sample_idx', data.get_data_info(index)['sample_idx']))])
    scores = metric.evaluate(len(data))
    names = {'vehicle.car': 'car', 'human.pedestrian.adult': 'pedestrian', 'movable_object.barrier': 'barrier'}
    for category, *_ in OBJECTS:
        if category in names:
            name = f'NuScenes metric/pred_instances_3d_NuScenes/{names[category]}_AP_dist_1.0'
            assert scores[name] == pytest.approx(1, abs=1e-3), scores


def test_a_detector_that_finds_nothing_scores_nothing(config):
    """nuscenes-devkit ends with "Invalid box type: None"."""
    from mmdet3d.structures import LiDARInstance3DBoxes
    data = build(config, 'val')
    nothing = dict(bboxes_3d=LiDARInstance3DBoxes(torch.zeros(0, 9), box_dim=9), scores_3d=torch.zeros(0),
                   labels_3d=torch.zeros(0, dtype=torch.long))
    for kind in ('NuScenesDevkitMetric', 'NuScenesMetric'):
        metric = METRICS.build(dict(config.val_evaluator, type=kind))
        metric.dataset_meta = data.metainfo
        for index in range(len(data)):
            metric.process({}, [dict(pred_instances_3d=nothing, pred_instances=dict(),
                                     sample_idx=data.get_data_info(index)['sample_idx'])])
        if kind == 'NuScenesMetric':
            with pytest.raises(Exception, match='Invalid box type'):
                metric.evaluate(len(data))
            continue
        scores = metric.evaluate(len(data))
        for name in ('mAP', 'NDS'):
            assert scores[f'NuScenes metric/pred_instances_3d_NuScenes/{name}'] == 0


def test_a_part_of_the_split_is_told(config):
    from mmdet3d.structures import LiDARInstance3DBoxes
    data = build(config, 'val', frames='50%')
    assert len(data) == 2
    metric = METRICS.build(config.val_evaluator)
    metric.dataset_meta = data.metainfo
    box = LiDARInstance3DBoxes(torch.tensor([[5., 0, 0, 4, 2, 2, 0, 0, 0]]), box_dim=9)
    for index in range(len(data)):
        metric.process({}, [dict(pred_instances_3d=dict(
            bboxes_3d=box, scores_3d=torch.ones(1), labels_3d=torch.zeros(1, dtype=torch.long)),
            pred_instances=dict(), sample_idx=data.get_data_info(index)['sample_idx'])])
    with pytest.raises(ValueError, match='validation split of v1.0-mini.*scores whole splits.*NuScenesInfoMetric'):
        metric.evaluate(len(data))


def test_instances_have_attributes_for_our_metric(config):
    info = build(config, 'val').get_data_info(0)
    assert [one['attribute_name'] for one in info['instances']] == [held[1] for held in OBJECTS]


def test_few_scenes_and_the_logged_counts(config):
    data = build(config, scenes='50%')
    assert {data.get_data_info(i)['scene_name'] for i in range(len(data))} == {'scene-0061'} and len(data) == 3
    assert data.num_ins_per_cat == [3, 0, 0, 0, 0, 0, 0, 3, 0, 3]
    assert len(build(config, frames='50%')) == 3
    assert len(build(config, scenes='50%', test_mode=True)) == 3


def test_scenes_of_single_images(config):
    data = build(config, scenes=['scene-1094'], load_type='mv_image_based', box_type_3d='Camera', pipeline=[],
                 modality=dict(use_lidar=False, use_camera=True))
    assert 0 < len(data) <= 18 and {data.get_data_info(i)['scene_name'] for i in range(len(data))} == {'scene-1094'}


def test_camera_sweeps_on_demand(config):
    assert 'camera_sweeps' not in build(config).get_data_info(1)
    assert len(build(config, camera_sweeps=True).get_data_info(1)['camera_sweeps']['CAM_BACK']) == 2


def edited(root, folder, change):
    held = pickle.loads((root / 'nuscenes_infos_train.pkl').read_bytes())
    change(held)
    (folder / 'infos.pkl').write_bytes(pickle.dumps(held))
    return str(folder / 'infos.pkl')


def test_other_class_order_is_refused(config, root, tmp_path):
    def swap(held):
        held['metainfo']['categories'].update(car=1, truck=0)
    with pytest.raises(InfoFileError, match="numbers its classes as .'truck', 'car'.*nuscenes.py"):
        build(config, ann_file=edited(root, tmp_path, swap))


def test_other_box_convention_is_refused(config, root, tmp_path):
    def old(held):
        for info in held['data_list']:
            for one in info['instances']:
                one['bbox_3d'][3:5] = one['bbox_3d'][4], one['bbox_3d'][3]
    with pytest.raises(InfoFileError, match='convention before mmdet3d 1.0'):
        build(config, ann_file=edited(root, tmp_path, old))


def test_infos_without_extras_do_but_for_scenes(config, root, tmp_path):
    def strip(held):
        for info in held['data_list']:
            for key in ('scene_name', 'scene_index', 'camera_sweeps'):
                del info[key]
    path = edited(root, tmp_path, strip)
    assert len(build(config, ann_file=path)) == 6
    with pytest.raises(InfoFileError, match='sample 0 does not say its scene'):
        build(config, ann_file=path, scenes='5%')
