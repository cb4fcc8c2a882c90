"""Streets on disk as SemanticKITTI: another LiDAR, other classes, no cameras.

Training scenes are the sequences 00, 01 ..., those of validation lie one behind the other in sequence 08, the only one
that SemanticKITTI validates on; the pose jumps between them. Every sweep is labelled.
"""
import json
from pathlib import Path
from typing import Any, Dict, Iterable, List, Tuple

import numpy as np

from ...files import write_atomic
from .build import Writer
from .presets import KEYFRAME_GAP, SCENES, VERSION, StreetPreset
from .scene import draw_street
from .semantickitti_labels import kitti_labels

LAYOUT = 1
VALIDATION = '08'
# Instances of the second street of a sequence count on from here.
NUMBERS = 2000
# Camera 0 of the calibration that poses refer to: x right, y down, z forward, above the LiDAR's front.
TR = np.array([[0.0, -1.0, 0.0, 0.0], [0.0, 0.0, -1.0, -0.08], [1.0, 0.0, 0.0, -0.27], [0.0, 0.0, 0.0, 1.0]])
PROJECTION = np.array([[718.856, 0.0, 607.193, 0.0], [0.0, 718.856, 185.216, 0.0], [0.0, 0.0, 1.0, 0.0]])
# Which streets a world's sequences hold; written last.
INDEX = 'scenes.json'


def places() -> Dict[str, Tuple[str, int]]:
    """Scene -> (sequence, its turn in it)."""
    free = [f'{number:02d}' for number in range(11) if f'{number:02d}' != VALIDATION]
    found, behind = {}, 0
    for name, split in SCENES:
        found[name] = (free.pop(0), 0) if split == 'train' else (VALIDATION, behind)
        behind += split != 'train'
    return found


def sweep_times(preset: StreetPreset) -> np.ndarray:
    """(T,) seconds of a scene's sweeps, as many as nuScenes' LiDAR takes of it."""
    steps = preset.sweeps_between + 1
    return np.arange((preset.keyframes - 1) * steps + 1) * (KEYFRAME_GAP / steps)


def draw(root: Path, name: str, preset: StreetPreset, seed: int) -> Dict[str, Any]:
    """Write a scene's sweeps and labels; returns where they lie and the LiDAR's poses."""
    sequence, turn = places()[name]
    street, times = draw_street(name, preset, seed, 'semantickitti'), sweep_times(preset)
    folder, poses = root / 'sequences' / sequence, []
    if len(street.instances) >= NUMBERS:
        raise ValueError(f'{name} has {len(street.instances)} instances, and a sequence numbers {NUMBERS} per street')
    for number, time in enumerate(times.tolist()):
        sweep = street.lidar(time, number)
        points = sweep.points[:, :4] / np.array([1, 1, 1, 255], np.float32)
        labels = kitti_labels(sweep, street.instances, time, 1 + turn * NUMBERS)
        file = f'{turn * len(times) + number:06d}'
        write_atomic(folder / 'velodyne' / f'{file}.bin', np.ascontiguousarray(points, '<f4').tobytes())
        write_atomic(folder / 'labels' / f'{file}.label', np.ascontiguousarray(labels, '<u4').tobytes())
        poses.append((street.ego_pose(time) @ street.rig['LIDAR_TOP'].pose).tolist())
    return dict(scene=name, sequence=sequence, turn=turn, times=times.tolist(), poses=poses)


def finish(root: Path, records: Iterable[Dict[str, Any]], preset: StreetPreset) -> None:
    """Write every sequence's times, poses and calibration, and which streets it holds."""
    sequences: Dict[str, List[Dict[str, Any]]] = {}
    for record in records:
        sequences.setdefault(record['sequence'], []).append(record)
    index = {}
    for sequence, parts in sorted(sequences.items()):
        parts.sort(key=lambda record: record['turn'])
        if [record['turn'] for record in parts] != list(range(len(parts))):
            raise ValueError(f'sequence {sequence} lacks its first street: choose the other scenes of its split, too')
        folder = root / 'sequences' / sequence
        write_atomic(folder / 'calib.txt', calibration().encode())
        poses = [pose for record in parts for pose in record['poses']]
        write_atomic(folder / 'poses.txt', camera_poses(poses).encode())
        times, start = [], 0.0
        for record in parts:
            times += [start + time for time in record['times']]
            start = times[-1] + KEYFRAME_GAP
        write_atomic(folder / 'times.txt', ''.join(f'{time:.6e}\n' for time in times).encode())
        index[sequence] = [dict(scene=record['scene'], sweeps=len(record['times'])) for record in parts]
    write_atomic(root / INDEX, json.dumps(index, indent=1).encode())


def row(matrix: np.ndarray) -> str:
    """The upper three rows of a matrix in one line."""
    return ' '.join(f'{value:.6e}' for value in np.asarray(matrix)[:3].reshape(-1))


def calibration() -> str:
    """calib.txt: four projections and Tr, LiDAR to camera 0."""
    lines = [f'P{camera}: {row(PROJECTION)}\n' for camera in range(4)]
    return ''.join(lines) + f'Tr: {row(TR)}\n'


def camera_poses(lidar: List[List[List[float]]]) -> str:
    """poses.txt: camera 0 of every sweep in the frame of the first one's; ``Tr^-1 pose Tr`` moves LiDAR points."""
    poses = np.array(lidar)
    first, back = np.linalg.inv(poses[0]), np.linalg.inv(TR)
    return ''.join(f'{row(TR @ first @ pose @ back)}\n' for pose in poses)


def is_whole(root: Path) -> bool:
    """Whether ``finish`` has come to its end."""
    return (root / INDEX).is_file()


def folders(root: Path) -> List[Path]:
    """Every folder that files are written to."""
    own = [root / 'sequences' / sequence for sequence in sorted({sequence for sequence, _ in places().values()})]
    return [root, *own, *(folder / kind for folder in own for kind in ('velodyne', 'labels'))]


WRITER = Writer(mark='street as=semantickitti', version=f'{VERSION}.{LAYOUT}', draw=draw, finish=finish,
                is_whole=is_whole, folders=folders)
