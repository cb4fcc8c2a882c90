"""Show on drawn data sets what prompts for each data set are for: ``make demo METHOD=ppt``.

Draws and converts three worlds that differ in sensor, furniture and label set, as ScanNet, S3DIS and Structured3D lie
on disk (once; kept in WORK_DIR/world), then trains the same sparse U-Net through mmdet3d's own train.py and test.py on
each alone, on all three naively, and on all three with Point Prompt Training. Prints the mean IoU of each data set and
writes WORK_DIR/report.html. The protocol is that of docs/negative_transfer.md, which has five seeds. Drawn rooms show
that the software works; the scores are no data set's result.
"""
import argparse
import os
import sys
from pathlib import Path
from typing import Dict, List

import _demo
from _demo import Run
from _demo_recipes import read_recipe, write_config
from _domain_scores import DOMAINS, JOINT, NAIVE, PPT, Runs, print_scores
from _mmdet3d import ROOT, need

METHOD = ROOT / 'configs' / 'point_prompt_training'
RECIPES = {NAIVE: METHOD / 'spunet_1xb4-naive-rooms_indoor.py', PPT: METHOD / 'spunet_1xb4-rooms_indoor.py'}
STEPS, LABELS = 200, 200  # of docs/negative_transfer.md
WORLD_SEED = 0
LOGGED = 30  # points of the loss curve, at least


def parse_args(argv=None) -> argparse.Namespace:
    with _demo.light():
        from pretrain3d.worlds.rooms.presets import PRESETS
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--preset', choices=sorted(PRESETS), default='small', help='size of each world (default small)')
    parser.add_argument('--labels', type=int, default=LABELS, metavar='N',
                        help=f'labelled points of each training room (default {LABELS}); 0: every point')
    parser.add_argument('--steps', type=int, default=STEPS, metavar='N',
                        help=f'batches of each data set in every training, at least 2 (default {STEPS})')
    parser.add_argument('--seeds', type=int, default=1, metavar='N',
                        help='trainings of each kind, paired: a seed chooses labels, initial weights and order '
                             '(default 1)')
    parser.add_argument('--seed', type=int, default=0, help='the first of them (default 0)')
    parser.add_argument('--jobs', type=int, default=os.cpu_count() or 1,
                        help='processes that draw and convert rooms, and trainings at a time')
    parser.add_argument('--work-dir', type=Path, default=ROOT / 'work_dirs' / 'demo_ppt',
                        help='where worlds, logs, weights and report go (default work_dirs/demo_ppt)')
    parser.add_argument('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE',
                        help='overrides of all configs, passed on to mmdet3d')
    args = parser.parse_args(argv)
    for name, least in (('labels', 0), ('steps', 2), ('seeds', 1), ('seed', 0), ('jobs', 1)):
        if getattr(args, name) < least:
            parser.error(f'--{name} must be at least {least}')
    return args


def make_worlds(args: argparse.Namespace, steps: _demo.Steps) -> List[str]:
    """Draw and convert what is missing of the worlds; returns the commands."""
    commands = []
    logs = args.work_dir / 'world'
    logs.mkdir(parents=True, exist_ok=True)
    for title, at in (('drawing the rooms', 0), ('converting them', 1)):
        with steps.step(f'{title} ({args.preset}, seed {WORLD_SEED})'):
            for name, (variant, _) in DOMAINS.items():
                drawn, converted = folders(args, name)
                script, arguments = (
                    ('make_world.py', ['rooms', drawn, '--as', variant, '--preset', args.preset, '--seed', WORLD_SEED]),
                    (f'data/{variant}.py', [drawn, converted]))[at]
                print(f'  as {name}', flush=True)
                arguments += ['--jobs', args.jobs]
                log = logs / f'{args.preset}_{variant}_{Path(script).stem}.log'
                _demo.run(script, arguments, log, _demo.environment(), _demo.CountProgress())
                commands.append(_demo.command(script, *arguments))
    return commands


def folders(args: argparse.Namespace, name: str) -> tuple:
    """Where the world of a domain is drawn, and where it is converted."""
    drawn = args.work_dir / 'world' / args.preset / DOMAINS[name][0]
    return drawn, drawn.with_name(f'{drawn.name}_converted')


def make_run(kind: str, seed: int, args: argparse.Namespace, threads=None) -> Run:
    """A training and its test: of one domain, whose name is the kind, or of all (``JOINT``)."""
    recipe, trained = RECIPES.get(kind, RECIPES[NAIVE]), list(DOMAINS) if kind in JOINT else [kind]
    variables = {variable: str(folders(args, name)[1]) for name, (_, variable) in DOMAINS.items() if name in trained}
    variables.update(
        PRETRAIN3D_DOMAINS=','.join(f'{name}=1' for name in trained),
        PRETRAIN3D_STEPS=str(args.steps * len(trained)),
        PRETRAIN3D_LABELS=str(args.labels),
        PRETRAIN3D_LABEL_SEED=str(seed))
    if threads is not None:
        variables['OMP_NUM_THREADS'] = str(threads)
    title = kind if kind in JOINT else f'{kind} alone'
    folder = args.work_dir / title.replace(' ', '_') / f'seed_{seed}'
    run = Run(f'{title}, seed {seed}', folder / 'config.py', folder, variables, args.cfg_options)
    values = read_recipe(recipe, variables)
    interval = min(values['default_hooks']['logger']['interval'], args.steps * len(trained) // LOGGED)
    return write_config(run, recipe, {
        'randomness.seed': seed,
        'default_hooks.logger.interval': max(1, interval),
        'test_evaluator': [values['test_evaluator'], dict(
            type='DumpSegmentation', out_dir=str(run.predictions), label_spaces=values['label_spaces'])],
    })


def make_runs(args: argparse.Namespace, jobs: int) -> Runs:
    """All runs, of each kind one for every seed; the long ones first, so that the cores stay busy to the end."""
    threads = _demo.threads_of(jobs)
    return {kind: [make_run(kind, args.seed + number, args, threads) for number in range(args.seeds)]
            for kind in (*JOINT, *DOMAINS)}


def demo(args: argparse.Namespace) -> None:
    """All steps; DemoError where one cannot be done."""
    args.work_dir = _demo.make_work_dir(args.work_dir)
    report, steps = args.work_dir / 'report.html', _demo.Steps(4)
    commands = make_worlds(args, steps)
    jobs = min(args.jobs, args.seeds * (len(DOMAINS) + len(JOINT)))
    runs = make_runs(args, jobs)
    with steps.step(f'training on each data set alone, on all naively, and on all with prompts, '
                    f'{args.labels or "all"} labels a room, {args.seeds} of each, and testing'):
        _demo.together([run.train_and_test for group in runs.values() for run in group], jobs)
    print_scores(runs, range(args.seed, args.seed + args.seeds))
    with steps.step('drawing the report'):
        from _domains_report import write_report
        worlds: Dict[str, Path] = {name: folders(args, name)[1] for name in DOMAINS}
        write_report(report, args, worlds, runs, commands, steps.taken)
    steps.tell_the_end(
        'These are drawn rooms: the scores show that the software works from files to metric, and are no '
        'data set\'s result.', report)


def main(argv=None) -> int:
    args = parse_args(argv)
    return _demo.main(lambda: demo(args), 'what was drawn so far is kept, the training starts afresh')


if __name__ == '__main__':
    need('mmdet3d', 'pretrain3d')
    sys.exit(main())
