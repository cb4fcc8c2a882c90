"""``spconv-triton`` under the name ``spconv``: newer GPUs and torch have no spconv wheel, and mmdet3d knows one name.

Standard library only, so that importing this costs nothing; Triton is imported when mmdet3d asks for spconv.
"""
import importlib
import sys
import warnings
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Optional

NAME, SUBSTITUTE = 'spconv', 'spconv_triton'
# mmdet3d compares this as a string with '2.0.0'; spconv-triton's own version counts from 1.0 and would be refused.
API_VERSION = '2.3.8'


class SpconvAlias:
    """Finder and loader that answer ``spconv`` and ``spconv.*`` with ``spconv_triton`` and its submodules."""

    @classmethod
    def find_spec(cls, fullname: str, path=None, target=None) -> Optional[ModuleSpec]:
        """Return a spec for spconv names where only spconv-triton is installed, ``None`` in every other case."""
        if fullname == NAME:
            if PathFinder.find_spec(NAME) is not None or PathFinder.find_spec(SUBSTITUTE) is None:
                return None
        elif not (fullname.startswith(NAME + '.') and getattr(sys.modules.get(NAME), 'is_alias', False)):
            return None
        return ModuleSpec(fullname, cls, is_package=fullname == NAME)

    @staticmethod
    def create_module(spec: ModuleSpec) -> None:
        """Let the import machinery make a plain module."""

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        """Fill the package with spconv-triton's names; a submodule *is* spconv-triton's own submodule."""
        real = importlib.import_module(SUBSTITUTE + module.__name__[len(NAME):])
        if module.__name__ != NAME:
            sys.modules[module.__name__] = real
            return
        vars(module).update({key: value for key, value in vars(real).items() if not key.startswith('__')})
        module.__version__ = API_VERSION
        module.is_alias = True


def mend() -> None:
    """Install the finder in front of the others once, and warn where mmdet3d has already chosen mmcv's spconv 1.x."""
    if SpconvAlias not in sys.meta_path:
        sys.meta_path.insert(0, SpconvAlias)
    layers = sys.modules.get('mmdet3d.models.layers.spconv')
    if layers is not None and not layers.IS_SPCONV2_AVAILABLE and SpconvAlias.find_spec(NAME) is not None:
        warnings.warn('spconv-triton is installed, but mmdet3d.models was imported before pretrain3d and has fallen '
                      'back to the sparse layers of mmcv: put `import pretrain3d` first.')
