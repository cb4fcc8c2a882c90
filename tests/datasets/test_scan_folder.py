"""Scans of a folder that nobody converted or labelled."""
import numpy as np
import pytest

import pretrain3d  # noqa: F401
from mmdet3d.registry import DATASETS, TRANSFORMS
from mmengine.registry import init_default_scope
from pretrain3d.datasets.info_check import InfoFileError
from pretrain3d.datasets.scan_folder import read_cloud
from pretrain3d.label_spaces import get_label_space
from pretrain3d.normals import vertex_normals


def cloud(n=20, columns=9, seed=0):
    points = np.random.default_rng(seed).uniform(-3, 3, (n, columns)).astype(np.float32)
    points[:, 3:6] = np.random.default_rng(seed).integers(0, 256, (n, 3))
    return points


def write_ply(path, points, faces=(), text=False, names=('x', 'y', 'z', 'red', 'green', 'blue', 'nx', 'ny', 'nz')):
    from plyfile import PlyData, PlyElement
    names = names[:points.shape[1]]
    vertex = np.empty(len(points), [(name, 'u1' if name in ('red', 'green', 'blue') else 'f4') for name in names])
    for column, name in enumerate(names):
        vertex[name] = points[:, column]
    elements = [PlyElement.describe(vertex, 'vertex')]
    if len(faces):
        face = np.empty(len(faces), [('vertex_indices', 'i4', (3, ))])
        face['vertex_indices'] = faces
        elements.append(PlyElement.describe(face, 'face'))
    PlyData(elements, text=text).write(str(path))


@pytest.mark.parametrize('columns', [6, 9])
def test_the_same_cloud_from_every_kind_of_file(tmp_path, columns):
    points = cloud(columns=columns)
    np.save(tmp_path / 'a.npy', points.astype(np.float64))
    points.tofile(tmp_path / 'a.bin')
    write_ply(tmp_path / 'a.ply', points)
    for name in ('a.npy', 'a.bin', 'a.ply'):
        found = read_cloud(tmp_path / name, columns)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, points)
    write_ply(tmp_path / 'text.ply', points, text=True)
    np.testing.assert_allclose(read_cloud(tmp_path / 'text.ply'), points, rtol=1e-5)


def test_a_mesh_has_the_normals_that_the_converter_gives(tmp_path):
    points, faces = cloud(columns=6), np.random.default_rng(1).permuted(np.arange(20)[None].repeat(9, 0), axis=1)[:, :3]
    write_ply(tmp_path / 'mesh.ply', points, faces)
    np.testing.assert_array_equal(read_cloud(tmp_path / 'mesh.ply')[:, 6:], vertex_normals(points[:, :3], faces))


def test_bad_files_are_named(tmp_path):
    points = cloud()
    np.save(tmp_path / 'flat.npy', points[0])
    np.save(tmp_path / 'bad.npy', np.where(points == points[3, 1], np.nan, points))
    np.save(tmp_path / 'dim.npy', points / [1, 1, 1, 255, 255, 255, 1, 1, 1])
    np.save(tmp_path / 'objects.npy', np.array([[None] * 6]), allow_pickle=True)
    (tmp_path / 'cut.bin').write_bytes(points.tobytes()[:-4])
    (tmp_path / 'no.ply').write_text('something else')
    write_ply(tmp_path / 'grey.ply', points[:, :3])
    for name, message in {'flat.npy': 'shape', 'bad.npy': 'NaN', 'dim.npy': '0 ... 255', 'objects.npy': 'ValueError',
                          'cut.bin': 'now 9', 'no.ply': 'PlyHeaderParseError', 'grey.ply': 'no red, green, blue',
                          'none.npy': 'does not exist', 'scan.las': 'must be one of'}.items():
        with pytest.raises(ValueError, match=f'(?s){name}.*{message}'):
            read_cloud(tmp_path / name)
    with pytest.raises(ValueError, match='columns is 7'):
        TRANSFORMS.build(dict(type='LoadScan', columns=7))


def test_six_columns_are_not_taken_for_nine(tmp_path):
    """A room whose coordinates are all positive could pass for colours."""
    points = np.abs(cloud(n=21, columns=6))
    points.tofile(tmp_path / 'six.bin')
    assert read_cloud(tmp_path / 'six.bin').shape == (14, 9)
    with pytest.raises(ValueError, match='six.bin has normals longer than 1.*columns=6'):
        TRANSFORMS.build(dict(type='LoadScan'))(dict(lidar_path=str(tmp_path / 'six.bin')))
    found = TRANSFORMS.build(dict(type='LoadScan', columns=6))(dict(lidar_path=str(tmp_path / 'six.bin')))['points']
    np.testing.assert_array_equal(found.tensor.numpy(), points)


def test_folder_of_scans(tmp_path):
    for name in ('b/two.npy', 'a/one.npy', 'a/notes.txt'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        np.save(open(tmp_path / name, 'wb'), cloud(columns=6))
    pipeline = [dict(type='LoadScan'), dict(type='FillNormals', policy='estimate'),
                dict(type='NormalizePointsColor', color_mean=None),
                dict(type='PackPretrain3DInputs', keys=['points'], domain='S3DIS')]
    init_default_scope('mmdet3d')
    dataset = DATASETS.build(dict(type='ScanFolderDataset', data_root=str(tmp_path), label_space='S3DIS13',
                                  pipeline=pipeline))
    assert dataset.metainfo['classes'] == get_label_space('S3DIS13').classes and len(dataset) == 2
    samples = [dataset[i] for i in range(2)]
    assert [sample['data_samples'].lidar_path for sample in samples] == [str(tmp_path / name) for name in
                                                                         ('a/one.npy', 'b/two.npy')]
    points = samples[0]['inputs']['points']
    assert points.shape == (20, 9) and samples[0]['data_samples'].domain == 'S3DIS'
    np.testing.assert_allclose(points[:, 3:6] * 255, cloud(columns=6)[:, 3:], atol=1e-3)
    one = DATASETS.build(dict(type='ScanFolderDataset', data_root=str(tmp_path / 'b/two.npy'), label_space='ScanNet200',
                              pipeline=pipeline))
    assert len(one) == 1 and len(one.metainfo['classes']) == 200


def test_folders_without_scans(tmp_path):
    for config, error, message in (
            (dict(data_root=str(tmp_path)), InfoFileError, 'holds no scan'),
            (dict(data_root=str(tmp_path / 'no')), InfoFileError, 'does not exist'),
            (dict(data_root=str(tmp_path), suffixes=['.obj']), ValueError, 'suffixes'),
            (dict(data_root=str(tmp_path), label_space='S3DIS'), KeyError, 'S3DIS13')):
        with pytest.raises(error, match=message):
            DATASETS.build(dict(dict(type='ScanFolderDataset', label_space='S3DIS13'), **config))
