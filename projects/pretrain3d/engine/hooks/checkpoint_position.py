"""Data loaders that go on in the middle: the batches that a run has consumed are left out, none of them is loaded.

mmengine's loops know two ways to resume: to load and throw away every batch so far (iterations), or to begin the epoch
again (epochs). Here the sampler is moved instead. The samplers of ``datasets.samplers`` take constant time for that,
mmengine's own draw their indices again, which is milliseconds.
"""
import copy
import itertools
from typing import Any, Callable, Dict, Iterator, List, Optional

from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.runner.loops import EpochBasedTrainLoop, _InfiniteDataloaderIterator
from torch.utils.data import BatchSampler, DataLoader, SequentialSampler

from pretrain3d.datasets.samplers import SeededInfiniteSampler, SeededSampler

ENDLESS = (SeededInfiniteSampler, InfiniteSampler)
SEEDED = (SeededInfiniteSampler, SeededSampler)
# Their order follows from a seed of their own, so that it can be drawn again.
KNOWN = SEEDED + (DefaultSampler, InfiniteSampler, SequentialSampler)


def sampler_of(loader: DataLoader) -> Any:
    """The sampler of indices, inside the batch sampler where there is one."""
    return getattr(loader.batch_sampler, 'sampler', loader.sampler)


def sampler_state(loader: DataLoader) -> Dict[str, Any]:
    """What fixes the order of a loader's batches, beside how many have been consumed."""
    sampler = sampler_of(loader)
    return dict(type=type(sampler).__name__, seed=getattr(sampler, 'seed', None), samples=len(loader.dataset),
                batch_size=loader.batch_size or getattr(loader.batch_sampler, 'batch_size', None),
                plan=getattr(loader.batch_sampler, 'plan', None))


def restore_sampler(loader: DataLoader, state: Dict[str, Any]) -> List[str]:
    """Give the sampler the seed that it had, and return how the loader differs from the one that was saved.

    A run without ``randomness.seed`` draws another seed each time it is started; mmengine takes it back from the
    checkpoint only after the samplers are built.
    """
    sampler = sampler_of(loader)
    if state['seed'] is not None and hasattr(sampler, 'seed'):
        sampler.seed = state['seed']
    now = sampler_state(loader)
    return [f'{key} was {state[key]} and is {now[key]}' for key in state if state[key] != now[key]]


def doubts(loader: DataLoader, mid_pass: bool) -> List[str]:
    """Why the batches after a resume may not be those of an undisturbed run, as lines for a person."""
    sampler = sampler_of(loader)
    found = []
    if not isinstance(sampler, KNOWN):
        found.append(f'the order that {type(sampler).__name__} draws cannot be set to a position')
    if mid_pass and loader.num_workers and not isinstance(sampler, SEEDED):
        found.append("what workers draw for augmentation goes on elsewhere: their generators die with them; "
                     'SeededSampler and SeededInfiniteSampler give every sample its own seed')
    return found


def _batches_from(batch_sampler: Any, start: int) -> Iterator[Any]:
    """Batches of indices without the first ``start``."""
    sampler = getattr(batch_sampler, 'sampler', None)
    if isinstance(sampler, InfiniteSampler):  # it is one endless iterator, which others have begun to draw from
        sampler.indices = sampler._indices_of_rank()
    if hasattr(batch_sampler, 'batches'):  # it counts its batches itself (DomainBatchSampler)
        batches = batch_sampler.batches(start)
    elif type(batch_sampler) is BatchSampler and isinstance(sampler, SEEDED):
        moved = copy.copy(batch_sampler)
        moved.sampler = sampler.draws(start * batch_sampler.batch_size)
        batches = iter(moved)
    else:
        batches = itertools.islice(iter(batch_sampler), start, None)
    # The first one now: samplers read their epoch when they are first asked, and hooks change it until then.
    first = list(itertools.islice(batches, 1))
    return itertools.chain(first, batches)


class _Moved:
    """Stands for a batch sampler: passes begin at ``start``, later ones (of persistent workers) are whole."""

    def __init__(self, batch_sampler: Any, start: int) -> None:
        self.batch_sampler = batch_sampler
        self.start: Optional[int] = start

    def __iter__(self) -> Iterator[Any]:
        return iter(self.batch_sampler) if self.start is None else _batches_from(self.batch_sampler, self.start)

    def __len__(self) -> int:
        return len(self.batch_sampler)


def iterate_from(loader: DataLoader, start: int) -> Iterator[Any]:
    """``iter(loader)`` without its first ``start`` batches."""
    name = 'batch_sampler' if loader.batch_sampler is not None else 'sampler'
    whole = loader.__dict__[name]
    loader._iterator = None  # persistent workers that have begun elsewhere
    loader.__dict__[name] = moved = _Moved(whole, start)  # torch guards these attributes against assignment
    try:
        return iter(loader)  # it asks for one pass, or for two, and forgets the first
    finally:
        loader.__dict__[name], moved.start = whole, None


class ResumedBatches(_InfiniteDataloaderIterator):
    """What ``IterBasedTrainLoop`` draws from after a resume.

    The loop asks for every consumed batch once more and throws it away; it gets None. Loaders whose order cannot be
    moved do replay their data.

    Args:
        loader: The training data.
        consumed: How many batches the run has had.
        restore: Called once before the next batch is fetched, after the loader has begun to be iterated (which draws
            from torch's generator, but not in an undisturbed run): puts the generators back.
    """

    def __init__(self, loader: DataLoader, consumed: int, restore: Callable[[], None]) -> None:
        self._dataloader, self._behind, self._restore = loader, consumed, restore
        sampler = sampler_of(loader)
        self._replays = not isinstance(sampler, KNOWN)
        self._epoch = 0
        if self._replays:
            loader._iterator = None
            self._iterator = iter(loader)
        elif isinstance(sampler, ENDLESS):
            self._iterator = iterate_from(loader, consumed)
        else:
            self._epoch, start = divmod(consumed, len(loader))
            if consumed and not start:  # the pass has just ended, and mmengine has not noticed yet
                self._epoch -= 1
                self._iterator = iter(())
            else:
                if hasattr(sampler, 'set_epoch'):
                    sampler.set_epoch(self._epoch)
                self._iterator = iterate_from(loader, start)

    def __next__(self) -> Any:
        if self._behind:
            self._behind -= 1
            return super().__next__() if self._replays else None
        if self._restore is not None:
            restore, self._restore = self._restore, None
            restore()
        return super().__next__()


def resume_epoch(loop: EpochBasedTrainLoop, consumed: int, restore: Callable[[], None]) -> None:
    """Let the next epoch of ``loop`` be the rest of one of which ``consumed`` batches have been trained on.

    ``restore`` is called once before the first batch is fetched, see :class:`ResumedBatches`.
    """
    def run_rest() -> None:
        del loop.run_epoch  # later epochs are whole
        loop.runner.call_hook('before_train_epoch')
        loop.runner.model.train()
        loader = loop.dataloader
        over = consumed >= len(loader) and not loader.persistent_workers  # those serve the next epoch too
        left = iter(()) if over else iterate_from(loader, consumed)
        restore()
        for index, batch in enumerate(left, consumed):
            loop.run_iter(index, batch)
        loop.runner.call_hook('after_train_epoch')
        loop._epoch += 1

    loop.run_epoch = run_rest
