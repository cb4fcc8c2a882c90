"""A second run of the ScanNet converter does what is missing, and nothing else."""
import shutil

import numpy as np
import pytest
from pretrain3d.files import HOST
from pretrain3d.converters.scannet import convert as module
from pretrain3d.converters.scannet.convert import convert, convert_splits
from scannet_scans import infos, times, written

CLOUDS = ('points', 'points_normals', 'semantic_mask', 'semantic_mask_200', 'instance_mask', 'records')


@pytest.fixture()
def again(converted, tmp_path):
    return shutil.copytree(converted, tmp_path / 'again')


def clouds(names):
    return {name for name in names if name.split('/')[0] in CLOUDS}


def test_only_the_torn_cloud_is_written_again(world, converted, again):
    torn = again / 'points' / 'scene0001_00.bin'
    torn.write_bytes(torn.read_bytes()[:100])
    before = times(again)
    assert convert(world, again, frame_step=1, quiet=True) == []
    assert clouds(written(before, times(again))) == {
        f'{kind}/scene0001_00.{"json" if kind == "records" else "bin"}' for kind in CLOUDS}
    assert torn.read_bytes() == (converted / 'points' / 'scene0001_00.bin').read_bytes()


def test_frames_that_were_missing_are_found_by_the_next_run(broken, tmp_path):
    root, folder = broken
    out, aside = tmp_path / 'out', tmp_path / 'aside'
    (folder / 'depth').rename(aside)
    assert convert_splits(root, out, ['train'], frame_step=1, quiet=True).frames == [
        ('scene0000_00', '3 of 3 frames left out: depth missing (3)')]
    before = times(out)
    aside.rename(folder / 'depth')
    assert convert_splits(root, out, ['train'], frame_step=1, quiet=True).frames == []
    assert len(infos(out, 'train', 'frames')[0]['frames']) == 3 and not clouds(written(before, times(out)))
    (folder / 'pose').rename(aside)
    assert 'no frames in' in convert_splits(root, out, ['train'], frame_step=1, quiet=True).frames[0][1]
    aside.rename(folder / 'pose')
    assert convert_splits(root, out, ['train'], frame_step=1, quiet=True).frames == []


def test_frames_that_break_after_the_first_run_are_seen(broken, tmp_path):
    root, folder = broken
    out = tmp_path / 'out'
    assert convert_splits(root, out, ['train'], frame_step=1, quiet=True).frames == []
    (folder / 'color' / '2.jpg').unlink()
    assert convert_splits(root, out, ['train'], frame_step=1, quiet=True).frames
    assert [frame['index'] for frame in infos(out, 'train', 'frames')[0]['frames']] == [0, 1]


def test_another_frame_step_touches_no_cloud(world, again):
    before = times(again)
    for step, indices in ((2, [0, 2]), (1, [0, 1, 2])):
        assert convert(world, again, frame_step=step, quiet=True) == []
        assert [frame['index'] for frame in infos(again, 'val', 'frames')[0]['frames']] == indices
    assert not clouds(written(before, times(again)))


def test_a_download_that_moved_is_found(broken, tmp_path):
    root, _ = broken
    convert(root, tmp_path / 'out', frame_step=1, quiet=True)
    moved = root.rename(tmp_path / 'elsewhere')
    before = times(tmp_path / 'out')
    convert(moved, tmp_path / 'out', frame_step=1, quiet=True)
    assert infos(tmp_path / 'out', 'val', 'frames')[0]['root'] == str(moved)
    assert not clouds(written(before, times(tmp_path / 'out')))


def test_an_edited_label_table_is_used(broken, tmp_path):
    root, _ = broken
    out, table = tmp_path / 'out', root / 'scannetv2-labels.combined.tsv'
    whole = table.read_text()
    table.write_text(''.join(line for line in whole.splitlines(True) if '\twall\t' not in line))
    assert set(convert_splits(root, out, quiet=True).unknown) == {'wall'}
    table.write_text(whole)
    assert convert_splits(root, out, quiet=True).unknown == {}
    assert (np.fromfile(out / 'semantic_mask' / 'scene0000_00.bin', np.int64) == 1).any()
    before = times(out)
    table.write_text(whole + '\n')  # maps the same
    convert(root, out, quiet=True)
    assert not clouds(written(before, times(out)))


def test_records_of_another_format_are_redone(world, again, monkeypatch):
    monkeypatch.setattr(module, 'FORMAT', module.FORMAT + 1)
    before = times(again)
    convert(world, again, quiet=True)
    assert clouds(written(before, times(again))) == clouds(before)


def test_a_run_that_dies_while_it_redoes_a_cloud_leaves_no_record(world, again, monkeypatch):
    """Files of both runs have the same sizes: the old record would pass them all."""
    (again / 'points' / 'scene0000_00.bin').unlink()

    def die(path, array):
        raise KeyboardInterrupt

    monkeypatch.setattr('pretrain3d.converters.batch.write_array', die)
    with pytest.raises(KeyboardInterrupt):
        convert(world, again, quiet=True)
    assert not (again / 'records' / 'scene0000_00.json').exists()
    assert (again / 'records' / 'scene0001_00.json').exists()


def test_leftovers_of_a_killed_run_go(world, again, dead_process):
    for place in ('', *CLOUDS, 'seg_info'):
        (again / place / f'.scene0000_00.bin.{HOST}.{dead_process}.partial').write_bytes(b'half')
    convert(world, again, quiet=True)
    assert not list(again.rglob('*.partial'))
