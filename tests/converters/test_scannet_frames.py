"""Which frames count, and what is said of the others: torn pictures, bad poses, scans without frames."""
import io
import shutil

import numpy as np
import pytest
from PIL import Image
from pretrain3d.converters.scannet.convert import convert_splits
from pretrain3d.converters.scannet.frames import describe_losses, frame_records, picture_fault
from scannet_scans import infos, remove_exported


def picture(kind, size=(8, 6)):
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize('kind, suffix', [('jpeg', 'jpg'), ('png', 'png')])
def test_a_picture_is_whole_or_what_is_wrong_with_it_is_said(kind, suffix):
    whole = picture(kind)

    def fault(content):
        return picture_fault(content[:8], content[-4096:], suffix)

    for padding in (b'', b'\0', b'\0' * 3000, b'\xff\xff', b'\r\n'):
        assert fault(whole + padding) is None
    for content in (whole[:-1], whole[:-2], whole[:len(whole) // 2], whole[:-5] + b'\0' * 5, whole[:9]):
        assert fault(content) == 'cut off'
    assert fault(b'') == 'empty'
    assert fault(b'<html>404 Not Found</html>') == f'not a {suffix}'
    assert fault(picture('png' if suffix == 'jpg' else 'jpeg')) == f'not a {suffix}'


def cut(path, count=20):
    path.write_bytes(path.read_bytes()[:-count])


@pytest.mark.parametrize('harm, reason', [
    (lambda folder: (folder / 'pose' / '1.txt').write_text(' '.join(['-inf'] * 16)), 'pose not finite'),
    (lambda folder: (folder / 'pose' / '1.txt').write_text('1 2 3'), 'pose not 4 x 4 numbers'),
    (lambda folder: (folder / 'pose' / '1.txt').unlink(), 'pose missing'),
    (lambda folder: cut(folder / 'color' / '1.jpg'), 'color cut off'),
    (lambda folder: (folder / 'color' / '1.jpg').write_bytes(b''), 'color empty'),
    (lambda folder: (folder / 'color' / '1.jpg').unlink(), 'color missing'),
    (lambda folder: cut(folder / 'depth' / '1.png'), 'depth cut off'),
    (lambda folder: (folder / 'depth' / '1.png').unlink(), 'depth missing')])
def test_a_bad_frame_loses_only_itself_and_is_listed(broken, tmp_path, harm, reason):
    root, folder = broken
    harm(folder)
    outcome = convert_splits(root, tmp_path / 'out', splits=['train'], frame_step=1, quiet=True)
    record = infos(tmp_path / 'out', 'train', 'frames')[0]
    assert [frame['index'] for frame in record['frames']] == [0, 2]
    assert record['lost'] == 1 and record['reasons'] == {reason: 1}
    assert outcome.skipped == [] and outcome.frames == [
        ('scene0000_00', f'1 of 3 frames left out: {reason} (1)')]


def test_only_every_step_th_frame_is_asked_for(broken):
    root, folder = broken
    (folder / 'color' / '1.jpg').unlink()
    found = frame_records(folder, 2, root)
    assert [frame['index'] for frame in found['frames']] == [0, 2] and found['lost'] == 0
    assert describe_losses(found) is None
    for index in (0, 2):
        for part, suffix in (('color', 'jpg'), ('depth', 'png'), ('pose', 'txt')):
            (folder / part / f'{index}.{suffix}').unlink()
    assert frame_records(folder, 2, root) is None


def test_reasons_are_counted():
    found = dict(frames=[None] * 72, lost=3, reasons={'pose not finite': 2, 'depth missing': 1})
    assert describe_losses(found) == '3 of 75 frames left out: depth missing (1), pose not finite (2)'


@pytest.mark.parametrize('harm, word', [
    (remove_exported, 'no frames in'),
    (lambda folder: shutil.rmtree(folder / 'pose'), 'no frames in'),
    (lambda folder: (folder / 'intrinsic' / 'intrinsic_depth.txt').unlink(), 'intrinsic_depth.txt: missing'),
    (lambda folder: (folder / 'intrinsic' / 'intrinsic_color.txt').write_text('nan ' * 16), 'intrinsic_color.txt'),
    (lambda folder: (remove_exported(folder), (folder / 'scene0000_00.sens').write_bytes(b'')), 'ends in the middle')])
def test_a_scan_without_usable_frames_keeps_its_cloud_and_is_listed(broken, tmp_path, harm, word):
    root, folder = broken
    harm(folder)
    outcome = convert_splits(root, tmp_path / 'out', splits=['train'], frame_step=1, quiet=True)
    assert outcome.skipped == [] and [name for name, _ in outcome.frames] == ['scene0000_00']
    assert word in outcome.frames[0][1]
    assert [each['scan'] for each in infos(tmp_path / 'out', 'train')] == ['scene0000_00', 'scene0001_00']
    assert [each['scan'] for each in infos(tmp_path / 'out', 'train', 'frames')] == ['scene0001_00']
    # Nobody misses frames that were not asked for.
    assert convert_splits(root, tmp_path / 'out', splits=['train'], quiet=True).frames == []
