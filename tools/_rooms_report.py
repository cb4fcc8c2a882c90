"""The report of the rooms demo: scores, pre-training, scenes beside truth and predictions, classes, what was run."""
import argparse
import datetime
import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Dict, List, Mapping, Sequence, Tuple

import _contexts_report
import _demo
import numpy as np
from _mmdet3d import stand_in_for_mmcv
from _rooms_scores import FIVE_SEEDS, KEY, differences, means, spread

with _demo.light():
    import pretrain3d
    from pretrain3d.converters.batch import SceneError
    from pretrain3d.pictures import report, segmentation
    from pretrain3d.pictures.charts import Series, line_chart
    from pretrain3d.pictures.scans import SPACE, Converted

SCENES = 3
PACKAGES = ('torch', 'mmengine', 'mmcv', 'mmcv-lite', 'mmdet', 'mmdet3d', 'spconv-cu120', 'pretrain3d')
DRAWN = ('These rooms are drawn by a program. The scores show that the software works from the files to the metric; '
         "they are no dataset's result, and what holds on drawn rooms may not hold on real ones.")
Runs = Mapping[str, Sequence[_demo.Run]]  # kind -> its runs, seed by seed
Predictions = Dict[str, Dict[str, np.ndarray]]  # kind -> scan -> (V,) classes


def write_report(path: Path, args: argparse.Namespace, world: Path, pretraining: _demo.Run, runs: Runs,
                 commands: Sequence[str], taken: Sequence[Tuple[str, float]]) -> None:
    """Write the page.

    Args:
        path: of the HTML file. args: of the demo. world: converted and paired. pretraining: done. runs: trained and
        tested; of the first seed scenes are shown. commands: before those of the runs. taken: (step, seconds) so far.

    Raises:
        DemoError: scans, pairs or predictions cannot be read.
    """
    try:
        with _demo.quiet(args.work_dir / 'report.log'):
            # The stack's mends come before everything that imports it.
            stand_in_for_mmcv()
            pretrain3d.register_all()
            parts = _parts(args, world, pretraining, runs, commands, taken)
        report.write_page(path, report.page('Pre-trained without labels, taught with few', *parts))
    except (OSError, ValueError, SceneError) as error:
        raise _demo.DemoError(f'the report cannot be written: {error}') from error


def _parts(args: argparse.Namespace, world: Path, pretraining: _demo.Run, runs: Runs, commands: Sequence[str],
           taken: Sequence[Tuple[str, float]]) -> List[report.Html]:
    source = Converted(world)
    names = {split: sorted(name for name, entry in source.entries.items() if entry[0] == split)
             for split in ('train', 'val')}
    truth = {name: source.read(name).label for name in names['val']}
    predictions = {kind: read_predictions(source, names['val'], group[0].predictions) for kind, group in runs.items()}
    parts = [report.paragraph(DRAWN, 'warning'), headline(args, runs, names, taken), by_seed(args, runs),
             _contexts_report.pairs(world, pretraining),
             _contexts_report.cells(source, names['train'][0], pretraining), _contexts_report.curves(pretraining),
             _contexts_report.features(source, some(names['val'])[-2:], pretraining, world, args.seed)]
    if args.labels:
        parts.append(taught(source, names['train'], args))
    return parts + [scenes(source, names['val'], predictions, args.seed), curves(runs),
                    classes(runs, truth, predictions),
                    what_was_run(f'preset {args.preset}, seeds {args.seed} to {args.seed + args.seeds - 1}',
                                 [pretraining, *(run for group in runs.values() for run in group)],
                                 [pretraining, *(group[0] for group in runs.values())], commands, taken)]


def read_predictions(source, names: Sequence[str], folder: Path) -> Dict[str, np.ndarray]:
    """Predicted classes of the scans ``names`` of a source (``open_scans``), checked against them."""
    found = {}
    for name in names:
        file = folder / f'{name}.npy'
        if not file.is_file():
            raise SceneError(f'{file} is missing: test.py did not predict this scan')
        found[name] = segmentation.check_prediction(source.read(name), np.load(file), file)
    return found


def some(names: Sequence[str]) -> List[str]:
    """``SCENES`` of the names, from first to last."""
    picks = np.unique(np.linspace(0, len(names) - 1, min(SCENES, len(names))).round().astype(int))
    return [names[pick] for pick in picks]


def headline(args: argparse.Namespace, runs: Runs, names: Dict[str, List[str]],
             taken: Sequence[Tuple[str, float]]) -> report.Html:
    """What was done, in a paragraph and a row of numbers."""
    given = f'{args.labels} labelled points' if args.labels else 'every point labelled'
    told = report.paragraph(
        f'A sparse U-Net learnt from pairs of RGB-D frames of {len(names["train"])} drawn rooms, without labels, which '
        'points are the same place (Contrastive Scene Contexts). Then it was trained to segment these rooms with '
        f"{given} in each, through mmdet3d's own train.py, and beside it the same network from scratch with the same "
        f'labels. Both were tested on every vertex of {len(names["val"])} rooms that neither had seen.')
    minutes = sum(seconds for _, seconds in taken) / 60
    of_seeds = f', over {args.seeds} seeds' if args.seeds > 1 else ''
    return report.join([told, report.facts([
        *((f'{scores[KEY]:.3f}', f'mean IoU, {kind}{of_seeds}') for kind, scores in means(runs).items()),
        (f'{np.mean(differences(runs)):+.3f}', f'paired difference{of_seeds}'),
        (f'{minutes:.1f} min', 'from drawing to testing'),
    ])])


def by_seed(args: argparse.Namespace, runs: Runs) -> report.Html:
    """The table of seeds, with the paired differences."""
    rows = [(f'{args.seed + number}', *(f'{run.scores[KEY]:.3f}' for run in each), f'{change:+.3f}')
            for number, (each, change) in enumerate(zip(zip(*runs.values()), differences(runs)))]
    rows.append(('mean', *(spread([run.scores[KEY] for run in group]) for group in runs.values()),
                 spread(differences(runs), '+.3f')))
    few = (f'Pre-training was run once, with seed {args.seed}; a seed of the table chooses the labelled points, the '
           'initial weights and the order of training. In brackets: smallest and largest. So few runs are no proof; '
           f'the table of five seeds, each with its own pre-training, with intervals, is in {FIVE_SEEDS}.')
    return report.join([report.table(('seed', *(f'mean IoU, {kind}' for kind in runs), 'difference'), rows, totals=1),
                        report.paragraph(few, 'note')])


def taught(source: Converted, names: Sequence[str], args: argparse.Namespace) -> report.Html:
    """Some training scenes with the points whose labels the network was told."""
    from pretrain3d.datasets.scannet_lists import choose_points, scan_rng
    figures = []
    for name in some(names):
        scan = source.read(name)
        instance = source.array('instance_mask', f'{name}.bin', np.int64, 1)[:, 0]
        rows = choose_points(scan.label, instance, args.labels, SPACE.ignore_index, scan_rng(name, args.seed))
        caption = f'{name}: {len(rows)} of {len(scan.label):,} points have a label'
        figures.append(report.picture(segmentation.SceneDrawing.of(scan).labelled(rows), caption))
    return report.section(
        'What it was told', report.paragraph(f'Training rooms with the labels of seed {args.seed}, for both networks. '
                                             'Dots are the labelled points in the colours of their classes, rings '
                                             'those hidden from this side.'),
        report.gallery(figures, SCENES))


def scenes(source: Converted, names: Sequence[str], predictions: Predictions, seed: int) -> report.Html:
    """Some validation scenes: truth beside each kind's prediction, the cloud beside the errors."""
    parts, seen = [], []
    for name in some(names):
        scan = source.read(name)
        drawing = segmentation.SceneDrawing.of(scan)
        upper = [report.picture(drawing.labels(scan.label), 'truth')]
        lower = [report.picture(drawing.cloud(), 'cloud')]
        seen.append(scan.label)
        for kind, masks in predictions.items():
            right = 100 * segmentation.share_right(scan.label, masks[name])
            upper.append(report.picture(drawing.labels(masks[name]), f'prediction, {kind}'))
            lower.append(report.picture(drawing.errors(masks[name]), f'errors, {kind}: {right:.0f} % right'))
            seen.append(masks[name])
        parts.append(report.join([report.element('h3', f'{name}, {len(scan.label):,} points'),
                                  report.gallery(upper + lower, len(upper))]))
    which = 'The first, the middle and the last of the rooms' if len(parts) == SCENES else 'Rooms'
    told = report.paragraph(f'{which} that the networks had not seen; seed {seed}. Errors: red is wrong, grey right, '
                            'pale has no label.')
    return report.section('What it found', told, segmentation.class_legend(seen), *parts)


def curves(runs: Runs) -> report.Html:
    """Loss and validation score over the steps, a line for every seed."""
    def chart(title: str, key: str, name: str, dots: bool) -> report.Html:
        lines = [Series(kind, _demo.curve_of(run.folder / 'train', key), dots)
                 for kind, group in runs.items() for run in group]
        return line_chart(title, lines, 'training steps', name)

    return report.section(
        'How it learnt with labels', report.paragraph('A line for every seed. The last weights are the ones tested, '
                                                      'not the best.'),
        report.gallery([chart('Loss on the labelled points', 'loss', 'loss', False),
                        chart('Mean IoU on unseen rooms', KEY, 'mean IoU', True)], 2))


def classes(runs: Runs, truth: Dict[str, np.ndarray], predictions: Predictions) -> report.Html:
    """The table of classes."""
    last = list(predictions)[-1]
    counts = segmentation.confusion([(truth[name], predictions[last][name]) for name in truth])
    told = ('Intersection over union on every vertex of the unseen rooms, mean over the seeds; classes that do not '
            f'occur there have none. On the right, what at least a tenth of a class was taken for instead by the first '
            f'network that was {last}.')
    return report.section('Class by class', report.paragraph(told), segmentation.class_table(means(runs), counts))


def what_was_run(told: str, every: Sequence[_demo.Run], configs: Sequence[_demo.Run], commands: Sequence[str],
                 taken: Sequence[Tuple[str, float]]) -> report.Html:
    """Commands, times, settings and versions.

    Args:
        told: settings in words. every: all runs. configs: those whose configs are shown. commands: before those of the
        runs. taken: (step, seconds).
    """
    typed = [*commands, *(line for run in every for line in run.commands)]
    times = [(title, f'{seconds:.0f} s') for title, seconds in taken]
    times.append(('together', f'{sum(seconds for _, seconds in taken):.0f} s'))
    versions = [('Python', platform.python_version())]
    for name in PACKAGES:
        try:
            versions.append((name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            continue
    versions.append(('processor', f'{os.cpu_count()} cores, {platform.machine()}'))
    return report.section(
        'What was run',
        report.paragraph(f'{datetime.datetime.now():%Y-%m-%d %H:%M}, {told}. The commands by hand, from the root of '
                         'the checkout:'),
        report.preformatted(typed),
        report.paragraph('The configs, of one seed: the recipe each inherits from, and what changes.'),
        *(report.preformatted(run.config.read_text().strip().splitlines()) for run in configs),
        report.table(('step', 'time'), times, totals=1), report.table(('version', ''), versions))
