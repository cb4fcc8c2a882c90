"""The whole way from a frame list to a pair list: a scene with known numbers, resuming, bad input, the command."""
import importlib.util
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from pair_scenes import HEIGHT, WIDTH, camera, plane_scan, scan_entry, shifted, write_frame, write_list

from pretrain3d.converters.batch import SceneError
from pretrain3d.converters.pairs.build import build_pairs
from pretrain3d.converters.pairs.scene import PairOptions
from pretrain3d.converters.pairs.storage import read_frame, read_table
from pretrain3d.files import HOST

ROOT = Path(__file__).resolve().parents[2]
# Thresholds below the 2 cm between pixels of the hand-made plane: a point overlaps and matches itself only.
EXACT = PairOptions(grid=0.02, overlap_voxel=0.02, overlap_radius=0.015, match_radius=0.015, tables='all')


def build(root, options=EXACT, **kwargs):
    return build_pairs(root, root, options=options, quiet=True, **kwargs)


def load(path):
    content = pickle.loads(Path(path).read_bytes())
    return content['metainfo'], content['data_list']


def tool():
    spec = importlib.util.spec_from_file_location('make_frame_pairs', ROOT / 'tools/data/make_frame_pairs.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_plane_seen_by_two_shifted_cameras(tmp_path):
    """16 of 64 columns apart: three quarters overlap, every shared place matches, colours say which pixel it was."""
    write_list(tmp_path, [plane_scan(tmp_path)])
    built = build(tmp_path)
    meta, pairs = load(built.path)
    assert (built.scenes, built.pairs, built.frames, len(pairs)) == (1, 1, 3, 1)
    pair = pairs[0]
    assert pair['frames'] == [0, 25] and pair['num_points'] == [WIDTH * HEIGHT] * 2
    assert pair['shares'] == [0.75, 0.75] and pair['overlap'] == 0.75
    assert pair['table']['matches'] == 48 * HEIGHT
    (xyz0, rgb0, pose0), (xyz1, rgb1, pose1) = (
        read_frame(tmp_path / pair[key]) for key in ('view0_path', 'view1_path'))
    matches = read_table(tmp_path / pair['table']['path'], pair['table'])
    first, second = rgb0[matches[:, 0]].astype(int), rgb1[matches[:, 1]].astype(int)
    assert np.array_equal(first - second, np.tile([16, 0, 0], (48 * HEIGHT, 1)))
    assert len(np.unique(first, axis=0)) == 48 * HEIGHT
    assert np.abs(xyz0[matches[:, 0]] - xyz1[matches[:, 1]]).max() < 1e-5
    np.testing.assert_allclose(xyz0[:, 2], 2.0, atol=1e-6)
    np.testing.assert_allclose(xyz0[:, 0], (rgb0[:, 0] - 31.5) * 0.02, atol=1e-6)
    assert np.array_equal(pose1, shifted(0.32)) and np.array_equal(pose0, np.eye(4))
    assert meta['split'] == 'train' and meta['content'] == 'frame_pairs' and meta['dataset'] == 'scannet'
    assert meta['match_radius'] == 0.015 and meta['min_overlap'] == 0.3 and meta['num_scans'] == 1


def test_all_matches_are_kept_many_to_many(tmp_path):
    """Within 2.5 cm a point meets its own place and its four neighbours 2 cm away."""
    write_list(tmp_path, [plane_scan(tmp_path)])
    _, pairs = load(build(tmp_path, PairOptions(grid=0.02, overlap_voxel=0.02, match_radius=0.025, tables='all')).path)
    same, left, right, below_and_above = 48 * 48, 47 * 48, 49 * 48, 2 * 48 * 47
    assert pairs[0]['table']['matches'] == same + left + right + below_and_above
    assert pairs[0]['table']['queries'] == 49 * 48


def test_overlap_threshold_is_inclusive(tmp_path):
    write_list(tmp_path, [plane_scan(tmp_path, shift=48)])
    assert load(build(tmp_path, PairOptions(**{**vars(EXACT), 'min_overlap': 0.25})).path)[1][0]['overlap'] == 0.25
    with pytest.raises(SceneError, match='no two of 3 frames overlap by 26%'):
        build(tmp_path, PairOptions(**{**vars(EXACT), 'min_overlap': 0.26}))


def test_default_thresholds_against_brute_force(tmp_path):
    rng = np.random.default_rng(0)
    frames = []
    for index in range(5):
        depth = 1500 + 30 * (index % 2) + rng.normal(0, 5, (HEIGHT, WIDTH))
        frames.append(write_frame(tmp_path, 's', index, shifted(0.2 * index, 0.1 * index), depth))
    write_list(tmp_path, [scan_entry('s', frames)])
    _, pairs = load(build(tmp_path, PairOptions(tables='all', dtype='float16')).path)
    found = {tuple(pair['frames']): pair for pair in pairs}
    clouds = [read_frame(tmp_path / f'frame_pairs/s/{index}.npz')[0].astype(np.float64) for index in range(5)]

    def thin(xyz):
        cells = {}
        for row, cell in enumerate(map(tuple, np.floor(xyz / 0.05).astype(int))):
            cells.setdefault(cell, []).append(row)
        return np.array([xyz[rows].mean(0) for rows in cells.values()])

    thinned = [thin(xyz) for xyz in clouds]
    assert 0 < len(found) < 10
    for i in range(5):
        for j in range(i + 1, 5):
            near = np.linalg.norm(thinned[i][:, None] - thinned[j][None], axis=-1) <= 0.075
            shares = [near.any(1).mean(), near.any(0).mean()]
            assert (max(shares) >= 0.3) == ((i, j) in found)
            if (i, j) in found:
                np.testing.assert_allclose(found[i, j]['shares'], shares, atol=1e-12)
                matches = read_table(tmp_path / found[i, j]['table']['path'], found[i, j]['table'])
                distance = ((clouds[i][:, None] - clouds[j][None]) ** 2).sum(-1)
                assert np.array_equal(matches, np.argwhere(distance <= 0.0375 ** 2))


def test_second_run_does_only_what_is_missing(tmp_path, dead_process):
    write_list(tmp_path, [plane_scan(tmp_path, name) for name in ('a', 'b', 'c')])
    first = build(tmp_path)
    info = first.path.read_bytes()
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.glob('frame_pairs/*/*')}
    (tmp_path / 'frame_pairs/b/25.npz').unlink()
    (tmp_path / f'frame_pairs/b/.matches.bin.{HOST}.{dead_process}.partial').write_bytes(b'half')
    (tmp_path / 'frame_pairs/c/record.json').write_text('{"stamp"')
    assert build(tmp_path).path.read_bytes() == info
    after = {path: path.stat().st_mtime_ns for path in tmp_path.glob('frame_pairs/*/*')}
    assert set(after) == set(stamps)
    assert {path.parent.name for path in stamps if after[path] != stamps[path]} == {'b', 'c'}


def test_other_options_or_poses_are_done_again(tmp_path):
    scan = plane_scan(tmp_path)
    write_list(tmp_path, [scan])
    build(tmp_path)
    meta, pairs = load(build(tmp_path, PairOptions(**{**vars(EXACT), 'tables': 'none'})).path)
    assert 'table' not in pairs[0] and meta['tables'] == 'none'
    assert not (tmp_path / 'frame_pairs/scene0000_00/matches.bin').exists()
    scan['frames'][1]['pose'] = shifted(0.16).tolist()
    write_list(tmp_path, [scan])
    assert load(build(tmp_path).path)[1][0]['overlap'] == 56 / 64


def test_processes_do_not_change_a_byte(tmp_path):
    for jobs in (1, 2):
        root = tmp_path / str(jobs)
        write_list(root, [plane_scan(root, name) for name in ('a', 'b')])
        build(root, jobs=jobs)
    files = [path.relative_to(tmp_path / '1') for path in (tmp_path / '1').rglob('*') if path.is_file()]
    assert len(files) > 10
    for file in files:
        assert (tmp_path / '1' / file).read_bytes() == (tmp_path / '2' / file).read_bytes(), file


def test_every_so_many_frames(tmp_path):
    frames = [write_frame(tmp_path, 's', 10 * i, shifted(0.02 * i)) for i in range(5)]
    write_list(tmp_path, [scan_entry('s', frames)])
    _, pairs = load(build(tmp_path, PairOptions(**{**vars(EXACT), 'every': 2})).path)
    assert sorted({index for pair in pairs for index in pair['frames']}) == [0, 20, 40]


def test_bad_frames_and_scans_are_counted_with_reasons(tmp_path, capsys):
    good = plane_scan(tmp_path, 'good')
    good['lost'] = 3
    good['frames'] += [
        write_frame(tmp_path, 'good', 100, None), write_frame(tmp_path, 'good', 101, np.full((4, 4), -np.inf)),
        write_frame(tmp_path, 'good', 102, np.eye(4), np.zeros((HEIGHT, WIDTH))),
        dict(write_frame(tmp_path, 'good', 103, np.eye(4)), depth_path='scans/good/depth/999.png')]
    few = np.zeros((HEIGHT, WIDTH))
    few[:5, :5] = 2000
    good['frames'].append(write_frame(tmp_path, 'good', 104, np.eye(4), few))
    apart = scan_entry('apart', [write_frame(tmp_path, 'apart', i, shifted(9.0 * i)) for i in range(2)])
    lone = scan_entry('lone', [write_frame(tmp_path, 'lone', 0, np.eye(4)), write_frame(tmp_path, 'lone', 1, None)])
    poseless = scan_entry('poseless', [], lost=12)
    blind = scan_entry('blind', [write_frame(tmp_path, 'blind', 0, np.eye(4))], intrinsic_depth=None)
    write_list(tmp_path, [good, apart, lone, poseless, blind])
    assert tool().main([str(tmp_path), '--jobs', '1', '--grid', '0.02']) == 0
    printed = capsys.readouterr().out
    for line in ('good/100: no pose', 'good/101: pose is not finite', 'good/102: depth is empty', 'good/104: only 25',
                 'apart: no two of 2 frames overlap by 30%', 'lone: 1 usable frames; first of 1 skipped frames: 1: no',
                 'poseless: no frame with a pose and both images (12', 'blind: intrinsic_depth is missing',
                 'skipped 4 scans and 5 frames, 3 frames had no pose'):
        assert line in printed, line
    assert '999.png is missing' in printed
    assert {pair['scan'] for pair in load(tmp_path / 'frame_pairs_train.pkl')[1]} == {'good'}


def test_a_skipped_scan_is_not_tried_again(tmp_path):
    apart = scan_entry('apart', [write_frame(tmp_path, 'apart', i, shifted(9.0 * i)) for i in range(2)])
    write_list(tmp_path, [plane_scan(tmp_path), apart])
    for _ in range(2):
        built = build(tmp_path)
        assert built.skipped_scenes == [('apart', 'no two of 2 frames overlap by 30%')]
    assert json.loads((tmp_path / 'frame_pairs/apart/record.json').read_text())['pairs'] == []


def test_only_the_split_asked_for(tmp_path, capsys):
    write_list(tmp_path, [plane_scan(tmp_path, 'a'), plane_scan(tmp_path, 'b')])
    write_list(tmp_path, [plane_scan(tmp_path, 'held_out')], 'val')
    main = tool().main
    assert main([str(tmp_path), '--jobs', '1']) == 0
    assert not (tmp_path / 'frame_pairs_val.pkl').exists() and not (tmp_path / 'frame_pairs/held_out').exists()
    (tmp_path / 'some.txt').write_text('b\n')
    assert main([str(tmp_path), str(tmp_path / 'other'), '--jobs', '1', '--scenes', str(tmp_path / 'some.txt')]) == 0
    assert {pair['scan'] for pair in load(tmp_path / 'other/frame_pairs_train.pkl')[1]} == {'b'}
    (tmp_path / 'some.txt').write_text('b\nheld_out\n')
    capsys.readouterr()
    assert main([str(tmp_path), '--scenes', str(tmp_path / 'some.txt')]) == 1
    assert 'no scan held_out' in capsys.readouterr().err
    assert main([str(tmp_path), '--splits', 'val', '--jobs', '1']) == 0
    assert load(tmp_path / 'frame_pairs_val.pkl')[0]['split'] == 'val'


def test_nothing_to_build_from(tmp_path, capsys):
    main = tool().main

    def refused(*arguments):
        assert main([str(tmp_path), '--jobs', '1', *arguments]) == 1
        return capsys.readouterr().err

    assert 'no info file at all' in refused()
    write_list(tmp_path, [scan_entry('none', [], lost=4)])
    assert 'no pairs in any of 1 scans; first: none: no frame with a pose' in refused()
    write_list(tmp_path, [])
    assert 'lists no scan' in refused()
    path = tmp_path / 'scannet_frames_train.pkl'
    path.write_bytes(pickle.dumps(dict(metainfo=dict(dataset='scannet'), data_list=[])))
    assert 'not of rgbd_frames' in refused()
    path.write_bytes(b'junk')
    assert 'is no frame list' in refused()
    for wrong in (('--grid', '0'), ('--min-overlap', '1.5'), ('--every', '0'), ('--match-radius', '-1')):
        assert wrong[0][2:].replace('-', '_') in refused(*wrong)


def test_cameras_of_a_larger_colour_image(tmp_path):
    """ScanNet's colour images are larger than its depth images and have intrinsics of their own."""
    image = np.zeros((2 * HEIGHT, 2 * WIDTH, 3), np.uint8)
    image[..., 0], image[..., 1] = np.meshgrid(np.arange(2 * WIDTH), np.arange(2 * HEIGHT))
    frames = [write_frame(tmp_path, 's', i, shifted(0.02 * i), image=image) for i in range(2)]
    write_list(tmp_path, [scan_entry('s', frames, intrinsic_color=camera(200.0, 2 * WIDTH, 2 * HEIGHT).tolist())])
    build(tmp_path)
    xyz, rgb, _ = read_frame(tmp_path / 'frame_pairs/s/0.npz')
    # Depth pixel u lies at 2 u + 0.5 of the colour image: either neighbour will do.
    assert np.abs(rgb[:, 0] - (xyz[:, 0] / 0.02 + 31.5) * 2 - 0.5).max() <= 0.51
