"""Learnable prompts of every domain, and which domains the rows of the current batch belong to."""
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

import torch
from mmengine.dist import all_reduce
from spconv.pytorch import SparseConvTensor
from torch import Tensor, nn
from torch.autograd import Function

from pretrain3d.label_spaces import UnknownNameError
from pretrain3d.label_spaces.space import unknown

Domains = Union[str, Sequence[str]]


class _Permute(Function):
    """Rows in another order; backward puts the gradients back, where indexing would add them up."""

    @staticmethod
    def forward(ctx, rows: Tensor, order: Tensor, inverse: Tensor) -> Tensor:
        ctx.save_for_backward(order, inverse)
        return rows[order]

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple:
        order, inverse = ctx.saved_tensors
        return _Permute.apply(grad, inverse, order), None, None


@dataclass
class RowGroups:
    """Rows of one grid, by domain.

    Attributes:
        counts: rows of each domain.
        order: (N,) rows in the order of the domains; None: those of each domain lie together already, so that they
            can be taken without being copied.
        inverse: (N,) the way back.
        runs: the domains in the order in which their rows lie then; empty: in their own.
    """
    counts: List[int]
    order: Optional[Tensor]
    inverse: Optional[Tensor]
    runs: Sequence[int] = ()

    @classmethod
    def of(cls, domain: Tensor, num_domains: int) -> 'RowGroups':
        """Group rows by their domain (N,) int64. One synchronisation: the counts are python numbers."""
        if len(domain) == 0:
            return cls([0] * num_domains, None, None)
        row = torch.arange(len(domain), device=domain.device)
        own = domain == torch.arange(num_domains, device=domain.device)[:, None]
        starts = torch.where(own, row, len(domain)).amin(1)
        changes = (domain[1:] != domain[:-1]).sum()
        *summary, changes = torch.cat([own.sum(1), starts, changes[None]]).tolist()
        counts, starts = summary[:num_domains], summary[num_domains:]
        if changes < sum(count > 0 for count in counts):
            return cls(counts, None, None, sorted(range(num_domains), key=starts.__getitem__))
        order = domain.argsort(stable=True)
        inverse = torch.empty_like(order)
        inverse[order] = row
        return cls(counts, order, inverse)

    def split(self, rows: Tensor) -> Tuple[Tensor, ...]:
        """(N, ...) -> one (n_d, ...) for each domain."""
        rows = rows if self.order is None else _Permute.apply(rows, self.order, self.inverse)
        runs = self.runs or range(len(self.counts))
        parts = dict(zip(runs, rows.split([self.counts[domain] for domain in runs])))
        return tuple(parts[domain] for domain in range(len(self.counts)))

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """The inverse of :meth:`split`."""
        rows = torch.cat([parts[domain] for domain in self.runs or range(len(parts))])
        return rows if self.inverse is None else _Permute.apply(rows, self.inverse, self.order)


class DomainBatch:
    """The domains of one batch, and the rows of each on the grid that the network is at.

    Args:
        prompts: the prompts of the model.
        samples: the domain of each sample, or one name for all of them.
    """

    def __init__(self, prompts: 'DomainPrompts', samples: Domains) -> None:
        self.prompts = prompts
        self.samples = samples
        names = {samples} if isinstance(samples, str) else set(samples)
        for name in names:
            prompts.check(name)
        # In the order of the model's domains, whatever the order of the samples.
        self.present = tuple(name for name in prompts.names if name in names)
        self.reset()

    def reset(self) -> None:
        """Forget the grids and the graph of the forward pass before."""
        self.indices: Optional[Tensor] = None
        self._everywhere: Optional[Tuple[str, ...]] = None
        self._matrix: Dict[Tuple[str, ...], Tensor] = {}
        self._sample_domain: Dict[Tuple[str, ...], Tensor] = {}
        # The indices are kept with what was derived from them, or another tensor could get their id.
        self._groups: Dict[tuple, Tuple[Tensor, RowGroups]] = {}

    def active(self, over_ranks: bool) -> Tuple[str, ...]:
        """Domains of this batch, or of the batches of all ranks; then every rank has to ask."""
        if not over_ranks:
            return self.present
        if self._everywhere is None:
            mask = torch.tensor([name in self.present for name in self.prompts.names], dtype=torch.int64)
            all_reduce(mask, op='max')
            self._everywhere = tuple(name for name, there in zip(self.prompts.names, mask.tolist()) if there)
        return self._everywhere

    def matrix(self, names: Tuple[str, ...]) -> Tensor:
        """(len(names), channels) prompts, or (len(names), blocks, channels) where every block has its own. The prompts
        of all other domains hang in its graph as well, with a gradient of 0: distributed training waits for every
        parameter on every rank."""
        if names not in self._matrix:
            every = self.prompts.names
            table = torch.stack([self.prompts.vectors[name] for name in every])
            self._matrix[names] = table if names == every else table[[every.index(name) for name in names]]
        return self._matrix[names]

    def row_domain(self, batch_index: Tensor, names: Tuple[str, ...]) -> Tensor:
        """Position in ``names`` of the domain of each row (N,), from its sample (N,)."""
        if names not in self._sample_domain:
            samples = torch.tensor([names.index(name) for name in self.samples], dtype=torch.int64)
            self._sample_domain[names] = samples.to(batch_index.device)
        return self._sample_domain[names][batch_index.long()]

    def groups(self, x: Tensor, names: Tuple[str, ...]) -> RowGroups:
        """Groups of the rows of ``x``: (N, C) on the current grid, or (B, C, ...) with one row a sample.

        Raises:
            RuntimeError: ``x`` does not belong to the grid of the last sparse layer.
        """
        if isinstance(self.samples, str):
            return RowGroups([len(x) if name == self.samples else 0 for name in names], None, None)
        if x.dim() > 2:
            indices = None
            batch_index = torch.arange(len(self.samples), device=x.device)
        elif len(x) == 0:
            return RowGroups([0] * len(names), None, None)
        else:
            indices = self.indices
            batch_index = None if indices is None else indices[:, 0]
        if batch_index is None or len(batch_index) != len(x):
            raise RuntimeError(
                f'a norm got {len(x)} rows, but the last sparse layer before it has '
                f'{"not run" if batch_index is None else len(batch_index)}: in a batch of several domains the norms '
                'have to follow sparse layers of the model that `convert` was given')
        key = (id(indices), names)
        if key not in self._groups:
            self._groups[key] = (indices, RowGroups.of(self.row_domain(batch_index, names), len(names)))
        return self._groups[key][1]


class DomainPrompts(nn.Module):
    """One vector per domain, by name; shared by all adapters of a model, which ask it for the current batch.

    Args:
        names: the domains, e.g. ``('ScanNet', 'S3DIS')``.
        channels: length of a prompt. They start as N(0, 1).
        blocks: None: all adapters share the vector (channels,) of a domain. A number: each of so many blocks has its
            own, and a domain's parameter is (blocks, channels).
    """

    def __init__(self, names: Sequence[str], channels: int = 256, blocks: Optional[int] = None) -> None:
        super().__init__()
        if isinstance(names, str) or not names or len(set(names)) != len(names):
            raise ValueError(f'domains must be a list of different names, got {names!r}')
        self.channels = channels
        self.blocks = blocks
        self.vectors = nn.ParameterDict()
        for name in names:
            self.add(name, torch.randn(channels) if blocks is None else torch.randn(blocks, channels))
        self.handles: List = []  # of the hooks that follow the batch through the model
        self._batch: Optional[DomainBatch] = None
        self._outer: List[Optional[DomainBatch]] = []

    @property
    def names(self) -> Tuple[str, ...]:
        """The domains, in the order in which they were named."""
        return tuple(self.vectors.keys())

    def add(self, name: str, vector: Tensor) -> None:
        """Add a domain with its prompt, of the shape of the others. ValueError: it is there already, or cannot be a
        key."""
        if not isinstance(name, str) or not name or '.' in name or hasattr(nn.ModuleDict, name):
            raise ValueError(f'{name!r} cannot be the name of a domain: choose a word without dots, which is not a '
                             'method of ModuleDict')
        if name in self.vectors:
            raise ValueError(f'the domain {name!r} is there already; the model has {list(self.names)}')
        trained = all(each.requires_grad for each in self.vectors.values())
        self.vectors[name] = nn.Parameter(vector.detach().clone(), requires_grad=trained)

    def check(self, name: str) -> None:
        """UnknownNameError, which names the known ones, unless the model has this domain."""
        if name not in self.vectors:
            raise unknown('domain', name, self.names,
                          f'{", ".join(self.names)} (add_domain gives a model one more)')

    @property
    def batch(self) -> DomainBatch:
        """The current batch. UnknownNameError: nobody said which domain it is of, and the model has several."""
        if self._batch is not None:
            return self._batch
        if len(self.vectors) > 1:
            raise UnknownNameError(
                f'which domain is this batch of? The model has {", ".join(self.names)}. Give the sparse batch '
                "'domains' (one name per sample), or call the model inside `with model.prompts.use(names)`")
        return DomainBatch(self, self.names[0])

    @contextmanager
    def use(self, domains: Domains) -> Iterator[DomainBatch]:
        """Batches inside the ``with`` have these domains: one name per sample, or one for all samples."""
        before, self._batch = self._batch, DomainBatch(self, domains)
        try:
            yield self._batch
        finally:
            self._batch = before

    # Hooks: bound methods, so that they follow the module when a model is copied.

    def enter(self, module: nn.Module, args: tuple) -> None:
        """Before the model's forward: take ``domains`` of the sparse batch where it has them."""
        self._outer.append(self._batch)
        sparse = args[0] if args else None
        if isinstance(sparse, Mapping) and sparse.get('domains') is not None:
            domains = sparse['domains']
            size = int(sparse.get('batch_size', len(domains)))
            if not isinstance(domains, str) and len(domains) != size:
                raise ValueError(f'{len(domains)} domains for a batch of {size} samples: give one name per sample')
            self._batch = DomainBatch(self, domains)
        elif self._batch is None:
            self._batch = self.batch
        self._batch.reset()

    def leave(self, module: nn.Module, args: tuple, output: object) -> None:
        """After the model's forward, also a failed one."""
        if self._outer:
            batch, self._batch = self._batch, self._outer.pop()
            if batch is not None:
                batch.reset()

    def follow_input(self, module: nn.Module, args: tuple) -> None:
        """Remember the grid of the sparse tensor that a layer gets."""
        if args and isinstance(args[0], SparseConvTensor) and self._batch is not None:
            self._batch.indices = args[0].indices

    def follow_output(self, module: nn.Module, args: tuple, output: object) -> None:
        """Remember the grid of the sparse tensor that a layer returns."""
        if isinstance(output, SparseConvTensor) and self._batch is not None:
            self._batch.indices = output.indices


class PromptReader(nn.Module):
    """A layer that reads the prompts of its model; they are not a child of it.

    Args:
        prompts: the prompts of the model.
        block: which of the blocks the layer stands in, where each has a prompt of its own; else None. It is kept with
            the weights: they say by themselves which prompt a layer reads.
    """

    def __init__(self, prompts: DomainPrompts, block: Optional[int] = None) -> None:
        super().__init__()
        if (block is None) != (prompts.blocks is None):
            raise ValueError(f'the block of a layer is {block}, but the prompts are of {prompts.blocks or "no"} '
                             'blocks: both have to be given, or none')
        self.register_buffer('block', None if block is None else torch.tensor([block]))
        self.__dict__['_prompts'] = prompts  # past nn.Module, which would make it a child of every layer

    def own(self, prompts: Tensor) -> Tensor:
        """(D, channels), or those of this layer's block of (D, blocks, channels): (D, channels)."""
        return prompts if self.block is None else prompts.index_select(1, self.block).squeeze(1)
