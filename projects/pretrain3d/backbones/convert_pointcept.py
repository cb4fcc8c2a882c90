"""Pointcept's SpUNet weights -> ours.

Both networks read [batch, x, y, z] and spconv 2 stores (C_out, x, y, z, C_in), so kernels keep their layout. Only 1x1
convolutions, which are linear layers here, change: spconv reads the memory of their kernel as (C_in, C_out) whatever
its shape says.
"""
import re
from collections import OrderedDict
from typing import Mapping

from torch import Tensor

_WRAPPERS = re.compile(r'^((module|backbone)\.)+')
_RULES = tuple((re.compile(pattern), replacement) for pattern, replacement in (
    (r'^conv_input\.0\.', 'stem.conv.'),
    (r'^conv_input\.1\.', 'stem.norm.'),
    (r'^(down|up)\.(\d+)\.0\.', r'\1.\2.conv.'),
    (r'^(down|up)\.(\d+)\.1\.', r'\1.\2.norm.'),
    (r'^(enc|dec)\.(\d+)\.block(\d+)\.', r'\1.\2.\3.'),
    (r'\.bn([12])\.', r'.norm\1.'),
    (r'\.proj\.0\.', '.shortcut.'),
    (r'\.proj\.1\.', '.shortcut_norm.'),
))


def convert_pointcept_key(key: str) -> str:
    """Name in our :class:`SpUNet` of one parameter or buffer of Pointcept's; unknown names keep their own.

    The prefixes ``module.`` (DataParallel) and ``backbone.`` (its segmentors) are stripped.

    Example:
        >>> convert_pointcept_key('module.backbone.enc.0.block1.bn2.weight')
        'enc.0.1.norm2.weight'
    """
    key = _WRAPPERS.sub('', key)
    for pattern, replacement in _RULES:
        key = pattern.sub(replacement, key)
    return key


def convert_pointcept_state_dict(state_dict: Mapping[str, Tensor]) -> 'OrderedDict[str, Tensor]':
    """State dict of Pointcept's ``SpUNet-v1m1`` -> state dict of :class:`SpUNet`; 3D kernels are shared, not copied.

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
        converted[name] = _linear_weight(value) if value.ndim == 5 and value[0, ..., 0].numel() == 1 else value
    if 'stem.conv.weight' not in converted:
        raise ValueError("no 'conv_input.0.weight' among the weights: this is not a Pointcept SpUNet-v1m1; first keys: "
                         f"{list(state_dict)[:3]}. Give the state dict itself (checkpoint['state_dict'])")
    converted._metadata = OrderedDict((name.rpartition('.')[0], dict(version=2)) for name in converted)
    return converted


def _linear_weight(kernel: Tensor) -> Tensor:
    """1x1 kernel of spconv (C_out, 1, 1, 1, C_in) -> weight of the same linear map (C_out, C_in)."""
    out_channels, in_channels = kernel.shape[0], kernel.shape[-1]
    return kernel.reshape(in_channels, out_channels).T.contiguous()
