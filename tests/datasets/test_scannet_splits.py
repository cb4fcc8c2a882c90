"""Few scans and few points as options of the segmentation data set, applied in step."""
import json

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope

import pretrain3d  # noqa: F401
from pretrain3d.datasets import limited_seg
from pretrain3d.datasets.limited_seg import LimitAnnotations, scan_name
from pretrain3d.datasets.scannet_splits import ScanNet20Dataset, ScanNet200Dataset


def limited(indices, count=2, size=6):
    return dict(limit_points=dict(indices=indices, count=count, seed=0, ignore_index=20), scan='s',
                pts_semantic_mask=np.arange(size), pts_instance_mask=np.arange(size) + 1)


def test_limit_annotations():
    out = LimitAnnotations()(limited(np.array([4, 1])))
    assert out['pts_semantic_mask'].tolist() == [20, 1, 20, 20, 4, 20]
    assert out['pts_instance_mask'].tolist() == [0, 2, 0, 0, 5, 0] and out['limited_annotations'] == 20
    drawn = LimitAnnotations()(limited(None))['pts_semantic_mask']
    assert (drawn != 20).sum() == 2 and np.array_equal(drawn, LimitAnnotations()(limited(None))['pts_semantic_mask'])
    assert (LimitAnnotations()(limited(None, count=50))['pts_semantic_mask'] != 20).all()
    with pytest.raises(ValueError, match='6 vertices.*vertex 6'):
        LimitAnnotations()(limited(np.array([6])))
    untouched = dict(pts_semantic_mask=np.arange(3))
    assert LimitAnnotations()(untouched)['pts_semantic_mask'].tolist() == [0, 1, 2]


def test_dataset_refuses_what_would_not_be_limited():
    with pytest.raises(ValueError, match='training'):
        ScanNet20Dataset(limit_points=20, test_mode=True)
    assert len(ScanNet200Dataset.METAINFO['classes']) == 200


def dataset(folder, **options):
    steps = [dict(type='LoadPointsChecked', coord_type='DEPTH', load_dim=9, use_dim=9),
             dict(type='LoadAnnotations3D', with_bbox_3d=False, with_label_3d=False, with_mask_3d=True,
                  with_seg_3d=True),
             dict(type='PointSegClassMapping'), dict(type='LimitAnnotations'),
             dict(type='GridSamplePoints', voxel_size=0.2),
             dict(type='PackPretrain3DInputs', keys=['points', 'pts_semantic_mask', 'pts_instance_mask'])]
    return ScanNet20Dataset(
        data_root=str(folder), ann_file='scannet_infos_train.pkl', pipeline=steps,
        data_prefix=dict(pts='points_normals', pts_instance_mask='instance_mask', pts_semantic_mask='semantic_mask'),
        **options)


def test_limits_on_converted_scans(drawn_scannet):
    """Every labelled vertex survives sampling with its own label; shares of scans are nested; seeds differ."""
    init_default_scope('mmdet3d')
    folder = drawn_scannet.converted
    full = dataset(folder)
    assert [len(dataset(folder, limit_scenes=share)) for share in (None, 0.5, 0.1)] == [3, 2, 1]
    drawn = {}
    for seed in (0, 1):
        limited_set = dataset(folder, limit_points=20, limit_seed=seed)
        mask = limited_set[0]['data_samples'].gt_pts_seg
        labelled = mask.pts_semantic_mask < 20
        assert labelled.sum() == 20 and ((mask.pts_instance_mask > 0) == labelled).all()
        assert len(mask.pts_instance_mask[labelled].unique()) > 5  # object by object
        drawn[seed] = limited_set[0]['inputs']['points'][labelled]
    assert not torch.equal(drawn[0], drawn[1])
    name = scan_name(full.get_data_info(0))
    listed = dataset(folder, limit_scenes=write_names(folder.parent / 'scans.txt', [name]),
                     limit_points=write_list(folder.parent / 'points.json', {name: [3, 50, 7]}))
    sample = listed[0]
    labelled = sample['data_samples'].gt_pts_seg.pts_semantic_mask < 20
    points = np.fromfile(folder / 'points_normals' / f'{name}.bin', np.float32).reshape(-1, 9)[[3, 7, 50]]
    found = sample['inputs']['points'][labelled].tolist()
    assert {tuple(row) for row in found} <= {tuple(row) for row in points.tolist()}
    assert len(listed) == 1 and 0 < labelled.sum() <= 3
    with pytest.raises(ValueError, match='no points for 2 scans'):
        dataset(folder, limit_points=str(folder.parent / 'points.json'))


def test_lists_that_do_not_fit_are_refused_before_training(drawn_scannet, tmp_path, monkeypatch):
    """Beyond the vertices of any scan; no label anywhere; a few scans without labels are counted."""
    init_default_scope('mmdet3d')
    folder = drawn_scannet.converted
    full = dataset(folder)
    infos = {scan_name(info): info['num_points'] for info in map(full.get_data_info, range(len(full)))}
    last = list(infos)[-1]
    with pytest.raises(ValueError, match=f'{last} has {infos[last]} vertices.*lists vertex {infos[last]}'):
        dataset(folder, limit_points=write_list(tmp_path / 'beyond.json', {**dict.fromkeys(infos, [0]),
                                                                           last: [infos[last]]}))
    with pytest.raises(ValueError, match='labels no point of any of the 3 scans'):
        dataset(folder, limit_points=write_list(tmp_path / 'none.json', dict.fromkeys(infos, [])))
    said = []
    monkeypatch.setattr(limited_seg, 'print_log', lambda message, *_: said.append(message))
    dataset(folder, limit_points=write_list(tmp_path / 'few.json', {**dict.fromkeys(infos, [0]), last: []}))
    assert len(said) == 1 and f'1 of 3 scans have no labelled point, first {last}' in said[0]


def write_names(path, names):
    path.write_text('\n'.join(names) + '\n')
    return str(path)


def write_list(path, content):
    path.write_text(json.dumps(content))
    return str(path)
