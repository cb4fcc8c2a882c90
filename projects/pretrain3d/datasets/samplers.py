"""Samplers whose every draw has its own seed.

Use them by config alone: ``sampler=dict(type='SeededSampler', shuffle=True)``. What a sample looks like then depends
neither on the number of workers, nor on prefetching, nor on the batch size, nor on how the draws are dealt to ranks.
"""
import math
from typing import Iterator, Optional, Sized

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from mmdet3d.registry import DATA_SAMPLERS

from .seeding import SeededIndex, install_seeding

# First word of every key: what a seed is used for, so that no two uses share a stream.
_ORDER, _EPOCH_DRAW, _ENDLESS_DRAW = 0, 1, 2


class _SeededBase(Sampler):
    """Common to both samplers: rank, seed, and the order of one pass over the dataset."""

    def __init__(self, dataset: Sized, shuffle: bool = True, seed: Optional[int] = None) -> None:
        if len(dataset) == 0:
            raise ValueError(f'{type(dataset).__name__} has no sample to draw: check its ann_file, indices and '
                             'filter_empty_gt')
        self.rank, self.world_size = get_dist_info()
        self.dataset = dataset
        self.shuffle = shuffle
        self.seed = int(sync_random_seed() if seed is None else seed)
        if self.seed < 0:
            raise ValueError(f'randomness.seed is {self.seed}; a counter-based seed must not be negative')
        self.epoch = 0
        install_seeding(dataset)

    def order(self, turn: int) -> np.ndarray:
        """Indices of pass ``turn`` over the whole dataset (len(dataset),), the same on every rank."""
        size = len(self.dataset)
        if not self.shuffle:
            return np.arange(size)
        return np.random.default_rng(np.random.SeedSequence((_ORDER, self.seed, turn))).permutation(size)


@DATA_SAMPLERS.register_module()
class SeededSampler(_SeededBase):
    """Finite sampler for epoch-based loops, mmengine's ``DefaultSampler`` with one seed per draw.

    The key of a draw is (run seed, epoch, place in the epoch, index). Places are counted over all ranks, so two ranks
    together draw the same samples as one.

    Args:
        dataset (Sized): The dataset; it is prepared by :func:`~.seeding.install_seeding`.
        shuffle (bool): Whether to draw in a new order every epoch. Defaults to True.
        seed (int, optional): Run seed, equal on all ranks. Defaults to None: one is agreed on between ranks.
        round_up (bool): Whether to repeat samples so that every rank draws equally many. A repeated sample has
            another place, hence another seed. Defaults to True.
    """

    def __init__(self, dataset: Sized, shuffle: bool = True, seed: Optional[int] = None,
                 round_up: bool = True) -> None:
        super().__init__(dataset, shuffle, seed)
        self.round_up = round_up
        size = len(dataset)
        if round_up:
            self.num_samples = math.ceil(size / self.world_size)
            self.total_size = self.num_samples * self.world_size
        else:
            self.num_samples = math.ceil((size - self.rank) / self.world_size)
            self.total_size = size

    def draws(self, start: int = 0) -> Iterator[SeededIndex]:
        """This rank's draws of the current epoch, leaving out the first ``start`` of them."""
        order, epoch = self.order(self.epoch), self.epoch
        for place in range(self.rank + start * self.world_size, self.total_size, self.world_size):
            index = int(order[place % len(order)])
            yield SeededIndex(index, (_EPOCH_DRAW, self.seed, epoch, place, index))

    def __iter__(self) -> Iterator[SeededIndex]:
        return self.draws()

    def __len__(self) -> int:
        """Draws of this rank in one epoch."""
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch to draw next; mmengine's ``DistSamplerSeedHook`` calls it."""
        self.epoch = int(epoch)


@DATA_SAMPLERS.register_module()
class SeededInfiniteSampler(_SeededBase):
    """Endless sampler for iteration-based loops, mmengine's ``InfiniteSampler`` with one seed per draw.

    Draw t of all ranks together takes entry ``t % len(dataset)`` of pass ``t // len(dataset)``; its key is
    (run seed, t, index). Every ``iter()`` starts at draw 0, so a run that replays its loader sees the same samples.

    Args:
        dataset (Sized): The dataset; it is prepared by :func:`~.seeding.install_seeding`.
        shuffle (bool): Whether each pass has an order of its own. Defaults to True.
        seed (int, optional): Run seed, equal on all ranks. Defaults to None: one is agreed on between ranks.
    """

    def draws(self, start: int = 0) -> Iterator[SeededIndex]:
        """This rank's endless draws, leaving out the first ``start`` of them (in constant time)."""
        size, turn, order = len(self.dataset), -1, np.empty(0)
        draw = self.rank + start * self.world_size
        while True:
            if draw // size != turn:
                turn = draw // size
                order = self.order(turn)
            index = int(order[draw % size])
            yield SeededIndex(index, (_ENDLESS_DRAW, self.seed, draw, index))
            draw += self.world_size

    def __iter__(self) -> Iterator[SeededIndex]:
        return self.draws()

    def __len__(self) -> int:
        """Length of the dataset, as mmengine's endless sampler reports it."""
        return len(self.dataset)

    def set_epoch(self, epoch: int) -> None:
        """Nothing to choose: draws are counted over the whole run."""
