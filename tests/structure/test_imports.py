"""Imports point one way, light rooms stay light, and the package does without spconv."""
import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / 'projects' / 'pretrain3d'

# Rank of every room; a file may import its own room and rooms of a lower rank. Rooms of equal rank are strangers,
# which is what keeps the four methods apart.
RANK = dict(
    label_spaces=0, ops=0,
    backbones=1, heads=1, datasets=1, worlds=1, converters=1,
    pretext=2, pictures=2,
    contrastive_scene_contexts=3, point_prompt_training=3, coherent_semantic_cues=3, ponderv2=3,
    detectors=3, segmentors=3,
    evaluation=4, engine=4)
# Equal-rank edges that the design allows on purpose.
ALLOWED = {('ops', 'label_spaces'), ('engine', 'evaluation')}
LIGHT = {'label_spaces', 'ops', 'worlds', 'converters', 'pictures'}
HEAVY = {'mmdet3d', 'mmdet', 'mmcv', 'mmengine'}
# What a light room may reach inside the package.
LIGHT_MAY = {'label_spaces': set(), 'ops': set(), 'worlds': {'label_spaces'}, 'converters': {'label_spaces'},
             'pictures': {'label_spaces', 'converters'}}


def imported(path: Path, package: Path = PACKAGE) -> set:
    """Dotted names that ``path`` imports, relative ones resolved; imports inside functions count too."""
    module = ['pretrain3d', *path.relative_to(package).with_suffix('').parts]
    if module[-1] == '__init__':
        module = module[:-1]
        parent = module
    else:
        parent = module[:-1]
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = parent[:len(parent) - node.level + 1] if node.level else []
            stem = '.'.join([*base, *(node.module.split('.') if node.module else [])])
            names.update(f'{stem}.{alias.name}' for alias in node.names)
    return names


def violations(package: Path = PACKAGE) -> list:
    """Every import that points the wrong way, as readable lines."""
    found = []
    for path in sorted(package.rglob('*.py')):
        parts = path.relative_to(package).parts
        if len(parts) == 1:  # the package's own __init__ registers everything; its other modules serve light rooms
            names = {name.split('.')[0] for name in imported(path, package)} if path.name != '__init__.py' else set()
            found += [f'{path}: a light module imports {name}' for name in sorted(names & HEAVY)]
            continue
        room = parts[0]
        if room not in RANK:
            found.append(f'{path}: room {room!r} has no rank; add it to this test and to docs/design.md')
            continue
        for name in imported(path, package):
            head, *rest = name.split('.')
            if room in LIGHT and head in HEAVY:
                found.append(f'{path}: light room imports {name}')
            if head != 'pretrain3d' or not rest or rest[0] not in RANK:
                continue
            target = rest[0]
            if target == room or (room, target) in ALLOWED:
                continue
            if room in LIGHT_MAY and target not in LIGHT_MAY[room]:
                found.append(f'{path}: {room} may not import {target}')
            elif RANK[target] >= RANK[room]:
                found.append(f'{path}: {room} may not import {target}')
    return found


def test_imports_point_one_way():
    assert not violations()


def test_a_heavy_import_of_a_module_beside_the_rooms_is_seen(tmp_path):
    (tmp_path / 'files.py').write_text('import mmengine\n')
    (tmp_path / '__init__.py').write_text('import mmengine\n')
    assert len(violations(tmp_path)) == 1


@pytest.mark.parametrize('room, line', [
    ('ops', 'from ..datasets import x'), ('ops', 'import mmdet3d.models'), ('heads', 'from ..backbones import spunet'),
    ('ponderv2', 'from pretrain3d.point_prompt_training import model'), ('datasets', 'from pretrain3d.engine import x'),
    ('worlds', 'from ..ops import grid'), ('unknown_room', 'import os')])
def test_a_wrong_import_is_seen(tmp_path, room, line):
    package = tmp_path / 'pretrain3d'
    (package / room).mkdir(parents=True)
    (package / room / 'a.py').write_text(line + '\n')
    assert violations(package)


def test_without_spconv_all_but_the_sparse_networks_is_registered():
    import os
    import subprocess
    code = """
import sys

class WithoutSpconv:
    def find_spec(name, path=None, target=None):
        if name.split('.')[0].startswith('spconv'):
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)

sys.meta_path.insert(0, WithoutSpconv)
import pretrain3d
from mmdet3d.registry import HOOKS, METRICS, MODELS
assert HOOKS.get('WeightTransferHook') and METRICS.get('MeanIoUMetric') and MODELS.get('VoxelSegmentor')
assert MODELS.get('SpUNet') is None
"""
    done = subprocess.run([sys.executable, '-c', code], env=dict(os.environ, PRETRAIN3D_LIGHT=''),
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count('spconv is not installed: what pretrain3d.backbones holds') == 1


def test_light_rooms_do_not_import_mmdet3d_at_run_time():
    import os
    import subprocess
    rooms = [room for room in sorted(LIGHT) if (PACKAGE / room).is_dir()]
    rooms += [path.stem for path in PACKAGE.glob('*.py') if path.stem != '__init__']
    code = 'import sys; ' + '; '.join(f'import pretrain3d.{room}' for room in rooms) + (
        f'; bad = {sorted(HEAVY)!r}; found = [m for m in bad if m in sys.modules]; sys.exit(str(found) if found else 0)')
    done = subprocess.run([sys.executable, '-c', code], env=dict(os.environ, PRETRAIN3D_LIGHT='1'),
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
