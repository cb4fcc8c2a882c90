#!/usr/bin/env python
"""Draw a contact sheet of a world, of ScanNet, S3DIS or Structured3D: frames under labels, clouds, labels and boxes;
or of nuScenes: six cameras with boxes and points, the scene from above, lidarseg and panoptic labels.

Examples: ``python tools/analysis/browse.py data/rooms --scan scene0003_00 --out sheet.png``,
``python tools/analysis/browse.py data/street --scan scene-0103 --scan scene-0916/2``

PATH is a folder with the layout of one of them (the real download, or what tools/make_world.py drew) or what
tools/data/scannet.py, s3dis.py or structured3d.py wrote; a folder that is both is read as converted. Of nuScenes the
keyframes <scene>/<number> are drawn (a scene's name: its middle one), from v1.0-mini if the folder holds several
releases.
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

need('numpy', 'PIL', 'plyfile', 'scipy')

from pretrain3d.converters.batch import SceneError  # noqa: E402
from pretrain3d.pictures.scans import choose, open_scans  # noqa: E402
from pretrain3d.pictures.sheet import draw_sheet  # noqa: E402
from pretrain3d.pictures.street_sheet import draw_street_sheet  # noqa: E402
from pretrain3d.pictures.streets import Streets, version_of  # noqa: E402


def main() -> int:
    """Parse the arguments and draw the sheet; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('path', type=Path, help='a world, a download or a converted dataset')
    parser.add_argument('--scan', action='append', metavar='NAME',
                        help='a scan, or a keyframe or scene of nuScenes, to draw; may be given several times')
    parser.add_argument('--count', type=int, default=4, help='without --scan: how many, spread evenly (default 4)')
    parser.add_argument('--out', type=Path, default=Path('sheet.png'), help='picture to write (default sheet.png)')
    args = parser.parse_args()
    if args.count < 1:
        parser.error('--count must be at least 1')
    try:
        streets = bool(version_of(args.path))
        source = Streets(args.path) if streets else open_scans(args.path)
        wanted = [source.resolve(name) for name in args.scan or ()] if streets else args.scan
        scans = [source.read(name) for name in choose(source, wanted, args.count)]
        sheet = (draw_street_sheet if streets else draw_sheet)(
            scans, f'{args.path.resolve().name}: {len(scans)} of {len(source.names)} '
            f'{"keyframes" if streets else "scans"} ({source.kind})')
        args.out.parent.mkdir(parents=True, exist_ok=True)
        sheet.save(args.out)
    except (OSError, ValueError, SceneError) as error:
        print(f'browse: {error}', file=sys.stderr)
        return 1
    print(f'{args.out}: {", ".join(scan.name for scan in scans)} ({sheet.width} x {sheet.height} pixels)')
    return 0


if __name__ == '__main__':
    sys.exit(main())
