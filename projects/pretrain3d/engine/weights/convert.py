"""Weight transfer offline: writes a checkpoint that mmdet3d's own loaders take as it is."""
import os
from collections import OrderedDict
from typing import Optional, Union

import torch
from torch import nn

from .domain_fold import fold_state
from .errors import WeightsError
from .layout import LAYOUTS
from .mapping import StateMapping, RenamedState, Renames, map_state
from .reading import read_state
from .report import Report, top_prefixes
from .transfer import MIN_MATCHED, find_module, plan_transfer, too_few


def convert_checkpoint(src: str,
                       dst: str,
                       source: str = '',
                       target: str = '',
                       rename: Renames = (),
                       mapping: Union[str, StateMapping, None] = None,
                       model: Optional[nn.Module] = None,
                       min_matched: float = MIN_MATCHED,
                       spconv_layout: str = 'auto',
                       state_key: Optional[str] = None,
                       drop_objects: bool = False,
                       domain: Optional[str] = None) -> Report:
    """Write the part of ``src`` under ``source``, renamed to lie under ``target``, to ``dst``.

    The file holds ``state_dict`` with its ``_metadata``, so ``load_from=dst`` works for the whole model and
    ``init_cfg=dict(type='Pretrained', checkpoint=dst)`` for a sub-module when ``target`` is empty. (The ``prefix``
    option of ``Pretrained`` drops ``_metadata``: do not use it.)

    With ``model`` the result is checked against it, kernels are brought into its layout, and tensors that do not fit
    are left out. Without it, kernels (five axes) stay as they are and their layout must be recorded in ``src`` or
    given by ``spconv_layout``.

    Args:
        src: Checkpoint to read, as data only.
        dst: File to write; written completely or not at all.
        source: Module path in ``src``; empty takes all.
        target: Module path in the model that will load ``dst``.
        rename: ``(pattern, replacement)`` pairs for ``re.sub`` on keys relative to ``source``.
        mapping: Name of a registered mapping, or a function.
        model: The model that will load ``dst``; ``target`` is looked up in it.
        min_matched: Fraction of the target's tensors that must match; only with ``model``.
        spconv_layout: Layout of the kernels in ``src``: ``'auto'``, ``'1'`` or ``'2'``.
        state_key: Entry of ``src`` that holds the state dict.
        drop_objects: Leave out pickled objects of unknown classes instead of refusing the file.
        domain: Fold the domain prompts of ``src``: take this domain's weights, by the names of the plain network.
    """
    tensors, metadata = read_state(src, state_key, drop_objects)
    if domain is not None:
        tensors, metadata = fold_state(tensors, metadata, domain)
    named = str(src) if domain is None else f'{src}, folded for {domain}'
    state = map_state(tensors, metadata, source, rename, mapping)
    report = Report(named, source, target, outside=state.outside, min_matched=min_matched,
                    prefixes=top_prefixes(list(tensors)))
    if model is not None:
        plan = plan_transfer(find_module(model, target), state, report, spconv_layout)
        if not report.enough:
            raise WeightsError(too_few(report).replace('nothing was loaded', 'nothing was written'))
        _write(dst, plan.tensors, plan.metadata, target, src)
        return report
    if not state.tensors:
        raise WeightsError(f'{src} holds nothing under {source!r}; it holds '
                           + ', '.join(f'{name} ({count})' for name, count in report.prefixes.items()))
    _record_layout(state, spconv_layout)
    report.matched, report.min_matched = list(state.tensors), 0.
    report.values = sum(tensor.numel() for tensor in state.tensors.values())
    _write(dst, state.tensors, state.metadata, target, src)
    return report


def _record_layout(state: RenamedState, spconv_layout: str) -> None:
    """Write down in ``_metadata`` how mmdet3d's loader has to take the kernels of a state without a model."""
    if spconv_layout not in LAYOUTS:
        raise WeightsError(f'spconv_layout must be one of {LAYOUTS}, but got {spconv_layout!r}')
    kernels = [key for key, tensor in state.tensors.items() if tensor.dim() == 5]
    pointwise = [key for key in kernels if state.tensors[key].shape[:3].numel() == 1]
    if spconv_layout == '1' and pointwise:
        raise WeightsError(f'{pointwise[0]} {tuple(state.tensors[pointwise[0]].shape)} is a pointwise kernel, which '
                           'mmdet3d\'s loader gets wrong when it comes from spconv 1: give the model (--config)')
    for key in kernels:
        path = key.rpartition('.')[0]
        entry = state.metadata.setdefault(path, {})
        if spconv_layout == 'auto' and entry.get('version') != 2:
            raise WeightsError(
                f'{len(kernels)} tensors look like 3D kernels, e.g. {key} {tuple(state.tensors[key].shape)}, and the '
                'file does not record their spconv layout: give the model to check against (--config), or the layout '
                '(--spconv-layout 2 for spconv 2.x and for dense Conv3d, 1 for spconv 1.x and mmcv)')
        if spconv_layout != 'auto':
            entry['version'] = int(spconv_layout)


def _write(dst: str, tensors, metadata, target: str, src: str) -> None:
    """Save under the target's prefix, through a temporary file so that an interrupted run leaves no half file."""
    prefix = target + '.' if target else ''
    state = OrderedDict((prefix + key, tensor.clone()) for key, tensor in tensors.items())
    state._metadata = OrderedDict(((prefix + path).rstrip('.'), entry) for path, entry in metadata.items())
    folder = os.path.dirname(os.path.abspath(dst))
    if not os.path.isdir(folder):
        raise WeightsError(f'the folder {folder} does not exist; create it or choose another output file')
    partial = f'{dst}.part'
    torch.save(dict(meta=dict(converted_from=os.path.basename(str(src))), state_dict=state), partial)
    os.replace(partial, dst)
