"""Pickles that are read as data: whatever in them could run code is refused, and nothing of it is called."""
import io
import pickle
from pathlib import Path
from typing import Any, FrozenSet, Tuple, Type, Union

import numpy as np

_BUILTINS = {'dict', 'list', 'tuple', 'set', 'frozenset', 'int', 'float', 'complex', 'bool', 'str', 'bytes',
             'bytearray', 'slice', 'range'}
_OTHERS = {
    ('numpy', 'ndarray'), ('numpy', 'dtype'), ('collections', 'OrderedDict'), ('_codecs', 'encode'),
    *((f'numpy.{core}.multiarray', name) for core in ('core', '_core') for name in ('_reconstruct', 'scalar')),
    *((f'numpy.{core}.numeric', '_frombuffer') for core in ('core', '_core')),
}


class RefusedError(pickle.UnpicklingError):
    """A pickle that refers to something that is not plain data."""


class PlainPickleError(ValueError):
    """A file that cannot be read as a pickle of plain data; the message names it and says why.

    Attributes:
        refused (bool): whether it is whole, for all one knows, but refers to code.
    """
    refused = False


class DataUnpickler(pickle.Unpickler):
    """Reads builtins and numpy data; everything else goes to :meth:`refused`.

    Attributes:
        also: (module, name) of further things that are data, for a format of files that holds them.
    """
    also: FrozenSet[Tuple[str, str]] = frozenset()

    def find_class(self, module: str, name: str) -> Any:
        module = 'builtins' if module == '__builtin__' else module  # Python 2's name, which protocol 2 writes
        numpy_type = module == 'numpy' and isinstance(getattr(np, name, None), type) and issubclass(
            getattr(np, name), np.generic)
        if numpy_type or (module == 'builtins' and name in _BUILTINS) or (
                module, name) in _OTHERS or (module, name) in self.also:
            return super().find_class(module, name)
        return self.refused(module, name)

    def refused(self, module: str, name: str) -> Any:
        """What stands for a thing that is not data; here an error."""
        raise RefusedError(f'it refers to {module}.{name}, which is not plain data')


def load_plain(path: Union[str, Path], unpickler: Type[DataUnpickler] = DataUnpickler) -> Any:
    """Content of a pickle of plain data.

    Raises:
        FileNotFoundError: There is no such file.
        PlainPickleError: It is no pickle, damaged, or refers to code.
    """
    content = Path(path).read_bytes()
    try:
        # From memory: told by a damaged pickle to read more than there is, a file would ask for that much memory first.
        return unpickler(io.BytesIO(content)).load()
    except RefusedError as error:
        refusal = PlainPickleError(f'{path} is refused: {error}; loading it could run foreign code')
        refusal.refused = True
        raise refusal from error
    except Exception as error:  # a damaged pickle raises nearly anything
        raise PlainPickleError(f'{path} cannot be read ({type(error).__name__}: {error}): it is truncated or no '
                               'pickle') from error
