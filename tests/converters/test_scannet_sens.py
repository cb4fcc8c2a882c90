"""Frames out of .sens files: what was put in, what is damaged, and what a second run does."""
import io

import numpy as np
import pytest
from PIL import Image
from pretrain3d.converters.batch import SceneError
from pretrain3d.files import HOST
from pretrain3d.converters.scannet import sens as sens_module
from pretrain3d.converters.scannet.convert import convert_splits
from pretrain3d.converters.scannet.frames import frame_records
from pretrain3d.converters.scannet.sens import export_sens
from scannet_scans import CAMERAS, camera, frames_of, infos, remove_exported, times, write_sens, written

NAME = 'scene0000_00'
BEHIND = 'in the cut off or damaged rest of the .sens file'


@pytest.mark.parametrize('codec', [0, 1])
def test_sens_files_give_the_frames_that_were_put_in(world, tmp_path, codec):
    originals = frames_of(world / 'scans' / NAME)
    write_sens(tmp_path / 'a.sens', originals, codec)
    assert export_sens(tmp_path / 'a.sens', tmp_path / 'frames', step=2) == {}
    record = frame_records(tmp_path / 'frames', 2, tmp_path)
    assert [frame['index'] for frame in record['frames']] == [0, 2] and record['lost'] == 0
    for frame in record['frames']:
        pose, colour, depth = originals[frame['index']]
        assert (tmp_path / frame['color_path']).read_bytes() == colour
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / frame['depth_path'])), depth)
        np.testing.assert_allclose(frame['pose'], pose, atol=1e-5)
    for number, name in enumerate(CAMERAS):
        np.testing.assert_array_equal(np.loadtxt(tmp_path / 'frames' / 'intrinsic' / f'{name}.txt'), camera(number))
    np.testing.assert_array_equal(record['intrinsic_depth'], camera(2))


def test_depth_becomes_millimetres_and_colour_may_be_png(world, tmp_path):
    (pose, colour, depth), = frames_of(world / 'scans' / NAME, 1)
    buffer = io.BytesIO()
    Image.open(io.BytesIO(colour)).save(buffer, 'png')
    write_sens(tmp_path / 'a.sens', [(pose, buffer.getvalue(), depth)], color_codec=1, shift=5000.0)
    export_sens(tmp_path / 'a.sens', tmp_path / 'frames', 1)
    frame, = frame_records(tmp_path / 'frames', 1, tmp_path)['frames']
    assert (tmp_path / frame['color_path']).read_bytes() == buffer.getvalue()
    assert np.abs(np.asarray(Image.open(tmp_path / frame['depth_path'])) - depth / 5.0).max() <= 0.5


def test_damaged_headers_are_named(tmp_path):
    depth = np.zeros((36, 48), np.uint16)
    write_sens(tmp_path / 'a.sens', [(np.eye(4), b'jpg', depth)])
    whole = (tmp_path / 'a.sens').read_bytes()
    for content, word in [(whole[:100], 'ends in the middle'), (b'', 'ends in the middle'),
                          (b'\x05' + whole[1:], 'version 5'), (whole[:4] + b'\xff' * 8 + whole[12:], 'damaged header')]:
        (tmp_path / 'b.sens').write_bytes(content)
        with pytest.raises(SceneError, match=word):
            export_sens(tmp_path / 'b.sens', tmp_path / 'x', 1)
    for options, word in [(dict(color_codec=7), 'codecs 7'), (dict(count=1 << 60), 'damaged header'),
                          (dict(shift=0.0), 'damaged header'), (dict(size=(0, 48)), 'damaged header')]:
        write_sens(tmp_path / 'b.sens', [], **options)
        with pytest.raises(SceneError, match=word):
            export_sens(tmp_path / 'b.sens', tmp_path / 'x', 1)


@pytest.fixture()
def packed(broken, tmp_path):
    """Root of a world whose first scan has its frames in a .sens file, that file, its frames, the target folder."""
    root, folder = broken
    originals = frames_of(folder)
    remove_exported(folder)
    write_sens(folder / f'{NAME}.sens', originals)
    return root, folder / f'{NAME}.sens', originals, tmp_path / 'out'


def run(root, out, step=1):
    return convert_splits(root, out, ['train'], frame_step=step, quiet=True)


def indices(out):
    return [frame['index'] for frame in infos(out, 'train', 'frames')[0]['frames']]


@pytest.mark.parametrize('harm', [
    lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:-30]),
    lambda path: path.write_bytes(b'')])
def test_a_second_run_exports_only_the_frame_that_is_gone_or_torn(packed, harm, dead_process):
    root, _, originals, out = packed
    assert run(root, out).frames == [] and indices(out) == [0, 1, 2]
    harm(out / 'frames' / NAME / 'color' / '1.jpg')
    leftover = out / 'frames' / NAME / 'depth' / f'.1.png.{HOST}.{dead_process}.partial'
    leftover.write_bytes(b'half')
    before = times(out)
    assert run(root, out).frames == [] and indices(out) == [0, 1, 2]
    again = {name for name in written(before, times(out)) if not name.endswith(('.pkl', '.npy'))}
    assert again == {f'frames/{NAME}/{name}' for name in ('color/1.jpg', 'depth/1.png', 'pose/1.txt')}
    assert (out / 'frames' / NAME / 'color' / '1.jpg').read_bytes() == originals[1][1] and not leftover.exists()


def test_a_second_run_writes_no_frame_again_and_another_step_only_the_new_ones(packed):
    root, sens, originals, out = packed
    originals[0] = (np.full((4, 4), -np.inf), *originals[0][1:])  # not to be mended, so not to be tried again either
    write_sens(sens, originals)
    lost = [(NAME, '1 of 2 frames left out: pose not finite (1)')]
    assert run(root, out, 2).frames == lost and indices(out) == [2]
    before = times(out)
    assert run(root, out, 2).frames == lost
    assert all(name.endswith(('.pkl', '.npy')) for name in written(before, times(out)))
    assert run(root, out, 1).frames == [(NAME, '1 of 3 frames left out: pose not finite (1)')]
    again = {name for name in written(before, times(out)) if not name.endswith(('.pkl', '.npy'))}
    assert again == {f'frames/{NAME}/{name}' for name in ('color/1.jpg', 'depth/1.png', 'pose/1.txt')}
    sens.unlink()  # exported frames can do without the file
    assert run(root, out, 1).skipped == [] and indices(out) == [1, 2]


def test_a_sens_file_that_is_cut_off_keeps_the_cloud_and_the_frames_before_the_cut(packed):
    root, sens, originals, out = packed
    whole = sens.read_bytes()
    tail = len(whole) // 3
    sens.write_bytes(whole[:-tail - 50])
    outcome = run(root, out)
    assert outcome.skipped == [] and [each['scan'] for each in infos(out, 'train')] == [NAME, 'scene0001_00']
    assert outcome.frames == [(NAME, f'2 of 3 frames left out: {BEHIND} (2)')] and indices(out) == [0]
    before = times(out)
    sens.write_bytes(whole)
    assert run(root, out).frames == [] and indices(out) == [0, 1, 2]
    again = written(before, times(out))
    assert not any(name.startswith(('points', 'records')) or '/0.' in name for name in again)


def test_damage_inside_a_sens_file_loses_only_that_frame(packed):
    root, sens, originals, out = packed
    originals[0] = (originals[0][0], originals[0][1][:-20], originals[0][2])
    originals[1] = (*originals[1][:2], originals[1][2][:5])
    write_sens(sens, originals)
    outcome = run(root, out)
    assert outcome.frames == [(NAME, '2 of 3 frames left out: color cut off in the .sens file (1), '
                                     'depth damaged in the .sens file (1)')]
    assert indices(out) == [2] and not (out / 'frames' / NAME / 'color' / '0.jpg').exists()
    content = bytearray(sens.read_bytes())
    at = content.index(originals[1][1]) - 16  # the size of frame 1's colour: what follows cannot be found
    content[at:at + 8] = b'\xff' * 8
    sens.write_bytes(bytes(content))
    (out / 'frames' / NAME / 'pose' / '2.txt').unlink()
    assert BEHIND + ' (2)' in run(root, out).frames[0][1] and indices(out) == []


@pytest.mark.parametrize('number, stops', [(13, False), (28, True)])
def test_what_cannot_be_read_costs_the_frames_and_a_full_disk_ends_the_run(packed, monkeypatch, number, stops):
    root, _, _, out = packed

    def fail(path, content):
        raise OSError(number, 'no such luck')

    monkeypatch.setattr(sens_module, 'write_atomic', fail)
    if stops:
        with pytest.raises(OSError, match='no such luck'):
            run(root, out)
    else:
        outcome = run(root, out)
        assert outcome.skipped == [] and outcome.frames == [(NAME, 'all frames left out: [Errno 13] no such luck')]
