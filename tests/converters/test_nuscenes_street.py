"""A drawn street goes through mmdet3d's converter and the extras into the datasets, as the real data would."""
import contextlib
import io
import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from nuscenes_tables import prepare
from pretrain3d.converters.nuscenes.extras import find_lost, read_infos


@pytest.fixture(scope='module')
def street(drawn_street, tmp_path_factory):
    """The drawn street with its info files."""
    root = shutil.copytree(drawn_street.world, tmp_path_factory.mktemp('street') / 'nuscenes')
    with contextlib.redirect_stderr(io.StringIO()):
        return prepare(root, database=True)


def test_infos_are_complete(street, drawn_street):
    size, count = drawn_street.preset.image_size, drawn_street.preset.keyframes
    for split, frames in (('train', count), ('val', 2 * count)):
        infos = read_infos(street / f'nuscenes_infos_{split}.pkl')
        assert len(infos['data_list']) == frames and find_lost(infos, street).lines() == []
        for info in infos['data_list']:
            assert {'scene_name', 'pts_semantic_mask_path', 'pts_panoptic_mask_path', 'camera_sweeps'} <= set(info)
            assert len(info['images']) == 6 and info['instances']
            boxes = np.array([box['bbox'] for found in info.get('cam_instances', {}).values() for box in found])
            assert boxes.min() >= 0 and (boxes.max(0) <= [*size, *size]).all()
    later = read_infos(street / 'nuscenes_infos_train.pkl')['data_list'][1]
    assert len(later['lidar_sweeps']) == drawn_street.preset.sweeps_between + 1
    assert len(later['camera_sweeps']['CAM_BACK']) == drawn_street.preset.camera_sweeps_between + 1


def test_datasets_read_it(street, monkeypatch, request):
    from mmdet3d.registry import DATASETS
    init_default_scope('mmdet3d')
    monkeypatch.setenv('PRETRAIN3D_NUSCENES', str(street))
    base = request.config.rootpath / 'configs' / '_base_' / 'datasets'
    seg = Config.fromfile(str(base / 'nuscenes_lidarseg.py'))
    data = DATASETS.build(dict(seg.train_dataloader.dataset, scenes='mini600'))
    assert {data.get_data_info(i)['scene_name'] for i in range(len(data))} == {'scene-0061'}
    assert len(set(data[0]['data_samples'].gt_pts_seg.pts_semantic_mask.tolist()) - {16}) >= 5
    det = DATASETS.build(Config.fromfile(str(base / 'nuscenes_det.py')).train_dataloader.dataset)
    assert len(det) == len(data) and len(det[1]['data_samples'].gt_instances_3d.labels_3d) > 0


@pytest.mark.full
def test_mmdet3ds_own_line_makes_the_same(street, drawn_street, tmp_path, request):
    """The line in the help of tools/data/nuscenes.py, word by word: mmdet3d's script, started by itself.

    It clips boxes in images to 1600 x 900, whatever their size, and calls objects without a class barriers.
    """
    tools = request.config.rootpath / 'tools' / 'data'
    help_text = ' '.join((tools / 'nuscenes.py').read_text().split('"""')[1].split())
    import mmdet3d
    known = dict(python=sys.executable, mmdet3d=str(Path(mmdet3d.__file__).parent))
    line, path = re.search(r'run ``(python [^`]+)`` with PYTHONPATH=(\S+)\.', help_text).groups()
    line, path = (text.replace('<mmdet3d>', known['mmdet3d']) for text in (line, path))
    root = shutil.copytree(drawn_street.world, tmp_path / 'street')
    (tmp_path / 'work' / 'data').mkdir(parents=True)
    (tmp_path / 'work' / 'data' / 'nuscenes').symlink_to(root, target_is_directory=True)
    done = subprocess.run([known['python'], *line.split()[1:]], cwd=tmp_path / 'work', capture_output=True, text=True,
                          env=dict(os.environ, PYTHONPATH=path))
    assert done.returncode == 0, done.stderr
    done = subprocess.run([sys.executable, str(tools / 'nuscenes_extras.py'), str(root)], capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    for split in ('train', 'val'):
        made, expected = (read_infos(folder / f'nuscenes_infos_{split}.pkl') for folder in (root, street))
        assert made['metainfo'] == expected['metainfo'] and len(made['data_list']) == len(expected['data_list'])
        for ours, theirs in zip(expected['data_list'], made['data_list']):
            assert set(ours) == set(theirs) and set(ours['cam_instances']) == set(theirs['cam_instances'])
            for key in set(ours) - {'cam_instances'}:
                np.testing.assert_equal(theirs[key], ours[key])  # velocities may be NaN
    held = [pickle.loads((folder / 'nuscenes_dbinfos_train.pkl').read_bytes()) for folder in (street, root)]
    assert all(len(held[0][name]) == len(held[1][name]) for name in held[0] if name != 'barrier') and held[1]['car']
    assert all((root / row['path']).is_file() for rows in held[1].values() for row in rows)
