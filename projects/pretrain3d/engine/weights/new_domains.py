"""Gives the weights of a joint training domains that it has not had, for a fine-tuning on new data."""
from typing import Dict, Iterable, List, Mapping, Sequence, Tuple, Union

import torch
from torch import Tensor

from .domain_fold import PROMPT, prompt_keys
from .errors import WeightsError
from .mapping import RenamedState

NewDomains = Mapping[str, Union[str, Sequence[str]]]


def add_domains(state: RenamedState, new_domains: NewDomains, targets: Iterable[str]) -> Dict[str, List[str]]:
    """What ``pretrain3d.backbones.add_domain`` does to a model, for weights that are on the way into one; in place.

    The prompt of a new domain is the mean of those of the domains it is made from, its running statistics are those
    of an equal mixture of theirs: so it starts as a domain, where it is made from one alone.

    Args:
        state: weights by the names of the target.
        new_domains: new domain -> a domain of the checkpoint, several, or 'mean' (all of them).
        targets: names of the target's tensors.

    Returns:
        What was made, in words -> its keys.

    Raises:
        WeightsError: the weights have no prompts; the new domain is there already, or the model has it not; a domain
            to make it from is not there. The known ones are named.
    """
    prefix, given = prompt_keys(state.tensors)
    wanted = domains_of(key for key in targets if key.startswith(f'{prefix}prompts.'))
    tensors: Dict[str, Tensor] = {}
    metadata: Dict[str, dict] = {}
    made: Dict[str, List[str]] = {}
    for name, like in new_domains.items():
        sources = list(given) if like == 'mean' else [like] if isinstance(like, str) else list(like)
        _check(name, sources, list(given), wanted)
        own, records = _make(state, prefix, given, name, sources)
        tensors.update(own)
        metadata.update(records)
        words = f'the mean of {", ".join(sources)}' if len(sources) > 1 else sources[0]
        made[f'{name}, made from {words}'] = list(own)
    state.tensors.update(tensors)
    state.metadata.update(metadata)
    return made


def domains_of(keys: Iterable[str]) -> List[str]:
    """Domains whose prompts are among the keys."""
    return [match.group(2) for match in map(PROMPT.match, keys) if match]


def _check(name: str, sources: Sequence[str], given: Sequence[str], wanted: Sequence[str]) -> None:
    """WeightsError: a domain that is there already, or one that should be and is not."""
    if name in given:
        raise WeightsError(f'new_domains names {name!r}, which the checkpoint has: leave it out. It has '
                           f'{", ".join(given)}')
    if name not in wanted:
        raise WeightsError(f'new_domains names {name!r}, but the model has {", ".join(wanted) or "no prompts"}: give '
                           'its PromptedBackbone this domain, or name one that it has')
    lacking = [source for source in sources if source not in given]
    if lacking or not sources:
        raise WeightsError(f"new_domains makes {name!r} from {lacking[0] if lacking else 'nothing'!r}; the checkpoint "
                           f"has {', '.join(given)}: name one, several, or 'mean' for all")


def _make(state: RenamedState, prefix: str, prompts: Mapping[str, str], name: str,
          sources: Sequence[str]) -> Tuple[Dict[str, Tensor], Dict[str, dict]]:
    """Prompt and statistics of a new domain, and the ``_metadata`` of the latter."""
    # Backbones are not imported before someone needs them.
    from pretrain3d.backbones.prompts.pdnorm import mixed_statistics
    prompt = torch.stack([state.tensors[prompts[each]] for each in sources]).mean(0)
    tensors = {f'{prefix}prompts.vectors.{name}': prompt}
    metadata: Dict[str, dict] = {}
    mark = f'.statistics.{sources[0]}.'
    norms = dict.fromkeys(key.partition(mark)[0] for key in state.tensors if mark in key and key.startswith(prefix))
    for norm in norms:
        paths = [f'{norm}.statistics.{each}' for each in sources]
        leaves = [key.rpartition('.')[2] for key in state.tensors if key.startswith(f'{paths[0]}.')]
        mixed = mixed_statistics([{leaf: state.tensors[f'{path}.{leaf}'] for leaf in leaves} for path in paths])
        tensors.update({f'{norm}.statistics.{name}.{leaf}': value for leaf, value in mixed.items()})
        if paths[0] in state.metadata:
            metadata[f'{norm}.statistics.{name}'] = dict(state.metadata[paths[0]])
    return tensors, metadata
