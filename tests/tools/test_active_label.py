"""tools/active_label.py from a checkpoint to lists that the training set reads, and to the objects they reach."""
import importlib.util
import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config

from pretrain3d.contrastive_scene_contexts import active_labelling
from pretrain3d.contrastive_scene_contexts.vertex_features import VertexFeatures
from pretrain3d.datasets.scannet_lists import read_point_list
from pretrain3d.datasets.scannet_splits import ScanNet20Dataset

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / 'configs' / 'contrastive_scene_contexts' / 'spunet_1xb4-p8-rooms_scannet-pairs.py'


@pytest.fixture(scope='module')
def tool():
    """The script as a module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / 'tools'))
        spec = importlib.util.spec_from_file_location('active_label', ROOT / 'tools' / 'active_label.py')
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        import _active_coverage  # noqa: F401  (found through the path above; later imports find it loaded)
        import _active_lists  # noqa: F401
        yield module


@pytest.fixture(scope='module')
def files(tmp_path_factory, tool, drawn_scannet):
    """A checkpoint of a narrow SpUNet that nobody trained, the drawn scans, and lists of every method."""
    folder = tmp_path_factory.mktemp('active')
    torch.manual_seed(0)
    model = VertexFeatures(Config.fromfile(str(RECIPE)), drawn_scannet.converted).model
    torch.save(dict(state_dict=model.state_dict()), folder / 'random.pth')
    encoder = ['--config', str(RECIPE), '--checkpoint', str(folder / 'random.pth')]
    assert select(tool, drawn_scannet, folder / 'act', *encoder) == 0
    assert select(tool, drawn_scannet, folder / 'colour', '--features', 'xyz_rgb', '--scale', 'zscore') == 0
    assert select(tool, drawn_scannet, folder / 'random_seed{seed}', '--method', 'random', '--seed', '0', '1') == 0
    return folder, encoder


def select(tool, scans, out, *arguments):
    points = () if '--points' in arguments else ('--points', '20', '50')
    return tool.main(['select', '--data', str(scans.converted), '--out', str(out), *points, *arguments])


def test_choices_are_those_of_the_package(tool):
    """The command line lists them itself, because importing the package takes ten seconds."""
    assert tool.FEATURES == tuple(active_labelling.FEATURE_SETS)
    for option, choices in (('--scale', active_labelling.SCALES), ('--init', active_labelling.INITS)):
        for choice in choices:
            tool.parse_args(['select', '--data', 'd', '--out', 'o', '--features', 'xyz', option, choice])


def scan_names(scans):
    infos = pickle.loads((scans.converted / 'scannet_infos_train.pkl').read_bytes())['data_list']
    return {info['scan']: info['num_points'] for info in infos}


def training_set(folder, file):
    steps = [dict(type='LoadPointsChecked', coord_type='DEPTH', load_dim=9, use_dim=9),
             dict(type='LoadAnnotations3D', with_bbox_3d=False, with_label_3d=False, with_mask_3d=True,
                  with_seg_3d=True),
             dict(type='PointSegClassMapping'), dict(type='LimitAnnotations'),
             dict(type='PackPretrain3DInputs', keys=['points', 'pts_semantic_mask', 'pts_instance_mask'])]
    return ScanNet20Dataset(
        data_root=str(folder), ann_file='scannet_infos_train.pkl', pipeline=steps, limit_points=str(file),
        data_prefix=dict(pts='points_normals', pts_instance_mask='instance_mask', pts_semantic_mask='semantic_mask'))


@pytest.mark.parametrize('name', ['act', 'colour', 'random_seed0', 'random_seed1'])
def test_lists_are_what_the_training_set_reads(files, drawn_scannet, name):
    folder, _ = files
    for count in (20, 50):
        held = read_point_list(folder / name / f'points{count}.npz')
        assert {scan: len(set(rows.tolist())) for scan, rows in held.items()} == dict.fromkeys(
            scan_names(drawn_scannet), count)
        assert all(rows.max() < scan_names(drawn_scannet)[scan] for scan, rows in held.items())
    scans = training_set(drawn_scannet.converted, folder / name / 'points20.npz')
    scans.full_init()
    assert len(scans) == 3
    for sample, info in zip(scans, map(scans.get_data_info, range(3))):
        rows = read_point_list(folder / name / 'points20.npz')[info['scan']]
        instance = np.fromfile(drawn_scannet.converted / 'instance_mask' / f'{info["scan"]}.bin', np.int64)
        mask = sample['data_samples'].gt_pts_seg
        assert set(np.flatnonzero(mask.pts_semantic_mask != 20)) <= set(rows.tolist())
        assert np.array_equal(mask.pts_instance_mask[rows], instance[rows])
        assert mask.pts_instance_mask.bool().sum() == (instance[rows] > 0).sum()


def test_manifest_and_seeds(files, drawn_scannet):
    folder, encoder = files
    manifest = json.loads((folder / 'act' / 'manifest.json').read_text())
    settings = manifest['settings']
    assert (settings['method'], settings['features'], settings['scale'], settings['seed']) == (
        'kmeans', 'features_xyz', 'none', 0)
    assert settings['checkpoint'] == encoder[3] and len(settings['checkpoint_sha256']) == 64
    assert manifest['lists']['points20.npz'] == dict(labels=60, all_vertices_of=[]) and manifest['scans'] == 3
    lists = [read_point_list(folder / name / 'points20.npz') for name in ('act', 'random_seed0', 'random_seed1')]
    assert all(not np.array_equal(a[scan], b[scan]) for scan in lists[0]
               for a, b in ((lists[0], lists[1]), (lists[1], lists[2])))


def test_a_stopped_run_goes_on(files, tool, drawn_scannet, monkeypatch, tmp_path, capsys):
    """It does what is missing, and ends with the lists of a run that was not stopped."""
    folder, encoder = files
    shutil.copytree(folder / 'act', tmp_path / 'act')
    names = sorted(scan_names(drawn_scannet))
    (tmp_path / 'act' / 'parts' / f'{names[1]}.json').unlink()
    (tmp_path / 'act' / 'points20.npz').unlink()
    seen, call = [], VertexFeatures.__call__
    monkeypatch.setattr(VertexFeatures, '__call__', lambda self, file: (seen.append(file), call(self, file))[1])
    assert select(tool, drawn_scannet, tmp_path / 'act', *encoder, '--jobs', '2') == 0
    assert seen == [f'{names[1]}.bin']
    again, whole = (read_point_list(path / 'act' / 'points20.npz') for path in (tmp_path, folder))
    assert list(again) == list(whole) and all(np.array_equal(again[scan], whole[scan]) for scan in whole)
    capsys.readouterr()
    assert select(tool, drawn_scannet, tmp_path / 'act', *encoder, '--scale', 'zscore') == 1
    assert "scale='none', now it is 'zscore'; remove that folder or choose another --out" in capsys.readouterr().err
    assert select(tool, drawn_scannet, tmp_path / 'act', *encoder, '--points', '7') == 0  # more lists of the same
    assert len(seen) == 4 and set(json.loads((tmp_path / 'act' / 'manifest.json').read_text())['lists']) == {
        'points7.npz', 'points20.npz', 'points50.npz'}


@pytest.mark.parametrize('stuff', [False, True])
def test_coverage_against_counting(files, tool, drawn_scannet, tmp_path, stuff, capsys):
    folder, _ = files
    assert tool.main(['coverage', '--data', str(drawn_scannet.converted), '--out', str(tmp_path), f'act={folder}/act',
                      f'random={folder}/random_seed*', *(['--stuff'] if stuff else [])]) == 0
    found = json.loads((tmp_path / 'coverage.json').read_text())
    total, hits = 0, dict(act=[0], random=[0, 0])
    for scan in scan_names(drawn_scannet):
        instance, semantic = (np.fromfile(drawn_scannet.converted / kind / f'{scan}.bin', np.int64)
                              for kind in ('instance_mask', 'semantic_mask'))
        objects = {one for one in set(instance.tolist()) - {0}
                   if stuff or np.bincount(semantic[instance == one]).argmax() not in (1, 2)}
        total += len(objects)
        for name, place, list_name in (('act', 0, 'act'), ('random', 0, 'random_seed0'), ('random', 1, 'random_seed1')):
            rows = read_point_list(folder / list_name / 'points50.npz')[scan]
            hits[name][place] += len(objects & set(instance[rows].tolist()))
    assert found['objects'] == total and found['stuff'] == stuff
    assert {name: by_count['50'] for name, by_count in found['hits'].items()} == hits
    table = (tmp_path / 'coverage.md').read_text()
    assert f'| {100 * hits["act"][0] / total:.1f} % |' in table and '(2)' in table and table in capsys.readouterr().out
    assert (tmp_path / 'coverage.png').read_bytes()[:4] == b'\x89PNG'


def test_scans_with_fewer_vertices_are_labelled_whole(tool, drawn_scannet, tmp_path, capsys):
    sizes = scan_names(drawn_scannet)
    count = sorted(sizes.values())[1]
    assert select(tool, drawn_scannet, tmp_path, '--method', 'random', '--points', str(count)) == 0
    held = read_point_list(tmp_path / f'points{count}.npz')
    assert {scan: len(rows) for scan, rows in held.items()} == {scan: min(size, count) for scan, size in sizes.items()}
    small = min(sizes, key=sizes.get)
    assert f'1 scans have fewer vertices and are labelled whole, first {small}' in capsys.readouterr().out
    assert json.loads((tmp_path / 'manifest.json').read_text())['lists'][f'points{count}.npz']['all_vertices_of'] == [
        small]


def test_lists_of_another_mesh_or_split(files, tool, drawn_scannet, tmp_path, capsys):
    folder, _ = files
    held = read_point_list(folder / 'act' / 'points20.npz')
    scan = next(iter(held))
    size = scan_names(drawn_scannet)[scan]
    beyond = {**held, scan: np.append(held[scan][1:], size)}
    np.savez(tmp_path / 'points20.npz', **beyond)
    with pytest.raises(ValueError, match=f'{scan}.* has {size} vertices, but .*points20.npz lists vertex {size}'):
        training_set(drawn_scannet.converted, tmp_path / 'points20.npz')[0]
    count = ['coverage', '--data', str(drawn_scannet.converted), '--out', str(tmp_path / 'out'), f'bad={tmp_path}']
    assert tool.main(count) == 1
    assert f'lists vertex {size} of {scan}, which has {size}' in capsys.readouterr().err
    assert tool.main([*count, '--split', 'val']) == 1
    assert 'another split' in capsys.readouterr().err
    assert tool.main([*count[:-1], 'bad=nowhere']) == 1
    assert 'names no folder' in capsys.readouterr().err


def test_unlabelled_scans(tool, drawn_scannet, tmp_path, capsys):
    """They can be chosen from, for that is what choosing is for; their objects cannot be counted."""
    infos = pickle.loads((drawn_scannet.converted / 'scannet_infos_train.pkl').read_bytes())
    for kind in ('points', 'instance_mask', 'semantic_mask'):
        (tmp_path / kind).symlink_to(drawn_scannet.converted / kind)
    arguments = ['--data', str(tmp_path), '--split', 'test', '--out']
    for bare in (1, 3):
        for info in infos['data_list'][:bare]:
            info.pop('pts_instance_mask_path', None)
        (tmp_path / 'scannet_infos_test.pkl').write_bytes(pickle.dumps(infos))
        if bare == 1:
            names = ['--method', 'random', '--points', '9']
            assert tool.main(['select', *arguments, str(tmp_path / 'lists'), *names]) == 0
            assert len(read_point_list(tmp_path / 'lists' / 'points9.npz')) == 3
        status = tool.main(['coverage', *arguments, str(tmp_path / 'out'), f'random={tmp_path}/lists'])
        said = capsys.readouterr()
        assert (status, '1 scans without labels left out' in said.out, 'has instance labels' in said.err) == (
            (0, True, False) if bare == 1 else (1, False, True))


def test_what_cannot_be_used_is_said(files, tool, drawn_scannet, tmp_path, capsys):
    folder, encoder = files
    wrong = [
        ([*encoder[:3], str(tmp_path / 'none.pth')], 'none.pth does not exist'),
        (['--split', 'test', '--method', 'random'], 'scannet_infos_test.pkl does not exist'),
        ([*encoder, '--source', 'decoder'], 'decoder'),
        (['--config', str(ROOT / 'configs' / 'scannet' / 'votenet_1xb8-rooms_scannet.py'), *encoder[2:]],
         'has no sparse encoder')]
    for arguments, said in wrong:
        assert select(tool, drawn_scannet, tmp_path / 'out', *arguments) == 1
        assert said in capsys.readouterr().err
    assert not list((tmp_path / 'out').rglob('*.npz'))
    for arguments in ([], [*encoder, '--method', 'random'], ['--method', 'random', '--points', '0'],
                      ['--method', 'random', '--seed', '0', '1'], [*encoder, '--features', 'colour']):
        with pytest.raises(SystemExit):
            select(tool, drawn_scannet, tmp_path / 'out', *arguments)


def test_sweep_of_the_variants(monkeypatch):
    """Four variants, paired by seed; those that begin alike share a recipe, those that label alike share a list."""
    monkeypatch.syspath_prepend(str(ROOT / 'tools'))
    monkeypatch.setenv('PRETRAIN3D_POINTS', '50')
    from _sweep_spec import make_cells, read_spec
    spec = ROOT / 'configs' / 'contrastive_scene_contexts' / 'benchmarks' / 'active_labelling_rooms.yaml'
    cells = make_cells(read_spec(str(spec)))
    assert len(cells) == 20 and {cell.fraction for cell in cells} == {'50 points'}
    for cell in cells:
        lists = 'act' if 'act' in cell.variant else 'random'
        assert f"'limit_points': 'work_dirs/active/{lists}_seed{cell.seed}/points50.npz'" in cell.config
        assert ('rooms-pretrained' in cell.config) == ('init' in cell.variant)
        assert (f'seed_{cell.seed}/' in cell.env.get('PRETRAIN3D_CHECKPOINT', '')) == ('init' in cell.variant)
