"""Takes domain prompts out of a checkpoint: the weights of one domain, by the names of the plain network."""
import re
from collections import OrderedDict
from typing import Dict, List, Mapping, Tuple

import torch
from torch import Tensor

from .errors import WeightsError

PROMPT = re.compile(r'^(.*?)prompts\.vectors\.([^.]+)$')
_MAP = '.modulation.weight'
_INSIDE = ('modulation', 'statistics', 'block')


def fold_state(tensors: Mapping[str, Tensor], metadata: Mapping[str, dict],
               domain: str) -> Tuple['OrderedDict[str, Tensor]', Dict[str, dict]]:
    """What ``pretrain3d.backbones.fold_domain`` does, for a state dict whose model is not at hand.

    Every prompted norm becomes the batch norm that it is for the domain: gamma and beta = W c + b of the prompt c, and
    the domain's running statistics. Prompts and the statistics of other domains are left out; everything else stays,
    with its ``_metadata``.

    Args:
        tensors, metadata: as ``read_state`` gives them.
        domain: name of the domain.

    Raises:
        WeightsError: the checkpoint holds no prompts, or several sets of them, or not of this domain, or adapters that
            no plain network has.
    """
    prompt = _find_prompt(tensors, domain)
    norms = [key[:-len(_MAP)] for key in tensors if key.endswith(_MAP)]
    folded: 'OrderedDict[str, Tensor]' = OrderedDict()
    records = dict(metadata)
    own = {norm: _plain_norm(tensors, norm, prompt, domain) for norm in norms}
    inside = {f'{norm}.{part}' for norm in norms for part in _INSIDE}
    for key, tensor in tensors.items():
        norm = _owner(key, inside)
        if norm:
            folded.update({f'{norm}.{name}': value for name, value in own.pop(norm, {}).items()})
        elif not PROMPT.match(key):
            folded[key] = tensor
    for norm in norms:
        records[norm] = dict(metadata.get(f'{norm}.statistics.{domain}', dict(version=2)))
    records = {path: entry for path, entry in records.items()
               if not _owner(path, inside) and not re.search(r'(^|\.)prompts(\.vectors)?$', path)}
    return folded, records


def prompt_keys(tensors: Mapping[str, Tensor]) -> Tuple[str, Dict[str, str]]:
    """Prefix of the converted network, and domain -> key of its prompt. WeightsError: no prompts, or several sets."""
    found: Dict[str, Dict[str, str]] = {}
    for key in tensors:
        match = PROMPT.match(key)
        if match:
            found.setdefault(match.group(1), {})[match.group(2)] = key
    if len(found) != 1:
        raise WeightsError(f'the checkpoint holds {len(found)} sets of domain prompts, one is needed'
                           + (': leave the domain out' if not found else f': {sorted(found)}'))
    return next(iter(found.items()))


def _find_prompt(tensors: Mapping[str, Tensor], domain: str) -> Tensor:
    """The prompt (channels,) of the domain, or (blocks, channels) where every block has its own."""
    prefix, names = prompt_keys(tensors)
    if domain not in names:
        raise WeightsError(f'the checkpoint has no domain {domain!r}; it has {", ".join(names)}')
    adapters = [key for key in tensors if key.startswith(f'{prefix}adapters.')]
    if adapters:
        raise WeightsError(f'the checkpoint holds {adapters[0]}: injection and attention have no place in a plain '
                           "network, only prompts in norms (adapter='norm') fold")
    return tensors[names[domain]]


def _owner(path: str, inside: set) -> str:
    """The norm that a key or module path of its insides belongs to; else empty."""
    parts: List[str] = path.split('.')
    for end in range(len(parts), 1, -1):
        if '.'.join(parts[:end]) in inside:
            return '.'.join(parts[:end - 1])
    return ''


def _plain_norm(tensors: Mapping[str, Tensor], norm: str, prompt: Tensor, domain: str) -> Dict[str, Tensor]:
    """State of the batch norm that a prompted one is for the domain."""
    if prompt.dim() == 2:
        prompt = prompt[int(tensors[f'{norm}.block'])]
    weight, bias = (tensors[f'{norm}.modulation.{name}'].float() for name in ('weight', 'bias'))
    gamma, beta = torch.addmv(bias, weight, prompt.float()).chunk(2)
    prefix = f'{norm}.statistics.{domain}.'
    statistics = {key[len(prefix):]: tensor for key, tensor in tensors.items() if key.startswith(prefix)}
    return dict(weight=gamma, bias=beta, **statistics)
