"""All five of Waymo's LiDARs: the unlabelled ones beside a slow decoder, the choice between runs, what may be wrong."""
import math
import shutil

import numpy as np
import pytest

pq = pytest.importorskip('pyarrow.parquet')

import pyarrow as pa  # noqa: E402
from pretrain3d.converters.waymo import convert  # noqa: E402
from test_waymo_faults import tool  # noqa: E402
from waymo_segments import FRAMES, LABELLED, SEGMENTS, listed, load, rewrite, stamp  # noqa: E402

FIRST, SECOND = SEGMENTS['training']
MEND = 'fetch it again, or convert the top LiDAR alone (--lidars top)'


@pytest.fixture(scope='module')
def both(release, tmp_path_factory):
    """Folders of the same release, converted with the top LiDAR and with all, and what its segments hold."""
    roots = []
    for lidars in ('top', 'all'):
        roots.append(tmp_path_factory.mktemp(lidars))
        for split in SEGMENTS:
            shutil.copytree(release[0] / split, roots[-1] / split)
        outcome = convert.convert_splits(roots[-1], quiet=True, lidars=lidars)
        assert outcome.frames == dict(training=4, validation=2, testing=FRAMES) and not outcome.bad
    return (*roots, release[1])


def slow_sides(drawn, frame):
    """Every return of the side LiDARs by itself, in double precision: (N, 5), LiDAR by LiDAR, return by return."""
    points = []
    for laser in (2, 3, 4, 5):
        side = drawn['sides'][laser]
        turned, place = side['extrinsic'][:3, :3], side['extrinsic'][:3, 3]
        for image in drawn['frames'][frame]['sides'][laser]:
            if image is None:
                continue
            height, width = image.shape[:2]
            for i in range(height):
                for j in range(width):
                    distance = float(image[i, j, 0])
                    if distance <= 0:
                        continue
                    step = (side['high'] - side['low']) / height
                    inclination = side['high'] - step * (i + 0.5) if side['beams'] is None else side['beams'][-1 - i]
                    # Columns begin behind the vehicle, wherever the LiDAR's own x axis points.
                    azimuth = math.pi - 2 * math.pi * (j + 0.5) / width - math.atan2(turned[1, 0], turned[0, 0])
                    flat = distance * math.cos(inclination)
                    at = (flat * math.cos(azimuth), flat * math.sin(azimuth), distance * math.sin(inclination))
                    xyz = [sum(turned[k][m] * at[m] for m in range(3)) + place[k] for k in range(3)]
                    points.append([*xyz, image[i, j, 1], image[i, j, 2]])
    return np.array(points)


def test_side_points_where_a_slow_decoder_puts_them(both):
    _, root, held = both
    seen = 0
    for split in ('train', 'val', 'test'):
        for info in listed(root, split)['data_list']:
            frame = [stamp(number) for number in range(FRAMES)].index(info['timestamp'])
            points = np.fromfile(root / info['lidar_points']['lidar_path'], np.float32).reshape(-1, 5)
            truth = slow_sides(held[info['scene_name']], frame)
            assert len(points) == info['num_points'] == info['num_top_points'] + len(truth) and len(truth) > 40
            np.testing.assert_allclose(points[info['num_top_points']:], truth, rtol=1e-6, atol=1e-6)
            seen += 1
    assert seen == 6 + FRAMES


def test_the_top_lidar_is_the_same_and_the_others_have_no_class(both):
    """So a prediction's first ``num_top_points`` classes are what a challenge asks for."""
    alone, together, _ = both
    for split in ('train', 'val', 'test'):
        few, all_ = (listed(root, split) for root in (alone, together))
        assert few['metainfo'].pop('lidars') == 'top' and all_['metainfo'].pop('lidars') == 'all'
        assert few['metainfo'] == all_['metainfo'] and len(few['data_list']) == len(all_['data_list'])
        for one, other in zip(few['data_list'], all_['data_list']):
            assert one['num_points'] == one['num_top_points'] == other['num_top_points'] < other.pop('num_points')
            assert {**other, 'num_points': one['num_points']} == one
            top = other['num_top_points']
            points = [(root / one['lidar_points']['lidar_path']).read_bytes() for root in (alone, together)]
            assert points[1][:20 * top] == points[0]
            if split != 'test':
                (_, classes), (_, more) = load(alone, one), load(together, other)
                assert (more[:top] == classes).all() and not more[top:].any() and classes.any()
                assert len(more) == len(points[1]) // 20 > top


def test_another_choice_converts_again_and_mixes_nothing(release, tmp_path):
    root, name = tmp_path, SEGMENTS['validation'][0]
    shutil.copytree(release[0] / 'validation', root / 'validation')
    made, folder = {}, root / 'points' / 'validation' / name
    for lidars in ('top', 'all', 'all', 'top', 'all'):
        outcome = convert.convert_splits(root, quiet=True, lidars=lidars)
        assert outcome.fresh == (0 if lidars in made and made['last'] == lidars else 2)
        files = {str(path.relative_to(root)): path.read_bytes() for kind in ('points', 'labels')
                 for path in (root / kind).rglob('*.*')}
        files['list'] = (root / 'waymo_infos_val.pkl').read_bytes()
        assert made.setdefault(lidars, files) == files
        assert len(list(folder.glob('*.top'))) == (2 if lidars == 'all' else 0)
        made['last'] = lidars
    for spoilt in (b'', b'none', b'0', b'-3', b'9999', None):  # a frame whose number of top points is not known
        file = sorted(folder.glob('*.top'))[0]
        file.unlink() if spoilt is None else file.write_bytes(spoilt)
        assert convert.convert_splits(root, quiet=True, lidars='all').fresh == 1
        assert file.read_bytes() == made['all'][str(file.relative_to(root))]
    assert (root / 'waymo_infos_val.pkl').read_bytes() == made['all']['list']


def test_a_list_does_not_outlive_its_frames(release, tmp_path, monkeypatch):
    """A run with another choice that is killed leaves frames of both kinds, and no list of them."""
    shutil.copytree(release[0] / 'training', tmp_path / 'training')
    convert.convert_splits(tmp_path, quiet=True)
    real = convert.Files.write

    def killed(self, source):
        if source.name == SECOND:
            raise KeyboardInterrupt
        return real(self, source)
    with monkeypatch.context() as patch:
        patch.setattr(convert.Files, 'write', killed)
        with pytest.raises(KeyboardInterrupt):
            convert.convert_splits(tmp_path, quiet=True, lidars='all')
    assert not (tmp_path / 'waymo_infos_train.pkl').exists()
    outcome = convert.convert_splits(tmp_path, quiet=True, lidars='all')
    assert outcome.fresh == 2 and listed(tmp_path, 'train')['metainfo']['lidars'] == 'all'
    with pytest.raises(ValueError, match="unknown lidars 'side'; choose one of"):
        convert.convert_splits(tmp_path, quiet=True, lidars='side')
    assert listed(tmp_path, 'train')['metainfo']['lidars'] == 'all'


def drop(rows, laser):
    rows[:] = [row for row in rows if row['key.laser_name'] != laser]


def put(rows, laser, column, value, time=None):
    for row in rows:
        if row['key.laser_name'] == laser and time in (None, row.get('key.frame_timestamp_micros')):
            row[column] = value


VALUES = '[LiDARComponent].range_image_return1.values'
SHAPE = '[LiDARComponent].range_image_return1.shape'
EXTRINSIC = '[LiDARCalibrationComponent].extrinsic.transform'
INCLINATION = '[LiDARCalibrationComponent].beam_inclination'
FRAME = stamp(LABELLED[0])


@pytest.mark.parametrize('tag, change, frames, reason', [
    ('lidar_calibration', lambda rows: drop(rows, 3), None, 'has no row of the LiDAR SIDE_LEFT'),
    ('lidar_calibration', lambda rows: put(rows, 5, EXTRINSIC, [0.0] * 16), None,
     'lacks the extrinsic or the inclinations of the LiDAR REAR'),
    ('lidar_calibration', lambda rows: put(rows, 2, f'{INCLINATION}.min', None), None,
     'lacks the extrinsic or the inclinations of the LiDAR FRONT'),
    ('lidar_calibration', lambda rows: put(rows, 3, f'{INCLINATION}.values', [math.nan] * 3), None,
     'lacks the extrinsic or the inclinations of the LiDAR SIDE_LEFT'),
    ('lidar_calibration', lambda rows: put(rows, 4, 'key.laser_name', 6), None,
     'holds a row of LiDAR 6, and Waymo has 1 to 5'),
    ('lidar', lambda rows: put(rows, 4, 'key.laser_name', 0, FRAME), None,
     'holds a row of LiDAR 0, and Waymo has 1 to 5'),
    ('lidar', lambda rows: put(rows, 3, 'key.laser_name', None, FRAME), None,
     'holds a row of LiDAR None, and Waymo has 1 to 5'),
    ('lidar', lambda rows: put(rows, 3, 'key.laser_name', 2, FRAME), None,
     f'holds frame {FRAME} of the LiDAR FRONT twice; fetch it again'),
    ('lidar', lambda rows: put(rows, 5, 'key.frame_timestamp_micros', 77, FRAME), FRAME,
     f'has no row of the LiDAR REAR for frame {FRAME}'),
    ('lidar', lambda rows: put(rows, 2, SHAPE, [5, 6, 4], FRAME), FRAME,
     f', frame {FRAME} of the LiDAR FRONT: 96 values do not fill a range image of shape (5, 6, 4); fetch it again'),
    ('lidar', lambda rows: (put(rows, 5, SHAPE, [3, 5, 4], FRAME), put(rows, 5, VALUES, [1.0] * 60, FRAME)), FRAME,
     'of the LiDAR REAR: a range image has 3 rows, and the calibration 2 beams'),
    ('lidar', lambda rows: put(rows, 2, SHAPE, [6, 4, 4], FRAME), FRAME,
     'of the LiDAR FRONT: returns of (4, 6) and of (6, 4) rows and columns'),
    ('lidar', lambda rows: put(rows, 3, VALUES, [math.inf] * 84, FRAME), FRAME,
     'of the LiDAR SIDE_LEFT: 21 points are not finite')])
def test_what_is_wrong_with_a_side_lidar_names_file_and_mend(release, tmp_path, tag, change, frames, reason):
    """It costs the segment, or its one frame; the top LiDAR alone can be had all the same."""
    for part in convert.SOURCES:
        shutil.copytree(release[0] / 'training' / part, tmp_path / 'training' / part)
    file = tmp_path / 'training' / tag / f'{FIRST}.parquet'
    rewrite(file, change)
    outcome = convert.convert_splits(tmp_path, quiet=True, lidars='all')
    [(name, told)] = outcome.bad
    assert name == (f'training/{FIRST}' if frames is None else f'training/{FIRST}/{frames}')
    assert told.startswith(str(file)) and reason in told and ('twice' in told or 'fill' in told or told.endswith(MEND))
    assert outcome.frames['training'] == (2 if frames is None else 3)
    assert convert.convert_splits(tmp_path, quiet=True).frames == dict(training=4)


def test_the_tool_takes_the_choice(release, tmp_path, monkeypatch, capsys):
    shutil.copytree(release[0] / 'validation', tmp_path / 'validation')
    for arguments, fresh, lidars in (([], 2, 'top'), (['--lidars', 'top'], 0, 'top'), (['--lidars', 'all'], 2, 'all')):
        monkeypatch.setattr('sys.argv', ['waymo.py', str(tmp_path), '--jobs', '1', *arguments])
        assert tool().main() == 0 and f'{fresh} of them converted now' in capsys.readouterr().out
        assert listed(tmp_path, 'val')['metainfo']['lidars'] == lidars


def test_names_of_lidars_that_are_no_numbers(release, tmp_path):
    for part in convert.SOURCES:
        shutil.copytree(release[0] / 'validation' / part, tmp_path / 'validation' / part)
    file = tmp_path / 'validation' / 'lidar' / f'{SEGMENTS["validation"][0]}.parquet'
    table = pq.read_table(file)
    place = table.schema.get_field_index('key.laser_name')
    pq.write_table(table.set_column(place, 'key.laser_name', pa.array([[1]] * len(table))), file)
    [(_, told)] = convert.convert_splits(tmp_path, quiet=True, lidars='all').bad
    assert told.startswith(f'{file} cannot be read (') and told.endswith('fetch it again')
