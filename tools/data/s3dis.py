#!/usr/bin/env python
"""Convert S3DIS, the real download or a world of rooms, into what mmdet3d's S3DIS datasets read, with normals.

Example: ``python tools/data/s3dis.py data/offices data/s3dis --jobs 2``

ROOT holds Area_1 ... Area_6 (Stanford3dDataset_v1.2_Aligned_Version, or a folder with it in it). Normals are estimated
from the points, about 2 s a million of them. Run it again after an interruption or a mended download: it does only what
is missing. Listed at the end, with the reason: rooms that cannot be read, which are left out; lines with damaged bytes;
classes that S3DIS does not have, whose points stay without a label.

Exit status: 0 every room is there; 2 rooms were left out; 1 nothing could be converted, in all or in one of the areas
(its info file is then not written; the other areas' are).
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

need('numpy', 'scipy')

from pretrain3d.converters.s3dis.convert import AREAS, Outcome, convert_areas  # noqa: E402


def report(outcome: Outcome) -> None:
    """Print what could not be converted, and why; areas that failed as a whole on stderr."""
    for name, reason in outcome.skipped:
        print(f'skipped {name}: {reason}')
    for name, note in outcome.notes:
        print(f'{name}: {note}')
    for category, (files, rooms) in sorted(outcome.unknown.items()):
        print(f'unknown class {category!r}: {files} files in {rooms} rooms are left without a label')
    for area, reason in outcome.failed:
        print(f's3dis: {area}: {reason}', file=sys.stderr)


def main() -> int:
    """Parse the arguments and convert; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('root', type=Path, help='folder that holds Area_1 ... Area_6, or the release')
    parser.add_argument('out', type=Path, help='target folder (may be the same)')
    parser.add_argument('--areas', nargs='+', choices=AREAS, default=list(AREAS))
    parser.add_argument('--align-angles', action='store_true', help='turn each room by Area_<k>_alignmentAngle.txt: '
                        'for Stanford3dDataset_v1.2, which is not aligned')
    parser.add_argument('--jobs', type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    try:
        outcome = convert_areas(args.root, args.out, args.areas, args.jobs, args.align_angles)
    except (OSError, ValueError, BrokenExecutor) as error:
        print(f's3dis: {error}', file=sys.stderr)
        return 1
    report(outcome)
    failed = [area for area, _ in outcome.failed]
    written = ', '.join(area for area in args.areas if area not in failed) or 'nothing'
    print(f'{args.out}: {written} written' + (f', {len(outcome.skipped)} rooms skipped' if outcome.skipped else ''))
    return 1 if failed else 2 if outcome.skipped else 0


if __name__ == '__main__':
    sys.exit(main())
