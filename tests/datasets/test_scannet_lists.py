"""Lists of labelled scans, points and boxes: official formats are read without running code, own lists are drawn."""
import collections
import json
import pickle

import numpy as np
import pytest
import torch

from pretrain3d.datasets.scannet_lists import (choose_boxes, choose_points, choose_scenes, read_box_list,
                                               read_point_list, read_scene_list, scan_rng, split_names)


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


@pytest.mark.parametrize('wrap', [dict, collections.OrderedDict, lambda d: collections.defaultdict(list, d)])
@pytest.mark.parametrize('dtype', [np.int32, np.int64])
def test_official_box_lists(tmp_path, wrap, dtype):
    """Scan -> (rows of the boxes, instance ids), torch-pickled numpy arrays, as released; also plain lists, one box."""
    path = tmp_path / 'bbox2'
    torch.save(wrap({'a': (np.array([2, 0], dtype), np.array([7, 8], dtype)), 'b': ([1], [4]), 'c': [3, 5, 3],
                     'd': [np.array([6]), np.array([9])]}), path, _use_new_zipfile_serialization=False)
    rows = read_box_list(path)
    assert {scan: each.tolist() for scan, each in rows.items()} == {'a': [2, 0], 'b': [1], 'c': [3, 5], 'd': [6]}
    assert all(each.dtype == np.int64 for each in rows.values())


def test_numbers_inside_lists_and_empty_scans(tmp_path):
    torch.save({'a': [np.int64(3), np.int32(1)], 'b': [], 'c': np.zeros(0, np.int64)}, tmp_path / 'points')
    read = read_point_list(tmp_path / 'points')
    assert [read[scan].tolist() for scan in 'abc'] == [[3, 1], [], []]


@pytest.mark.parametrize('held, words', [
    ({'a': np.array([0.5])}, 'must be integers'), ({'a': np.array([True])}, 'must be integers'),
    ({'a': ['x']}, 'must be integers'), (torch.arange(3), 'must hold a dict'), ({'a': np.array([-1, 2])}, 'negative')])
def test_wrong_contents_are_named(tmp_path, held, words):
    torch.save(held, tmp_path / 'points20')
    with pytest.raises(ValueError, match=f'points20.*{words}'):
        read_point_list(tmp_path / 'points20')


def test_objects_inside_numpy_arrays_are_not_run(tmp_path):
    for name, new in (('old', False), ('new', True)):
        torch.save({'s': np.array([Evil()], object)}, tmp_path / name, _use_new_zipfile_serialization=new)
        with pytest.raises(ValueError, match='not plain data'):
            read_point_list(tmp_path / name)
    np.savez(tmp_path / 'evil.npz', s=np.array([Evil()], object))
    with pytest.raises(ValueError, match='evil.npz'):
        read_point_list(tmp_path / 'evil.npz')


@pytest.mark.parametrize('content', [b'', b'\x80\x02}', b'no pickle at all', b'PK\x03\x04 torn archive'])
@pytest.mark.parametrize('name', ['points20', 'points.json', 'points.npz'])
def test_torn_files_are_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=name):
        read_point_list(tmp_path / name)


def test_points_equal_dealing_by_hand():
    """Brute force: shuffle, then deal one point to each object in turn, objects in the order of their first point."""
    rng = np.random.default_rng(2)
    for seed in range(20):
        count = int(rng.integers(1, 60))
        semantic, instance = rng.integers(0, 4, count), rng.integers(-1, 4, count)
        piles = {}
        for row in np.random.default_rng(seed).permutation(count):
            if semantic[row] != 3:
                key = ('object', instance[row]) if instance[row] > 0 else ('class', semantic[row])
                piles.setdefault(key, []).append(row)
        order = np.random.default_rng(seed).permutation(count).tolist()
        dealt = []
        for turn in range(count):
            dealt += sorted((pile[turn] for pile in piles.values() if turn < len(pile)), key=order.index)
        for asked in (1, 3, 10, 100):
            drawn = choose_points(semantic, instance, asked, 3, np.random.default_rng(seed))
            assert drawn.tolist() == dealt[:asked]


def test_boxes_are_nested_and_differ_between_scans_and_seeds():
    for count in (0, 1, 5, 12):
        for asked in (1, 2, 4, 7):
            rows = choose_boxes('s', count, asked, seed=1)
            assert len(rows) == min(asked, count) and set(rows) <= set(range(count)) and (np.diff(rows) > 0).all()
            assert set(rows) <= set(choose_boxes('s', count, asked + 1, seed=1))
    draws = {tuple(choose_boxes(scan, 12, 4, seed)) for scan in 'abcdefgh' for seed in range(3)}
    assert len(draws) > 15
    assert scan_rng('a', 0).integers(1 << 40) == scan_rng('a', 0).integers(1 << 40)


def test_scene_lists(tmp_path):
    (tmp_path / '1.txt').write_text('  scene0000_00 \n\nscene0001_00')
    assert read_scene_list(tmp_path / '1.txt') == ['scene0000_00', 'scene0001_00']
    with pytest.raises(FileNotFoundError, match='share in'):
        read_scene_list(tmp_path / '2.txt')
    for share in (0, -0.1, 1.5):
        with pytest.raises(ValueError, match='must be in'):
            choose_scenes(['a'], share)
    assert choose_scenes(['a', 'b', 'a'], 1) in (['a', 'b'], ['b', 'a']) and len(choose_scenes(['a', 'b'], 0.01)) == 1
