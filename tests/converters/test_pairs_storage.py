"""Files of frame pairs: what is written comes back, and damage is named."""
import numpy as np
import pytest

from pretrain3d.converters.pairs.storage import append_table, read_frame, read_table, write_frame


def cloud(rng, size=500):
    return rng.uniform((-3, 40, 0), (5, 44, 3), (size, 3)), rng.integers(0, 256, (size, 3)).astype(np.uint8)


@pytest.mark.parametrize('dtype, error, bytes_per_point', [('float32', 4e-6, 15), ('float16', 0.002, 9)])
def test_a_frame_comes_back(tmp_path, dtype, error, bytes_per_point):
    xyz, rgb = cloud(np.random.default_rng(0))
    pose = np.random.default_rng(1).normal(size=(4, 4))
    stored = write_frame(tmp_path / 'a' / '0.npz', xyz, rgb, pose, dtype)
    got_xyz, got_rgb, got_pose = read_frame(str(tmp_path / 'a' / '0.npz'))
    assert got_xyz.dtype == np.float32 and got_rgb.dtype == np.uint8
    assert np.array_equal(stored, got_xyz.astype(np.float64))
    assert np.abs(got_xyz - xyz).max() <= error
    assert np.array_equal(got_rgb, rgb) and np.array_equal(got_pose, pose)
    assert (tmp_path / 'a' / '0.npz').stat().st_size <= bytes_per_point * len(xyz) + 1500


def test_the_same_frame_is_the_same_bytes(tmp_path):
    xyz, rgb = cloud(np.random.default_rng(0))
    for name in 'ab':
        write_frame(tmp_path / f'{name}.npz', xyz, rgb, np.eye(4))
    assert (tmp_path / 'a.npz').read_bytes() == (tmp_path / 'b.npz').read_bytes()


def test_tables_come_back(tmp_path):
    rng = np.random.default_rng(0)
    expected, tables = [], []
    with open(tmp_path / 'matches.bin', 'wb') as file:
        for size in (40, 1, 30):
            counts = rng.integers(0, 4, size) * (rng.random(size) < 0.7)
            keys = rng.integers(0, 100, counts.sum())
            expected.append(np.stack([np.repeat(np.arange(size), counts), keys], 1))
            tables.append(append_table(file, counts, keys))
        tables.append(append_table(file, np.zeros(5, np.int32), np.zeros(0, np.int32)))
        expected.append(np.zeros((0, 2), np.int64))
    for table, pairs in zip(tables, expected):
        got = read_table(str(tmp_path / 'matches.bin'), table)
        assert got.dtype == np.int64 and np.array_equal(got, pairs)


def test_damaged_files_are_named(tmp_path):
    path = tmp_path / '7.npz'
    with pytest.raises(FileNotFoundError, match='7.npz does not exist.*make_frame_pairs'):
        read_frame(str(path))
    write_frame(path, *cloud(np.random.default_rng(0)), np.eye(4))
    whole = path.read_bytes()
    for part in (b'', whole[:100], whole[:-300], whole[:3000] + bytes(100) + whole[3100:]):
        path.write_bytes(part)
        with pytest.raises(ValueError, match='7.npz cannot be read'):
            read_frame(str(path))
    np.savez(path, xyz=np.zeros((3, 3), np.float32))
    with pytest.raises(ValueError, match='7.npz cannot be read'):
        read_frame(str(path))


def test_damaged_tables_are_named(tmp_path):
    path = tmp_path / 'matches.bin'
    with pytest.raises(FileNotFoundError, match='matches.bin does not exist'):
        read_table(str(path), dict(offset=0, queries=1, matches=1))
    with open(path, 'wb') as file:
        table = append_table(file, np.array([2, 0, 1]), np.array([5, 6, 7]))
    with pytest.raises(ValueError, match='too few'):
        read_table(str(path), dict(table, matches=4))
    with pytest.raises(ValueError, match='damaged'):
        read_table(str(path), dict(table, queries=1))


@pytest.mark.parametrize('wrong, told', [
    (dict(xyz=np.zeros((4, 3), int)), 'positions of int64'), (dict(rgb=np.zeros((4, 3))), 'colours of float64'),
    (dict(pose=np.eye(3)), r'pose of \(3, 3\)'), (dict(pose=np.full((4, 4), np.nan)), 'NaN or infinite'),
    (dict(xyz=np.full((4, 3), np.inf, np.float32)), 'NaN or infinite'), (dict(origin=np.zeros(2)), 'origin of float64'),
    (dict(xyz=np.array([None] * 4)), 'cannot be read')])
def test_frame_files_of_other_content_are_named(tmp_path, wrong, told):
    whole = dict(xyz=np.zeros((4, 3), np.float32), origin=np.zeros(3), rgb=np.zeros((4, 3), np.uint8), pose=np.eye(4))
    np.savez(tmp_path / 'a.npz', **whole)
    read_frame(str(tmp_path / 'a.npz'))
    np.savez(tmp_path / 'a.npz', **{**whole, **wrong})
    with pytest.raises(ValueError, match=f'a.npz.*{told}'):
        read_frame(str(tmp_path / 'a.npz'))


def test_a_header_that_asks_for_more_memory_than_there_is(tmp_path):
    import zipfile
    with zipfile.ZipFile(tmp_path / 'a.npz', 'w') as file:
        header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999, 3), }".ljust(117) + b'\n'
        file.writestr('xyz.npy', b'\x93NUMPY\x01\x00' + len(header).to_bytes(2, 'little') + header)
    with pytest.raises(ValueError, match='a.npz cannot be read'):
        read_frame(str(tmp_path / 'a.npz'))


def test_rows_below_zero_are_damage(tmp_path):
    np.array([0, 2, 1, -1], np.int32).tofile(tmp_path / 'm.bin')
    with pytest.raises(ValueError, match='m.bin is damaged at byte 0'):
        read_table(str(tmp_path / 'm.bin'), dict(offset=0, queries=1, matches=2))
