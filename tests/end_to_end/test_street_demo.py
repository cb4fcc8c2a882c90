"""`make demo METHOD=street` as a user starts it, at its smallest."""
import json
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


@pytest.mark.full
def test_the_demo_as_a_user_starts_it(tmp_path):
    command = [sys.executable, str(TOOLS / 'demo_street.py'), '--preset', 'tiny', '--steps', '2', '--detector-steps',
               '2', '--jobs', '2', '--work-dir', str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / 'report.html').read_text()
    assert page.count('<img') == 1 + 2 * (3 + 6) and 'drawn by a program' in page
    scores = json.loads(max((tmp_path / 'lidarseg' / 'test').glob('*/*.json')).read_text())
    assert f'<b>{scores["miou/vertex"]:.3f}</b>' in page and f'{scores["miou/vertex"]:.3f}' in done.stdout
    scores = json.loads(max((tmp_path / 'detection' / 'test').glob('*/*.json')).read_text())
    assert f'<b>{scores["NuScenes metric/pred_instances_3d_NuScenes/NDS"]:.3f}</b>' in page
    assert len(list((tmp_path / 'lidarseg' / 'predictions').glob('*.npy'))) == 12  # two scenes of six keyframes
