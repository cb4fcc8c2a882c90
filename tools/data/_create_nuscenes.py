"""Runs mmdet3d's own ``create_data.py`` for one release of nuScenes in ``./data/nuscenes``; started by nuscenes.py.

``create_data.py --version v1.0`` makes the training and the test release in one go and fails for want of either; here
its ``nuscenes_data_prep`` is called for the one that is asked for.
"""
import argparse
import sys
from pathlib import Path
from typing import Sequence

TOOLS = Path(__file__).resolve().parents[1]
if __name__ == '__main__':
    sys.path.pop(0)  # this folder: the devkit is called as its nuscenes.py is
sys.path.append(str(TOOLS))

from _mmdet3d import find_pretrain3d, locate  # noqa: E402

ROOT = './data/nuscenes'


def convert(version: str, prefix: str, size: Sequence[int], max_sweeps: int = 10, database: bool = True) -> None:
    """Make the info files of ``./data/nuscenes``, whose images have ``size`` (width, height)."""
    find_pretrain3d()
    script = locate('create_data.py')
    sys.path.insert(0, str(script.parents[1]))
    arguments, sys.argv = sys.argv, [str(script), 'nuscenes']  # create_data.py parses them when it is imported
    try:
        from tools import create_data
    finally:
        sys.argv = arguments
        sys.path.remove(str(script.parents[1]))

    from mmdet3d.datasets import convert_utils
    from mmengine.registry import init_default_scope
    init_default_scope('mmdet3d')
    # Clips the boxes of images to 1600 x 900; a drawn world's may be smaller.
    clip, cut_out = convert_utils.post_process_coords, create_data.create_groundtruth_database
    if clip.__defaults__ != ((1600, 900), ):
        raise SystemExit('this mmdet3d clips boxes in another way than 1.4.0; see tools/data/_create_nuscenes.py')
    try:
        clip.__defaults__ = (tuple(size), )
        if not database:
            create_data.create_groundtruth_database = lambda *arguments, **options: None
        create_data.nuscenes_data_prep(ROOT, prefix, version, 'NuScenesDataset', ROOT, max_sweeps)
    finally:
        clip.__defaults__ = ((1600, 900), )
        create_data.create_groundtruth_database = cut_out


def main() -> None:
    """Parse the arguments and convert."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--version', required=True)
    parser.add_argument('--prefix', required=True)
    parser.add_argument('--max-sweeps', type=int, default=10)
    parser.add_argument('--size', type=int, nargs=2, required=True, help='width and height of the images')
    parser.add_argument('--no-gt-database', action='store_true')
    args = parser.parse_args()
    convert(args.version, args.prefix, args.size, args.max_sweeps, not args.no_gt_database)


if __name__ == '__main__':
    main()
