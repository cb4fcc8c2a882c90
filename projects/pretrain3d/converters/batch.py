"""What every converter shares: many scenes in parallel, failures collected, what is whole found again."""
import json
import os
import sys
import time
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from ..files import is_disk_full, write_atomic
from ..workers import end_with


class SceneError(Exception):
    """A scene that cannot be converted; the message says what is wrong with which file."""


def write_array(path: Path, array: np.ndarray) -> None:
    """Write an array's raw bytes, as mmdet3d's loaders read them."""
    write_atomic(path, np.ascontiguousarray(array).tobytes())


def finished_record(path: Path, options: Mapping[str, Any], out: Path) -> Optional[Dict[str, Any]]:
    """The record that :func:`write_scene` left at ``path``, if its ``options`` are these and its files below ``out``
    have their sizes; else ``None``: the scene is to be converted."""
    try:
        record = json.loads(path.read_text())
        whole = record['options'] == options and all(
            (out / file).stat().st_size == size for file, size in record['files'].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return record if whole else None


def write_scene(path: Path, record: Dict[str, Any], arrays: Mapping[str, np.ndarray], out: Path) -> Dict[str, Any]:
    """Write a scene's arrays to ``out/<kind>/<name>.bin`` and then its record, with ``files``, to ``path``.

    Args:
        path: of the record. record: holds ``name`` and ``options``, what decides the files' content.
        arrays: kind -> array. out: target folder.

    Returns:
        The record as it was written.
    """
    path.unlink(missing_ok=True)  # from here until its files are whole again, an old record would lie
    for kind, array in arrays.items():
        write_array(out / kind / f'{record["name"]}.bin', array)
    record = dict(record, files={f'{kind}/{record["name"]}.bin': array.nbytes for kind, array in arrays.items()})
    write_atomic(path, json.dumps(record).encode())
    return record


def convert_scenes(convert: Callable[[str], Any], names: Sequence[str], jobs: int,
                   quiet: bool = False) -> Tuple[Dict[str, Any], List[Tuple[str, str]]]:
    """Run ``convert(name)`` for every scene, in ``jobs`` processes, with progress on stderr.

    Returns:
        Results by name, and (name, reason) of the scenes that raised something. A full disk, or a process that was
        killed, is no scene's fault and ends the run.
    """
    done: Dict[str, Any] = {}
    failed: List[Tuple[str, str]] = []
    start = time.time()

    def settle(name: str, get: Callable[[], Any]) -> None:
        try:
            done[name] = get()
        except BrokenExecutor:
            raise
        except Exception as error:  # one odd scene, whatever is wrong with it, must not cost the others
            if is_disk_full(error):
                raise
            known = isinstance(error, (SceneError, OSError))
            failed.append((name, str(error) if known else f'{type(error).__name__}: {error}'))
        count = len(done) + len(failed)
        left = (time.time() - start) / count * (len(names) - count)
        if not quiet:
            print(f'\r{count}/{len(names)} scenes, {left:.0f} s left ', end='', file=sys.stderr, flush=True)

    if jobs <= 1:
        for name in names:
            settle(name, lambda: convert(name))
    else:
        with ProcessPoolExecutor(jobs, initializer=end_with, initargs=(os.getpid(),)) as pool:
            tasks = {pool.submit(convert, name): name for name in names}
            for task in as_completed(tasks):
                settle(tasks[task], task.result)
    if not quiet and names:
        print(file=sys.stderr)
    return {name: done[name] for name in names if name in done}, sorted(failed)
