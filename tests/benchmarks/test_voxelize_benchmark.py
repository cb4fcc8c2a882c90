"""The voxelisation benchmark runs from any directory, with and without the real sweep, and its check can fail."""
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import pretrain3d  # noqa: F401  (whole, before the script below could import it without its registered classes)

SCRIPT = Path(__file__).resolve().parents[2] / 'benchmarks' / 'voxelize.py'


@pytest.fixture
def benchmark_module(monkeypatch):
    monkeypatch.setattr(sys, 'path', [str(SCRIPT.parent), *sys.path])
    monkeypatch.setenv('PRETRAIN3D_LIGHT', '1')
    spec = importlib.util.spec_from_file_location('voxelize_benchmark', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop('harness', None)


def test_it_runs_from_any_directory(tmp_path):
    done = subprocess.run([sys.executable, str(SCRIPT), '--pairs', '2', '--threads', '1', '--json', 'out.json'],
                          cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.match(r'speedup=\d+\.\d\d memory_ratio=\d+\.\d\d$', done.stdout.splitlines()[-1])
    assert '34,688 points of a' in done.stdout
    assert json.loads((tmp_path / 'out.json').read_text())['versions'].keys() >= {'numba', 'torch'}


def test_the_synthetic_sweep_stands_in_and_says_so(benchmark_module, monkeypatch, tmp_path):
    monkeypatch.setattr(benchmark_module, 'REAL', tmp_path)
    (points,), about = benchmark_module.setup('cpu', False)
    assert points.shape == (34688, 3) and points.dtype == torch.float32 and 'SYNTHETIC' in about
    assert torch.isfinite(points).all() and points.norm(dim=1).max() < 71
    mine, theirs = benchmark_module.ours(points), benchmark_module.baseline(points)
    benchmark_module.check(mine, theirs)
    assert 5000 < len(mine.coors) < 34000  # points share voxels, as in a real sweep


@pytest.mark.parametrize('part', ['coors', 'inverse', 'counts'])
def test_the_check_sees_a_difference(benchmark_module, part):
    (points,), _ = benchmark_module.setup('cpu', True)
    mine, theirs = benchmark_module.ours(points), benchmark_module.baseline(points)
    benchmark_module.check(mine, theirs)
    wrong = getattr(mine, part).clone()
    wrong[-1] += 1 if part != 'inverse' else -1
    with pytest.raises(AssertionError):
        benchmark_module.check(mine._replace(**{part: wrong}), theirs)
    with pytest.raises(AssertionError, match='voxels instead of'):
        benchmark_module.check(benchmark_module.ours(points[:50]), theirs)
