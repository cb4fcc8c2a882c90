"""Makes ``import mmcv._ext`` find ``pretrain3d.engine.mmcv_cpu`` where mmcv was installed without compiled operators.

mmdet3d's ``train.py`` imports ``mmcv.ops`` before it reads any config, so this must act on import alone. The set-up
copies this file into the environment's site-packages and starts it from a ``.pth`` line; it therefore uses nothing
but the standard library and nothing of the package.
"""
import importlib.util
import os
import sys

NAME = 'mmcv._ext'


class StandInFinder:
    """A last-resort finder: consulted only when no compiled ``mmcv._ext`` was found on the path."""

    @staticmethod
    def find_spec(fullname, path=None, target=None):
        """Return the spec of the stand-in for ``mmcv._ext``, ``None`` for any other module."""
        if fullname != NAME:
            return None
        package = importlib.util.find_spec('pretrain3d')
        if package is None or not package.submodule_search_locations:
            return None
        room = os.path.join(list(package.submodule_search_locations)[0], 'engine', 'mmcv_cpu')
        return importlib.util.spec_from_file_location(
            NAME, os.path.join(room, '__init__.py'), submodule_search_locations=[room])


def install() -> None:
    """Append the finder to ``sys.meta_path`` once."""
    # By name: the set-up's copy of this file and this one may both be loaded.
    if not any(getattr(finder, '__name__', '') == StandInFinder.__name__ for finder in sys.meta_path):
        sys.meta_path.append(StandInFinder)


install()
