"""mmcv's operators on CPU: fills the compiled ``mmcv._ext`` up, or makes our stand-in be ``mmcv._ext`` without one."""
import importlib
import importlib.util

EXTENSION = 'mmcv._ext'


def mend() -> None:
    """Complete ``mmcv._ext`` for CPU tensors where it is compiled; where it is missing install our stand-in."""
    if importlib.util.find_spec(EXTENSION) is None:
        from ..mmcv_cpu import finder
        finder.install()
    importlib.import_module('mmcv.ops')
    extension = importlib.import_module(EXTENSION)
    if not getattr(extension, 'STAND_IN', False):
        from .. import mmcv_cpu as ours
    else:
        ours = extension
    ours.install_over_compiled(extension)
