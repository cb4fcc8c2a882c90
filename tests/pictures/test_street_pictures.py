"""Pictures of streets, on a release made by hand: frames against nuscenes-devkit, discs and boxes, what is missing."""
import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pretrain3d.converters.nuscenes.tables import TableError
from pretrain3d.label_spaces.space import UnknownNameError
from pretrain3d.pictures.sheet import BOX_CORNERS
from pretrain3d.pictures.street_sheet import (CAMERA, draw_keyframe, draw_street_sheet, named_boxes, point_colours,
                                              street_sheet_size)
from pretrain3d.pictures.street_views import (RIGHT, UNLABELLED, WRONG, chase, class_colours, clip, depth_colours,
                                              draw_above, draw_camera, error_colours, panoptic_colours, splat)
from pretrain3d.pictures.streets import CAMERAS, SPACE, Streets, make_boxes, read_results, version_of

TESTS = Path(__file__).resolve().parents[1]
BROWSE = TESTS.parent / 'tools' / 'analysis' / 'browse.py'


@pytest.fixture(scope='module')
def made():
    """The module that writes the release."""
    sys.path.append(str(TESTS / 'converters'))
    return importlib.import_module('nuscenes_tables')


@pytest.fixture(scope='module')
def release(made, tmp_path_factory):
    return made.write_tables(tmp_path_factory.mktemp('street_release'))


@pytest.fixture(scope='module')
def source(release):
    return Streets(release)


@pytest.fixture(scope='module')
def keyframe(source):
    return source.read('scene-0061/1')


def test_names_and_what_they_mean(source, release):
    assert version_of(release) == 'v1.0-mini' and source.names == [
        f'{scene}/{number}' for scene in ('scene-0061', 'scene-0103', 'scene-1094') for number in range(3)]
    assert source.resolve('scene-0103') == 'scene-0103/1' and source.resolve('scene-0103/2') == 'scene-0103/2'
    for wrong, near in (('scene-01033', "mean 'scene-0103'"), ('scene-0103/7', "mean 'scene-0103/")):
        with pytest.raises(UnknownNameError, match=near):
            source.resolve(wrong)


def test_boxes_hold_their_points_in_the_frame_of_the_vehicle(made, keyframe):
    """Points and boxes come by different ways: sensor to vehicle, and global to vehicle."""
    held = {number + 1: item for number, item in enumerate(made.OBJECTS)}
    assert len(keyframe.boxes) == len(held)
    for number, (category, _, place, size, speed, count) in held.items():
        rows = keyframe.instance == made.RAW[category] * 1000 + number
        assert rows.sum() == count
        box = keyframe.boxes.keep(np.array([number - 1]))
        own = (keyframe.xyz[rows] - box.centre[0]) @ box.axes[0] / box.size[0]
        assert (np.abs(own) < 0.4501).all()
        # One keyframe, half a second, after the start.
        assert box.centre[0] == pytest.approx(np.add(place, [(speed - made.SPEED) * 0.5, 0, 0]), abs=1e-6)
        assert box.size[0] == pytest.approx([size[1], size[0], size[2]]) and box.points_in[0] == count
    flat = keyframe.label == SPACE.index('driveable_surface')
    assert flat.sum() == 390 and np.abs(keyframe.xyz[flat, 2]).max() < 1e-3
    names = [SPACE.classes[label] for label in named_boxes(keyframe.boxes).label]
    assert names == ['car', 'pedestrian', 'barrier', 'truck'] and len(keyframe.boxes) == 5  # police has no class
    assert (keyframe.label == SPACE.ignore_index).sum() == 10 + 30
    assert keyframe.location == 'boston-seaport' and keyframe.count == 3 and list(keyframe.cameras) == list(CAMERAS)


def test_projections_are_those_of_the_devkit(release, source, keyframe):
    nuscenes = pytest.importorskip('nuscenes.nuscenes')
    from nuscenes.utils.geometry_utils import BoxVisibility
    devkit = nuscenes.NuScenes('v1.0-mini', str(release), verbose=False)
    sample = devkit.get('sample', keyframe.token)
    compared = 0
    for channel, camera in keyframe.cameras.items():
        token = sample['data'][channel]
        _, boxes, intrinsic = devkit.get_sample_data(token, box_vis_level=BoxVisibility.NONE)
        ours = keyframe.boxes.points(BOX_CORNERS) @ camera.pose[:3, :3].T + camera.pose[:3, 3]
        for box, corners in zip(boxes, ours):
            gaps = np.linalg.norm(box.corners().T[:, None] - corners, axis=-1)
            assert gaps.min(0).max() < 1e-6 and gaps.min(1).max() < 1e-6
        points, depth, _ = devkit.explorer.map_pointcloud_to_image(sample['data']['LIDAR_TOP'], token)
        place = camera.project(keyframe.xyz)
        inside = (place[:, 2] > 1) & (place[:, :2] > 1).all(1) & (place[:, :2] < np.array([160, 90]) - 1).all(1)
        assert inside.sum() == points.shape[1]
        compared += inside.sum()
        # The devkit keeps points in single precision through global coordinates.
        assert np.abs(place[inside, :2] - points[:2].T).max() < 0.1 and np.abs(place[inside, 2] - depth).max() < 1e-2
    assert compared > 50


def test_discs_are_those_of_a_loop():
    rng = np.random.default_rng(0)
    pixel, depth = rng.uniform(-3, 23, (60, 2)), rng.uniform(1, 9, 60)
    colour, radius = rng.uniform(0, 255, (60, 3)), rng.uniform(0.3, 3.5, 60)
    canvas, expected = np.zeros((16, 20, 3)), np.zeros((16, 20, 3))
    splat(canvas, pixel, depth, colour, radius)
    for row in range(16):
        for column in range(20):
            gap = np.hypot(column + 0.5 - pixel[:, 0], row + 0.5 - pixel[:, 1])
            over = np.flatnonzero(gap <= np.maximum(radius, 0.71)).tolist()
            if over:
                expected[row, column] = colour[min(over, key=lambda point: depth[point])]
    assert np.array_equal(canvas, expected) and (canvas > 0).any(2).mean() > 0.3
    splat(canvas, np.zeros((0, 2)), np.zeros(0), np.zeros((0, 3)), np.zeros(0))
    assert np.array_equal(canvas, expected)


def test_edges_are_cut_where_they_pass_the_camera():
    first, second = np.array([0., 0, 4]), np.array([2., 0, -4])
    assert clip(first, second, 4, 4)[1] is second and clip(first, second, -1, 0) is None
    assert np.allclose(clip(first, second, 3, -5), (first, [0.75, 0, 1]))
    assert np.allclose(clip(second, first, -5, 3), ([0.75, 0, 1], first))


def test_eye_behind_the_vehicle():
    eye = chase(400, 300)
    ahead, left = eye.project(np.array([[20., 0, 0], [0., 5, 0]]))
    assert ahead[0] == pytest.approx(200) and left[0] < 200 and ahead[2] > left[2] > 0 and ahead[1] < left[1]


def test_colours():
    instance = np.array([17001, 17002, 17002, 24000, 0])  # two cars, the road, noise
    colour = panoptic_colours(instance)
    assert np.array_equal(colour[1], colour[2]) and np.abs(colour[0] - colour[1]).max() > 60
    assert np.abs(colour[3] - class_colours(np.array([SPACE.index('driveable_surface')]))[0]).max() > 20
    found = error_colours(np.array([3, 3, SPACE.ignore_index]), np.array([3, 4, 4]))
    assert np.array_equal(found, [RIGHT, WRONG, UNLABELLED])
    assert np.array_equal(depth_colours(np.array([0., 99.])), [(230, 40, 40), (70, 50, 160)])


def test_from_above_forward_is_up_and_left_is_left(keyframe):
    """The car is 11.5 m or so ahead and 3 m to the left, and its heading points up."""
    car = keyframe.boxes.keep(np.array([0]))
    black = np.zeros((len(keyframe.xyz), 3))
    picture = np.asarray(draw_above(keyframe, black, 400, [(car, (255, 0, 0), 1)], reach=20))
    rows, columns = np.nonzero((picture == (255, 0, 0)).all(2))
    x, y = (200 - np.array([rows.min(), rows.max()])) / 10, (200 - np.array([columns.min(), columns.max()])) / 10
    centre, size = car.centre[0], car.size[0]
    assert y == pytest.approx([centre[1] + size[1] / 2, centre[1] - size[1] / 2], abs=0.15)
    # The line of the heading is as long again as a quarter of the box beyond its front.
    assert x == pytest.approx([centre[0] + 0.75 * size[0], centre[0] - size[0] / 2], abs=0.15)


def test_a_box_is_drawn_around_its_points(keyframe):
    car, camera = keyframe.boxes.keep(np.array([0])), keyframe.cameras['CAM_FRONT']
    picture = np.asarray(draw_camera(camera, (640, 360), [(car, (255, 0, 0), 1)]))
    rows, columns = np.nonzero((picture == (255, 0, 0)).all(2))
    place = 4 * camera.project(keyframe.xyz[keyframe.instance // 1000 == 17])[:, :2]
    assert rows.min() - 1 < place[:, 1].min() and place[:, 1].max() < rows.max() + 1
    assert columns.min() - 1 < place[:, 0].min() and place[:, 0].max() < columns.max() + 1
    assert np.ptp(columns) < 3 * np.ptp(place[:, 0])
    behind = np.asarray(draw_camera(keyframe.cameras['CAM_BACK'], (640, 360), [(car, (255, 0, 0), 1)]))
    assert not (behind == (255, 0, 0)).all(2).any()


def test_sheet(release, source, tmp_path):
    done = subprocess.run([sys.executable, str(BROWSE), str(release), '--scan', 'scene-0103', '--scan', 'scene-0061/0',
                           '--out', str(tmp_path / 'sheet.png')], capture_output=True, text=True)
    assert done.returncode == 0 and 'scene-0103/1, scene-0061/0' in done.stdout, done.stderr
    drawn = Image.open(tmp_path / 'sheet.png')
    again = draw_street_sheet([source.read(name) for name in ('scene-0103/1', 'scene-0061/0')],
                              f'{release.name}: 2 of 9 keyframes (nuScenes layout)')
    assert drawn.size == street_sheet_size(2) and np.array_equal(np.asarray(drawn), np.asarray(again))
    front = np.asarray(again)[100:100 + CAMERA[1], CAMERA[0] + 16:2 * CAMERA[0] + 16].reshape(-1, 3)
    image = source.read('scene-0103/1').cameras['CAM_FRONT'].image[0, 0]
    assert {tuple(image), (255, 158, 0)} <= set(map(tuple, front))  # the image, and the box of a car


@pytest.fixture
def copy(release, tmp_path):
    return Path(shutil.copytree(release, tmp_path / 'copy'))


def test_without_lidarseg_panoptic_cameras_and_boxes(copy):
    for name in ('lidarseg', 'panoptic'):
        (copy / 'v1.0-mini' / f'{name}.json').unlink()
    (copy / 'v1.0-mini' / 'sample_annotation.json').write_text('[]')
    path = copy / 'v1.0-mini' / 'sample_data.json'
    path.write_text(json.dumps([row for row in json.loads(path.read_text()) if 'CAM_BACK_LEFT' not in row['filename']]))
    found = Streets(copy).read('scene-0103/0')
    assert found.label is None and found.instance is None and not len(found.boxes) and len(found.cameras) == 5
    assert np.array_equal(point_colours(found), depth_colours(np.linalg.norm(found.xyz, axis=1)))
    assert draw_keyframe(found).size[0] == street_sheet_size(1)[0]


@pytest.mark.parametrize('kind, message', [
    ('lidarseg', 'labels for .* points'), ('panoptic', 'cannot be read'), ('LIDAR_TOP', 'no rows of 5'),
    ('CAM_FRONT', 'cannot be read'), ('gone', 'cannot be read'), ('tables', 'no json')])
def test_damaged_files_are_named(copy, kind, message):
    name = 'scene-0061/0'
    token = Streets(copy).rows[Streets(copy).samples[name][0]]['LIDAR_TOP']['token']
    file = dict(lidarseg=f'lidarseg/v1.0-mini/{token}_lidarseg.bin',
                panoptic=f'panoptic/v1.0-mini/{token}_panoptic.npz',
                LIDAR_TOP='samples/LIDAR_TOP/scene-0061__LIDAR_TOP__0.pcd.bin', tables='v1.0-mini/scene.json',
                CAM_FRONT='samples/CAM_FRONT/scene-0061__CAM_FRONT__0.jpg',
                gone='samples/LIDAR_TOP/scene-0061__LIDAR_TOP__0.pcd.bin')[kind]
    path = copy / file
    path.unlink() if kind == 'gone' else path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(TableError, match=f'{path.name}.*{message}'):
        Streets(copy).read(name)


def test_a_folder_without_tables(tmp_path):
    assert version_of(tmp_path) == ''
    with pytest.raises(TableError, match='make_world.py street'):
        Streets(tmp_path)


def test_boxes_of_a_result_file(keyframe, tmp_path, source):
    """Annotations written as a detector's results come back as they are."""
    rows = [dict(translation=row['translation'], size=row['size'], rotation=row['rotation'], detection_name=name,
                 detection_score=0.5)
            for row, name in zip(source.annotations[keyframe.token], ('car', 'pedestrian', 'barrier', 'car', 'truck'))]
    path = tmp_path / 'results.json'
    path.write_text(json.dumps(dict(meta={}, results={keyframe.token: rows})))
    read = read_results(path)[keyframe.token]
    boxes = make_boxes(read, [row['detection_name'] for row in read], keyframe.to_global)
    for name in ('centre', 'size', 'axes'):
        assert np.allclose(getattr(boxes, name), getattr(keyframe.boxes, name))
    assert boxes.score.tolist() == [0.5] * 5 and SPACE.classes[boxes.label[3]] == 'car'
    for text in ('{}', '[]', '{"results": {"a": 1}}', 'no json'):
        path.write_text(text)
        with pytest.raises(TableError, match='no result file'):
            read_results(path)
