"""Maps checkpoint keys to model keys, and the ``_metadata`` of their modules with them.

A mapping is a pure function ``(key, tensor) -> (key, tensor) | None`` (``None`` drops the entry). Each model family
whose released weights need more than a few renames registers one by name with :func:`register_mapping`, in a small
file beside that model.
"""
import re
from collections import OrderedDict
from typing import Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple, Union

import torch

from .errors import WeightsError

KeyMapping = Callable[[str, torch.Tensor], Optional[Tuple[str, torch.Tensor]]]
Renames = Sequence[Tuple[str, str]]
MAPPINGS: Dict[str, KeyMapping] = {}


def register_mapping(name: str) -> Callable[[KeyMapping], KeyMapping]:
    """Decorator that makes a mapping function available as ``mapping='name'``."""

    def register(function: KeyMapping) -> KeyMapping:
        if MAPPINGS.setdefault(name, function) is not function:
            raise KeyError(f'a weight mapping named {name!r} is registered already')
        return function

    return register


def get_mapping(mapping: Union[str, KeyMapping, None]) -> Optional[KeyMapping]:
    """Return a registered mapping by name; functions and ``None`` pass through."""
    if not isinstance(mapping, str):
        return mapping
    if mapping not in MAPPINGS:
        raise WeightsError(f'no weight mapping is called {mapping!r}; there are {sorted(MAPPINGS) or "none"}')
    return MAPPINGS[mapping]


def parse_renames(texts: Iterable[str]) -> List[Tuple[str, str]]:
    """Parse ``pattern=replacement`` strings of a command line."""
    renames = []
    for text in texts:
        pattern, sign, replacement = text.partition('=')
        if not sign or not pattern:
            raise WeightsError(f'a rename is written PATTERN=REPLACEMENT, but got {text!r}')
        renames.append((pattern, replacement))
    return renames


class RenamedState:
    """A state dict after selection and renaming.

    Attributes:
        tensors: New key to tensor.
        origin: New key to the key in the checkpoint.
        metadata: New module path to its ``_metadata`` entry.
        outside: How many tensors of the checkpoint lie outside the source prefix.
    """

    def __init__(self) -> None:
        self.tensors: 'OrderedDict[str, torch.Tensor]' = OrderedDict()
        self.origin: Dict[str, str] = {}
        self.metadata: Dict[str, dict] = {}
        self.outside = 0


def _dotted(prefix: str) -> str:
    return prefix + '.' if prefix and not prefix.endswith('.') else prefix


def _apply_renames(key: str, renames: Renames, used: List[bool]) -> str:
    for number, (pattern, replacement) in enumerate(renames):
        key, count = re.subn(pattern, replacement, key)
        used[number] = used[number] or count > 0
    return key


def map_state(state: Mapping[str, torch.Tensor],
              metadata: Mapping[str, dict],
              source: str = '',
              rename: Renames = (),
              mapping: Union[str, KeyMapping, None] = None) -> RenamedState:
    """Select the tensors under ``source``, strip that prefix, then apply ``mapping`` and ``rename``.

    Args:
        state: Checkpoint key to tensor.
        metadata: Module path to version entry, as ``state_dict()._metadata`` holds it.
        source: Prefix (a module path) of the part to take; empty takes all.
        rename: ``(pattern, replacement)`` pairs for ``re.sub`` on keys relative to ``source``, in order. A pattern
            that matches no key at all is an error.
        mapping: Registered name or function, applied before ``rename``.
    """
    function, prefix, renames = get_mapping(mapping), _dotted(source), [tuple(pair) for pair in rename]
    result, used = RenamedState(), [False] * len(renames)
    for key, tensor in state.items():
        if not key.startswith(prefix):
            result.outside += 1
            continue
        entry = (key[len(prefix):], tensor)
        if function is not None:
            entry = function(*entry)
            if entry is None:
                continue
        new = _apply_renames(entry[0], renames, used)
        if new in result.tensors:
            raise WeightsError(f'two tensors of the checkpoint, {result.origin[new]} and {key}, are both renamed to '
                               f'{new}; make the rename patterns more specific')
        result.tensors[new], result.origin[new] = entry[1], key
    idle = [pattern for (pattern, _), hit in zip(renames, used) if not hit]
    if idle and result.tensors:
        raise WeightsError(f'rename pattern {idle[0]!r} matches no key under {source or "the checkpoint"!r}; keys '
                           f'there look like {next(iter(result.tensors))!r}')
    result.metadata = map_metadata(metadata, result.origin)
    return result


def map_metadata(metadata: Mapping[str, dict], origin: Mapping[str, str]) -> Dict[str, dict]:
    """Move ``_metadata`` entries to where their tensors went.

    ``_metadata`` is keyed by module path, renames are written for tensor keys. The path of a tensor's own module is
    its key without the last part; parents follow as long as the trailing parts of both keys agree.

    Args:
        metadata: Module path in the checkpoint to its entry.
        origin: New tensor key to the key in the checkpoint.
    """
    moved: Dict[str, dict] = {}
    for new, old in origin.items():
        new_parts, old_parts = new.split('.'), old.split('.')
        while new_parts and old_parts:
            new_leaf, old_leaf = new_parts.pop(), old_parts.pop()
            entry = metadata.get('.'.join(old_parts))
            if entry is not None:
                moved.setdefault('.'.join(new_parts), dict(entry))
            if new_leaf != old_leaf:
                break
    return moved
