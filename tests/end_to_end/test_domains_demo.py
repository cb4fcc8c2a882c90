"""`make demo METHOD=ppt` at its smallest: three worlds drawn and converted, five trainings, tests, and the report."""
import dataclasses
import importlib
import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config

import pretrain3d  # noqa: F401
from pretrain3d.converters.s3dis.convert import convert as convert_s3dis
from pretrain3d.converters.scannet.convert import convert as convert_scannet
from pretrain3d.converters.structured3d.convert import convert_splits as convert_structured3d
from pretrain3d.label_spaces import get_label_space
from pretrain3d.worlds.rooms import build as building
from pretrain3d.worlds.rooms.variants import get_variant

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
SPACES = dict(Structured3D='Structured3D25', ScanNet='ScanNet20', S3DIS='S3DIS13')
STEPS = 2
CONVERT = {'data/scannet.py': convert_scannet, 'data/s3dis.py': convert_s3dis,
           'data/structured3d.py': convert_structured3d}
# S3DIS has five areas to train on.
SMALLER = dict(s3dis=dict(train=5, val=1, density=150), scannet=dict(train=2, val=1, spacing=0.1, frames=1),
               structured3d=dict(train=2, val=1, frames=4))


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """(work dir, what it printed); the scripts run in this process, which has mmdet3d already."""
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(TOOLS)
    demo, common = importlib.import_module('demo_ppt'), importlib.import_module('_demo')
    work = tmp_path_factory.mktemp('demo_ppt')
    scripts = Path(importlib.util.find_spec('mmdet3d').submodule_search_locations[0]) / '.mim' / 'tools'
    for name in ('scannet', 's3dis', 'structured3d'):
        presets = get_variant(name).presets
        patch.setitem(presets, 'tiny', dataclasses.replace(presets['tiny'], **SMALLER[name]))

    def in_process(script, arguments, log, environment, progress=None):
        log.write_text('')
        arguments = list(map(str, arguments))
        if script == 'make_world.py':
            assert arguments[0] == 'rooms' and arguments[4:8] == ['--preset', 'tiny', '--seed', '0']
            building.build(Path(arguments[1]), 'tiny', 0, variant=arguments[3])
        elif script in CONVERT:
            CONVERT[script](Path(arguments[0]), Path(arguments[1]), quiet=True)
        else:
            # mmengine keeps visualizers by name for the life of a process.
            patch.setattr(sys, 'argv', [script, *arguments, f'visualizer.name={log}'])
            for name, value in environment.items():
                if name.startswith('PRETRAIN3D_'):
                    patch.setenv(name, value)
            runpy.run_path(str(scripts / script), run_name='__main__')

    patch.setattr(common, 'run', in_process)
    printed = []
    patch.setattr('builtins.print', lambda *values, **_: printed.append(' '.join(map(str, values))))
    options = ['model.data_preprocessor.voxel_size=0.2'] + [
        f'{part}_dataloader.{key}' for part in ('train', 'val', 'test')
        for key in ('num_workers=0', 'persistent_workers=False')]
    try:
        assert demo.main(['--preset', 'tiny', '--steps', str(STEPS), '--jobs', '1', '--seed', '2', '--work-dir',
                          str(work), '--cfg-options', *options]) == 0, printed
    finally:
        patch.undo()
    return work, '\n'.join(printed)


def truth_of(folder, domain, name):
    """(V,) classes of a converted room, from the files."""
    raw = np.fromfile(folder / 'semantic_mask' / f'{name}.bin', np.int64)
    space = get_label_space(SPACES[domain])
    return raw if domain == 'S3DIS' else space.map_raw(raw)


def mean_iou(truth, found, space):
    found, truth = found[truth != space.ignore_index], truth[truth != space.ignore_index]
    present = [c for c in range(space.num_classes) if (truth == c).any() or (found == c).any()]
    return np.mean([((truth == c) & (found == c)).sum() / ((truth == c) | (found == c)).sum() for c in present])


def test_printed_and_reported_scores_are_those_of_the_saved_predictions(finished):
    """IoU of every data set counted anew from the files, each in its own label space."""
    work, printed = finished
    page, columns = (work / 'report.html').read_text(), []
    for domain, name in SPACES.items():
        space, row = get_label_space(name), []
        folder = work / 'world' / 'tiny' / f'{domain.lower()}_converted'
        for kind in (f'{domain}_alone', 'naive', 'prompts'):
            files = [file for file in sorted((work / kind / 'seed_2' / 'predictions').glob('*.npy'))
                     if (folder / 'semantic_mask' / f'{file.stem}.bin').is_file()]
            assert files, (domain, kind)
            truth = np.concatenate([truth_of(folder, domain, file.stem) for file in files])
            row.append(mean_iou(truth, np.concatenate([np.load(file).astype(int) for file in files]), space))
            scores = json.loads(max((work / kind / 'seed_2' / 'test').glob('*/*.json')).read_text())
            assert scores[f'{domain}/miou/vertex'] == pytest.approx(row[-1], abs=1e-4)
        columns.append(row)
        alone, naive, prompts = row
        told = [f'{alone:.3f}', f'{naive:.3f}', f'{prompts:.3f}', f'{naive - alone:+.3f}', f'{prompts - alone:+.3f}']
        assert [domain, *told] in [line.split() for line in printed.splitlines()]
        assert re.search(rf'<td>{domain}</td>\s*' + r'\s*'.join(f'<td>{re.escape(value)}</td>' for value in told), page)
    for mean in np.mean(columns, axis=0):
        assert f'<b>{mean:.3f}</b>' in page


def test_the_trainings_were_those_asked_for(finished):
    work, _ = finished
    for kind, head in (('naive', 'DecoupledHead'), ('prompts', 'LanguageGuidedHead'), ('S3DIS_alone', 'DecoupledHead')):
        config = Config.fromfile(str(work / kind / 'seed_2' / 'train' / 'config.py'), import_custom_modules=False)
        domains = ['S3DIS'] if kind == 'S3DIS_alone' else list(SPACES)
        assert config.model.decode_head.type == head and config.train_cfg.max_iters == STEPS * len(domains)
        assert config.model.backbone.adapter == ('norm' if kind == 'prompts' else 'none')
        assert set(config.train_dataloader.batch_sampler.ratios) == set(domains)
        for dataset in config.train_dataloader.dataset.datasets:
            assert dataset.limit_points == 200 and dataset.limit_seed == config.randomness.seed == 2


def test_report_is_whole_and_needs_nothing_else(finished):
    work, printed = finished
    page = (work / 'report.html').read_text()
    assert page.count('<img') == 6 + 3 * 8 and page.count('src="data:image/png;base64,') == 30
    assert 'script' not in re.findall(r'<(\w+)', page) and not re.search(r'https?:|url\(|@import', page)
    assert len(re.findall(r'<polyline points="([^"]+)"', page)) == 5
    for text in ('drawn by a program', 'rooms', '--as structured3d', 'tools/data/s3dis.py', 'PRETRAIN3D_DOMAINS=',
                 'docs/negative_transfer.md', 'chair, door, floor, sofa, table, wall, window'):
        assert text in page, text
    assert f'report: {work / "report.html"}' in printed and "no data set's result" in printed


@pytest.mark.full
def test_the_demo_as_a_user_starts_it(tmp_path):
    command = [sys.executable, str(TOOLS / 'demo_ppt.py'), '--preset', 'tiny', '--steps', '2', '--jobs', '2',
               '--work-dir', str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and (tmp_path / 'report.html').is_file(), done.stderr
