"""Where a Structured3D download lies: its unpacked folders, or the released zip files as they are.

Either way a room is ``scene_<id>/2D_rendering/<room>/`` and its name here ``scene_<id>_room_<room>``.
"""
import functools
import os
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Tuple

from ...files import is_disk_full
from ..batch import SceneError

PICTURES = ('rgb_rawlight.png', 'depth.png', 'semantic.png', 'instance.png')
_PICTURE = '|'.join(re.escape(name) for name in PICTURES)
ROOM_FILE = re.compile(rf'perspective/full/[^/]+/(?:{_PICTURE}|camera_pose\.txt)'
                       rf'|panorama/(?:camera_xyz\.txt|full/(?:{_PICTURE}))')
MEMBER = re.compile(r'(?:Structured3D/)?(?P<scene>scene_\d+)/2D_rendering/(?P<room>[^/]+)/(?P<file>.+)')
# First scene behind a split; the release divides its scenes by number.
SPLIT_ENDS = (('train', 3000), ('val', 3250), ('test', None))


@dataclass(frozen=True)
class View:
    """One rendering of a room: the folder of its pictures, its camera's file, and whether it is the panorama."""
    folder: str
    camera: str
    panorama: bool


def split_of(name: str) -> str:
    """Split of a room or scene, by the scene's number."""
    number = int(name.split('_')[1])
    return next(split for split, end in SPLIT_ENDS if end is None or number < end)


def list_views(files: Dict[str, int]) -> List[View]:
    """Views of a room that has ``files``: perspective ones by number, the panorama last."""
    positions = {path.split('/')[2] for path in files if path.startswith('perspective/')}
    folders = [f'perspective/full/{position}' for position in sorted(positions, key=lambda key: (len(key), key))]
    views = [View(folder, f'{folder}/camera_pose.txt', False) for folder in folders]
    if any(path.startswith('panorama/full/') for path in files):
        views.append(View('panorama/full', 'panorama/camera_xyz.txt', True))
    return views


class Folders:
    """Unpacked folders: ``ROOT/Structured3D/scene_*`` or ``ROOT/scene_*``."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.folders = {f'{path.parent.parent.name}_room_{path.name}': path
                        for path in sorted(base.glob('scene_*/2D_rendering/*'))
                        if path.is_dir() and not path.name.startswith('.')
                        and re.fullmatch(r'scene_\d+', path.parent.parent.name)}

    @property
    def rooms(self) -> List[str]:
        """Names of all rooms."""
        return list(self.folders)

    def where(self, room: str, file: str = '') -> str:
        """How messages name a file of a room."""
        return str(self.folders[room] / file)

    def files(self, room: str) -> Dict[str, int]:
        """Path below the room -> bytes, of all files that are read."""
        folder, found = self.folders[room], {}
        for place in ('perspective/full', 'panorama'):
            for path in sorted((folder / place).rglob('*.*')):
                file = path.relative_to(folder).as_posix()
                if ROOM_FILE.fullmatch(file) and path.is_file():
                    found[file] = path.stat().st_size
        return found

    def read(self, room: str, file: str) -> bytes:
        """Content of a file of a room.

        Raises:
            OSError: it cannot be read.
        """
        return (self.folders[room] / file).read_bytes()


class Zips:
    """The released zip files of a folder, which need not be unpacked; a room's files may lie in several of them."""

    def __init__(self, paths: List[Path]) -> None:
        self._members: Dict[str, Dict[str, Tuple[Path, str, int]]] = {}
        self.base = paths[0].parent
        for path in paths:
            try:
                with zipfile.ZipFile(path) as archive:
                    self._index(path, archive.infolist())
            except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
                raise ValueError(f'{path}: not a whole zip file ({error}); download it again') from error

    def _index(self, path: Path, infos: List[zipfile.ZipInfo]) -> None:
        for info in infos:
            match = MEMBER.fullmatch(info.filename)
            if match and ROOM_FILE.fullmatch(match['file']):
                room = self._members.setdefault(f'{match["scene"]}_room_{match["room"]}', {})
                room[match['file']] = (path, info.filename, info.file_size)

    @property
    def rooms(self) -> List[str]:
        """Names of all rooms."""
        return sorted(self._members)

    def where(self, room: str, file: str = '') -> str:
        """How messages name a file of a room."""
        place = self._members[room].get(file)
        return f'{place[0]}:{place[1]}' if place else f'{self.base}/*.zip:{room}/{file}'

    def files(self, room: str) -> Dict[str, int]:
        """Path below the room -> bytes, of all files that are read."""
        return {file: size for file, (_, _, size) in sorted(self._members[room].items())}

    def read(self, room: str, file: str) -> bytes:
        """Content of a file of a room.

        Raises:
            OSError: it cannot be read, or is damaged.
        """
        path, member, _ = self._members[room][file]
        try:
            return _archive(path, path.stat().st_mtime_ns, os.getpid()).read(member)
        except Exception as error:  # whatever zipfile and zlib make of damaged data
            if is_disk_full(error):
                raise
            raise OSError(f'damaged in {path}: {error}') from error


@functools.lru_cache(maxsize=64)
def _archive(path: Path, changed: int, process: int) -> zipfile.ZipFile:
    """An open zip file as it was last ``changed``; every process opens its own, since a fork would share the place in
    the file."""
    return zipfile.ZipFile(path)


@functools.lru_cache(maxsize=4)
def open_source(root: Path):
    """The :class:`Folders` or :class:`Zips` below ``root``; forked workers have what their parent has listed.

    Raises:
        SceneError: there is nothing of Structured3D. ValueError: a zip file is damaged.
    """
    for base in (root / 'Structured3D', root):
        folders = Folders(base)
        if folders.rooms:
            return folders
    paths = sorted(root.glob('*.zip'))
    if paths:
        zips = Zips(paths)
        if zips.rooms:
            return zips
    raise SceneError(f'{root}: no room of Structured3D (Structured3D/scene_*/2D_rendering/<room>, unpacked or in the '
                     'released *.zip); draw one with tools/make_world.py rooms OUT --as structured3d')
