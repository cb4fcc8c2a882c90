"""The benchmark of camera loading runs on drawn images with either baseline, and its check can fail."""
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).resolve().parents[2] / 'benchmarks' / 'camera_loading.py'


def test_it_runs_from_any_directory(tmp_path):
    done = subprocess.run([sys.executable, str(SCRIPT), '--pairs', '1', '--threads', '1'], cwd=tmp_path, text=True,
                          capture_output=True, env=dict(os.environ, CAMERA_IMAGES=''))
    assert done.returncode == 0, done.stderr
    assert 'six drawn images of 1600 x 900 to 416 x 224' in done.stdout
    assert re.fullmatch(r'speedup=\d+\.\d\d memory_ratio=(\d+\.\d\d|nan)', done.stdout.splitlines()[-1])


def test_a_shift_by_a_pixel_is_seen():
    with pytest.MonkeyPatch.context() as patch:  # what the script does to the process is not for other tests
        patch.syspath_prepend(str(SCRIPT.parent))
        patch.setenv('PRETRAIN3D_LIGHT', '1')
        patch.setenv('CAMERA_IMAGES', '')
        patch.setenv('CAMERA_BASELINE', 'plain')
        script = importlib.import_module('camera_loading')
        for name in ('camera_loading', 'harness'):
            del sys.modules[name]
        inputs, _ = script.setup('cpu', False)
        mine, theirs = script.ours(*inputs), script.baseline(*inputs)
    script.check(mine, theirs)
    for axis in (1, 2):
        with pytest.raises(AssertionError):
            script.check(np.roll(mine, 1, axis), theirs)
    with pytest.raises(AssertionError, match='grey levels apart'):
        script.check(np.clip(mine, 0, 245) + np.uint8(10), theirs)
