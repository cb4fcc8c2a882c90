"""What every converter shares: many scenes in parallel, failures collected, files that are whole or absent."""
import errno
import os
import platform
import re
import shutil
import sys
import threading
import time
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence, Tuple

import numpy as np


class SceneError(Exception):
    """A scene that cannot be converted; the message says what is wrong with which file."""


HOST = re.sub(r'[^\w-]', '-', platform.node()) or 'host'
PARTIAL = re.compile(r'\..+\.(?P<host>[\w-]+)\.(?P<process>\d{1,9})\.partial')
# What nobody has written to for a day is no longer being written, whatever made it.
ABANDONED_S = 24 * 3600


def partial_path(path: Path) -> Path:
    """Where to write what shall become ``path``, a file or a folder: hidden, beside it, with this process' name."""
    return path.with_name(f'.{path.name}.{HOST}.{os.getpid()}.partial')


def remove_leftovers(*folders: Path) -> None:
    """Remove what killed processes left half-written directly in ``folders`` (not below them); call it before writing.

    A leftover is a ``.*.partial`` file or folder that :func:`partial_path` named for a process of this host that lives
    no more, or that nobody has written to for a day (then whatever made it, on whatever host). Other runs may be at
    work on the same folders. Folders that do not exist are passed over.
    """
    for folder in folders:
        for path in folder.glob('.*.partial'):
            try:
                age = time.time() - path.stat().st_mtime
            except FileNotFoundError:  # its process has just finished it
                continue
            maker = PARTIAL.fullmatch(path.name)
            ended = maker is not None and maker['host'] == HOST and not _alive(int(maker['process']))
            if not ended and age < ABANDONED_S:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    try:  # one that has ended, and that a container's first process never asks about, is not alive
        return Path(f'/proc/{process}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except OSError:
        return True


def _end_with(parent: int) -> None:
    """Let this worker end when ``parent`` is killed: it would wait for work for ever."""
    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def is_disk_full(error: BaseException) -> bool:
    """Whether ``error`` says that a disk or a quota is full, which is no scene's fault."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def write_atomic(path: Path, content: bytes) -> None:
    """Write ``content`` so that ``path`` is either whole or as it was: temporary file, fsync, rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_path(path)
    try:
        with open(partial, 'wb') as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_array(path: Path, array: np.ndarray) -> None:
    """Write an array's raw bytes, as mmdet3d's loaders read them."""
    write_atomic(path, np.ascontiguousarray(array).tobytes())


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
        with ProcessPoolExecutor(jobs, initializer=_end_with, initargs=(os.getpid(),)) as pool:
            tasks = {pool.submit(convert, name): name for name in names}
            for task in as_completed(tasks):
                settle(tasks[task], task.result)
    if not quiet and names:
        print(file=sys.stderr)
    return {name: done[name] for name in names if name in done}, sorted(failed)
