"""Lists of Waymo's frames as mmdet3d's datasets read them."""
import pickle
from pathlib import Path
from typing import Any, Dict, List, Optional

import numpy as np

from ...files import write_atomic
from ...plain_pickle import PlainPickleError, load_plain

# Folder of the release -> what its list is called.
SPLITS: Dict[str, str] = dict(training='train', validation='val', testing='test')
COLUMNS = 5  # x y z intensity elongation


def points_path(split: str, segment: str, timestamp: int) -> str:
    """A frame's points, relative to the root."""
    return f'points/{split}/{segment}/{timestamp}.bin'


def labels_path(split: str, segment: str, timestamp: int) -> str:
    """A frame's labels, relative to the root."""
    return f'labels/{split}/{segment}/{timestamp}.label'


def infos_path(root: Path, split: str) -> Path:
    """The list of a split's frames."""
    return Path(root) / f'waymo_infos_{SPLITS[split]}.pkl'


def entry(split: str, segment: str, timestamp: int, count: int, pose: np.ndarray,
          top: Optional[int] = None) -> Dict[str, Any]:
    """A frame in the list of its split.

    Args:
        split: 'training', 'validation' or 'testing' (which has no labels). segment: its context name.
        timestamp: microseconds. count: of points. pose: (4, 4) vehicle to world. top: how many of them, the first ones,
            are the top LiDAR's; ``None``: all.
    """
    info = dict(sample_idx=f'{segment}/{timestamp}', scene_name=segment, timestamp=int(timestamp),
                ego2global=np.asarray(pose, np.float64).reshape(4, 4).tolist(), num_points=int(count),
                num_top_points=int(count if top is None else top),
                lidar_points=dict(lidar_path=points_path(split, segment, timestamp), num_pts_feats=COLUMNS))
    if split != 'testing':
        info['pts_semantic_mask_path'] = labels_path(split, segment, timestamp)
    return info


def write_infos(root: Path, split: str, entries: List[Dict[str, Any]], lidars: str = 'top') -> Path:
    """Write ``waymo_infos_<train|val|test>.pkl``; frames in the order of segments and time stamps."""
    path = infos_path(root, split)
    ordered = sorted(entries, key=lambda info: (info['scene_name'], info['timestamp']))
    content = dict(metainfo=dict(dataset='waymo', info_version='1.1', split=split, lidars=lidars), data_list=ordered)
    write_atomic(path, pickle.dumps(content, protocol=4))
    return path


def drop_other_list(root: Path, split: str, lidars: str) -> None:
    """Remove a split's list of an earlier run with other LiDARs: its frames are about to be replaced, one by one."""
    path = infos_path(root, split)
    try:
        held = load_plain(path)['metainfo'].get('lidars', 'top')
    except (OSError, PlainPickleError, KeyError, TypeError, AttributeError):
        return
    if held != lidars:
        path.unlink(missing_ok=True)
