import itertools
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch.utils.data import BatchSampler, ConcatDataset, DataLoader, Dataset

from pretrain3d.datasets import samplers
from pretrain3d.datasets.domain_sampler import DomainBatchSampler
from pretrain3d.datasets.domains import dataset_domain, domain_indices
from pretrain3d.datasets.samplers import SeededInfiniteSampler, SeededSampler
from pretrain3d.label_spaces import UnknownNameError

SIZES = dict(Structured3D=50, ScanNet=24, S3DIS=5)
RATIOS = dict(Structured3D=4, ScanNet=2, S3DIS=1)


class Part(Dataset):
    """Samples that tell their domain, their number and what they drew."""

    def __init__(self, domain, size):
        self.domain, self.size = domain, size
        self.pipeline = SimpleNamespace(transforms=[SimpleNamespace(), SimpleNamespace(domain=domain)])

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        return self.domain, index, float(np.random.rand()), torch.rand(1).item()


def joint(sizes=SIZES):
    return ConcatDataset([Part(name, size) for name, size in sizes.items()])


def make(batch_size=3, endless=False, rank=0, world_size=1, sizes=SIZES, ratios=RATIOS, seed=7, epoch=0, shuffle=True,
         monkeypatch=None, **kwargs):
    if monkeypatch is not None:
        monkeypatch.setattr(samplers, 'get_dist_info', lambda: (rank, world_size))
    sampler = (SeededInfiniteSampler if endless else SeededSampler)(joint(sizes), shuffle=shuffle, seed=seed)
    sampler.set_epoch(epoch)
    return DomainBatchSampler(sampler, batch_size, ratios, **kwargs)


def names(sampler, indices):
    """Domains of a batch."""
    limits = np.cumsum([len(part) for part in sampler.sampler.dataset.datasets])
    domains = [part.domain for part in sampler.sampler.dataset.datasets]
    return [domains[int(np.searchsorted(limits, index, side='right'))] for index in indices]


def plain(batches):
    return [[(int(index), index.key) for index in batch] for batch in batches]


def test_every_cycle_has_its_ratios_one_domain_a_batch():
    sampler = make(endless=True)
    batches = list(itertools.islice(sampler, 70))
    turns = [set(names(sampler, batch)) for batch in batches]
    assert all(len(turn) == 1 for turn in turns) and all(len(batch) == 3 for batch in batches)
    order = [next(iter(turn)) for turn in turns]
    assert order == (['Structured3D'] * 4 + ['ScanNet'] * 2 + ['S3DIS']) * 10
    assert [sampler.domain_of_turn(turn) for turn in range(70)] == order


@pytest.mark.parametrize('mode', ['single', 'mixed'])
def test_shuffled_cycles_differ_and_keep_the_ratios(mode):
    sampler = make(endless=True, mode=mode, order='shuffled')
    turns = [sampler.domain_of_turn(turn) for turn in range(7 * 20)]
    cycles = [tuple(turns[i:i + 7]) for i in range(0, 140, 7)]
    assert all(Counter(cycle) == RATIOS for cycle in cycles) and len(set(cycles)) > 10
    other = make(endless=True, mode=mode, order='shuffled', seed=8)
    assert [other.domain_of_turn(turn) for turn in range(140)] != turns
    drawn = [name for batch in itertools.islice(sampler, 20) for name in names(sampler, batch)]
    assert drawn == (turns[:60] if mode == 'mixed' else [name for name in turns[:20] for _ in range(3)])


def test_mixed_batches_are_spread():
    sampler = make(batch_size=7, endless=True, mode='mixed')
    for batch in itertools.islice(sampler, 5):
        assert names(sampler, batch) == [
            'Structured3D', 'ScanNet', 'Structured3D', 'S3DIS', 'Structured3D', 'ScanNet', 'Structured3D']


@pytest.mark.parametrize('mode', ['single', 'mixed'])
@pytest.mark.parametrize('endless', [True, False])
def test_every_domain_goes_through_all_of_its_samples_however_small(mode, endless):
    """S3DIS has five samples, fewer than its share; ScanNet has more than its share of one epoch."""
    sampler = make(endless=endless, mode=mode)
    drawn = {name: [] for name in RATIOS}
    for epoch in range(1 if endless else 12):
        sampler.sampler.set_epoch(epoch)
        for batch in itertools.islice(sampler, 600):
            for name, index in zip(names(sampler, batch), batch):
                drawn[name].append((int(index), index.key))
    for name, draws in drawn.items():
        assert len(draws) >= 3 * SIZES[name]
        passes = [[index for index, _ in draws[i:i + SIZES[name]]]
                  for i in range(0, len(draws) - SIZES[name] + 1, SIZES[name])]
        whole = sorted(domain_indices(sampler.sampler.dataset)[name])
        assert all(sorted(one) == whole for one in passes) and passes[0] != passes[1]
    keys = [key for draws in drawn.values() for _, key in draws]
    assert len(set(keys)) == len(keys), 'a seed was used twice'


def test_in_order_without_shuffle():
    sampler = make(endless=True, shuffle=False)
    assert [[int(index) for index in batch] for batch in itertools.islice(sampler, 8)] == [
        [0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11], [50, 51, 52], [53, 54, 55], [74, 75, 76], [12, 13, 14]]


@pytest.mark.parametrize('order', ['blocks', 'shuffled'])
def test_an_epoch_ends_with_the_main_domain(order):
    sampler = make(order=order)
    # 50 samples are 17 batches of 3: four cycles of seven turns, and one turn more.
    for epoch in (0, 5):
        sampler.sampler.set_epoch(epoch)
        turns = [names(sampler, batch)[0] for batch in sampler]
        assert len(turns) == len(sampler) == 29
        assert Counter(turns) == dict(Structured3D=17, ScanNet=8, S3DIS=4)
    main = make(order=order, main='S3DIS')
    assert Counter(names(main, batch)[0] for batch in main)['S3DIS'] == 2  # five samples, two batches of three
    assert len(make(order=order, main='ScanNet', batch_size=12)) == 7  # two batches are its share of one cycle


def test_an_epoch_of_mixed_batches_ends_with_the_main_domain():
    sampler = make(mode='mixed')
    counts = Counter(name for batch in sampler for name in names(sampler, batch))
    # The 50th of Structured3D is turn 12 * 7 + 3; whole batches of 3: 87 turns.
    assert len(sampler) == 29 and sum(counts.values()) == 87
    assert counts == dict(Structured3D=50, ScanNet=25, S3DIS=12)


@pytest.mark.parametrize('mode, order', [('single', 'blocks'), ('single', 'shuffled'), ('mixed', 'spread'),
                                         ('mixed', 'shuffled')])
@pytest.mark.parametrize('endless', [True, False])
@pytest.mark.parametrize('world_size', [2, 4])
def test_ranks_together_draw_what_one_does(monkeypatch, mode, order, endless, world_size):
    options = dict(endless=endless, mode=mode, order=order, monkeypatch=monkeypatch, epoch=2)
    wanted = plain(itertools.islice(make(batch_size=2 * world_size, **options), 40))
    ranks = [make(batch_size=2, rank=rank, world_size=world_size, **options) for rank in range(world_size)]
    found = [plain(itertools.islice(sampler, 40)) for sampler in ranks]
    assert len({len(sampler) for sampler in ranks}) == 1
    assert [len(part) for part in found] == [len(wanted)] * world_size
    for step, batch in enumerate(wanted):
        dealt = [found[place % world_size][step][place // world_size] for place in range(2 * world_size)]
        assert dealt == batch if mode == 'single' else sorted(dealt) == sorted(batch)
        if mode == 'single':  # the same domain on all ranks
            assert len({name for sampler, part in zip(ranks, found)
                        for name in names(sampler, [index for index, _ in part[step]])}) == 1


@pytest.mark.parametrize('ratios, world_size, batch_size', [
    (dict(Structured3D=1, S3DIS=1), 2, 2), (dict(Structured3D=1, ScanNet=1, S3DIS=1), 3, 1),
    (dict(Structured3D=2, ScanNet=1, S3DIS=1), 2, 1), (dict(Structured3D=2, ScanNet=1, S3DIS=1), 8, 3)])
@pytest.mark.parametrize('order', ['blocks', 'spread'])
def test_every_rank_meets_every_domain_in_mixed_batches(monkeypatch, ratios, world_size, batch_size, order):
    """Also where the cycle and the ranks are in step: norms of a rank that never sees a domain stay as they began."""
    sizes = {name: SIZES[name] for name in ratios}
    for rank in range(world_size):
        sampler = make(batch_size, True, rank, world_size, sizes, ratios, mode='mixed', order=order,
                       monkeypatch=monkeypatch)
        counts = Counter(name for batch in itertools.islice(sampler, 240 // batch_size)
                         for name in names(sampler, batch))
        assert sum(counts.values()) == 240
        for name, ratio in ratios.items():
            share = 240 * ratio / sum(ratios.values())
            assert 0.6 * share < counts[name] < 1.4 * share


@pytest.mark.parametrize('mode, order', [('single', 'blocks'), ('single', 'shuffled'), ('mixed', 'spread'),
                                         ('mixed', 'shuffled')])
@pytest.mark.parametrize('endless', [True, False])
@pytest.mark.parametrize('world_size', [1, 2])
def test_batches_can_be_entered_anywhere(monkeypatch, mode, order, endless, world_size):
    sampler = make(endless=endless, mode=mode, order=order, epoch=3, world_size=world_size, monkeypatch=monkeypatch)
    number = len(sampler)
    wanted = plain(itertools.islice(sampler, number))
    assert len(wanted) == number >= 14
    for start in (1, 7, 12, number - 1):
        assert plain(itertools.islice(sampler.batches(start), number - start)) == wanted[start:]
    if endless:  # in constant time
        assert len(plain(itertools.islice(sampler.batches(10 ** 9), 2))) == 2
    else:
        assert not list(sampler.batches(number))


def test_epochs_and_seeds_differ():
    wanted = plain(make())
    assert plain(make(epoch=1)) != wanted != plain(make(seed=8)) and plain(make()) == wanted
    sampler = make()
    sampler.sampler.seed = 8  # as a resumed run puts it back
    assert plain(sampler) == plain(make(seed=8))


@pytest.mark.parametrize('mode', ['single', 'mixed'])
def test_samples_do_not_depend_on_workers(mode):
    def read(workers):
        batch_sampler = make(mode=mode)
        loader = DataLoader(batch_sampler.sampler.dataset, batch_sampler=batch_sampler, num_workers=workers,
                            collate_fn=list)
        return list(loader)
    wanted = read(0)
    assert read(2) == wanted
    assert len({sample[2:] for batch in wanted for sample in batch}) == sum(map(len, wanted))


def test_one_domain_on_two_datasets():
    dataset = ConcatDataset([Part('A', 3), Part('B', 2), Part('A', 4)])
    assert {name: list(indices) for name, indices in domain_indices(dataset).items()} == dict(
        A=[0, 1, 2, 5, 6, 7, 8], B=[3, 4])
    sampler = DomainBatchSampler(SeededSampler(dataset, seed=1), 7, dict(A=1, B=1))
    assert sorted(next(iter(sampler))) == [0, 1, 2, 5, 6, 7, 8]
    wrapper = SimpleNamespace(dataset=Part('A', 3))
    assert dataset_domain(wrapper) == 'A'


def test_by_config_through_mmengine():
    with DefaultScope.overwrite_default_scope('mmdet3d'):
        loader = Runner.build_dataloader(dict(
            dataset=joint(), sampler=dict(type='SeededInfiniteSampler', shuffle=True), batch_size=3, num_workers=0,
            batch_sampler=dict(type='DomainBatchSampler', ratios=RATIOS)), seed=11)
    batch = next(iter(loader))
    assert list(batch[0]) == ['Structured3D'] * 3


def test_errors():
    with pytest.raises(TypeError, match='SeededInfiniteSampler.*not DefaultSampler'):
        DomainBatchSampler(DefaultSampler(joint()), 2, RATIOS)
    with pytest.raises(ValueError, match="mode is 'both'"):
        make(mode='both')
    with pytest.raises(ValueError, match="order is 'random'"):
        make(order='random')
    with pytest.raises(UnknownNameError, match="'Scannet'.*did you mean 'ScanNet'"):
        make(ratios=dict(RATIOS, Scannet=1))
    with pytest.raises(UnknownNameError, match="'KITTI'"):
        make(main='KITTI')
    with pytest.raises(ValueError, match=r"nothing of \['S3DIS'\]"):
        make(ratios=dict(Structured3D=4, ScanNet=2))
    for ratio in (0, 0.5, -1):
        with pytest.raises(ValueError, match='ratio of S3DIS'):
            make(ratios=dict(RATIOS, S3DIS=ratio))
    with pytest.raises(ValueError, match=r"\['S3DIS'\] have no sample"):
        make(sizes=dict(SIZES, S3DIS=0))
    silent = joint()
    silent.datasets[1].pipeline.transforms.pop()
    with pytest.raises(ValueError, match="Part .*PackPretrain3DInputs.*domain="):
        DomainBatchSampler(SeededSampler(silent, seed=1), 2, RATIOS)
    assert not isinstance(make(), BatchSampler)  # which would be moved by its sampler's draws
