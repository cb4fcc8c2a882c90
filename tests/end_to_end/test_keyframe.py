"""The keyframe recipe through mmdet3d's own train.py and test.py: synthetic frames always, the real one where it is."""
import importlib.util
import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from keyframe_world import write_frames
from mmengine.config import Config
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / 'configs' / 'keyframe' / 'centerpoint_1xb1-keyframe_nus-3d.py'
SCRIPTS = Path(importlib.util.find_spec('mmdet3d').submodule_search_locations[0]) / '.mim' / 'tools'
REAL = sorted((ROOT.parent / 'shared' / 'real' / 'nuscenes_frame').glob('*.pkl'))
needs_real = pytest.mark.skipif(not REAL, reason='the nuScenes frame is not in ../shared/real/nuscenes_frame')

# The same network over a quarter of the range, a quarter of the channels.
REDUCED = '''
_base_ = [{config!r}]
reach = [-12.8, -12.8, -5.0, 12.8, 12.8, 3.0]
model = dict(
    data_preprocessor=dict(voxel_layer=dict(point_cloud_range=reach)),
    pts_middle_encoder=dict(
        sparse_shape=[21, 128, 128], output_channels=16,
        encoder_channels=((16, 16, 16), (16, 16, 16), (16, 16))),
    pts_backbone=dict(in_channels=32, out_channels=[16, 32], layer_nums=[1, 1]),
    pts_neck=dict(in_channels=[16, 32], out_channels=[16, 16]),
    pts_bbox_head=dict(
        in_channels=32, share_conv_channel=16, separate_head=dict(head_conv=16),
        bbox_coder=dict(pc_range=reach[:2])),
    train_cfg=dict(pts=dict(point_cloud_range=reach, grid_size=[128, 128, 20])),
    test_cfg=dict(pts=dict(pc_range=reach[:2])))
'''


@pytest.fixture
def mmdet3d_script(monkeypatch):
    """Run mmdet3d's script in this process: mmdet3d_script('train.py', config, options, folder, checkpoint=None)."""
    # mmengine formats the config six times a run, 1.7 s each.
    pretty, texts = Config.pretty_text.fget, {}

    def pretty_text(config):
        key = repr(config._cfg_dict)
        if key not in texts:
            texts[key] = pretty(config)
        return texts[key]

    monkeypatch.setattr(Config, 'pretty_text', property(pretty_text))

    def run(name, config, options, folder, checkpoint=None):
        arguments = [str(config)] + ([str(checkpoint)] if checkpoint else []) + ['--work-dir', str(folder)]
        # mmengine keeps visualizers by name for the life of a process; a second run would write into the first's.
        options = [*options, f'visualizer.name={folder}']
        monkeypatch.setattr(sys, 'argv', [name, *arguments, '--cfg-options', *options])
        monkeypatch.chdir(folder.parent)
        runpy.run_path(str(SCRIPTS / name), run_name='__main__')
    return run


def steps(count):
    return [f'train_cfg.max_iters={count}', f'param_scheduler.0.total_steps={count}', 'default_hooks.logger.interval=1']


def losses(folder):
    lines = [json.loads(line) for line in next(folder.glob('*/vis_data/scalars.json')).read_text().splitlines()]
    return [line['loss'] for line in lines if 'loss' in line]


def metrics(folder):
    return json.loads(next(folder.glob('*/*.json')).read_text())


def test_synthetic_frames_train_and_test(tmp_path, monkeypatch, mmdet3d_script):
    monkeypatch.setenv('PRETRAIN3D_INFO', str(write_frames(tmp_path, count=2)))
    config = tmp_path / 'reduced.py'
    config.write_text(REDUCED.format(config=str(CONFIG)))
    # The second frame of the file alone.
    options = steps(40) + [f'{part}_dataloader.dataset.indices=[1]' for part in ('train', 'test')]
    mmdet3d_script('train.py', config, options, tmp_path / 'train')
    curve = losses(tmp_path / 'train')
    assert len(curve) == 40 and np.isfinite(curve).all() and curve[-1] < 0.2 * curve[0]
    checkpoint = Path((tmp_path / 'train' / 'last_checkpoint').read_text())
    assert checkpoint.name == 'iter_40.pth'
    mmdet3d_script('test.py', config, options, tmp_path / 'test', checkpoint)
    found = metrics(tmp_path / 'test')
    for key in ('mAP', 'mAP_min5', 'mATE', 'mASE', 'mAOE', 'mAVE', 'AP_car', 'AP_pedestrian', 'AP_barrier',
                'AP_min5_car'):
        assert f'NuScenesInfo/{key}' in found, key
    assert 'NuScenesInfo/AP_bus' not in found  # absent from the truth
    assert all(0 <= value <= 1 for key, value in found.items() if '/mAP' in key or '/AP_' in key)
    pictures = list((tmp_path / 'test').glob('*/pictures/*.png'))
    assert [path.name for path in pictures] == ['frame1.png'] and Image.open(pictures[0]).size[0] > 1000


def test_points_of_synthetic_frames_are_learnt_from_their_boxes(tmp_path, monkeypatch, mmdet3d_script):
    monkeypatch.setenv('PRETRAIN3D_INFO', str(write_frames(tmp_path, count=2)))
    config = CONFIG.with_name('spunet_1xb1-keyframe_nus-boxes.py')
    mmdet3d_script('train.py', config, steps(40), tmp_path / 'train')
    curve = losses(tmp_path / 'train')
    assert len(curve) == 40 and np.isfinite(curve).all() and curve[-1] < 0.5 * curve[0]
    mmdet3d_script('test.py', config, [], tmp_path / 'test', tmp_path / 'train' / 'iter_40.pth')
    found = metrics(tmp_path / 'test')
    # The classes of the boxes, no others; the ground around them is ignored.
    assert {'iou_vertex/car', 'iou_vertex/pedestrian', 'iou_vertex/barrier'} <= set(found)
    assert found['iou_vertex/car'] > 0.8 and found['allacc/vertex'] > 0.8


@needs_real
def test_real_frame_through_the_whole_config(tmp_path, monkeypatch, mmdet3d_script):
    monkeypatch.setenv('PRETRAIN3D_INFO', str(REAL[0]))
    mmdet3d_script('train.py', CONFIG, steps(4), tmp_path / 'train')
    curve = losses(tmp_path / 'train')
    assert len(curve) == 4 and np.isfinite(curve).all() and curve[-1] < curve[0]
    mmdet3d_script('test.py', CONFIG, [], tmp_path / 'test', tmp_path / 'train' / 'iter_4.pth')
    found = metrics(tmp_path / 'test')
    classes = {key.split('/AP_')[1] for key in found if '/AP_' in key and 'min5' not in key}
    # In range with at least one point, counted by hand from the info file.
    assert classes == {'car', 'truck', 'pedestrian', 'barrier', 'traffic_cone'}
    assert found['NuScenesInfo/mAP'] < 0.1
    assert list((tmp_path / 'test').glob('*/pictures/*.png'))


def test_a_missing_frame_is_named(tmp_path, monkeypatch, mmdet3d_script):
    monkeypatch.setenv('PRETRAIN3D_INFO', str(tmp_path / 'absent.pkl'))
    with pytest.raises(Exception, match='absent.pkl'):
        mmdet3d_script('train.py', CONFIG, steps(4), tmp_path / 'train')


@pytest.mark.full
@needs_real
def test_the_demo_learns_the_real_frame(tmp_path):
    done = subprocess.run([sys.executable, str(ROOT / 'tools' / 'demo_keyframe.py'), '--info', str(REAL[0]), '--work-dir',
                           str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    after, before = map(float, re.search(r'at least 5 points is ([\d.]+) \(bar 0.8\), ([\d.]+) before',
                                         done.stdout).groups())
    assert after > 0.8 and before < 0.05
    assert Path(re.search(r'picture: (.+)', done.stdout).group(1)).is_file()
