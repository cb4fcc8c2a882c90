"""Predictions written while a data set is tested."""
import numpy as np
import pytest
import torch

import pretrain3d  # noqa: F401
from mmdet3d.registry import METRICS
from pretrain3d.label_spaces import UnknownNameError, get_label_space

META = dict(classes=('wall', 'floor', 'desk'), seg_valid_class_ids=(1, 2, 14))


def build(folder, meta=META, **config):
    metric = METRICS.build(dict(type='DumpSegmentation', out_dir=str(folder), **config))
    metric.dataset_meta = meta
    return metric


def sample(path, classes):
    return dict(lidar_path=path, pred_pts_seg=dict(pts_semantic_mask=torch.as_tensor(classes)))


def test_one_file_a_scan_in_the_order_of_the_points(tmp_path):
    rng = np.random.default_rng(0)
    scans = {f'scene{i}': rng.integers(0, 4, n) for i, n in enumerate((5, 0, 70))}
    metric = build(tmp_path / 'deep' / 'out')
    metric.process(None, [sample(f'/data/points/{name}.bin', classes) for name, classes in list(scans.items())[:2]])
    assert len(list((tmp_path / 'deep' / 'out').iterdir())) == 2  # as soon as they are done
    metric.process(None, [sample(f'/data/points/{name}.bin', classes) for name, classes in list(scans.items())[2:]])
    scores = metric.evaluate(3)
    assert scores == dict(predictions=3) and isinstance(scores['predictions'], float)  # an int becomes null in json
    assert sorted(path.name for path in (tmp_path / 'deep' / 'out').iterdir()) == [f'{name}.npy' for name in scans]
    for name, classes in scans.items():
        found = np.load(tmp_path / 'deep' / 'out' / f'{name}.npy')
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, classes)


def test_many_classes_fit(tmp_path):
    metric = build(tmp_path, dict(classes=tuple(map(str, range(300)))))
    metric.process(None, [sample('a.bin', [0, 299, 300])])
    np.testing.assert_array_equal(np.load(tmp_path / 'a.npy'), [0, 299, 300])


def test_text_holds_the_raw_ids_of_the_benchmark(tmp_path):
    metric = build(tmp_path, form='txt')
    metric.process(None, [sample('scene0707_00.bin', [2, 0, 3, 1])])
    assert (tmp_path / 'scene0707_00.txt').read_text() == '14\n1\n0\n2\n'
    with pytest.raises(ValueError, match="no seg_valid_class_ids.*form='npy'"):
        build(tmp_path, dict(classes=META['classes']), form='txt').process(None, [sample('b.bin', [0])])
    assert [path.name for path in tmp_path.iterdir()] == ['scene0707_00.txt']  # not half a file


def test_names_are_those_of_the_benchmark(tmp_path):
    metric = build(tmp_path, form='txt')
    metric.process(None, [sample('scans/scene0707_00/scene0707_00_vh_clean_2.ply', [1])])
    assert [path.name for path in tmp_path.iterdir()] == ['scene0707_00.txt']


@pytest.mark.parametrize('space', ['ScanNet20', 'ScanNet200', 'S3DIS13', 'Structured3D25'])
def test_raw_ids_come_back_as_the_classes(tmp_path, space):
    """Round trip of a file for the benchmark, through the label space."""
    space = get_label_space(space)
    classes = np.random.default_rng(0).permutation(np.arange(space.num_classes + 1).repeat(2))
    build(tmp_path, space.metainfo(), form='txt').process(None, [sample('scene.bin', classes)])
    found = np.loadtxt(tmp_path / 'scene.txt', dtype=int)
    if space.name != 'S3DIS13':  # whose ids begin at 0, so that 0 is ceiling
        np.testing.assert_array_equal(space.map_raw(found), classes)
    if space.name == 'ScanNet20':
        assert set(found) == {0, *range(1, 13), 14, 16, 24, 28, 33, 34, 36, 39}  # as the benchmark lists them


@pytest.mark.parametrize('suffix', ['.bin', '.npy'])
def test_coloured_cloud(tmp_path, suffix):
    from plyfile import PlyData
    meta = get_label_space('S3DIS13').metainfo()
    points = np.random.default_rng(0).uniform(-5, 90, (30, 9)).astype(np.float32)
    points[:, 3:6] = 7
    source = tmp_path / f'room{suffix}'
    np.save(source, points) if suffix == '.npy' else points.tofile(source)
    classes = np.arange(30) % 14
    build(tmp_path / 'out', meta, form='ply').process(None, [sample(str(source), classes)])
    vertex = PlyData.read(str(tmp_path / 'out' / 'room.ply'))['vertex'].data
    np.testing.assert_array_equal(np.stack([vertex[axis] for axis in 'xyz'], 1), points[:, :3])
    np.testing.assert_array_equal(vertex['label'], classes)
    colours = np.stack([vertex[name] for name in ('red', 'green', 'blue')], 1)
    np.testing.assert_array_equal(colours, np.array([*meta['palette'], (0, 0, 0)])[classes])
    with pytest.raises(ValueError, match='30 points, but 29 were predicted'):
        build(tmp_path / 'out', meta, form='ply').process(None, [sample(str(source), classes[:29])])
    with pytest.raises(ValueError, match="no palette.*form='npy'"):
        build(tmp_path / 'out', form='ply').process(None, [sample(str(source), classes * 0)])


def test_samples_do_not_overwrite_each_other(tmp_path):
    metric = build(tmp_path)
    metric.process(None, [sample('00/000001.bin', [0]), sample('00/000001.bin', [0])])  # a sampler's padding
    with pytest.raises(ValueError, match='00/000001.bin and 01/000001.bin would both be written to'):
        metric.process(None, [sample('01/000001.bin', [1])])
    assert np.load(tmp_path / '000001.npy') == [0]
    other = build(tmp_path)  # the same, met by two processes
    with pytest.raises(ValueError, match='would both be written'):
        other.compute_metrics([('000001', '00/000001.bin'), ('000001', '01/000001.bin')])
    again = build(tmp_path)
    for folder in ('00', '01'):  # two tests of one metric, each of its own folder
        again.process(None, [sample(f'{folder}/000001.bin', [0])])
        again.evaluate(1)


def test_several_data_sets_in_one_run(tmp_path):
    """Each sample in the label space of its domain."""
    metas = [get_label_space(name).metainfo() for name in ('ScanNet20', 'S3DIS13')]
    metric = build(tmp_path, metas, form='txt', label_spaces=dict(ScanNet='ScanNet20', S3DIS='S3DIS13'))
    metric.process(None, [dict(sample('room.bin', [0, 13]), domain='S3DIS'),
                          dict(sample('scene.bin', [19, 0, 20]), domain='ScanNet')])
    assert (tmp_path / 'room.txt').read_text() == '0\n13\n'  # 0 is the ceiling
    assert (tmp_path / 'scene.txt').read_text() == '39\n1\n0\n'
    with pytest.raises(UnknownNameError, match='ScanNet, S3DIS'):
        metric.process(None, [dict(sample('c.bin', [0]), domain='nuScenes')])
    with pytest.raises(ValueError, match='label_spaces'):
        build(tmp_path, metas).process(None, [sample('d.bin', [0])])


def test_unknown_form_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'npy', 'txt', 'ply'.*'bin'"):
        build(tmp_path, form='bin')
