"""Reads one room of S3DIS: text files of points, one for each object, whose names say the class."""
import io
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Optional, Tuple

import numpy as np

from ...label_spaces import get_label_space
from ...label_spaces.space import UnknownNameError
from ..batch import SceneError

RELEASE = 'Stanford3dDataset_v1.2_Aligned_Version'
SPACE = get_label_space('S3DIS13')
_NAME = re.compile(r'(?P<category>.+?)_?(?P<number>\d*)\.txt', re.DOTALL)
# Bytes that a line of numbers may hold.
_NUMBER = frozenset(b'0123456789.+-eE \t\r')
_OTHER = np.array([byte not in _NUMBER | {10} for byte in range(256)])


@dataclass
class RoomData:
    """One room, object after object in the order of their files' names.

    Attributes:
        xyz: (N, 3) float64 metres as in the files. rgb: (N, 3) uint8.
        label: (N,) int64 of S3DIS13, 13 where the file's name is no class. instance: (N,) int64, 1 and up.
        unknown: class that S3DIS does not have -> its files; their points are there without a label.
        mended: lines that a damaged byte had been in. dropped: (file, lines) that could not be mended.
    """
    xyz: np.ndarray
    rgb: np.ndarray
    label: np.ndarray
    instance: np.ndarray
    unknown: Dict[str, int] = field(default_factory=dict)
    mended: int = 0
    dropped: List[Tuple[str, int]] = field(default_factory=list)


def class_index(stem: str) -> Optional[int]:
    """Label of the class ``stem``; stairs are clutter; ``None``: S3DIS has no such class."""
    try:
        return SPACE.index(stem)
    except UnknownNameError:
        return None


def read_room(folder: Path) -> RoomData:
    """Read the room in ``folder``: what ``Annotations/<class>_<i>.txt`` hold.

    Raises:
        SceneError: there are no annotations, or one is no text of points; the message names it.
    """
    paths = sorted(path for path in (folder / 'Annotations').glob('*.txt') if not path.name.startswith('.'))
    if not paths:
        raise SceneError(f'{folder}/Annotations: no <class>_<i>.txt in it; copy the room again')
    points, labels, room = [], [], RoomData(*(np.zeros(0) for _ in range(4)))
    for path in paths:
        category = _NAME.fullmatch(path.name)['category']
        index = class_index(category)
        if index is None:
            room.unknown[category] = room.unknown.get(category, 0) + 1
        array, mended, dropped = read_points(path)
        room.mended += mended
        if dropped:
            room.dropped.append((path.name, dropped))
        points.append(array)
        labels.append(SPACE.ignore_index if index is None else index)
    sizes = [len(array) for array in points]
    if not sum(sizes):
        raise SceneError(f'{folder}/Annotations: its files hold no points; copy the room again')
    whole = np.concatenate(points)
    room.xyz, room.rgb = whole[:, :3], whole[:, 3:].astype(np.uint8)
    room.label = np.repeat(np.array(labels, np.int64), sizes)
    room.instance = np.repeat(np.arange(1, len(paths) + 1), sizes)
    return room


def read_points(path: Path) -> Tuple[np.ndarray, int, int]:
    """Points (N, 6) float64 of a file of lines ``x y z r g b``; lines that were mended; lines that were left out.

    The release has a few damaged bytes (a zero whose fifth bit flipped in Area_5/office_19 and others): see
    :func:`mend_line`.

    Raises:
        SceneError: the file cannot be read, or more than one line in a hundred (and more than one) is damaged.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SceneError(f'{path}: {error.strerror or error}') from error
    fast = _parse(content)
    if fast is not None:
        return fast, 0, 0
    lines = [line for line in content.splitlines() if line.strip()]
    good, mended, dropped = [], 0, 0
    for line in lines:
        row = _row(line)
        if row is None:
            row = mend_line(line)
            mended, dropped = mended + (row is not None), dropped + (row is None)
        if row is not None:
            good.append(row)
    if mended + dropped > max(1, len(lines) // 100):
        raise SceneError(f'{path}: {mended + dropped} of {len(lines)} lines are not six numbers x y z r g b with '
                         'colours of 0 to 255; copy it again')
    return np.array(good, np.float64).reshape(-1, 6), mended, dropped


def _parse(content: bytes) -> Optional[np.ndarray]:
    """All lines at once (N, 6); ``None`` where any is not as it should be."""
    if not content.strip():
        return np.zeros((0, 6))
    if _OTHER[np.frombuffer(content, np.uint8)].any():
        return None
    try:
        array = np.loadtxt(io.BytesIO(content), np.float64, ndmin=2, comments=None)
    except ValueError:
        return None
    return array if array.shape[1] == 6 and _sane(array) else None


def _sane(rows: np.ndarray) -> bool:
    colour = rows[:, 3:]
    return bool(np.isfinite(rows).all() and (np.abs(rows[:, :3]) < 1e4).all() and (colour >= 0).all()
                and (colour <= 255).all())


def _row(line: bytes) -> Optional[np.ndarray]:
    """The six numbers of a line, or ``None``."""
    if not set(line) <= _NUMBER:
        return None
    try:
        row = np.array(line.split(), np.float64)
    except ValueError:
        return None
    return row if row.shape == (6, ) and _sane(row[None]) else None


def mend_line(line: bytes) -> Optional[np.ndarray]:
    """The six numbers of a line with one byte that is no text: it stands for a zero, else a blank, else for nothing.

    ``103.0\\x100000`` is 103.000000, ``185\\x10187`` is 185 and 187. ``None`` where none of these gives six numbers.
    """
    wrong = [byte for byte in line if byte not in _NUMBER]
    if len(wrong) != 1 or 32 <= wrong[0] < 127:
        return None
    for stand_in in (b'0', b' ', b''):
        row = _row(b''.join(bytes([byte]) if byte in _NUMBER else stand_in for byte in line))
        if row is not None:
            return row
    return None


def read_angles(path: Path) -> Dict[str, float]:
    """Room -> degrees of an area's ``Area_<k>_alignmentAngle.txt`` (lines ``room angle``, comments behind ``##``).

    Raises:
        SceneError: it is missing or holds something else.
    """
    if not path.is_file():
        raise SceneError(f'{path} is missing; it comes with the release that is not aligned (leave --align-angles out '
                         'for the aligned one)')
    angles = {}
    for number, line in enumerate(path.read_text(errors='replace').splitlines(), 1):
        words = line.split('#')[0].split()
        if not words:
            continue
        try:
            name, angle = words
            angles[name] = float(angle)
        except ValueError as error:
            raise SceneError(f'{path}: line {number} is no room and angle ({line[:60]!r}); copy it again') from error
        if not np.isfinite(angles[name]):
            raise SceneError(f'{path}: line {number} holds no finite angle; copy it again')
    return angles


def turn_to_axes(xyz: np.ndarray, degrees: float) -> np.ndarray:
    """Points (N, 3) turned by ``-degrees`` about the vertical axis through the middle of their bounding box."""
    angle = -np.radians(degrees)
    cos, sin = np.cos(angle), np.sin(angle)
    middle = (xyz.min(0) + xyz.max(0)) / 2
    return (xyz - middle) @ np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]).T + middle
