#!/usr/bin/env python
"""Choose the vertices of every scan that are worth labelling, and count the objects that they reach.

    python tools/active_label.py select --data data/rooms --out work_dirs/active/act \
        --config configs/contrastive_scene_contexts/spunet_1xb4-p8-rooms_scannet-pairs.py --checkpoint pretrained.pth
    python tools/active_label.py select --data data/rooms --out work_dirs/active/colour --features xyz_rgb
    python tools/active_label.py select --data data/rooms --out 'work_dirs/active/random_seed{seed}' --method random \
        --seed 0 1 2 3 4
    python tools/active_label.py coverage --data data/rooms --out work_dirs/active/coverage \
        active=work_dirs/active/act 'xyz + rgb=work_dirs/active/colour' 'random=work_dirs/active/random_seed*'

`select` writes OUT/points20.npz ... points200.npz (scan -> vertices, what limit_points of the training set reads) and
OUT/manifest.json. By default it does what the paper describes: k-means on [encoder features, xyz], unscaled, one start,
at most 50 iterations, and the vertex next to each centroid. The released code joins [features, xyz, rgb of 0 ... 255]
and starts from the first K vertices: --features features_xyz_rgb --init first-k. No labels are needed. Stop it and run
it again: scans that are done are kept in OUT/parts.

One list of a scan of 150 000 vertices, 99 numbers each: 10 s on one core for K = 200, 1 s for K = 20, with a peak of
0.5 GB; fitted to 30 000 of the vertices (--fit-vertices 30000) 2.5 s and 0.2 s. --jobs does several scans at a time.

`coverage` takes NAME=FOLDER of lists (a pattern: repetitions, shown as mean and standard deviation) and writes
OUT/coverage.md, coverage.json and coverage.png: distinct objects that have a labelled vertex, summed over all scans,
over all objects (Figure 7). Wall and floor do not count, unless --stuff says so.
"""
import argparse
import glob
import json
import os
import sys
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Callable, Deque, Dict, List, Optional, Tuple

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from _mmdet3d import find_pretrain3d  # noqa: E402

FEATURES = ('features_xyz', 'features', 'features_xyz_rgb', 'xyz_rgb', 'xyz')


def parse_args(argv=None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest='command', required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument('--data', type=Path, required=True, help='converted ScanNet, real or drawn')
    common.add_argument('--split', default='train', help='default: train')
    common.add_argument('--out', required=True, help='folder to write; {seed} in it is the seed')
    select = commands.add_parser('select', parents=[common], help='choose vertices')
    select.add_argument('--points', type=int, nargs='+', default=[20, 50, 100, 200], help='labels per scan')
    select.add_argument('--seed', type=int, nargs='+', default=[0], help='one set of lists each (default: 0)')
    select.add_argument('--method', choices=['kmeans', 'random'], default='kmeans')
    select.add_argument('--features', choices=FEATURES, default='features_xyz', help='what k-means sees; features are '
                        'the encoder\'s, xyz metres, rgb 0 ... 255 (default: features_xyz)')
    select.add_argument('--scale', choices=['none', 'zscore'], default='none', help='zscore: features, xyz and rgb '
                        'weigh the same, each as a whole; none: the largest numbers decide (default)')
    select.add_argument('--init', choices=['k-means++', 'random', 'first-k'], default='k-means++')
    select.add_argument('--n-init', type=int, default=1, help='starts, of which the tightest counts (default: 1)')
    select.add_argument('--iterations', type=int, default=50, help='most of a fit (default: 50)')
    select.add_argument('--fit-vertices', type=int, help='fit to so many random vertices of a scan (default: all)')
    select.add_argument('--config', help='recipe of the encoder')
    select.add_argument('--checkpoint', help='its weights; read as data only')
    select.add_argument('--source', help='module path of the encoder in the checkpoint (default: as in the config)')
    select.add_argument('--device', help='cpu or cuda (default: cuda where there is one)')
    select.add_argument('--jobs', type=int, default=1, help='scans at a time for k-means (default: 1)')
    coverage = commands.add_parser('coverage', parents=[common], help='count the objects that lists reach')
    coverage.add_argument('lists', nargs='+', metavar='NAME=FOLDER', help='folder that select wrote, or a pattern of '
                          'several: repetitions')
    coverage.add_argument('--stuff', action='store_true', help='count wall and floor as objects')
    args = parser.parse_args(argv)
    if args.command == 'select':
        check_select(parser, args)
    return args


def check_select(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Refuse what contradicts itself."""
    numbers = [*args.points, args.n_init, args.iterations, args.jobs, 1 if args.fit_vertices is None
               else args.fit_vertices]
    if min(numbers) < 1:
        parser.error('--points, --n-init, --iterations, --fit-vertices and --jobs are at least 1')
    if len(set(args.seed)) > 1 and '{seed}' not in args.out:
        parser.error("with several seeds --out needs {seed}, e.g. 'work_dirs/active/act_seed{seed}'")
    encoder = args.method == 'kmeans' and 'features' in args.features
    if encoder and not (args.config and args.checkpoint):
        parser.error(f'--features {args.features} needs --config and --checkpoint; without an encoder there are '
                     '--features xyz_rgb and --method random')
    if not encoder and (args.config or args.checkpoint):
        parser.error('--config and --checkpoint are not used by --method random and --features xyz_rgb: leave them out')


def load_encoder(args: argparse.Namespace):
    """The encoder with its weights, and what the manifest says of it."""
    import torch
    from mmengine.config import Config

    from _active_lists import sha256
    from pretrain3d.contrastive_scene_contexts.vertex_features import VertexFeatures
    from pretrain3d.engine.weights import load_weights
    device = args.device or ('cuda' if torch.cuda.is_available() else 'cpu')
    cfg = Config.fromfile(args.config)
    encoder = VertexFeatures(cfg, args.data, device)
    name = encoder.encoder_name
    load_weights(encoder.model, args.checkpoint, source=name if args.source is None else args.source, target=name,
                 min_matched=1.)
    plain = json.loads(json.dumps(dict(model=cfg.model.to_dict(), pipeline=encoder.steps)))
    return encoder, dict(config=os.path.abspath(args.config), checkpoint=os.path.abspath(args.checkpoint),
                         checkpoint_sha256=sha256(args.checkpoint), **plain)


def chooser(args: argparse.Namespace, seed: int) -> Callable:
    """Function (scan, features) -> {labels: vertices} of a seed, for the counts it is asked for."""
    from pretrain3d.contrastive_scene_contexts import active_labelling as active
    from pretrain3d.datasets.scannet_lists import scan_rng

    def choose(scan, features, counts: List[int]) -> Dict[int, object]:
        points = scan.points()
        if args.method == 'random':
            return {count: active.choose_random(len(points), count, scan_rng(scan.name, seed)) for count in counts}
        blocks = dict(xyz=points[:, :3], rgb=points[:, 3:])
        if features is not None:
            blocks['features'] = features
        try:
            space = active.joint_space(blocks, args.features, args.scale)
        except ValueError as error:
            raise ValueError(f'{scan.name}: {error}') from None
        return {count: active.choose_by_kmeans(space, count, scan_rng(scan.name, seed), args.init, args.n_init,
                                               args.iterations, args.fit_vertices) for count in counts}
    return choose


def select(args: argparse.Namespace) -> int:
    """Make the lists; returns the exit status."""
    from threadpoolctl import threadpool_limits

    from _active_lists import ListFolder, read_scans
    scans = read_scans(args.data, args.split)
    encoder, settings = None, {}
    if args.method == 'kmeans':
        settings = {name: getattr(args, name) for name in ('features', 'scale', 'init', 'n_init', 'iterations',
                                                           'fit_vertices')}
        if 'features' in args.features:
            encoder, described = load_encoder(args)
            settings.update(described)
    settings.update(method=args.method, data=str(args.data.resolve()), split=args.split)
    seeds = sorted(set(args.seed))
    folders = [ListFolder(Path(args.out.replace('{seed}', str(seed))), dict(settings, seed=seed)) for seed in seeds]
    work = [(folder, chooser(args, seed)) for folder, seed in zip(folders, seeds)]
    # Inner limits of scikit-learn's are set and lifted by several threads at once; this one stays.
    with threadpool_limits(1, 'blas'), ThreadPoolExecutor(args.jobs) as pool:
        choose_all(scans, sorted(set(args.points)), encoder, work, pool, args.jobs)
    for folder in folders:
        short = folder.finish(scans, sorted(set(args.points)))
        for count, names in short.items():
            if names:
                print(f'{folder.path}/points{count}.npz: {len(names)} scans have fewer vertices and are labelled '
                      f'whole, first {names[0]}')
        print(f'{folder.path}: {", ".join(f"points{count}.npz" for count in short)} for {len(scans)} scans')
    return 0


def choose_all(scans: list, counts: List[int], encoder: Optional[Callable], work: List[Tuple],
               pool: ThreadPoolExecutor, jobs: int) -> None:
    """Do what is missing, scan by scan: features here, k-means in the pool, at most two scans per job in memory."""
    started = time.time()
    pending: Deque[List[Future]] = deque()
    settled = 0

    def settle() -> None:
        nonlocal settled
        for future in pending.popleft():
            future.result()
        settled += 1
        left = (time.time() - started) / settled * (len(scans) - settled)
        print(f'\r{settled}/{len(scans)} scans, {left:.0f} s left ', end='', file=sys.stderr, flush=True)

    def one(folder, choose: Callable, scan, features, missing: List[int]) -> None:
        folder.add(scan, choose(scan, features, missing))

    try:
        for scan in scans:
            missing = []
            for folder, choose in work:
                done = folder.part(scan)
                missing.append((folder, choose, [count for count in counts if count not in done]))
            features = encoder(scan.file) if encoder is not None and any(each[2] for each in missing) else None
            pending.append([pool.submit(one, folder, choose, scan, features, left)
                            for folder, choose, left in missing if left])
            while len(pending) > 2 * jobs:
                settle()
        while pending:
            settle()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    finally:
        print(file=sys.stderr)


def named_folders(lists: List[str]) -> List[Tuple[str, Path]]:
    """(method, folder) of the command line's NAME=FOLDER, patterns resolved."""
    from _active_lists import ActiveLabelError
    found: List[Tuple[str, Path]] = []
    for text in lists:
        name, _, pattern = text.partition('=')
        folders = [Path(path) for path in sorted(glob.glob(pattern)) if os.path.isdir(path)]
        if not folders:
            raise ActiveLabelError(f'{text!r} names no folder; write NAME=FOLDER, where a pattern such as '
                                   "'random=work_dirs/active/random_seed*' names repetitions")
        found += [(name, folder) for folder in folders]
    return found


def coverage(args: argparse.Namespace) -> int:
    """Count, print and draw; returns the exit status."""
    from _active_coverage import count_objects, markdown, plot
    from _active_lists import read_scans
    from pretrain3d.files import write_atomic
    scans = read_scans(args.data, args.split)
    hits, total, unlabelled = count_objects(scans, named_folders(args.lists), args.stuff)
    counted = 'wall and floor included' if args.stuff else 'without wall and floor'
    about = f'{total} objects, {counted}, of {len(scans) - unlabelled} scans of {args.split}'
    if unlabelled:
        about += f'; {unlabelled} scans without labels left out'
    out = Path(args.out)
    table = f'{about}\n\n{markdown(hits, total)}'
    write_atomic(out / 'coverage.md', table.encode())
    write_atomic(out / 'coverage.json', json.dumps(dict(
        data=str(args.data), split=args.split, stuff=args.stuff, objects=total, unlabelled_scans=unlabelled,
        hits=hits), indent=1).encode())
    plot(hits, total, out / 'coverage.png', about)
    print(table)
    return 0


def main(argv=None) -> int:
    """Run the command line."""
    args = parse_args(argv)
    for path in filter(None, (getattr(args, 'config', None), getattr(args, 'checkpoint', None))):
        if not os.path.isfile(path):  # before mmdet3d is imported, which takes ten seconds
            print(f'active_label: {path} does not exist', file=sys.stderr)
            return 1
    find_pretrain3d()
    from _active_lists import ActiveLabelError
    from pretrain3d.engine.weights import WeightsError
    try:
        return select(args) if args.command == 'select' else coverage(args)
    except (ActiveLabelError, WeightsError, OSError, ValueError, KeyError) as error:
        print(f'active_label: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('active_label: stopped; run the same command to go on', file=sys.stderr)
        return 130


if __name__ == '__main__':
    sys.exit(main())
