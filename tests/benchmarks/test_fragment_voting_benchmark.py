"""The benchmark of voting runs on a small cloud; no claim about times."""
import os
import re
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / 'benchmarks' / 'fragment_voting.py'


def test_it_runs_from_any_directory(tmp_path):
    done = subprocess.run([sys.executable, str(SCRIPT), '--pairs', '1', '--threads', '1'], cwd=tmp_path, text=True,
                          capture_output=True, env=dict(os.environ, VOTING_POINTS='2000'))
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r'speedup=\d+\.\d\d memory_ratio=(\d+\.\d\d|nan)', done.stdout.splitlines()[-1])


def test_growth_has_a_line_for_each_density(tmp_path):
    done = subprocess.run([sys.executable, str(SCRIPT), '--grow'], cwd=tmp_path, text=True, capture_output=True,
                          env=dict(os.environ, VOTING_POINTS='2000'))
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    fragments = [int(row[1]) for row in rows]
    assert len(rows) == 5 and fragments == sorted(fragments) and fragments[-1] > 4 * fragments[0]
