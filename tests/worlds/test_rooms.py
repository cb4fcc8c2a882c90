"""Rooms: what is drawn, and that what is written is ScanNet's layout with consistent geometry and labels."""
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from plyfile import PlyData
from pretrain3d.label_spaces import get_label_space
from pretrain3d.worlds.render import Caster
from pretrain3d.worlds.rooms import build as building
from pretrain3d.worlds.rooms import scannet_layout
from pretrain3d.worlds.rooms.furniture import ARCHETYPES, footprint
from pretrain3d.worlds.rooms.layout import KINDS, RECIPES, furnish
from pretrain3d.worlds.rooms.presets import PRESETS, Preset
from pretrain3d.worlds.rooms.scannet_layout import NYU40

SMALL = Preset(train=2, val=1, spacing=0.1, frames=4, width=64, height=48)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp('rooms')
    PRESETS['test'] = SMALL
    try:
        building.build(root, 'test', seed=3)
    finally:
        del PRESETS['test']
    return root


def read(world, name):
    folder = world / 'scans' / name
    mesh = PlyData.read(str(folder / f'{name}_vh_clean_2.ply'))
    labels = PlyData.read(str(folder / f'{name}_vh_clean_2.labels.ply'))
    segments = json.loads((folder / f'{name}_vh_clean_2.0.010000.segs.json').read_text())
    groups = json.loads((folder / f'{name}.aggregation.json').read_text())
    return folder, mesh, labels, segments, groups


@pytest.mark.parametrize('name', sorted(ARCHETYPES))
def test_every_archetype_stands_on_the_floor_and_is_labelled(name):
    for seed in range(5):
        item = ARCHETYPES[name](np.random.default_rng(seed))
        low, high = footprint(item)
        assert item.category in NYU40 and low[2] > -1e-6 and (high - low > 0.04).all() and (high - low < 3).all()
    assert any(name == entry[0] for recipe in RECIPES.values() for entry in recipe)


def test_sizes_and_materials_differ_between_instances():
    chairs = [ARCHETYPES['chair'](np.random.default_rng(seed)) for seed in range(8)]
    assert len({chair.parts[0].texture.base for chair in chairs}) == 8
    assert np.ptp([footprint(chair)[1][2] for chair in chairs]) > 0.02


@pytest.mark.parametrize('kind', KINDS)
def test_furniture_stays_inside_and_apart(kind):
    for seed in range(4):
        room = furnish(np.random.default_rng(seed), kind)
        walls = [item for item in room.items if item.category == 'wall']
        assert len(walls) >= 4
        low = np.min([f[:2] for f in room.floors], 0)
        high = np.max([f[2:] for f in room.floors], 0)
        # Chairs stand tucked under tables, pillows lie against the headboard, the cloth hangs into the tub.
        loose = ('wall', 'floor', 'chair', 'office chair', 'shower curtain', 'pillow', 'monitor')
        solid = [footprint(item) for item in room.items if item.category not in loose]
        for first, (a_low, a_high) in enumerate(solid):
            assert (a_low[:2] > low - 0.25).all() and (a_high[:2] < high + 0.25).all()
            for b_low, b_high in solid[:first]:
                assert not ((a_low + 0.005 < b_high) & (a_high - 0.005 > b_low)).all()


def test_unknown_kind_and_preset_are_refused(tmp_path):
    with pytest.raises(ValueError, match='choose one of'):
        furnish(np.random.default_rng(0), 'dungeon')
    with pytest.raises(ValueError, match='choose one of'):
        building.build(tmp_path, 'gigantic', 0)


def test_twenty_classes_occur(world):
    raw = {NYU40[item.category][0] for seed in range(12) for item in
           furnish(np.random.default_rng([0, seed]), KINDS[seed % len(KINDS)]).items}
    space = get_label_space('ScanNet20')
    assert set(space.map_raw(np.array(sorted(raw)))) >= set(range(20))


def test_files_are_there_and_lists_name_them(world):
    names = [(world / 'meta_data' / f'scannetv2_{split}.txt').read_text().split() for split in ('train', 'val')]
    assert [len(each) for each in names] == [2, 1]
    for name in sum(names, []):
        folder, mesh, labels, segments, groups = read(world, name)
        count = mesh['vertex'].count
        assert labels['vertex'].count == count == len(segments['segIndices'])
        assert {'x', 'y', 'z', 'red', 'green', 'blue'} <= set(mesh['vertex'].data.dtype.names)
        assert max(face.max() for face in mesh['face']['vertex_indices']) < count
        assert {path.name for path in folder.glob('color/*')} == {f'{i}.jpg' for i in range(4)}
    assert not list((world / 'scans').glob('.*'))


def test_instances_partition_the_segments_and_agree_with_vertex_labels(world):
    _, mesh, labels, segments, groups = read(world, 'scene0000_00')
    segment = np.array(segments['segIndices'])
    label = np.asarray(labels['vertex']['label'])
    seen = np.zeros(len(segment), int)
    for group in groups['segGroups']:
        rows = np.isin(segment, group['segments'])
        seen += rows
        assert set(label[rows]) == {NYU40[group['label']][0]}
    assert (seen == 1).all()


def test_axis_alignment_levels_the_floor_and_the_walls(world):
    folder, mesh, labels, _, _ = read(world, 'scene0000_00')
    line = (folder / 'scene0000_00.txt').read_text().splitlines()[0]
    align = np.array(line.split('=')[1].split(), float).reshape(4, 4)
    xyz = np.stack([np.asarray(mesh['vertex'][axis]) for axis in 'xyz'], 1) @ align[:3, :3].T + align[:3, 3]
    floor = np.asarray(labels['vertex']['label']) == 2
    # The slab's upper side; 2 mm of noise.
    assert np.median(np.abs(xyz[floor][:, 2])) < 0.01
    assert xyz[:, 2].max() < 2.8


def test_same_seed_same_bytes_other_seed_other_room(tmp_path, world):
    building.draw_scan(tmp_path, 1, SMALL, 3)
    for path in sorted((tmp_path / 'scans').rglob('*')):
        if path.is_file():
            again = world / path.relative_to(tmp_path)
            assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(again.read_bytes()).digest(), path
    other = building.draw_scan(tmp_path / 'other', 1, SMALL, 4)
    name = 'scene0001_00_vh_clean_2.ply'
    assert (other / name).read_bytes() != (world / 'scans' / 'scene0001_00' / name).read_bytes()


def test_an_interrupted_scan_leaves_nothing(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(scannet_layout, 'write_frames', full)
    with pytest.raises(OSError):
        building.draw_scan(tmp_path, 0, SMALL, 0)
    assert not list((tmp_path / 'scans').iterdir())


def test_tool_refuses_to_mix_worlds(tmp_path):
    (tmp_path / 'world.txt').write_text('rooms preset=medium seed=9\n')
    tool = [sys.executable, str(ROOT / 'tools' / 'make_world.py'), 'rooms', str(tmp_path), '--preset', 'tiny']
    done = subprocess.run(tool, capture_output=True, text=True)
    assert done.returncode == 1 and 'already holds' in done.stderr and 'Traceback' not in done.stderr


def test_vertices_that_no_camera_saw_are_left_out():
    from pretrain3d.worlds.rooms.frames import stations
    from pretrain3d.worlds.rooms.scan import scan_room
    from pretrain3d.worlds.shapes import tessellate
    rng = np.random.default_rng(0)
    room = furnish(rng, 'bedroom')
    caster = Caster(room.parts)
    scan = scan_room(rng, room, caster, sum(stations(rng, room, caster, 6), []), 0.12)
    assert len(scan.xyz) < 0.8 * len(tessellate(room.parts, 0.12).xyz)
    assert scan.faces.max() == len(scan.xyz) - 1


@pytest.mark.parametrize('kind', KINDS)
def test_the_camera_walks_smoothly_and_stays_clear_of_things(kind):
    """Neighbouring frames of a round: decimetres and a few degrees apart, never with the nose in a cupboard."""
    from pretrain3d.worlds.rooms.frames import CLEARANCE, stations, walk
    rng = np.random.default_rng(5)
    room = furnish(rng, kind)
    caster = Caster(room.parts)
    rounds = stations(rng, room, caster, 16)
    poses = walk(rng, rounds, caster)
    assert len(poses) == sum(map(len, rounds)) == 16
    around = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    feelers = np.stack([np.cos(around), np.sin(around), np.zeros(36)], 1)
    first = 0
    for points in rounds:
        part, first = np.stack(poses[first:first + len(points)]), first + len(points)
        step = np.linalg.norm(np.diff(part[:, :3, 3], axis=0), axis=1)
        turn = np.degrees(np.arccos(np.clip((part[1:, :3, 2] * part[:-1, :3, 2]).sum(1), -1, 1)))
        assert np.median(step) < 0.5 and step.max() < 1.2, step
        assert turn.max() < 1.5 * 360 / len(points) + 20, turn
        np.testing.assert_allclose(np.linalg.det(part[:, :3, :3]), 1)
        for pose in part:
            assert caster.cast(np.tile(pose[:3, 3], (36, 1)), feelers).distance.min() > 0.5 * CLEARANCE


def test_fewer_frames_than_the_floors_would_share():
    from pretrain3d.worlds.rooms.frames import stations, walk
    rng = np.random.default_rng(0)
    rooms = [furnish(rng, kind) for kind in KINDS * 4]
    room = next(room for room in rooms if len(room.floors) > 1)
    caster = Caster(room.parts)
    rounds = stations(rng, room, caster, 2)
    assert len(walk(rng, rounds, caster)) == 2 and all(rounds)
