"""`make demo` at its smallest: rooms drawn, converted, paired, pre-trained on, learnt, tested, and the report of it."""
import dataclasses
import importlib
import json
import pickle
import re
import runpy
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import pretrain3d  # noqa: F401
from pretrain3d.converters.pairs.build import build_pairs
from pretrain3d.converters.pairs.scene import PairOptions
from pretrain3d.converters.scannet.convert import convert
from pretrain3d.label_spaces import get_label_space
from pretrain3d.worlds.rooms import build as building
from pretrain3d.worlds.rooms.presets import PRESETS

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
SPACE = get_label_space('ScanNet20')
STEPS, PRETRAIN_STEPS = 6, 4
KINDS = ('scratch', 'pre-trained')


def options(*parts):
    return ['model.data_preprocessor.voxel_size=0.2'] + [
        f'{part}_dataloader.{key}' for part in parts for key in ('num_workers=0', 'persistent_workers=False')]


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """(demo's modules, work dir, what it printed); the scripts run in this process, which has mmdet3d already."""
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(TOOLS)
    demo, common = importlib.import_module('demo'), importlib.import_module('_demo')
    work = tmp_path_factory.mktemp('demo')
    patch.setitem(PRESETS, 'tiny', dataclasses.replace(PRESETS['tiny'], train=2, val=1, spacing=0.1, frames=8))
    world = work / 'world' / 'tiny'
    # As the demo left it before it had frame pairs: drawn, and converted without frames.
    building.build(world, 'tiny', 0)
    assert not convert(world, world, quiet=True) and not list(world.glob('*_frames_*.pkl'))
    scripts = Path(importlib.util.find_spec('mmdet3d').submodule_search_locations[0]) / '.mim' / 'tools'

    def in_process(script, arguments, log, environment, progress=None):
        log.write_text('')
        arguments = list(map(str, arguments))
        if script == 'make_world.py':
            assert arguments[0] == 'rooms' and arguments[2:6] == ['--preset', 'tiny', '--seed', '0']
            building.build(Path(arguments[1]), 'tiny', 0)
        elif script == 'data/scannet.py':
            assert arguments[2:4] == ['--frames', '1']
            assert not convert(Path(arguments[0]), Path(arguments[1]), frame_step=1, quiet=True)
        elif script == 'data/make_frame_pairs.py':
            assert arguments[1:3] == ['--tables', 'none']
            build_pairs(Path(arguments[0]), Path(arguments[0]), 'train', PairOptions(tables='none'), quiet=True)
        else:
            # mmengine keeps visualizers by name for the life of a process.
            patch.setattr(sys, 'argv', [script, *arguments, f'visualizer.name={log}'])
            for name in ('PRETRAIN3D_SCANNET', 'PRETRAIN3D_CHECKPOINT'):
                if name in environment:
                    patch.setenv(name, environment[name])
            runpy.run_path(str(scripts / script), run_name='__main__')

    patch.setattr(common, 'run', in_process)
    printed = []
    patch.setattr('builtins.print', lambda *values, **_: printed.append(' '.join(map(str, values))))
    try:
        assert demo.main(['--preset', 'tiny', '--pretrain-iters', str(PRETRAIN_STEPS), '--iters', str(STEPS), '--jobs',
                          '1', '--seed', '2', '--seeds', '1', '--work-dir', str(work), '--cfg-options',
                          *options('train', 'val', 'test'), '--pretrain-cfg-options', *options('train')]) == 0, printed
    finally:
        patch.undo()
    return work, '\n'.join(printed)


def scores(work, kind):
    return json.loads(max(work.glob(f'{kind}/seed_2/test/*/*.json')).read_text())


def logged(folder):
    return [json.loads(line) for line in next(folder.glob('train/*/vis_data/scalars.json')).read_text().splitlines()]


def test_printed_and_reported_scores_are_those_of_the_saved_predictions(finished):
    """IoU counted anew, from the files of the predictions and of the conversion."""
    work, printed = finished
    names = (work / 'world' / 'tiny' / 'meta_data' / 'scannetv2_val.txt').read_text().split()
    assert names == ['scene0002_00']
    truth = SPACE.map_raw(np.fromfile(work / 'world' / 'tiny' / 'semantic_mask' / 'scene0002_00.bin', np.int64))
    iou, mean = {}, {}
    for kind in KINDS:
        found = np.load(work / kind / 'seed_2' / 'predictions' / 'scene0002_00.npy').astype(int)
        assert found.shape == truth.shape
        found, known = found[truth != SPACE.ignore_index], truth[truth != SPACE.ignore_index]
        present = [c for c in range(20) if (known == c).any() or (found == c).any()]
        iou[kind] = {c: ((known == c) & (found == c)).sum() / ((known == c) | (found == c)).sum() for c in present}
        mean[kind] = scores(work, kind)['miou/vertex']
        assert mean[kind] == pytest.approx(np.mean(list(iou[kind].values())), abs=1e-4)
    page = (work / 'report.html').read_text()
    for index in set(iou['scratch']) | set(iou['pre-trained']):
        told = [f'{iou[kind][index]:.3f}' if index in iou[kind] else '–' for kind in KINDS]
        assert re.search(rf'^  {SPACE.classes[index]} +{told[0]} +{told[1]} +\S+$', printed, re.M), SPACE.classes[index]
        assert re.search(rf'{SPACE.classes[index]}</td>\s*<td>[^\n]*{told[0]}</td>\s*<td>[^\n]*{told[1]}</td>', page)
    change = mean['pre-trained'] - mean['scratch']
    expected = ['mean', f'{mean["scratch"]:.3f}', f'{mean["pre-trained"]:.3f}', f'{change:+.3f}']
    assert expected in [line.split() for line in printed.splitlines()]
    for told in (f'{mean["scratch"]:.3f}', f'{mean["pre-trained"]:.3f}', f'{change:+.3f}'):
        assert f'<b>{told}</b>' in page


def test_the_trainings_were_those_asked_for(finished):
    work, _ = finished
    assert [line['step'] for line in logged(work / 'pretraining')] == list(range(1, PRETRAIN_STEPS + 1))
    assert all('contrast.retrieval' in line for line in logged(work / 'pretraining'))
    for kind in KINDS:
        lines = logged(work / kind / 'seed_2')
        losses, validations = ([line for line in lines if key in line] for key in ('loss', 'miou/vertex'))
        assert [line['step'] for line in losses] == list(range(1, STEPS + 1)) and losses[-1]['loss'] < losses[0]['loss']
        assert [line['step'] for line in validations] == [2, 4, 6]
        # The last weights, tested: what test.py says is what the last validation said.
        assert scores(work, kind)['miou/vertex'] == pytest.approx(validations[-1]['miou/vertex'], abs=1e-4)
        config = (work / kind / 'seed_2' / 'train' / 'config.py').read_text()
        assert 'limit_points=20' in config and 'limit_seed=2' in config and 'seed=2' in config
        assert ('WeightTransferHook' in config) == (kind == 'pre-trained')
    config = (work / 'pre-trained' / 'seed_2' / 'train' / 'config.py').read_text()
    assert str(work / 'pretraining' / 'train' / f'iter_{PRETRAIN_STEPS}.pth') in config


def shown_pairs(work):
    """'<scan>, frames <first> and <second>' of each training room's pair with overlap nearest to a half."""
    listed = pickle.loads((work / 'world' / 'tiny' / 'frame_pairs_train.pkl').read_bytes())['data_list']
    best = [min((pair for pair in listed if pair['scan'] == scan), key=lambda pair: abs(pair['overlap'] - 0.5))
            for scan in sorted({pair['scan'] for pair in listed})]
    return ['{}, frames {} and {}'.format(pair['scan'], *pair['frames']) for pair in best]


def test_report_is_whole_and_needs_nothing_else(finished):
    work, printed = finished
    page = (work / 'report.html').read_text()
    tags = []

    class Tags(HTMLParser):

        def handle_starttag(self, tag, attributes):
            tags.append((tag, dict(attributes)))

    Tags().feed(page)
    images = [attributes for tag, attributes in tags if tag == 'img']
    # A pair of either training room, cells, features, labels of both, and one unseen room with both predictions.
    assert [image['alt'].split(':')[0] for image in images] == [
        *shown_pairs(work), 'scene0000_00', 'the same along the x axis, +y to the right; the circle has 0.5 m',
        'scene0002_00', 'features before', 'features after pre-training', 'scene0000_00', 'scene0001_00',
        'truth', 'prediction, scratch', 'prediction, pre-trained', 'cloud', 'errors, scratch', 'errors, pre-trained']
    assert 'scene0000_00: 20 of ' in page
    assert all(image['src'].startswith('data:image/png;base64,') for image in images)
    assert 'script' not in dict(tags) and not re.search(r'https?:|url\(|@import', page)
    lines = re.findall(r'<polyline points="([^"]+)"', page)
    assert [len(line.split()) for line in lines] == [PRETRAIN_STEPS, PRETRAIN_STEPS, STEPS, STEPS, 3, 3]
    for text in ('drawn by a program', 'no dataset&#x27;s result', 'python tools/train.py', 'python tools/test.py',
                 'python tools/make_world.py rooms', 'python tools/data/make_frame_pairs.py', 'PRETRAIN3D_SCANNET=',
                 'PRETRAIN3D_CHECKPOINT=', 'limit_points', 'docs/scene_contexts.md', 'torch', '2 drawn rooms'):
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
    command = [sys.executable, str(TOOLS / 'demo.py'), '--preset', 'tiny', '--pretrain-iters', '4', '--iters', '4',
               '--seeds', '2', '--jobs', '2', '--work-dir', str(tmp_path)]
    first = subprocess.run(command, capture_output=True, text=True)
    assert first.returncode == 0, first.stderr
    drawn = {path: path.stat().st_mtime_ns for path in (tmp_path / 'world' / 'tiny' / 'scans').rglob('*.ply')}
    again = subprocess.run([*command, '--labels', '0'], capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert drawn and drawn == {path: path.stat().st_mtime_ns for path in drawn}
    assert 'What it was told' not in (tmp_path / 'report.html').read_text()
