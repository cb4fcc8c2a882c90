"""Rooms of S3DIS as text: damaged bytes, odd class names, angles."""
import numpy as np
import pytest
from pretrain3d.converters.batch import SceneError
from pretrain3d.converters.s3dis.reading import (SPACE, class_index, mend_line, read_angles, read_points, read_room,
                                                 turn_to_axes)

ROWS = np.array([[-15.609, 39.505, 1.655, 63, 60, 57], [-15.6, 39.5, -0.002, 0, 255, 103]])


def lines(rows=ROWS):
    return ''.join('%.3f %.3f %.3f %d %d %d\n' % tuple(row) for row in rows).encode()


def write(folder, **files):
    (folder / 'Annotations').mkdir(parents=True)
    for name, content in files.items():
        (folder / 'Annotations' / f'{name}.txt').write_bytes(content)
    return folder


@pytest.mark.parametrize('content', [
    lines(), lines().replace(b'\n', b'\r\n'), lines().rstrip(b'\n'),
    lines().replace(b' 63 60 57', b' 63.000000 60.0 57'), b'\n' + lines() + b'\n\n', lines().replace(b' ', b'\t')])
def test_ways_to_write_the_same(tmp_path, content):
    (tmp_path / 'a.txt').write_bytes(content)
    found, mended, dropped = read_points(tmp_path / 'a.txt')
    np.testing.assert_array_equal(found, ROWS)
    assert mended == dropped == 0


@pytest.mark.parametrize('line, expected', [
    (b'1.0 2.0 3.0 103.0\x100000 5 6', [1, 2, 3, 103, 5, 6]),  # Area_5/office_19
    (b'22.375 6.858 2.861 185\x10187 182', [22.375, 6.858, 2.861, 185, 187, 182]),  # Area_5/hallway_6
    (b'19.302 -9.1\x100 1.785 146 137 106', [19.302, -9.1, 1.785, 146, 137, 106]),  # Area_3/hallway_2
    (b'1 2 3 4 5 6\x00', [1, 2, 3, 4, 5, 60]), (b'1 2 3 4 5 6\x00\xff', None),
    (b'1 2 3 4 5 6x', None), (b'1 2 3 4 5', None), (b'1 2 3 4 5 256', None), (b'nan 2 3 4 5 6', None), (b'', None)])
def test_a_damaged_byte(line, expected):
    found = mend_line(line)
    if expected is None:
        assert found is None
    else:
        np.testing.assert_allclose(found, expected)


def test_damaged_lines_are_mended_or_left_out_and_counted(tmp_path):
    rows = np.tile(ROWS, (150, 1))
    content = lines(rows).splitlines(keepends=True)
    content[7] = content[7].replace(b' 255 ', b' 2\x105 ')
    content[9] = b'cut off\n'
    (tmp_path / 'a.txt').write_bytes(b''.join(content))
    found, mended, dropped = read_points(tmp_path / 'a.txt')
    assert (mended, dropped) == (1, 1) and len(found) == 299
    expected = np.delete(rows, 9, 0)
    expected[7, 4] = 205
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize('content', [b'\x89PNG\r\n\x1a\n' * 20, b'hello\n' * 5, lines()[:-1] + b' 7\n' + b'1 2 3\n' * 3,
                                     b'1 2 3 4 5 300\n' * 9, b'inf 2 3 4 5 6\n' * 9, b'1 2 3 -4 5 6\n' * 9])
def test_what_is_no_text_of_points_names_the_file(tmp_path, content):
    (tmp_path / 'wall_3.txt').write_bytes(content)
    with pytest.raises(SceneError, match=r'wall_3.txt: \d+ of \d+ lines'):
        read_points(tmp_path / 'wall_3.txt')


def test_classes_by_name(tmp_path):
    """Every class under its own label; stairs are clutter; a class that S3DIS lacks stays without a label."""
    names = [*SPACE.classes, 'stairs', 'piano']
    folder = write(tmp_path / 'room', **{f'{name}_{number}': lines() for number, name in enumerate(names, 1)})
    (folder / 'Annotations' / '.hidden.txt').write_text('x')
    (folder / 'Annotations' / 'Icon').write_text('x')
    room = read_room(folder)
    found = dict(zip(sorted(f'{name}_{number}' for number, name in enumerate(names, 1)), room.label[::2]))
    for number, name in enumerate(names, 1):
        expected = dict(stairs=SPACE.classes.index('clutter'), piano=13).get(name)
        assert found[f'{name}_{number}'] == (SPACE.classes.index(name) if expected is None else expected)
    assert room.unknown == {'piano': 1} and room.instance.tolist() == np.repeat(np.arange(1, 16), 2).tolist()
    assert room.rgb.dtype == np.uint8 and room.label.dtype == room.instance.dtype == np.int64
    assert class_index('stairs') == class_index('clutter') == 12 and class_index('xyz') is None


def test_a_room_without_points(tmp_path):
    with pytest.raises(SceneError, match='no <class>_<i>.txt'):
        read_room(tmp_path / 'nothing')
    with pytest.raises(SceneError, match='hold no points'):
        read_room(write(tmp_path / 'empty', wall_1=b'\n', floor_1=b''))
    # An empty file beside others is an instance without points.
    room = read_room(write(tmp_path / 'some', chair_1=b'', wall_1=lines()))
    assert room.instance.tolist() == [2, 2] and set(room.label) == {2}


def test_angles(tmp_path):
    path = tmp_path / 'Area_1_alignmentAngle.txt'
    path.write_text('## Global alignment angle in Area_1 ##\n## Name Angle ##\noffice_1 90\n\nWC_1 180\n')
    assert read_angles(path) == dict(office_1=90.0, WC_1=180.0)
    for wrong in ('office_1\n', 'office_1 east\n', 'office_1 nan\n', 'office_1 90 7\n'):
        path.write_text(wrong)
        with pytest.raises(SceneError, match='alignmentAngle.txt: line 1'):
            read_angles(path)
    with pytest.raises(SceneError, match='is missing; .*--align-angles'):
        read_angles(tmp_path / 'none.txt')


def test_turning_to_the_axes_undoes_the_angle():
    rng = np.random.default_rng(0)
    straight = rng.uniform((0, 0, 0), (6, 2, 3), (5000, 3))
    angle = np.radians(30)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    back = turn_to_axes(straight @ turn.T + (7, -3, 1), 30)
    np.testing.assert_allclose(back - back.mean(0), straight - straight.mean(0), atol=1e-9)
    middle = (back.min(0) + back.max(0)) / 2
    turned = straight @ turn.T + (7, -3, 1)
    np.testing.assert_allclose(middle, (turned.min(0) + turned.max(0)) / 2, atol=0.1)
