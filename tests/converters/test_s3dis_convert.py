"""What the S3DIS converter writes, that mmdet3d's own data sets read it, and what it does when files are bad."""
import json
import pickle
import shutil

import numpy as np
import pytest
from mmengine.registry import init_default_scope
from pretrain3d.converters.batch import SceneError
from pretrain3d.converters.s3dis import convert as converting
from pretrain3d.converters.s3dis.convert import AREAS, RELEASE, convert, convert_areas, find_root, room_names
from pretrain3d.converters.s3dis.infos import DETECTION_CLASSES
from pretrain3d.converters.s3dis.reading import SPACE

KINDS = ('points', 'points_normals', 'semantic_mask', 'instance_mask')


@pytest.fixture()
def world(drawn_s3dis, tmp_path):
    return shutil.copytree(drawn_s3dis.world, tmp_path / 'world')


def infos(folder, area):
    return pickle.loads((folder / f's3dis_infos_{area}.pkl').read_bytes())


def arrays(folder, file):
    shapes = dict(points=(np.float32, 6), points_normals=(np.float32, 9), semantic_mask=(np.int64, 1),
                  instance_mask=(np.int64, 1))
    return {kind: np.fromfile(folder / kind / file, dtype).reshape(-1, width)
            for kind, (dtype, width) in shapes.items()}


def test_every_point_is_there_under_its_own_label(drawn_s3dis):
    for area in AREAS:
        entries = infos(drawn_s3dis.converted, area)['data_list']
        assert len(entries) == len(room_names(drawn_s3dis.world, area))
        for entry in entries:
            file = entry['lidar_points']['lidar_path']
            name = file[len('Area_1_'):-len('.bin')]
            found = arrays(drawn_s3dis.converted, file)
            paths = sorted((drawn_s3dis.world / area / name / 'Annotations').glob('*.txt'))
            raw = [np.loadtxt(path, ndmin=2) for path in paths]
            whole = np.concatenate(raw)
            np.testing.assert_allclose(found['points'][:, :3], whole[:, :3] - whole[:, :3].min(0), atol=1e-4)
            np.testing.assert_array_equal(found['points'][:, 3:], whole[:, 3:])
            np.testing.assert_array_equal(found['points_normals'][:, :6], found['points'])
            np.testing.assert_allclose(np.linalg.norm(found['points_normals'][:, 6:], axis=1), 1, atol=1e-5)
            # The class is the file's name, looked up by hand in the order that S3DIS' papers use.
            label = [SPACE.classes.index(path.name.rpartition('_')[0]) for path in paths]
            sizes = [len(each) for each in raw]
            np.testing.assert_array_equal(found['semantic_mask'][:, 0], np.repeat(label, sizes))
            np.testing.assert_array_equal(found['instance_mask'][:, 0], np.repeat(np.arange(len(paths)) + 1, sizes))
            boxes = [(DETECTION_CLASSES.index(SPACE.classes[kind]), each[:, :3] - whole[:, :3].min(0))
                     for kind, each in zip(label, raw) if SPACE.classes[kind] in DETECTION_CLASSES]
            assert len(boxes) == len(entry['instances'])
            for box, (kind, xyz) in zip(entry['instances'], boxes):
                assert box['bbox_label_3d'] == kind
                np.testing.assert_allclose(box['bbox_3d'], [*(xyz.min(0) + xyz.max(0)) / 2, *np.ptp(xyz, 0)], atol=1e-4)


def test_mmdet3ds_own_data_sets_read_it(drawn_s3dis):
    import mmdet3d.datasets  # noqa: F401
    from mmdet3d.registry import DATASETS
    init_default_scope('mmdet3d')
    folder = drawn_s3dis.converted
    train = [f'Area_{number}' for number in (1, 2, 3, 4, 6)]
    steps = [dict(type='LoadPointsFromFile', coord_type='DEPTH', shift_height=False, use_color=True, load_dim=6,
                  use_dim=[0, 1, 2, 3, 4, 5]),
             dict(type='LoadAnnotations3D', with_bbox_3d=False, with_label_3d=False, with_mask_3d=False,
                  with_seg_3d=True),
             dict(type='PointSegClassMapping'),
             dict(type='IndoorPatchPointSample', num_points=512, block_size=1.0, use_normalized_coord=True,
                  ignore_index=13, num_try=10, min_unique_num=None),
             dict(type='NormalizePointsColor', color_mean=None),
             dict(type='Pack3DDetInputs', keys=['points', 'pts_semantic_mask'])]
    dataset = DATASETS.build(dict(
        type='S3DISSegDataset', data_root=str(folder), ann_files=[f's3dis_infos_{area}.pkl' for area in train],
        metainfo=dict(classes=SPACE.classes), pipeline=steps, modality=dict(use_lidar=True, use_camera=False),
        data_prefix=dict(pts='points', pts_instance_mask='instance_mask', pts_semantic_mask='semantic_mask'),
        scene_idxs=[f'seg_info/{area}_resampled_scene_idxs.npy' for area in train]))
    assert len(dataset) >= 5 and dataset.metainfo['classes'] == SPACE.classes
    sample = dataset[len(dataset) - 1]
    assert sample['inputs']['points'].shape == (512, 9)
    label = sample['data_samples'].gt_pts_seg.pts_semantic_mask
    assert 0 <= label.min() and label.max() <= 12
    for area in train:
        weight = np.load(folder / 'seg_info' / f'{area}_label_weight.npy')
        assert weight.shape == (13, ) and np.isfinite(weight).all()
    boxes = DATASETS.build(dict(
        type='S3DISDataset', data_root=str(folder), ann_file='s3dis_infos_Area_5.pkl', data_prefix=dict(
            pts='points', pts_instance_mask='instance_mask', pts_semantic_mask='semantic_mask'),
        metainfo=dict(classes=DETECTION_CLASSES), box_type_3d='Depth', filter_empty_gt=False, pipeline=[
            dict(type='LoadPointsFromFile', coord_type='DEPTH', load_dim=6, use_dim=[0, 1, 2]),
            dict(type='LoadAnnotations3D'), dict(type='Pack3DDetInputs', keys=[
                'points', 'gt_bboxes_3d', 'gt_labels_3d'])]))
    for index in range(len(boxes)):
        found = boxes[index]['data_samples'].gt_instances_3d
        xyz = boxes[index]['inputs']['points']
        # Every box holds points: its bottom and top are where the object's are.
        assert len(found.bboxes_3d) and (found.bboxes_3d.points_in_boxes_all(xyz[:, :3]).sum(0) > 5).all()


def test_a_second_run_does_only_what_is_missing(world, tmp_path, monkeypatch):
    out = tmp_path / 'out'
    assert convert(world, out, quiet=True) == []
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in sorted(out.rglob('*.bin'))}
    cut = out / 'points' / 'Area_1_office_1.bin'
    cut.write_bytes(cut.read_bytes()[:-8])
    (out / 'records' / 'Area_2_conferenceRoom_1.json').write_text('{')
    read, done = converting.read_room, []
    monkeypatch.setattr(converting, 'read_room', lambda folder: done.append(folder.name) or read(folder))
    assert convert(world, out, quiet=True) == []
    assert len(done) == 2 - (not (world / 'Area_2' / 'conferenceRoom_1').exists())
    assert {path: path.read_bytes() for path in before} == {path: content for path, (_, content) in before.items()}
    again = [path for path, (time, _) in before.items() if path.stat().st_mtime_ns != time]
    assert {path.name for path in again} <= {'Area_1_office_1.bin', 'Area_2_conferenceRoom_1.bin'} and cut in again


def test_parallel_and_in_place_give_the_same(world, drawn_s3dis):
    assert convert(world, world, jobs=2, quiet=True) == []
    for kind in KINDS:
        for path in sorted((drawn_s3dis.converted / kind).glob('*.bin')):
            assert (world / kind / path.name).read_bytes() == path.read_bytes()
    assert infos(world, 'Area_5') == infos(drawn_s3dis.converted, 'Area_5')


def test_the_releases_folder_is_found(world, tmp_path):
    inner = tmp_path / 'download' / RELEASE
    inner.parent.mkdir()
    world.rename(inner)
    assert find_root(tmp_path / 'download') == inner
    assert convert(tmp_path / 'download', tmp_path / 'out', ['Area_5'], quiet=True) == []
    with pytest.raises(FileNotFoundError, match='holds no Area_1'):
        convert_areas(tmp_path, tmp_path / 'out')


def test_bad_rooms_are_skipped_with_reasons_and_empty_areas_fail(world, tmp_path):
    rooms = {area: sorted(path for path in (world / area).iterdir() if path.is_dir()) for area in AREAS}
    (rooms['Area_5'][0] / 'Annotations' / 'wall_1.txt').write_bytes(b'garbage\n' * 50)
    shutil.rmtree(rooms['Area_1'][0] / 'Annotations')
    shutil.rmtree(world / 'Area_6')
    wall = rooms['Area_2'][0] / 'Annotations' / 'wall_1.txt'
    content = wall.read_bytes().splitlines(keepends=True)
    content[0] = b'1.0 2.0 3.0 103.0\x100000 5 6\n'
    wall.write_bytes(b''.join(content))
    (rooms['Area_3'][0] / 'Annotations' / 'piano_1.txt').write_text('1 2 3 4 5 6\n')
    outcome = convert_areas(world, tmp_path / 'out', quiet=True)
    name = f'Area_5/{rooms["Area_5"][0].name}'
    assert {room for room, _ in outcome.skipped} == {name, f'Area_1/{rooms["Area_1"][0].name}'}
    assert 'wall_1.txt: 50 of 50 lines' in dict(outcome.skipped)[name]
    assert [area for area, _ in outcome.failed] == ['Area_1', 'Area_6']
    assert outcome.notes == [(f'Area_2/{rooms["Area_2"][0].name}', '1 lines with damaged bytes were mended')]
    assert outcome.unknown == {'piano': (1, 1)}
    assert len(infos(tmp_path / 'out', 'Area_5')['data_list']) == 1
    assert not (tmp_path / 'out' / 's3dis_infos_Area_1.pkl').exists()
    labels = np.fromfile(tmp_path / 'out' / 'semantic_mask' / f'Area_3_{rooms["Area_3"][0].name}.bin', np.int64)
    assert (labels == 13).sum() == 1
    with pytest.raises(SceneError, match='Area_1.*none of its 1 rooms'):
        convert(world, tmp_path / 'out', quiet=True)


def test_angles_turn_rooms_and_other_angles_convert_anew(world, tmp_path):
    room = room_names(world, 'Area_5')[0]
    out = tmp_path / 'out'
    path = world / 'Area_5' / 'Area_5_alignmentAngle.txt'
    plain = tmp_path / 'plain'
    assert convert(world, plain, ['Area_5'], quiet=True) == []
    path.write_text(path.read_text().replace(f'{room} 0', f'{room} 90'))
    assert convert(world, out, ['Area_5'], align_angles=True, quiet=True) == []
    one, other = (arrays(folder, f'Area_5_{room}.bin') for folder in (plain, out))
    size = np.ptp(one['points'][:, :3], 0)
    # By -90 degrees: x becomes y, y becomes -x, from the new corner.
    turned = np.stack([one['points'][:, 1], size[0] - one['points'][:, 0], one['points'][:, 2]], 1)
    np.testing.assert_allclose(other['points'][:, :3], turned, atol=1e-4)
    assert json.loads((out / 'records' / f'Area_5_{room}.json').read_text())['options']['angle'] == 90
    path.write_text(path.read_text().replace(f'{room} 90', ''))
    outcome = convert_areas(world, out, ['Area_5'], align_angles=True, quiet=True)
    assert [name for name, _ in outcome.skipped] == [f'Area_5/{room}'] and 'no angle' in outcome.skipped[0][1]
    path.unlink()
    outcome = convert_areas(world, out, ['Area_5'], align_angles=True, quiet=True)
    assert outcome.failed[0][0] == 'Area_5' and '--align-angles' in outcome.failed[0][1]


def test_a_full_disk_ends_the_run(world, tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, 'No space left on device')
    monkeypatch.setattr(converting, 'write_scene', full)
    with pytest.raises(OSError, match='No space left'):
        convert(world, tmp_path / 'out', quiet=True)
