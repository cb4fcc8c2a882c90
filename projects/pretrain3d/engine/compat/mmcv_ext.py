"""mmcv's operators on CPU: fills the compiled ``mmcv._ext`` up, or makes our stand-in importable where there is none."""
import importlib
import importlib.util

EXTENSION = 'mmcv._ext'


def mend() -> None:
    """Complete ``mmcv._ext`` by device where it is compiled; where it is missing make our module be ``mmcv._ext``."""
    spec = importlib.util.find_spec(EXTENSION)
    if spec is None:
        from ..mmcv_cpu import finder
        finder.install()
    elif 'mmcv_cpu' not in (spec.origin or ''):
        try:
            from ..mmcv_cpu.dispatch import install_over_compiled
        except ImportError:
            return
        install_over_compiled(importlib.import_module(EXTENSION))
