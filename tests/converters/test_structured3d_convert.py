"""Structured3D: known rooms come back from their own pictures; what is missing or damaged is named, and left out."""
import pickle
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pretrain3d.converters.batch import SceneError
from pretrain3d.converters.structured3d import source as sources
from pretrain3d.converters.structured3d.convert import GRID, convert_room, convert_splits, read_room
from pretrain3d.converters.structured3d.views import merge, thin
from pretrain3d.worlds.rooms import build as building
from pretrain3d.worlds.rooms import structured3d_layout as layout
from pretrain3d.worlds.rooms.presets import PRESETS, Preset
from pretrain3d.worlds.shapes import ray_mesh

ROOT = Path(__file__).resolve().parents[2]
SEED, TEST = 5, Preset(train=2, val=1, spacing=0.1, frames=4, width=96, height=72)
FIRST = 'scene_00000_room_1000'


@pytest.fixture(scope='module')
def homes(tmp_path_factory):
    root = tmp_path_factory.mktemp('homes')
    PRESETS['test'] = TEST
    try:
        building.build(root, 'test', seed=SEED, variant='structured3d')
    finally:
        del PRESETS['test']
    return root


@pytest.fixture(scope='module')
def converted(homes, tmp_path_factory):
    out = tmp_path_factory.mktemp('converted')
    outcome = convert_splits(homes, out, quiet=True)
    assert not (outcome.skipped or outcome.views or outcome.unknown or outcome.without_instances or outcome.failed)
    assert outcome.rooms == dict(train=2, val=1)
    return out


@pytest.fixture()
def broken(homes, tmp_path):
    return shutil.copytree(homes, tmp_path / 'broken')


def load(out, name):
    points = np.fromfile(out / 'points_normals' / f'{name}.bin', np.float32).reshape(-1, 9)
    return points, *(np.fromfile(out / kind / f'{name}.bin', np.int64) for kind in ('semantic_mask', 'instance_mask'))


def point_triangle(points, triangles):
    """(N, T) distances, by the textbook's regions: inside the prism the plane's, else the nearest edge's."""
    a, b, c = (triangles[None, :, i] for i in range(3))
    p = points[:, None]

    def to_edge(u, v):
        t = np.clip(((p - u) * (v - u)).sum(-1) / np.maximum(((v - u) ** 2).sum(-1), 1e-18), 0, 1)
        return np.linalg.norm(p - u - t[..., None] * (v - u), axis=-1)

    normal = np.cross(b - a, c - a)
    area = np.linalg.norm(normal, axis=-1)
    unit = normal / np.maximum(area, 1e-18)[..., None]
    inside = np.ones(np.broadcast_shapes(p.shape[:2], a.shape[:2]), bool) & (area > 1e-12)
    for u, v in ((a, b), (b, c), (c, a)):
        inside &= (np.cross(v - u, p - u) * unit).sum(-1) >= 0
    edges = np.minimum(np.minimum(to_edge(a, b), to_edge(b, c)), to_edge(c, a))
    return np.where(inside, np.abs(((p - a) * unit).sum(-1)), edges), unit[0]


@pytest.mark.parametrize('index', [0, 1, 2])
@pytest.mark.parametrize('kinds', [('perspective',), ('panorama',)])
def test_a_converted_room_lies_on_the_drawn_surfaces(homes, index, kinds):
    """Within a centimetre for 99 %, with the label and instance of what is drawn there and its outward normal."""
    name = f'scene_{0 if index < 2 else 3000:05d}_room_{1000 + index}'
    cloud, notes = read_room(name, homes, kinds=kinds)
    assert notes['lost'] == [] and notes['views'] == (4 if kinds == ('perspective',) else 1)
    room = layout.draw_room(np.random.default_rng([SEED, index]), index)
    triangles, owner = ray_mesh(room.parts)
    item = room.part_item[owner]
    rows = np.random.default_rng(0).choice(len(cloud), 400, replace=False)
    house = layout.house_pose(index)
    distance, unit = point_triangle(cloud.xyz[rows].astype(np.float64) - house[:3, 3], triangles)
    assert (distance.min(1) < 0.01).mean() >= 0.99
    ids = np.array([layout.nyu40_id(each.category) for each in room.items])[item]
    own = np.where(ids == cloud.nyu40[rows, None], distance, np.inf)
    assert (own.min(1) < 0.01).mean() >= 0.99
    # Points on one item have one instance number, and other items other numbers.
    nearest = item[own.argmin(1)]
    shell = np.array([each.category in layout.SHELL for each in room.items])[nearest]
    assert (cloud.instance[rows][shell] == 0).all() and (cloud.instance[rows][~shell] > 0).all()
    pairs = {(number, one) for number, one in zip(cloud.instance[rows][~shell].tolist(), nearest[~shell].tolist())}
    assert len(pairs) <= len({number for number, _ in pairs}) + 2
    likeness = (unit[own.argmin(1)] * cloud.normal[rows]).sum(1)
    assert (likeness > 0.97).mean() > 0.85
    np.testing.assert_allclose(np.linalg.norm(cloud.normal, axis=1), 1, atol=1e-5)


def test_colours_are_those_of_the_surfaces(homes):
    cloud, _ = read_room(FIRST, homes)
    room = layout.draw_room(np.random.default_rng([SEED, 0]), 0)
    floor = np.array(room.items[0].parts[0].texture.base)
    seen = cloud.rgb[cloud.nyu40 == 2] / 255
    likeness = (seen @ floor) / np.linalg.norm(seen, axis=1) / np.linalg.norm(floor)
    assert np.median(likeness) > 0.999


def test_both_kinds_of_views_agree_in_one_frame(homes):
    """Floor, ceiling and walls of the panorama lie where those of the perspective views lie."""
    one, other = (read_room('scene_03000_room_1002', homes, kinds=(kind,))[0] for kind in ('perspective', 'panorama'))
    for cloud in (one, other):
        assert abs(np.median(cloud.xyz[cloud.nyu40 == 2, 2])) < 0.002
    for end in (np.min, np.max):
        np.testing.assert_allclose(*(end(cloud.xyz[cloud.nyu40 == 1, :2], 0) for cloud in (one, other)), atol=0.03)


def test_grazing_and_missing_pixels_are_dropped(homes):
    """A floor seen at an angle with |cos| <= 0.15 is not there, and neither is what has no depth or no label."""
    cloud, notes = read_room(FIRST, homes, kinds=('panorama',))
    folder = homes / 'Structured3D/scene_00000/2D_rendering/1000/panorama'
    eye = np.array((folder / 'camera_xyz.txt').read_text().split(), float) / 1000
    ray = cloud.xyz - eye
    cosine = -(ray * cloud.normal).sum(1) / np.linalg.norm(ray, axis=1)
    assert cosine.min() > 0.149 and notes['dropped']['grazing'] > 0


def test_one_point_stays_in_every_cell(homes):
    cloud, _ = read_room(FIRST, homes)
    cell = np.floor(cloud.xyz.astype(np.float64) / GRID).astype(int)
    assert len(np.unique(cell, axis=0)) == len(cloud)
    assert len(merge([cloud, cloud])) == 2 * len(cloud) and len(thin(merge([cloud, cloud]), GRID)) == len(cloud)


def test_infos_and_files_are_what_the_contract_says(converted):
    for split, names in (('train', [FIRST, 'scene_00000_room_1001']), ('val', ['scene_03000_room_1002'])):
        info = pickle.loads((converted / f'structured3d_infos_{split}.pkl').read_bytes())
        assert info['metainfo']['info_version'] == '1.1' and info['metainfo']['dataset'] == 'structured3d'
        assert info['metainfo']['categories']['otherprop'] == 24
        assert [entry['scan'] for entry in info['data_list']] == names
        for entry, name in zip(info['data_list'], names):
            points, semantic, instance = load(converted, name)
            assert entry['lidar_points'] == dict(num_pts_feats=9, lidar_path=f'{name}.bin')
            assert entry['pts_semantic_mask_path'] == entry['pts_instance_mask_path'] == f'{name}.bin'
            assert len(points) == len(semantic) == len(instance) == entry['num_points'] > 1000
            assert points[:, 3:6].max() > 100 and 0 <= semantic.min() <= semantic.max() <= 40
            assert set(np.unique(instance)) == set(range(instance.max() + 1))
    assert not (converted / 'structured3d_infos_test.pkl').exists()


def test_splits_follow_the_scenes_numbers():
    names = ('scene_02999_room_1', 'scene_03000_room_1', 'scene_03249_room_1', 'scene_03250_room_1')
    assert [sources.split_of(name) for name in names] == ['train', 'val', 'val', 'test']


def zip_up(homes, folder):
    """The world as the release comes: perspective views and panoramas in files of their own."""
    folder.mkdir()
    for part in ('perspective', 'panorama'):
        with zipfile.ZipFile(folder / f'Structured3D_{part}_00.zip', 'w') as archive:
            for path in sorted((homes / 'Structured3D').rglob('*.*')):
                if f'/{part}/' in path.as_posix():
                    archive.write(path, path.relative_to(homes))
    return folder


@pytest.mark.parametrize('jobs', [1, 2])
def test_zip_files_give_the_same(homes, converted, tmp_path, jobs):
    convert_splits(zip_up(homes, tmp_path / 'zips'), tmp_path / 'out', jobs=jobs, quiet=True)
    for path in converted.rglob('*.*'):
        other = tmp_path / 'out' / path.relative_to(converted)
        assert other.read_bytes() == path.read_bytes(), path


def test_a_second_run_does_only_what_is_missing_or_mended(broken, tmp_path):
    view = broken / 'Structured3D/scene_00000/2D_rendering/1001/perspective/full/2'
    content = (view / 'depth.png').read_bytes()
    (view / 'depth.png').write_bytes(content[:-40])
    out = tmp_path / 'out'
    first = convert_splits(broken, out, quiet=True)
    assert [name for name, _ in first.views] == ['scene_00000_room_1001']
    assert '1 of 5 views left out: perspective/full/2/depth.png is no whole picture' in first.views[0][1]
    times = {path: path.stat().st_mtime_ns for path in out.rglob('*.bin')}
    again = convert_splits(broken, out, quiet=True)
    assert again.views == first.views and times == {path: path.stat().st_mtime_ns for path in out.rglob('*.bin')}
    (view / 'depth.png').write_bytes(content)
    mended = convert_splits(broken, out, quiet=True)
    changed = {path.stem for path, time in times.items() if path.stat().st_mtime_ns != time}
    assert mended.views == [] and changed == {'scene_00000_room_1001'}
    (out / 'instance_mask' / f'{FIRST}.bin').unlink()
    convert_splits(broken, out, quiet=True)
    assert (out / 'instance_mask' / f'{FIRST}.bin').is_file()


def rewrite(path, change):
    picture = Image.open(path)
    array = np.asarray(picture).copy()
    other = change(array)
    other = array if other is None else other
    result = Image.fromarray(other)
    if picture.mode == 'P' and other.ndim == 2:
        result.putpalette(picture.getpalette())
    result.save(path)


@pytest.mark.parametrize('harm, words', [
    (lambda v: (v / 'camera_pose.txt').unlink(), 'camera_pose.txt missing'),
    (lambda v: (v / 'camera_pose.txt').write_text('1 2 nan ' + '1 ' * 9), 'not 11 numbers'),
    (lambda v: (v / 'camera_pose.txt').write_text('1 2 3 0 0 1 0 0 1 0.7 0.5 1'), 'no camera'),
    (lambda v: (v / 'camera_pose.txt').write_text('1e9 2 3 1 0 0 0 0 1 0.7 0.5 1'), 'away from the house'),
    (lambda v: (v / 'camera_pose.txt').write_text('one two'), 'not a camera'),
    (lambda v: (v / 'semantic.png').unlink(), 'semantic.png missing'),
    (lambda v: (v / 'rgb_rawlight.png').write_bytes(b''), 'rgb_rawlight.png is no whole picture'),
    (lambda v: rewrite(v / 'depth.png', lambda a: a[:-1]), 'pixels and depth.png'),
    (lambda v: rewrite(v / 'depth.png', lambda a: np.repeat(a[..., None], 3, 2).astype(np.uint8)), 'one channel'),
    (lambda v: rewrite(v / 'depth.png', lambda a: np.zeros_like(a)), 'no labelled pixel'),
])
def test_a_damaged_view_is_left_out_and_named(broken, tmp_path, harm, words):
    harm(broken / 'Structured3D/scene_00000/2D_rendering/1000/perspective/full/1')
    record = convert_room(FIRST, broken, tmp_path / 'out')
    assert record['views'] == 4 and len(record['lost']) == 1 and words in record['lost'][0]
    assert 'perspective/full/1' in record['lost'][0]


def test_unknown_colours_are_ignored_and_counted(broken, tmp_path):
    """A colour picture, as some tools rewrite it, with a colour of no class; and the same labels as before."""
    path = broken / 'Structured3D/scene_00000/2D_rendering/1000/panorama/full/semantic.png'
    before = convert_room(FIRST, broken, tmp_path / 'before', kinds=('panorama',))
    picture = np.asarray(Image.open(path).convert('RGB')).copy()
    Image.fromarray(picture).save(path)
    convert_room(FIRST, broken, tmp_path / 'colours', kinds=('panorama',))
    for one, other in zip(load(tmp_path / 'before', FIRST), load(tmp_path / 'colours', FIRST)):
        np.testing.assert_array_equal(one, other)
    picture[40:50, 60:70] = (1, 2, 3)
    Image.fromarray(picture).save(path)
    outcome = convert_splits(broken, tmp_path / 'unknown', ['train'], kinds=('panorama',), quiet=True)
    assert outcome.unknown == {'#010203': 100}
    _, semantic, _ = load(tmp_path / 'unknown', FIRST)
    assert 20 < (semantic == 0).sum() <= 100 and not (load(tmp_path / 'before', FIRST)[1] == 0).any()
    assert len(semantic) == before['num_points']


def test_views_without_instances_are_counted(broken, tmp_path):
    for path in broken.rglob('instance.png'):
        path.unlink()
    outcome = convert_splits(broken, tmp_path / 'out', ['val'], quiet=True)
    assert outcome.without_instances == 5 and not load(tmp_path / 'out', 'scene_03000_room_1002')[2].any()


def test_rooms_that_cannot_be_read_are_skipped_with_the_reason(broken, tmp_path):
    for path in broken.glob('Structured3D/scene_00000/2D_rendering/1001/**/semantic.png'):
        path.unlink()
    (broken / 'Structured3D' / 'scene_03000').rename(broken / 'Structured3D' / 'scene_01155')
    outcome = convert_splits(broken, tmp_path / 'out', quiet=True)
    reasons = dict(outcome.skipped)
    assert set(reasons) == {'scene_00000_room_1001', 'scene_01155_room_1002'}
    assert 'no view can be used' in reasons['scene_00000_room_1001'] and 'semantic.png missing' in reasons[
        'scene_00000_room_1001']
    assert 'invalid' in reasons['scene_01155_room_1002']
    assert outcome.rooms == dict(train=1) and not outcome.failed
    again = convert_splits(broken, tmp_path / 'out', ['train', 'val'], quiet=True)
    assert [split for split, _ in again.failed] == ['val']


def test_nothing_of_structured3d_and_damaged_zips_say_so(homes, tmp_path):
    (tmp_path / 'empty').mkdir()
    with pytest.raises(SceneError, match='no room of Structured3D'):
        convert_splits(tmp_path / 'empty', tmp_path / 'out', quiet=True)
    zips = zip_up(homes, tmp_path / 'zips')
    path = zips / 'Structured3D_panorama_00.zip'
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(ValueError, match='panorama_00.zip: not a whole zip file'):
        convert_splits(zips, tmp_path / 'out', quiet=True)


def test_damage_inside_a_zip_costs_one_view(homes, tmp_path):
    zips = zip_up(homes, tmp_path / 'zips')
    path = zips / 'Structured3D_panorama_00.zip'
    with zipfile.ZipFile(path) as archive:
        start = next(info.header_offset for info in archive.infolist() if info.filename.endswith('full/depth.png'))
    content = bytearray(path.read_bytes())
    content[start + 200:start + 220] = bytes(20)
    path.write_bytes(content)
    outcome = convert_splits(zips, tmp_path / 'out', quiet=True)
    assert len(outcome.views) == 1 and 'panorama_00.zip' in outcome.views[0][1]


def test_the_tool_says_what_it_did(homes, tmp_path):
    tool = [sys.executable, str(ROOT / 'tools' / 'data' / 'structured3d.py')]
    done = subprocess.run([*tool, str(homes), str(tmp_path / 'out'), '--jobs', '1'], capture_output=True, text=True)
    assert done.returncode == 0 and '2 rooms of train, 1 rooms of val' in done.stdout, done.stderr
    done = subprocess.run([*tool, str(tmp_path), str(tmp_path / 'out')], capture_output=True, text=True)
    assert done.returncode == 1 and 'no room of Structured3D' in done.stderr and 'Traceback' not in done.stderr
