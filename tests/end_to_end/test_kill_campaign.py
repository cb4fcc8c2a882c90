"""Ten kills of the campaign that `make campaign` runs with two hundred."""
import os
import re
import subprocess
import sys
from pathlib import Path


def test_ten_kills():
    # A process of its own: this one may have threads, which a fork does not take along.
    done = subprocess.run([sys.executable, str(Path(__file__).with_name('kill_campaign.py')), '--kills', '10'],
                          capture_output=True, text=True, timeout=600,
                          env=dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)))
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r'kills=10 random=(\d+) in_writes=(\d+) .* trainings=(\d+) equal=(\d+) damaged=0', done.stdout)
    assert found and int(found[2]) == 3 and found[3] == found[4], done.stdout
