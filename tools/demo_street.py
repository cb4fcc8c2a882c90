"""Segment and detect in a drawn street, from files to metrics: ``make demo METHOD=street``.

Draws a world of streets as nuScenes v1.0-mini lies on disk and converts it (once; kept in WORK_DIR/world), then
trains a small sparse U-Net on its lidarseg labels and a small CenterPoint on its boxes, both from scratch through
mmdet3d's own train.py and test.py, on eight scenes. Prints the IoU of every class and nuscenes-devkit's mAP and NDS on
the two other scenes, and writes WORK_DIR/report.html. Drawn streets show that the software works; the scores are no
data set's result.
"""
import argparse
import os
import sys
from pathlib import Path
from typing import Dict, List

import _demo
from _demo import Run
from _demo_recipes import read_recipe, write_config
from _mmdet3d import ROOT, need
from _street_scores import DETECTION, LIDARSEG, print_scores

RECIPES = {LIDARSEG: ROOT / 'configs' / 'nuscenes' / 'spunet_1xb4-street_nuscenes16.py',
           DETECTION: ROOT / 'configs' / 'nuscenes' / 'centerpoint_1xb4-street_nus-3d.py'}
WORLD_SEED = 0
LOGGED = 30  # points of a loss curve, at least
VERSION = 'v1.0-mini'


def parse_args(argv=None) -> argparse.Namespace:
    with _demo.light():
        from pretrain3d.worlds.street.presets import PRESETS
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--preset', choices=list(PRESETS), default='tiny', help='size of the world (default tiny)')
    parser.add_argument('--steps', type=int, default=300, metavar='N',
                        help='batches of the U-Net, at least 2 (default 300)')
    parser.add_argument('--detector-steps', type=int, default=200, metavar='N',
                        help='batches of CenterPoint, at least 2 (default 200); 0: no detector')
    parser.add_argument('--seed', type=int, default=0, help='of initial weights and order (default 0)')
    parser.add_argument('--jobs', type=int, default=os.cpu_count() or 1,
                        help='processes that draw scenes, and trainings at a time')
    parser.add_argument('--work-dir', type=Path, default=ROOT / 'work_dirs' / 'demo_street',
                        help='where world, logs, weights and report go (default work_dirs/demo_street)')
    parser.add_argument('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE',
                        help='overrides of both configs, passed on to mmdet3d')
    args = parser.parse_args(argv)
    for name, least in (('steps', 2), ('detector_steps', 0), ('seed', 0), ('jobs', 1)):
        if getattr(args, name) < least:
            parser.error(f'--{name.replace("_", "-")} must be at least {least}')
    if args.detector_steps == 1:
        parser.error('--detector-steps must be 0 or at least 2')
    return args


def world_of(args: argparse.Namespace) -> Path:
    """Where the world is drawn; it is converted in place."""
    return args.work_dir / 'world' / args.preset


def make_world(args: argparse.Namespace, steps: _demo.Steps) -> List[str]:
    """Draw and convert the world as far as it is not there; returns the commands."""
    world, commands = world_of(args), []
    world.parent.mkdir(parents=True, exist_ok=True)
    scripts = (('make_world.py', ['street', world, '--preset', args.preset, '--seed', WORLD_SEED, '--jobs', args.jobs]),
               ('data/nuscenes.py', [world, '--version', VERSION, '--no-gt-database']),
               ('data/nuscenes_extras.py', [world]))
    for title, some in ((f'drawing the street ({args.preset}, seed {WORLD_SEED})', scripts[:1]),
                        ('converting it', scripts[1:])):
        with steps.step(title):
            for script, arguments in some:
                log = world.with_name(f'{args.preset}_{Path(script).stem}.log')
                _demo.run(script, arguments, log, _demo.environment(), _demo.CountProgress())
                commands.append(_demo.command(script, *arguments))
    return commands


def make_run(kind: str, args: argparse.Namespace, threads=None) -> Run:
    """The training and test of one of ``RECIPES``."""
    recipe, count = RECIPES[kind], args.steps if kind == LIDARSEG else args.detector_steps
    variables = dict(PRETRAIN3D_NUSCENES=str(world_of(args)), PRETRAIN3D_STEPS=str(count))
    if threads is not None:
        variables['OMP_NUM_THREADS'] = str(threads)
    folder = args.work_dir / kind
    run = Run(kind, folder / 'config.py', folder, variables, args.cfg_options)
    values = read_recipe(recipe, variables)
    changed = {'randomness.seed': args.seed, 'default_hooks.logger.interval': max(1, min(
        values['default_hooks']['logger']['interval'], count // LOGGED))}
    if kind == LIDARSEG:
        changed['test_evaluator'] = [values['test_evaluator'],
                                     dict(type='DumpSegmentation', out_dir=str(run.predictions))]
    else:
        changed['test_evaluator.jsonfile_prefix'] = str(run.predictions)
    return write_config(run, recipe, changed)


def make_runs(args: argparse.Namespace, jobs: int) -> Dict[str, Run]:
    """All runs, the long one first."""
    kinds = [DETECTION, LIDARSEG] if args.detector_steps else [LIDARSEG]
    return {kind: make_run(kind, args, _demo.threads_of(jobs)) for kind in kinds}


def demo(args: argparse.Namespace) -> None:
    """All steps; DemoError where one cannot be done."""
    args.work_dir = _demo.make_work_dir(args.work_dir)
    report, steps = args.work_dir / 'report.html', _demo.Steps(4)
    commands = make_world(args, steps)
    jobs = min(args.jobs, 2)
    runs = make_runs(args, jobs)
    with steps.step(f'training on 8 scenes and testing on 2: {" and ".join(runs)}'):
        _demo.together([run.train_and_test for run in runs.values()], jobs)
    print_scores(runs)
    with steps.step('drawing the report'):
        from _street_report import write_report
        write_report(report, args, world_of(args), runs, commands, steps.taken)
    steps.tell_the_end(
        'These are drawn streets: the scores show that the software works from files to metric, and are no '
        'data set\'s result.', report)


def main(argv=None) -> int:
    args = parse_args(argv)
    return _demo.main(lambda: demo(args), 'what was drawn so far is kept, the training starts afresh')


if __name__ == '__main__':
    need('mmdet3d', 'pretrain3d')
    sys.exit(main())
