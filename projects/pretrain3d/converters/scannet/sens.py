"""Frames out of ScanNet's ``.sens`` files (version 4), written in the layout of ScanNet's own SensReader."""
import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import AbstractSet, BinaryIO, Dict, Iterator, Optional, Tuple

import numpy as np
from PIL import Image

from ...files import remove_leftovers, write_atomic
from ..batch import SceneError
from .frames import NOT_FINITE, START, TAIL, frame_fault, picture_fault

MAX_NAME, MAX_FRAME_BYTES, MAX_FRAMES, MAX_SIDE = 4096, 1 << 28, 1 << 20, 1 << 15
CAMERAS = ('intrinsic_color', 'extrinsic_color', 'intrinsic_depth', 'extrinsic_depth')
BEHIND = 'in the cut off or damaged rest of the .sens file'


@dataclass(frozen=True)
class SensHeader:
    """Header of a ``.sens`` file: matrices (4, 4) of :data:`CAMERAS`, codecs, (height, width) of depth, depth units per
    metre, frame count."""
    cameras: Dict[str, np.ndarray]
    color_codec: str
    depth_codec: str
    depth_size: Tuple[int, int]
    depth_shift: float
    count: int


def read_header(file: BinaryIO, path: Path) -> SensHeader:
    """Read the header; the file is then at its first frame.

    Raises:
        SceneError: the header is cut off, damaged, or of a kind that is not supported.
    """
    version, = _unpack(file, '<I', path)
    if version != 4:
        raise SceneError(f'{path}: .sens version {version}, only 4 is known')
    length, = _unpack(file, '<Q', path)
    if length > MAX_NAME:
        raise SceneError(f'{path}: damaged header (sensor name of {length} bytes)')
    _take(file, length, path)
    cameras = {name: np.array(_unpack(file, '<16f', path)).reshape(4, 4) for name in CAMERAS}
    color_number, depth_number = _unpack(file, '<2i', path)
    color_codec, depth_codec = {1: 'png', 2: 'jpg'}.get(color_number), {0: 'raw', 1: 'zlib'}.get(depth_number)
    if color_codec is None or depth_codec is None:
        raise SceneError(f'{path}: codecs {color_number} of colour, {depth_number} of depth are not supported')
    _, _, width, height = _unpack(file, '<4I', path)
    shift, = _unpack(file, '<f', path)
    count, = _unpack(file, '<Q', path)
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE and 0 < shift < np.inf and count <= MAX_FRAMES):
        raise SceneError(f'{path}: damaged header ({count} frames of {width} x {height}, {shift:g} units per metre)')
    return SensHeader(cameras, color_codec, depth_codec, (height, width), shift, count)


def read_frames(file: BinaryIO, wanted: AbstractSet[int],
                path: Path) -> Iterator[Tuple[int, np.ndarray, bytes, bytes]]:
    """Yield (index, pose (4, 4), colour bytes, depth bytes) of the ``wanted`` frames; others are skipped unread.

    Raises:
        SceneError: the file ends in the middle or a frame's size is damaged; what follows cannot be found.
    """
    for index in range(max(wanted, default=-1) + 1):
        pose = np.array(_unpack(file, '<16f', path), np.float64).reshape(4, 4)
        _, _, color_size, depth_size = _unpack(file, '<4Q', path)
        if color_size > MAX_FRAME_BYTES or depth_size > MAX_FRAME_BYTES:
            raise SceneError(f'{path}: frame {index} is damaged (size {color_size} + {depth_size} bytes)')
        if index in wanted:
            yield index, pose, _take(file, color_size, path), _take(file, depth_size, path)
        else:
            file.seek(color_size + depth_size, 1)


def export_sens(path: Path, folder: Path, step: int) -> Dict[int, str]:
    """Write every ``step``-th frame of a ``.sens`` file into ``folder`` in SensReader's layout, cameras included.

    Frames that are there and whole are not written again; where all are, only the header is read.

    Returns:
        What is wrong with the frames that the file cannot give, by index.

    Raises:
        SceneError: the header is damaged. OSError: the file cannot be read, or the folder not be written.
    """
    remove_leftovers(*(folder / part for part in ('color', 'depth', 'pose', 'intrinsic')))
    with open(path, 'rb') as file:
        header = read_header(file, path)
        for name, matrix in header.cameras.items():
            _write_new(folder / 'intrinsic' / f'{name}.txt', _text(matrix))
        # A pose that is not finite is in the .sens file itself: to write it again would not mend it.
        wanted = {index for index in range(0, header.count, step)
                  if frame_fault(folder, index) not in (None, NOT_FINITE)}
        faults = dict.fromkeys(wanted, BEHIND)
        try:
            for index, pose, color, depth in read_frames(file, wanted, path):
                fault = _write_frame(folder, index, header, pose, color, depth)
                if fault:
                    faults[index] = fault
                else:
                    del faults[index]
        except SceneError:
            pass  # the frames that were not reached are in ``faults``
    return faults


def _write_frame(folder: Path, index: int, header: SensHeader, pose: np.ndarray, color: bytes,
                 depth: bytes) -> Optional[str]:
    """Write one frame, its pose last; returns what is wrong with it if it is not written."""
    fault = picture_fault(color[:START], color[-TAIL:], header.color_codec)
    if fault:
        return f'color {fault} in the .sens file'
    try:
        raw = zlib.decompress(depth) if header.depth_codec == 'zlib' else depth
        values = np.frombuffer(raw, '<u2').reshape(header.depth_size)
    except (zlib.error, ValueError):
        return 'depth damaged in the .sens file'
    if header.depth_shift != 1000.0:
        values = np.clip(np.round(values / header.depth_shift * 1000.0), 0, 65535)
    buffer = io.BytesIO()
    Image.fromarray(values.astype(np.uint16)).save(buffer, 'png')
    write_atomic(folder / 'color' / f'{index}.{header.color_codec}', color)
    write_atomic(folder / 'depth' / f'{index}.png', buffer.getvalue())
    write_atomic(folder / 'pose' / f'{index}.txt', _text(pose))
    return None


def _write_new(path: Path, content: bytes) -> None:
    if not path.is_file() or path.read_bytes() != content:
        write_atomic(path, content)


def _text(matrix: np.ndarray) -> bytes:
    return ('\n'.join(' '.join(f'{value:.6f}' for value in row) for row in matrix) + '\n').encode()


def _take(file: BinaryIO, size: int, path: Path) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise SceneError(f'{path}: ends in the middle; download it again')
    return data


def _unpack(file: BinaryIO, pattern: str, path: Path) -> tuple:
    return struct.unpack(pattern, _take(file, struct.calcsize(pattern), path))
