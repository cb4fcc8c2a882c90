"""Loads part of a checkpoint into part of a model, completely or not at all."""
import difflib
import logging
from collections import OrderedDict
from dataclasses import dataclass
from typing import Dict, Mapping, Optional, Union

import torch
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from torch import nn

from .domain_fold import fold_state
from .errors import WeightsError
from .layout import convert_layout, resolve_layout, sparse_kernels, sparse_versions
from .mapping import StateMapping, RenamedState, Renames, map_state
from .new_domains import NewDomains, add_domains, domains_of
from .reading import read_state
from .report import Report, top_prefixes

MIN_MATCHED = 0.95  # lost kernels alone (norms and biases found) leave 0.8 or less, so this notices them


@dataclass
class Plan:
    """What will be loaded: tensors in the model's own layout, the ``_metadata`` that goes with them, the report."""
    tensors: 'OrderedDict[str, torch.Tensor]'
    metadata: Dict[str, dict]
    report: Report


def find_module(model: nn.Module, path: str) -> nn.Module:
    """Return the sub-module at ``path`` (empty: the model itself); an unknown path is an error naming the nearest."""
    model = model.module if is_model_wrapper(model) else model
    names = [name for name, _ in model.named_modules()]
    if path not in names:
        near = difflib.get_close_matches(path, names, n=1) or [name for name in names if name and '.' not in name]
        raise WeightsError(f'{type(model).__name__} has no sub-module {path!r} to load weights into; did you mean '
                           f'{" or ".join(map(repr, near))}?')
    return model.get_submodule(path)


def plan_transfer(module: nn.Module, state: RenamedState, report: Report, spconv_layout: str = 'auto') -> Plan:
    """Match renamed checkpoint tensors with a module's; nothing is loaded.

    Args:
        module: The target module.
        state: What :func:`map_state` returned.
        report: Report to fill in.
        spconv_layout: Layout of the checkpoint's sparse kernels: ``'auto'``, ``'1'`` or ``'2'``.
    """
    targets = module.state_dict()
    kernels = sparse_kernels(module)
    layout = resolve_layout(state.tensors, targets, kernels, state.metadata, spconv_layout)
    report.layout = layout if kernels else ''
    tensors = OrderedDict()
    for key, target in targets.items():
        source = state.tensors.get(key)
        counter = key.endswith('num_batches_tracked')  # loaded where present, but no weight: it would hide lost ones
        if source is None:
            report.missing += [] if counter else [key]
            continue
        if key in kernels and source.dim() == target.dim():
            converted = convert_layout(source, layout, kernels[key])
        else:
            converted = source
        if converted.shape != target.shape:
            report.mismatched[key] = (tuple(target.shape), tuple(source.shape))
            continue
        tensors[key] = converted.contiguous()
        if not counter:
            report.matched.append(key)
            report.values += target.numel()
    report.unexpected = [key for key in state.tensors if key not in targets]
    metadata = dict(state.metadata)
    metadata.update(sparse_versions(module))
    return Plan(tensors, metadata, report)


def load_plan(module: nn.Module, plan: Plan) -> None:
    """Load a plan through the module's own loader, then make sure that every tensor arrived.

    The check is there because loaders may drop tensors with no more than a log line; mmdet3d's does.
    """
    state = OrderedDict(plan.tensors)
    state._metadata = OrderedDict(plan.metadata)
    module.load_state_dict(state, strict=False)
    lost = unequal_keys(module, plan.tensors)
    if lost:
        raise WeightsError(f'{len(lost)} tensors did not arrive in the model although name and shape fit, e.g. '
                           f'{lost[0]}; its module changes tensors on loading')


def unequal_keys(module: nn.Module, tensors: Mapping[str, torch.Tensor]) -> list:
    """Keys whose tensor in the module differs from the one given (compared in the module's dtype and device)."""
    loaded = module.state_dict()
    return [key for key, tensor in tensors.items() if not torch.equal(loaded[key], tensor.to(loaded[key]))]


def load_weights(model: nn.Module,
                 checkpoint: str,
                 source: str = '',
                 target: str = '',
                 rename: Renames = (),
                 mapping: Union[str, StateMapping, None] = None,
                 min_matched: float = MIN_MATCHED,
                 spconv_layout: str = 'auto',
                 state_key: Optional[str] = None,
                 domain: Optional[str] = None,
                 new_domains: Optional[NewDomains] = None,
                 logger: Union[logging.Logger, str, None] = 'current') -> Report:
    """Load the part of ``checkpoint`` under ``source`` into the sub-module ``target`` of ``model``.

    The table of matched, missing, unexpected and mismatched tensors is logged. Tensors of another shape are left out
    and listed. If fewer than ``min_matched`` of the target's tensors match, the model is left as it was and an error
    with the table is raised.

    Args:
        model: Model or wrapped model.
        checkpoint: Local file; read as data only, see :mod:`.reading`.
        source: Module path in the checkpoint; empty takes all.
        target: Module path in the model; empty means the whole model.
        rename: ``(pattern, replacement)`` pairs for ``re.sub`` on keys relative to ``source``.
        mapping: Name of a registered mapping, or a function, see :mod:`.mapping`.
        min_matched: Fraction of the target's tensors that must match, in [0, 1].
        spconv_layout: ``'auto'``, ``'1'`` or ``'2'``, see :mod:`.layout`.
        state_key: Entry of the checkpoint that holds the state dict.
        domain: The checkpoint has domain prompts, the model has not: take this domain's weights, by plain names.
        new_domains: The model has domains that the checkpoint has not: new domain -> one of the checkpoint, several,
            or 'mean', from which its prompt and statistics are made, see :mod:`.new_domains`.
        logger: Where the table goes, as for ``mmengine.logging.print_log``.
    """
    if domain is not None and new_domains:
        raise WeightsError('domain folds prompts for a plain model, new_domains are for one with prompts: give one')
    module = find_module(model, target)
    tensors, metadata = read_state(checkpoint, state_key)
    if domain is not None:
        tensors, metadata = fold_state(tensors, metadata, domain)
    named = str(checkpoint) if domain is None else f'{checkpoint}, folded for {domain}'
    state = map_state(tensors, metadata, source, rename, mapping)
    report = Report(named, source, target, outside=state.outside, min_matched=min_matched,
                    prefixes=top_prefixes(list(tensors)))
    made = add_domains(state, new_domains, module.state_dict()) if new_domains else {}
    plan = plan_transfer(module, state, report, spconv_layout)
    matched = set(report.matched)
    report.made = {words: [key for key in keys if key in matched] for words, keys in made.items()}
    if not report.enough:
        raise WeightsError(too_few(report))
    load_plan(module, plan)
    print_log(report.table(), logger=logger)
    return report


def too_few(report: Report) -> str:
    """Message for a transfer below ``min_matched``."""
    new = domains_of(report.missing) if domains_of(report.matched + report.unexpected) else []
    hint = (f"; the checkpoint has nothing of the domain {', '.join(new)}: new_domains={{'{new[0]}': 'mean'}} starts "
            'it from those that it has' if new else '')
    return ('too few weights matched, nothing was loaded; check source, target and rename, or lower min_matched if '
            f'the rest is meant to start fresh{hint}\n{report.table()}')
