#!/usr/bin/env python
"""Convert ScanNet v2, the real download or a world of rooms, into what mmdet3d's three ScanNet datasets read.

Example: ``python tools/data/scannet.py data/rooms data/rooms --frames 1 --jobs 2``

Run it again after an interruption or a mended download: it does only what is missing. Another --frames redoes no cloud,
an edited label table redoes all. Listed at the end, with the reason: scans that cannot be read, which are left out; and
frames that are missing or damaged, whose scan is kept without them.

Exit status: 0 every scan is there, whatever became of its frames; 2 scans were left out; 1 nothing could be converted,
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

need('numpy', 'PIL', 'plyfile')

from pretrain3d.converters.scannet.convert import Outcome, convert_splits  # noqa: E402


def report(outcome: Outcome) -> None:
    """Print what could not be converted, and why; splits that failed as a whole on stderr."""
    for name, reason in outcome.skipped:
        print(f'skipped {name}: {reason}')
    for name, reason in outcome.frames:
        print(f'frames of {name}: {reason}')
    for category, (instances, scans) in sorted(outcome.unknown.items()):
        print(f'unknown label {category!r}: {instances} instances in {scans} scans are left unannotated; the label '
              'table gives it no NYU40 class')
    for split, reason in outcome.failed:
        print(f'scannet: split {split!r}: {reason}', file=sys.stderr)


def main() -> int:
    """Parse the arguments and convert; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('root', type=Path, help='folder that holds scans/ and the label table')
    parser.add_argument('out', type=Path, help='target folder (may be the same)')
    parser.add_argument('--splits', nargs='+', choices=['train', 'val', 'test'], default=['train', 'val'])
    parser.add_argument('--frames', type=int, metavar='STEP', help='record every STEP-th RGB-D frame (papers: 25)')
    parser.add_argument('--lists', type=Path, help='folder of scannetv2_<split>.txt (default: ROOT/meta_data)')
    parser.add_argument('--label-table', type=Path, help='scannetv2-labels.combined.tsv (default: in ROOT)')
    parser.add_argument('--jobs', type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    if args.frames is not None and args.frames < 1:
        parser.error('--frames must be at least 1')
    try:
        outcome = convert_splits(args.root, args.out, args.splits, args.frames, args.jobs, args.lists, args.label_table)
    except (OSError, ValueError, BrokenExecutor) as error:
        print(f'scannet: {error}', file=sys.stderr)
        return 1
    report(outcome)
    failed = [split for split, _ in outcome.failed]
    written = ', '.join(split for split in args.splits if split not in failed) or 'nothing'
    print(f'{args.out}: {written} written' + (f', {len(outcome.skipped)} scans skipped' if outcome.skipped else '') +
          (f', frames missing in {len(outcome.frames)} scans' if outcome.frames else ''))
    return 1 if failed else 2 if outcome.skipped else 0


if __name__ == '__main__':
    sys.exit(main())
