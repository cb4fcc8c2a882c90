#!/usr/bin/env python
"""Convert ScanNet v2, the real download or a world of rooms, into what mmdet3d's three ScanNet datasets read.

Example: ``python tools/data/scannet.py data/rooms data/rooms --frames 1 --jobs 2``

Run it again after an interruption: it does only what is missing. Scans that cannot be read are listed at the end and
left out; the exit status is then 2.
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

need('numpy', 'PIL', 'plyfile')

from pretrain3d.converters.batch import SceneError  # noqa: E402
from pretrain3d.converters.scannet.convert import convert  # noqa: E402


def main() -> int:
    """Parse the arguments and convert; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('root', type=Path, help='folder that holds scans/ and the label table')
    parser.add_argument('out', type=Path, help='target folder (may be the same)')
    parser.add_argument('--splits', nargs='+', choices=['train', 'val', 'test'], default=['train', 'val'])
    parser.add_argument('--frames', type=int, metavar='STEP', help='record every STEP-th RGB-D frame (25 in the papers)')
    parser.add_argument('--lists', type=Path, help='folder of scannetv2_<split>.txt (default: ROOT/meta_data)')
    parser.add_argument('--label-table', type=Path, help='scannetv2-labels.combined.tsv (default: in ROOT)')
    parser.add_argument('--jobs', type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    if args.frames is not None and args.frames < 1:
        parser.error('--frames must be at least 1')
    try:
        skipped = convert(args.root, args.out, args.splits, args.frames, args.jobs, args.lists, args.label_table)
    except (OSError, ValueError, SceneError) as error:
        print(f'scannet: {error}', file=sys.stderr)
        return 1
    for name, reason in skipped:
        print(f'skipped {name}: {reason}')
    print(f'{args.out}: {", ".join(args.splits)} written' + (f', {len(skipped)} scans skipped' if skipped else ''))
    return 2 if skipped else 0


if __name__ == '__main__':
    sys.exit(main())
