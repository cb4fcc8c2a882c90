"""Many scenes in parallel: who fails, who ends, what is written."""
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from pretrain3d.converters.batch import convert_scenes, write_array
from pretrain3d.files import is_alive, is_disk_full, write_atomic


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_workers_end_when_their_run_is_killed(tmp_path):
    code = ('import os, sys, time; from pathlib import Path; from pretrain3d.converters.batch import convert_scenes\n'
            'def convert(name):\n'
            '    Path(sys.argv[1], str(os.getpid())).touch()\n'
            '    time.sleep(600)\n'
            'convert_scenes(convert, ["a", "b"], 2)')
    run = subprocess.Popen([sys.executable, '-c', code, str(tmp_path)], env=dict(os.environ, PRETRAIN3D_LIGHT='1'))
    wait(lambda: len(names(tmp_path)) == 2)
    run.kill()
    run.wait()
    workers = [int(name) for name in names(tmp_path)]
    wait(lambda: not any(map(is_alive, workers)))


def wait(reached, seconds=60):
    end = time.time() + seconds
    while not reached():
        assert time.time() < end
        time.sleep(0.05)


def test_arrays_are_written_as_their_raw_bytes(tmp_path):
    array = np.arange(12, dtype=np.float32).reshape(3, 4).T
    write_array(tmp_path / 'deep' / 'a.bin', array)
    np.testing.assert_array_equal(np.fromfile(tmp_path / 'deep' / 'a.bin', np.float32).reshape(4, 3), array)
    assert names(tmp_path / 'deep') == ['a.bin']


@pytest.mark.parametrize('number, full', [(28, True), (122, True), (13, False)])
def test_a_full_disk_ends_the_run_and_another_error_costs_one_scene(tmp_path, number, full):
    def convert(name):
        if name == 'bad':
            raise OSError(number, 'reason')
        write_atomic(tmp_path / name, b'done')
        return name

    assert is_disk_full(OSError(number, '')) is full and not is_disk_full(ValueError(number))
    if full:
        with pytest.raises(OSError, match='reason'):
            convert_scenes(convert, ['a', 'bad', 'b'], 1, quiet=True)
    else:
        done, failed = convert_scenes(convert, ['a', 'bad', 'b'], 1, quiet=True)
        assert done == {'a': 'a', 'b': 'b'} and failed == [('bad', '[Errno 13] reason')]
