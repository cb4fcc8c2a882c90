"""Settings that every test shares: the ``--full`` option, no display, no more threads than cores."""
import dataclasses
import os
import subprocess
import sys
import types

import pytest

# Before anything imports torch, numba or matplotlib. Under pytest-xdist every core already has a process of its own.
THREADS = os.environ.get('OMP_NUM_THREADS') or ('1' if os.environ.get('PYTEST_XDIST_WORKER') else '2')
for name in ('OMP_NUM_THREADS', 'MKL_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'NUMBA_NUM_THREADS'):
    os.environ.setdefault(name, THREADS)
# Threads that spin while they wait starve the other test process: seconds instead of tenths for a sparse step.
os.environ.setdefault('OMP_WAIT_POLICY', 'passive')
os.environ.setdefault('MPLBACKEND', 'Agg')


def pytest_addoption(parser):
    parser.addoption('--full', action='store_true', help='run the tests marked `full` too (see `make test-full`)')


def pytest_collection_modifyitems(config, items):
    if config.getoption('--full'):
        return
    skip = pytest.mark.skip(reason='full-size test: make test-full')
    for item in items:
        if 'full' in item.keywords:
            item.add_marker(skip)


def pytest_collection_finish():
    # Tools that a test imports ask for the light package through the environment, which child processes inherit.
    os.environ.pop('PRETRAIN3D_LIGHT', None)


@pytest.fixture(autouse=True)
def whole_package():
    """The same for tools that are imported in a test."""
    yield
    os.environ.pop('PRETRAIN3D_LIGHT', None)


@pytest.fixture(scope='session')
def drawn_scannet(tmp_path_factory):
    """Five scans of the preset ``tiny``, in ScanNet's layout (``world``) and converted (``converted``); read only."""
    from pretrain3d.converters.scannet.convert import convert
    from pretrain3d.worlds.rooms import build as building
    from pretrain3d.worlds.rooms.presets import PRESETS
    root = tmp_path_factory.mktemp('drawn_scannet')
    PRESETS['few'] = dataclasses.replace(PRESETS['tiny'], train=3, val=2)
    try:
        building.build(root / 'world', 'few', seed=4)
        assert convert(root / 'world', root / 'converted', frame_step=1, quiet=True) == []
        return types.SimpleNamespace(
            world=root / 'world', converted=root / 'converted', preset=PRESETS['few'], seed=4)
    finally:
        del PRESETS['few']


@pytest.fixture(scope='session')
def drawn_s3dis(tmp_path_factory):
    """Seven drawn rooms in S3DIS' layout (``world``) and converted (``converted``); read only."""
    from pretrain3d.converters.s3dis.convert import convert
    from pretrain3d.worlds.rooms import build as building
    from pretrain3d.worlds.rooms.s3dis_layout import PRESETS, Preset
    root = tmp_path_factory.mktemp('drawn_s3dis')
    PRESETS['few'] = Preset(train=5, val=2, density=150)
    try:
        building.build(root / 'world', 'few', seed=4, variant='s3dis')
        assert convert(root / 'world', root / 'converted', quiet=True) == []
        return types.SimpleNamespace(
            world=root / 'world', converted=root / 'converted', preset=PRESETS['few'], seed=4)
    finally:
        del PRESETS['few']


@pytest.fixture(scope='session')
def drawn_street(tmp_path_factory):
    """A train scene and both val scenes of streets, small, as nuScenes v1.0-mini (``world``); read only."""
    from pretrain3d.worlds.street import build as building
    from pretrain3d.worlds.street.presets import PRESETS
    root = tmp_path_factory.mktemp('drawn_street')
    PRESETS['few'] = dataclasses.replace(PRESETS['tiny'], name='few', samples=1, keyframes=4)
    try:
        building.build(root / 'world', 'few', seed=4, scenes=('scene-0061', 'scene-0103', 'scene-0916'))
        return types.SimpleNamespace(world=root / 'world', preset=PRESETS['few'], seed=4)
    finally:
        del PRESETS['few']


@pytest.fixture()
def dead_process():
    """Number of a process that has ended."""
    process = subprocess.Popen([sys.executable, '-c', ''])
    process.wait()
    return process.pid
