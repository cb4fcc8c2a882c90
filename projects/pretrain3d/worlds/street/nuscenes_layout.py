"""Streets on disk as nuScenes v1.0-mini with its lidarseg and panoptic extensions."""
import json
from pathlib import Path
from typing import Iterable, List

from ...files import write_atomic
from .build import Writer
from .nuscenes_scene import Tables, record_scene
from .nuscenes_taxonomy import LIDAR, TABLES, VERSION_NAME, shared_tables
from .presets import VERSION, StreetPreset
from .rig import CAMERAS

CHANNELS = [LIDAR, *CAMERAS]
# To be raised whenever the same street is written in another way than before.
LAYOUT = 1


def folders(root: Path) -> List[Path]:
    """Every folder that files are written to."""
    return [root, root / VERSION_NAME, root / 'maps',
            *(root / kind / VERSION_NAME for kind in ('lidarseg', 'panoptic')),
            *(root / kind / channel for kind in ('samples', 'sweeps') for channel in CHANNELS)]


def is_whole(root: Path) -> bool:
    """Whether all tables are there; they are written when everything else is."""
    return all((root / VERSION_NAME / f'{table}.json').is_file() for table in TABLES)


def finish(root: Path, parts: Iterable[Tables], preset: StreetPreset) -> None:
    """Write the tables from every scene's records."""
    merged = {table: [] for table in TABLES}
    for part in parts:
        for table, records in part.items():
            merged[table] += records
    merged.update(shared_tables(CHANNELS))
    for table, records in merged.items():
        write_atomic(root / VERSION_NAME / f'{table}.json', json.dumps(records, indent=0).encode())


WRITER = Writer(mark='street', version=f'{VERSION}.{LAYOUT}', draw=record_scene, finish=finish, is_whole=is_whole,
                folders=folders)
