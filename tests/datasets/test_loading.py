import numpy as np
import pytest

from mmdet3d.datasets.transforms import LoadAnnotations3D, LoadPointsFromFile
from pretrain3d.datasets.loading import LoadAnnotationsChecked, LoadPointsChecked

OPTIONS = dict(coord_type='LIDAR', load_dim=4, use_dim=3)


def write(path, points):
    np.asarray(points, dtype=np.float32).tofile(path)
    return dict(lidar_points=dict(lidar_path=str(path)))


def test_good_files_load_as_by_mmdet3d(tmp_path):
    results = write(tmp_path / 'a.bin', np.random.rand(7, 4))
    ours = LoadPointsChecked(**OPTIONS)(dict(results))['points']
    theirs = LoadPointsFromFile(**OPTIONS)(dict(results))['points']
    assert type(ours) is type(theirs) and (ours.tensor == theirs.tensor).all() and len(ours) == 7


def test_missing(tmp_path):
    results = dict(lidar_points=dict(lidar_path=str(tmp_path / 'no.bin')))
    with pytest.raises(FileNotFoundError, match='no.bin does not exist.*data_root'):
        LoadPointsChecked(**OPTIONS)(results)


@pytest.mark.parametrize('cut', [1, 2, 4, 12])
def test_truncated(tmp_path, cut):
    results = write(tmp_path / 'cut.bin', np.random.rand(7, 4))
    data = (tmp_path / 'cut.bin').read_bytes()
    (tmp_path / 'cut.bin').write_bytes(data[:-cut])
    with pytest.raises(ValueError, match=f'cut.bin has {len(data) - cut} bytes.*truncated.*load_dim=4'):
        LoadPointsChecked(**OPTIONS)(results)


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_not_finite(tmp_path, value):
    points = np.random.rand(7, 4)
    points[2, 1] = points[5, 0] = value
    results = write(tmp_path / 'bad.bin', points)
    with pytest.raises(ValueError, match='bad.bin has 2 of 7 points.*on_nonfinite'):
        LoadPointsChecked(**OPTIONS)(dict(results))
    load = LoadPointsChecked(**OPTIONS, on_nonfinite='drop')
    kept = load(dict(results))['points'].tensor.numpy()
    assert (kept == np.delete(points, [2, 5], 0)[:, :3].astype(np.float32)).all()
    assert load.num_dropped == 2
    load(dict(results))
    assert load.num_dropped == 4


def test_a_column_that_is_not_used_may_be_anything(tmp_path):
    points = np.random.rand(7, 4)
    points[:, 3] = np.nan
    assert len(LoadPointsChecked(**OPTIONS)(write(tmp_path / 'a.bin', points))['points']) == 7


def test_dropping_would_shift_labels(tmp_path):
    points = np.random.rand(7, 4)
    points[2, 1] = np.nan
    results = dict(write(tmp_path / 'bad.bin', points), pts_semantic_mask_path='labels.bin')
    with pytest.raises(ValueError, match='bad.bin.*labels.bin out of step'):
        LoadPointsChecked(**OPTIONS, on_nonfinite='drop')(results)


def test_empty(tmp_path):
    results = write(tmp_path / 'empty.bin', np.zeros((0, 4)))
    with pytest.raises(ValueError, match='empty.bin holds no points.*allow_empty'):
        LoadPointsChecked(**OPTIONS)(dict(results))
    assert LoadPointsChecked(**OPTIONS, allow_empty=True)(dict(results))['points'].tensor.shape == (0, 3)
    gone = write(tmp_path / 'gone.bin', np.full((3, 4), np.nan))
    with pytest.raises(ValueError, match='holds no points'):
        LoadPointsChecked(**OPTIONS, on_nonfinite='drop')(gone)


def test_wrong_option():
    with pytest.raises(ValueError, match='on_nonfinite'):
        LoadPointsChecked(**OPTIONS, on_nonfinite='ignore')


MASKS = dict(with_bbox_3d=False, with_label_3d=False, with_mask_3d=True, with_seg_3d=True)


def write_labels(path, **changed):
    """A sample of seven points with both label files; ``changed`` replaces the bytes of a file (None: no file)."""
    results = write(path / 'points.bin', np.random.rand(7, 4))
    results['points'] = LoadPointsChecked(**OPTIONS)(dict(results))['points']
    results['seg_label_mapping'] = np.arange(5)
    for name in ('semantic', 'instance'):
        content = changed.get(name, np.arange(7) % 5)
        file = path / f'{name}.bin'
        if content is not None:
            file.write_bytes(content if isinstance(content, bytes) else np.asarray(content, np.int64).tobytes())
        results[f'pts_{name}_mask_path'] = str(file)
    return results


def test_good_labels_load_as_by_mmdet3d(tmp_path):
    results = write_labels(tmp_path)
    ours, theirs = LoadAnnotationsChecked(**MASKS)(dict(results)), LoadAnnotations3D(**MASKS)(dict(results))
    for key in ('pts_semantic_mask', 'pts_instance_mask'):
        assert (ours[key] == theirs[key]).all() and len(ours[key]) == 7


@pytest.mark.parametrize('name', ['semantic', 'instance'])
@pytest.mark.parametrize('content, words', [
    (None, 'does not exist.*data_root'), (b'123', 'has 3 bytes.*truncated'),
    (np.arange(6) % 5, 'holds 6 labels for 7 points of .*points.bin'), (b'', 'holds 0 labels for 7 points')])
def test_bad_label_files_are_named(tmp_path, name, content, words):
    results = write_labels(tmp_path, **{name: content})
    with pytest.raises((FileNotFoundError, ValueError), match=f'label file .*{name}.bin {words}'):
        LoadAnnotationsChecked(**MASKS)(results)


@pytest.mark.parametrize('value', [-1, 5])
def test_ids_that_the_dataset_does_not_know(tmp_path, value):
    results = write_labels(tmp_path, semantic=[0, 1, 2, value, 3, 4, 0])
    with pytest.raises(ValueError, match='semantic.bin holds ids from .*knows 0 to 4'):
        LoadAnnotationsChecked(**MASKS)(results)
    assert (LoadAnnotationsChecked(**MASKS)(write_labels(tmp_path, instance=[-1] * 7))['pts_instance_mask'] == -1).all()
