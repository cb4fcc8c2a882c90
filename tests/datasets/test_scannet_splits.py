"""Few scans, points and boxes: lists are read without running code, drawn by seed, and applied in step."""
import json
import pickle

import numpy as np
import pytest
import torch

import pretrain3d  # noqa: F401
from pretrain3d.datasets.scannet_lists import (choose_points, choose_scenes, read_box_list, read_point_list,
                                               split_names)
from pretrain3d.datasets.scannet_splits import LimitAnnotations, LimitBoxes, ScanNet20Dataset, ScanNet200Dataset


@pytest.mark.parametrize('share, count', [(0.01, 12), (0.05, 60), (0.1, 120), (0.2, 240)])
def test_shares_of_scannet_are_nested_and_as_many_as_the_official_lists(share, count):
    names = [f'scene{i:04d}_00' for i in range(1201)]
    chosen = choose_scenes(names, share, seed=3)
    assert len(set(chosen)) == count and set(chosen) <= set(choose_scenes(names[::-1], 0.3, seed=3))
    assert chosen != choose_scenes(names, share, seed=4)


def test_scene_list_file(tmp_path):
    path = tmp_path / '5.txt'
    path.write_text('b\n\na\nelsewhere\n')
    assert split_names(str(path), ['a', 'b', 'c'], 0) == ('a', 'b')
    with pytest.raises(ValueError, match='another split'):
        split_names(str(path), ['x'], 0)


@pytest.mark.parametrize('legacy', [True, False])
@pytest.mark.parametrize('kind', [list, np.array, torch.tensor])
def test_official_point_lists(tmp_path, kind, legacy):
    path = tmp_path / 'points20'
    torch.save({'scene0000_00': kind([5, 2, 5, 9])}, path, _use_new_zipfile_serialization=not legacy)
    assert read_point_list(path)['scene0000_00'].tolist() == [5, 2, 9]


def test_json_npz_and_boxes(tmp_path):
    (tmp_path / 'a.json').write_text(json.dumps(dict(s=[3, 1])))
    np.savez(tmp_path / 'b.npz', s=np.array([3, 1]))
    for name in ('a.json', 'b.npz'):
        assert read_point_list(tmp_path / name)['s'].tolist() == [3, 1]
    torch.save({'s': (np.array([2, 0]), np.array([7, 8]))}, tmp_path / 'bbox2')
    assert read_box_list(tmp_path / 'bbox2')['s'].tolist() == [2, 0]


class Evil:
    def __reduce__(self):
        return open, ('/tmp/pretrain3d_evil', 'w')


def test_bad_lists(tmp_path):
    torch.save({'s': Evil()}, tmp_path / 'evil')
    with pytest.raises(ValueError, match='not plain data'):
        read_point_list(tmp_path / 'evil')
    (tmp_path / 'raw').write_bytes(pickle.dumps([1]))
    with pytest.raises(ValueError, match='raw'):
        read_point_list(tmp_path / 'raw')
    (tmp_path / 'c.json').write_text('{"s": [-1]}')
    with pytest.raises(ValueError, match='negative'):
        read_point_list(tmp_path / 'c.json')
    with pytest.raises(FileNotFoundError, match='data_efficient'):
        read_point_list(tmp_path / 'none')


def test_points_are_drawn_instance_by_instance():
    rng = np.random.default_rng(0)
    instance = rng.integers(0, 9, 3000) * (rng.random(3000) < 0.8)  # one large background, 8 objects
    semantic = np.where(instance > 0, instance, 0)
    semantic[:200] = 20
    groups = lambda rows: np.unique(np.stack([semantic[rows], instance[rows]]), axis=1).shape[1]  # noqa: E731
    draw = lambda count: choose_points(semantic, instance, count, 20, np.random.default_rng(5))  # noqa: E731
    for count in (1, 5, 9, 40):
        rows = draw(count)
        assert len(set(rows)) == count and (semantic[rows] != 20).all() and groups(rows) == min(count, 9)
        assert rows.tolist() == draw(100)[:count].tolist()
    assert len(draw(10**6)) == 2800 and len(choose_points(np.full(5, 20), np.zeros(5, int), 3, 20, rng)) == 0


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


def boxes(count=5):
    return dict(scan='s', gt_bboxes_3d=np.arange(count), gt_labels_3d=np.arange(count) * 2,
                ann_info=dict(instance_id=np.arange(count) + 1), pts_instance_mask=np.array([0, 1, 2, 3, 4, 5]),
                pts_semantic_mask=np.array([1, 1, 2, 3, 4, 5]), seg_label_mapping=np.array([18, 0, 1]))


@pytest.mark.parametrize('count', [1, 2, 4, 7])
def test_limit_boxes(count):
    out = LimitBoxes(boxes=count)(boxes())
    kept = out['gt_bboxes_3d']
    assert len(kept) == min(count, 5) and np.array_equal(out['gt_labels_3d'], kept * 2)
    stays = np.isin(np.arange(6), kept + 1)
    assert np.array_equal(out['pts_semantic_mask'], np.where(stays, boxes()['pts_semantic_mask'], 18))
    assert np.array_equal(out['pts_instance_mask'] > 0, stays)


def test_box_list(tmp_path):
    (tmp_path / 'b.json').write_text('{"s": [3, 1]}')
    assert LimitBoxes(boxes=str(tmp_path / 'b.json'))(boxes())['gt_bboxes_3d'].tolist() == [1, 3]
    with pytest.raises(ValueError, match='box 3 of s, which has 2'):
        LimitBoxes(boxes=str(tmp_path / 'b.json'))(boxes(2))


def test_dataset_refuses_what_would_not_be_limited():
    with pytest.raises(ValueError, match='training'):
        ScanNet20Dataset(limit_points=20, test_mode=True)
    assert len(ScanNet200Dataset.METAINFO['classes']) == 200
