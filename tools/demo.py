"""Draw a small world of furnished rooms, teach a segmentor on it with few labels, show what it learnt: ``make demo``.

Draws and converts the world (once; kept in WORK_DIR/world), trains a sparse U-Net from scratch through mmdet3d's own
train.py with 20 labelled points a scene, tests it through mmdet3d's test.py, prints the IoU of every class and writes
WORK_DIR/report.html. Under 10 minutes on two cores. Drawn rooms show that the software works; the scores are no
dataset's result.
"""
import argparse
import os
import sys
from pathlib import Path
from typing import Dict, List

import _demo
from _demo import DemoError, Run
from _mmdet3d import ROOT
from _sweep_spec import SweepError, child_config, write

RECIPE = ROOT / 'configs' / 'scannet' / 'spunet_1xb4-rooms_scannet20.py'
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
    parser.add_argument('--iters', type=int, metavar='N', help="training steps (default: the recipe's)")
    parser.add_argument('--seed', type=int, default=0, help='of the labelled points and of the training (default 0)')
    parser.add_argument('--jobs', type=int, default=os.cpu_count() or 1, help='processes that draw and convert scenes')
    parser.add_argument('--work-dir', type=Path, default=ROOT / 'work_dirs' / 'demo',
                        help='where world, logs, weights and report go (default work_dirs/demo)')
    parser.add_argument('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE',
                        help='overrides of the config, passed on to mmdet3d')
    args = parser.parse_args(argv)
    for name, least in (('labels', 0), ('iters', 1), ('seed', 0), ('jobs', 1)):
        if getattr(args, name) is not None and getattr(args, name) < least:
            parser.error(f'--{name} must be at least {least}')
    return args


def settings(args: argparse.Namespace, predictions: Path) -> Dict[str, object]:
    """What the demo changes in the recipe."""
    from mmengine.config import Config
    recipe = Config.fromfile(str(RECIPE), import_custom_modules=False)._cfg_dict.to_dict()
    planned = recipe['train_cfg']['max_iters']
    iters = args.iters or planned
    # Every schedule that ends with the training keeps doing so.
    schedule = [{key: iters if key in ('total_steps', 'T_max', 'end') and value == planned else value
                 for key, value in entry.items()} for entry in recipe['param_scheduler']]
    changed = {
        'randomness.seed': args.seed,
        'train_dataloader.dataset.limit_seed': args.seed,
        'train_cfg.max_iters': iters,
        'train_cfg.val_interval': -(-iters // VALIDATIONS),
        'param_scheduler': schedule,
        'default_hooks.checkpoint.interval': iters,
        'default_hooks.logger.interval': max(1, min(recipe['default_hooks']['logger']['interval'], iters // LOGGED)),
        'default_hooks.logger.log_metric_by_epoch': False,  # else every validation is logged as step 0
        'test_evaluator': [recipe['test_evaluator'], dict(type='DumpSegmentation', out_dir=str(predictions))],
    }
    if args.labels:
        changed['train_dataloader.dataset.limit_points'] = args.labels
    return changed


def make_run(name: str, args: argparse.Namespace, world: Path) -> Run:
    """Write the config of a run on the converted ``world``."""
    folder = args.work_dir / name
    folder.mkdir(parents=True, exist_ok=True)
    run = Run(name, folder / 'config.py', folder, dict(PRETRAIN3D_SCANNET=str(world)), args.cfg_options)
    try:
        write(run.config, child_config(str(RECIPE), settings(args, run.predictions)))
    except SweepError as error:
        raise DemoError(str(error)) from error
    return run


def make_world(args: argparse.Namespace, world: Path, steps: _demo.Steps) -> List[str]:
    """Draw and convert what is missing of the world; returns the commands."""
    commands = []
    logs = args.work_dir / 'world'
    logs.mkdir(parents=True, exist_ok=True)
    for title, script, arguments in (
            (f'drawing the rooms ({args.preset}, seed {WORLD_SEED})', 'make_world.py',
             ['rooms', world, '--preset', args.preset, '--seed', WORLD_SEED, '--jobs', args.jobs]),
            ('converting them', 'data/scannet.py', [world, world, '--jobs', args.jobs])):
        with steps.step(title):
            log = logs / f'{args.preset}_{Path(script).stem}.log'
            _demo.run(script, arguments, log, _demo.environment(), _demo.CountProgress())
        commands.append(_demo.command(script, *arguments))
    return commands


def print_scores(scores: Dict[str, float]) -> None:
    """IoU of every class and their mean, on every vertex."""
    with _demo.light():
        from pretrain3d.pictures.segmentation import SPACE, by_class
    print()
    for index, iou in sorted(by_class(scores, 'vertex').items(), key=lambda pair: -pair[1]):
        print(f'  {SPACE.classes[index]:<{max(map(len, SPACE.classes))}}  {iou:.3f}  {"#" * round(40 * iou)}')
    print(f'\nmean IoU {scores["miou/vertex"]:.3f} over every vertex, {scores["miou/voxel"]:.3f} over voxels; '
          f'{100 * scores["allacc/vertex"]:.0f} % of the vertices right')


def demo(args: argparse.Namespace) -> None:
    """All steps; DemoError where one cannot be done."""
    _demo.check_installed()
    args.work_dir = args.work_dir.resolve()
    try:
        args.work_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DemoError(f'--work-dir {args.work_dir} cannot be made: {error.strerror}') from error
    world, report, steps = args.work_dir / 'world' / args.preset, args.work_dir / 'report.html', _demo.Steps(5)
    commands = make_world(args, world, steps)
    run = make_run('scratch', args, world)
    with steps.step(f'training from scratch, {args.labels or "all"} labels a scene'):
        run.train()
    with steps.step('testing'):
        run.test()
    print_scores(run.scores)
    with steps.step('drawing the report'):
        from _rooms_report import write_report
        write_report(report, args, world, [run], commands, steps.taken)
    total = sum(seconds for _, seconds in steps.taken)
    print('These are drawn rooms: the scores show that the software works from files to metric, and are no dataset\'s '
          f'result.\nreport: {report}\nlogs and weights: {run.folder}\ntook {total:.0f} s')


def main(argv=None) -> int:
    args = parse_args(argv)
    return _demo.main(lambda: demo(args), 'the rooms drawn so far are kept, the training starts afresh')


if __name__ == '__main__':
    sys.exit(main())
