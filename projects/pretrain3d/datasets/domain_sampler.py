"""Batches of several domains in given ratios, each draw with a seed of its own."""
import itertools
import math
from functools import lru_cache
from typing import Dict, Iterator, List, Mapping, Optional, Tuple

import numpy as np
from torch.utils.data import Sampler

from mmdet3d.registry import DATA_SAMPLERS
from pretrain3d.label_spaces.space import unknown

from .domains import domain_indices
from .samplers import _SeededBase
from .seeding import SeededIndex

# First words of keys, beside those of samplers.py.
_DOMAIN_ORDER, _DOMAIN_DRAW, _DOMAIN_TURNS, _DOMAIN_DEAL = 3, 4, 5, 6


@DATA_SAMPLERS.register_module()
class DomainBatchSampler(Sampler):
    """Batch sampler of a concatenation of datasets that takes turns between domains::

        sampler=dict(type='SeededSampler', shuffle=True),  # or SeededInfiniteSampler
        batch_sampler=dict(type='DomainBatchSampler', ratios=dict(Structured3D=4, ScanNet=2, S3DIS=1))

    A cycle of sum(ratios) turns gives each domain as many turns as its ratio. A turn is a batch of all ranks
    (``mode='single'``: one domain at a step, the same on every rank) or a single sample (``mode='mixed'``; the samples
    of a step are dealt to the ranks by chance, so that each rank meets every domain). A domain goes through its samples
    in a new order each time; one smaller than its share begins again, one larger goes on in the next epoch where it
    was.

    With ``SeededInfiniteSampler`` the turns never end. With ``SeededSampler`` an epoch ends with the turn in which the
    main domain has had all of its samples; every batch is full, the last one with the beginning of the next pass.

    Order and seeds follow from (run seed, domain, number of the draw), not from workers; W ranks together draw what one
    does whose batch is W times as large. A run goes on at any batch in constant time (:meth:`batches`).

    Args:
        sampler: The loader's sampler: its dataset, seed, shuffling and epoch are used, not its draws.
        batch_size (int): Samples of a batch of one rank.
        ratios (dict[str, int]): Domain -> turns in a cycle. The domains are those of the dataset (``domain`` of
            ``PackPretrain3DInputs``), each of them.
        mode (str): 'single' or 'mixed'. Defaults to 'single'.
        order (str, optional): 'blocks': r0 turns of the first domain, r1 of the second, ...; 'spread': each domain as
            evenly as can be; 'shuffled': each cycle in an order of its own. Defaults to None: 'blocks' of batches,
            'spread' of samples.
        main (str, optional): Domain that ends the epoch. Defaults to None: the first of ``ratios``.
    """

    def __init__(self, sampler: _SeededBase, batch_size: int, ratios: Mapping[str, int], mode: str = 'single',
                 order: Optional[str] = None, main: Optional[str] = None) -> None:
        if not isinstance(sampler, _SeededBase):
            raise TypeError(f'DomainBatchSampler stands on a sampler of type SeededSampler (epochs) or '
                            f'SeededInfiniteSampler (iterations), not {type(sampler).__name__}')
        if mode not in ('single', 'mixed'):
            raise ValueError(f"mode is {mode!r}; it must be 'single' or 'mixed'")
        order = order or ('blocks' if mode == 'single' else 'spread')
        if order not in ('blocks', 'spread', 'shuffled'):
            raise ValueError(f"order is {order!r}; it must be 'blocks', 'spread' or 'shuffled'")
        self.sampler = sampler
        self.batch_size = int(batch_size)
        self.mode, self.order_of_turns = mode, order
        self.indices = domain_indices(sampler.dataset)
        self.ratios = _check_ratios(ratios, self.indices)
        self.domains = tuple(self.ratios)
        self.main = self.domains[0] if main is None else main
        if self.main not in self.ratios:
            raise unknown('domain', self.main, self.domains, f'the ratios of {", ".join(self.domains)}')
        # Keys hold the place of a domain in the dataset, whatever the order of the ratios.
        self._place = {name: place for place, name in enumerate(self.indices)}
        blocks = [place for place, name in enumerate(self.domains) for _ in range(self.ratios[name])]
        self._cycle = np.array(_spread(blocks) if order == 'spread' else blocks)
        self._permutation = lru_cache(maxsize=2 * len(self.domains))(self._draw_permutation)

    @property
    def plan(self) -> Dict[str, object]:
        """What fixes the order of the batches beside the sampler's seed; checkpoints keep it."""
        return dict(ratios=dict(self.ratios), mode=self.mode, order=self.order_of_turns, main=self.main)

    def __len__(self) -> int:
        """Batches of this rank in an epoch, as if there were epochs where there are none."""
        return self._turns // (1 if self.mode == 'single' else self._global_batch)

    def __iter__(self) -> Iterator[List[SeededIndex]]:
        return self.batches()

    def batches(self, start: int = 0) -> Iterator[List[SeededIndex]]:
        """This rank's batches, of the current epoch or without end, leaving out the first ``start`` of them."""
        epoch = self.sampler.epoch if self._finite else 0
        whole = range(start, len(self)) if self._finite else itertools.count(start)
        for batch in whole:
            if self.mode == 'single':
                turns = [batch] * self.batch_size
                lanes = range(self.sampler.rank, self._global_batch, self.sampler.world_size)
            else:
                turns, lanes = self._dealt(epoch, batch), [0] * self.batch_size
            yield [self._draw(epoch, turn, lane) for turn, lane in zip(turns, lanes)]

    def domain_of_turn(self, turn: int, epoch: int = 0) -> str:
        """Domain of a turn of an epoch."""
        cycle, place = divmod(turn, len(self._cycle))
        return self.domains[self._turns_of_cycle(cycle, epoch)[place]]

    def _dealt(self, epoch: int, batch: int) -> List[int]:
        """Turns of a mixed batch that this rank has, in order: by chance, as many as the others.

        Dealt one by one, or in blocks, turns go in step with the cycle: of two domains 1:1, a rank of two would have
        the same one for ever, and norms that do not synchronise would never see the other.
        """
        places = np.arange(self._global_batch)
        if self.sampler.world_size > 1:
            key = (_DOMAIN_DEAL, self.sampler.seed, epoch, batch)
            places = np.random.default_rng(np.random.SeedSequence(key)).permutation(places)
        own = np.sort(places[self.sampler.rank::self.sampler.world_size])
        return (batch * self._global_batch + own).tolist()

    # How long an epoch is

    @property
    def _finite(self) -> bool:
        # An endless sampler has no number of samples of its own.
        return hasattr(self.sampler, 'num_samples')

    @property
    def _global_batch(self) -> int:
        return self.batch_size * self.sampler.world_size

    @property
    def _draws_of_turn(self) -> int:
        return self._global_batch if self.mode == 'single' else 1

    @property
    def _turns(self) -> int:
        """Turns of an epoch: whole batches, no fewer than the main domain needs."""
        needed = math.ceil(len(self.indices[self.main]) / self._draws_of_turn)
        cycles, rest = divmod(needed, self.ratios[self.main])
        turns = cycles * len(self._cycle)
        if rest:
            turns += int(np.flatnonzero(self._cycle == self.domains.index(self.main))[rest - 1]) + 1
        return turns if self.mode == 'single' else math.ceil(turns / self._global_batch) * self._global_batch

    # What a turn draws

    def _turns_of_cycle(self, cycle: int, epoch: int) -> np.ndarray:
        """Places in ``domains`` of the turns of a cycle; the last one of an epoch may be cut short."""
        turns = self._cycle
        if self._finite:
            turns = turns[:max(0, self._turns - cycle * len(turns))]
        if self.order_of_turns == 'shuffled':
            key = (_DOMAIN_TURNS, self.sampler.seed, epoch, cycle)
            turns = np.random.default_rng(np.random.SeedSequence(key)).permutation(turns)
        return turns

    def _draw(self, epoch: int, turn: int, lane: int) -> SeededIndex:
        """The draw ``lane`` of a turn."""
        cycle, place = divmod(turn, len(self._cycle))
        turns = self._turns_of_cycle(cycle, epoch)
        domain = turns[place]
        before = cycle * self.ratios[self.domains[domain]] + int((turns[:place] == domain).sum())
        if epoch:
            whole, rest = divmod(self._turns, len(self._cycle))
            before += epoch * (whole * self.ratios[self.domains[domain]] + int((self._cycle[:rest] == domain).sum()))
        number = before * self._draws_of_turn + lane
        name = self.domains[domain]
        members = self.indices[name]
        turn_of_domain, entry = divmod(number, len(members))
        if self.sampler.shuffle:
            entry = self._permutation(self.sampler.seed, name, turn_of_domain)[entry]
        index = int(members[entry])
        return SeededIndex(index, (_DOMAIN_DRAW, self.sampler.seed, self._place[name], number, index))

    def _draw_permutation(self, seed: int, name: str, turn: int) -> np.ndarray:
        """Order in which a domain goes through its samples for the ``turn``-th time."""
        key = (_DOMAIN_ORDER, seed, self._place[name], turn)
        return np.random.default_rng(np.random.SeedSequence(key)).permutation(len(self.indices[name]))


def _check_ratios(ratios: Mapping[str, int], indices: Mapping[str, np.ndarray]) -> Dict[str, int]:
    """Ratios, of exactly the domains that the dataset has."""
    for name, ratio in ratios.items():
        if name not in indices:
            raise unknown('domain', name, indices, f'{", ".join(indices)} (those of the datasets)')
        if ratio != int(ratio) or ratio < 1:
            raise ValueError(f'the ratio of {name} is {ratio}; it must be a whole number of turns, at least 1')
    missing = [name for name in indices if name not in ratios]
    if missing:
        raise ValueError(f'ratios={dict(ratios)} say nothing of {missing}: give these a ratio, or leave their datasets '
                         'out')
    empty = [name for name in ratios if not len(indices[name])]
    if empty:
        raise ValueError(f'the datasets of {empty} have no sample: check their ann_file and indices')
    return {name: int(ratio) for name, ratio in ratios.items()}


def _spread(blocks: List[int]) -> List[int]:
    """Turns of a cycle such that those of each domain lie as evenly as can be: the i-th of r at (i + 1/2) / r."""
    counts = np.bincount(blocks)
    at: List[Tuple[float, int]] = [((i + 0.5) / count, place) for place, count in enumerate(counts)
                                   for i in range(count)]
    return [place for _, place in sorted(at)]
