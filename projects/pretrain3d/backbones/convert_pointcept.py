"""Names of Pointcept's SpUNet weights -> names of ours.

The kernels themselves need no change: both networks read [batch, x, y, z] and spconv 2 stores (C_out, x, y, z, C_in).
"""
import re
from collections import OrderedDict
from typing import Mapping

from torch import Tensor

_WRAPPERS = ('module.', 'backbone.')
_RULES = tuple((re.compile(pattern), replacement) for pattern, replacement in (
    (r'^conv_input\.0\.', 'stem.conv.'),
    (r'^conv_input\.1\.', 'stem.norm.'),
    (r'^(down|up)\.(\d+)\.0\.', r'\1.\2.conv.'),
    (r'^(down|up)\.(\d+)\.1\.', r'\1.\2.norm.'),
    (r'^(enc|dec)\.(\d+)\.block(\d+)\.', r'\1.\2.\3.'),
    (r'\.bn([12])\.', r'.norm\1.'),
    (r'\.proj\.0\.', '.shortcut.conv.'),
    (r'\.proj\.1\.', '.shortcut.norm.'),
))


def convert_pointcept_key(key: str) -> str:
    """Name in our :class:`SpUNet` of one parameter or buffer of Pointcept's; unknown names keep their own.

    The prefixes ``module.`` (DataParallel) and ``backbone.`` (its segmentors) are stripped.

    Example:
        >>> convert_pointcept_key('module.backbone.enc.0.block1.bn2.weight')
        'enc.0.1.norm2.weight'
    """
    stripped = True
    while stripped:
        stripped = False
        for wrapper in _WRAPPERS:
            if key.startswith(wrapper):
                key, stripped = key[len(wrapper):], True
    for pattern, replacement in _RULES:
        key = pattern.sub(replacement, key)
    return key


def convert_pointcept_state_dict(state_dict: Mapping[str, Tensor]) -> 'OrderedDict[str, Tensor]':
    """State dict of Pointcept's ``SpUNet-v1m1`` -> state dict of :class:`SpUNet`; the tensors are shared.

    The result carries ``_metadata`` that marks every layer as spconv 2: without it mmdet3d takes the kernels for those
    of spconv 1 and permutes them.

    Raises:
        ValueError: no key is of SpUNet, or two keys fall together after stripping their prefixes.
    """
    converted: 'OrderedDict[str, Tensor]' = OrderedDict()
    for key, value in state_dict.items():
        name = convert_pointcept_key(key)
        if name in converted:
            raise ValueError(f'{key!r} becomes {name!r}, which another key already became; give the weights of one '
                             'network only')
        converted[name] = value
    if 'stem.conv.weight' not in converted:
        raise ValueError("no 'conv_input.0.weight' among the weights: this is not a Pointcept SpUNet-v1m1; first keys: "
                         f'{list(state_dict)[:3]}. Give the state dict itself (checkpoint["state_dict"])')
    converted._metadata = OrderedDict((name.rpartition('.')[0], dict(version=2)) for name in converted)
    return converted
