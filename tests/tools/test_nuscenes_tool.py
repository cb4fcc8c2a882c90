"""What the tools of nuScenes and SemanticKITTI print and how they end, on small hand-made releases."""
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
sys.path.append(str(Path(__file__).resolve().parents[1] / 'converters'))

from kitti_sweeps import write_kitti  # noqa: E402
from nuscenes_tables import VERSION, prepare, write_tables  # noqa: E402


def run(script, *arguments):
    return subprocess.run([sys.executable, str(TOOLS / 'data' / script), *map(str, arguments)], capture_output=True,
                          text=True)


def loaded(root, split='train'):
    return pickle.loads((root / f'nuscenes_infos_{split}.pkl').read_bytes())['data_list']


@pytest.fixture(scope='module')
def prepared(tmp_path_factory):
    return prepare(write_tables(tmp_path_factory.mktemp('nuscenes')), extras=False)


@pytest.fixture()
def copied(prepared, tmp_path):
    return shutil.copytree(prepared, tmp_path / 'copy')


def test_mmdet3ds_converter_from_any_folder(tmp_path):
    root = write_tables(tmp_path)
    done = run('nuscenes.py', root, '--version', VERSION, '--no-gt-database')
    assert done.returncode == 0, done.stderr
    assert done.stdout == f'{root}: made nuscenes_infos_train.pkl, nuscenes_infos_val.pkl\n'
    assert len(loaded(root)) == 6 and not list(root.glob('.*'))
    done = run('nuscenes.py', root, '--version', VERSION, '--no-gt-database')
    assert done.returncode == 0 and 'is prepared already' in done.stdout


def test_nothing_to_prepare(tmp_path):
    done = run('nuscenes.py', tmp_path / 'none')
    assert done.returncode == 1 and 'is no folder' in done.stderr
    done = run('nuscenes.py', tmp_path)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith('nuscenes: ') and 'attribute.json does not exist' in done.stderr


def test_extras_then_again(copied):
    done = run('nuscenes_extras.py', copied)
    assert done.returncode == 0 and done.stderr == ''
    assert done.stdout.splitlines() == [f'{copied}/nuscenes_infos_train.pkl: 6 frames written',
                                        f'{copied}/nuscenes_infos_val.pkl: 3 frames written']
    assert loaded(copied)[0]['scene_name'] == 'scene-1094'
    assert '6 frames as they were' in run('nuscenes_extras.py', copied).stdout


def test_missing_files_are_refused_or_left_out(copied):
    next((copied / 'panoptic' / VERSION).glob(f'{_token(copied)}*')).unlink()
    before = (copied / 'nuscenes_infos_val.pkl').read_bytes()
    done = run('nuscenes_extras.py', copied)
    assert done.returncode == 1 and '1 files of panoptic missing or empty: panoptic/' in done.stderr
    assert 'nothing was written' in done.stderr and (copied / 'nuscenes_infos_val.pkl').read_bytes() == before
    done = run('nuscenes_extras.py', copied, '--on-missing', 'leave-out', '--camera-sweeps', 0)
    assert done.returncode == 2 and 'left out, with 0 whole frames of 6' in done.stdout
    assert sum('pts_panoptic_mask_path' in info for info in loaded(copied)) == 5
    assert 'camera_sweeps' not in loaded(copied)[0]


def _token(root):
    """Of the LiDAR of a training frame, by which label files are named."""
    return loaded(root)[0]['pts_semantic_mask_path'].split('_')[0]


def test_extras_of_nothing(tmp_path):
    done = run('nuscenes_extras.py', tmp_path)
    assert done.returncode == 1 and 'run tools/data/nuscenes.py first' in done.stderr


def test_semantickitti(tmp_path):
    root = write_kitti(tmp_path)
    done = run('semantickitti.py', root)
    assert done.returncode == 0
    assert done.stdout == f'{root}: 4 sweeps of train, 2 sweeps of val, 1 sweeps of test\n'
    (root / 'sequences' / '08' / 'labels' / '000000.label').unlink()
    done = run('semantickitti.py', root, '--splits', 'val')
    assert done.returncode == 2 and 'left out sequences/08/velodyne/000000.bin: ' in done.stdout
    assert done.stdout.endswith(f'{root}: 1 sweeps of val, 1 left out\n')
    done = run('semantickitti.py', root / 'sequences')
    assert done.returncode == 1 and done.stderr.startswith('semantickitti: ')


def test_semantickitti_without_validation_sweeps(tmp_path):
    root = write_kitti(tmp_path)
    assert run('semantickitti.py', root).returncode == 0
    for file in (root / 'sequences' / '08').glob('labels/*.label'):
        file.unlink()
    done = run('semantickitti.py', root)
    assert done.returncode == 1 and not (root / 'semantickitti_infos_val.pkl').exists()
    assert done.stdout.splitlines()[2:] == [
        f'none of the 2 sweeps of val (sequence 08) could be listed; {root}/semantickitti_infos_val.pkl, a list of an '
        'earlier run, was removed', f'{root}: 4 sweeps of train, 1 sweeps of test, 2 left out']
    shutil.rmtree(root / 'sequences' / '08')
    done = run('semantickitti.py', root)
    assert done.returncode == 0
    assert done.stdout == f'no sweeps of val (sequence 08)\n{root}: 4 sweeps of train, 1 sweeps of test\n'
    done = run('semantickitti.py', root, '--splits', 'train', 'val')
    assert done.returncode == 1 and 'no sweeps of val (sequence 08)' in done.stdout
