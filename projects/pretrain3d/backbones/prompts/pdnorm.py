"""Batch norm per domain, scaled and shifted by linear maps of the domain's prompt."""
from typing import Dict, Optional, Sequence, Type

import torch
import torch.nn.functional as F
from mmengine.dist import get_world_size
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .domains import DomainPrompts


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


class PDNorm(nn.Module):
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
    """

    def __init__(self, channels: int, prompts: DomainPrompts, eps: float = 1e-5, momentum: Optional[float] = 0.1,
                 track_running_stats: bool = True, zero_init: bool = True,
                 plain_type: Type[nn.Module] = nn.BatchNorm1d) -> None:
        super().__init__()
        self.channels = channels
        self.plain_type = plain_type
        # SyncBatchNorm is also what norms become that synchronise in their own way (mmdet3d's naiveSyncBN).
        kind = nn.SyncBatchNorm if 'sync' in plain_type.__name__.lower() else nn.BatchNorm1d
        self.statistics = nn.ModuleDict({
            name: kind(channels, eps, momentum, affine=False, track_running_stats=track_running_stats)
            for name in prompts.names})
        self.modulation = Modulation(prompts.channels, channels, zero_init)
        self.__dict__['_prompts'] = prompts  # past nn.Module, which would make it a child of every norm

    @classmethod
    def of(cls, norm: _BatchNorm, prompts: DomainPrompts, zero_init: bool = True) -> 'PDNorm':
        """The PDNorm that starts, in every domain, as ``norm``: its gamma and beta become the bias of the modulation,
        its running statistics those of every domain. Exactly so with ``zero_init``."""
        made = cls(norm.num_features, prompts, norm.eps, norm.momentum, norm.track_running_stats, zero_init, type(norm))
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
        table = self.modulation(batch.matrix(names))
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
            means = torch.stack([each.running_mean for each in given])
            own.running_mean.copy_(means.mean(0))
            variances = torch.stack([each.running_var for each in given])
            own.running_var.copy_(variances.mean(0) + means.var(0, unbiased=False))
            own.num_batches_tracked.copy_(torch.stack([each.num_batches_tracked for each in given]).max())
        self.statistics[name] = own.train(self.training)

    @torch.no_grad()
    def fold(self, name: str) -> _BatchNorm:
        """The plain norm that is this one for rows of the domain ``name``."""
        statistics = self.statistics[name]
        plain = self.plain_type(self.channels, eps=statistics.eps, momentum=statistics.momentum,
                                track_running_stats=statistics.track_running_stats).to(self.modulation.bias)
        gamma, beta = self.modulation(self._prompts.vectors[name][None])[0]
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


def parameter_counts(model: nn.Module) -> Dict[str, int]:
    """Numbers of parameters: 'prompts', 'modulation' of the norms, 'other' and 'total'."""
    counts = dict(prompts=0, modulation=0, other=0)
    for name, parameter in model.named_parameters():
        part = 'prompts' if 'prompts.vectors.' in name else 'modulation' if '.modulation.' in name else 'other'
        counts[part] += parameter.numel()
    return dict(counts, total=sum(counts.values()))
