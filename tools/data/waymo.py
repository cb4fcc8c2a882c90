#!/usr/bin/env python
"""Convert Waymo's Perception v2 parquet files, the real download's or a drawn street's, into clouds and labels.

Example: ``python tools/data/waymo.py data/waymo --jobs 8``

ROOT holds training, validation and, if you like, testing, in each of them the folders lidar, lidar_calibration,
lidar_pose, vehicle_pose and (not in testing) lidar_segmentation, in these a parquet file per segment. No TensorFlow.
Made in ROOT: points/<split>/<segment>/<timestamp>.bin ((N, 5) float32 x y z intensity elongation, vehicle frame, both
returns of the top LiDAR; with --lidars all, behind these, those of the four others, which have no labels),
labels/<split>/<segment>/<timestamp>.label ((N,) uint8, 0 undefined, 1 ... 22) of the frames that have labels, and
waymo_infos_train.pkl, _val.pkl, _test.pkl, which list them.

Run it again after an interruption or a mended download: it does only what is missing. Listed at the end, with the
reason: segments and frames that cannot be read, which are left out. A segment is read row by row; of testing all frames
are converted unless --test-frames names them (lines segment,timestamp, as Waymo's list of its challenge has them).
With another --lidars than before every frame is converted again.

Exit status: 0 every labelled frame is there; 2 some were left out; 1 nothing could be converted, in all or in one of
the splits (no info file of it is written, and one of an earlier run is removed if none of its files could be
converted; the other splits' are written).
"""
import argparse
import os
import sys
from concurrent.futures import BrokenExecutor
from pathlib import Path

os.environ.setdefault('PRETRAIN3D_LIGHT', '1')
TOOLS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOOLS.parent / 'projects'))
sys.path.append(str(TOOLS))

from _mmdet3d import need  # noqa: E402

need('numpy', 'pyarrow')

from pretrain3d.converters.batch import SceneError  # noqa: E402
from pretrain3d.converters.waymo.convert import convert_splits, read_frames  # noqa: E402
from pretrain3d.converters.waymo.infos import SPLITS  # noqa: E402
from pretrain3d.converters.waymo.segment import LIDARS  # noqa: E402


def main() -> int:
    """Parse the arguments and convert; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('root', type=Path, help='folder of the download, or of a drawn street')
    parser.add_argument('--splits', nargs='+', choices=SPLITS, help='default: those that have segments')
    parser.add_argument('--test-frames', type=Path, metavar='FILE',
                        help='which frames of testing (default: all); an error unless testing is converted')
    parser.add_argument('--lidars', choices=list(LIDARS), default='top',
                        help='whose points (default: top, the only LiDAR with labels); all adds the four others')
    parser.add_argument('--jobs', type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    try:
        wanted = None if args.test_frames is None else read_frames(args.test_frames)
        outcome = convert_splits(args.root, args.splits, args.jobs, wanted, lidars=args.lidars)
    except (OSError, ValueError, SceneError, BrokenExecutor) as error:
        print(f'waymo: {error}', file=sys.stderr)
        return 1
    for name, why in outcome.bad[:20]:
        print(f'left out {name}: {why}')
    if len(outcome.bad) > 20:
        print(f'left out {len(outcome.bad) - 20} more')
    for note in outcome.notes:
        print(note)
    for split, why in outcome.failed:
        print(f'waymo: split {split!r}: {why}', file=sys.stderr)
    listed = ', '.join(f'{count} frames of {split}' for split, count in outcome.frames.items()) or 'nothing'
    print(f'{args.root}: {listed}, {outcome.fresh} of them converted now'
          + (f', {len(outcome.bad)} left out' if outcome.bad else ''))
    return 1 if outcome.failed else 2 if outcome.bad else 0


if __name__ == '__main__':
    sys.exit(main())
