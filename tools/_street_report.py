"""The report of the demo of streets: scores, the street, segmentation, detections, curves, what was run."""
import argparse
from pathlib import Path
from typing import List, Sequence, Tuple

import _demo
import numpy as np
from _rooms_report import what_was_run
from _street_scores import (DETECTION, DISTANCES, LIDARSEG, MIOU, Runs, detection_rows, detection_scores,
                            errors_in_words)

with _demo.light():
    from pretrain3d.converters.batch import SceneError
    from pretrain3d.pictures import report, segmentation
    from pretrain3d.pictures.charts import Series, line_chart
    from pretrain3d.pictures.street_sheet import draw_keyframe, named_boxes
    from pretrain3d.pictures.street_views import (FOUND, TRUTH, class_colours, draw_above, draw_camera, draw_cloud,
                                                  error_colours)
    from pretrain3d.pictures.streets import SPACE, Boxes, Keyframe, Streets, make_boxes, read_results

DRAWN = ('These streets are drawn by a program. The scores show that the software works from the files to the metric; '
         "they are no dataset's result, and what holds on drawn streets may not hold on real ones.")
CLOUD, ABOVE, CAMERA = (560, 420), 560, (528, 297)
AHEAD = ('CAM_FRONT_LEFT', 'CAM_FRONT', 'CAM_FRONT_RIGHT')
RESULTS = Path('pred_instances_3d') / 'results_nusc.json'


def write_report(path: Path, args: argparse.Namespace, world: Path, runs: Runs, commands: Sequence[str],
                 taken: Sequence[Tuple[str, float]]) -> None:
    """Write the page.

    Args:
        path: of the HTML file. args: of the demo. world: converted. runs: trained and tested. commands: before those of
        the runs. taken: (step, seconds) so far.

    Raises:
        DemoError: keyframes or predictions cannot be read.
    """
    try:
        source = Streets(world)
        names = tested(source, runs)
        shown = [source.read(name) for name in names]
        parts = [report.paragraph(DRAWN, 'warning'), headline(args, runs, taken), street(shown),
                 segmented(source, shown, runs)]
        if DETECTION in runs:
            parts.append(detected(shown, runs))
        parts += [curves(runs), what_was_run(f'preset {args.preset}, seed {args.seed}', list(runs.values()),
                                             list(runs.values()), commands, taken)]
        report.write_page(path, report.page('A drawn street, segmented and detected', *parts))
    except (OSError, ValueError, SceneError) as error:
        raise _demo.DemoError(f'the report cannot be written: {error}') from error


def predicted(source: Streets, runs: Runs) -> List[str]:
    """Names of the keyframes that the segmentor was tested on."""
    stems = {file.stem for file in runs[LIDARSEG].predictions.glob('*.npy')}
    found = [name for name in source.names if source.lidar_stem(name) in stems]
    if not found:
        raise SceneError(f'{runs[LIDARSEG].predictions} has no predictions of keyframes of {source.root}: test.py did '
                         'not write them')
    return found


def tested(source: Streets, runs: Runs) -> List[str]:
    """The middle keyframe of every tested scene."""
    scenes: dict = {}
    for name in predicted(source, runs):
        scenes.setdefault(name.split('/')[0], []).append(name)
    return [names[len(names) // 2] for names in scenes.values()]


def headline(args: argparse.Namespace, runs: Runs, taken: Sequence[Tuple[str, float]]) -> report.Html:
    """What was done, in a paragraph and a row of numbers."""
    told = (f'Ten scenes were drawn as nuScenes v1.0-mini lies on disk. On eight of them a small sparse U-Net learnt '
            f'the 16 classes of lidarseg in {args.steps} steps')
    facts = [(f'{runs[LIDARSEG].scores[MIOU]:.3f}', 'mean IoU, lidarseg')]
    if DETECTION in runs:
        told += f', and a small CenterPoint the boxes of ten classes in {args.detector_steps} steps'
        scores = detection_scores(runs[DETECTION])
        facts += [(f'{scores["mAP"]:.3f}', 'mAP, detection'), (f'{scores["NDS"]:.3f}', 'NDS, detection')]
    minutes = sum(seconds for _, seconds in taken) / 60
    told += ". All from scratch, through mmdet3d's own train.py and test.py; tested on the two scenes left."
    return report.join([report.paragraph(told), report.facts(
        [*facts, (f'{minutes:.1f} min', 'from drawing to testing')])])


def street(shown: Sequence[Keyframe]) -> report.Html:
    """The sheet of a tested keyframe."""
    told = ('Six cameras with the boxes of the annotations; the points of the LiDAR in them, in the colours of their '
            'classes; the scene from above; its lidarseg and panoptic labels, seen from behind the vehicle.')
    return report.section('The street', report.paragraph(told), report.gallery(
        [report.picture(draw_keyframe(shown[0]), shown[0].name)], 1))


def segmented(source: Streets, shown: Sequence[Keyframe], runs: Runs) -> report.Html:
    """Labels beside predictions and errors of the shown keyframes, and the classes over all tested ones."""
    run, counts, figures, seen = runs[LIDARSEG], 0, [], []
    for name in predicted(source, runs):
        truth = next((each for each in shown if each.name == name), None) or source.read(name)
        file = run.predictions / f'{truth.lidar}.npy'
        found = segmentation.check_prediction(truth, np.load(file), file)
        counts = counts + segmentation.confusion([(truth.label, found)], SPACE)
        if truth in shown:
            right = 100 * segmentation.share_right(truth.label, found, SPACE)
            for colour, caption in ((class_colours(truth.label), f'{name}, truth'),
                                    (class_colours(found), 'prediction'),
                                    (error_colours(truth.label, found), f'errors: {right:.0f} % right')):
                figures.append(report.picture(draw_cloud(truth, colour, CLOUD), caption))
            seen += [truth.label, found]
    told = ('The middle keyframes of the scenes that were not trained on, seen from behind the vehicle. Errors: red is '
            'wrong, grey right, pale has no label.')
    return report.section(
        'Lidarseg', report.paragraph(told), segmentation.class_legend(seen, SPACE), report.gallery(figures, 3),
        report.paragraph('Intersection over union on every point of these scenes; on the right, what at least a tenth '
                         'of a class was taken for instead.'),
        segmentation.class_table({'lidarseg': run.scores}, counts, space=SPACE))


def detected(shown: Sequence[Keyframe], runs: Runs) -> report.Html:
    """Boxes found beside the truth, from above and in the cameras ahead, and the table of classes."""
    run = runs[DETECTION]
    results = read_results(run.predictions / RESULTS)
    parts, labels, listed = [], [], detection_scores(run)
    for keyframe in shown:
        truth = named_boxes(keyframe.boxes)
        truth = truth.keep(truth.points_in > 0)  # the others are not asked for
        found = surest(results.get(keyframe.token, []), keyframe, len(truth))
        grey = np.full((len(keyframe.xyz), 3), 168.0)
        above = [report.picture(draw_above(keyframe, grey, ABOVE, [(boxes, None, 2)]), caption)
                 for boxes, caption in ((truth, f'{keyframe.name}, truth: {len(truth)} boxes'),
                                        (found, f'the {len(found)} surest found'))]
        labels += [truth.label, found.label]
        both = draw_above(keyframe, grey, ABOVE, [(truth, TRUTH, 2), (found, FOUND, 2)])
        cameras = [report.picture(draw_camera(keyframe.cameras[channel], CAMERA,
                                              [(truth, TRUTH, 2), (found, FOUND, 2)]), channel)
                   for channel in AHEAD if channel in keyframe.cameras]
        parts.append(report.gallery([*above, report.picture(both, 'both: truth green, found orange'), *cameras], 3))
    rows = [(name, *(f'{value:.3f}' for value in values)) for name, values in detection_rows(listed)]
    told = ('The same keyframes. Of what the detector found only the surest boxes are drawn, as many as there are true '
            'ones with LiDAR points in them; the score of a sure box may still be low after so short a training. The '
            'line ahead of a box is its heading.')
    return report.section(
        'Detection', report.paragraph(told), segmentation.class_legend(labels, SPACE),
        report.legend([('truth', TRUTH), ('found', FOUND)]), *parts,
        report.paragraph("nuscenes-devkit's average precision of boxes whose centre lies within a distance of the "
                         f'true one. Errors of the boxes found: {errors_in_words(listed)}.'),
        report.table(('class', *(f'AP at {distance} m' for distance in DISTANCES), 'AP'), rows, totals=1))


def surest(rows: Sequence[dict], keyframe: Keyframe, count: int) -> Boxes:
    """The ``count`` boxes of a result file with the highest scores, in the keyframe's frame."""
    best = sorted(rows, key=lambda row: -row['detection_score'])[:count]
    return make_boxes(best, [row['detection_name'] for row in best], keyframe.to_global)


def curves(runs: Runs) -> report.Html:
    """The loss of each training over its steps."""
    charts = [line_chart(f'Loss, {kind}', [Series(kind, _demo.curve_of(run.folder / 'train', 'loss'))],
                         'training steps', 'loss') for kind, run in runs.items()]
    return report.section('How they learnt', report.gallery(charts, 2))
