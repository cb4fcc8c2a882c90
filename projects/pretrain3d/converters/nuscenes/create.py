"""mmdet3d's ``create_data.py nuscenes`` on a data folder anywhere, its results whole or absent.

The script reads and writes ``./data/nuscenes`` whatever it is told. It therefore runs in a folder made for it, in which
``data/nuscenes`` holds links to what the release consists of; what it made is renamed into place at the end.
"""
import os
import pickle
import shutil
from pathlib import Path
from typing import Callable, List

from ...files import partial_path, remove_leftovers, write_atomic
from ...plain_pickle import PlainPickleError, load_plain
from .tables import TableError, check_release, read_table

VERSIONS = ('v1.0-mini', 'v1.0-trainval', 'v1.0-test')


def outputs(version: str, prefix: str, database: bool) -> List[str]:
    """What the converter leaves in the data folder; info files last."""
    if version.endswith('-test'):
        return [f'{prefix}_infos_test.pkl']
    made = [f'{prefix}_gt_database', f'{prefix}_dbinfos_train.pkl'] if database else []
    return made + [f'{prefix}_infos_train.pkl', f'{prefix}_infos_val.pkl']


def is_done(root: Path, version: str, prefix: str, database: bool) -> bool:
    """Whether all of it is there, of this version, and newer than the tables."""
    files = [root / name for name in outputs(version, prefix, database)]
    if not all(path.exists() for path in files):
        return False
    tables = max((path.stat().st_mtime for path in (root / version).glob('*.json')), default=float('inf'))
    if min(path.stat().st_mtime for path in files) < tables:
        return False
    return all(_version(path) == version for path in files if '_infos_' in path.name)


def _version(path: Path) -> str:
    """Release that an info file says it is of."""
    try:
        held = load_plain(path)
        return str(held['metainfo']['version'])
    except (PlainPickleError, KeyError, TypeError):
        return ''


def create(root: Path, version: str, run: Callable[[Path, tuple], int], prefix: str = 'nuscenes',
           database: bool = True) -> List[str]:
    """Make the info files of ``root/version``.

    Args:
        root: data folder with samples, sweeps, maps and the tables.
        version: one of :data:`VERSIONS`.
        run: ``run(folder, (width, height))`` runs mmdet3d's converter in ``folder``, for images of that size, and
            returns its exit status.
        prefix: first word of the files made.
        database: whether a database of cut-out objects, for mmdet3d's ``ObjectSample``, is made too.

    Returns:
        Names of what was made, in ``root``.

    Raises:
        TableError: The release is not complete, or the converter failed.
    """
    root = Path(root).resolve()
    size = check_release(root, version)
    check_scenes(root, version)
    made = outputs(version, prefix, database)
    remove_leftovers(root)
    work = partial_path(root / f'{prefix}_infos')
    data = work / 'data' / 'nuscenes'
    data.mkdir(parents=True)
    try:
        # What the converter may write is no link, or it would change what is there.
        for entry in root.iterdir():
            if not entry.name.startswith(('.', f'{prefix}_')):
                (data / entry.name).symlink_to(entry, target_is_directory=entry.is_dir())
        status = run(work, size)
        if status:
            raise TableError(f"mmdet3d's converter ended with status {status}; what it said stands above. Nothing in "
                             f'{root} was changed')
        lost = [name for name in made if not (data / name).exists()]
        if lost:
            raise TableError(f"mmdet3d's converter left no {', '.join(lost)}; nothing in {root} was changed")
        if database and not version.endswith('-test'):
            mend_database(data, prefix)
        for name in made:
            _move(data / name, root / name)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return made


def check_scenes(root: Path, version: str) -> None:
    """Raise where one of the devkit's splits has no scene of this release; mmdet3d's script falls over it later."""
    from nuscenes.utils import splits
    parts = dict(zip(VERSIONS, ((splits.mini_train, splits.mini_val), (splits.train, splits.val), (splits.test, ))))
    names = {row['name'] for row in read_table(root, version, 'scene')}
    for part in parts[version]:
        if not names & set(part):
            raise TableError(f'{root}/{version} has none of the {len(part)} scenes of a split of {version} '
                             f'({part[0]} ...); a drawn world must have the official names of scenes')


def mend_database(data: Path, prefix: str) -> int:
    """Take objects without a class (strollers, police cars ...) out of the database of cut-out objects.

    mmdet3d's script names them after the last class, for their label is -1, and ``ObjectSample`` would paste them into
    scenes as barriers. Returns how many there were.
    """
    infos = load_plain(data / f'{prefix}_infos_train.pkl')['data_list']
    # The script numbers a frame's objects with points.
    labels = {info['sample_idx']: [one['bbox_label_3d'] for one in info.get('instances', ()) if one['bbox_3d_isvalid']]
              for info in infos}
    held, count = load_plain(data / f'{prefix}_dbinfos_train.pkl'), 0
    for name, rows in held.items():
        wrong = [row for row in rows if labels[row['image_idx']][row['gt_idx']] < 0]
        for row in wrong:
            (data / row['path']).unlink()
        held[name] = [row for row in rows if labels[row['image_idx']][row['gt_idx']] >= 0]
        count += len(wrong)
    if count:
        write_atomic(data / f'{prefix}_dbinfos_train.pkl', pickle.dumps(held, protocol=4))
    return count


def _move(made: Path, final: Path) -> None:
    """Rename into place, over an old file or folder."""
    if final.is_dir() and not final.is_symlink():
        old = partial_path(final)
        os.replace(final, old)
        os.replace(made, final)
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.replace(made, final)
