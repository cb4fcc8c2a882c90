"""The ScanNet converter on a drawn world: what mmdet3d's own datasets read from it, and what bad input does."""
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from plyfile import PlyData
from pretrain3d.converters.batch import SceneError
from pretrain3d.files import write_atomic
from pretrain3d.converters.scannet.convert import convert, convert_splits
from pretrain3d.converters.scannet.reading import read_label_table, read_scan, vertex_normals
from pretrain3d.label_spaces import get_label_space
from scannet_scans import cut_json, infos


def test_vertices_keep_their_order_and_labels(world, converted):
    name = 'scene0001_00'
    mesh = PlyData.read(str(world / 'scans' / name / f'{name}_vh_clean_2.labels.ply'))['vertex']
    points = np.fromfile(converted / 'points_normals' / f'{name}.bin', np.float32).reshape(-1, 9)
    np.testing.assert_array_equal(points[:, :3], np.stack([mesh[axis] for axis in 'xyz'], 1))
    nyu40 = np.fromfile(converted / 'semantic_mask' / f'{name}.bin', np.int64)
    np.testing.assert_array_equal(nyu40, mesh['label'])
    np.testing.assert_allclose(np.linalg.norm(points[:, 6:], axis=1), 1, atol=1e-5)
    raw200 = np.fromfile(converted / 'semantic_mask_200' / f'{name}.bin', np.int64)
    wide = get_label_space('ScanNet200')
    assert (wide.map_raw(raw200) < 200).all()
    walls = nyu40 == 1
    assert set(np.array(wide.classes)[wide.map_raw(raw200)[walls]]) == {'wall'}


def test_normals_of_a_known_mesh():
    xyz = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [9, 9, 9]], np.float32)
    normal = vertex_normals(xyz, np.array([[0, 1, 2], [0, 3, 1]]))
    np.testing.assert_allclose(normal[2], [0, 0, 1])
    np.testing.assert_allclose(normal[3], [0, 1, 0])
    np.testing.assert_allclose(normal[0], np.array([0, 1, 1]) / np.sqrt(2), atol=1e-6)
    np.testing.assert_allclose(normal[4], [0, 0, 1])  # belongs to no face


def test_boxes_hold_their_instances(converted):
    for record in infos(converted, 'train'):
        xyz = np.fromfile(converted / 'points' / f'{record["scan"]}.bin', np.float32).reshape(-1, 6)[:, :3]
        align = record['axis_align_matrix']
        xyz = xyz @ align[:3, :3].T + align[:3, 3]
        instance = np.fromfile(converted / 'instance_mask' / f'{record["scan"]}.bin', np.int64)
        assert record['instances']
        for box in record['instances']:
            rows = xyz[instance == box['instance_id']]
            centre, size = np.array(box['bbox_3d'][:3]), np.array(box['bbox_3d'][3:])
            np.testing.assert_allclose(np.abs(rows - centre).max(0), size / 2, atol=1e-4)


def test_frames_point_at_files_and_agree_with_vertices(world, converted):
    """Pixels' points carry the label of the vertices they land on, since both come from one scene."""
    record = infos(converted, 'val', 'frames')[0]
    assert len(record['frames']) == 3 and record['lost'] == 0
    root = Path(record['root'])
    depth = np.asarray(Image.open(root / record['frames'][0]['depth_path'])).astype(float) / 1000
    assert Image.open(root / record['frames'][0]['color_path']).size == depth.shape[::-1]
    v, u = np.nonzero(depth)
    camera = np.asarray(record['intrinsic_depth'])
    rays = np.stack([(u - camera[0, 2]) / camera[0, 0], (v - camera[1, 2]) / camera[1, 1], np.ones(len(u))], 1)
    pose = np.asarray(record['frames'][0]['pose'])
    xyz = (rays * depth[v, u][:, None]) @ pose[:3, :3].T + pose[:3, 3]
    points = np.fromfile(converted / 'points' / f'{record["scan"]}.bin', np.float32).reshape(-1, 6)[:, :3]
    low, high = points.min(0) - 0.05, points.max(0) + 0.05
    assert ((xyz > low) & (xyz < high)).all(1).mean() > 0.99


def test_mmdet3d_datasets_read_it(converted):
    from mmdet3d.registry import DATASETS
    from mmengine.registry import init_default_scope
    init_default_scope('mmdet3d')
    load = dict(type='LoadPointsFromFile', coord_type='DEPTH', shift_height=False, use_color=True, load_dim=6,
                use_dim=[0, 1, 2, 3, 4, 5])
    space = get_label_space('ScanNet20')
    prefix = dict(pts='points', pts_semantic_mask='semantic_mask', pts_instance_mask='instance_mask')
    seg = dict(type='ScanNetSegDataset', data_root=str(converted), ann_file='scannet_infos_train.pkl',
               metainfo=space.metainfo(), data_prefix=prefix, ignore_index=20,
               scene_idxs=str(converted / 'seg_info' / 'train_resampled_scene_idxs.npy'),
               pipeline=[load, dict(type='LoadAnnotations3D', with_bbox_3d=False, with_label_3d=False,
                                    with_mask_3d=False, with_seg_3d=True),
                         dict(type='PointSegClassMapping'),
                         dict(type='Pack3DDetInputs', keys=['points', 'pts_semantic_mask'])])
    sample = DATASETS.build(seg)[0]
    mask = sample['data_samples'].gt_pts_seg.pts_semantic_mask
    assert len(sample['inputs']['points']) == len(mask)
    name = infos(converted, 'train')[0]['scan']
    np.testing.assert_array_equal(
        mask, space.map_raw(np.fromfile(converted / 'semantic_mask' / f'{name}.bin', np.int64)))

    det = dict(type='ScanNetDataset', data_root=str(converted), ann_file='scannet_infos_val.pkl',
               data_prefix=prefix, pipeline=[
                   load, dict(type='LoadAnnotations3D', with_bbox_3d=True, with_label_3d=True, with_mask_3d=True,
                              with_seg_3d=True),
                   dict(type='GlobalAlignment', rotation_axis=2),
                   dict(type='PointSegClassMapping'),
                   dict(type='Pack3DDetInputs', keys=['points', 'gt_bboxes_3d', 'gt_labels_3d', 'pts_semantic_mask',
                                                      'pts_instance_mask'])])
    sample = DATASETS.build(det)[0]
    boxes = sample['data_samples'].gt_instances_3d.bboxes_3d
    assert len(boxes) == len(infos(converted, 'val')[0]['instances']) > 2
    xyz = sample['inputs']['points'][:, :3]
    assert xyz[:, 2].min() > -0.3 and 2.2 < xyz[:, 2].max() < 2.8  # aligned: the floor lies at zero

    classes = DATASETS.get('ScanNetInstanceSegDataset').METAINFO['classes']
    instance = dict(type='ScanNetInstanceSegDataset', data_root=str(converted), ann_file='scannet_infos_val.pkl',
                    metainfo=dict(classes=classes), data_prefix=prefix, ignore_index=18, scene_idxs=[0],
                    pipeline=[load, dict(type='LoadAnnotations3D', with_bbox_3d=False, with_label_3d=False,
                                         with_mask_3d=True, with_seg_3d=True),
                              dict(type='Pack3DDetInputs', keys=['points', 'pts_semantic_mask', 'pts_instance_mask'])])
    sample = DATASETS.build(instance)[0]
    assert len(sample['data_samples'].gt_pts_seg.pts_instance_mask) == len(sample['inputs']['points'])


def test_two_processes_write_the_same(world, converted, tmp_path):
    convert(world, tmp_path, frame_step=1, jobs=2, quiet=True)
    for kind in ('points', 'semantic_mask', 'instance_mask', 'points_normals'):
        for path in (converted / kind).iterdir():
            assert path.read_bytes() == (tmp_path / kind / path.name).read_bytes()
    for split in ('train', 'val'):
        for kind in ('infos', 'frames'):
            np.testing.assert_equal(infos(tmp_path, split, kind), infos(converted, split, kind))


def damage_mesh(folder):
    path = folder / f'{folder.name}_vh_clean_2.ply'
    path.write_bytes(path.read_bytes()[:-5000])


def nan_vertex(folder):
    path = folder / f'{folder.name}_vh_clean_2.ply'
    mesh = PlyData.read(str(path), mmap=False)
    mesh['vertex']['x'][3] = np.nan
    mesh.write(str(path))


def short_segments(folder):
    path = folder / f'{folder.name}_vh_clean_2.0.010000.segs.json'
    content = json.loads(path.read_text())
    content['segIndices'].pop()
    path.write_text(json.dumps(content))


SEGMENTS, GROUPS = 'scene0000_00_vh_clean_2.0.010000.segs.json', 'scene0000_00.aggregation.json'


@pytest.mark.parametrize('harm, word', [
    (damage_mesh, 'not a whole mesh'), (nan_vertex, 'NaN'), (cut_json, 'cut off'), (short_segments, 'segment indices'),
    (lambda folder: shutil.rmtree(folder), 'folder missing'),
    (lambda folder: (folder / 'scene0000_00.txt').write_text('axisAlignment = 1 2 3\n'), '16 numbers'),
    (lambda folder: (folder / 'scene0000_00.txt').write_text('axisAlignment =' + ' nan' * 16), 'NaN or infinite'),
    (lambda folder: (folder / SEGMENTS).write_text('{"segIndices": ["a"]}'), 'no whole numbers'),
    (lambda folder: (folder / GROUPS).write_text('{"segGroups": null}'), 'no list'),
    (lambda folder: (folder / GROUPS).write_text('{"segGroups": [{"label": "bed", "segments": ["x"]}]}'),
     'without label or segments')])
def test_a_broken_scan_is_named_and_left_out(broken, tmp_path, harm, word):
    root, folder = broken
    harm(folder)
    skipped = convert(root, tmp_path / 'out', frame_step=1, quiet=True)
    assert [name for name, _ in skipped] == ['scene0000_00'] and word in skipped[0][1]
    assert [each['scan'] for each in infos(tmp_path / 'out', 'train')] == ['scene0001_00']
    assert not (tmp_path / 'out' / 'records' / 'scene0000_00.json').exists()
    assert not list((tmp_path / 'out').rglob('*.partial'))


def drop_from_table(root, *categories):
    table = root / 'scannetv2-labels.combined.tsv'
    table.write_text(''.join(line for line in table.read_text().splitlines(True)
                             if not any(f'\t{category}\t' in line for category in categories)))
    return table


def test_unknown_labels_become_unannotated(broken):
    root, folder = broken
    scan = read_scan(folder, read_label_table(drop_from_table(root, 'bed')))
    assert scan.unknown == ['bed']
    rows = scan.instance == scan.categories.index('bed') + 1
    assert rows.any() and (scan.nyu40[rows] == 0).all()


def test_unknown_labels_are_counted_over_all_scans_in_every_run(broken, tmp_path):
    root, _ = broken
    groups = [json.loads((root / 'scans' / name / f'{name}.aggregation.json').read_text())['segGroups']
              for name in ('scene0000_00', 'scene0001_00', 'scene0002_00')]
    counts = [sum(group['label'] == 'wall' for group in each) for each in groups]
    drop_from_table(root, 'wall')
    for _ in range(2):
        assert convert_splits(root, tmp_path / 'out', quiet=True).unknown == {
            'wall': (sum(counts), sum(map(bool, counts)))}
    assert sum(counts) > 3


def test_a_split_without_a_single_scan_does_not_cost_the_others(broken, tmp_path):
    root, _ = broken
    cut_json(root / 'scans' / 'scene0000_00')
    cut_json(root / 'scans' / 'scene0001_00')
    out = tmp_path / 'out'
    outcome = convert_splits(root, out, ['train', 'val'], frame_step=1, quiet=True)
    assert [split for split, _ in outcome.failed] == ['train'] and 'none of its 2 scans' in outcome.failed[0][1]
    assert [name for name, _ in outcome.skipped] == ['scene0000_00', 'scene0001_00']
    assert sorted(path.name for path in out.glob('*.pkl')) == ['scannet_frames_val.pkl', 'scannet_infos_val.pkl']
    assert [each['scan'] for each in infos(out, 'val')] == ['scene0002_00']
    with pytest.raises(SceneError, match="split 'train'.*cut off"):
        convert(root, out, quiet=True)
    (root / 'meta_data' / 'scannetv2_train.txt').write_text('')
    assert 'list is empty' in convert_splits(root, out, quiet=True).failed[0][1]


def test_a_missing_list_is_said_before_anything_is_converted(broken, tmp_path):
    root, _ = broken
    (root / 'meta_data' / 'scannetv2_val.txt').unlink()
    with pytest.raises(FileNotFoundError, match='scannetv2_val.txt is missing'):
        convert(root, tmp_path / 'out', quiet=True)
    assert not (tmp_path / 'out').exists()


def test_a_full_disk_leaves_no_torn_file_and_stops(world, tmp_path, monkeypatch):
    target = tmp_path / 'file.bin'
    target.write_bytes(b'old')

    def full(descriptor):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('os.fsync', full)
    with pytest.raises(OSError):
        write_atomic(target, b'new')
    assert target.read_bytes() == b'old' and [path.name for path in tmp_path.iterdir()] == ['file.bin']
    with pytest.raises(OSError, match='No space'):
        convert(world, tmp_path / 'out', quiet=True)


def test_ids_outside_the_200_classes_are_unannotated(tmp_path):
    (tmp_path / 'table.tsv').write_text('id\traw_category\tnyu40id\n2\tchair\t5\n1357\tlast of all\t40\n')
    table = read_label_table(tmp_path / 'table.tsv')
    assert table.raw200 == {'chair': 2} and table.nyu40 == {'chair': 5, 'last of all': 40}
