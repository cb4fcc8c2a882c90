"""The contact sheet: a drawn world, its conversion, scans without frames or labels, and what it says when it cannot."""
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pretrain3d.converters.scannet.convert import convert
from pretrain3d.label_spaces import get_label_space
from pretrain3d.pictures.frame_labels import frame_labels, frame_points
from pretrain3d.pictures.raster import edge_shade, point_radius, rasterise, view_from
from pretrain3d.pictures.scans import open_scans
from pretrain3d.pictures.sheet import (CAPTION, FRAME_HEIGHT, FRAMES, GAP, HEADER, LEGEND, PANEL_HEIGHT, PANEL_WIDTH,
                                       ROW_HEIGHT, TITLE, WIDTH, sheet_size)
from pretrain3d.worlds.rooms import build as building
from pretrain3d.worlds.rooms.presets import PRESETS, Preset

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'analysis' / 'browse.py'
SPACE = get_label_space('ScanNet20')


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    world, converted = tmp_path_factory.mktemp('world'), tmp_path_factory.mktemp('converted')
    PRESETS['browse'] = Preset(train=2, val=1, spacing=0.1, frames=6, width=64, height=48)
    try:
        building.build(world, 'browse', seed=5)
    finally:
        del PRESETS['browse']
    assert not convert(world, converted, frame_step=1, quiet=True)
    return world, converted


def browse(*arguments):
    return subprocess.run([sys.executable, str(TOOL), *map(str, arguments)], capture_output=True, text=True)


def panel(picture, place, row=0):
    """Panel ``place`` of scan ``row``: cloud, from above, labels, boxes."""
    top = TITLE + row * (ROW_HEIGHT + GAP) + HEADER + FRAME_HEIGHT + GAP + CAPTION
    left = GAP + place * (PANEL_WIDTH + GAP)
    return picture[top:top + PANEL_HEIGHT, left:left + PANEL_WIDTH]


def legend_colours(picture, row=0):
    top = TITLE + row * (ROW_HEIGHT + GAP) + ROW_HEIGHT - LEGEND - GAP
    return {tuple(colour) for colour in picture[top:top + LEGEND + GAP].reshape(-1, 3).tolist()}


def shares(pixels, colour, slack=8):
    """Share of the drawn pixels whose hue is ``colour`` under some light of 0.5 ... 1."""
    drawn = pixels.reshape(-1, 3)[(pixels.reshape(-1, 3) < 250).any(1)].astype(float)
    light = (drawn @ np.array(colour, float)) / np.dot(colour, colour)
    return float(((np.abs(drawn - light[:, None] * colour).max(1) < slack) & (light > 0.5) & (light < 1.02)).mean())


@pytest.fixture(scope='module')
def sheets(folders, tmp_path_factory):
    out = tmp_path_factory.mktemp('sheets')
    pictures = []
    for name, folder in zip(('world', 'converted'), folders):
        done = browse(folder, '--count', 2, '--out', out / 'deep' / f'{name}.png')
        assert done.returncode == 0, done.stderr
        assert 'scene0000_00, scene0002_00' in done.stdout
        pictures.append(np.asarray(Image.open(out / 'deep' / f'{name}.png').convert('RGB')))
    return pictures


def test_sheet_has_its_size_and_every_part_is_drawn(sheets):
    for picture in sheets:
        assert picture.shape[1::-1] == sheet_size(2) and picture.shape[1] == WIDTH
        for row in range(2):
            for place in range(4):
                drawn = (panel(picture, place, row) < 250).any(2).mean()
                assert 0.2 < drawn < 0.98
            top = TITLE + row * (ROW_HEIGHT + GAP) + HEADER + GAP // 2
            assert (picture[top:top + FRAME_HEIGHT] < 250).any(2).mean() > 0.9


def test_label_panel_and_legend_have_the_palette_of_the_classes_present(sheets, folders):
    scan = open_scans(folders[0]).read('scene0000_00')
    count = np.bincount(scan.label, minlength=SPACE.num_classes + 1)
    for picture in sheets:
        swatches = legend_colours(picture)
        for index, colour in enumerate(SPACE.palette):
            assert (tuple(colour) in swatches) == bool(count[index]), SPACE.classes[index]
        labels = panel(picture, 2)
        for name in ('wall', 'floor'):
            assert shares(labels, SPACE.palette[SPACE.index(name)]) > 0.05
        absent = int(np.flatnonzero(count[:-1] == 0)[0])
        assert shares(labels, SPACE.palette[absent]) < 0.02


def test_world_and_its_conversion_give_the_same_picture(sheets):
    world, converted = (picture[TITLE:] for picture in sheets)
    assert (np.abs(world.astype(int) - converted) > 2).any(2).mean() < 0.001


def test_labels_of_frames_agree_with_the_scan(folders):
    from scipy.spatial import cKDTree
    source = open_scans(folders[1])
    scan = source.read('scene0001_00')
    assert len(scan.frames['frames']) == 6 and source.names == ['scene0000_00', 'scene0001_00', 'scene0002_00']
    points, valid = frame_points(scan.frame_root, scan.frames['frames'][0], scan.frames, (64, 48))
    found = frame_labels(points, valid, cKDTree(scan.xyz), scan.label, SPACE.ignore_index)
    picks = np.flatnonzero(valid)[::37]
    distance = np.linalg.norm(points[picks][:, None] - scan.xyz[None], axis=2)
    twin = np.where(distance.min(1) < 0.1, scan.label[distance.argmin(1)], SPACE.ignore_index)
    np.testing.assert_array_equal(found[picks], twin)
    assert (found[~valid] == SPACE.ignore_index).all() and valid.mean() > 0.8
    assert (distance.min(1) < 0.1).mean() > 0.95  # the pose is the right way round
    wrong = dict(scan.frames['frames'][0], pose=np.linalg.inv(scan.frames['frames'][0]['pose']))
    points, valid = frame_points(scan.frame_root, wrong, scan.frames, (64, 48))
    lost = frame_labels(points, valid, cKDTree(scan.xyz), scan.label, SPACE.ignore_index)
    assert (lost[valid] == SPACE.ignore_index).mean() > 0.5


def test_chosen_scans_without_frames_or_labels(folders, tmp_path):
    partial = tmp_path / 'partial'
    shutil.copytree(folders[0], partial)
    shutil.rmtree(partial / 'scans' / 'scene0001_00' / 'pose')
    (partial / 'scans_test').mkdir()
    (partial / 'scans' / 'scene0002_00').rename(partial / 'scans_test' / 'scene0002_00')
    done = browse(partial, '--scan', 'scene0002_00', '--scan', 'scene0001_00', '--out', tmp_path / 'two.png')
    assert done.returncode == 0 and 'scene0002_00, scene0001_00' in done.stdout, done.stderr
    picture = np.asarray(Image.open(tmp_path / 'two.png'))
    assert (panel(picture, 0) < 250).any() and (panel(picture, 2) == 255).all()  # not annotated
    assert (panel(picture, 2, 1) < 250).any()
    top = TITLE + ROW_HEIGHT + GAP + HEADER + GAP // 2
    assert 0 < (picture[top:top + FRAME_HEIGHT] < 250).any(2).mean() < 0.05  # one line of text instead of frames
    assert FRAMES > 1


def broken(folders, tmp_path, kind):
    if kind == 'empty':
        return [tmp_path], 'not a world'
    if kind == 'absent':
        return [tmp_path / 'nowhere'], 'no such folder'
    if kind == 'no scan':
        (tmp_path / 'scans').mkdir()
        return [tmp_path], 'make_world.py'
    if kind == 'unfinished':
        (tmp_path / 'records').mkdir()
        return [tmp_path], 'nothing converted yet'
    if kind == 'unknown':
        return [folders[0], '--scan', 'scene001_00'], "did you mean 'scene0001_00'?"
    copy = tmp_path / 'copy'
    shutil.copytree(folders[1], copy)
    if kind == 'points gone':
        (copy / 'points_normals' / 'scene0000_00.bin').unlink()
        return [copy], 'scene0000_00.bin is missing'
    if kind == 'labels cut':
        path = copy / 'semantic_mask' / 'scene0000_00.bin'
        path.write_bytes(path.read_bytes()[:-80])
        return [copy], 'labels for'
    (copy / 'scannet_infos_train.pkl').write_bytes(b'\x80\x04')
    return [copy], 'not an info file'


@pytest.mark.parametrize('kind', ['empty', 'absent', 'no scan', 'unfinished', 'unknown', 'points gone', 'labels cut',
                                  'bad infos'])
def test_errors_are_one_line_that_says_what_to_do(folders, tmp_path, kind):
    arguments, message = broken(folders, tmp_path, kind)
    done = browse(*arguments, '--out', tmp_path / 'sheet.png')
    assert done.returncode == 1 and message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1 and done.stderr.startswith('browse: ')
    assert not (tmp_path / 'sheet.png').exists()


def test_raster_shows_the_nearest_front_side():
    grid = np.stack(np.meshgrid(np.linspace(0, 1, 21), np.linspace(0, 1, 21)), -1).reshape(-1, 2)
    low, high = np.c_[grid, np.zeros(441)], np.c_[grid, np.ones(441)]
    xyz, up = np.concatenate([low, high]), np.array([0.0, 0.0, 1.0])
    radius = point_radius(xyz)
    view = view_from(xyz, -np.pi / 2, np.pi / 2, 100, 80)
    for sign, rows in ((1.0, (441, 882)), (-1.0, (0, 441))):  # an upper side that faces down is looked through
        normal = np.concatenate([np.tile(up, (441, 1)), np.tile(up * sign, (441, 1))])
        index, depth = rasterise(view, xyz, normal, radius)
        middle = index[10:70, 20:80]
        assert (middle >= rows[0]).all() and (middle < rows[1]).all()
        place = view.project(xyz)
        rows_of, columns = np.mgrid[10:70, 20:80] + 0.5
        near = np.hypot(place[middle, 0] - columns, place[middle, 1] - rows_of)
        assert near.max() < 0.05 * view.scale  # half a grid cell's diagonal and a pixel
    assert index[0, 0] == -1 and np.isinf(depth[0, 0])
    step = np.where(np.arange(20) < 10, 1.0, 2.0)[None].repeat(20, 0)
    light = edge_shade(step)
    assert light[5, 5] == 1 and light[5, 10] < 0.7 and light[5, 9] == 1
