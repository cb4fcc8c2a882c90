"""The report of the demo of several data sets: scores, the data sets, predictions, curves, classes, what was run."""
import argparse
from pathlib import Path
from typing import Dict, List, Mapping, Sequence, Tuple

import _demo
import numpy as np
from _domain_scores import COLUMNS, DOMAINS, FIVE_SEEDS, JOINT, Runs, means, rows, runs_of
from _mmdet3d import stand_in_for_mmcv
from _rooms_report import DRAWN, read_predictions, what_was_run

with _demo.light():
    import pretrain3d
    from pretrain3d.converters.batch import SceneError
    from pretrain3d.label_spaces.space import fold
    from pretrain3d.pictures import report, segmentation
    from pretrain3d.pictures.charts import Series, line_chart
    from pretrain3d.pictures.scans import open_scans

Masks = Dict[str, Dict[str, np.ndarray]]  # kind of training -> room -> (V,) classes


def write_report(path: Path, args: argparse.Namespace, worlds: Mapping[str, Path], runs: Runs, commands: Sequence[str],
                 taken: Sequence[Tuple[str, float]]) -> None:
    """Write the page.

    Args:
        path: of the HTML file. args: of the demo. worlds: converted, by domain. runs: trained and tested; of the first
        seed rooms are shown. commands: before those of the runs. taken: (step, seconds) so far.

    Raises:
        DemoError: rooms or predictions cannot be read.
    """
    try:
        with _demo.quiet(args.work_dir / 'report.log'):
            stand_in_for_mmcv()
            pretrain3d.register_all()
            sources = {name: open_scans(folder) for name, folder in worlds.items()}
            parts = [report.paragraph(DRAWN, 'warning'), headline(args, runs, taken), table(args, runs),
                     data_sets(sources, runs)]
            parts += [domain(name, sources[name], runs) for name in DOMAINS]
            every = [run for group in runs.values() for run in group]
            told = f'preset {args.preset}, seeds {args.seed} to {args.seed + args.seeds - 1}'
            parts += [curves(runs), what_was_run(told, every, [group[0] for group in runs.values()], commands, taken)]
        report.write_page(path, report.page('One network for three data sets', *parts))
    except (OSError, ValueError, SceneError) as error:
        raise _demo.DemoError(f'the report cannot be written: {error}') from error


def headline(args: argparse.Namespace, runs: Runs, taken: Sequence[Tuple[str, float]]) -> report.Html:
    """What was done, in a paragraph and a row of numbers."""
    given = f'{args.labels} labelled points' if args.labels else 'every point labelled'
    told = report.paragraph(
        f'The same sparse U-Net was trained with {given} in each room: on each of three drawn data sets alone; on all '
        'three together as if they were one, with a classifier for each; and together with a prompt for each data set '
        'in every norm and one head for all labels, which knows classes by their names (Point Prompt Training). '
        f"Each data set had {args.steps} batches in every training, through mmdet3d's own train.py.")
    minutes = sum(seconds for _, seconds in taken) / 60
    facts = [(f'{value:.3f}', f'mean IoU, {column}') for column, value in zip(COLUMNS, rows(runs)[-1][1])]
    return report.join([told, report.facts([*facts, (f'{minutes:.1f} min', 'from drawing to testing')])])


def table(args: argparse.Namespace, runs: Runs) -> report.Html:
    """Mean IoU by domain and kind of training."""
    lines = [(name, *(f'{value:.3f}' for value in values),
              *(segmentation.difference(values[0], value) for value in values[1:])) for name, values in rows(runs)]
    few = (f'Mean IoU on every point of the rooms to test on, mean over {args.seeds} seed'
           f'{"s" if args.seeds > 1 else ""}. So few runs prove nothing: five paired seeds with intervals, and what '
           f'may be concluded from them, are in {FIVE_SEEDS}. The words of the classes are a stand-in that only knows '
           'equal names, unless a text bank was given.')
    return report.join([report.table(('data set', *COLUMNS, *(f'{kind} - alone' for kind in JOINT)), lines, totals=1),
                        report.paragraph(few, 'note')])


def tested(source, run: _demo.Run) -> List[str]:
    """Rooms of a data set that a run has predicted."""
    return sorted({file.stem for file in run.predictions.glob('*.npy')} & set(source.names))


def data_sets(sources: Mapping[str, object], runs: Runs) -> report.Html:
    """A training room of each data set, and which names of classes they share."""
    figures, spaces = [], {}
    for name, source in sources.items():
        train = [scan for scan in source.names if scan not in tested(source, runs[name][0])]
        scan = source.read(train[len(train) // 2])
        drawing = segmentation.SceneDrawing.of(scan)
        spaces[name] = {fold(label) for label in scan.space.classes}
        told = f'{name}: {scan.name}, {len(scan.label):,} points, {scan.space.num_classes} classes'
        figures += [report.picture(drawing.cloud(), told), report.picture(drawing.labels(scan.label), 'labels')]
    common = set.intersection(*spaces.values())
    told = ('Sensors, density, colours, furniture and label sets differ. Of '
            f'{len(set.union(*spaces.values()))} names of classes {len(common)} are in all three: '
            f'{", ".join(sorted(common))}.')
    return report.section('The data sets', report.paragraph(told), report.gallery(figures, 2))


def domain(name: str, source, runs: Runs) -> report.Html:
    """A room to test on, truth beside predictions, and the classes of a data set."""
    first = {kind: group[0] for kind, group in runs_of(runs, name).items()}
    names = tested(source, first['alone'])
    if not names:
        raise SceneError(f'{first["alone"].predictions} has no predictions of {name}: test.py did not write them')
    masks: Masks = {kind: read_predictions(source, names, run.predictions) for kind, run in first.items()}
    scan = source.read(names[len(names) // 2])
    drawing = segmentation.SceneDrawing.of(scan)
    upper, lower = [report.picture(drawing.labels(scan.label), 'truth')], [report.picture(drawing.cloud(), 'cloud')]
    for kind, found in masks.items():
        right = 100 * segmentation.share_right(scan.label, found[scan.name], scan.space)
        upper.append(report.picture(drawing.labels(found[scan.name]), kind))
        lower.append(report.picture(drawing.errors(found[scan.name]), f'errors, {kind}: {right:.0f} % right'))
    last = list(masks)[-1]
    counts = segmentation.confusion([(source.read(room).label, masks[last][room]) for room in names], scan.space)
    told = (f'{scan.name}, one of {len(names)} rooms to test on, first seed. Errors: red is wrong, grey right, pale '
            'has no label.')
    return report.section(
        name, report.paragraph(told),
        segmentation.class_legend([scan.label, *(found[scan.name] for found in masks.values())], scan.space),
        report.gallery(upper + lower, len(upper)),
        report.paragraph(f'IoU by class, mean over the seeds; on the right, what a class was taken for by {last}.'),
        segmentation.class_table(means(runs, name), counts, space=scan.space))


def curves(runs: Runs) -> report.Html:
    """The loss over the steps, a line for every run."""
    lines = [Series(kind if kind in JOINT else f'{kind} alone', _demo.curve_of(run.folder / 'train', 'loss'))
             for kind, group in runs.items() for run in group]
    told = ('Of trainings together the loss goes up and down with the data set of the batch; that of prompts is '
            'another one (words) and not to be compared by its height.')
    chart = line_chart('Loss on the labelled points', lines, 'training steps', 'loss')
    return report.section('How it learnt', report.paragraph(told), report.gallery([chart], 1))
