"""Every config loads, builds, takes a training step and is validated and tested through mmengine's runner, on data in
its own format.

``STEPS`` names how: for each folder of recipes, and for the last part of a recipe's name where its data differ, what
data the step gets and how a recipe is made small enough for a test. A folder without an entry fails, so no config goes
unrun. ``make test-full`` steps full-size models.
"""
import math
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted(path.relative_to(ROOT / 'configs').as_posix() for path in (ROOT / 'configs').rglob('*.py'))
VALIDATION = [f'{split}_{part}' for split in ('val', 'test') for part in ('dataloader', 'evaluator', 'cfg')]
RECIPES = [name for name in CONFIGS if not name.startswith('_base_/')]


def synthetic_keyframe(folder: Path, monkeypatch) -> None:
    """A nuScenes info file (v1.1) of one frame with points in its boxes, named by PRETRAIN3D_INFO."""
    rng = np.random.default_rng(0)
    labels = np.arange(10)
    angle = np.linspace(0, 2 * np.pi, 10, endpoint=False)
    boxes = np.zeros((10, 7))
    boxes[:, 0], boxes[:, 1] = 15 * np.cos(angle), 15 * np.sin(angle)
    boxes[:, 3:6] = (4.0, 1.8, 1.6)
    inside = boxes[:, None, :3] + rng.uniform(-0.5, 0.5, (10, 40, 3)) * boxes[:, None, 3:6]
    points = np.zeros((len(inside.reshape(-1, 3)) + 2000, 5), np.float32)
    points[:400, :3] = inside.reshape(-1, 3)
    points[400:, :3] = rng.uniform((-40, -40, -2), (40, 40, -1), (2000, 3))
    points.tofile(folder / 'frame.bin')
    names = ['car', 'truck', 'trailer', 'bus', 'construction_vehicle', 'bicycle', 'motorcycle', 'pedestrian',
             'traffic_cone', 'barrier']
    identity = np.eye(4).tolist()
    instances = [dict(bbox_3d=box.tolist(), bbox_label_3d=int(label), bbox_label=int(label), bbox_3d_isvalid=True,
                      num_lidar_pts=40, num_radar_pts=0, velocity=[0.0, 0.0]) for box, label in zip(boxes, labels)]
    entry = dict(token='drawn', sample_idx=0, timestamp=0.0, instances=instances, ego2global=identity, images={},
                 lidar_points=dict(lidar_path='frame.bin', num_pts_feats=5, lidar2ego=identity))
    info = folder / 'infos.pkl'
    info.write_bytes(pickle.dumps(dict(
        metainfo=dict(categories={name: index for index, name in enumerate(names)}, dataset='nuscenes',
                      version='v1.0-mini', info_version='1.1'), data_list=[entry])))
    monkeypatch.setenv('PRETRAIN3D_INFO', str(info))


def drawn_rooms(folder: Path, monkeypatch) -> None:
    """A drawn and converted ScanNet of three small scans, named by PRETRAIN3D_SCANNET."""
    from pretrain3d.converters.scannet.convert import convert
    from pretrain3d.worlds.rooms import build as building
    from pretrain3d.worlds.rooms.presets import PRESETS, Preset
    monkeypatch.setitem(PRESETS, 'test', Preset(train=2, val=1, spacing=0.12, frames=2, width=32, height=24))
    building.build(folder, 'test', seed=1)
    convert(folder, folder, quiet=True)
    monkeypatch.setenv('PRETRAIN3D_SCANNET', str(folder))


def drawn_offices(folder: Path, monkeypatch) -> None:
    """A drawn and converted S3DIS of one room in every area, named by PRETRAIN3D_S3DIS."""
    from pretrain3d.converters.s3dis.convert import convert
    from pretrain3d.worlds.rooms import build as building
    from pretrain3d.worlds.rooms.s3dis_layout import PRESETS, Preset
    monkeypatch.setitem(PRESETS, 'test', Preset(train=5, val=1, density=60))
    building.build(folder, 'test', seed=1, variant='s3dis')
    assert convert(folder, folder, quiet=True) == []
    monkeypatch.setenv('PRETRAIN3D_S3DIS', str(folder))


def drawn_homes(folder: Path, monkeypatch) -> None:
    """A drawn and converted Structured3D of three rooms, named by PRETRAIN3D_STRUCTURED3D."""
    from pretrain3d.converters.structured3d.convert import convert_splits
    from pretrain3d.worlds.rooms import build as building
    from pretrain3d.worlds.rooms.presets import PRESETS, Preset
    monkeypatch.setitem(PRESETS, 'test', Preset(train=2, val=1, spacing=0.12, frames=2, width=48, height=36))
    building.build(folder, 'test', seed=1, variant='structured3d')
    assert convert_splits(folder, folder, quiet=True).rooms == dict(train=2, val=1)
    monkeypatch.setenv('PRETRAIN3D_STRUCTURED3D', str(folder))


_JOINT = {}


def drawn_joint(folder: Path, monkeypatch) -> None:
    """All three drawn data sets, made once."""
    makers = dict(PRETRAIN3D_SCANNET=drawn_rooms, PRETRAIN3D_S3DIS=drawn_offices, PRETRAIN3D_STRUCTURED3D=drawn_homes)
    if not _JOINT:
        _JOINT['folder'] = tempfile.TemporaryDirectory()
        for name, make in makers.items():
            (Path(_JOINT['folder'].name) / name).mkdir()
            make(Path(_JOINT['folder'].name) / name, monkeypatch)
    for name in makers:
        monkeypatch.setenv(name, str(Path(_JOINT['folder'].name) / name))
    monkeypatch.setenv('PRETRAIN3D_TEXT_BANK', 'hashed-ngrams')  # the paper's is made from weights of CLIP


def joint_and_scans(folder: Path, monkeypatch) -> None:
    """The same, and a folder of two scans without labels, named by PRETRAIN3D_SCANS."""
    drawn_joint(folder, monkeypatch)
    rng = np.random.default_rng(0)
    for number, columns in enumerate((6, 9)):
        points = rng.uniform(0, 2, (500, columns))
        points[:, 3:6] *= 100
        np.save(folder / f'scan{number}.npy', points)
    monkeypatch.setenv('PRETRAIN3D_SCANS', str(folder))
    monkeypatch.setenv('PRETRAIN3D_PREDICTIONS', str(folder / 'predictions'))


_PAIRS = {}


def drawn_frame_pairs(folder: Path, monkeypatch) -> None:
    """Rooms with overlapping frames, drawn once."""
    if not _PAIRS:
        from pretrain3d.converters.pairs.build import build_pairs
        from pretrain3d.converters.scannet.convert import convert
        from pretrain3d.worlds.rooms import build as building
        from pretrain3d.worlds.rooms.presets import PRESETS, Preset
        _PAIRS['folder'] = tempfile.TemporaryDirectory()
        root = Path(_PAIRS['folder'].name)
        monkeypatch.setitem(PRESETS, 'test', Preset(train=2, val=1, spacing=0.06, frames=6, width=112, height=84))
        building.build(root, 'test', seed=1)
        convert(root, root, quiet=True, frame_step=1)
        build_pairs(root, root, quiet=True)
    monkeypatch.setenv('PRETRAIN3D_SCANNET', _PAIRS['folder'].name)


def drawn_sweeps(folder: Path, monkeypatch) -> None:
    """Three small LiDAR sweeps in a folder of .bin files with five columns, named by PRETRAIN3D_LIDAR."""
    rng = np.random.default_rng(0)
    for number in range(3):
        points = rng.uniform((-15, -15, -2, 0, 0), (15, 15, 2, 255, 32), (2000, 5)).astype(np.float32)
        points.tofile(folder / f'sweep{number}.bin')
    monkeypatch.setenv('PRETRAIN3D_LIDAR', str(folder))


def labelled_sweeps(folder: Path, monkeypatch) -> None:
    """A few sweeps of nuScenes with labels and boxes, of SemanticKITTI and of Waymo with labels."""
    from outdoor_files import write_nuscenes, write_semantickitti, write_waymo
    for name, write in (('PRETRAIN3D_NUSCENES', write_nuscenes), ('PRETRAIN3D_SEMANTICKITTI', write_semantickitti),
                        ('PRETRAIN3D_WAYMO', write_waymo)):
        write(folder / name)
        monkeypatch.setenv(name, str(folder / name))
    monkeypatch.setenv('PRETRAIN3D_TEXT_BANK', 'hashed-ngrams')


def without_metric(cfg: Config) -> None:
    """NuScenesMetric needs the devkit's tables of a whole scene: tests/end_to_end/test_keyframe.py has them."""
    for key in VALIDATION:
        cfg.pop(key, None)


def wide_voxels(cfg: Config) -> None:
    """The recipe's own network on voxels of 20 cm: a few hundred instead of a hundred thousand."""
    if 'voxel_size' in cfg.model.data_preprocessor:  # VoteNet reads points
        cfg.model.data_preprocessor.voxel_size = 0.2


def small_network(cfg: Config) -> None:
    """Wide voxels; an eighth of SpUNet-L's channels."""
    wide_voxels(cfg)
    network = cfg.model.backbone.get('backbone', cfg.model.backbone)
    if network.get('base_channels') == 96:
        network.update(base_channels=12, encoder_channels=[12, 24, 48, 96], decoder_channels=[96, 48, 24, 24])
        cfg.model.decode_head.in_channels = 24
    for hook in cfg.custom_hooks:
        if hook['type'] == 'PrepareTTAHook':
            hook['tta_cfg']['augmentations'] = 'none'


def small_unless_encoder(cfg: Config) -> None:
    """A detector's encoder has the grid of the detector; it is small, and so are the sweeps."""
    if 'encoder' not in cfg.model.backbone.get('backbone', cfg.model.backbone):
        small_network(cfg)


def small_lidar_network(cfg: Config) -> None:
    """Wide voxels; the narrower SRUNet, an eighth of SpUNet-L's channels."""
    wide_voxels(cfg)
    network = cfg.model.backbone.get('backbone', cfg.model.backbone)
    if network.type == 'SRUNet':
        network.depth = '18A'
    elif 'base_channels' not in network:  # recipes of drawn streets are narrow already
        network.update(base_channels=12, encoder_channels=[12, 24, 48, 96], decoder_channels=[96, 48, 24, 24])
        cfg.model.decode_head.in_channels = 24


def narrow_detector(cfg: Config) -> None:
    """The recipe's own encoder and grid; above them a layer a stage, an eighth of the channels. Without its metric."""
    without_metric(cfg)
    model = cfg.model
    model.pts_backbone.update(layer_nums=[1, 1], out_channels=[16, 32])
    model.pts_neck.update(in_channels=[16, 32], out_channels=[16, 16])
    model.pts_bbox_head.in_channels = 32
    model.pts_bbox_head.update(
        dict(share_conv_channel=16) if 'share_conv_channel' in model.pts_bbox_head else dict(feat_channels=32))


def own_checkpoint(cfg: Config, folder: Path) -> None:
    """An untrained encoder and head of the recipe's own shape, for recipes that start from a pre-trained one."""
    from mmdet3d.registry import MODELS
    new = [name for hook in cfg.get('custom_hooks', []) for name in hook.get('new_domains', ())]
    for hook in cfg.get('custom_hooks', []):
        if hook['type'] == 'WeightTransferHook' and 'domain' in hook:  # a detector's encoder, with prompts
            encoder = cfg.model.pts_middle_encoder
            part = torch.nn.ModuleDict(dict(backbone=MODELS.build(dict(
                type='PromptedBackbone', domains=[hook['domain'], 'Other'], channels=8, backbone=dict(
                    type='SparseEncoderBackbone', encoder=encoder)))))
            hook['checkpoint'] = str(folder / 'pretrained.pth')
            torch.save(dict(state_dict=part.state_dict()), hook['checkpoint'])
        elif hook['type'] == 'WeightTransferHook':
            part = torch.nn.ModuleDict({key: MODELS.build(cfg.model[key]) for key in ('backbone', 'decode_head')
                                        if key in cfg.model})
            state = part.state_dict()
            for name in new:  # of which a joint training has nothing
                state = {key.replace(f'.{name}', '.Other'): value for key, value in state.items()}
            hook['checkpoint'] = str(folder / 'pretrained.pth')
            torch.save(dict(state_dict=state), hook['checkpoint'])


STEPS = dict(
    keyframe=(synthetic_keyframe, without_metric),
    scannet=(drawn_rooms, wide_voxels),
    s3dis=(drawn_offices, wide_voxels),
    structured3d=(drawn_homes, wide_voxels),
    contrastive_scene_contexts=(drawn_frame_pairs, wide_voxels),
    point_prompt_training=(drawn_joint, small_network),
    nuscenes=(labelled_sweeps, small_lidar_network),
    semantickitti=(labelled_sweeps, small_lidar_network),
    waymo=(labelled_sweeps, small_lidar_network),
    **{'contrastive_scene_contexts/lidar-crops': (drawn_sweeps, wide_voxels),
       'contrastive_scene_contexts/s3dis': (drawn_offices, wide_voxels),
       'point_prompt_training/scans': (joint_and_scans, small_network),
       'point_prompt_training/outdoor': (labelled_sweeps, small_unless_encoder),
       'nuscenes/nus-3d': (labelled_sweeps, narrow_detector)})


@pytest.mark.parametrize('name', CONFIGS)
def test_loads(name):
    cfg = Config.fromfile(str(ROOT / 'configs' / name))
    assert len(cfg) > 0


@pytest.mark.parametrize('name', RECIPES)
def test_builds_and_steps(name, tmp_path, monkeypatch, request):
    folder = name.split('/')[0]
    assert folder in STEPS, f'configs/{folder}: name its data and reduction in STEPS of this test'
    data, reduce = STEPS.get(f'{folder}/{Path(name).stem.rpartition("_")[2]}', STEPS[folder])
    (tmp_path / 'data').mkdir()
    data(tmp_path / 'data', monkeypatch)
    cfg = Config.fromfile(str(ROOT / 'configs' / name))
    if not request.config.getoption('--full'):
        reduce(cfg)
    own_checkpoint(cfg, tmp_path)
    cfg.work_dir = str(tmp_path / 'work')
    cfg.train_dataloader.update(num_workers=0, persistent_workers=False, batch_size=min(
        2, cfg.train_dataloader.batch_size))
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=1, val_interval=1)
    for split in ('val', 'test'):
        if f'{split}_dataloader' in cfg:
            cfg[f'{split}_dataloader'].update(num_workers=0, persistent_workers=False)
            cfg[f'{split}_cfg'] = dict()
    cfg.default_hooks.checkpoint = dict(type='CheckpointHook', by_epoch=False, interval=1, save_last=True)
    # What was changed here is not in the file; the hook's own tests check the files.
    cfg.custom_hooks = [hook for hook in cfg.get('custom_hooks', []) if hook['type'] != 'ConfigCheckHook']
    cfg.visualizer = dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')])
    cfg.experiment_name = f'step-{name.replace("/", "-")}-{os.getpid()}'
    losses, scores = [], []

    class RecordHook(Hook):
        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            losses.append({key: float(value) for key, value in outputs.items()})

        def after_val_epoch(self, runner, metrics=None):
            scores.append(metrics)

        after_test_epoch = after_val_epoch

    runner = Runner.from_cfg(cfg)
    runner.register_hook(RecordHook())
    before = {key: value.clone() for key, value in runner.model.named_parameters()}
    runner.train()
    assert losses and all(math.isfinite(value) for value in losses[0].values()), losses
    learning = [key for key, value in runner.model.named_parameters() if value.requires_grad]
    changed = [key for key in learning if not torch.equal(before[key], runner.model.get_parameter(key))]
    assert len(changed) > 0.9 * len(learning) > 0
    assert list((tmp_path / 'work').glob('*.pth'))
    if 'test_dataloader' in cfg:
        runner.test()
        assert len(scores) == 2, 'one validation after the step and one test'
        best = cfg.default_hooks.checkpoint.get('save_best')
        for metrics in scores:
            # The one drawn room has not all classes: IndoorMetric gives NaN for those.
            assert any(math.isfinite(value) for value in metrics.values()), metrics
            assert best in (None, 'auto') or best in metrics
    else:
        assert not scores and folder not in ('scannet', 's3dis', 'structured3d')


@pytest.mark.parametrize('name', RECIPES)
def test_config_check_finds_no_unread_key(name):
    from pretrain3d.engine.hooks.config_check import ConfigCheckHook
    path = str(ROOT / 'configs' / name)
    cfg = Config.fromfile(path)
    ConfigCheckHook().before_run(type('Runner', (), dict(cfg=cfg))())


def test_the_wrapper_of_train_py_names_a_missing_config(tmp_path):
    """That mmdet3d's own scripts run a whole recipe from another directory is tests/end_to_end/test_keyframe.py."""
    script = ROOT / 'tools' / 'train.py'
    done = subprocess.run([sys.executable, str(script), str(ROOT / 'configs' / 'no_such_config.py')], cwd=tmp_path,
                          capture_output=True, text=True)
    assert done.returncode != 0 and 'no_such_config.py' in done.stderr
