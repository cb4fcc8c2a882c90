"""Batch norm per domain, scaled and shifted by linear maps of the domain's prompt."""
from typing import Dict, Mapping, Optional, Sequence, Type

import torch
import torch.nn.functional as F
from mmengine.dist import get_world_size
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .domains import DomainPrompts, PromptReader


class Modulation(nn.Module):
    """Scale and shift of every channel as linear maps of a prompt: [scale, shift] = W c + b.

    Not an ``nn.Linear``, so that a model's initialiser of linear layers leaves its zeros alone.

    Args:
        prompt_channels: length of the prompt c.
        channels: channels of the norm.
        zero_init: whether W starts as 0, or as a normal of deviation 0.02.
    """

    def __init__(self, prompt_channels: int, channels: int, zero_init: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2 * channels, prompt_channels))
        self.bias = nn.Parameter(torch.cat([torch.ones(channels), torch.zeros(channels)]))
        if not zero_init:
            nn.init.trunc_normal_(self.weight, std=0.02)

    def forward(self, prompts: Tensor) -> Tensor:
        """(D, prompt_channels) -> (D, 2, channels), in the precision of the weights also under autocast."""
        with torch.autocast(prompts.device.type, enabled=False):
            # W c^T, not c W^T: the gradient of W then has its layout, and is not copied.
            table = (self.weight @ prompts.T).T + self.bias
        # torch's batch norm on the CPU reads scales whatever their strides.
        return table.contiguous().view(len(prompts), 2, -1)


class PDNorm(PromptReader):
    """Prompt-driven normalisation: (x - mean_d) / sqrt(var_d + eps) * gamma(c_d) + beta(c_d) for rows of domain d.

    mean_d and var_d are those of the rows of domain d, in training of this batch and in evaluation of what was seen
    before; gamma and beta are linear maps, shared by all domains, of the prompt c_d. ``zero_init`` starts as
    the plain norm. Fewer than two rows of a domain are normalised by its running statistics, which stay.

    Statistics are over the rows of all ranks where the entries of ``statistics`` are ``SyncBatchNorm``, as mmengine's
    ``sync_bn='torch'`` makes them: then every rank goes through every domain that any of them has.

    Args:
        channels: channels of the features.
        prompts: the prompts of the model; not a child of this module.
        eps, momentum, track_running_stats: as of ``nn.BatchNorm1d``.
        zero_init: whether gamma and beta start independent of the prompt.
        plain_type: norm that :meth:`fold` returns.
        block: whose prompt is read where every block has its own.
    """

    def __init__(self, channels: int, prompts: DomainPrompts, eps: float = 1e-5, momentum: Optional[float] = 0.1,
                 track_running_stats: bool = True, zero_init: bool = True,
                 plain_type: Type[nn.Module] = nn.BatchNorm1d, block: Optional[int] = None) -> None:
        super().__init__(prompts, block)
        self.channels = channels
        self.plain_type = plain_type
        # SyncBatchNorm is also what norms become that synchronise in their own way (mmdet3d's naiveSyncBN).
        kind = nn.SyncBatchNorm if 'sync' in plain_type.__name__.lower() else nn.BatchNorm1d
        self.statistics = nn.ModuleDict({
            name: kind(channels, eps, momentum, affine=False, track_running_stats=track_running_stats)
            for name in prompts.names})
        self.modulation = Modulation(prompts.channels, channels, zero_init)

    @classmethod
    def of(cls, norm: _BatchNorm, prompts: DomainPrompts, zero_init: bool = True,
           block: Optional[int] = None) -> 'PDNorm':
        """The PDNorm that starts, in every domain, as ``norm``: its gamma and beta become the bias of the modulation,
        its running statistics those of every domain. Exactly so with ``zero_init``."""
        made = cls(norm.num_features, prompts, norm.eps, norm.momentum, norm.track_running_stats, zero_init, type(norm),
                   block)
        with torch.no_grad():
            if norm.affine:
                made.modulation.bias.copy_(torch.cat([norm.weight, norm.bias]))
        like = norm.weight if norm.affine else norm.running_mean
        if like is not None:
            made.to(like)
        for own in made.statistics.values():
            own.load_state_dict(
                {key: value for key, value in norm.state_dict().items() if key not in ('weight', 'bias')})
        return made.train(norm.training)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C) rows of the current grid, or (B, C, ...) with one row a sample; the same shape and type."""
        batch = self._prompts.batch
        first = next(iter(self.statistics.values()))
        over_ranks = first.training and isinstance(first, nn.SyncBatchNorm) and get_world_size() > 1
        names = batch.active(over_ranks)
        table = self.modulation(self.own(batch.matrix(names)))
        if len(names) == 1:
            return _normalise(self.statistics[names[0]], x, table[0], over_ranks)
        groups = batch.groups(x, names)
        return groups.join([_normalise(self.statistics[name], part, own, over_ranks)
                            for name, part, own in zip(names, groups.split(x), table)])

    @torch.no_grad()
    def add_domain(self, name: str, like: Sequence[str]) -> None:
        """Add a domain whose running statistics are those of ``like``: of an equal mixture where there are several."""
        given = [self.statistics[each] for each in like]
        first = given[0]
        own = type(first)(self.channels, first.eps, first.momentum, affine=False,
                          track_running_stats=first.track_running_stats)
        if first.running_mean is not None:
            own = own.to(first.running_mean)
        own.load_state_dict(mixed_statistics([each.state_dict() for each in given]))
        self.statistics[name] = own.train(self.training)

    @torch.no_grad()
    def fold(self, name: str) -> _BatchNorm:
        """The plain norm that is this one for rows of the domain ``name``."""
        statistics = self.statistics[name]
        plain = self.plain_type(self.channels, eps=statistics.eps, momentum=statistics.momentum,
                                track_running_stats=statistics.track_running_stats).to(self.modulation.bias)
        gamma, beta = self.modulation(self.own(self._prompts.vectors[name][None]))[0]
        plain.load_state_dict(dict(statistics.state_dict(), weight=gamma, bias=beta))
        return plain.train(self.training)

    def extra_repr(self) -> str:
        """Width."""
        return f'{self.channels}'


def _normalise(statistics: nn.Module, x: Tensor, modulation: Tensor, over_ranks: bool) -> Tensor:
    """Normalise the rows of one domain by ``statistics`` and modulate them by [gamma, beta] (2, C).

    Half precision is normalised in float32: by the kernel itself on a GPU, which sums up in it.
    """
    kind = x.dtype
    if not x.is_cuda and kind in (torch.float16, torch.bfloat16):
        x = x.float()
    gamma, beta = modulation
    if over_ranks:
        shape = (1, -1, *([1] * (x.dim() - 2)))
        return (statistics(x) * gamma.view(shape) + beta.view(shape)).to(kind)
    mean, var = statistics.running_mean, statistics.running_var
    train = statistics.training or mean is None
    if train and mean is not None and x.numel() < 2 * x.shape[1]:
        train = False
    momentum = 0.0
    if train and mean is not None:
        statistics.num_batches_tracked.add_(1)
        momentum = statistics.momentum
        if momentum is None:
            momentum = 1 / float(statistics.num_batches_tracked)
    return F.batch_norm(x, mean, var, gamma, beta, train, momentum, statistics.eps).to(kind)


def mixed_statistics(given: Sequence[Mapping[str, Tensor]]) -> Dict[str, Tensor]:
    """Running statistics of an equal mixture of domains, from those of each: the mean of the means; the mean of the
    variances and, added to it, the variance of the means; of the numbers of batches the largest. Those of one domain
    come out as they are; norms that keep none have empty ones."""
    if not given[0]:
        return {}
    stacked = {key: torch.stack([each[key] for each in given]) for key in given[0]}
    mixed = dict(running_mean=stacked['running_mean'].mean(0),
                 running_var=stacked['running_var'].mean(0) + stacked['running_mean'].var(0, unbiased=False))
    if 'num_batches_tracked' in stacked:
        mixed['num_batches_tracked'] = stacked['num_batches_tracked'].max()
    return mixed


def parameter_counts(model: nn.Module) -> Dict[str, int]:
    """Numbers of parameters: 'prompts', 'modulation' of the norms, 'other' and 'total'."""
    counts = dict(prompts=0, modulation=0, other=0)
    for name, parameter in model.named_parameters():
        part = 'prompts' if 'prompts.vectors.' in name else 'modulation' if '.modulation.' in name else 'other'
        counts[part] += parameter.numel()
    return dict(counts, total=sum(counts.values()))
