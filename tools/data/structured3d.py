#!/usr/bin/env python
"""Convert Structured3D, the real download or a world of rooms, into coloured clouds with normals, labels, instances.

Example: ``python tools/data/structured3d.py data/rooms_structured3d data/structured3d --jobs 8``

ROOT holds Structured3D/scene_*/2D_rendering, or the released zip files (perspective full and panorama), which need not
be unpacked. The views of a room are fused into one cloud: of every centimetre cell the first point. Left out are pixels
without depth, without a label, or seen at a grazing angle (|cos| <= 0.15; so are the pixels that a renderer mixes
between two surfaces). Scenes below 3000 are train, below 3250 val, the others test.

Run it again after an interruption or a mended download: it does only what is missing. Listed at the end, with the
reason: rooms that cannot be read, which are left out, and views that are missing or damaged, whose room is kept.

Exit status: 0 every room is there, whatever became of its views; 2 rooms were left out; 1 nothing could be converted,
in all or in one of the splits (its info file is then not written; the other splits' are).
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

need('numpy', 'PIL')

from pretrain3d.converters.batch import SceneError  # noqa: E402
from pretrain3d.converters.structured3d.convert import GRID, KINDS, SPLITS, Outcome, convert_splits  # noqa: E402


def report(outcome: Outcome) -> None:
    """Print what could not be converted, and why; splits that failed as a whole on stderr."""
    for name, reason in outcome.skipped:
        print(f'skipped {name}: {reason}')
    for name, reason in outcome.views:
        print(f'views of {name}: {reason}')
    for colour, pixels in sorted(outcome.unknown.items()):
        print(f'unknown label {colour}: {pixels} pixels are ignored; NYU40 has no such class')
    if outcome.without_instances:
        print(f'{outcome.without_instances} views have no instance.png: their points are of no instance')
    for split, reason in outcome.failed:
        print(f'structured3d: split {split!r}: {reason}', file=sys.stderr)


def main() -> int:
    """Parse the arguments and convert; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('root', type=Path, help='folder of the release, unpacked or as zip files')
    parser.add_argument('out', type=Path, help='target folder (may be the same)')
    parser.add_argument('--splits', nargs='+', choices=SPLITS, help='default: those that have rooms')
    parser.add_argument('--views', nargs='+', choices=KINDS, default=KINDS, help='what to fuse (default: both)')
    parser.add_argument('--grid', type=float, default=GRID, help=f'edge of a cell in metres (default {GRID})')
    parser.add_argument('--jobs', type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    if not 0.001 <= args.grid < 1:
        parser.error('--grid must lie in 0.001 ... 1 metres')
    try:
        outcome = convert_splits(args.root, args.out, args.splits, args.jobs, args.grid, args.views)
    except (OSError, ValueError, SceneError, BrokenExecutor) as error:
        print(f'structured3d: {error}', file=sys.stderr)
        return 1
    report(outcome)
    written = ', '.join(f'{count} rooms of {split}' for split, count in outcome.rooms.items()) or 'nothing'
    print(f'{args.out}: {written}' + (f', {len(outcome.skipped)} skipped' if outcome.skipped else '') +
          (f', views missing in {len(outcome.views)}' if outcome.views else ''))
    return 1 if outcome.failed else 2 if outcome.skipped else 0


if __name__ == '__main__':
    sys.exit(main())
