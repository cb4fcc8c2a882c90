"""Files that are whole or absent, whatever kills the process; what killed processes left is cleared away."""
import contextlib
import errno
import os
import platform
import re
import shutil
import time
from pathlib import Path
from typing import BinaryIO, Iterator, List, Union

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
            ended = maker is not None and maker['host'] == HOST and not is_alive(int(maker['process']))
            if not ended and age < ABANDONED_S:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def is_alive(process: int) -> bool:
    """Whether ``process`` of this host is still running."""
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


def is_disk_full(error: BaseException) -> bool:
    """Whether ``error`` says that a disk or a quota is full, which is no scene's fault."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def open_atomic(path: Path) -> Iterator[BinaryIO]:
    """A file to write to that appears at ``path`` when all of it is written and on the disk; else ``path`` stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_path(path)
    try:
        with open(partial, 'wb') as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def read_names(path: Union[str, Path]) -> List[str]:
    """Names in a text file, one a line; blank lines are passed over.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no text.
    """
    text = Path(path).read_bytes().decode('utf-8-sig', errors='replace')
    names = [line.strip() for line in text.splitlines() if line.strip()]
    for number, name in enumerate(names, 1):
        if not name.isprintable() or '\ufffd' in name:
            raise ValueError(f'{path}: name {number}, {name[:40]!r}, is no text: it must hold a name a line, in UTF-8')
    return names


def write_atomic(path: Path, content: bytes) -> None:
    """Write ``content`` so that ``path`` is either whole or as it was."""
    with open_atomic(path) as file:
        file.write(content)
