"""Building worlds of streets: the same bytes however it goes, nothing half-written, no two worlds in a folder."""
import dataclasses
import errno
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from plain_street import LITTLE, PlainStreet
from pretrain3d import files
from pretrain3d.worlds.street import build as building
from pretrain3d.worlds.street import nuscenes_scene
from pretrain3d.worlds.street.presets import PRESETS

ROOT = Path(__file__).resolve().parents[2]
SCENES = ('scene-0061', 'scene-0103')
# What a process does that draws the little world, up to the write of file number NUMBER.
KILLED = '''
import os, signal, sys
os.environ['PRETRAIN3D_LIGHT'] = '1'
from pathlib import Path
from plain_street import LITTLE, PlainStreet
from pretrain3d import files
from pretrain3d.worlds.street import build as building, nuscenes_layout, nuscenes_scene
building.PRESETS['little'] = LITTLE
nuscenes_scene.draw_street = PlainStreet
written, real = 0, files.write_atomic
def write(path, content):
    global written
    written += 1
    if written == int(sys.argv[2]):
        files.partial_path(path).write_bytes(content[:len(content) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    real(path, content)
building.write_atomic = nuscenes_layout.write_atomic = nuscenes_scene.write_atomic = write
building.build(Path(sys.argv[1]), 'little', 5, scenes=('scene-0061', 'scene-0103'))
'''


@pytest.fixture(scope='module', autouse=True)
def little():
    PRESETS['little'], real = LITTLE, nuscenes_scene.draw_street
    nuscenes_scene.draw_street = PlainStreet  # processes that a pool forks have it too
    yield
    nuscenes_scene.draw_street = real
    del PRESETS['little']


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp('street')
    building.build(root, 'little', 5, scenes=SCENES)
    return root


def contents(root):
    """Hash of every file below ``root``, by its path."""
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(root.rglob('*')) if path.is_file()}


def draw(root, **options):
    building.build(root, 'little', 5, scenes=SCENES, **options)


def test_bytes_depend_on_the_seed_and_not_on_the_number_of_processes(world, tmp_path):
    reference = contents(world)
    assert len(reference) > 50 and 'v1.0-mini/scene.json' in reference
    done = []
    draw(tmp_path / 'two', jobs=2, progress=lambda *counts: done.append(counts))
    assert contents(tmp_path / 'two') == reference and done == [(1, 2), (2, 2)]
    building.build(tmp_path / 'other', 'little', 6, scenes=SCENES)
    other = contents(tmp_path / 'other')
    shared = {f'v1.0-mini/{name}.json' for name in ('category', 'attribute', 'visibility', 'sensor')}
    assert {name for name in reference if reference[name] == other.get(name)} == shared


def test_a_world_that_is_whole_is_left_alone(world, tmp_path, monkeypatch):
    monkeypatch.setattr(building, 'draw_scene', None)
    before = {path: path.stat().st_mtime_ns for path in world.rglob('*') if path.is_file()}
    draw(world)
    assert before == {path: path.stat().st_mtime_ns for path in world.rglob('*') if path.is_file()}


@pytest.mark.parametrize('number', [1, 9, 40, 62])
def test_a_killed_run_goes_on(world, tmp_path, number):
    """Killed half-way through the stamp, a file of the first scene, one of the second and a table."""
    done = subprocess.run([sys.executable, '-c', KILLED, str(tmp_path), str(number)], capture_output=True, text=True,
                          env={**os.environ, 'PYTHONPATH': f'{ROOT / "projects"}:{Path(__file__).parent}'})
    assert done.returncode == -9, done.stderr
    left, reference = contents(tmp_path), contents(world)
    half = [name for name in left if name.endswith('.partial')]
    assert len(half) == 1
    for name, digest in left.items():
        assert name in half or name.startswith('.scenes/') or reference[name] == digest
    draw(tmp_path)
    assert contents(tmp_path) == reference


def test_scenes_that_are_done_are_not_drawn_again(tmp_path, monkeypatch):
    drawn, real = [], building.get_writer('nuscenes')

    def draw_one(root, name, preset, seed):
        drawn.append(name)
        if len(drawn) == 2:
            raise KeyboardInterrupt
        return real.draw(root, name, preset, seed)

    monkeypatch.setattr(building, 'get_writer', lambda name: dataclasses.replace(real, draw=draw_one))
    with pytest.raises(KeyboardInterrupt):
        draw(tmp_path)
    draw(tmp_path)
    assert drawn == ['scene-0061', 'scene-0103', 'scene-0103']


@pytest.mark.parametrize('number', [3, 40, 62])
def test_a_full_disk_leaves_nothing_half_written(world, tmp_path, monkeypatch, number):
    count, replace = [0], files.os.replace

    def full(source, target):
        count[0] += 1
        if count[0] >= number:
            raise OSError(errno.ENOSPC, 'No space left on device')
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(files.os, 'replace', full)
        with pytest.raises(OSError, match='No space left'):
            draw(tmp_path)
    reference = contents(world)
    for name, digest in contents(tmp_path).items():
        assert name.startswith('.scenes/') or reference[name] == digest
    draw(tmp_path)
    assert contents(tmp_path) == reference


def test_a_folder_holds_one_world_and_nothing_else(world, tmp_path):
    before = contents(world)
    for arguments in (dict(preset_name='tiny', seed=5), dict(preset_name='little', seed=6),
                      dict(preset_name='little', seed=5, scenes=['scene-0061'])):
        with pytest.raises(ValueError, match='already holds'):
            building.build(world, **arguments)
    assert contents(world) == before
    (tmp_path / 'thesis.tex').write_text('years of work')
    with pytest.raises(ValueError, match='holds other things .thesis.tex.; give a folder'):
        draw(tmp_path)
    assert contents(tmp_path).keys() == {'thesis.tex'}


@pytest.mark.parametrize('arguments, message', [
    (dict(preset_name='gigantic'), "unknown preset 'gigantic'; choose one of"),
    (dict(preset_name='little', variant='kitty'), "unknown data set 'kitty'"),
    (dict(preset_name='little', scenes=['scene-0001']), "unknown scenes .'scene-0001'."),
    (dict(preset_name='little', scenes=[]), 'choose some of')])
def test_what_does_not_exist_is_refused_before_anything_is_written(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        building.build(tmp_path / 'w', seed=0, **arguments)
    assert not (tmp_path / 'w').exists()


def test_a_part_is_plain_json(tmp_path):
    records = building.draw_scene(tmp_path, 'scene-0061', LITTLE, 5)
    stored = json.loads((tmp_path / '.scenes' / 'scene-0061.json').read_text())
    assert stored == records == building.draw_scene(tmp_path, 'scene-0061', LITTLE, 5)


def run(*arguments):
    return subprocess.run([sys.executable, str(ROOT / 'tools' / 'make_world.py'), *map(str, arguments)],
                          capture_output=True, text=True)


def test_the_tool(tmp_path):
    for arguments, status, message in (
            (('street', tmp_path, '--preset', 'medium'), 2, "invalid choice for street: 'medium' (choose from tiny"),
            (('rooms', tmp_path, '--as', 'nuscenes'), 2, "invalid choice for rooms: 'nuscenes'")):
        done = run(*arguments)
        assert done.returncode == status and message in done.stderr and 'Traceback' not in done.stderr
    (tmp_path / 'a').write_text('')
    done = run('street', tmp_path, '--preset', 'tiny')
    assert done.returncode == 1 and 'make_world: ' in done.stderr and 'holds other things' in done.stderr


@pytest.mark.full
def test_the_tool_draws_ten_scenes(tmp_path):
    done = run('street', tmp_path / 'w', '--seed', 3, '--jobs', 2)
    assert done.returncode == 0 and 'street as nuscenes, preset tiny, seed 3' in done.stdout, done.stderr
    assert len(json.loads((tmp_path / 'w' / 'v1.0-mini' / 'scene.json').read_text())) == 10
