#!/usr/bin/env python
"""Scores of a cross-validation on S3DIS: of each area, their mean, and of all areas' points together.

Example: ``python tools/analysis/s3dis_six_fold.py work_dirs/s3dis_six_fold/area{1,2,3,4,5,6}.json``

Each file holds the confusion matrices of one fold, which MeanIoUMetric writes when it is given dump=FILE, as
configs/point_prompt_training/benchmarks/spunet_1xb12-3000e-ppt-fold_s3dis.py does. The paper of Point Prompt Training
reports the mean of the six areas, Pointcept's own tool the pooled score.
"""
import argparse
import json
import sys
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[1]
sys.path.append(str(TOOLS))

from _mmdet3d import find_pretrain3d  # noqa: E402

find_pretrain3d()

from pretrain3d.evaluation.six_fold import MEANS, fold_scores, read_confusion  # noqa: E402
from pretrain3d.files import write_atomic  # noqa: E402


def table(scores: dict, classes: list) -> str:
    """A column a fold, a row a score, in per cent."""
    from terminaltables import AsciiTable
    rows = [['', *scores]]
    rows += [[key, *(f'{100 * score[key]:.2f}' for score in scores.values())] for key in MEANS]
    for i, name in enumerate(classes):
        rows.append([name, *(f'{100 * score["iou"][i]:.2f}' if 'iou' in score else '' for score in scores.values())])
    return AsciiTable(rows).table


def main() -> int:
    """Read the folds and print; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('files', nargs='+', help='one file a fold; its name without suffix names the fold')
    parser.add_argument('--level', default='vertex', help="'vertex' (default) or 'voxel'")
    parser.add_argument('--folds', type=int, default=6, help='how many there must be (default 6)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='save the scores here')
    args = parser.parse_args()
    names = [Path(path).stem for path in args.files]
    if len(set(names)) < len(names):
        names = args.files
    if len(set(names)) != args.folds:
        parser.error(f'{len(set(names))} different files for {args.folds} folds (--folds)')
    try:
        folds = {name: read_confusion(path) for name, path in zip(names, args.files)}
        scores = fold_scores(folds, args.level)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    print(table(scores, folds[names[0]]['classes']))
    print('mean of the folds: ' + ', '.join(f'{key} {100 * scores["mean"][key]:.2f}' for key in MEANS))
    print('pooled:            ' + ', '.join(f'{key} {100 * scores["pooled"][key]:.2f}' for key in MEANS))
    if args.json:
        plain = {name: {key: getattr(value, 'tolist', lambda value=value: value)() for key, value in score.items()}
                 for name, score in scores.items()}
        write_atomic(args.json, (json.dumps(plain, indent=2) + '\n').encode())
    return 0


if __name__ == '__main__':
    sys.exit(main())
