"""A small drawn world in ScanNet's layout, its conversion, a hand-made Waymo release (read only), a copy to break."""
import shutil

import pytest
from pretrain3d.converters.scannet.convert import convert
from pretrain3d.worlds.rooms import build as building
from pretrain3d.worlds.rooms.presets import PRESETS, Preset


@pytest.fixture(scope='session')
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp('world')
    PRESETS['test'] = Preset(train=2, val=1, spacing=0.12, frames=3, width=48, height=36)
    try:
        building.build(root, 'test', seed=5)
    finally:
        del PRESETS['test']
    return root


@pytest.fixture(scope='session')
def converted(world, tmp_path_factory):
    out = tmp_path_factory.mktemp('converted')
    assert convert(world, out, frame_step=1, quiet=True) == []
    return out


@pytest.fixture(scope='session')
def release(tmp_path_factory):
    """Folder of a hand-made Waymo release, and what its segments hold."""
    from waymo_segments import write_release  # needs pyarrow
    root = tmp_path_factory.mktemp('waymo')
    return root, write_release(root)


@pytest.fixture()
def broken(world, tmp_path):
    root = tmp_path / 'broken'
    shutil.copytree(world, root)
    return root, root / 'scans' / 'scene0000_00'
