"""Structured3D on the contact sheet: as it lies on disk, converted, and what is said of damage."""
import shutil

import numpy as np
import pytest
from pretrain3d.converters.batch import SceneError
from pretrain3d.converters.structured3d.convert import convert_splits
from pretrain3d.pictures.frame_labels import frame_points
from pretrain3d.pictures.homes import SPACE
from pretrain3d.pictures.scans import open_scans
from pretrain3d.pictures.sheet import draw_sheet, sheet_size
from pretrain3d.worlds.rooms import build as building
from pretrain3d.worlds.rooms.presets import PRESETS, Preset
from scipy.spatial import cKDTree

NAME = 'scene_00000_room_1000'


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    world, out = tmp_path_factory.mktemp('homes'), tmp_path_factory.mktemp('converted')
    PRESETS['browse'] = Preset(train=1, val=1, spacing=0.1, frames=4, width=64, height=48)
    try:
        building.build(world, 'browse', seed=5, variant='structured3d')
    finally:
        del PRESETS['browse']
    convert_splits(world, out, quiet=True)
    return world, out


def test_the_world_and_its_conversion_show_the_same_room(folders):
    world, converted = (open_scans(folder) for folder in folders)
    assert world.kind == 'Structured3D layout' and converted.kind == 'converted Structured3D'
    assert world.names == converted.names == [NAME, 'scene_03000_room_1001']
    one, other = world.read(NAME), converted.read(NAME)
    np.testing.assert_array_equal(one.xyz, other.xyz)
    np.testing.assert_array_equal(one.label, other.label)
    assert one.split == 'train' and world.read('scene_03000_room_1001').split == 'val' and one.space is SPACE
    assert [box[1:] for box in one.boxes] == [box[1:] for box in other.boxes] and len(one.boxes) > 4
    assert {'bed', 'door'} & {name for _, name, _ in one.boxes}
    assert len(one.frames['frames']) == 4 and other.frames is None


def test_pixels_of_the_frames_lie_on_the_cloud(folders):
    scan = open_scans(folders[0]).read(NAME)
    tree = cKDTree(scan.xyz)
    for frame in scan.frames['frames']:
        points, valid = frame_points(scan.frame_root, frame, scan.frames, (48, 27))
        assert valid.mean() > 0.95 and np.median(tree.query(points[valid])[0]) < 0.006


def test_a_sheet_is_drawn_of_both(folders):
    for folder in folders:
        source = open_scans(folder)
        sheet = draw_sheet([source.read(name) for name in source.names], 'homes')
        assert sheet.size == sheet_size(2) and np.asarray(sheet).std() > 20


def test_damage_is_named(folders, tmp_path):
    out = shutil.copytree(folders[1], tmp_path / 'out')
    path = out / 'semantic_mask' / f'{NAME}.bin'
    path.write_bytes(path.read_bytes()[:-80])
    with pytest.raises(SceneError, match='semantic_mask'):
        open_scans(out).read(NAME)
    (out / 'structured3d_infos_train.pkl').write_bytes(b'no pickle')
    with pytest.raises(SceneError, match='structured3d_infos_train.pkl'):
        open_scans(out)
