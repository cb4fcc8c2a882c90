"""Going on at iteration 100,000: the sampler moved, as ``ResumableCheckpointHook`` does it, beside mmengine's replay.

Timed is what stands between the loop's start and its first new batch: the loader's iterator, one ``next`` for every
iteration done, as ``IterBasedTrainLoop`` asks for them, and the batch. Samples cost nothing to read here, so replaying
real ones takes longer by their reading. ``RESUME_WORKERS=2`` gives the loader workers, ``RESUME_AT`` another iteration.
Takes ten seconds to start, because a registered module imports mmdet3d."""
from __future__ import annotations

import os
import sys
from typing import Any, List, Tuple

os.environ.setdefault('OMP_WAIT_POLICY', 'passive')

import harness  # noqa: E402
import torch  # noqa: E402
from mmengine.dataset import pseudo_collate  # noqa: E402
from mmengine.runner.loops import _InfiniteDataloaderIterator  # noqa: E402

import pretrain3d  # noqa: E402

pretrain3d.register_all()

from pretrain3d.datasets.samplers import SeededInfiniteSampler  # noqa: E402
from pretrain3d.engine.hooks.checkpoint_position import ResumedBatches  # noqa: E402

AT = int(os.environ.get('RESUME_AT', 100_000))  # both also of the processes that measure memory
WORKERS = int(os.environ.get('RESUME_WORKERS', 0))
SAMPLES, BATCH = 1201, 4
harness.WARM_UP = 1  # replaying takes from ten seconds (no workers) to minutes


class Free(torch.utils.data.Dataset):
    """As many samples as ScanNet has scans to train on, which are their own numbers."""

    def __len__(self) -> int:
        return SAMPLES

    def __getitem__(self, index: int) -> int:
        return int(index)


def setup(device: str, tiny: bool) -> Tuple[Tuple[Any, ...], str]:
    """A loader as a config's, and how many batches the run has had."""
    dataset = Free()
    loader = torch.utils.data.DataLoader(
        dataset, batch_size=BATCH, sampler=SeededInfiniteSampler(dataset, seed=0), num_workers=WORKERS,
        collate_fn=pseudo_collate)
    done = 10 if tiny else AT
    return (loader, done), f'iteration {done:,}, batches of {BATCH} samples that cost nothing, {WORKERS} workers'


def first_new(batches: Any, done: int) -> List[int]:
    """What the loop trains on first, after asking for every batch it has had once more."""
    for _ in range(done):
        next(batches)
    return list(next(batches))


def ours(loader: Any, done: int) -> List[int]:
    """The sampler moved."""
    return first_new(ResumedBatches(loader, done, lambda: None), done)


def baseline(loader: Any, done: int) -> List[int]:
    """Every batch loaded again."""
    return first_new(_InfiniteDataloaderIterator(loader), done)


def check(mine: List[int], theirs: List[int]) -> None:
    """The same samples come next."""
    assert mine == theirs, f'samples {mine} come next, not {theirs}'


if __name__ == '__main__':
    sys.exit(harness.main(ours, baseline, check, setup, 'Resume', __file__))
