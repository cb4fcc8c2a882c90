"""torch >= 2.6 loads weights only: tells it the harmless classes that every mmengine 0.10 checkpoint contains.

A checkpoint of a ``Runner`` holds its message hub, whose ``HistoryBuffer`` pickles its own statistics methods through
``builtins.getattr``; ``OneCycleLR`` does the same with its annealing function. Allowing the real ``getattr`` would let
a foreign file reach any attribute of any allowed object, so the name is bound to a function that hands out the methods
in :data:`METHODS` only.
"""
from typing import Any, Callable, List, Tuple, Union

import torch

# Every method that mmengine 0.10 itself writes into checkpoints, by the class it belongs to.
METHODS = {
    'mmengine.logging.history_buffer.HistoryBuffer': ('min', 'max', 'mean', 'current'),
    'mmengine.optim.scheduler.param_scheduler.OneCycleParamScheduler': ('_annealing_cos', '_annealing_linear'),
}


def checkpoint_method(owner: Any, name: str) -> Any:
    """Stand in for ``getattr`` inside checkpoints: the methods of :data:`METHODS`, nothing else.

    Raises:
        ValueError: The file asks for something else.
    """
    path = f'{owner.__module__}.{owner.__qualname__}' if isinstance(owner, type) else ''
    if name in METHODS.get(path, ()):
        return getattr(owner, name)
    raise ValueError(f'this checkpoint asks for attribute {name!r} of {owner!r}, which weights do not need; load it '
                     'only if you trust its author, with TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1')


def safe_globals() -> List[Union[type, Tuple[Callable, str]]]:
    """Return what torch's weights-only unpickler must know; a pair gives an object the name that files use."""
    import numpy as np
    from mmengine.config import ConfigDict
    from mmengine.logging import HistoryBuffer
    from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler
    core = np.core if np.__version__.startswith('1.') else np._core
    arrays = (core.multiarray._reconstruct, core.multiarray.scalar)
    # numpy 1 wrote `numpy.core`, numpy 2 writes `numpy._core`: a file may come from either.
    named = [(function, f'{module}.multiarray.{function.__name__}') for function in arrays
             for module in ('numpy.core', 'numpy._core')]
    dtypes = {type(np.dtype(code)) for code in np.typecodes['All']}
    return [HistoryBuffer, OneCycleParamScheduler, ConfigDict, np.ndarray, np.dtype, *sorted(dtypes, key=str), *named,
            (checkpoint_method, 'builtins.getattr')]


def mend() -> None:
    """Register the safe globals for torch 2.6 and later; earlier ones load everything by default and know no pairs."""
    version = tuple(int(part) for part in torch.__version__.split('.')[:2])
    if version >= (2, 6):
        torch.serialization.add_safe_globals(safe_globals())
