"""Files of a scan's frame pairs: one ``.npz`` per frame, and one flat ``int32`` file with the tables of all pairs.

A frame: ``xyz`` (N, 3) float32, or float16 relative to ``origin`` (3,) float64; ``rgb`` (N, 3) uint8; ``pose`` (4, 4)
float64 depth camera to world. A table holds, of every point of the first frame that has a partner, its row and how
many it has, then all partners, rows of the second frame: ``query`` (Q,), ``count`` (Q,), ``key`` (P,), all int32.
"""
import io
import os
from pathlib import Path
from typing import Any, BinaryIO, Dict, Tuple

import numpy as np

from ...files import write_atomic


def write_frame(path: Path, xyz: np.ndarray, rgb: np.ndarray, pose: np.ndarray, dtype: str = 'float32') -> np.ndarray:
    """Write a frame atomically.

    Args:
        xyz: (N, 3) metres in the world. rgb: (N, 3) uint8. pose: (4, 4). dtype: 'float32' or 'float16'.

    Returns:
        (N, 3) float64: the positions as :func:`read_frame` will give them.
    """
    origin = np.round((xyz.min(0) + xyz.max(0)) / 2, 2) if dtype == 'float16' else np.zeros(3)
    stored = (xyz - origin).astype(dtype)
    buffer = io.BytesIO()
    np.savez(buffer, xyz=stored, origin=origin, rgb=rgb.astype(np.uint8), pose=pose.astype(np.float64))
    write_atomic(path, buffer.getvalue())
    return _decode(stored, origin).astype(np.float64)


def _decode(stored: np.ndarray, origin: np.ndarray) -> np.ndarray:
    if stored.dtype not in (np.float16, np.float32) or origin.shape != (3, ) or origin.dtype.kind != 'f':
        raise ValueError(f'positions of {stored.dtype} about an origin of {origin.dtype}, shape {origin.shape}')
    return stored if stored.dtype == np.float32 else (stored.astype(np.float64) + origin).astype(np.float32)


def read_frame(path: str) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions (N, 3) float32 in the world, colours (N, 3) uint8 and pose (4, 4) of a frame file.

    Raises:
        FileNotFoundError, ValueError: it is missing or damaged; the message says what to do.
    """
    mend = 'run tools/data/make_frame_pairs.py again, it makes what is missing'
    try:
        with np.load(path, allow_pickle=False) as file:
            xyz, rgb, pose = _decode(file['xyz'], file['origin']), file['rgb'], file['pose']
    except FileNotFoundError:
        raise FileNotFoundError(f'frame file {path} does not exist: check data_root, or {mend}') from None
    except Exception as error:  # damaged archives raise nearly anything, told of huge arrays even MemoryError
        raise ValueError(f'frame file {path} cannot be read ({type(error).__name__}: {error}): delete it and '
                         f'{mend}') from error
    if xyz.shape != rgb.shape or xyz.shape[1:] != (3, ) or rgb.dtype != np.uint8 or pose.shape != (4, 4):
        raise ValueError(f'frame file {path} holds {xyz.shape} positions, {rgb.shape} colours of {rgb.dtype} and a '
                         f'pose of {pose.shape}: delete it and {mend}')
    if pose.dtype != np.float64 or not np.isfinite(pose).all() or not np.isfinite(xyz).all():
        raise ValueError(f'frame file {path} holds NaN or infinite positions or pose: delete it and {mend}')
    return xyz, rgb, pose


def append_table(file: BinaryIO, counts: np.ndarray, keys: np.ndarray) -> Dict[str, int]:
    """Append a pair's table at the end of ``file``.

    Args:
        counts: (N,) partners of every point of the first frame. keys: (P,) the partners, point after point.

    Returns:
        dict: ``offset`` in bytes, ``queries`` Q, ``matches`` P.
    """
    query = np.flatnonzero(counts).astype(np.int32)
    offset = file.tell()
    for part in (query, counts[query], keys):
        file.write(np.ascontiguousarray(part, np.int32).tobytes())
    return dict(offset=offset, queries=len(query), matches=len(keys))


def read_table(path: str, table: Dict[str, Any]) -> np.ndarray:
    """(P, 2) int64 matching rows [first frame, second frame] of a pair, sorted; ``table`` as in the info file.

    Raises:
        FileNotFoundError, ValueError: the file is missing or shorter than the info file says.
    """
    queries, matches = table['queries'], table['matches']
    mend = 'run tools/data/make_frame_pairs.py again, or match by radius: MatchViews(source=\'radius\')'
    try:
        size = os.stat(path).st_size
    except FileNotFoundError:
        raise FileNotFoundError(f'table file {path} does not exist: check data_root, {mend}') from None
    if size < table['offset'] + 4 * (2 * queries + matches):
        raise ValueError(f'table file {path} has {size} bytes, too few for the table at {table["offset"]}: it belongs '
                         f'to another info file; {mend}')
    flat = np.fromfile(path, np.int32, 2 * queries + matches, offset=table['offset'])
    query, count, key = flat[:queries], flat[queries:2 * queries], flat[2 * queries:]
    if count.sum(dtype=np.int64) != matches or flat.min(initial=0) < 0:
        raise ValueError(f'table file {path} is damaged at byte {table["offset"]}; {mend}')
    return np.stack([np.repeat(query, count), key], 1).astype(np.int64)
