"""The report of the rooms demo: scenes beside truth and predictions, curves, classes, and what was run."""
import argparse
import datetime
import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

import _demo
import numpy as np
from _mmdet3d import stand_in_for_mmcv

with _demo.light():
    from pretrain3d.converters.batch import SceneError
    from pretrain3d.pictures import report, segmentation
    from pretrain3d.pictures.charts import Series, line_chart
    from pretrain3d.pictures.scans import SPACE, Converted

SCENES = 3
PACKAGES = ('torch', 'mmengine', 'mmcv', 'mmcv-lite', 'mmdet', 'mmdet3d', 'spconv-cu120', 'pretrain3d')
DRAWN = ('These rooms are drawn by a program. The scores show that the software works from the files to the metric; '
         "they are no dataset's result, and what holds on drawn rooms may not hold on real ones.")
Predictions = Dict[str, Dict[str, np.ndarray]]  # run -> scan -> (V,) classes


def write_report(path: Path, args: argparse.Namespace, world: Path, runs: Sequence[_demo.Run],
                 commands: Sequence[str], taken: Sequence[Tuple[str, float]]) -> None:
    """Write the page.

    Args:
        path: of the HTML file. args: of the demo. world: converted. runs: trained and tested, the first is described.
        commands: before those of the runs. taken: (step, seconds) so far.

    Raises:
        DemoError: scans or predictions cannot be read.
    """
    try:
        source = Converted(world)
        names = {split: sorted(name for name, entry in source.entries.items() if entry[0] == split)
                 for split in ('train', 'val')}
        truth = {name: source.read(name).label for name in names['val']}
        predictions = {run.name: read_predictions(source, names['val'], run.predictions) for run in runs}
        parts = [report.paragraph(DRAWN, 'warning'), headline(args, runs[0].scores, names, taken)]
        if args.labels:
            parts.append(taught(source, names['train'], args))
        parts += [scenes(source, names['val'], predictions), curves(runs),
                  classes(runs, truth, predictions[runs[0].name]),
                  what_was_run(args, world, runs, commands, taken)]
        report.write_page(path, report.page('Segmenting drawn rooms with few labels', *parts))
    except (OSError, ValueError, SceneError) as error:
        raise _demo.DemoError(f'the report cannot be written: {error}') from error


def read_predictions(source: Converted, names: Sequence[str], folder: Path) -> Dict[str, np.ndarray]:
    """Predicted classes of the scans ``names``, checked against them."""
    found = {}
    for name in names:
        file = folder / f'{name}.npy'
        if not file.is_file():
            raise SceneError(f'{file} is missing: test.py did not predict this scan')
        found[name] = segmentation.check_prediction(source.read(name), np.load(file), file)
    return found


def spread(names: Sequence[str]) -> List[str]:
    """``SCENES`` of the names, from first to last."""
    picks = np.unique(np.linspace(0, len(names) - 1, min(SCENES, len(names))).round().astype(int))
    return [names[pick] for pick in picks]


def headline(args: argparse.Namespace, scores: Dict[str, float], names: Dict[str, List[str]],
             taken: Sequence[Tuple[str, float]]) -> report.Html:
    """What was done, in a sentence and a row of numbers."""
    given = f'{args.labels} labelled points' if args.labels else 'every point labelled'
    told = report.paragraph(
        f'A sparse U-Net was trained from scratch on {len(names["train"])} drawn rooms with {given} in each, through '
        f"mmdet3d's own train.py, and tested on every vertex of {len(names['val'])} rooms that it had not seen.")
    minutes = sum(seconds for _, seconds in taken) / 60
    return report.join([told, report.facts([
        (f'{scores["miou/vertex"]:.3f}', 'mean IoU, every vertex'),
        (f'{scores["miou/voxel"]:.3f}', 'mean IoU, voxels'),
        (f'{100 * scores["allacc/vertex"]:.0f} %', 'of the vertices right'),
        (f'{minutes:.1f} min', 'drawing, training and testing'),
    ])])


def taught(source: Converted, names: Sequence[str], args: argparse.Namespace) -> report.Html:
    """Some training scenes with the points whose labels the network was told."""
    with _demo.quiet(args.work_dir / 'report.log'):
        # The functions are plain, but their package registers data sets, so the stack's mends come first.
        stand_in_for_mmcv()
        import pretrain3d.engine  # noqa: F401
        from pretrain3d.datasets.scannet_lists import choose_points, scan_rng
    figures = []
    for name in spread(names):
        scan = source.read(name)
        instance = source.array('instance_mask', f'{name}.bin', np.int64, 1)[:, 0]
        rows = choose_points(scan.label, instance, args.labels, SPACE.ignore_index, scan_rng(name, args.seed))
        caption = f'{name}: {len(rows)} of {len(scan.label):,} points have a label'
        figures.append(report.picture(segmentation.SceneDrawing.of(scan).labelled(rows), caption))
    return report.section(
        'What it was told', report.paragraph('Training rooms, faded. Dots are the labelled points in the colours of '
                                             'their classes, rings those hidden from this side.'),
        report.gallery(figures, SCENES))


def scenes(source: Converted, names: Sequence[str], predictions: Predictions) -> report.Html:
    """Some validation scenes: cloud, truth, and each run's prediction and errors."""
    parts, seen = [], []
    for name in spread(names):
        scan = source.read(name)
        drawing = segmentation.SceneDrawing.of(scan)
        figures = [report.picture(drawing.cloud(), 'cloud'), report.picture(drawing.labels(scan.label), 'truth')]
        seen.append(scan.label)
        for run, masks in predictions.items():
            which = f' ({run})' if len(predictions) > 1 else ''
            right = 100 * segmentation.share_right(scan.label, masks[name])
            figures += [report.picture(drawing.labels(masks[name]), f'prediction{which}'),
                        report.picture(drawing.errors(masks[name]), f'errors{which}: {right:.0f} % right')]
            seen.append(masks[name])
        parts.append(report.join([report.element('h3', f'{name}, {len(scan.label):,} points'),
                                  report.gallery(figures, len(figures))]))
    told = report.paragraph('The first, the middle and the last of the rooms that the network had not seen. Errors: '
                            'red is wrong, grey right, pale has no label.' if len(parts) == SCENES else
                            'Rooms that the network had not seen. Errors: red is wrong, grey right, pale has no label.')
    return report.section('What it found', told, segmentation.class_legend(seen), *parts)


def curves(runs: Sequence[_demo.Run]) -> report.Html:
    """Loss and validation score over the steps."""
    def chart(title: str, key: str, name: str, dots: bool) -> report.Html:
        lines = [Series(run.name, _demo.curve_of(run.folder / 'train', key), dots) for run in runs]
        return line_chart(title, lines, 'training steps', name)

    return report.section(
        'How it learnt', report.paragraph('The last weights are the ones tested, not the best.'),
        report.gallery([chart('Loss on the labelled points', 'loss', 'loss', False),
                        chart('Mean IoU on unseen rooms', 'miou/vertex', 'mean IoU', True)], 2))


def classes(runs: Sequence[_demo.Run], truth: Dict[str, np.ndarray],
            predictions: Dict[str, np.ndarray]) -> report.Html:
    """The table of classes."""
    counts = segmentation.confusion([(truth[name], predictions[name]) for name in truth])
    told = ('Intersection over union on every vertex of the unseen rooms; classes that do not occur there have none. '
            'On the right, what at least a tenth of a class was taken for instead.')
    return report.section('Class by class', report.paragraph(told),
                          segmentation.class_table({run.name: run.scores for run in runs}, counts))


def what_was_run(args: argparse.Namespace, world: Path, runs: Sequence[_demo.Run],
                 commands: Sequence[str], taken: Sequence[Tuple[str, float]]) -> report.Html:
    """Commands, times, settings and versions."""
    typed = [*commands, *(line for run in runs for line in run.commands)]
    times = [(title, f'{seconds:.0f} s') for title, seconds in taken]
    times.append(('together', f'{sum(seconds for _, seconds in taken):.0f} s'))
    versions = [('Python', platform.python_version())]
    for name in PACKAGES:
        try:
            versions.append((name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            continue
    versions.append(('processor', f'{os.cpu_count()} cores, {platform.machine()}'))
    config = runs[0].config.read_text()
    return report.section(
        'What was run',
        report.paragraph(f'{datetime.datetime.now():%Y-%m-%d %H:%M}, preset {args.preset}, seed {args.seed} for labels '
                         'and training. The commands by hand, from the root of the checkout:'),
        report.preformatted(typed), report.paragraph('The config: the recipe it inherits from, and what changes.'),
        report.preformatted(config.strip().splitlines()),
        report.table(('step', 'time'), times, totals=1), report.table(('version', ''), versions))
