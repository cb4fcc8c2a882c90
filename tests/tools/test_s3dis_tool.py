"""What ``tools/data/s3dis.py`` prints and how it ends, on a small drawn world."""
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


@pytest.fixture()
def world(drawn_s3dis, tmp_path):
    return shutil.copytree(drawn_s3dis.world, tmp_path / 'world')


def run(script, *arguments):
    done = subprocess.run([sys.executable, str(TOOLS / script), *map(str, arguments)], capture_output=True, text=True)
    assert 'Traceback' not in done.stderr
    return done


def test_all_areas_then_what_is_skipped(world, tmp_path):
    done = run('data/s3dis.py', world, tmp_path / 'out', '--jobs', 1)
    assert done.returncode == 0
    assert done.stdout == f'{tmp_path}/out: ' + ', '.join(f'Area_{number}' for number in range(1, 7)) + ' written\n'
    room = next(path for path in (world / 'Area_5').iterdir() if path.is_dir())
    shutil.rmtree(room / 'Annotations')
    (room / 'Annotations').mkdir()
    shutil.rmtree(tmp_path / 'out')
    other = next(path for path in (world / 'Area_1').iterdir() if path.is_dir())
    (other / 'Annotations' / 'piano_1.txt').write_text('1 2 3 4 5 6\n')
    done = run('data/s3dis.py', world, tmp_path / 'out', '--areas', 'Area_1', 'Area_5', '--jobs', 1)
    assert done.returncode == 2 and f'skipped Area_5/{room.name}: ' in done.stdout
    assert "unknown class 'piano': 1 files in 1 rooms are left without a label" in done.stdout
    assert done.stdout.endswith('Area_1, Area_5 written, 1 rooms skipped\n')


def test_nothing_to_convert(tmp_path, world):
    done = run('data/s3dis.py', tmp_path, tmp_path / 'out')
    assert done.returncode == 1 and 'holds no Area_1' in done.stderr
    shutil.rmtree(world / 'Area_2')
    done = run('data/s3dis.py', world, tmp_path / 'out', '--areas', 'Area_2')
    assert done.returncode == 1 and 's3dis: Area_2: ' in done.stderr and done.stdout.endswith(': nothing written\n')


def test_make_world_draws_what_it_is_asked_for(tmp_path):
    done = run('make_world.py', 'rooms', tmp_path / 'w', '--as', 's3dis', '--preset', 'tiny', '--seed', 1, '--jobs', 2)
    assert done.returncode == 0 and 'rooms as s3dis, preset tiny, seed 1' in done.stdout
    assert len(list((tmp_path / 'w').glob('Area_*/*/Annotations'))) == 11
    done = run('make_world.py', 'rooms', tmp_path / 'w', '--preset', 'tiny', '--seed', 1)
    assert done.returncode == 1 and "already holds 'rooms as=s3dis preset=tiny seed=1" in done.stderr
