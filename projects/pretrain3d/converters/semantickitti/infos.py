"""Lists of SemanticKITTI's sweeps from what lies on disk; mmdet3d's converter lists the release without looking."""
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Tuple

from ...files import write_atomic

SPLITS: Dict[str, Tuple[str, ...]] = dict(
    train=('00', '01', '02', '03', '04', '05', '06', '07', '09', '10'), val=('08', ),
    test=tuple(f'{number:02d}' for number in range(11, 22)))
POINT, LABEL = 16, 4  # bytes of four float32, of one uint32


class KittiError(ValueError):
    """A folder that no list can be made of; the message says what to do."""


@dataclass
class Sequence:
    """Sweeps of one sequence.

    Attributes:
        entries: of an info file. bad: (file, what is wrong) of sweeps that are left out. notes: lines on the whole.
    """
    entries: List[dict] = field(default_factory=list)
    bad: List[Tuple[str, str]] = field(default_factory=list)
    notes: List[str] = field(default_factory=list)


def read_sequence(root: Path, name: str, labelled: bool) -> Sequence:
    """List one sequence; every sweep and label file is looked at for its size.

    Args:
        root: folder that holds ``sequences``. name: '00' ... '21'. labelled: whether sweeps must have labels.
    """
    folder, found = Path(root) / 'sequences' / name, Sequence()
    sizes = {kind: {path.stem: path.stat().st_size for path in (folder / kind).glob(f'*{ending}')}
             for kind, ending in (('velodyne', '.bin'), ('labels', '.label'))}
    times = folder / 'times.txt'
    if times.is_file():
        expected = len(times.read_text(errors='replace').split())
        if expected != len(sizes['velodyne']):
            found.notes.append(f'sequence {name} has {len(sizes["velodyne"])} sweeps and {expected} times: the '
                               'download may be incomplete')
    for stem, size in sorted(sizes['velodyne'].items()):
        file, label = f'sequences/{name}/velodyne/{stem}.bin', f'sequences/{name}/labels/{stem}.label'
        wrong = None
        if not size or size % POINT:
            wrong = f'{size} bytes are no whole number of points with four float32: torn'
        elif labelled and stem not in sizes['labels']:
            wrong = f'{label} does not exist'
        elif labelled and sizes['labels'][stem] * POINT != size * LABEL:
            wrong = f'{label} has {sizes["labels"][stem] // LABEL} labels for {size // POINT} points'
        if wrong:
            found.bad.append((file, wrong))
            continue
        entry = dict(lidar_points=dict(lidar_path=file, num_pts_feats=4), sample_idx=f'{name}/{stem}', scene_name=name,
                     sample_id=f'{int(name)}{stem.lstrip("0") or 0}')
        found.entries.append(dict(entry, pts_semantic_mask_path=label) if labelled else entry)
    return found


def find_root(root: Path) -> Path:
    """The folder that holds ``sequences``: ``root``, or ``dataset`` in it as the download unpacks.

    Raises:
        KittiError: There is none.
    """
    for folder in (Path(root), Path(root) / 'dataset'):
        if (folder / 'sequences').is_dir():
            return folder
    raise KittiError(f'{root} holds no folder sequences: it must be that of the unpacked download (dataset/sequences), '
                     'or a drawn street (make_world.py street OUT --as semantickitti)')


def write_infos(root: Path, splits: Tuple[str, ...] = tuple(SPLITS)) -> Dict[str, Sequence]:
    """Write ``semantickitti_infos_<split>.pkl`` into ``root`` for every split that has sweeps.

    A split without a sweep that can be listed has a note, and its list of an earlier run is removed: the sweeps that it
    names are no longer there, or no longer whole.

    Returns:
        split -> all of its sequences as one.

    Raises:
        KittiError: No split has any.
    """
    done: Dict[str, Sequence] = {}
    for split in splits:
        whole = Sequence()
        for name in SPLITS[split]:
            part = read_sequence(root, name, split != 'test')
            whole.entries += part.entries
            whole.bad += part.bad
            whole.notes += part.notes
        done[split] = whole
    removed = []
    for split, whole in done.items():
        path = Path(root) / f'semantickitti_infos_{split}.pkl'
        if whole.entries:
            # The keys of mmdet3d's own converter, and ours in the samples.
            content = dict(metainfo=dict(DATASET='SemanticKITTI'), data_list=whole.entries)
            write_atomic(path, pickle.dumps(content, protocol=4))
            continue
        whole.notes.append(_nothing(split, len(whole.bad)))
        if path.is_file():
            path.unlink()
            removed.append(f'; {path}, a list of an earlier run, was removed')
            whole.notes[-1] += removed[-1]
    if not any(whole.entries for whole in done.values()):
        raise KittiError(f'{root}/sequences holds no sweep with labels that could be listed'
                         + next((f'; {file}: {why}' for whole in done.values() for file, why in whole.bad), '')
                         + ''.join(removed))
    return done


def _nothing(split: str, bad: int) -> str:
    """Why a split has no list: it has no sweeps at all, or ``bad`` ones alone."""
    first, last = SPLITS[split][0], SPLITS[split][-1]
    name = f'{split} (sequence {first})' if first == last else f'{split} (sequences {first} to {last})'
    return f'none of the {bad} sweeps of {name} could be listed' if bad else f'no sweeps of {name}'
