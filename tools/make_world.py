#!/usr/bin/env python
"""Draw a procedural world in a real dataset's on-disk format.

Examples:
  python tools/make_world.py rooms data/rooms --as scannet --preset tiny --seed 0 --jobs 2
  python tools/make_world.py street data/street --preset tiny --seed 0 --jobs 2
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

from pretrain3d.worlds.rooms import build as rooms, presets as room_sizes, variants as room_looks  # noqa: E402
from pretrain3d.worlds.street import build as street, presets as street_sizes  # noqa: E402

# World -> (how it is drawn, its presets, the data sets it can be drawn as: the first by default, what is counted).
WORLDS = dict(rooms=(rooms.build, tuple(room_sizes.PRESETS), room_looks.NAMES, 'folders'),
              street=(street.build, tuple(street_sizes.PRESETS), street.NAMES, 'scenes'))
# What a data set's files need beyond what every world does.
NEEDS = dict(waymo=('pyarrow', ))


def parse() -> argparse.Namespace:
    """The arguments; ends the process when they do not go together."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('world', choices=sorted(WORLDS), help='rooms: furnished rooms; street: drives through streets')
    parser.add_argument('out', type=Path, help='target folder')
    offer = '; '.join(f'{world}: {", ".join(row[2])}' for world, row in WORLDS.items())
    parser.add_argument('--as', dest='variant', metavar='DATASET',
                        help=f'data set whose look and on-disk layout are drawn (default the first). {offer}')
    offer = '; '.join(f'{world}: {", ".join(row[1])}' for world, row in WORLDS.items())
    parser.add_argument('--preset', default='tiny', help=f'size (default tiny). {offer}')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--jobs', type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    _, presets, names, _ = WORLDS[args.world]
    args.variant = args.variant or names[0]
    for option, value, offered in (('--as', args.variant, names), ('--preset', args.preset, presets)):
        if value not in offered:
            parser.error(f'argument {option}: invalid choice for {args.world}: {value!r} (choose from '
                         f'{", ".join(offered)})')
    return args


def main() -> int:
    """Parse the arguments and draw the world; returns the exit status."""
    args = parse()
    need(*NEEDS.get(args.variant, ()))
    draw, _, _, unit = WORLDS[args.world]
    start = time.time()

    def progress(done: int, count: int) -> None:
        left = (time.time() - start) / done * (count - done)
        print(f'\r{done}/{count} {unit}, {left:.0f} s left ', end='', file=sys.stderr, flush=True)

    try:
        draw(args.out, args.preset, args.seed, args.jobs, progress, args.variant)
    except (OSError, ValueError) as error:
        print(f'\nmake_world: {error}', file=sys.stderr)
        return 1
    print(f'\n{args.out}: {args.world} as {args.variant}, preset {args.preset}, seed {args.seed}, '
          f'{time.time() - start:.1f} s')
    return 0


if __name__ == '__main__':
    sys.exit(main())
