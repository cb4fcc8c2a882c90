"""Waymo's parquet files, torn, missing, of another kind or without labels: what is left out, and what is said."""
import importlib.util
import math
import shutil
import sys
from pathlib import Path

import pytest

pq = pytest.importorskip('pyarrow.parquet')

import pyarrow as pa  # noqa: E402
from pretrain3d.converters.batch import SceneError  # noqa: E402
from pretrain3d.converters.waymo import convert  # noqa: E402
from waymo_segments import SEGMENTS, listed, load, rewrite, stamp  # noqa: E402

FIRST, SECOND = SEGMENTS['training']


@pytest.fixture()
def broken(release, tmp_path):
    """A copy of the training segments that a test may spoil."""
    for tag in convert.SOURCES:
        shutil.copytree(release[0] / 'training' / tag, tmp_path / 'training' / tag)
    return tmp_path


def first_bad(root):
    """The reason for which the first training segment, or a frame of it, is left out; the second one is there."""
    outcome = convert.convert_splits(root, quiet=True)
    assert outcome.frames['training'] >= 2 and all(name.split('/')[1] == FIRST for name, _ in outcome.bad)
    assert any(info['scene_name'] == SECOND for info in listed(root, 'train')['data_list'])
    return outcome.bad


@pytest.mark.parametrize('tag', ['lidar', 'lidar_segmentation', 'lidar_calibration'])
def test_torn_files_cost_their_segment(broken, tag):
    file = broken / 'training' / tag / f'{FIRST}.parquet'
    file.write_bytes(file.read_bytes()[:-100])
    [(name, reason)] = first_bad(broken)
    assert name == f'training/{FIRST}' and reason.startswith(f'{file} cannot be read (')
    assert reason.endswith('torn or no parquet file; fetch it again')


@pytest.mark.parametrize('tag', ['lidar', 'vehicle_pose'])
def test_names_of_columns_that_are_no_text(broken, tag):
    """pyarrow raises a bare UnicodeDecodeError over them."""
    file = broken / 'training' / tag / f'{FIRST}.parquet'
    content = file.read_bytes()
    file.write_bytes(content.replace(b'Component].', b'Compon\xff\xc3t].'))
    with pytest.raises(UnicodeDecodeError):
        pq.ParquetFile(file).schema_arrow
    [(name, reason)] = first_bad(broken)
    assert name == f'training/{FIRST}' and reason.startswith(f"{file} cannot be read ('utf-8' codec")
    assert reason.endswith('torn or no parquet file; fetch it again')


@pytest.mark.parametrize('tag, column, kind', [
    ('vehicle_pose', '[VehiclePoseComponent].world_from_vehicle.transform', pa.string()),
    ('lidar', '[LiDARComponent].range_image_return1.values', pa.list_(pa.string())),
    ('lidar_segmentation', 'key.frame_timestamp_micros', pa.int64()),
    ('lidar_pose', 'key.frame_timestamp_micros', pa.float64()),
    ('lidar_segmentation', 'key.frame_timestamp_micros', pa.float32())])
def test_values_of_another_type_and_rows_without_a_time(broken, tag, column, kind):
    file = broken / 'training' / tag / f'{FIRST}.parquet'
    table = pq.read_table(file)
    place = table.schema.get_field_index(column)
    value = {pa.int64(): None, pa.float64(): math.inf, pa.float32(): 1e30, pa.string(): 'x'}.get(kind, ['x'])
    pq.write_table(table.set_column(place, pa.field(column, kind), pa.array([value] * len(table), kind)), file)
    bad = first_bad(broken)
    assert bad and all(reason.startswith(f'{file} cannot be read (') for _, reason in bad)


def test_damage_within_a_file_costs_the_frames_it_hits(broken):
    file = broken / 'training' / 'lidar_pose' / f'{FIRST}.parquet'
    place = pq.ParquetFile(file).metadata.row_group(0).column(4)
    assert place.path_in_schema.endswith('values.list.element')
    content = bytearray(file.read_bytes())
    start = place.data_page_offset if place.dictionary_page_offset is None else place.dictionary_page_offset
    content[start:start + 60] = b'\xff' * 60
    file.write_bytes(content)
    bad = first_bad(broken)
    assert 1 <= len(bad) <= 2 and all(f'{file} cannot be read (' in reason for _, reason in bad)


@pytest.mark.parametrize('tag', ['lidar', 'lidar_pose', 'lidar_segmentation', 'vehicle_pose', 'lidar_calibration'])
def test_missing_components_are_named_with_the_folder_to_fetch(broken, tag):
    file = broken / 'training' / tag / f'{FIRST}.parquet'
    file.unlink()
    assert first_bad(broken) == [(f'training/{FIRST}', f'{file} does not exist; fetch training/{tag} of the release')]


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('tag, column, value, reason', [
    ('lidar', '[LiDARComponent].range_image_return1.shape', [5, 12, 3],
     'do not fill a range image of shape (5, 12, 3)'),
    ('lidar', '[LiDARComponent].range_image_return1.values', [-1.0] * 240, None),
    ('lidar_pose', '[LiDARPoseComponent].range_image_return1.values', None, 'has no poses of frame'),
    ('lidar_pose', '[LiDARPoseComponent].range_image_return1.shape', [12, 5, 6], 'do not go together'),
    ('lidar_pose', '[LiDARPoseComponent].range_image_return1.values', [math.nan] * 360, 'points are not finite'),
    ('lidar_segmentation', '[LiDARSegmentationLabelComponent].range_image_return1.values', [23] * 120,
     'classes from 23 to 23; Waymo has 0 to 22'),
    ('lidar_segmentation', '[LiDARSegmentationLabelComponent].range_image_return1.shape', [12, 5, 2],
     'labels of shape (12, 5, 2) do not fit a range image of shape (5, 12, 4)'),
    ('vehicle_pose', '[VehiclePoseComponent].world_from_vehicle.transform', [math.nan] * 16, 'has no pose of frame'),
    ('vehicle_pose', '[VehiclePoseComponent].world_from_vehicle.transform', [0.0] * 16, 'has no pose of frame'),
    ('lidar_pose', '[LiDARPoseComponent].range_image_return1.values', [math.inf] * 360, 'points are not finite'),
    ('lidar', '[LiDARComponent].range_image_return1.shape', [-5, -12, 4],
     'do not fill a range image of shape (-5, -12, 4)'),
    ('lidar', 'key.frame_timestamp_micros', 77, 'has no row of the top LiDAR for frame')])
def test_a_frame_that_does_not_go_together_is_left_out(broken, tag, column, value, reason):
    """The same of frame 4, which has no second return; a frame in which nothing came back is one of these."""
    file = broken / 'training' / tag / f'{FIRST}.parquet'

    def change(rows):
        for row in rows:
            if row['key.frame_timestamp_micros'] == stamp(4) and row.get('key.laser_name', 1) == 1:
                row[column] = value
    rewrite(file, change)
    [(name, told)] = first_bad(broken)
    assert name == f'training/{FIRST}/{stamp(4)}'
    assert (reason or 'nothing came back, there is no point') in told and str(broken / 'training') in told


def test_files_of_another_kind_and_repeated_frames(broken):
    folder = broken / 'training'
    shutil.copy(folder / 'lidar_pose' / f'{FIRST}.parquet', folder / 'lidar' / f'{FIRST}.parquet')
    [(_, reason)] = first_bad(broken)
    assert "has no column '[LiDARComponent].range_image_return1.values': it is no file of lidar" in reason
    rewrite(folder / 'lidar_pose' / f'{SECOND}.parquet', lambda rows: rows.append(rows[0]))
    with pytest.raises(SceneError, match=r'222_0_000_20_000\.parquet holds frame \d+ twice'):
        convert.convert_segment(f'training/{SECOND}', broken)


def test_returns_without_labels_are_undefined_and_segments_without_labels_are_told(broken):
    folder = broken / 'training' / 'lidar_segmentation'
    rewrite(folder / f'{FIRST}.parquet', lambda rows: rows.clear())
    prefix = '[LiDARSegmentationLabelComponent].range_image_return2'

    def forget(rows):
        for row in rows:
            row[f'{prefix}.values'] = None
    rewrite(folder / f'{SECOND}.parquet', forget)
    outcome = convert.convert_splits(broken, quiet=True)
    assert outcome.notes == [f'training/{FIRST} has no labelled frame'] and not outcome.bad
    info = listed(broken, 'train')['data_list'][0]
    _, classes = load(broken, info)
    assert info['scene_name'] == SECOND and classes.any() and not classes[-3:].any()


def test_a_list_of_frames_that_may_be_gone_does_not_stay(broken, release):
    """A split that fails takes its own first reason, and its list from an earlier run is removed."""
    shutil.copytree(release[0] / 'validation', broken / 'validation')
    assert convert.convert_splits(broken, quiet=True).frames == dict(training=4, validation=2)
    name, before = SEGMENTS['validation'][0], (broken / 'waymo_infos_val.pkl').read_bytes()
    file = broken / 'validation' / 'lidar' / f'{name}.parquet'
    whole = file.read_bytes()
    file.write_bytes(whole[:-50])
    (broken / 'training' / 'lidar' / f'{FIRST}.parquet').write_bytes(b'')
    outcome = convert.convert_splits(broken, quiet=True)
    [(split, why)] = outcome.failed
    assert split == 'validation' and why.startswith(
        f'no frame of its 1 segments could be converted; first: validation/{name}: {file} cannot be read (')
    assert why.endswith(f"{broken / 'waymo_infos_val.pkl'}, a list of an earlier run, was removed")
    assert not (broken / 'waymo_infos_val.pkl').exists() and len(listed(broken, 'train')['data_list']) == 2
    file.write_bytes(whole)
    convert.convert_splits(broken, quiet=True)
    assert (broken / 'waymo_infos_val.pkl').read_bytes() == before
    shutil.rmtree(broken / 'validation')  # nothing to convert from: what was made stays what it is
    [(_, why)] = convert.convert_splits(broken, ['validation'], quiet=True).failed
    assert why == f'{broken}/validation/lidar holds no parquet file: fetch it'
    assert (broken / 'waymo_infos_val.pkl').read_bytes() == before


def test_splits_in_which_there_is_nothing_to_convert(release, tmp_path):
    for split, tag, word in (('validation', 'lidar_segmentation', 'labelled '), ('testing', 'lidar', '')):
        shutil.copytree(release[0] / split, tmp_path / split)
        rewrite(tmp_path / split / tag / f'{SEGMENTS[split][0]}.parquet', lambda rows: rows.clear())
        [(_, why)] = convert.convert_splits(tmp_path, [split], quiet=True).failed
        assert why == f'no {word}frame in its 1 segments: is {tmp_path}/{split}/{tag} complete?'


def tool():
    path = Path(__file__).resolve().parents[2] / 'tools' / 'data' / 'waymo.py'
    spec = importlib.util.spec_from_file_location('waymo_tool', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_the_tool_says_and_its_exit_status(broken, monkeypatch, capsys, tmp_path):
    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', ['waymo.py', *map(str, arguments)])
        return tool().main(), capsys.readouterr()

    status, said = run(broken, '--jobs', 2)
    assert status == 0 and f'{broken}: 4 frames of training, 4 of them converted now' in said.out
    (broken / 'training' / 'vehicle_pose' / f'{FIRST}.parquet').unlink()
    status, said = run(broken, '--jobs', 1)
    assert status == 2 and f'left out training/{FIRST}: ' in said.out and '2 frames of training' in said.out
    status, said = run(broken, '--splits', 'validation')
    assert status == 1
    assert f"split 'validation': {broken}/validation/lidar holds no parquet file: fetch it" in said.err
    (tmp_path / 'empty').mkdir()
    status, said = run(tmp_path / 'empty')
    assert status == 1 and 'holds no training/lidar/*.parquet' in said.err
    frames = tmp_path / 'frames.txt'
    frames.write_text('444_0_000_20_000,5\n')
    for splits, why in (([], f'{broken}/testing/lidar holds no parquet file'),
                        (['--splits', 'training'], 'it is not among the splits training')):
        status, said = run(broken, '--test-frames', frames, *splits)
        assert status == 1 and f'(--test-frames), but testing is not converted: {why}' in said.err
    frames.write_text('\n')
    status, said = run(broken, '--test-frames', frames)
    assert status == 1 and f'{frames} names no frame' in said.err
