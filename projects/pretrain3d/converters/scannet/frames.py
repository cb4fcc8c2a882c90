"""RGB-D frames of a scan in the folders that SensReader exports: which are whole, and what the others lack."""
from collections import Counter
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

import numpy as np

from ..batch import SceneError

NOT_FINITE = 'pose not finite'
# How pictures begin and end, by suffix.
SIGNS = {'jpg': (b'\xff\xd8', b'\xff\xd9'), 'png': (b'\x89PNG\r\n\x1a\n', b'IEND\xaeB`\x82')}
START, TAIL = 8, 4096
PADDING = b'\x00\xff\r\n '


class FrameFault(Exception):
    """A frame that cannot be used; the message says what is wrong, without the frame's name."""


def picture_fault(start: bytes, end: bytes, kind: str) -> Optional[str]:
    """What is wrong with a picture, told by its first 8 and last 4096 bytes; ``None``: it is whole.

    Padding behind the end mark (zeros, 0xff, blanks) is none of its faults. ``kind``: jpg or png.
    """
    first, last = SIGNS[kind]
    if not start:
        return 'empty'
    if not start.startswith(first):
        return f'not a {kind}'
    # The mark itself ends in no padding byte, so that nothing of it is stripped.
    return None if end.rstrip(PADDING).endswith(last) else 'cut off'


def _check_picture(path: Path) -> None:
    part = path.parent.name
    try:
        with open(path, 'rb') as file:
            start = file.read(START)
            file.seek(max(0, file.seek(0, 2) - TAIL))
            end = file.read()
    except FileNotFoundError:
        raise FrameFault(f'{part} missing') from None
    fault = picture_fault(start, end, path.suffix[1:])
    if fault:
        raise FrameFault(f'{part} {fault}')


def open_frame(folder: Path, index: int) -> Tuple[Path, Path, np.ndarray]:
    """Paths of colour and depth, and the pose (4, 4) camera to scan in metres, of an exported frame.

    Raises:
        FrameFault: a file is missing, empty or cut off, or the pose is not finite (the last to be looked at).
    """
    color = next((path for path in ((folder / 'color' / f'{index}.{end}') for end in SIGNS) if path.is_file()),
                 folder / 'color' / f'{index}.jpg')
    depth, pose_path = folder / 'depth' / f'{index}.png', folder / 'pose' / f'{index}.txt'
    _check_picture(color)
    _check_picture(depth)
    pose = _matrix(pose_path)
    if pose is None:
        raise FrameFault('pose not 4 x 4 numbers' if pose_path.is_file() else 'pose missing')
    if not np.isfinite(pose).all():
        raise FrameFault(NOT_FINITE)
    return color, depth, pose


def frame_fault(folder: Path, index: int) -> Optional[str]:
    """What is wrong with an exported frame; ``None``: nothing."""
    try:
        open_frame(folder, index)
    except FrameFault as error:
        return str(error)
    return None


def has_frames(folder: Path) -> bool:
    """Whether ``folder`` holds poses of exported frames."""
    return any(path.stem.isdigit() for path in (folder / 'pose').glob('*.txt'))


def frame_records(folder: Path, step: int, root: Path,
                  faults: Optional[Mapping[int, str]] = None) -> Optional[Dict[str, Any]]:
    """Describe every ``step``-th frame of an exported folder.

    Args:
        folder: holds ``color``, ``depth``, ``pose`` and ``intrinsic``. root: what paths are made relative to.
        faults: why frames could not be exported, by index; it explains files that are not there.

    Returns:
        ``dict(intrinsic_color (4, 4), intrinsic_depth (4, 4), frames=[dict(index, color_path, depth_path, pose)],
        lost, reasons)`` with paths relative to ``root``; ``lost`` counts frames left out for a file that is missing
        or torn or a pose that is not finite, ``reasons`` splits that up. ``None`` where there is none of them.

    Raises:
        SceneError: a camera matrix is missing or damaged.
    """
    faults = faults or {}
    indices = {int(path.stem) for part in ('pose', 'color', 'depth') for path in (folder / part).glob('*.*')
               if path.stem.isdigit() and int(path.stem) % step == 0} | set(faults)
    if not indices:
        return None
    cameras = {key: _matrix(folder / 'intrinsic' / f'{key}.txt') for key in ('intrinsic_color', 'intrinsic_depth')}
    for key, matrix in cameras.items():
        if matrix is None or not np.isfinite(matrix).all():
            raise SceneError(f'{folder}/intrinsic/{key}.txt: missing or not a 4 x 4 matrix')
    frames: List[Dict[str, Any]] = []
    reasons: Dict[str, int] = Counter()
    for index in sorted(indices):
        try:
            color, depth, pose = open_frame(folder, index)
        except FrameFault as error:
            reasons[faults.get(index, str(error))] += 1
            continue
        frames.append(dict(index=index, color_path=color.relative_to(root).as_posix(),
                           depth_path=depth.relative_to(root).as_posix(), pose=pose))
    return dict(**cameras, frames=frames, lost=sum(reasons.values()), reasons=dict(reasons))


def describe_losses(found: Mapping[str, Any]) -> Optional[str]:
    """One line on the frames that :func:`frame_records` left out; ``None`` where it left out none."""
    if not found['lost']:
        return None
    reasons = ', '.join(f'{reason} ({count})' for reason, count in sorted(found['reasons'].items()))
    return f'{found["lost"]} of {found["lost"] + len(found["frames"])} frames left out: {reasons}'


def _matrix(path: Path) -> Optional[np.ndarray]:
    try:
        matrix = np.array(path.read_text().split(), np.float64)
    except (OSError, ValueError):
        return None
    return matrix.reshape(4, 4) if matrix.size == 16 else None
