"""Reads checkpoint files without running anything that is pickled inside them.

``torch.load(weights_only=True)`` comes first. It refuses what mmengine itself stores beside the weights (log history,
numpy scalars, and in torch 2.1 even sets and booleans), so a file in torch's zip format is then read by an unpickler
that resolves only an allow-list of plain data types. Everything else in the file is an error, or, when asked, an inert
placeholder; in neither case is it called.
"""
import os
import pickle
import types
import zipfile
from collections import OrderedDict
from typing import Any, Dict, Optional, Tuple

import torch

from pretrain3d.plain_pickle import DataUnpickler

from ..compat.checkpoint_globals import checkpoint_method
from .errors import WeightsError

# Names that hold data and do nothing else when called with arguments that are data themselves, beside builtins and
# numpy's types.
ALLOWED = {
    'argparse': ('Namespace', ),
    'collections': ('Counter', 'OrderedDict', 'defaultdict'),
    'pathlib': ('Path', 'PosixPath', 'PurePosixPath'),
    'torch': ('Size', 'Tensor', 'device', 'bfloat16', 'bool', 'float16', 'float32', 'float64', 'int8', 'int16',
              'int32', 'int64', 'uint8'),
    'torch._tensor': ('_rebuild_from_type_v2', ),
    'torch._utils': ('_rebuild_parameter', '_rebuild_parameter_with_state', '_rebuild_tensor', '_rebuild_tensor_v2'),
    'torch.nn.parameter': ('Buffer', 'Parameter'),
    'torch.storage': ('TypedStorage', 'UntypedStorage'),
    'mmengine.config.config': ('ConfigDict', ),
    'mmengine.logging.history_buffer': ('HistoryBuffer', ),
    'mmengine.optim.scheduler.param_scheduler': ('OneCycleParamScheduler', ),
}
STATE_KEYS = ('state_dict', 'model', 'model_state', 'model_state_dict')


class InertObject:
    """Stands for a pickled object of a class that is not data: takes whatever is stored in it and does nothing."""

    def __new__(cls, *args, **kwargs):
        return object.__new__(cls)

    def __init__(self, *args, **kwargs):
        pass

    def __setstate__(self, state):
        pass

    def __setitem__(self, key, value):
        pass

    def append(self, value):
        """Swallow a list item."""

    def extend(self, values):
        """Swallow list items."""


class WeightsUnpickler(DataUnpickler):
    """Unpickler that resolves plain data and :data:`ALLOWED` names only."""

    also = frozenset((module, name) for module, names in ALLOWED.items() for name in names)
    drop_objects = False

    def find_class(self, module: str, name: str) -> Any:
        """Return the named data type; anything else is refused or becomes an :class:`InertObject`."""
        if (module, name) in (('builtins', 'getattr'), ('__builtin__', 'getattr')):
            return self._attribute
        if module == 'torch' and name.endswith('Storage') and name.isidentifier():
            return pickle.Unpickler.find_class(self, module, name)
        return super().find_class(module, name)

    def refused(self, module: str, name: str) -> Any:
        if self.drop_objects:
            return InertObject
        raise WeightsError(f'it holds a pickled "{module}.{name}", which is not weights')

    def _attribute(self, owner: Any, name: str) -> Any:
        """Stand in for ``getattr``: hands out the few methods that mmengine's own checkpoints refer to."""
        try:
            return checkpoint_method(owner, name)
        except ValueError:
            if self.drop_objects:
                return InertObject
            raise WeightsError(f'it asks for attribute "{name}" of {owner!r}, which is not weights') from None


class DroppingUnpickler(WeightsUnpickler):
    """As :class:`WeightsUnpickler`, with foreign objects left out instead of refused."""

    drop_objects = True


def _pickle_module(unpickler: type) -> types.ModuleType:
    """What ``torch.load(pickle_module=...)`` wants: a module with ``Unpickler`` and ``load``."""
    module = types.ModuleType('pretrain3d_data_pickle')
    module.Unpickler = unpickler
    module.load = lambda file, **kwargs: unpickler(file, **kwargs).load()
    return module


def _archive_kind(path: str) -> str:
    """``'zip'`` (torch >= 1.6), ``'script'`` (TorchScript) or ``'other'``."""
    if not zipfile.is_zipfile(path):
        return 'other'
    try:
        with zipfile.ZipFile(path) as archive:
            return 'script' if any(name.endswith('/constants.pkl') for name in archive.namelist()) else 'zip'
    except Exception:  # it ends like one; torch says what is wrong
        return 'other'


def read_file(path: str, drop_objects: bool = False) -> Any:
    """Read what ``torch.save`` wrote to ``path``, on the CPU, as data only.

    Args:
        path: A local file; ``~`` is expanded.
        drop_objects: Replace pickled objects of unknown classes by inert placeholders instead of refusing the file.
            They are not executed either way.

    Raises:
        WeightsError: The file is missing, is no checkpoint, or holds code.
    """
    path = os.path.expanduser(str(path))
    if not os.path.isfile(path):
        hint = ' (download it first; only local files are read)' if '://' in path else ''
        raise WeightsError(f'checkpoint {path} does not exist{hint}')
    kind = _archive_kind(path)
    if kind == 'script':
        raise WeightsError(f'{path} is a TorchScript archive, which carries code; save the state dict of the model '
                           'with torch.save(model.state_dict(), ...) and pass that file')
    try:
        return torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:  # every version of torch raises something else
        first = error
    if kind != 'zip':
        lines = str(first).splitlines() or ['the file is empty']
        reason = next((line.strip() for line in lines if 'nsupported' in line), lines[-1])  # names the class
        raise WeightsError(f'{path} is not a checkpoint that can be read as plain weights; nothing in it was '
                           f'executed ({type(first).__name__}: {reason})') from None
    unpickler = DroppingUnpickler if drop_objects else WeightsUnpickler
    try:
        return torch.load(path, map_location='cpu', pickle_module=_pickle_module(unpickler), weights_only=False)
    except WeightsError as error:
        raise WeightsError(
            f'{path} was refused and nothing in it was executed: {error}. If you trust where it comes from, save its '
            'weights alone there (torch.save(checkpoint["state_dict"], ...)), or leave such objects out with '
            'tools/convert_weights.py --drop-objects') from None
    except Exception as error:
        raise WeightsError(f'{path} is damaged or no checkpoint: {type(error).__name__}: {error}') from None


def _is_state(value: Any) -> bool:
    return isinstance(value, dict) and any(isinstance(item, torch.Tensor) for item in value.values())


def read_state(path: str, state_key: Optional[str] = None,
               drop_objects: bool = False) -> Tuple['OrderedDict[str, torch.Tensor]', Dict[str, dict]]:
    """Return the state dict in a checkpoint file and its ``_metadata`` (``{}`` where the file kept none).

    Args:
        path: Local checkpoint file.
        state_key: Entry of the checkpoint to take, e.g. ``'ema_state_dict'``; by default the first of
            :data:`STATE_KEYS` that is there, else the file itself when it is a flat dict of tensors.
        drop_objects: See :func:`read_file`.
    """
    content = read_file(path, drop_objects)
    if not isinstance(content, dict):
        raise WeightsError(f'{path} holds a {type(content).__name__}, not a state dict')
    names = (state_key, ) if state_key else STATE_KEYS
    state = next((content[name] for name in names if _is_state(content.get(name))), None)
    if state is None and not state_key and _is_state(content):
        state = content
    if state is None:
        raise WeightsError(f'{path} has no state dict under {" or ".join(map(repr, names))}; it has '
                           f'{", ".join(map(str, list(content)[:12]))}: name one with state_key')
    metadata = dict(getattr(state, '_metadata', None) or {})
    tensors = OrderedDict((key, value) for key, value in state.items() if isinstance(value, torch.Tensor))
    if state_key and tensors.get('steps') is not None and tensors['steps'].dim() == 0:  # counter of an averaged model
        del tensors['steps']
    if tensors and all(key.startswith('module.') for key in tensors):  # of a wrapper: DistributedDataParallel, average
        tensors = OrderedDict((key[7:], value) for key, value in tensors.items())
        metadata = {name[7:]: entry for name, entry in metadata.items() if name.startswith('module.')}
    return tensors, metadata
