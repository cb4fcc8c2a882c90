"""Maps checkpoint keys to model keys, and the ``_metadata`` of their modules with them.

A few ``(pattern, replacement)`` pairs are enough for most. A model family whose released weights need more registers
a mapping by name with :func:`register_mapping`: a pure function from state dict to state dict, both with the
``_metadata`` that belongs to them (see :mod:`.families`).
"""
import re
from collections import OrderedDict
from typing import Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple, Union

import torch

from .errors import WeightsError

StateMapping = Callable[['OrderedDict[str, torch.Tensor]'], 'OrderedDict[str, torch.Tensor]']
Renames = Sequence[Tuple[str, str]]
MAPPINGS: Dict[str, StateMapping] = {}


def register_mapping(name: str) -> Callable[[StateMapping], StateMapping]:
    """Decorator that makes a mapping function available as ``mapping='name'``."""

    def register(function: StateMapping) -> StateMapping:
        if MAPPINGS.setdefault(name, function) is not function:
            raise KeyError(f'a weight mapping named {name!r} is registered already')
        return function

    return register


def get_mapping(mapping: Union[str, StateMapping, None]) -> Optional[StateMapping]:
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
        origin: New key to the key in the checkpoint (as far as a mapping lets it be told).
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
              mapping: Union[str, StateMapping, None] = None) -> RenamedState:
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
    selected = OrderedDict((key[len(prefix):], tensor) for key, tensor in state.items() if key.startswith(prefix))
    origin = {key: prefix + key for key in selected}
    selected._metadata = OrderedDict(map_metadata(metadata, origin))
    if function is not None and selected:
        selected = function(selected)
        origin = {key: origin.get(key, key) for key in selected}
    result, used = RenamedState(), [False] * len(renames)
    result.outside = sum(not key.startswith(prefix) for key in state)
    moved = {}
    for key, tensor in selected.items():
        new = _apply_renames(key, renames, used)
        if new in result.tensors:
            raise WeightsError(f'two tensors of the checkpoint, {result.origin[new]} and {origin[key]}, are both '
                               f'renamed to {new}; make the rename patterns more specific')
        result.tensors[new], result.origin[new], moved[new] = tensor, origin[key], key
    idle = [pattern for (pattern, _), hit in zip(renames, used) if not hit]
    if idle and result.tensors:
        raise WeightsError(f'rename pattern {idle[0]!r} matches no key under {source or "the checkpoint"!r}; keys '
                           f'there look like {next(iter(result.tensors))!r}')
    result.metadata = map_metadata(getattr(selected, '_metadata', {}), moved)
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
