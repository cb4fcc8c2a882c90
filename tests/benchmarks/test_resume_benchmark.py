"""The benchmark of going on runs, with and without workers, and its check can fail."""
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / 'benchmarks' / 'resume.py'


@pytest.mark.parametrize('workers', ['0', '2'])
def test_it_runs_from_any_directory(tmp_path, workers):
    done = subprocess.run([sys.executable, str(SCRIPT), '--pairs', '1', '--threads', '1'], cwd=tmp_path, text=True,
                          capture_output=True, env=dict(os.environ, RESUME_AT='300', RESUME_WORKERS=workers))
    assert done.returncode == 0, done.stderr
    assert f'iteration 300, batches of 4 samples that cost nothing, {workers} workers' in done.stdout
    assert re.match(r'speedup=\d+\.\d\d memory_ratio=', done.stdout.splitlines()[-1])


def test_one_batch_off_is_seen():
    code = ('import sys; sys.path.insert(0, sys.argv[1]); import resume\n'
            '(loader, done), _ = resume.setup("cpu", True)\n'
            'resume.check(resume.ours(loader, done), resume.baseline(loader, done))\n'
            'resume.check(resume.ours(loader, done + 1), resume.baseline(loader, done))')
    done = subprocess.run([sys.executable, '-c', code, str(SCRIPT.parent)], capture_output=True, text=True)
    assert 'AssertionError: samples' in done.stderr and 'line 4' in done.stderr, done.stderr
