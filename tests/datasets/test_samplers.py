import random
from functools import partial

import numpy as np
import pytest
import torch
from mmengine.dataset import BaseDataset, ConcatDataset, RepeatDataset
from mmengine.dataset.utils import worker_init_fn
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmdet3d.registry import DATA_SAMPLERS
from pretrain3d.datasets import samplers
from pretrain3d.datasets.samplers import SeededInfiniteSampler, SeededSampler


class Noise(BaseDataset):
    """Ten samples whose augmentation draws from all three generators."""

    def __init__(self):
        super().__init__(serialize_data=False)  # serialising collects garbage, which is slow in a large process

    def load_data_list(self):
        return [dict(number=i) for i in range(10)]

    def prepare_data(self, index):
        number = self.get_data_info(index)['number']
        return number, random.random(), np.random.rand(), torch.rand(1).item()


def on_rank(monkeypatch, rank, world_size):
    monkeypatch.setattr(samplers, 'get_dist_info', lambda: (rank, world_size))


def read(dataset, workers=0, batch_size=3, epoch=0, seed=5, **kwargs):
    sampler = SeededSampler(dataset, seed=seed, **kwargs)
    sampler.set_epoch(epoch)
    init = partial(worker_init_fn, num_workers=workers, rank=0, seed=1) if workers else None
    loader = DataLoader(dataset, batch_size=batch_size, sampler=sampler, num_workers=workers, worker_init_fn=init,
                        collate_fn=list)
    return [sample for batch in loader for sample in batch]


def test_samples_depend_neither_on_workers_nor_on_batch_size():
    expected = read(Noise())
    assert sorted(sample[0] for sample in expected) == list(range(10))
    assert len({sample[1:] for sample in expected}) == 10
    for workers, batch_size in [(0, 1), (1, 4), (2, 3)]:
        assert read(Noise(), workers, batch_size) == expected


@pytest.mark.parametrize('wrap', [
    lambda: ConcatDataset([Noise(), Noise()]), lambda: RepeatDataset(Noise(), 2)])
def test_wrappers_are_seeded_and_repeats_differ(wrap):
    expected = read(wrap())
    assert read(wrap(), workers=2) == expected
    assert len({sample[1:] for sample in expected}) == 20


def test_epochs_differ_and_can_be_started_at_directly():
    dataset = Noise()
    first = [read(dataset, epoch=epoch) for epoch in range(3)]
    assert first[0] != first[1] != first[2] and [s[0] for s in first[0]] != [s[0] for s in first[1]]
    assert read(Noise(), epoch=2) == first[2]
    assert read(dataset, epoch=2, seed=6) != first[2]


def test_in_order_without_shuffle_but_seeded():
    one, two = (read(Noise(), shuffle=False, epoch=epoch) for epoch in (0, 1))
    assert [s[0] for s in one] == [s[0] for s in two] == list(range(10))
    assert all(a[1:] != b[1:] for a, b in zip(one, two))


@pytest.mark.parametrize('round_up, lengths', [(True, (4, 4, 4)), (False, (4, 3, 3))])
def test_three_ranks_draw_what_one_does(monkeypatch, round_up, lengths):
    expected = read(Noise(), round_up=round_up)
    parts = []
    for rank in range(3):
        on_rank(monkeypatch, rank, 3)
        parts.append(read(Noise(), round_up=round_up))
        assert len(parts[-1]) == len(SeededSampler(Noise(), seed=5, round_up=round_up)) == lengths[rank]
    dealt = [parts[place % 3][place // 3] for place in range(sum(lengths))]
    assert dealt[:10] == expected
    for repeated, original in zip(dealt[10:], dealt):  # the same sample under a seed of its own
        assert repeated[0] == original[0] and repeated[1:] != original[1:]


def test_the_process_keeps_its_own_generator():
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    loader = DataLoader(Noise(), sampler=SeededSampler(dataset := Noise(), seed=1), collate_fn=list)
    loader = DataLoader(dataset, sampler=loader.sampler, collate_fn=list,
                        generator=torch.Generator().manual_seed(0))
    assert len(list(loader)) == 10
    assert torch.equal(torch.rand(3), expected)


def take(sampler, count, start=0):
    draws = sampler.draws(start)
    return [(int(index), index.key) for index, _ in zip(draws, range(count))]


def test_endless_draws_go_through_every_pass_and_can_be_entered_anywhere():
    sampler = SeededInfiniteSampler(Noise(), seed=2)
    draws = take(sampler, 30)
    for turn in range(3):
        assert sorted(index for index, _ in draws[10 * turn:10 * turn + 10]) == list(range(10))
    assert len({key for _, key in draws}) == 30
    assert [i for i, _ in draws[:10]] != [i for i, _ in draws[10:20]]
    assert take(sampler, 13, start=17) == draws[17:]
    assert len(sampler) == 10
    assert [int(i) for i, _ in zip(SeededInfiniteSampler(Noise(), shuffle=False, seed=2), range(12))] == [
        *range(10), 0, 1]


def test_endless_draws_of_two_ranks_are_those_of_one(monkeypatch):
    expected = take(SeededInfiniteSampler(Noise(), seed=2), 24)
    parts = []
    for rank in range(2):
        on_rank(monkeypatch, rank, 2)
        parts.append(take(SeededInfiniteSampler(Noise(), seed=2), 12))
    assert [parts[place % 2][place // 2] for place in range(24)] == expected


def test_finite_draws_can_be_entered_anywhere():
    sampler = SeededSampler(Noise(), seed=2)
    draws = take(sampler, 10)
    assert take(sampler, 10, start=4) == draws[4:]


def test_by_config_through_mmengine():
    def batch(workers):
        with DefaultScope.overwrite_default_scope('mmdet3d'):  # as mmdet3d's default_runtime.py sets it
            loader = Runner.build_dataloader(dict(
                dataset=Noise(), sampler=dict(type='SeededSampler', shuffle=True), batch_size=2, num_workers=workers),
                seed=11)
        return next(iter(loader))
    assert batch(0) == batch(1)
    assert DATA_SAMPLERS.get('SeededInfiniteSampler') is SeededInfiniteSampler


def test_errors():
    class Empty(Noise):
        def __len__(self):
            return 0
    with pytest.raises(ValueError, match='ann_file'):
        SeededSampler(Empty())
    with pytest.raises(ValueError, match='randomness.seed'):
        SeededSampler(Noise(), seed=-1)
