"""Checkpoint files that are whole or absent, and which of them to resume from."""
import os
import zipfile
from pathlib import Path
from typing import Any, List, Optional, Tuple, Union

from mmengine.fileio import LocalBackend, register_backend

from pretrain3d.files import write_atomic

WHOLE_FILES = 'pretrain3d_whole_files'
# Written when a run is told to stop; the next regular checkpoint takes its place.
STOPPED = 'stopped_iter_{}.pth'


class WholeFilesBackend(LocalBackend):
    """mmengine's local files, each of which appears when all of it is on the disk."""

    def put(self, obj: Union[bytes, memoryview], filepath: Union[str, Path]) -> None:
        """Write ``obj`` to ``filepath``: temporary file, fsync, rename."""
        write_atomic(Path(filepath), obj)


register_backend(WHOLE_FILES, WholeFilesBackend, force=True)


class LateRemoval:
    """A file backend whose ``remove`` waits for :meth:`finish`: mmengine removes the best checkpoint before it writes
    the better one."""

    def __init__(self, backend: Any) -> None:
        self.backend, self.waiting = backend, []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)

    def remove(self, path: Union[str, Path]) -> None:
        """Remember to remove ``path``."""
        self.waiting.append(str(path))

    def finish(self, keep: List[str]) -> None:
        """Remove what was to be removed, except ``keep``, which has been written again."""
        for path in self.waiting:
            if path not in keep and self.backend.isfile(path):
                self.backend.remove(path)


def damage(path: Path) -> Optional[str]:
    """What is wrong with a checkpoint file, ``None`` if it is whole; it reads the file, and executes nothing."""
    try:
        if not path.stat().st_size:
            return 'empty'
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()  # every record against its checksum
    except FileNotFoundError:
        return 'absent'
    except Exception as error:  # zipfile raises whatever its reader meets in damaged bytes
        return f'cut short or damaged ({error})'
    return f'damaged in {broken}' if broken else None


def newest_whole(work_dir: Path, folder: Path, filename_tmpl: str) -> Tuple[Optional[Path], List[str]]:
    """The checkpoint to resume from: the one that ``last_checkpoint`` names, else the newest that is whole.

    Args:
        work_dir: Where ``last_checkpoint`` lies.
        folder: Where the checkpoints lie.
        filename_tmpl: Name of regular checkpoints, with ``{}`` for the step.

    Returns:
        The file (``None`` if there is none) and what is wrong with those that should have come before it.
    """
    pointer, wrong = work_dir / 'last_checkpoint', []
    named = None
    if pointer.is_file():
        text = pointer.read_bytes().decode(errors='replace').strip().strip('\0')
        if not text:
            wrong.append(f'{pointer} is empty')
        else:
            named = Path(text)
            # os.path: it takes whatever garbage the file may hold for a name. The folder may have been moved.
            if not os.path.exists(named) and os.path.exists(folder / named.name):
                named = folder / named.name
    patterns = {filename_tmpl.replace('{}', '*'), STOPPED.replace('{}', '*')}
    others = sorted((path for pattern in patterns for path in folder.glob(pattern)),
                    key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for path in ([named] if named else []) + [path for path in others if path != named]:
        problem = damage(path)
        if problem is None:
            return path, wrong
        wrong.append(f'{path} is {problem}')
    return None, wrong
