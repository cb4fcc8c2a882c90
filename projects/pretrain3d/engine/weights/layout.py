"""Kernel layouts of sparse convolutions.

spconv 1.x (also the copy inside mmcv) keeps a kernel as (k_z, k_y, k_x, C_in, C_out), here layout ``'1'``; spconv 2.x
keeps (C_out, k_z, k_y, k_x, C_in), here layout ``'2'``. mmdet3d's loader permutes from 1 to 2 unless the module's
``_metadata`` says version 2. That record is missing whenever keys were renamed without it, and *wrong* in files
written by projects that use spconv 2 without mmdet3d: their modules carry torch's default version 1.

A pointwise convolution (one tap, stride 1) is the exception: both versions compute ``features @ memory`` with the
kernel's memory read as (C_in, C_out), whatever its shape says. Between layouts such a kernel is reshaped, not permuted
(mmdet3d's loader permutes it and so changes what the layer computes).
"""
from typing import Dict, Mapping, NamedTuple, Tuple

import torch
from torch import nn

from .errors import WeightsError

LAYOUTS = ('auto', '1', '2')


def _family(module: nn.Module, class_name: str) -> str:
    """``'2'`` for a class of spconv 2, ``'1'`` for one of mmcv's spconv 1, else ``''``."""
    for cls in type(module).__mro__:
        if cls.__name__ == class_name and cls.__module__.startswith('spconv'):
            return '2'
        if cls.__name__ == class_name and cls.__module__.startswith('mmcv.'):
            return '1'
    return ''


class Kernel(NamedTuple):
    """How a model holds one sparse kernel: its layout, and whether the convolution is pointwise."""
    layout: str
    pointwise: bool


def sparse_kernels(model: nn.Module) -> Dict[str, Kernel]:
    """Return how the model holds each of its sparse kernels, by key."""
    kernels = {}
    for name, module in model.named_modules():
        layout = _family(module, 'SparseConvolution')
        if layout:
            kernels[f'{name}.weight' if name else 'weight'] = Kernel(layout, bool(module.conv1x1))
    return kernels


def sparse_versions(model: nn.Module) -> Dict[str, dict]:
    """Return the ``_metadata`` entries that tell mmdet3d's loader to leave every sparse module's tensors alone."""
    return {name: dict(version=getattr(type(module), '_version', None))
            for name, module in model.named_modules() if _family(module, 'SparseModule')}


def convert_layout(tensor: torch.Tensor, source: str, kernel: Kernel) -> torch.Tensor:
    """Bring a kernel from layout ``source`` into the one in which the model holds it (a view where possible)."""
    if source == kernel.layout:
        return tensor
    axes = permutation(tensor.dim(), source)
    if kernel.pointwise:
        return tensor.contiguous().reshape([tensor.shape[axis] for axis in axes])
    return tensor.permute(axes)


def permutation(dims: int, source: str) -> Tuple[int, ...]:
    """Axes that take a kernel with ``dims`` axes out of layout ``source`` into the other one."""
    axes = tuple(range(dims))
    return (axes[-1], ) + axes[:-1] if source == '1' else axes[1:] + (axes[0], )


def resolve_layout(sources: Mapping[str, torch.Tensor],
                   targets: Mapping[str, torch.Tensor],
                   kernels: Mapping[str, Kernel],
                   metadata: Mapping[str, dict],
                   requested: str = 'auto') -> str:
    """Decide in which layout a checkpoint holds its sparse kernels.

    A file has one layout. Evidence is a recorded version 2 (nobody writes it without meaning it) and every kernel
    whose shape fits the model in one layout only; a recorded version 1 is no evidence.

    Args:
        sources: Checkpoint tensors by model key.
        targets: Model tensors by key.
        kernels: What :func:`sparse_kernels` returns for the model.
        metadata: Module path to entry, after renaming.
        requested: ``'1'`` or ``'2'`` to say it, ``'auto'`` to infer it.

    Raises:
        WeightsError: The evidence is contradictory, or there is none.
    """
    if requested not in LAYOUTS:
        raise WeightsError(f'spconv_layout must be one of {LAYOUTS}, but got {requested!r}')
    shared = [key for key in kernels if key in sources and key in targets]
    if requested != 'auto' or not shared:
        return requested if requested != 'auto' else '2'
    evidence: Dict[str, str] = {}
    ambiguous = []
    for key in shared:
        fits = [layout for layout in ('1', '2') if sources[key].dim() == targets[key].dim() and convert_layout(
            sources[key], layout, kernels[key]).shape == targets[key].shape]
        if len(fits) == 1:
            evidence.setdefault(fits[0], key)
        ambiguous += [key] * (len(fits) == 2)
        if metadata.get(key.rpartition('.')[0], {}).get('version') == 2:
            evidence.setdefault('2', key)
    if len(evidence) == 2:
        raise WeightsError(
            f'the sparse kernels of the checkpoint contradict each other: {evidence["1"]} '
            f'{tuple(sources[evidence["1"]].shape)} speaks for spconv 1, {evidence["2"]} '
            f'{tuple(sources[evidence["2"]].shape)} for spconv 2; pass spconv_layout="1" or "2"')
    if evidence:
        return next(iter(evidence))
    if ambiguous:
        raise WeightsError(
            f'every sparse kernel of the checkpoint, e.g. {ambiguous[0]} {tuple(sources[ambiguous[0]].shape)}, fits '
            'the model in both spconv layouts and the file does not record which it is; pass spconv_layout="1" '
            '(spconv 1.x, mmcv) or "2" (spconv 2.x)')
    return '2'  # nothing fits in either layout: all of them will be listed as mismatched
