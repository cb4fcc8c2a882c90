#!/usr/bin/env python
"""List SemanticKITTI's sweeps, the real download's or a drawn street's, as mmdet3d's datasets read them.

Example: ``python tools/data/semantickitti.py data/semantickitti``

ROOT holds sequences/<00 ... 21>/velodyne/*.bin and labels/*.label (or dataset/sequences, as the download unpacks: the
lists then lie in ROOT/dataset, which is the folder to name to the configs). Made: semantickitti_infos_train.pkl
(sequences 00 to 10 without 08), _val.pkl (08) and _test.pkl (11 to 21, without labels), each where there are sweeps.
mmdet3d's create_data.py lists the whole release without looking at the disk; these lists have the same keys and hold
what is there. Sweeps that are torn, have no labels or labels of another number of points are left out and listed. A
split without a sweep is named, and a list of it that an earlier run made is removed.

Exit status: 0 every sweep is listed; 2 some were left out; 1 nothing could be listed, in all, in a split whose sweeps
are there, or in one that --splits names (the other splits' lists are written).
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

from pretrain3d.converters.semantickitti.infos import SPLITS, find_root, write_infos  # noqa: E402


def main() -> int:
    """Parse the arguments and list; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('root', type=Path, help='folder of the download, or of a drawn street')
    parser.add_argument('--splits', nargs='+', choices=SPLITS, help='default: all that have sweeps')
    args = parser.parse_args()
    try:
        root = find_root(args.root)
        done = write_infos(root, tuple(args.splits or SPLITS))
    except (OSError, ValueError) as error:
        print(f'semantickitti: {error}', file=sys.stderr)
        return 1
    bad = [line for whole in done.values() for line in whole.bad]
    for file, why in bad[:20]:
        print(f'left out {file}: {why}')
    if len(bad) > 20:
        print(f'left out {len(bad) - 20} more')
    for note in (note for whole in done.values() for note in whole.notes):
        print(note)
    listed = ', '.join(f'{len(whole.entries)} sweeps of {split}' for split, whole in done.items() if whole.entries)
    print(f'{root}: {listed}' + (f', {len(bad)} left out' if bad else ''))
    failed = any(not whole.entries and (whole.bad or args.splits) for whole in done.values())
    return 1 if failed else 2 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
