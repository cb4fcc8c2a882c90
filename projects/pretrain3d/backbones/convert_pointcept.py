"""Pointcept's SpUNet weights -> ours, also those with domain prompts.

Both networks read [batch, x, y, z] and spconv 2 stores (C_out, x, y, z, C_in), so kernels keep their layout. Only 1x1
convolutions, which are linear layers here, change: spconv reads the memory of their kernel as (C_in, C_out) whatever
its shape says.
"""
import re
from collections import OrderedDict
from typing import Dict, Mapping, Optional, Sequence

import torch
from torch import Tensor

_WRAPPERS = re.compile(r'^((module|backbone)\.)+')
_RULES = tuple((re.compile(pattern), replacement) for pattern, replacement in (
    (r'^conv_input\.0\.', 'stem.conv.'),
    (r'^conv_input\.1\.', 'stem.norm.'),
    (r'^(down|up)\.(\d+)\.0\.', r'\1.\2.conv.'),
    (r'^(down|up)\.(\d+)\.1\.', r'\1.\2.norm.'),
    # With prompts (SpUNet-v1m3) the layers have names.
    (r'^conv_input\.conv\.', 'stem.conv.'),
    (r'^conv_input\.bn\.', 'stem.norm.'),
    (r'^(down|up)\.(\d+)\.bn\.', r'\1.\2.norm.'),
    (r'^(enc|dec)\.(\d+)\.block(\d+)\.', r'\1.\2.\3.'),
    (r'\.bn([12])\.', r'.norm\1.'),
    (r'\.proj\.0\.', '.shortcut.'),
    (r'\.proj\.1\.', '.shortcut_norm.'),
    (r'\.proj_conv\.', '.shortcut.'),
    (r'\.proj_norm\.', '.shortcut_norm.'),
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
    return _marked(converted)


_NORM = re.compile(r'^(.*(?:^|\.)(?:norm|norm[12]|shortcut_norm))\.(?:(bn)|bns\.(\d+)|modulation\.1)\.(\w+)$')


def convert_prompted_state_dict(state_dict: Mapping[str, Tensor], prompts: Mapping[str, Tensor],
                                order: Sequence[str]) -> 'OrderedDict[str, Tensor]':
    """State dict of Pointcept's ``SpUNet-v1m3`` -> that of a :class:`SpUNet` which ``convert`` gave these domains.

    Its norm of a domain d is ``(n gamma_d + beta_d) (1 + scale(c_d)) + shift(c_d)``, n normalised, with gamma and beta
    of each domain and ``[shift, scale]`` a linear map of silu(c). Ours is ``n gamma(c) + beta(c)``, linear maps of the
    prompt. So silu(c) becomes the prompt, and the maps those with the same value at every prompt that change the
    products of theirs with the mean gamma and beta least. Where all domains have one gamma and beta nothing is changed.
    The output is the same; what a step of further training does is not.

    Args:
        state_dict: without the wrapper's embedding, of any choice of ``decouple``, ``adaptive`` and ``affine``.
        prompts: domain -> its row c of the wrapper's embedding.
        order: names of the domains in the order of the backbone's own ``conditions``, by which its norms count.

    Raises:
        ValueError: these are no such weights, or have another number of domains.
    """
    if sorted(prompts) != sorted(order):
        raise ValueError(f'the backbone has the domains {list(order)}, the prompts {list(prompts)}; give the same '
                         'names, each list in its own order')
    converted: 'OrderedDict[str, Tensor]' = OrderedDict()
    norms: Dict[str, Dict[str, Tensor]] = {}
    for key, value in state_dict.items():
        name = convert_pointcept_key(key)
        found = _NORM.match(name)
        if found:
            path, shared, number, leaf = found.groups()
            part = 'shared' if shared else 'modulation' if number is None else number
            norms.setdefault(path, {})[f'{part}.{leaf}'] = value
        else:
            converted[name] = _linear_weight(value) if value.ndim == 5 and value[0, ..., 0].numel() == 1 else value
    if 'stem.conv.weight' not in converted or 'stem.norm' not in norms:
        raise ValueError("no 'conv_input.conv.weight' or no 'conv_input.bn.bns.0.weight' among the weights: this is no "
                         f'Pointcept SpUNet-v1m3; first keys: {list(state_dict)[:3]}. Weights without prompts are '
                         'those of the mapping pointcept_spunet')
    vectors = {name: torch.nn.functional.silu(vector.double()) for name, vector in prompts.items()}
    for path, tensors in norms.items():
        converted.update(_prompted_norm(path, tensors, torch.stack([vectors[name] for name in order]), order))
    for name, vector in vectors.items():
        converted[f'prompts.vectors.{name}'] = vector.to(prompts[name].dtype)
    return _marked(converted)


def _prompted_norm(path: str, tensors: Mapping[str, Tensor], prompts: Tensor, order: Sequence[str]) \
        -> Dict[str, Tensor]:
    """One norm; ``prompts`` (D, P) in the order of the norm's domains."""
    numbers = {key.split('.')[0] for key in tensors if key[0].isdigit()}
    if 'shared.running_mean' not in tensors and numbers != set(map(str, range(len(order)))):
        raise ValueError(f'{path} has the statistics of {len(numbers)} domains, but {len(order)} were named: '
                         f'{", ".join(order)}')
    parts = ['shared' if 'shared.running_mean' in tensors else str(number) for number in range(len(order))]
    made = {f'{path}.statistics.{name}.{leaf}': tensors[f'{part}.{leaf}'] for name, part in zip(order, parts)
            for leaf in ('running_mean', 'running_var', 'num_batches_tracked')}
    mean = tensors[f'{parts[0]}.running_mean']

    def stacked(leaf: str, default: float) -> Tensor:
        """(D, C) in float64."""
        return torch.stack([tensors.get(f'{part}.{leaf}', torch.full_like(mean, default)).double() for part in parts])

    gamma, beta = stacked('weight', 1.), stacked('bias', 0.)
    weight, bias = _modulation(tensors, len(mean), prompts.shape[1])
    shift, scale = (prompts @ weight.T + bias).chunk(2, 1)
    wanted = torch.cat([gamma * (1 + scale), beta * (1 + scale) + shift], 1)
    (shift_w, scale_w), (shift_b, scale_b) = weight.chunk(2), bias.chunk(2)
    gamma, beta = gamma.mean(0), beta.mean(0)
    own_weight = torch.cat([gamma[:, None] * scale_w, beta[:, None] * scale_w + shift_w])
    own_bias = torch.cat([gamma * (1 + scale_b), beta * (1 + scale_b) + shift_b])
    rest = wanted - (prompts @ own_weight.T + own_bias)
    if rest.abs().max() > 1e-9:
        own_weight = own_weight + (torch.linalg.pinv(prompts) @ rest).T
        error = (prompts @ own_weight.T + own_bias - wanted).abs().max()
        if error > 1e-5 * wanted.abs().max():
            raise ValueError(f'{path}: the prompts of {", ".join(order)} depend on each other (two are equal, or 0), '
                             'so no linear map tells these domains apart: put random rows into embedding_table.weight '
                             'where the norms do not read them (no modulation), else the weights cannot be converted')
    return {**made, f'{path}.modulation.weight': own_weight.to(mean.dtype),
            f'{path}.modulation.bias': own_bias.to(mean.dtype)}


def _modulation(tensors: Mapping[str, Tensor], channels: int, prompt_channels: int) -> 'tuple[Tensor, Tensor]':
    """Weight (2 C, P) and bias (2 C,) of [shift, scale] in float64; zeros of a norm that does not read the prompt."""
    weight: Optional[Tensor] = tensors.get('modulation.weight')
    if weight is None:
        return torch.zeros(2 * channels, prompt_channels).double(), torch.zeros(2 * channels).double()
    return weight.double(), tensors['modulation.bias'].double()


def _marked(state: 'OrderedDict[str, Tensor]') -> 'OrderedDict[str, Tensor]':
    """The state dict with ``_metadata`` of spconv 2."""
    state._metadata = OrderedDict((name.rpartition('.')[0], dict(version=2)) for name in state)
    return state


def _linear_weight(kernel: Tensor) -> Tensor:
    """1x1 kernel of spconv (C_out, 1, 1, 1, C_in) -> weight of the same linear map (C_out, C_in)."""
    out_channels, in_channels = kernel.shape[0], kernel.shape[-1]
    return kernel.reshape(in_channels, out_channels).T.contiguous()
