#!/usr/bin/env python
"""Add to nuScenes' info files what mmdet3d's converter leaves out: scenes, attributes, panoptic labels, camera sweeps.

Example: ``python tools/data/nuscenes_extras.py data/street``

ROOT is what tools/data/nuscenes.py has prepared, real or drawn. Every frame gets scene_name and scene_index (for the
option scenes of our datasets), pts_semantic_mask_path and pts_panoptic_mask_path (where these labels were downloaded),
camera_sweeps (the latest frames of every camera before it, as entries of images, img_path relative to ROOT), and every
instance its attribute_name. mmdet3d reads the files as before. Run it again at any time; it changes nothing then.

Every file that the infos name is looked for. Missing ones are listed and nothing is written, unless
--on-missing leave-out: labels and sweeps that are not there are then taken out, frames without LiDAR or an image as a
whole, and counted.

Exit status: 0 written, nothing missing; 2 written, something left out; 1 not written.
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

need('numpy')

from pretrain3d.converters.nuscenes.extras import (add_extras, find_lost, leave_out, read_infos,  # noqa: E402
                                                   read_release, write_infos)
from pretrain3d.converters.nuscenes.tables import LABELS, TableError  # noqa: E402


def main() -> int:
    """Parse the arguments and add; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('root', type=Path, help='data folder')
    parser.add_argument('--infos', nargs='+', type=Path, help='default: ROOT/<prefix>_infos_{train,val,test}.pkl')
    parser.add_argument('--prefix', default='nuscenes')
    parser.add_argument('--camera-sweeps', type=int, default=5, metavar='N',
                        help='earlier frames of every camera (default 5, those back to the keyframe before; about '
                        '15 KB a keyframe), 0: none')
    parser.add_argument('--on-missing', choices=('refuse', 'leave-out'), default='refuse')
    args = parser.parse_args()
    if args.camera_sweeps < 0:
        parser.error('--camera-sweeps must be 0 or more')
    try:
        return extend(args)
    except (OSError, ValueError) as error:
        print(f'nuscenes_extras: {error}', file=sys.stderr)
        return 1


def extend(args: argparse.Namespace) -> int:
    """Extend all info files, or none; returns the exit status."""
    paths = args.infos or [path for path in (args.root / f'{args.prefix}_infos_{split}.pkl'
                                             for split in ('train', 'val', 'test')) if path.exists()]
    if not paths:
        raise TableError(f'{args.root} holds no {args.prefix}_infos_*.pkl: run tools/data/nuscenes.py first')
    held = {path: read_infos(path) for path in paths}
    releases, complete = {}, True
    for path, infos in held.items():
        version = infos['metainfo']['version']
        if version not in releases:
            releases[version] = read_release(args.root, version, args.camera_sweeps > 0)
        add_extras(infos, releases[version], str(path), args.camera_sweeps)
        lost = find_lost(infos, args.root)
        for line in lost.lines():
            complete = False
            print(f'{path}: {line}', file=sys.stderr)
        if lost.lines() and args.on_missing == 'leave-out':
            frames = leave_out(infos, lost)
            print(f'{path}: what they belong to is left out, with {frames} whole frames of '
                  f'{frames + len(infos["data_list"])}')
            if not infos['data_list']:
                raise TableError(f'{path}: no frame is left')
    if not complete and args.on_missing == 'refuse':
        raise TableError('nothing was written: complete the download, or say --on-missing leave-out')
    for path, infos in held.items():
        changed = write_infos(path, infos)
        absent = [kind for kind in LABELS if kind not in releases[infos['metainfo']['version']].labels]
        print(f'{path}: {len(infos["data_list"])} frames {"written" if changed else "as they were"}'
              + (f'; no {" and no ".join(absent)} in this release' if absent else ''))
    return 0 if complete else 2


if __name__ == '__main__':
    sys.exit(main())
