"""Leftovers of killed processes, and those of living ones."""
import os
import subprocess
import sys
import time

import pytest

from pretrain3d.files import ABANDONED_S, HOST, partial_path, read_names, remove_leftovers


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def age(path, seconds):
    os.utime(path, (time.time() - seconds,) * 2)


def test_only_leftovers_of_dead_processes_go(tmp_path, dead_process):
    mine = partial_path(tmp_path / 'a.bin').name
    assert mine == f'.a.bin.{HOST}.{os.getpid()}.partial'
    kept = [mine, '.a.bin.other-host.1.partial', f'.a.bin.{dead_process}.partial', 'a.bin', 'a.partial', '.hidden',
            f'.a.bin.{HOST}.x.partial', '.partial']
    for name in [*kept, f'.a.bin.{HOST}.{dead_process}.partial', f'.b.v2.json.{HOST}.{dead_process}.partial']:
        (tmp_path / name).write_bytes(b'half')
    below = tmp_path / 'below'
    below.mkdir()
    (below / f'.a.bin.{HOST}.{dead_process}.partial').write_bytes(b'half')
    remove_leftovers(tmp_path, tmp_path / 'there is none')
    assert names(tmp_path) == sorted([*kept, 'below']) and len(names(below)) == 1


def test_what_nobody_wrote_to_for_a_day_goes_whoever_made_it(tmp_path):
    for name in ('.a.other-host.1.partial', '.a.1.partial', partial_path(tmp_path / 'a').name):
        (tmp_path / name).write_bytes(b'half')
        age(tmp_path / name, ABANDONED_S - 60)
    (tmp_path / 'whole').write_bytes(b'')
    age(tmp_path / 'whole', 2 * ABANDONED_S)
    remove_leftovers(tmp_path)
    assert len(names(tmp_path)) == 4
    for path in tmp_path.glob('.*'):
        age(path, ABANDONED_S + 60)
    remove_leftovers(tmp_path)
    assert names(tmp_path) == ['whole']


def test_folders_are_leftovers_too(tmp_path, dead_process):
    for process in (dead_process, os.getpid()):
        folder = tmp_path / f'.scene0000_00.{HOST}.{process}.partial'
        (folder / 'color').mkdir(parents=True)
        (folder / 'color' / '0.jpg').write_bytes(b'half')
    remove_leftovers(tmp_path)
    assert names(tmp_path) == [partial_path(tmp_path / 'scene0000_00').name]


def test_what_a_killed_writer_leaves_is_a_leftover(tmp_path):
    """kill -9 between writing and renaming, for real."""
    code = ('import os, signal, sys; from pathlib import Path; from pretrain3d import files\n'
            'os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)\n'
            'files.write_atomic(Path(sys.argv[1]), b"new")')
    done = subprocess.run([sys.executable, '-c', code, str(tmp_path / 'a.bin')],
                          env=dict(os.environ, PRETRAIN3D_LIGHT='1'))
    assert done.returncode == -9 and len(names(tmp_path)) == 1
    remove_leftovers(tmp_path)
    assert names(tmp_path) == []


def test_an_ended_process_that_nobody_has_asked_about_is_not_alive(tmp_path):
    process = subprocess.Popen([sys.executable, '-c', ''])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    (tmp_path / f'.a.{HOST}.{process.pid}.partial').write_bytes(b'half')
    remove_leftovers(tmp_path)
    process.wait()
    assert names(tmp_path) == []


def test_names_are_lines_of_text(tmp_path):
    (tmp_path / 'a.txt').write_bytes(b'\xef\xbb\xbfscene0000_00\r\n\n  caf\xc3\xa9 \n')
    assert read_names(tmp_path / 'a.txt') == ['scene0000_00', 'café']
    for wrong in (b'ok\n\xff\xfe', b'ok\n\0\0', b'ok\na\x1bb'):
        (tmp_path / 'a.txt').write_bytes(wrong)
        with pytest.raises(ValueError, match='a.txt: name 2, .* is no text'):
            read_names(tmp_path / 'a.txt')
