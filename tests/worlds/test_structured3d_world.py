"""Rooms as Structured3D: what stands in them, what is written, and that it is the same again."""
import hashlib
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from pretrain3d.label_spaces import get_label_space
from pretrain3d.label_spaces.indoor import NYU40
from pretrain3d.worlds.rooms import build as building
from pretrain3d.worlds.rooms import structured3d_layout as layout
from pretrain3d.worlds.rooms.furniture import footprint
from pretrain3d.worlds.rooms.layout import HOMES, furnish
from pretrain3d.worlds.rooms.presets import PRESETS, Preset
from pretrain3d.worlds.rooms.structured3d_style import ARCHETYPES, RECIPES, STYLE

SMALL = Preset(train=4, val=2, spacing=0.1, frames=3, width=48, height=36)
SPACE = get_label_space('Structured3D25')


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp('structured3d')
    PRESETS['test'] = SMALL
    try:
        building.build(root, 'test', seed=3, variant='structured3d')
    finally:
        del PRESETS['test']
    return root


def digests(root):
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(root.rglob('*')) if path.is_file()}


@pytest.mark.parametrize('name', sorted(ARCHETYPES))
def test_every_archetype_has_a_class_and_a_size(name):
    for seed in range(5):
        item = ARCHETYPES[name](np.random.default_rng(seed))
        low, high = footprint(item)
        assert 1 <= layout.nyu40_id(item.category) <= 40
        assert low[2] > -1e-6 and high[2] < STYLE.height[0] and (high - low > 0.04).all() and (high - low < 3).all()
    assert any(name == line[0] for recipe in RECIPES.values() for line in recipe)


def classes(style, rooms=60):
    """Items of each class in ``rooms`` rooms."""
    found = Counter()
    for index in range(rooms):
        room = furnish(np.random.default_rng([9, index]), style.kinds[index % len(style.kinds)], style)
        found.update(NYU40[layout.nyu40_id(item.category) - 1][0] for item in room.items)
    return found


def test_all_25_classes_are_drawn_in_other_shares_than_in_the_scannet_rooms():
    homes = classes(STYLE)
    assert set(SPACE.classes) <= set(homes), set(SPACE.classes) - set(homes)
    layout.CLASS_OF.update(carton='otherprop', monitor='otherprop', box='otherprop')
    try:
        scannet = classes(HOMES)
    finally:
        for name in ('carton', 'monitor', 'box'):
            del layout.CLASS_OF[name]
    for name in ('curtain', 'nightstand', 'pillow', 'mirror', 'television', 'lamp', 'ceiling'):
        assert homes[name] > 1.5 * scannet[name], name


def test_beds_have_pillows_at_their_head_and_nightstands_beside():
    together = 0
    for seed in range(20):
        room = furnish(np.random.default_rng(seed), 'bedroom', STYLE)
        for bed in (item for item in room.items if item.category == 'bed'):
            back = bed.parts[0].pose[:2, 1]
            low, high = footprint(bed)
            half = np.abs((high - low)[:2] / 2 @ np.abs(back))
            for item in room.items:
                across = (np.mean(footprint(item), 0) - (low + high) / 2)[:2]
                if item.category == 'pillow':
                    assert 0.3 * half < across @ back < half
                if item.category == 'nightstand':
                    assert np.linalg.norm(across) < np.linalg.norm((high - low)[:2]) / 2 + 0.6
                    together += 1
    assert together > 15


def test_the_files_of_a_room_are_those_of_the_release(world):
    rooms = sorted(world.glob('Structured3D/scene_*/2D_rendering/*'))
    scenes = Counter(path.parent.parent.name for path in rooms)
    assert scenes == {'scene_00000': 3, 'scene_00001': 1, 'scene_03000': 2}
    names = {'rgb_rawlight.png', 'depth.png', 'semantic.png', 'instance.png', 'normal.png'}
    for room in rooms:
        views = sorted((room / 'perspective' / 'full').iterdir())
        assert [view.name for view in views] == ['0', '1', '2']
        for view in views:
            assert {path.name for path in view.iterdir()} == names | {'camera_pose.txt'}
            assert len((view / 'camera_pose.txt').read_text().split()) == 12
        assert {path.name for path in (room / 'panorama' / 'full').iterdir()} == names
        assert len((room / 'panorama' / 'camera_xyz.txt').read_text().split()) == 3
    assert not list(world.rglob('*.partial'))


def test_the_pictures_are_of_the_released_kinds(world):
    folder = next(world.glob('Structured3D/scene_*/2D_rendering/*/perspective/full/0'))
    semantic = Image.open(folder / 'semantic.png')
    assert semantic.mode == 'P'
    index, colours = np.asarray(semantic), np.asarray(semantic.convert('RGB'))
    for value in np.unique(index[index > 0]):
        assert (colours[index == value] == NYU40[value - 1][1]).all()
    depth, instance = (np.asarray(Image.open(folder / f'{name}.png')) for name in ('depth', 'instance'))
    assert depth.dtype == instance.dtype == np.uint16 and 500 < np.median(depth) < 6000
    shell = np.isin(index, [1 + [name for name, _ in NYU40].index(part) for part in ('wall', 'floor', 'ceiling')])
    assert ((instance == 65535) == shell).all()


def test_normal_png_is_in_the_frame_forward_up_left(world):
    """As the release's authors describe it: red looks along the view, green up, left-handed."""
    folder = next(world.glob('Structured3D/scene_*/2D_rendering/*/panorama/full'))
    normal = np.asarray(Image.open(folder / 'normal.png')) / 128.0 - 1
    index = np.asarray(Image.open(folder / 'semantic.png'))
    floor, ceiling = normal[index == 2], normal[index == 22]
    assert np.median(floor[:, 1]) > 0.98 and np.median(ceiling[:, 1]) < -0.98
    wall = normal[(index == 1) & (np.abs(normal[..., 1]) < 0.1)]
    assert len(wall) and np.allclose(np.abs(wall).max(-1), 1, atol=0.02)
    middle = normal[index.shape[0] // 2]  # the wall straight ahead (+y) looks back, the one to the right looks left
    assert np.median(middle[index.shape[1] // 2 - 2:index.shape[1] // 2 + 2, 0]) < -0.9
    assert np.median(middle[index.shape[1] * 3 // 4 - 2:index.shape[1] * 3 // 4 + 2, 2]) > 0.9


def test_the_same_seed_gives_the_same_bytes_in_any_number_of_processes_and_another_others(world, tmp_path, monkeypatch):
    monkeypatch.setitem(PRESETS, 'test', SMALL)
    first = digests(world)
    building.build(tmp_path / 'a', 'test', seed=3, jobs=2, variant='structured3d')
    assert digests(tmp_path / 'a') == first
    building.build(tmp_path / 'b', 'test', seed=4, variant='structured3d')
    other = digests(tmp_path / 'b')
    same = [name for name in first if first[name] == other.get(name)]
    assert not [name for name in same if name.endswith('rgb_rawlight.png')]


def test_an_interrupted_world_is_completed(world, tmp_path, monkeypatch):
    monkeypatch.setitem(PRESETS, 'test', SMALL)
    draw, count = layout.write_pictures, []

    def die(folder, pictures):
        count.append(folder)
        if len(count) == 6:
            raise KeyboardInterrupt
        draw(folder, pictures)

    monkeypatch.setattr(layout, 'write_pictures', die)
    with pytest.raises(KeyboardInterrupt):
        building.build(tmp_path, 'test', seed=3, variant='structured3d')
    monkeypatch.setattr(layout, 'write_pictures', draw)
    rooms = list(tmp_path.glob('Structured3D/scene_*/2D_rendering/*'))
    assert len(rooms) == 1
    before = (rooms[0] / 'panorama' / 'camera_xyz.txt').stat().st_mtime_ns
    building.build(tmp_path, 'test', seed=3, variant='structured3d')
    assert digests(tmp_path) == digests(world)
    assert (rooms[0] / 'panorama' / 'camera_xyz.txt').stat().st_mtime_ns == before


def test_colours_are_flat():
    """One colour for each flat face of a part, but for pictures."""
    room = layout.draw_room(np.random.default_rng(0), 1)
    for item in room.items:
        for part in item.parts:
            colours = part.texture(np.random.default_rng(1).uniform(-0.5, 0.5, (50, 3)))
            assert item.category == 'picture' or np.ptp(colours, 0).max() < 1e-9
