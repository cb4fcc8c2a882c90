"""Adapters that add something of the prompt to the features: direct injection and cross attention."""
from typing import Optional

import torch
from spconv.pytorch import SparseConvTensor
from torch import Tensor, nn

from .domains import DomainPrompts, PromptReader

# Attribute by which a block or stage knows its adapter; no child, which a sequential container would run as a layer.
ADAPTER = 'prompt_adapter'


class ZeroLinear(nn.Module):
    """Linear map that starts as 0; not an ``nn.Linear``, so that a model's initialiser of those leaves it alone.

    Args:
        in_channels, out_channels: widths.
        zero_init: False: weights start as a normal of deviation 0.02.
    """

    def __init__(self, in_channels: int, out_channels: int, zero_init: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(out_channels, in_channels))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        if not zero_init:
            nn.init.trunc_normal_(self.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels) -> (N, out_channels)."""
        return nn.functional.linear(x, self.weight, self.bias)


class Adapter(PromptReader):
    """Changes the features of a sparse tensor before a block or a stage; child ``adapter`` of that module.

    Args:
        prompts, block: as of :class:`PromptReader`.
    """

    def before(self, module: nn.Module, args: tuple) -> tuple:
        """Hook: the arguments of ``module``, the sparse tensor adapted."""
        return (self(args[0]), *args[1:])

    def forward(self, x: SparseConvTensor) -> SparseConvTensor:
        """The sparse tensor with adapted features."""
        batch = self._prompts.batch
        names = batch.active(False)
        domain = None if len(names) == 1 else batch.row_domain(x.indices[:, 0], names)
        added = self.add(x.features, self.own(batch.matrix(names)), domain)
        return x.replace_feature(x.features + added.to(x.features.dtype))

    def add(self, features: Tensor, prompts: Tensor, domain: Optional[Tensor]) -> Tensor:
        """What to add to (N, C) features: broadcastable to them.

        Args:
            features: (N, C).
            prompts: (D, prompt channels) of the domains of the batch.
            domain: (N,) in [0, D), the domain of each row; None: all rows are of the only one.
        """
        raise NotImplementedError


class DirectInjection(Adapter):
    """x + W c_d + b at the start of every residual block; W and b start as 0.

    Args:
        channels: channels of x.
        prompts: the prompts of the model.
        zero_init: whether W starts as 0.
        block: as of :class:`PromptReader`.
    """

    def __init__(self, channels: int, prompts: DomainPrompts, zero_init: bool = True,
                 block: Optional[int] = None) -> None:
        super().__init__(prompts, block)
        self.projection = ZeroLinear(prompts.channels, channels, zero_init)

    def add(self, features: Tensor, prompts: Tensor, domain: Optional[Tensor]) -> Tensor:
        """See :class:`Adapter`."""
        table = self.projection(prompts)
        return table if domain is None else table[domain]


class CrossAttention(Adapter):
    """x + W softmax(Q K^T / sqrt(d)) V at the start of every stage: queries from the rows, keys and values from the
    prompt of their domain, cut into tokens of equal length; W starts as 0. The paper names neither the number of
    tokens and heads nor the width: here one head.

    Args:
        channels: channels of x.
        prompts: the prompts of the model.
        tokens: number of tokens a prompt is cut into.
        width: d.
        zero_init: whether W starts as 0.
        block: as of :class:`PromptReader`.
    """

    def __init__(self, channels: int, prompts: DomainPrompts, zero_init: bool = True, tokens: int = 4,
                 width: int = 64, block: Optional[int] = None) -> None:
        super().__init__(prompts, block)
        if prompts.channels % tokens:
            raise ValueError(f'a prompt of {prompts.channels} channels cannot be cut into {tokens} equal tokens')
        self.tokens = tokens
        self.query = nn.Linear(channels, width)
        self.key = nn.Linear(prompts.channels // tokens, width)
        self.value = nn.Linear(prompts.channels // tokens, width)
        self.projection = ZeroLinear(width, channels, zero_init)

    def add(self, features: Tensor, prompts: Tensor, domain: Optional[Tensor]) -> Tensor:
        """See :class:`Adapter`. Scores against the tokens of all domains of the batch, those of others masked."""
        tokens = prompts.reshape(len(prompts) * self.tokens, -1)
        query, key = self.query(features), self.key(tokens)
        scores = (query @ key.T).float() * query.shape[1]**-0.5
        if domain is not None:
            owner = torch.arange(len(prompts), device=domain.device).repeat_interleave(self.tokens)
            scores = scores.masked_fill(domain[:, None] != owner, float('-inf'))
        value = self.value(tokens)
        return self.projection(scores.softmax(1).to(value.dtype) @ value)
