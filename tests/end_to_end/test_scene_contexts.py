"""Contrastive Scene Contexts from drawn rooms to a falling loss, through the tools as a user starts them."""
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / 'configs' / 'contrastive_scene_contexts' / 'spunet_1xb4-p8-rooms_scannet-pairs.py'
STEPS = 16
# Loss of every fourth step, seed 0, on the CPU. A change of the world, the pairs, the sampling or the loss moves it.
GOLDEN = [3.3932, 2.6586, 2.6233, 2.6816]


def run(script, *arguments, **variables):
    """A tool's output."""
    done = subprocess.run([sys.executable, str(ROOT / 'tools' / script), *map(str, arguments)], text=True,
                          capture_output=True, env={**os.environ, **variables})
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope='module')
def curve(drawn_scannet, tmp_path_factory):
    folder = tmp_path_factory.mktemp('scene_contexts')
    data = folder / 'data'
    shutil.copytree(drawn_scannet.converted, data)
    run('data/make_frame_pairs.py', data, '--tables', 'none', '--jobs', 1)
    schedule = f'param_scheduler.0.total_steps={STEPS}'
    run('train.py', RECIPE, '--work-dir', folder / 'work', '--cfg-options', f'train_cfg.max_iters={STEPS}', schedule,
        'default_hooks.logger.interval=4', 'default_hooks.checkpoint.interval=16', 'log_processor.window_size=4',
        PRETRAIN3D_SCANNET=str(data))
    lines = next((folder / 'work').glob('*/vis_data/scalars.json')).read_text().splitlines()
    return [line for line in map(json.loads, lines) if 'loss' in line]


def test_loss_follows_the_golden_curve(curve):
    losses = [line['loss'] for line in curve]
    # Sums differ in their order between machines and numbers of threads, and steps amplify it.
    np.testing.assert_allclose(losses, GOLDEN, rtol=0.02)
    assert losses[-1] < losses[0]


def test_what_is_logged(curve):
    last = curve[-1]
    assert last['step'] == STEPS and last['contrast.loss_contrast'] == pytest.approx(last['loss'])
    assert last['contrast.matches'] > 50 and 0 < last['contrast.retrieval'] < 1
