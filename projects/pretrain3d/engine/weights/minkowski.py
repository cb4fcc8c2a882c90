"""MinkowskiEngine 0.4 weights of the Res16UNets of PointContrast and Contrastive Scene Contexts -> our SRUNet.

MinkowskiEngine keeps a convolution as (K, C_in, C_out), one matrix per offset, and computes
``out[u] = sum_i x[u + offset_i] @ W_i`` with ``u`` and the offsets in steps of the input's stride; a transposed one
swaps the two sides of its strided twin. What differs from spconv is the order of the offsets. It depends on the region:

- hypercube (stem, strided, transposed): x runs fastest, then y, then z; an even kernel starts at 0, an odd one is
  centred;
- hybrid (inside the residual blocks): the centre, then for x, y and z in turn every offset so far, moved to -1 and +1.

spconv 2 keeps (C_out, x, y, z, C_in) where the coordinates are [batch, x, y, z]. Kernels of one tap are stored as
(C_in, C_out), biases as (1, C_out).

The orders are those of version 0.4.3's sources. Version 0.5 gives the same names another order, and a file does not say
which it is. The mapping has been tested against a direct evaluation of the definition, not with the released files.
"""
import re
from collections import OrderedDict
from typing import List, Optional, Tuple

import torch

from .errors import WeightsError
from .mapping import register_mapping

Offsets = List[Tuple[int, int, int]]

_WRAPPERS = re.compile(r'^((module|model|encoder|backbone)\.)+')
_LEVEL = re.compile(r'^(conv|bn|convtr|bntr|block)([1-8])(?:p\d+s2)?\.')
_LEAVES = tuple((re.compile(pattern), replacement) for pattern, replacement in (
    (r'\.downsample\.0\.', '.shortcut.'),
    (r'\.downsample\.1\.', '.shortcut_norm.'),
    (r'\.bn\.(\w+)$', r'.\1'),  # a batch norm of theirs wraps one of torch's
    (r'\.kernel$', '.weight'),
))


def hypercube_offsets(size: int) -> Offsets:
    """Offsets (dx, dy, dz) of a cubic region in MinkowskiEngine's order."""
    steps = [step - (size // 2 if size % 2 else 0) for step in range(size)]
    return [(x, y, z) for z in steps for y in steps for x in steps]


def hybrid_offsets() -> Offsets:
    """Offsets of a hybrid region that is cubic along all three axes, size 3, in MinkowskiEngine's order."""
    offsets = [(0, 0, 0)]
    for axis in range(3):
        offsets += [(*offset[:axis], step, *offset[axis + 1:]) for offset in offsets for step in (-1, 1)]
    return offsets


def convert_kernel(kernel: torch.Tensor, offsets: Offsets) -> torch.Tensor:
    """Kernel (K, C_in, C_out), one matrix per offset -> spconv 2's (C_out, x, y, z, C_in)."""
    low, size = min(offsets)[0], round(len(offsets)**(1 / 3))
    x, y, z = (torch.tensor(offsets) - low).T
    converted = kernel.new_empty(kernel.shape[2], size, size, size, kernel.shape[1])
    converted[:, x, y, z] = kernel.permute(2, 0, 1)
    return converted


def convert_minkowski_key(key: str) -> str:
    """Name in our SRUNet of one parameter or buffer of a Res16UNet; other names keep their own.

    Example:
        >>> convert_minkowski_key('module.block5.0.downsample.1.bn.weight')
        'dec.3.0.shortcut_norm.weight'
    """
    key = _WRAPPERS.sub('', key)
    key = re.sub(r'^conv0p1s1\.', 'stem.conv.', re.sub(r'^bn0\.', 'stem.norm.', key))
    level = _LEVEL.match(key)
    name = level and _level_name(level.group(1), int(level.group(2)))
    if name:
        key = f'{name}.{key[level.end():]}'
    elif not key.startswith(('stem.', 'final.')):
        return key
    for pattern, replacement in _LEAVES:
        key = pattern.sub(replacement, key)
    return key


def _level_name(kind: str, number: int) -> Optional[str]:
    """Our part of their ``<kind><number>``: conv and bn 1 ... 4 lead down, convtr and bntr 4 ... 7 up; of the eight
    blocks four stand on each side."""
    if kind in ('conv', 'bn'):
        return f'down.{number - 1}.{"conv" if kind == "conv" else "norm"}' if number <= 4 else None
    if kind in ('convtr', 'bntr'):
        return f'up.{7 - number}.{"conv" if kind == "convtr" else "norm"}' if 4 <= number <= 7 else None
    return f'enc.{number - 1}' if number <= 4 else f'dec.{8 - number}'


@register_mapping('minkowski_srunet')
def minkowski_srunet(state: 'OrderedDict[str, torch.Tensor]') -> 'OrderedDict[str, torch.Tensor]':
    """Weights of a Res16UNet34C or 18A (MinkowskiEngine 0.4) to those of ``SRUNet``; ``final`` is its output layer.

    The released networks were fed colours in [-0.5, 0.5] on voxels of 2.5 cm.
    """
    converted: 'OrderedDict[str, torch.Tensor]' = OrderedDict()
    for key, tensor in state.items():
        name = convert_minkowski_key(key)
        if name in converted:
            raise WeightsError(f'{key!r} becomes {name!r}, which another tensor of the checkpoint already became; take '
                               'the weights of one network only (source)')
        converted[name] = _convert_tensor(key, tensor)
    missing = [name for name in ('stem.conv.weight', 'down.3.conv.weight', 'up.0.conv.weight') if name not in converted]
    if missing:
        raise WeightsError(
            'this is no MinkowskiEngine Res16UNet: nothing in it becomes ' + ', '.join(missing) + '; its first names '
            f'are {list(state)[:3]}. If the network lies deeper in the checkpoint, name its prefix (source)')
    converted._metadata = OrderedDict((name.rpartition('.')[0], dict(version=2)) for name in converted)
    return converted


def _convert_tensor(key: str, tensor: torch.Tensor) -> torch.Tensor:
    """Layout and order of one tensor; ``key`` is its name in the checkpoint."""
    if key.endswith('.bias') and tensor.dim() == 2 and len(tensor) == 1:
        return tensor[0]
    if not key.endswith('.kernel'):
        return tensor
    if tensor.dim() == 3 and len(tensor) == 1:
        tensor = tensor[0]
    if tensor.dim() == 2:
        return tensor.T.contiguous()
    size = round(len(tensor)**(1 / 3)) if tensor.dim() == 3 else 0
    hybrid = re.search(r'block\d\.\d+\.conv[12]\.kernel$', key) is not None
    if size**3 != (len(tensor) if tensor.dim() else 0) or size < 2 or (hybrid and size != 3):
        raise WeightsError(f'{key} {tuple(tensor.shape)} is no cubic kernel (K, C_in, C_out) of MinkowskiEngine; '
                           'only cubes, in residual blocks of size 3, can be converted')
    return convert_kernel(tensor, hybrid_offsets() if hybrid else hypercube_offsets(size))
