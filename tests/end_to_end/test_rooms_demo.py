"""`make demo` at its smallest: two rooms drawn, converted, learnt for a few steps, tested, and the report about it."""
import dataclasses
import importlib
import json
import re
import runpy
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import pretrain3d  # noqa: F401
from pretrain3d.converters.scannet.convert import convert
from pretrain3d.label_spaces import get_label_space
from pretrain3d.worlds.rooms import build as building
from pretrain3d.worlds.rooms.presets import PRESETS

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
SPACE = get_label_space('ScanNet20')
STEPS = 6
OPTIONS = ['model.data_preprocessor.voxel_size=0.2'] + [
    f'{part}_dataloader.{key}' for part in ('train', 'val', 'test')
    for key in ('num_workers=0', 'persistent_workers=False')]


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """(demo's modules, work dir, what it printed); the scripts run in this process, which has mmdet3d already."""
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(TOOLS)
    demo, common = importlib.import_module('demo'), importlib.import_module('_demo')
    work = tmp_path_factory.mktemp('demo')
    patch.setitem(PRESETS, 'tiny', dataclasses.replace(PRESETS['tiny'], train=2, val=1, spacing=0.1, frames=1))
    scripts = Path(importlib.util.find_spec('mmdet3d').submodule_search_locations[0]) / '.mim' / 'tools'

    def in_process(script, arguments, log, environment, progress=None):
        log.write_text('')
        arguments = list(map(str, arguments))
        if script == 'make_world.py':
            assert arguments[0] == 'rooms' and arguments[2:6] == ['--preset', 'tiny', '--seed', '0']
            building.build(Path(arguments[1]), 'tiny', 0)
        elif script == 'data/scannet.py':
            assert not convert(Path(arguments[0]), Path(arguments[1]), quiet=True)
        else:
            # mmengine keeps visualizers by name for the life of a process.
            patch.setattr(sys, 'argv', [script, *arguments, f'visualizer.name={log}'])
            patch.setenv('PRETRAIN3D_SCANNET', environment['PRETRAIN3D_SCANNET'])
            runpy.run_path(str(scripts / script), run_name='__main__')

    patch.setattr(common, 'run', in_process)
    printed = []
    patch.setattr('builtins.print', lambda *values, **_: printed.append(' '.join(map(str, values))))
    try:
        assert demo.main(['--preset', 'tiny', '--iters', str(STEPS), '--jobs', '1', '--seed', '2', '--work-dir',
                          str(work), '--cfg-options', *OPTIONS]) == 0, printed
    finally:
        patch.undo()
    return work, '\n'.join(printed)


def scores(work):
    return json.loads(max(work.glob('scratch/test/*/*.json')).read_text())


def test_printed_and_reported_scores_are_those_of_the_saved_predictions(finished):
    """IoU counted anew, from the files of the predictions and of the conversion."""
    work, printed = finished
    names = (work / 'world' / 'tiny' / 'meta_data' / 'scannetv2_val.txt').read_text().split()
    assert names == ['scene0002_00']
    truth = SPACE.map_raw(np.fromfile(work / 'world' / 'tiny' / 'semantic_mask' / 'scene0002_00.bin', np.int64))
    found = np.load(work / 'scratch' / 'predictions' / 'scene0002_00.npy').astype(int)
    assert found.shape == truth.shape
    found = found[truth != SPACE.ignore_index]
    truth = truth[truth != SPACE.ignore_index]
    present = [c for c in range(20) if (truth == c).any() or (found == c).any()]
    iou = {c: ((truth == c) & (found == c)).sum() / ((truth == c) | (found == c)).sum() for c in present}
    told = scores(work)
    assert told['miou/vertex'] == pytest.approx(np.mean(list(iou.values())), abs=1e-4)
    page = (work / 'report.html').read_text()
    for index, value in iou.items():
        assert re.search(rf'^  {SPACE.classes[index]} +{value:.3f}  #*$', printed, re.M), SPACE.classes[index]
        assert re.search(rf'{SPACE.classes[index]}</td>\s*<td>.*?{value:.3f}</td>', page)
    assert f'mean IoU {told["miou/vertex"]:.3f} over every vertex' in printed
    assert f'<b>{told["miou/vertex"]:.3f}</b>' in page


def test_the_training_was_the_one_asked_for(finished):
    work, _ = finished
    logged = next(work.glob('scratch/train/*/vis_data/scalars.json')).read_text()
    lines = [json.loads(line) for line in logged.splitlines()]
    losses, validations = ([line for line in lines if key in line] for key in ('loss', 'miou/vertex'))
    assert [line['step'] for line in losses] == list(range(1, STEPS + 1)) and losses[-1]['loss'] < losses[0]['loss']
    assert [line['step'] for line in validations] == [2, 4, 6]
    # The last weights, tested: what test.py says is what the last validation said.
    assert scores(work)['miou/vertex'] == pytest.approx(validations[-1]['miou/vertex'], abs=1e-4)
    config = (work / 'scratch' / 'train' / 'config.py').read_text()
    assert 'limit_points=20' in config and 'limit_seed=2' in config and 'seed=2' in config


def test_report_is_whole_and_needs_nothing_else(finished):
    work, printed = finished
    page = (work / 'report.html').read_text()
    tags = []

    class Tags(HTMLParser):

        def handle_starttag(self, tag, attributes):
            tags.append((tag, dict(attributes)))

    Tags().feed(page)
    images = [attributes for tag, attributes in tags if tag == 'img']
    # Two training rooms with their labels; one unseen room as cloud, truth, prediction and errors.
    assert [image['alt'].split(':')[0] for image in images] == [
        'scene0000_00', 'scene0001_00', 'cloud', 'truth', 'prediction', 'errors']
    assert images[0]['alt'].startswith('scene0000_00: 20 of ')
    assert all(image['src'].startswith('data:image/png;base64,') for image in images)
    assert 'script' not in dict(tags) and not re.search(r'https?:|url\(|@import', page)
    lines = re.findall(r'<polyline points="([^"]+)"', page)
    assert [len(line.split()) for line in lines] == [STEPS, 3]
    for text in ('drawn by a program', 'no dataset&#x27;s result', 'python tools/train.py', 'python tools/test.py',
                 'python tools/make_world.py rooms', 'PRETRAIN3D_SCANNET=', 'limit_points', 'torch', '2 drawn rooms'):
        assert text in page, text
    assert f'report: {work / "report.html"}' in printed and "no dataset's result" in printed


def test_a_missing_or_foreign_prediction_is_named(finished, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(TOOLS)
    report = importlib.import_module('_rooms_report')
    source = report.Converted(finished[0] / 'world' / 'tiny')
    with pytest.raises(report.SceneError, match='scene0002_00.npy is missing: test.py did not'):
        report.read_predictions(source, ['scene0002_00'], tmp_path)
    np.save(tmp_path / 'scene0002_00.npy', np.zeros(3, np.uint8))
    with pytest.raises(report.SceneError, match='3 predictions for the .* points of scene0002_00'):
        report.read_predictions(source, ['scene0002_00'], tmp_path)


@pytest.mark.full
def test_the_demo_as_a_user_starts_it(tmp_path):
    """Two runs: the second draws nothing again."""
    command = [sys.executable, str(TOOLS / 'demo.py'), '--preset', 'tiny', '--iters', '4', '--work-dir', str(tmp_path)]
    first = subprocess.run(command, capture_output=True, text=True)
    assert first.returncode == 0, first.stderr
    drawn = {path: path.stat().st_mtime_ns for path in (tmp_path / 'world' / 'tiny' / 'scans').rglob('*.ply')}
    again = subprocess.run([*command, '--labels', '0'], capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert drawn and drawn == {path: path.stat().st_mtime_ns for path in drawn}
    assert 'What it was told' not in (tmp_path / 'report.html').read_text()
