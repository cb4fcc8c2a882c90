"""Waymo's parquet files into points and labels: a slow decoder beside it, awkward files, resuming."""
import math
import shutil

import numpy as np
import pytest

pq = pytest.importorskip('pyarrow.parquet')

from pretrain3d.converters.batch import SceneError  # noqa: E402
from pretrain3d.converters.waymo import convert, tables  # noqa: E402
from pretrain3d.converters.waymo.range_images import Calibration, rotations, to_points  # noqa: E402
import waymo_segments  # noqa: E402
from waymo_segments import FRAMES, LABELLED, SEGMENTS, listed, load, rewrite, stamp, turn  # noqa: E402

FIRST = SEGMENTS['training'][0]


@pytest.fixture(scope='module')
def converted(release):
    root, held = release
    return root, held, convert.convert_splits(root, quiet=True)


def slow_points(drawn, frame):
    """Every return of a frame by itself, in double precision: points (N, 5) and raw classes (N,)."""
    each, points, classes = drawn['frames'][frame], [], []
    vehicle = each['vehicle'].astype(np.float32).astype(float)
    correction = math.atan2(drawn['extrinsic'][1, 0], drawn['extrinsic'][0, 0])
    for image, label in zip(each['images'], each['labels']):
        if image is None:
            continue
        height, width = image.shape[:2]
        for i in range(height):
            for j in range(width):
                distance = float(image[i, j, 0])
                if not distance > 0:
                    continue
                inclination = drawn['beams'][height - 1 - i]
                azimuth = (2 * (width - j - 0.5) / width - 1) * math.pi - correction
                at = np.array([distance * math.cos(azimuth) * math.cos(inclination),
                               distance * math.sin(azimuth) * math.cos(inclination),
                               distance * math.sin(inclination), 1])
                pose = np.eye(4)
                pose[:3, :3], pose[:3, 3] = turn(*each['pose'][i, j, :3].astype(float)), each['pose'][i, j, 3:]
                place = np.linalg.inv(vehicle) @ pose @ drawn['extrinsic'] @ at
                points.append([*place[:3], image[i, j, 1], image[i, j, 2]])
                classes.append(label[i, j, 1])
    return np.array(points), np.array(classes)


def test_every_return_where_a_slow_decoder_puts_it(converted):
    root, held, outcome = converted
    seen = 0
    for split in ('train', 'val'):
        for info in listed(root, split)['data_list']:
            frame = [stamp(number) for number in range(FRAMES)].index(info['timestamp'])
            points, classes = load(root, info)
            truth, labels = slow_points(held[info['scene_name']], frame)
            assert len(points) == len(classes) == info['num_points'] == len(truth) > 20
            np.testing.assert_allclose(points, truth, rtol=2e-6, atol=2e-5)  # a vehicle 16 km from the origin
            assert (classes == labels).all() and len(np.unique(classes)) > 5
            seen += 1
    assert seen == 6 and not outcome.bad and not outcome.failed


def test_numbers_of_the_official_decoder():
    """The example that waymo-open-dataset tests its own decoder with."""
    image = np.arange(-12, 12, dtype=np.float32).reshape(3, 2, 4)
    pose = np.tile(np.array([np.pi / 2] * 3 + [1, 2, 3]), (3, 2, 1))
    calibration = Calibration(np.eye(4), -np.pi / 2, np.pi / 2, np.array([-np.pi / 2, 0, np.pi / 2]))
    points, pixel = to_points(image, calibration, pose, np.eye(4))
    np.testing.assert_allclose(points[:, :3], [[-3, 2, 3], [-7, 2, 3]], atol=1e-6)
    assert pixel.tolist() == [4, 5] and points[:, 3:].tolist() == [[5, 6], [9, 10]]
    turned = rotations(np.full((1, 3), np.pi / 2))[0]
    np.testing.assert_allclose(turned, [[0, 0, 1], [0, 1, 0], [-1, 0, 0]], atol=1e-12)


def test_beams_that_are_not_listed_are_evenly_spread():
    beams = Calibration(np.eye(4), -0.4, 0.4).inclinations(4)
    np.testing.assert_allclose(beams, [0.3, 0.1, -0.1, -0.3])
    with pytest.raises(ValueError, match='has 3 rows, and the calibration 2 beams'):
        Calibration(np.eye(4), 0, 0, np.zeros(2)).inclinations(3)


def test_lists_are_in_mmdet3ds_form(converted):
    root, held, outcome = converted
    assert outcome.frames == dict(training=4, validation=2, testing=FRAMES) and outcome.fresh == 6 + FRAMES
    for split, folder in (('train', 'training'), ('val', 'validation')):
        content = listed(root, split)
        assert content['metainfo'] == dict(dataset='waymo', info_version='1.1', split=folder, lidars='top')
        expected = [(name, stamp(frame)) for name in SEGMENTS[folder] for frame in LABELLED]
        for info, (name, time) in zip(content['data_list'], expected):
            pose = held[name]['frames'][[stamp(frame) for frame in range(FRAMES)].index(time)]['vehicle']
            np.testing.assert_allclose(info.pop('ego2global'), pose, rtol=1e-6)
            assert info.pop('num_points') == info.pop('num_top_points') > 20
            assert info == dict(
                sample_idx=f'{name}/{time}', scene_name=name, timestamp=time,
                lidar_points=dict(lidar_path=f'points/{folder}/{name}/{time}.bin', num_pts_feats=5),
                pts_semantic_mask_path=f'labels/{folder}/{name}/{time}.label')
        assert len(content['data_list']) == len(expected)
    test = listed(root, 'test')['data_list']
    assert [info['timestamp'] for info in test] == [stamp(frame) for frame in range(FRAMES)]
    assert not any('pts_semantic_mask_path' in info for info in test) and not (root / 'labels' / 'testing').exists()


def test_a_zone_without_boxes_is_no_reason_to_forget_a_label(converted):
    """The fourth channel says where nobody drew boxes; the labels of such points are what the file says."""
    root, held, _ = converted
    info = listed(root, 'val')['data_list'][0]
    frame = held[info['scene_name']]['frames'][LABELLED[0]]
    seen = frame['images'][0][..., 0] > 0
    inside = frame['images'][0][seen][:, 3] > 0
    expected = frame['labels'][0][seen][:, 1][inside]
    assert len(expected) > 3 and expected.any()
    assert (load(root, info)[1][:len(inside)][inside] == expected).all()


def test_a_second_run_does_only_what_is_missing(release, tmp_path):
    root = tmp_path / 'copy'
    shutil.copytree(release[0] / 'validation', root / 'validation')
    assert convert.convert_splits(root, quiet=True).fresh == 2
    before = (root / 'waymo_infos_val.pkl').read_bytes()
    infos = listed(root, 'val')['data_list']
    points, labels = (root / infos[0]['lidar_points']['lidar_path'], root / infos[1]['pts_semantic_mask_path'])
    content, kept = points.read_bytes(), {path: path.stat().st_mtime_ns for path in root.rglob('*.label')}
    points.write_bytes(content[:-20])
    outcome = convert.convert_splits(root, quiet=True)
    assert outcome.fresh == 1 and points.read_bytes() == content
    labels.unlink()
    assert convert.convert_splits(root, quiet=True).fresh == 1 and labels.stat().st_mtime_ns != kept[labels]
    assert convert.convert_splits(root, quiet=True).fresh == 0 and (root / 'waymo_infos_val.pkl').read_bytes() == before


def test_frames_of_other_files_are_not_taken_for_done(release, tmp_path):
    root, name = tmp_path / 'copy', SEGMENTS['validation'][0]
    shutil.copytree(release[0] / 'validation', root / 'validation')
    convert.convert_splits(root, quiet=True)
    for tag in convert.SOURCES:  # another drive under the same name
        shutil.copy(release[0] / 'training' / tag / f'{FIRST}.parquet', root / 'validation' / tag / f'{name}.parquet')
    (root / 'points' / 'validation' / name / '9.bin').write_bytes(b'')
    assert convert.convert_splits(root, quiet=True).fresh == 2
    points, _ = load(root, listed(root, 'val')['data_list'][0])
    np.testing.assert_allclose(points, slow_points(release[1][FIRST], LABELLED[0])[0], rtol=2e-6, atol=2e-5)
    assert not (root / 'points' / 'validation' / name / '9.bin').exists()


def test_wanted_frames_of_the_testing_split(release, tmp_path):
    name, file = SEGMENTS['testing'][0], tmp_path / 'frames.txt'
    shutil.copytree(release[0] / 'testing', tmp_path / 'root' / 'testing')
    file.write_text(f'{name},{stamp(3)}\n{name},{stamp(0)}\n{name},5\nelsewhere,7\n')
    outcome = convert.convert_splits(tmp_path / 'root', wanted=convert.read_frames(file), quiet=True)
    assert outcome.frames == dict(testing=2)
    assert [info['timestamp'] for info in listed(tmp_path / 'root', 'test')['data_list']] == [stamp(0), stamp(3)]
    assert [line[0] for line in outcome.bad] == ['testing/elsewhere', f'testing/{name}/5']
    file.write_text('no comma\n')
    with pytest.raises(SceneError, match="line 1: 'no comma' is no segment,timestamp"):
        convert.read_frames(file)


def test_rows_are_decoded_one_at_a_time(release, monkeypatch):
    """However large a row group is: batches of one row, and none of a group in which no wanted frame lies."""
    root, held = release
    calls, real = [], pq.ParquetFile.iter_batches

    def spy(self, **options):
        calls.append(options)
        return real(self, **options)
    monkeypatch.setattr(pq.ParquetFile, 'iter_batches', spy)
    table = tables.Table(root / 'validation', 'lidar_pose', SEGMENTS['validation'][0], tables.image_columns(1))
    assert sorted(table.times) == [stamp(frame) for frame in range(FRAMES)] and not calls
    for time in [*table.times, table.times[0]]:
        frame = [stamp(number) for number in range(FRAMES)].index(time)
        truth = held[SEGMENTS['validation'][0]]['frames'][frame]['pose']
        assert (table.images(time, 1)[0] == truth).all()
    assert [(call['batch_size'], call['row_groups']) for call in calls] == [(1, [0]), (1, [1]), (1, [0])]


@pytest.mark.parametrize('lidars', ['top', 'all'])
def test_the_order_of_rows_costs_nothing(tmp_path, monkeypatch, lidars):
    """Rows in other orders, of every file another: the same points and labels, and no row is decoded twice."""
    monkeypatch.setattr(waymo_segments, 'LABELLED', tuple(range(FRAMES)))
    calls = []

    class Spy(pq.ParquetFile):
        def __init__(self, source, **options):
            self.tag = source.parent.name
            super().__init__(source, **options)

        def iter_batches(self, **options):
            calls.extend((self.tag, group) for group in options['row_groups'])
            return super().iter_batches(**options)

    monkeypatch.setattr(tables.pq, 'ParquetFile', Spy)
    made = []
    for seed in range(4):
        root = tmp_path / str(seed)
        waymo_segments.write_segment(root, 'training', FIRST, waymo_segments.draw_segment(1))
        for tag in ('lidar', 'lidar_segmentation', 'lidar_pose', 'vehicle_pose'):
            rewrite(root / 'training' / tag / f'{FIRST}.parquet', np.random.default_rng(seed).shuffle, 9)
        calls.clear()
        outcome = convert.convert_splits(root, quiet=True, lidars=lidars)
        assert outcome.frames == dict(training=FRAMES) and not outcome.bad
        for tag in ('lidar', 'lidar_segmentation', 'lidar_pose', 'vehicle_pose'):
            groups = [group for name, group in calls if name == tag]
            assert len(groups) == len(set(groups)) > 0
        files = sorted(file for kind in ('points', 'labels') for file in (root / kind).rglob(f'{FIRST}/*'))
        made.append({str(file.relative_to(root)): file.read_bytes() for file in files if file.suffix != '.json'})
    assert len(made[0]) == (2 + (lidars == 'all')) * FRAMES and all(other == made[0] for other in made[1:])
    monkeypatch.setattr(tables, 'KEPT', 100)  # no room for a row: decoded again, and nothing else changes
    calls.clear()
    assert convert.convert_splits(root, quiet=True, lidars=dict(top='all', all='top')[lidars]).fresh == FRAMES
    assert convert.convert_splits(root, quiet=True, lidars=lidars).fresh == FRAMES
    assert all((root / file).read_bytes() == content for file, content in made[-1].items())
    assert len(calls) > len(set(calls)) + 4
