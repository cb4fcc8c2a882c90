"""nuScenes-lidarseg, nuScenes-panoptic and SemanticKITTI through their base configs into the data preprocessor."""
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
from mmdet3d.registry import DATASETS, MODELS
from pretrain3d.converters.semantickitti.infos import write_infos
from pretrain3d.datasets.info_check import InfoFileError
from pretrain3d.label_spaces import get_label_space

sys.path.append(str(Path(__file__).resolve().parents[1] / 'converters'))

from kitti_sweeps import CLASSES, RAW, sweep, write_kitti  # noqa: E402
from nuscenes_tables import GROUND, NOISE, OBJECTS, SCENES, VERSION, cloud, prepare, write_tables  # noqa: E402

PANOPTIC = [dict(type='LoadPointsChecked', coord_type='LIDAR', load_dim=5, use_dim=4),
            dict(type='LoadNuScenesPanoptic'), dict(type='PointSegClassMapping'),
            dict(type='PackPretrain3DInputs', keys=['points', 'pts_semantic_mask', 'pts_instance_mask'])]


@pytest.fixture(scope='module')
def nuscenes_root(tmp_path_factory):
    return prepare(write_tables(tmp_path_factory.mktemp('nuscenes')))


@pytest.fixture(scope='module')
def kitti_root(tmp_path_factory):
    root = write_kitti(tmp_path_factory.mktemp('kitti'))
    write_infos(root)
    return root


@pytest.fixture()
def config(request, monkeypatch):
    """Loads a base config for a data folder."""
    init_default_scope('mmdet3d')

    def load(name, variable, root):
        monkeypatch.setenv(variable, str(root))
        return Config.fromfile(str(request.config.rootpath / 'configs' / '_base_' / 'datasets' / f'{name}.py'))
    return load


@pytest.fixture()
def nuscenes(config, nuscenes_root):
    return config('nuscenes_lidarseg', 'PRETRAIN3D_NUSCENES', nuscenes_root)


@pytest.fixture()
def kitti(config, kitti_root):
    return config('semantickitti_seg', 'PRETRAIN3D_SEMANTICKITTI', kitti_root)


def build(cfg, split, **options):
    return DATASETS.build(dict(cfg[f'{split}_dataloader'].dataset, **options))


def into_the_preprocessor(samples, num_classes, training):
    preprocessor = MODELS.build(dict(
        type='Pretrain3DDataPreprocessor', voxel_size=0.05, feature_dims=[0, 1, 2, 3], num_classes=num_classes))
    return preprocessor(pseudo_collate(samples), training)


@pytest.mark.parametrize('split', ['train', 'val'])
def test_nuscenes_goes_into_the_preprocessor(nuscenes, split):
    data = build(nuscenes, split)
    assert len(data) == dict(train=6, val=3)[split] and data.ignore_index == 16
    assert tuple(data.metainfo['classes']) == get_label_space('nuScenes16').classes
    made = into_the_preprocessor([data[0], data[1]], 16, split == 'train')
    assert made['data_samples'][0].metainfo['domain'] == 'nuScenes'
    voxels = made['inputs']['voxels']
    assert voxels['voxels'].shape[1] == 4 and 0 <= voxels['voxels'][:, 3].min() < voxels['voxels'][:, 3].max() <= 1
    labels = made['data_samples'][1].gt_pts_seg.voxel_semantic_mask
    assert len(labels) == (voxels['coors'][:, 0] == 1).sum()
    assert set(labels.tolist()) <= {data.METAINFO['classes'].index(name) for name in (
        'car', 'pedestrian', 'barrier', 'driveable_surface')} | {16} and len(set(labels.tolist())) == 5


def test_nuscenes_labels_are_those_of_the_files(nuscenes):
    """Testing leaves points as they are: every raw id by the label space, noise and police cars ignored."""
    data, space = build(nuscenes, 'val'), get_label_space('nuScenes16')
    for index in range(len(data)):
        sample = data[index]
        points, raw, _ = cloud(SCENES.index('scene-0103'), 2 * index, index * 500000)
        assert np.array_equal(sample['inputs']['points'][:, :3], points[:, :3])
        assert np.allclose(sample['inputs']['points'][:, 3], points[:, 3] / 255)
        expected = space.map_raw(raw)
        assert np.array_equal(sample['data_samples'].gt_pts_seg.pts_semantic_mask, expected)
        assert np.array_equal(sample['data_samples'].eval_ann_info['pts_semantic_mask'], expected)
        assert (expected[raw == NOISE] == 16).all()
        assert (expected[raw == GROUND] == space.index('driveable_surface')).all()


def test_nuscenes_training_stays_in_the_box(nuscenes):
    """Brought onto the box, then scaled by up to 1.1 and jittered by up to 2 cm."""
    data = build(nuscenes, 'train')
    extent = torch.cat([data[0]['inputs']['points'] for _ in range(10)])[:, :3].abs().amax(0)
    assert 30 < extent[0] < 35.2 * 1.1 + 0.03 and 30 < extent[1] < 35.2 * 1.1 + 0.03


def test_nuscenes_samples_are_light_and_know_their_scene(nuscenes):
    data = build(nuscenes, 'train')
    info = data.get_data_info(0)
    assert not {'instances', 'cam_instances', 'lidar_sweeps', 'camera_sweeps'} & set(info)
    assert info['scene_name'] == 'scene-1094' and Path(info['pts_semantic_mask_path']).is_file()
    assert 'lidar_sweeps' in build(nuscenes, 'train', keep_keys=['lidar_sweeps']).get_data_info(1)


def test_nuscenes_cameras_have_their_own_folders(nuscenes):
    folders = dict(nuscenes.dataset.data_prefix, CAM_BACK='samples/CAM_BACK', img='elsewhere')
    data = build(nuscenes, 'val', modality=dict(use_lidar=True, use_camera=True), data_prefix=folders)
    images = data.get_data_info(0)['images']
    assert Path(images['CAM_BACK']['img_path']).is_file() and 'elsewhere' in images['CAM_FRONT']['img_path']


def test_nuscenes_few_scenes(nuscenes):
    for scenes, expected in (('50%', {'scene-0061'}), ('mini600', {'scene-0061'}), ('verify100', {'scene-1094'})):
        data = build(nuscenes, 'train', scenes=scenes)
        assert {data.get_data_info(i)['scene_name'] for i in range(len(data))} == expected and len(data) == 3


def test_other_classes_are_refused(nuscenes):
    with pytest.raises(ValueError, match='leave metainfo.classes out'):
        build(nuscenes, 'train', metainfo=dict(classes=get_label_space('nuScenes16').classes[::-1]))


def test_infos_without_labels(nuscenes, nuscenes_root, tmp_path):
    held = pickle.loads((nuscenes_root / 'nuscenes_infos_train.pkl').read_bytes())
    del held['data_list'][0]['pts_semantic_mask_path']
    (tmp_path / 'some.pkl').write_bytes(pickle.dumps(held))
    assert len(build(nuscenes, 'train', ann_file=str(tmp_path / 'some.pkl'))) == 5
    for info in held['data_list'][1:]:
        del info['pts_semantic_mask_path']
    (tmp_path / 'none.pkl').write_bytes(pickle.dumps(held))
    with pytest.raises(InfoFileError, match='names no label files.*nuscenes_extras.py'):
        build(nuscenes, 'train', ann_file=str(tmp_path / 'none.pkl'))


@pytest.mark.parametrize('damage, error, message', [
    ('missing', FileNotFoundError, 'label file .*_lidarseg.bin does not exist'),
    ('int64', ValueError, 'holds 4240 labels for 530 points'), ('torn', ValueError, 'holds 520 labels for 530 points'),
    ('raw id', ValueError, 'holds ids from 0 to 32, the dataset knows 0 to 31')])
def test_bad_label_files_are_named(nuscenes, nuscenes_root, tmp_path, damage, error, message):
    folder = tmp_path / 'lidarseg'
    shutil.copytree(nuscenes_root / 'lidarseg' / VERSION, folder)
    data = build(nuscenes, 'val', data_prefix=dict(nuscenes.dataset.data_prefix, pts_semantic_mask=str(folder)))
    path = Path(data.get_data_info(0)['pts_semantic_mask_path'])
    raw = np.fromfile(path, np.uint8)
    if damage == 'missing':
        path.unlink()
    elif damage == 'raw id':
        raw[3] = 32
        raw.tofile(path)
    else:
        (raw.astype(np.int64) if damage == 'int64' else raw[:-10]).tofile(path)
    with pytest.raises(error, match=message):
        data[0]


def test_panoptic_labels(nuscenes):
    data, space = build(nuscenes, 'val', pipeline=PANOPTIC), get_label_space('nuScenes16')
    _, raw, panoptic = cloud(SCENES.index('scene-0103'), 0, 0)
    seg = data[0]['data_samples'].gt_pts_seg
    assert np.array_equal(seg.pts_semantic_mask, space.map_raw(raw))
    assert np.array_equal(seg.pts_instance_mask, panoptic.astype(np.int64))
    truth = data[0]['data_samples'].eval_ann_info
    assert np.array_equal(truth['pts_instance_mask'], panoptic) and truth['pts_semantic_mask'].max() == 16
    assert len({label for label in panoptic if label % 1000}) == len([held for held in OBJECTS if held[-1]])


@pytest.mark.parametrize('damage, error, message', [
    ('missing', FileNotFoundError, 'panoptic file .*_panoptic.npz does not exist: complete the download'),
    ('torn', ValueError, "is no npz file with the array 'data'"), ('raw', ValueError, "is no npz file"),
    ('key', ValueError, "array 'data' .KeyError"), ('float', ValueError, 'holds float64 of shape'),
    ('short', ValueError, 'holds 529 labels for 530 points'), ('category', ValueError, 'holds category 40')])
def test_bad_panoptic_files_are_named(nuscenes, nuscenes_root, tmp_path, damage, error, message):
    folder = tmp_path / 'panoptic'
    shutil.copytree(nuscenes_root / 'panoptic' / VERSION, folder)
    prefix = dict(nuscenes.dataset.data_prefix, pts_panoptic_mask=str(folder))
    data = build(nuscenes, 'val', data_prefix=prefix, pipeline=PANOPTIC)
    path = Path(data.get_data_info(0)['pts_panoptic_mask_path'])
    with np.load(path) as held:
        labels = held['data']
    if damage == 'missing':
        path.unlink()
    elif damage == 'torn':
        path.write_bytes(path.read_bytes()[:-30])
    elif damage == 'raw':
        labels.tofile(path)
    else:
        changed = dict(key=labels, float=labels / 2, short=labels[:-1],
                       category=np.where(np.arange(len(labels)) == 5, np.uint16(40000), labels))[damage]
        np.savez_compressed(path, **{'other' if damage == 'key' else 'data': changed})
    with pytest.raises(error, match=message):
        data[0]


@pytest.mark.parametrize('split', ['train', 'val'])
def test_kitti_goes_into_the_preprocessor(kitti, split):
    data = build(kitti, split)
    assert len(data) == dict(train=4, val=2)[split] and data.ignore_index == 19
    assert tuple(data.metainfo['classes']) == get_label_space('SemanticKITTI19').classes
    made = into_the_preprocessor([data[0], data[1]], 19, split == 'train')
    assert made['data_samples'][0].metainfo['domain'] == 'SemanticKITTI'
    labels = made['data_samples'][0].gt_pts_seg.voxel_semantic_mask
    assert set(labels.tolist()) == set(CLASSES) and made['inputs']['voxels']['voxels'].shape[1] == 4


def test_kitti_labels_are_the_lower_16_bits(kitti):
    data = build(kitti, 'val')
    points, labels = sweep('08', 1)
    sample = data[1]
    assert np.array_equal(sample['inputs']['points'], points)
    expected = np.array([dict(zip(RAW, CLASSES))[raw & 0xFFFF] for raw in labels.tolist()])
    assert np.array_equal(sample['data_samples'].gt_pts_seg.pts_semantic_mask, expected)
    assert (labels >> 31).any(), 'instances that make a signed label negative'


def test_unlisted_raw_ids_are_no_cars(kitti):
    """mmdet3d's mapping takes raw ids that it does not list for class 0."""
    table = build(kitti, 'val').seg_label_mapping
    listed = dict(get_label_space('SemanticKITTI19').raw_pairs)
    assert len(table) == 260 and all(table[raw] == listed.get(raw, 19) for raw in range(260))
    assert (table == 0).sum() == 2, 'cars, and moving cars'


def test_kitti_by_frames_and_sequences(kitti):
    assert len(build(kitti, 'train', frames='25%')) == 1 and len(build(kitti, 'train', frames='50%')) == 2
    assert len(build(kitti, 'train', scenes=['00'])) == 4
    with pytest.raises(ValueError, match='of which 1 are not there, first 05'):
        build(kitti, 'train', scenes=['05'])


def test_mmdet3ds_own_dataset_reads_the_lists(kitti, kitti_root):
    from mmdet3d.datasets import SemanticKittiDataset
    mapping = {raw: dict(get_label_space('SemanticKITTI19').raw_pairs).get(raw, 19) for raw in range(260)}
    data = SemanticKittiDataset(
        str(kitti_root), 'semantickitti_infos_val.pkl', metainfo=dict(
            classes=SemanticKittiDataset.METAINFO['classes'], seg_label_mapping=mapping, max_label=259),
        pipeline=kitti.test_pipeline, test_mode=True)
    ours = build(kitti, 'val')
    assert len(data) == 2
    for theirs, own in zip(data, ours):
        assert torch.equal(theirs['data_samples'].gt_pts_seg.pts_semantic_mask,
                           own['data_samples'].gt_pts_seg.pts_semantic_mask)
