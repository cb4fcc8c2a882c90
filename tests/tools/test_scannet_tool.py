"""What ``tools/data/scannet.py`` prints and how it ends, on a small drawn world."""
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pretrain3d.worlds.rooms import build as building
from pretrain3d.worlds.rooms.presets import PRESETS, Preset

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'data' / 'scannet.py'
TABLE = 'scannetv2-labels.combined.tsv'


@pytest.fixture(scope='module')
def drawn(tmp_path_factory):
    root = tmp_path_factory.mktemp('world')
    PRESETS['tool'] = Preset(train=2, val=1, spacing=0.2, frames=3, width=32, height=24)
    try:
        building.build(root, 'tool', seed=3)
    finally:
        del PRESETS['tool']
    return root


@pytest.fixture()
def root(drawn, tmp_path):
    return shutil.copytree(drawn, tmp_path / 'world')


def convert(root, *options):
    done = subprocess.run([sys.executable, str(TOOL), str(root), str(root / 'out'), '--jobs', '1', *options],
                          capture_output=True, text=True)
    assert 'Traceback' not in done.stderr
    return done


def cut_mesh(root, name):
    path = root / 'scans' / name / f'{name}_vh_clean_2.ply'
    path.write_bytes(path.read_bytes()[:-5000])


def test_lost_frames_and_unknown_labels_are_listed_and_are_no_failure(root):
    done = convert(root, '--frames', '1')
    assert done.returncode == 0 and done.stdout == f'{root}/out: train, val written\n'
    (root / 'scans' / 'scene0000_00' / 'depth' / '1.png').unlink()
    shutil.rmtree(root / 'scans' / 'scene0001_00' / 'pose')
    table = root / TABLE
    table.write_text(''.join(line for line in table.read_text().splitlines(True) if '\tfloor\t' not in line))
    done = convert(root, '--frames', '1')
    assert done.returncode == 0
    assert 'frames of scene0000_00: 1 of 3 frames left out: depth missing (1)\n' in done.stdout
    assert 'frames of scene0001_00: no frames in ' in done.stdout
    assert "unknown label 'floor': " in done.stdout and ' in 3 scans are left unannotated' in done.stdout
    assert done.stdout.endswith('train, val written, frames missing in 2 scans\n')


def test_skipped_scans_are_listed_and_the_status_is_2(root):
    cut_mesh(root, 'scene0000_00')
    done = convert(root)
    assert done.returncode == 2 and 'skipped scene0000_00: ' in done.stdout and '1 scans skipped' in done.stdout


def test_a_split_that_fails_as_a_whole_is_named_and_the_others_are_written(root):
    cut_mesh(root, 'scene0002_00')
    done = convert(root, '--splits', 'val', 'train')
    assert done.returncode == 1 and "split 'val': none of its 1 scans" in done.stderr
    assert 'skipped scene0002_00' in done.stdout and 'out: train written' in done.stdout
    assert [path.name for path in (root / 'out').glob('*.pkl')] == ['scannet_infos_train.pkl']


def test_what_is_missing_is_said(root):
    (root / TABLE).unlink()
    done = convert(root)
    assert done.returncode == 1 and f'{TABLE} is missing' in done.stderr
