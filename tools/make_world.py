#!/usr/bin/env python
"""Draw a procedural world in a real dataset's on-disk format.

Example: ``python tools/make_world.py rooms data/rooms --as scannet --preset tiny --seed 0 --jobs 2``
"""
import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault('PRETRAIN3D_LIGHT', '1')
TOOLS = Path(__file__).resolve().parent
sys.path.insert(0, str(TOOLS.parent / 'projects'))
sys.path.append(str(TOOLS))

from _mmdet3d import need  # noqa: E402

need('numpy', 'PIL', 'plyfile', 'embreex')

from pretrain3d.worlds.rooms.build import build  # noqa: E402
from pretrain3d.worlds.rooms.presets import PRESETS  # noqa: E402
from pretrain3d.worlds.rooms.variants import NAMES  # noqa: E402


def main() -> int:
    """Parse the arguments and draw the world; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('world', choices=['rooms'], help='rooms: furnished rooms')
    parser.add_argument('out', type=Path, help='target folder')
    parser.add_argument('--as', dest='variant', choices=NAMES, default='scannet',
                        help='data set whose look and on-disk layout are drawn (default scannet)')
    parser.add_argument('--preset', choices=sorted(PRESETS), default='tiny')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--jobs', type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    start = time.time()

    def progress(done: int, count: int) -> None:
        left = (time.time() - start) / done * (count - done)
        print(f'\r{done}/{count} folders, {left:.0f} s left ', end='', file=sys.stderr, flush=True)

    try:
        build(args.out, args.preset, args.seed, args.jobs, progress, args.variant)
    except (OSError, ValueError) as error:
        print(f'\nmake_world: {error}', file=sys.stderr)
        return 1
    print(f'\n{args.out}: {args.world} as {args.variant}, preset {args.preset}, seed {args.seed}, {time.time() - start:.1f} s')
    return 0


if __name__ == '__main__':
    sys.exit(main())
