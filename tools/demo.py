"""Show on drawn rooms what pre-training without labels is for: ``make demo``.

Draws and converts a world of furnished rooms (once; kept in WORK_DIR/world), pairs its RGB-D frames, pre-trains a
sparse U-Net on the pairs with Contrastive Scene Contexts, without labels, then trains the same network to segment with
20 labelled points a scene, from scratch and from the pre-trained weights, through mmdet3d's own train.py and test.py.
Prints the IoU of every class of both and writes WORK_DIR/report.html. Under 15 minutes on two cores. The protocol is
that of docs/scene_contexts.md. Drawn rooms show that the software works; the scores are no dataset's result.
"""
import argparse
import os
import sys
from pathlib import Path
from typing import Dict, List, Optional

import _demo
from _demo import DemoError, Run
from _demo_recipes import read_recipe, write_config
from _mmdet3d import ROOT, need
from _rooms_scores import print_scores

METHOD = ROOT / 'configs' / 'contrastive_scene_contexts'
PRETRAINING = METHOD / 'spunet_1xb4-p8-rooms_scannet-pairs.py'
RECIPES = {'scratch': ROOT / 'configs' / 'scannet' / 'spunet_1xb4-rooms_scannet20.py',
           'pre-trained': METHOD / 'benchmarks' / 'spunet_1xb4-rooms-pretrained_scannet20.py'}
ITERS = 200  # the short schedule of docs/scene_contexts.md
WORLD_SEED = 0
VALIDATIONS = 5  # during training
LOGGED = 30  # points of the loss curve, at least


def parse_args(argv=None) -> argparse.Namespace:
    with _demo.light():
        from pretrain3d.worlds.rooms.presets import PRESETS
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--preset', choices=sorted(PRESETS), default='small', help='size of the world (default small)')
    parser.add_argument('--labels', type=int, default=20, metavar='N',
                        help='labelled points of each training scene (default 20); 0: every point')
    parser.add_argument('--pretrain-iters', type=int, metavar='N',
                        help="steps of the pre-training (default: the recipe's, 400)")
    parser.add_argument('--iters', type=int, default=ITERS, metavar='N',
                        help=f'steps of each training with labels (default {ITERS})')
    parser.add_argument('--seeds', type=int, default=2, metavar='N',
                        help='trainings of each kind, paired: a seed chooses labels, initial weights and order '
                             '(default 2)')
    parser.add_argument('--seed', type=int, default=0, help='the first of them, also of the pre-training (default 0)')
    parser.add_argument('--jobs', type=int, default=os.cpu_count() or 1,
                        help='processes that draw and convert scenes, and trainings with labels at a time')
    parser.add_argument('--work-dir', type=Path, default=ROOT / 'work_dirs' / 'demo',
                        help='where world, logs, weights and report go (default work_dirs/demo)')
    parser.add_argument('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE',
                        help='overrides of the configs with labels, passed on to mmdet3d')
    parser.add_argument('--pretrain-cfg-options', nargs='+', default=[], metavar='KEY=VALUE',
                        help="overrides of the pre-training's config")
    args = parser.parse_args(argv)
    for name, least in (('labels', 0), ('iters', 1), ('pretrain_iters', 1), ('seeds', 1), ('seed', 0), ('jobs', 1)):
        if getattr(args, name) is not None and getattr(args, name) < least:
            parser.error(f'--{name.replace("_", "-")} must be at least {least}')
    return args


def schedule(recipe: dict, iters: int, seed: int) -> Dict[str, object]:
    """What follows from the number of steps and the seed, in every recipe."""
    planned = recipe['train_cfg']['max_iters']
    # Every schedule that ends with the training keeps doing so.
    lowered = [{key: iters if key in ('total_steps', 'T_max', 'end') and value == planned else value
                for key, value in entry.items()} for entry in recipe['param_scheduler']]
    return {
        'randomness.seed': seed,
        'train_cfg.max_iters': iters,
        'param_scheduler': lowered,
        'default_hooks.checkpoint.interval': iters,
        'default_hooks.logger.interval': max(1, min(recipe['default_hooks']['logger']['interval'], iters // LOGGED)),
    }


def settings(args: argparse.Namespace, recipe: dict, seed: int, predictions: Path) -> Dict[str, object]:
    """What the demo changes in a recipe with labels."""
    changed = {
        **schedule(recipe, args.iters, seed),
        'train_dataloader.dataset.limit_seed': seed,
        'train_cfg.val_interval': -(-args.iters // VALIDATIONS),
        'default_hooks.logger.log_metric_by_epoch': False,  # else every validation is logged as step 0
        'test_evaluator': [recipe['test_evaluator'], dict(type='DumpSegmentation', out_dir=str(predictions))],
    }
    if args.labels:
        changed['train_dataloader.dataset.limit_points'] = args.labels
    return changed


def make_pretraining(args: argparse.Namespace, world: Path) -> Run:
    """The run without labels on the frame pairs of the converted ``world``."""
    folder, recipe = args.work_dir / 'pretraining', read_recipe(PRETRAINING)
    run = Run('pre-training', folder / 'config.py', folder, dict(PRETRAIN3D_SCANNET=str(world)),
              args.pretrain_cfg_options)
    return write_config(run, PRETRAINING, schedule(recipe, args.pretrain_iters or recipe['train_cfg']['max_iters'],
                                                   args.seed))


def make_run(kind: str, seed: int, args: argparse.Namespace, world: Path, checkpoint: Optional[Path] = None,
             threads: Optional[int] = None) -> Run:
    """A run with labels on the converted ``world``; ``checkpoint`` of the pre-training, ``threads`` for arithmetic."""
    folder = args.work_dir / kind / f'seed_{seed}'
    variables = dict(PRETRAIN3D_SCANNET=str(world))
    if checkpoint is not None:
        variables['PRETRAIN3D_CHECKPOINT'] = str(checkpoint)
    if threads is not None:
        variables['OMP_NUM_THREADS'] = str(threads)
    run = Run(f'{kind}, seed {seed}', folder / 'config.py', folder, variables, args.cfg_options)
    return write_config(run, RECIPES[kind], settings(args, read_recipe(RECIPES[kind]), seed, run.predictions))


def make_world(args: argparse.Namespace, world: Path, steps: _demo.Steps) -> List[str]:
    """Draw, convert and pair what is missing of the world; returns the commands."""
    commands = []
    logs = args.work_dir / 'world'
    logs.mkdir(parents=True, exist_ok=True)
    for title, script, arguments in (
            (f'drawing the rooms ({args.preset}, seed {WORLD_SEED})', 'make_world.py',
             ['rooms', world, '--preset', args.preset, '--seed', WORLD_SEED, '--jobs', args.jobs]),
            ('converting them', 'data/scannet.py', [world, world, '--frames', 1, '--jobs', args.jobs]),
            ('pairing their frames', 'data/make_frame_pairs.py',
             [world, '--tables', 'none', '--jobs', args.jobs])):
        with steps.step(title):
            log = logs / f'{args.preset}_{Path(script).stem}.log'
            _demo.run(script, arguments, log, _demo.environment(), _demo.CountProgress())
        commands.append(_demo.command(script, *arguments))
    return commands


def make_runs(args: argparse.Namespace, world: Path, checkpoint: Path, jobs: int) -> Dict[str, List[Run]]:
    """The runs with labels, of each kind one for every seed. Those at work together share the cores."""
    threads = _demo.threads_of(jobs)
    return {kind: [make_run(kind, args.seed + number, args, world, checkpoint if kind != 'scratch' else None, threads)
                   for number in range(args.seeds)] for kind in RECIPES}


def demo(args: argparse.Namespace) -> None:
    """All steps; DemoError where one cannot be done."""
    args.work_dir = _demo.make_work_dir(args.work_dir)
    world, report, steps = args.work_dir / 'world' / args.preset, args.work_dir / 'report.html', _demo.Steps(6)
    commands = make_world(args, world, steps)
    pretraining = make_pretraining(args, world)
    with steps.step('pre-training on pairs of frames, without labels'):
        pretraining.train()
    jobs = min(args.jobs, len(RECIPES) * args.seeds)
    runs = make_runs(args, world, _demo.checkpoint_of(pretraining.folder / 'train'), jobs)
    with steps.step(f'training from scratch and from the pre-trained weights, {args.labels or "all"} labels a scene, '
                    f'{args.seeds} of each, and testing'):
        # Seed by seed, so that pairs run side by side.
        _demo.together([run.train_and_test for pair in zip(*runs.values()) for run in pair], jobs)
    print_scores(runs, range(args.seed, args.seed + args.seeds))
    with steps.step('drawing the report'):
        from _rooms_report import write_report
        write_report(report, args, world, pretraining, runs, commands, steps.taken)
    steps.tell_the_end(
        'These are drawn rooms: the scores show that the software works from files to metric, and are no '
        'dataset\'s result.', report)


def main(argv=None) -> int:
    args = parse_args(argv)
    return _demo.main(lambda: demo(args), 'what was drawn so far is kept, the training starts afresh')


if __name__ == '__main__':
    need('mmdet3d', 'pretrain3d')
    sys.exit(main())
