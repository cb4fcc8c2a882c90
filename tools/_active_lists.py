"""What tools/active_label.py reads and writes: the scans of a split, lists of vertices, finished parts of a list."""
import hashlib
import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Sequence

import numpy as np

from pretrain3d.files import write_atomic
from pretrain3d.datasets.info_check import load_plain_pickle
from pretrain3d.datasets.scannet_lists import read_point_list

CONVERT = 'tools/data/scannet.py'


class ActiveLabelError(Exception):
    """The tool cannot do as asked; the message is one line."""


@dataclass(frozen=True)
class Scan:
    """A converted scan: its name, its file below every folder of ``root``, and whether it has labels."""
    root: Path
    name: str
    file: str
    labelled: bool

    def points(self) -> np.ndarray:
        """(V, 6) float32: x, y, z in metres, r, g, b of 0 ... 255."""
        return self._array('points', np.float32, 6)

    def labels(self, kind: str) -> np.ndarray:
        """(V,) int64 of ``instance_mask`` or ``semantic_mask`` (NYU40 ids)."""
        return self._array(kind, np.int64, 1)[:, 0]

    def stamp(self) -> List[int]:
        """Size and time of the points' file: another stamp, another scan."""
        path = self.root / 'points' / self.file
        if not path.is_file():
            raise ActiveLabelError(f'{path} is missing; convert again with {CONVERT}')
        status = os.stat(path)
        return [status.st_size, status.st_mtime_ns]

    def _array(self, kind: str, dtype: type, columns: int) -> np.ndarray:
        path = self.root / kind / self.file
        values = np.fromfile(path, dtype) if path.is_file() else np.zeros(0)
        if not len(values) or len(values) % columns:
            raise ActiveLabelError(f'{path} is missing, empty or cut short; convert again with {CONVERT}')
        return values.reshape(-1, columns)


def read_scans(root: Path, split: str) -> List[Scan]:
    """The scans of a split of a converted folder."""
    path = root / f'scannet_infos_{split}.pkl'
    if not path.is_file():
        raise ActiveLabelError(f'{path} does not exist: --data is a folder that {CONVERT} wrote, --split one that it '
                               'converted')
    entries = load_plain_pickle(str(path))['data_list']
    if not entries:
        raise ActiveLabelError(f'{path} lists no scan')
    files = [(entry['lidar_points']['lidar_path'], 'pts_instance_mask_path' in entry, entry) for entry in entries]
    return [Scan(root, entry.get('scan') or Path(file).stem, file, labelled) for file, labelled, entry in files]


def sha256(path: str) -> str:
    """Digest of a file, so that a list says which weights chose it."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        for chunk in iter(lambda: file.read(1 << 20), b''):
            digest.update(chunk)
    return digest.hexdigest()


class ListFolder:
    """A folder of lists ``points<K>.npz`` made with one set of settings; scans that are done stay in ``parts/``.

    Args:
        path: the folder. settings: all that decides which vertices are chosen.
    """

    def __init__(self, path: Path, settings: Dict[str, Any]) -> None:
        self.path, self.settings = path, settings
        record = path / 'parts' / 'settings.json'
        known = json.loads(record.read_text()) if record.is_file() else settings
        for key in sorted({*known, *settings}):
            if known.get(key) != settings.get(key):
                raise ActiveLabelError(f'{path} was begun with {key}={known.get(key)!r}, now it is '
                                       f'{settings.get(key)!r}; remove that folder or choose another --out')
        write_atomic(record, json.dumps(settings, indent=1).encode())

    def part(self, scan: Scan) -> Dict[int, List[int]]:
        """Labels asked for -> chosen vertices of a scan, as far as they are done for the scan as it is."""
        path = self._part(scan)
        held = json.loads(path.read_text()) if path.is_file() else {}
        if held.get('stamp') != scan.stamp():
            return {}
        return {int(count): chosen for count, chosen in held['chosen'].items()}

    def add(self, scan: Scan, chosen: Dict[int, np.ndarray]) -> None:
        """Keep the chosen vertices of a scan beside what is there."""
        chosen = {**self.part(scan), **{count: rows.tolist() for count, rows in chosen.items()}}
        write_atomic(self._part(scan), json.dumps(dict(stamp=scan.stamp(), chosen=chosen)).encode())

    def finish(self, scans: Sequence[Scan], counts: Sequence[int]) -> Dict[int, List[str]]:
        """Write the lists and ``manifest.json``; return, for each count, the scans with fewer vertices."""
        parts = {scan.name: self.part(scan) for scan in scans}
        short, files = {}, {}
        for count in counts:
            lists = {name: np.asarray(part[count], np.int64) for name, part in parts.items()}
            short[count] = [name for name, rows in lists.items() if len(rows) < count]
            files[f'points{count}.npz'] = dict(
                labels=int(sum(map(len, lists.values()))), all_vertices_of=short[count])
            buffer = io.BytesIO()
            np.savez_compressed(buffer, **lists)
            write_atomic(self.path / f'points{count}.npz', buffer.getvalue())
        manifest = dict(settings=self.settings, scans=len(scans), lists={**self.manifest().get('lists', {}), **files})
        write_atomic(self.path / 'manifest.json', json.dumps(manifest, indent=1).encode())
        return short

    def manifest(self) -> Dict[str, Any]:
        """What ``manifest.json`` holds; nothing where there is none."""
        path = self.path / 'manifest.json'
        return json.loads(path.read_text()) if path.is_file() else {}

    def _part(self, scan: Scan) -> Path:
        return self.path / 'parts' / f'{scan.name}.json'


def read_lists(folder: Path, scans: Sequence[Scan]) -> Dict[int, Dict[str, np.ndarray]]:
    """Labels asked for -> scan -> vertices, of every ``points<K>.npz`` in a folder; each must list all ``scans``."""
    paths = {int(path.stem[6:]): path for path in folder.glob('points*.npz') if path.stem[6:].isdigit()}
    if not paths:
        raise ActiveLabelError(f'{folder} holds no points<K>.npz; make them with tools/active_label.py select')
    lists = {}
    for count, path in sorted(paths.items()):
        lists[count] = read_point_list(path)
        missing = [scan.name for scan in scans if scan.name not in lists[count]]
        if missing:
            raise ActiveLabelError(f'{path} lists no points for {len(missing)} of {len(scans)} scans, first '
                                   f'{missing[0]}: it is a list of another split or data set')
    return lists
