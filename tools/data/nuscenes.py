#!/usr/bin/env python
"""Make the info files of nuScenes, or of a drawn street, with mmdet3d's own converter.

Example: ``python tools/data/nuscenes.py data/street --version v1.0-mini``

ROOT holds samples, sweeps, maps and the tables (and lidarseg, panoptic, where they were downloaded); it may lie
anywhere. Made in it: nuscenes_infos_train.pkl and _val.pkl (_test.pkl for v1.0-test), nuscenes_gt_database and
nuscenes_dbinfos_train.pkl (cut-out objects for mmdet3d's ObjectSample; --no-gt-database does without). They appear all
at once at the end; what is there already and newer than the tables is kept. Boxes in images are clipped to the images'
size, where mmdet3d's script takes 1600 x 900 for granted.

Plain mmdet3d does the same for images of 1600 x 900: in a folder whose data/nuscenes is a link to ROOT, run
``python <mmdet3d>/.mim/tools/create_data.py nuscenes --root-path ./data/nuscenes --out-dir ./data/nuscenes
--extra-tag nuscenes --version v1.0-mini`` with PYTHONPATH=<mmdet3d>/.mim. Then run tools/data/nuscenes_extras.py.

Exit status: 0 made or there; 1 not, with the reason.
"""
import argparse
import os
import subprocess
import sys
from pathlib import Path

os.environ.setdefault('PRETRAIN3D_LIGHT', '1')
TOOLS = Path(__file__).resolve().parents[1]
sys.path[0] = str(TOOLS.parent / 'projects')  # not this folder: the devkit is called as this file is
sys.path.append(str(TOOLS))

from _mmdet3d import need  # noqa: E402

need('numpy', 'mmdet3d')

from pretrain3d.converters.nuscenes.create import VERSIONS, create, is_done  # noqa: E402


def main() -> int:
    """Parse the arguments and convert; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('root', type=Path, help='data folder')
    parser.add_argument('--version', choices=VERSIONS, default='v1.0-trainval')
    parser.add_argument('--prefix', default='nuscenes', help='first word of the files made (default nuscenes)')
    parser.add_argument('--max-sweeps', type=int, default=10, help='earlier LiDAR sweeps that a frame lists')
    parser.add_argument('--no-gt-database', action='store_true', help='do without the database of cut-out objects')
    parser.add_argument('--again', action='store_true', help='make anew what is there')
    args = parser.parse_args()
    if not args.root.is_dir():
        print(f'nuscenes: {args.root} is no folder', file=sys.stderr)
        return 1
    database = not args.no_gt_database

    def run(folder: Path, size: tuple) -> int:
        command = [sys.executable, str(TOOLS / 'data' / '_create_nuscenes.py'), '--version', args.version, '--prefix',
                   args.prefix, '--max-sweeps', str(args.max_sweeps), '--size', *map(str, size)]
        environment = dict(os.environ, PRETRAIN3D_LIGHT='1')
        return subprocess.run(command + ['--no-gt-database'] * (not database), cwd=folder, stdout=sys.stderr,
                              env=environment).returncode

    try:
        if not args.again and is_done(args.root, args.version, args.prefix, database):
            print(f'{args.root}: {args.version} is prepared already (--again makes it anew)')
            return 0
        made = create(args.root, args.version, run, args.prefix, database)
    except (OSError, ValueError) as error:
        print(f'nuscenes: {error}', file=sys.stderr)
        return 1
    print(f'{args.root}: made {", ".join(made)}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
