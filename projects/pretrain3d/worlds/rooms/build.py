"""Draws a whole world of rooms, scan by scan, in parallel and resumably."""
import os
import shutil
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Callable, List, Optional, Tuple

import numpy as np

from ...files import partial_path, remove_leftovers, write_atomic
from ...workers import end_with
from ..render import Caster
from ..shapes import rotation_z, translation
from .frames import Frame, Intrinsics, shoot, stations, walk
from .layout import KINDS, furnish
from .presets import PRESETS, VERSION, Preset
from .scan import scan_room
from .scannet_layout import write_frames, write_label_table, write_lists, write_scan


def scan_names(preset: Preset) -> Tuple[List[str], List[str]]:
    """Names of the train and val scans; val follows train, as one sequence of rooms."""
    names = [f'scene{index:04d}_00' for index in range(preset.train + preset.val)]
    return names[:preset.train], names[preset.train:]


def draw_scan(root: Path, index: int, preset: Preset, seed: int) -> Path:
    """Draw scan ``index`` and write it into ``root/scans``; a scan that is already whole is left alone.

    The scan is written beside its place and renamed there, so that an interrupted run never leaves half a scan.
    """
    name = f'scene{index:04d}_00'
    final = root / 'scans' / name
    if final.is_dir():
        return final
    rng = np.random.default_rng([seed, index])
    room = furnish(rng, KINDS[index % len(KINDS)])
    caster = Caster(room.parts)
    rounds = stations(rng, room, caster, preset.frames)
    scan = scan_room(rng, room, caster, [pose for points in rounds for pose in points], preset.spacing)
    # The sensor's world frame is not aligned with the walls: turn and shift everything, and store the way back.
    to_sensor = translation(*rng.uniform(0.5, 3.0, 2), rng.uniform(-0.1, 0.1)) @ rotation_z(rng.uniform(-np.pi, np.pi))
    camera = Intrinsics(preset.width, preset.height, preset.width * 0.87)
    frames = []
    for pose in walk(rng, rounds, caster):
        frame = shoot(rng, caster, pose, camera)
        frames.append(Frame(frame.colour, frame.depth, to_sensor @ frame.pose))
    scan.xyz = scan.xyz @ to_sensor[:3, :3].T + to_sensor[:3, 3]
    partial = partial_path(final)
    partial.mkdir(parents=True)
    try:
        write_scan(partial, name, scan, [item.category for item in room.items], np.linalg.inv(to_sensor))
        write_frames(partial, name, frames, camera)
        partial.rename(final)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return final


def build(root: Path, preset_name: str, seed: int, jobs: int = 1,
          progress: Optional[Callable[[int, int], None]] = None) -> None:
    """Draw the world ``preset_name`` (one of :data:`PRESETS`) into ``root``; the same seed gives the same bytes.

    Args:
        root: target folder; what it already holds of this world is kept.
        preset_name: size of the world.
        seed: of everything that is drawn.
        jobs: processes.
        progress: called with (scans done, scans in all).
    """
    if preset_name not in PRESETS:
        raise ValueError(f'unknown preset {preset_name!r}; choose one of {sorted(PRESETS)}')
    preset = PRESETS[preset_name]
    root.mkdir(parents=True, exist_ok=True)
    _check_same_world(root, preset_name, seed)
    remove_leftovers(root, root / 'scans', root / 'meta_data')
    train, val = scan_names(preset)
    count = len(train) + len(val)
    arguments = [(root, index, preset, seed) for index in range(count)]
    if jobs <= 1:
        for done, argument in enumerate(arguments, 1):
            draw_scan(*argument)
            if progress:
                progress(done, count)
    else:
        with ProcessPoolExecutor(jobs, initializer=end_with, initargs=(os.getpid(), )) as pool:
            for done, _ in enumerate(pool.map(draw_scan, *zip(*arguments)), 1):
                if progress:
                    progress(done, count)
    write_label_table(root)
    write_lists(root, train, val)


def _check_same_world(root: Path, preset_name: str, seed: int) -> None:
    """A folder holds one world: refuse to mix presets, seeds or ways to draw."""
    stamp, mark = root / 'world.txt', f'rooms preset={preset_name} seed={seed} version={VERSION}\n'
    if stamp.exists() and stamp.read_text() != mark:
        raise ValueError(f'{root} already holds {stamp.read_text().strip()!r} and not {mark.strip()!r}; give another '
                         'folder or remove it')
    if not stamp.exists():
        write_atomic(stamp, mark.encode())
