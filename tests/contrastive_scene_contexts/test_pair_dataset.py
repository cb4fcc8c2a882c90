"""The two data sets: what they check, and that samples do not depend on workers."""
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from pair_world import VIEWS, drawn_pairs, frame_pipeline  # noqa: F401

import pretrain3d  # noqa: F401
from mmdet3d.registry import DATASETS, MODELS
from pretrain3d.datasets.info_check import InfoFileError

ROOT = Path(__file__).resolve().parents[2]
SWEEP = ROOT.parent / 'shared' / 'real' / 'nuscenes_frame'


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmdet3d')


def frames(root, **kwargs):
    return DATASETS.build({**dict(type='FramePairDataset', data_root=str(root), ann_file='frame_pairs_train.pkl',
                                  pipeline=[]), **kwargs})


def rewrite(path, change):
    content = pickle.loads(path.read_bytes())
    change(content)
    path.write_bytes(pickle.dumps(content))


def test_lists_the_pairs_with_whole_paths(drawn_pairs):
    dataset = frames(drawn_pairs, dataset_name='scannet')
    listed = pickle.loads((drawn_pairs / 'frame_pairs_train.pkl').read_bytes())['data_list']
    assert len(dataset) == len(listed) > 4
    info = dataset.get_data_info(1)
    assert info['scan'] == listed[1]['scan'] and info['frames'] == listed[1]['frames']
    assert all(Path(info[key]).is_file() for key in ('view0_path', 'view1_path'))
    assert Path(info['table']['path']).is_file()
    assert dataset.metainfo['match_radius'] == 0.0375 and dataset.metainfo['split'] == 'train'


def test_lazy_and_serialised(drawn_pairs):
    lazy = frames(drawn_pairs, lazy_init=True)
    assert not lazy._fully_initialized
    plain = frames(drawn_pairs, serialize_data=False)
    assert [lazy.get_data_info(i) for i in range(len(plain))] == [plain.get_data_info(i) for i in range(len(plain))]
    assert lazy._fully_initialized and not lazy.data_list and plain.data_list
    assert len(frames(drawn_pairs, indices=3)) == 3


def test_a_list_of_another_split_or_data_set(drawn_pairs):
    with pytest.raises(InfoFileError, match="frame_pairs_val.pkl is of split 'val', and split='train' is asked for"):
        frames(drawn_pairs, ann_file='frame_pairs_val.pkl')
    assert len(frames(drawn_pairs, ann_file='frame_pairs_val.pkl', split='val'))
    assert len(frames(drawn_pairs, ann_file='frame_pairs_val.pkl', split=None))
    with pytest.raises(InfoFileError, match="of dataset 'scannet', and dataset_name='Matterport' is asked for"):
        frames(drawn_pairs, dataset_name='Matterport')


def test_no_pair_list(drawn_pairs, drawn_scannet, tmp_path):
    with pytest.raises(InfoFileError, match='does not exist.*make_frame_pairs'):
        frames(tmp_path)
    with pytest.raises(InfoFileError, match='no list of frame pairs'):
        frames(drawn_scannet.converted, ann_file='scannet_infos_train.pkl')
    (tmp_path / 'frame_pairs_train.pkl').write_bytes(b'junk')
    with pytest.raises(InfoFileError, match='cannot be read'):
        frames(tmp_path)


def test_pairs_below_overlap_are_left_out_and_counted(drawn_pairs, monkeypatch):
    said = []
    monkeypatch.setattr('pretrain3d.contrastive_scene_contexts.pair_dataset.print_log',
                        lambda message, *args, **kwargs: said.append(message))
    every = frames(drawn_pairs)
    overlaps = np.array([every.get_data_info(i)['overlap'] for i in range(len(every))])
    assert overlaps.min() >= 0.3 and not said
    few = frames(drawn_pairs, min_overlap=0.5)
    assert len(few) == (overlaps >= 0.5).sum() < len(every)
    assert f'{(overlaps < 0.5).sum()} of {len(every)} pairs left out' in said[0]
    with pytest.raises(InfoFileError, match='no pair of overlap 1.0'):
        frames(drawn_pairs, min_overlap=1.0)
    with pytest.raises(InfoFileError, match='make it again with --min-overlap 0.1'):
        frames(drawn_pairs, min_overlap=0.1)
    with pytest.raises(ValueError, match='share'):
        frames(drawn_pairs, min_overlap=30)


def test_missing_files_are_named(drawn_pairs, tmp_path):
    root = tmp_path / 'copy'
    shutil.copytree(drawn_pairs, root)
    scan = frames(root).get_data_info(0)['scan']
    (root / 'frame_pairs' / scan / 'matches.bin').unlink()
    with pytest.raises(InfoFileError, match='first .*matches.bin'):
        frames(root)
    rewrite(root / 'frame_pairs_train.pkl', lambda content: [pair.pop('table') for pair in content['data_list']])
    dataset = frames(root, pipeline=frame_pipeline([], dict(source='index')))
    last = dataset.get_data_info(0)['view1_path']
    Path(last).unlink()
    with pytest.raises(FileNotFoundError, match=last):
        dataset[0]


def flat(batch):
    """All tensors of a batch in order."""
    found = [*batch['inputs']['pairs']]
    for view in VIEWS:
        found += [*batch['inputs']['views'][view]['points'], *batch['inputs']['views'][view]['xyz_world']]
    return found


def test_workers_do_not_change_a_sample(drawn_pairs):
    steps = [dict(type='CenterOnMean'), dict(type='RandomDropoutPoints', ratio=0.3, prob=1.),
             dict(type='RandomRotatePoints', axis='z', angle_range=[-3, 3]), dict(type='PointShuffle'),
             dict(type='GridSamplePoints', voxel_size=0.1)]
    runs = []
    for workers in (0, 2):
        loader = Runner.build_dataloader(dict(
            batch_size=2, num_workers=workers, sampler=dict(type='SeededInfiniteSampler', shuffle=True),
            dataset=dict(type='FramePairDataset', data_root=str(drawn_pairs), ann_file='frame_pairs_train.pkl',
                         pipeline=frame_pipeline(steps, dict(source='radius', radius=0.15)))), seed=7)
        turn = iter(loader)
        runs.append([flat(next(turn)) for _ in range(4)])
    for first, second in zip(*runs):
        assert all(torch.equal(a, b) for a, b in zip(first, second))
    assert not torch.equal(runs[0][0][0], runs[0][1][0])


@pytest.mark.parametrize('name, features', [('scannet_frame_pairs', [3, 4, 5]), ('cloud_pairs', [3, 4, 5])])
def test_base_configs_make_matching_views_of_drawn_rooms(name, features, drawn_pairs, drawn_scannet, monkeypatch,
                                                         tmp_path):
    root = drawn_pairs if name == 'scannet_frame_pairs' else drawn_scannet.converted
    monkeypatch.setenv('PRETRAIN3D_SCANNET', str(root))
    cfg = Config.fromfile(str(ROOT / f'configs/_base_/datasets/{name}.py'))
    check_config(cfg, features, near=1.5 * cfg.voxel_size if name == 'scannet_frame_pairs' else 0.0)
    colours = next(iter(Runner.build_dataloader(small(cfg), seed=0)))['inputs']['views']['view0']['points'][0][:, 3:]
    assert colours.min() >= 0 and 0.3 < colours.max() <= 1


def small(cfg):
    return {**cfg.train_dataloader, **dict(num_workers=0, persistent_workers=False, batch_size=2)}


def check_config(cfg, features, near):
    """One batch through the data preprocessor is what the heads are promised."""
    batch = next(iter(Runner.build_dataloader(small(cfg), seed=0)))
    preprocessor = MODELS.build(dict(type='Pretrain3DDataPreprocessor', voxel_size=cfg.voxel_size,
                                     feature_dims=features))
    inputs = preprocessor(batch, training=True)['inputs']
    for i, pairs in enumerate(inputs['pairs']):
        assert pairs.dtype == torch.int64 and len(pairs) >= 128
        world, voxel = [], []
        for side, view in enumerate(VIEWS):
            content = inputs['views'][view]
            xyz = content['xyz_world'][i]
            assert xyz.shape == content['points'][i][:, :3].shape and xyz.dtype == torch.float32
            world.append(xyz[pairs[:, side]])
            voxel.append(content['voxels']['point2voxel'][i][pairs[:, side]])
            assert content['voxels']['voxels'].shape[1] == len(features)
        assert (world[0] - world[1]).norm(dim=1).max() <= near + 1e-6
        assert all((content >= 0).all() for content in voxel)


def lidar_folder(folder, sizes=(3000, 2500), seed=0):
    rng = np.random.default_rng(seed)
    (folder / 'sub').mkdir(parents=True)
    for number, size in enumerate(sizes):
        points = np.concatenate([rng.uniform((-40, -40, -2), (40, 40, 2), (size, 3)), rng.uniform(0, 255, (size, 1)),
                                 rng.integers(0, 32, (size, 1))], 1).astype(np.float32)
        points.tofile(folder / ('sub' if number else '.') / f'sweep{number}.pcd.bin')
    return folder


def test_base_config_of_sweeps_on_drawn_ones(tmp_path, monkeypatch):
    monkeypatch.setenv('PRETRAIN3D_LIDAR', str(lidar_folder(tmp_path / 'points')))
    check_config(Config.fromfile(str(ROOT / 'configs/_base_/datasets/lidar_pairs.py')), [3], 0.0)


@pytest.mark.skipif(not SWEEP.is_dir(), reason=f'no real sweep in {SWEEP}')
def test_base_config_of_sweeps_on_a_real_one(monkeypatch):
    monkeypatch.setenv('PRETRAIN3D_LIDAR', str(SWEEP))
    cfg = Config.fromfile(str(ROOT / 'configs/_base_/datasets/lidar_pairs.py'))
    check_config(cfg, [3], 0.0)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    assert len(dataset) == 1 and dataset.get_data_info(0)['num_points'] == 34688


def folder(root, **kwargs):
    return DATASETS.build(dict(type='PointFolderDataset', data_root=str(root), **{**dict(load_dim=5), **kwargs}))


def test_point_folder_finds_files_and_refuses_others(tmp_path):
    root = lidar_folder(tmp_path / 'points')
    dataset = folder(root)
    names = [Path(dataset.get_data_info(i)['lidar_path']).name for i in range(len(dataset))]
    assert sorted(names) == ['sweep0.pcd.bin', 'sweep1.pcd.bin']
    assert dataset.get_data_info(names.index('sweep1.pcd.bin'))['num_points'] == 2500
    (tmp_path / 'names.txt').write_text('sweep1\n')
    listed = folder(root, suffix='.pcd.bin', name_list=str(tmp_path / 'names.txt'))
    assert len(listed) == 1 and listed.get_data_info(0)['lidar_path'].endswith('sweep1.pcd.bin')
    (tmp_path / 'names.txt').write_text('sweep1\nsweep9\n')
    with pytest.raises(InfoFileError, match="'sweep9', of which .* has 0 files"):
        folder(root, suffix='.pcd.bin', name_list=str(tmp_path / 'names.txt'))
    with pytest.raises(InfoFileError, match='whole points of 7 float32 values'):
        folder(root, load_dim=7)
    (root / 'empty.bin').touch()
    with pytest.raises(InfoFileError, match='empty.bin with 0 bytes'):
        folder(root)
    with pytest.raises(InfoFileError, match=r'holds no \*.ply file'):
        folder(root, suffix='.ply')
    with pytest.raises(InfoFileError, match='does not exist'):
        folder(tmp_path / 'nowhere')
    with pytest.raises(ValueError, match='load_dim'):
        folder(root, load_dim=2)
