#!/usr/bin/env python
"""Make pairs of overlapping RGB-D frames from a converted data set, for contrastive pre-training.

Example: ``python tools/data/make_frame_pairs.py data/scannet --jobs 8``

Every frame is back-projected, thinned and stored once below ``frame_pairs/``; ``frame_pairs_<split>.pkl`` lists the
pairs with their overlap. The defaults are the thresholds of the released code of Contrastive Scene Contexts. Only the
train split is used unless --splits says otherwise (the released lists mix in the validation scans).

Storage is 15 bytes per point (9 with --dtype float16): 0.33 MB per 640 x 480 frame at 2 cm. --tables all adds the
matches of every pair, 4 bytes each: 0.8 MB per pair, more than the frames wherever many overlap. Without it
MatchViews(source='radius') finds the same matches while loading.

Run it again after an interruption: it does only what is missing. What could not be used is listed at the end.
"""
import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault('PRETRAIN3D_LIGHT', '1')
TOOLS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOOLS.parent / 'projects'))
sys.path.append(str(TOOLS))

from _mmdet3d import need  # noqa: E402

need('numpy', 'PIL', 'numba')

from pretrain3d.converters.batch import SceneError  # noqa: E402
from pretrain3d.converters.pairs.build import Built, build_pairs  # noqa: E402
from pretrain3d.converters.pairs.scene import PairOptions  # noqa: E402

SHOWN = 20


def parse(argv=None) -> argparse.Namespace:
    """Parse the arguments."""
    usual = PairOptions()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('root', type=Path, help='converted data set: folder of <dataset>_frames_<split>.pkl')
    parser.add_argument('out', type=Path, nargs='?', help='target folder (default: ROOT)')
    parser.add_argument('--splits', nargs='+', default=['train'], help='splits to make (default: train)')
    parser.add_argument('--scenes', type=Path, help='text file with the scans to use, one a line (default: all)')
    parser.add_argument('--jobs', type=int, default=os.cpu_count() or 1)
    for name, text in (
            ('every', 'use every so many of the recorded frames'),
            ('grid', 'metres; stored clouds have one mean point per cell, 0.01 to 0.025'),
            ('max-depth', 'metres; depth beyond is not used'),
            ('min-points', 'frames with fewer stored points are left out'),
            ('overlap-voxel', 'metres; overlap is counted on clouds thinned to this'),
            ('overlap-radius', 'metres; a point overlaps that has one of the other frame this near'),
            ('min-overlap', 'least share of overlapping points, the larger of both directions'),
            ('match-radius', 'metres; points this near match (1.5 voxels of 2.5 cm)')):
        value = getattr(usual, name.replace('-', '_'))
        parser.add_argument(f'--{name}', type=type(value), default=value, help=f'{text} (default: {value})')
    parser.add_argument('--tables', choices=['all', 'none'], default=usual.tables,
                        help=f'store the matches of every pair (default: {usual.tables})')
    parser.add_argument('--dtype', choices=['float16', 'float32'], default=usual.dtype,
                        help=f'of stored positions (default: {usual.dtype})')
    return parser.parse_args(argv)


def report(built: Built, split: str) -> None:
    """Print what was made and what could not be used."""
    for kind, listed in (('scan', built.skipped_scenes), ('frame', built.skipped_frames)):
        for name, reason in listed[:SHOWN]:
            print(f'skipped {kind} {name}: {reason}')
        if len(listed) > SHOWN:
            print(f'... and {len(listed) - SHOWN} more {kind}s')
    print(f'{built.path}: {built.pairs} pairs of {built.frames} frames in {built.scenes} scans of split {split}, '
          f'{built.pairs / built.scenes:.1f} pairs per scan, {built.num_bytes / 1e6:.1f} MB; skipped '
          f'{len(built.skipped_scenes)} scans and {len(built.skipped_frames)} frames, {built.lost} frames had no pose '
          'or file at conversion')


def main(argv=None) -> int:
    """Make the pairs; returns the exit status."""
    args = parse(argv)
    try:
        options = PairOptions(**{name: getattr(args, name) for name in PairOptions.__dataclass_fields__})
        names = args.scenes.read_text().split() if args.scenes else None
        for split in args.splits:
            report(build_pairs(args.root, args.out or args.root, split, options, args.jobs, names), split)
    except (OSError, ValueError, SceneError) as error:
        print(f'make_frame_pairs: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
