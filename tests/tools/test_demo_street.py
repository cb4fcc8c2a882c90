"""tools/demo_street.py without its long parts; tests/end_to_end/test_street_demo.py runs it whole."""
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / 'tools'
KINDS = ('lidarseg', 'detection')


@pytest.fixture
def demo(monkeypatch):
    """The script as a module."""
    monkeypatch.syspath_prepend(TOOLS)
    spec = importlib.util.spec_from_file_location('demo_of_street', TOOLS / 'demo_street.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize('arguments', [['--steps', '1'], ['--detector-steps', '1'], ['--detector-steps', '-2'],
                                       ['--jobs', '0'], ['--preset', 'huge']])
def test_impossible_arguments(demo, arguments):
    with pytest.raises(SystemExit):
        demo.parse_args(arguments)


@pytest.mark.parametrize('kind', KINDS)
def test_config_of_a_run(demo, tmp_path, monkeypatch, kind):
    """The recipe with the seed, its steps and the predictions written, and nothing else."""
    args = demo.parse_args(['--steps', '7', '--detector-steps', '60'])
    args.work_dir = tmp_path
    run = demo.make_run(kind, args, 2)
    for name, value in run.variables.items():
        monkeypatch.setenv(name, value)
    assert run.variables['OMP_NUM_THREADS'] == '2'
    assert run.variables['PRETRAIN3D_NUSCENES'] == str(tmp_path / 'world' / 'tiny')
    recipe, config = (Config.fromfile(str(path), import_custom_modules=False)
                      for path in (demo.RECIPES[kind], run.config))
    assert config.train_cfg.max_iters == (7 if kind == 'lidarseg' else 60)
    assert config.default_hooks.logger.interval == (1 if kind == 'lidarseg' else 2)
    for part in ('model', 'train_dataloader', 'test_dataloader', 'optim_wrapper', 'param_scheduler'):
        assert config[part] == recipe[part]
    if kind == 'lidarseg':
        scores, dump = config.test_evaluator
        assert scores == recipe.test_evaluator and dump.out_dir == str(run.predictions)
    else:
        assert config.test_evaluator == dict(recipe.test_evaluator, jsonfile_prefix=str(run.predictions))


def test_runs_asked_for(demo, tmp_path):
    for options, kinds in (([], ['detection', 'lidarseg']), (['--detector-steps', '0'], ['lidarseg'])):
        args = demo.parse_args(options)
        args.work_dir = tmp_path
        assert list(demo.make_runs(args, 1)) == kinds


def test_world_is_drawn_and_converted_by_the_tools(demo, tmp_path, monkeypatch):
    called = []
    monkeypatch.setattr(demo._demo, 'run', lambda script, arguments, *_: called.append((script, *map(str, arguments))))
    args = demo.parse_args(['--jobs', '1', '--work-dir', str(tmp_path)])
    steps, world = demo._demo.Steps(4), str(tmp_path / 'world' / 'tiny')
    commands = demo.make_world(args, steps)
    assert called == [('make_world.py', 'street', world, '--preset', 'tiny', '--seed', '0', '--jobs', '1'),
                      ('data/nuscenes.py', world, '--version', 'v1.0-mini', '--no-gt-database'),
                      ('data/nuscenes_extras.py', world)]
    assert len(commands) == 3 and len(steps.taken) == 2


def scores_of_devkit(classes, value):
    prefix = 'NuScenes metric/pred_instances_3d_NuScenes/'
    found = {f'{prefix}{name}_AP_dist_{distance}': value
             for name in classes for distance in ('0.5', '1.0', '2.0', '4.0')}
    return {**found, f'{prefix}mAP': value, f'{prefix}NDS': 0.321, f'{prefix}mATE': 0.5, f'{prefix}mAVE': float('nan')}


def test_report_of_predictions(demo, tmp_path, monkeypatch, capsys):
    """Truth as prediction on the release made by hand: everything right, every box on its own."""
    monkeypatch.syspath_prepend(ROOT / 'tests' / 'converters')
    made = importlib.import_module('nuscenes_tables')
    reporting, scoring = (importlib.import_module(name) for name in ('_street_report', '_street_scores'))
    world = tmp_path / 'world'
    world.mkdir()
    made.write_tables(world)
    args = demo.parse_args(['--work-dir', str(tmp_path)])
    args.work_dir = tmp_path
    runs = demo.make_runs(args, 1)
    source, results = reporting.Streets(world), {}
    runs['lidarseg'].predictions.mkdir()
    for name in source.names[:6]:
        keyframe = source.read(name)
        found = keyframe.label.copy()
        found[keyframe.label == 10] = 12 if name == 'scene-0061/0' else 10
        np.save(runs['lidarseg'].predictions / f'{keyframe.lidar}.npy', found.astype(np.uint8))
        results[keyframe.token] = [
            dict(translation=row['translation'], size=row['size'], rotation=row['rotation'], detection_name='car',
                 detection_score=0.1 * place) for place, row in enumerate(source.annotations[keyframe.token])]
    path = runs['detection'].predictions / reporting.RESULTS
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(dict(meta={}, results=results)))
    runs['lidarseg'].scores = {'iou_vertex/car': 0.75, 'iou_vertex/driveable_surface': 0.5, 'miou/vertex': 0.625}
    runs['detection'].scores = scores_of_devkit(scoring.get_label_space('nuScenesDet10').classes, 0.25)
    scoring.print_scores(runs)
    printed = capsys.readouterr().out
    assert re.search(r'car +0\.750', printed) and re.search(r'mean +0\.625', printed)
    assert 'mAP 0.250   NDS 0.321   errors: centre 0.50 m\n' in printed and re.search(r'truck +(0\.250\s+){5}', printed)
    reporting.write_report(tmp_path / 'report.html', args, world, runs, ['python tools/make_world.py'], [('x', 60.)])
    page = (tmp_path / 'report.html').read_text()
    # The sheet; three clouds and six views of boxes of either scene.
    assert page.count('<img') == 1 + 2 * (3 + 6) == page.count('src="data:image/png;base64,')
    assert 'script' not in re.findall(r'<(\w+)', page) and not re.search(r'https?:|url\(|@import', page)
    for text in ('drawn by a program', '<b>0.625</b>', '<b>0.321</b>', 'errors: 100 % right', 'scene-0061/1',
                 'scene-0103/1', 'sidewalk 17 %', 'make_world.py', 'the 3 surest found'):
        assert text in page, text
    (runs['lidarseg'].predictions / f'{keyframe.lidar}.npy').unlink()
    np.save(runs['lidarseg'].predictions / f'{keyframe.lidar}.npy', found[:-1])
    with pytest.raises(demo._demo.DemoError, match='predictions for the'):
        reporting.write_report(tmp_path / 'report.html', args, world, runs, [], [('x', 60.)])


def test_surest_boxes_come_first(demo, monkeypatch):
    monkeypatch.syspath_prepend(TOOLS)
    reporting = importlib.import_module('_street_report')
    rows = [dict(translation=[place, 0, 0], size=[1, 2, 3], rotation=[1, 0, 0, 0], detection_name='bus',
                 detection_score=score) for place, score in enumerate((0.1, 0.9, 0.5))]

    class Frame:
        to_global = np.eye(4)

    assert reporting.surest(rows, Frame, 2).centre[:, 0].tolist() == [1, 2]
    assert len(reporting.surest([], Frame, 2)) == 0


def test_a_work_dir_that_is_a_file(tmp_path):
    (tmp_path / 'file').write_text('')
    done = subprocess.run([sys.executable, str(TOOLS / 'demo_street.py'), '--work-dir', str(tmp_path / 'file')],
                          capture_output=True, text=True)
    assert done.returncode == 1 and 'cannot be made' in done.stderr and 'Traceback' not in done.stderr
