"""Waymo through its base config into the data preprocessor: labels, strengths, shares, the box of far points."""
import importlib
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from outdoor_files import write_waymo

import pretrain3d  # noqa: F401
from mmdet3d.registry import DATASETS, METRICS, MODELS
from mmdet3d.structures import PointData
from pretrain3d.converters.waymo.infos import entry, write_infos
from pretrain3d.datasets.info_check import InfoFileError
from pretrain3d.label_spaces import get_label_space


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp('waymo')
    write_waymo(folder, frames=8, points=600)
    return folder


@pytest.fixture()
def config(request, monkeypatch, root):
    init_default_scope('mmdet3d')
    monkeypatch.setenv('PRETRAIN3D_WAYMO', str(root))
    return Config.fromfile(str(request.config.rootpath / 'configs' / '_base_' / 'datasets' / 'waymo_seg.py'))


def build(cfg, split, **options):
    return DATASETS.build(dict(cfg[f'{split}_dataloader'].dataset, **options))


def files(data, index):
    """Points (n, 5) and raw labels (n,) as they lie on disk."""
    info = data.get_data_info(index)
    return (np.fromfile(info['lidar_points']['lidar_path'], np.float32).reshape(-1, 5),
            np.fromfile(info['pts_semantic_mask_path'], np.uint8))


@pytest.mark.parametrize('split', ['train', 'val'])
def test_it_goes_into_the_preprocessor(config, split):
    data = build(config, split)
    assert len(data) == dict(train=8, val=1)[split] and data.ignore_index == 22
    assert tuple(data.metainfo['classes']) == get_label_space('Waymo22').classes
    preprocessor = MODELS.build(dict(
        type='Pretrain3DDataPreprocessor', voxel_size=0.05, feature_dims=[0, 1, 2, 3], num_classes=22))
    made = preprocessor(pseudo_collate([data[0], data[len(data) - 1]]), split == 'train')
    assert made['data_samples'][0].metainfo['domain'] == 'Waymo'
    voxels = made['inputs']['voxels']
    assert voxels['voxels'].shape[1] == 4 and 0 <= voxels['voxels'][:, 3].min() < voxels['voxels'][:, 3].max() <= 1
    labels = made['data_samples'][1].gt_pts_seg.voxel_semantic_mask
    assert 22 in labels and 17 in labels and labels.max() == 22 and labels.min() >= 0


def test_points_strengths_and_labels_are_those_of_the_files(config):
    """Testing leaves points where they are; raw 0 is ignored, raw k is class k - 1, in the names of the label space."""
    data = build(config, 'val')
    table, raw = files(data, 0)
    sample = data[0]
    points = sample['inputs']['points']
    assert points.shape == (600, 4) and np.array_equal(points[:, :3], table[:, :3])
    assert table[:, 3].max() > 5, 'intensities without a largest value'
    assert np.allclose(points[:, 3], np.tanh(table[:, 3].astype(np.float64)), atol=1e-6)
    labels = np.asarray(sample['data_samples'].gt_pts_seg.pts_semantic_mask)
    assert (raw == 0).any() and (labels[raw == 0] == 22).all()
    assert np.array_equal(labels[raw > 0], raw[raw > 0].astype(int) - 1)
    assert np.array_equal(sample['data_samples'].eval_ann_info['pts_semantic_mask'], labels)
    assert [data.METAINFO['classes'][index] for index in (0, 6, 17, 21)] == ['car', 'pedestrian', 'road', 'sidewalk']


def test_training_stays_in_a_box_that_stands_on_the_road(config, root, tmp_path):
    """A sign 3.5 m above the road keeps its height; what is further than 75.2 m comes onto the box."""
    keep = {'LoadPointsChecked', 'NormalizeStrength', 'LoadAnnotationsChecked', 'PointSegClassMapping', 'ClipPoints',
            'PackPretrain3DInputs'}
    steps = [step for step in config.train_pipeline if step['type'] in keep]
    assert [step['type'] for step in steps][-2:] == ['ClipPoints', 'PackPretrain3DInputs']
    points = np.array([[60, 0, 3.5, 0.1, 0], [80, -90, 1, 0.1, 0], [0, 0, 6, 0.1, 0], [0, 0, -3, 0.1, 0]], np.float32)
    held = pickle.loads((root / 'waymo_infos_train.pkl').read_bytes())
    points.tofile(tmp_path / 'far.bin')
    np.full(4, 8, np.uint8).tofile(tmp_path / 'far.label')
    held['data_list'] = [dict(
        held['data_list'][0], lidar_points=dict(lidar_path=str(tmp_path / 'far.bin'), num_pts_feats=5),
        pts_semantic_mask_path=str(tmp_path / 'far.label'))]
    (tmp_path / 'far.pkl').write_bytes(pickle.dumps(held))
    sample = build(config, 'train', ann_file=str(tmp_path / 'far.pkl'), pipeline=steps)[0]
    wanted = torch.tensor([[60, 0, 3.5], [75.2, -75.2, 1], [0, 0, 4], [0, 0, -2]])
    assert torch.allclose(sample['inputs']['points'][:, :3], wanted)


def test_segments_and_frames(config):
    data = build(config, 'train', scenes='25%')
    assert [data.get_data_info(i)['scene_name'] for i in range(len(data))] == ['segment-train3', 'segment-train7']
    assert len(build(config, 'train', frames='25%')) == 2
    assert len(build(config, 'train', scenes=['segment-train1'])) == 1
    with pytest.raises(ValueError, match='of which 1 are not there, first segment-val0'):
        build(config, 'train', scenes=['segment-val0'])


def test_the_test_list_serves_for_prediction(config, root, tmp_path):
    """Frames without labels go through a pipeline that loads none, and are written, one file each."""
    held = pickle.loads((root / 'waymo_infos_train.pkl').read_bytes())['data_list'][:2]
    (tmp_path / 'points').symlink_to(root / 'points')
    entries = [entry('testing', info['scene_name'], info['timestamp'], 600, np.eye(4)) for info in held]
    for info, made in zip(held, entries):
        made['lidar_points'] = info['lidar_points']
    write_infos(tmp_path, 'testing', entries)
    options = dict(data_root=str(tmp_path), ann_file='waymo_infos_test.pkl')
    with pytest.raises(InfoFileError, match='names no label files.*predicted by a pipeline without LoadAnnotations'):
        build(config, 'val', **options)
    steps = [step for step in config.test_pipeline
             if step['type'] not in ('LoadAnnotationsChecked', 'PointSegClassMapping')]
    data = build(config, 'val', pipeline=steps, **options)
    assert len(data) == 2
    batch = MODELS.build(dict(
        type='Pretrain3DDataPreprocessor', voxel_size=0.05, feature_dims=[0, 1, 2, 3], num_classes=22))(
            pseudo_collate([data[0], data[1]]), False)
    assert len(batch['inputs']['points']) == 2 and batch['inputs']['voxels']['batch_size'] == 2
    samples = batch['data_samples']
    assert not any('pts_semantic_mask' in sample.get('gt_pts_seg', {}) for sample in samples)
    for sample in samples:
        sample.pred_pts_seg = PointData(pts_semantic_mask=torch.full((600, ), 17))
    metric = METRICS.build(dict(type='DumpSegmentation', out_dir=str(tmp_path / 'out')))
    metric.dataset_meta = data.metainfo
    metric.process({}, [sample.to_dict() for sample in samples])
    assert sorted(path.stem for path in (tmp_path / 'out').iterdir()) == [str(info['timestamp']) for info in held]


def test_points_of_unlabelled_lidars_are_ignored_and_predicted(config, tmp_path, request, monkeypatch):
    """A converted frame of all five LiDARs: nothing is scored of four, and a prediction begins with the top one's."""
    pytest.importorskip('pyarrow')
    from pretrain3d.converters.waymo.convert import convert_splits
    monkeypatch.syspath_prepend(str(request.config.rootpath / 'tests' / 'converters'))
    segments, name = importlib.import_module('waymo_segments'), '111_20_000_40_000'
    drawn = segments.draw_segment(1)
    for image in (image for frame in drawn['frames'] for image in frame['images'] if image is not None):
        image[..., 1] = np.abs(image[..., 1])
    segments.write_segment(tmp_path, 'training', name, drawn)
    assert convert_splits(tmp_path, quiet=True, lidars='all').frames == dict(training=2)
    data = build(config, 'val', data_root=str(tmp_path), ann_file='waymo_infos_train.pkl')
    preprocessor = MODELS.build(dict(
        type='Pretrain3DDataPreprocessor', voxel_size=0.05, feature_dims=[0, 1, 2, 3], num_classes=22))
    made = preprocessor(pseudo_collate([data[0]]), False)
    [sample], top = made['data_samples'], data.get_data_info(0)['num_top_points']
    truth, voxels = sample.gt_pts_seg.pts_semantic_mask, made['inputs']['voxels']
    assert len(truth) == len(voxels['point2voxel'][0]) == data.get_data_info(0)['num_points'] > top + 40
    assert (truth[top:] == 22).all() and (truth[:top] < 22).sum() > 20
    classes = {}
    for name, beyond in (('right', 3), ('another', 7)):  # of points beyond the top LiDAR's nothing is scored
        predicted = torch.as_tensor(truth).clone()
        predicted[top:] = beyond
        sample.pred_pts_seg = PointData(pts_semantic_mask=predicted)
        metric = METRICS.build(dict(type='MeanIoUMetric', levels=['vertex']))
        metric.dataset_meta = data.metainfo
        metric.process({}, [sample.to_dict()])
        classes[name] = metric.evaluate(1)
    assert classes['right'] == classes['another'] and 1.0 in classes['right'].values()
    dump = METRICS.build(dict(type='DumpSegmentation', out_dir=str(tmp_path / 'out')))
    dump.dataset_meta = data.metainfo
    dump.process({}, [sample.to_dict()])
    [file] = (tmp_path / 'out').iterdir()
    np.testing.assert_array_equal(np.load(file)[:top], truth[:top])
    assert len(np.load(file)) == len(truth)


def test_lists_without_labels_and_labels_of_another_kind(config, root, tmp_path):
    held = pickle.loads((root / 'waymo_infos_val.pkl').read_bytes())
    raw = np.fromfile(root / held['data_list'][0]['pts_semantic_mask_path'], np.uint8)
    raw[5] = 23
    raw.tofile(tmp_path / 'wrong.label')
    held['data_list'][0]['pts_semantic_mask_path'] = str(tmp_path / 'wrong.label')
    (tmp_path / 'wrong.pkl').write_bytes(pickle.dumps(held))
    with pytest.raises(ValueError, match='wrong.label holds ids from 0 to 23, the dataset knows 0 to 22'):
        build(config, 'val', ann_file=str(tmp_path / 'wrong.pkl'))[0]
    del held['data_list'][0]['pts_semantic_mask_path']
    (tmp_path / 'none.pkl').write_bytes(pickle.dumps(held))
    with pytest.raises(InfoFileError, match='names no label files.*tools/data/waymo.py'):
        build(config, 'val', ann_file=str(tmp_path / 'none.pkl'))
    with pytest.raises(ValueError, match='leave metainfo.classes out'):
        build(config, 'val', metainfo=dict(classes=get_label_space('Waymo22').classes[::-1]))


def test_the_joint_base_reads_it_the_same_way(config, request):
    """Two files say how Waymo is read."""
    joint = Config.fromfile(str(request.config.rootpath / 'configs' / '_base_' / 'datasets' / 'outdoor_joint.py'))
    for split in ('train', 'val'):
        alone = dict(config[f'{split}_dataloader'].dataset)
        assert alone.pop('frames', None) is None  # few labels are an option of one data set alone
        part, = (one for one in joint[f'{split}_dataloader'].dataset.datasets if one.type == 'Waymo22Dataset')
        assert part == alone
    assert Path(joint.datasets.Waymo.data_root) == Path(config.data_root)
