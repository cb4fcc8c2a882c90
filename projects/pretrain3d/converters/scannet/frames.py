"""RGB-D frames of a scan: from the folders that ScanNet's SensReader exports, or from the ``.sens`` file itself."""
import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Dict, Iterator, List, Optional, Tuple

import numpy as np
from PIL import Image

from ..batch import SceneError, write_atomic

MAX_NAME, MAX_FRAME_BYTES = 4096, 1 << 28


@dataclass(frozen=True)
class SensHeader:
    """Header of a ``.sens`` file (version 4): camera matrices (4, 4), codecs, millimetres per metre, frame count."""
    intrinsic_color: np.ndarray
    intrinsic_depth: np.ndarray
    color_codec: str
    depth_codec: str
    depth_size: Tuple[int, int]
    depth_shift: float
    count: int


def read_header(file: BinaryIO, path: Path) -> SensHeader:
    """Read the header; the file is then at its first frame."""
    version, = _unpack(file, '<I', path)
    if version != 4:
        raise SceneError(f'{path}: .sens version {version}, only 4 is known')
    length, = _unpack(file, '<Q', path)
    if length > MAX_NAME:
        raise SceneError(f'{path}: damaged header (sensor name of {length} bytes)')
    _take(file, length, path)
    matrices = [np.array(_unpack(file, '<16f', path)).reshape(4, 4) for _ in range(4)]
    color_codec, depth_codec = _unpack(file, '<2i', path)
    _, _, depth_width, depth_height = _unpack(file, '<4I', path)
    shift, = _unpack(file, '<f', path)
    count, = _unpack(file, '<Q', path)
    return SensHeader(matrices[0], matrices[2], {1: 'png', 2: 'jpg'}.get(color_codec, f'unknown {color_codec}'),
                      {0: 'raw', 1: 'zlib'}.get(depth_codec, f'unknown {depth_codec}'), (depth_height, depth_width),
                      shift, count)


def read_frames(file: BinaryIO, header: SensHeader, step: int, path: Path) -> Iterator[Tuple[int, np.ndarray, bytes, bytes]]:
    """Yield (index, pose (4, 4), colour bytes, depth bytes) of every ``step``-th frame; others are skipped unread."""
    for index in range(header.count):
        pose = np.array(_unpack(file, '<16f', path), np.float64).reshape(4, 4)
        _, _, color_size, depth_size = _unpack(file, '<4Q', path)
        if color_size > MAX_FRAME_BYTES or depth_size > MAX_FRAME_BYTES:
            raise SceneError(f'{path}: frame {index} is damaged (size {color_size} + {depth_size} bytes)')
        if index % step:
            file.seek(color_size + depth_size, 1)
        else:
            yield index, pose, _take(file, color_size, path), _take(file, depth_size, path)


def export_sens(path: Path, folder: Path, step: int) -> None:
    """Write every ``step``-th frame of a ``.sens`` file into ``folder`` in SensReader's layout."""
    with open(path, 'rb') as file:
        header = read_header(file, path)
        if header.color_codec not in ('jpg', 'png') or header.depth_codec not in ('raw', 'zlib'):
            raise SceneError(f'{path}: codecs {header.color_codec!r}, {header.depth_codec!r} are not supported')
        for index, pose, color, depth in read_frames(file, header, step, path):
            try:
                raw = zlib.decompress(depth) if header.depth_codec == 'zlib' else depth
                values = np.frombuffer(raw, np.uint16).reshape(header.depth_size)
            except (zlib.error, ValueError) as error:
                raise SceneError(f'{path}: depth of frame {index} is damaged ({error})') from error
            if header.depth_shift != 1000.0:
                values = np.round(values / header.depth_shift * 1000.0).astype(np.uint16)
            buffer = io.BytesIO()
            Image.fromarray(values).save(buffer, 'png')
            write_atomic(folder / 'color' / f'{index}.{header.color_codec}', color)
            write_atomic(folder / 'depth' / f'{index}.png', buffer.getvalue())
            write_atomic(folder / 'pose' / f'{index}.txt', _text(pose))
    write_atomic(folder / 'intrinsic' / 'intrinsic_color.txt', _text(header.intrinsic_color))
    write_atomic(folder / 'intrinsic' / 'intrinsic_depth.txt', _text(header.intrinsic_depth))


def frame_records(folder: Path, step: int, root: Path) -> Optional[Dict[str, Any]]:
    """Describe every ``step``-th frame of an exported folder.

    Returns:
        ``dict(intrinsic_color (4, 4), intrinsic_depth (4, 4), frames=[dict(index, color_path, depth_path, pose)],
        lost)`` with paths relative to ``root``; ``lost`` counts frames left out for a pose that is not finite or a
        file that is missing. ``None`` where the scan has no frames.
    """
    indices = sorted(int(path.stem) for path in (folder / 'pose').glob('*.txt') if path.stem.isdigit())
    if not indices:
        return None
    frames: List[Dict[str, Any]] = []
    lost = 0
    for index in indices:
        if index % step:
            continue
        color = next((path for path in ((folder / 'color' / f'{index}.{end}') for end in ('jpg', 'png'))
                      if path.is_file()), None)
        depth, pose = folder / 'depth' / f'{index}.png', _matrix(folder / 'pose' / f'{index}.txt')
        if color is None or not depth.is_file() or pose is None or not np.isfinite(pose).all():
            lost += 1
            continue
        frames.append(dict(index=index, color_path=color.relative_to(root).as_posix(),
                           depth_path=depth.relative_to(root).as_posix(), pose=pose.astype(np.float64)))
    cameras = {key: _matrix(folder / 'intrinsic' / f'{key}.txt') for key in ('intrinsic_color', 'intrinsic_depth')}
    for key, matrix in cameras.items():
        if matrix is None or not np.isfinite(matrix).all():
            raise SceneError(f'{folder}/intrinsic/{key}.txt: missing or not a 4 x 4 matrix')
    return dict(**cameras, frames=frames, lost=lost)


def _matrix(path: Path) -> Optional[np.ndarray]:
    try:
        matrix = np.array(path.read_text().split(), np.float64)
    except (OSError, ValueError):
        return None
    return matrix.reshape(4, 4) if matrix.size == 16 else None


def _text(matrix: np.ndarray) -> bytes:
    return ('\n'.join(' '.join(f'{value:.6f}' for value in row) for row in matrix) + '\n').encode()


def _take(file: BinaryIO, size: int, path: Path) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise SceneError(f'{path}: ends in the middle; download it again')
    return data


def _unpack(file: BinaryIO, pattern: str, path: Path) -> tuple:
    return struct.unpack(pattern, _take(file, struct.calcsize(pattern), path))
