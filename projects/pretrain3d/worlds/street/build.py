"""Draws a whole world of streets, scene by scene, in parallel and resumably."""
import importlib
import json
import os
import shutil
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterable, List, Optional, Sequence

from ...files import remove_leftovers, write_atomic
from ...workers import end_with
from .presets import PRESETS, SCENES, StreetPreset

# Each name's row is ``WRITER`` of the module ``<name>_layout`` beside this one.
NAMES = ('nuscenes', 'semantickitti', 'waymo')
# Holds the records of the scenes that are done while others are not.
PARTS = '.scenes'


@dataclass(frozen=True)
class Writer:
    """How streets lie on disk as one data set has them.

    The unit of work is a scene. Its files go straight to their places, each of them atomically, and what the tables
    of the whole world need of it is handed on as plain JSON; a scene that was interrupted is drawn again over itself.

    Attributes:
        mark: what ``world.txt`` of such a world begins with.
        version: to be raised whenever the same preset and seed write other files than before.
        draw: ``draw(root, name, preset, seed)`` writes a scene's files and returns its records (plain JSON).
        finish: ``finish(root, records, preset)`` writes what the whole world shares, each file atomically.
        is_whole: ``is_whole(root)``: whether ``finish`` has come to its end.
        folders: ``folders(root)``: every folder that files are written to.
    """
    mark: str
    version: str
    draw: Callable[[Path, str, StreetPreset, int], Any]
    finish: Callable[[Path, Iterable[Any], StreetPreset], None]
    is_whole: Callable[[Path], bool]
    folders: Callable[[Path], List[Path]]


def get_writer(name: str) -> Writer:
    """The row called ``name``, one of :data:`NAMES`."""
    if name not in NAMES:
        raise ValueError(f'unknown data set {name!r}; streets are drawn as one of {NAMES}')
    return importlib.import_module(f'.{name}_layout', __package__).WRITER


def draw_scene(root: Path, name: str, preset: StreetPreset, seed: int, variant: str = 'nuscenes') -> Any:
    """Records of the scene ``name`` of a world; it is drawn into ``root`` unless that was done before."""
    part = root / PARTS / f'{name}.json'
    if part.is_file():
        return json.loads(part.read_bytes())
    records = get_writer(variant).draw(root, name, preset, seed)
    write_atomic(part, json.dumps(records).encode())
    return records


def build(root: Path, preset_name: str, seed: int, jobs: int = 1,
          progress: Optional[Callable[[int, int], None]] = None, variant: str = 'nuscenes',
          scenes: Optional[Sequence[str]] = None) -> None:
    """Draw the world ``preset_name`` into ``root``; the same arguments, whatever ``jobs``, give the same bytes.

    Args:
        root: target folder: none yet, an empty one, or one that already holds this world or a part of it.
        preset_name: size of the world, one of :data:`~.presets.PRESETS`.
        seed: of everything that is drawn.
        jobs: processes.
        progress: called with (scenes done, scenes in all).
        variant: the data set whose layout is written, one of :data:`NAMES`.
        scenes: names of the scenes to draw; all ten of nuScenes v1.0-mini by default.
    """
    writer = get_writer(variant)
    if preset_name not in PRESETS:
        raise ValueError(f'unknown preset {preset_name!r}; choose one of {sorted(PRESETS)}')
    preset, known = PRESETS[preset_name], [name for name, _ in SCENES]
    chosen = known if scenes is None else [name for name in known if name in set(scenes)]
    unknown = sorted(set(scenes or ()) - set(known))
    if unknown or not chosen:
        raise ValueError(f'unknown scenes {unknown}; choose some of {known}')
    subset = '' if chosen == known else f' scenes={",".join(chosen)}'
    _check_same_world(root, f'{writer.mark} preset={preset_name} seed={seed} version={writer.version}{subset}\n')
    remove_leftovers(root / PARTS, *writer.folders(root))
    if not writer.is_whole(root):
        writer.finish(root, _draw_all(root, chosen, preset, seed, jobs, progress, variant), preset)
    shutil.rmtree(root / PARTS, ignore_errors=True)


def _draw_all(root: Path, chosen: List[str], preset: StreetPreset, seed: int, jobs: int,
              progress: Optional[Callable[[int, int], None]], variant: str) -> List[Any]:
    """The records of all scenes, in order."""
    arguments = [(root, name, preset, seed, variant) for name in chosen]
    if jobs <= 1:
        return _collect((draw_scene(*argument) for argument in arguments), len(chosen), progress)
    with ProcessPoolExecutor(min(jobs, len(chosen)), initializer=end_with, initargs=(os.getpid(), )) as pool:
        # After an error map cancels what was not begun, so that a full disk is told of soon.
        return _collect(pool.map(draw_scene, *zip(*arguments)), len(chosen), progress)


def _collect(drawn: Iterable[Any], count: int, progress: Optional[Callable[[int, int], None]]) -> List[Any]:
    """All of ``drawn``, telling ``progress`` of each."""
    parts = []
    for records in drawn:
        parts.append(records)
        if progress:
            progress(len(parts), count)
    return parts


def _check_same_world(root: Path, mark: str) -> None:
    """A folder holds one world: refuse to mix it with another or with anything else."""
    root.mkdir(parents=True, exist_ok=True)
    stamp = root / 'world.txt'
    if not stamp.exists():
        others = sorted(path.name for path in root.iterdir() if not path.name.endswith('.partial'))
        if others:
            raise ValueError(f'{root} holds other things ({", ".join(others[:3])}{" ..." if others[3:] else ""}); '
                             'give a folder that is empty or does not exist')
        write_atomic(stamp, mark.encode())
    elif stamp.read_text() != mark:
        raise ValueError(f'{root} already holds {stamp.read_text().strip()!r} and not {mark.strip()!r}; give another '
                         'folder or remove it')
