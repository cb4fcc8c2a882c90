"""One seed per drawn sample, so that augmentation depends on nothing but (run seed, epoch, draw).

A sampler yields :class:`SeededIndex` objects: integers that carry the key of their draw. They travel through batch
samplers and worker queues like any index. :func:`install_seeding` gives a dataset the ``__getitems__`` by which
torch's fetcher reads a batch; it seeds python's, numpy's and torch's generators before every sample and puts the
process's own generators back afterwards. Stock datasets and wrappers (ConcatDataset, RepeatDataset, CBGSDataset)
need no change, because only the outermost one is asked.
"""
import random
from contextlib import contextmanager
from typing import Any, Iterator, List, Optional, Sequence, Tuple

import numpy as np
import torch
from mmengine.utils import digit_version

Key = Tuple[int, ...]

# Keys of the draws that are being read in this process, the innermost last.
_keys: List[Key] = []


def current_key() -> Optional[Key]:
    """Key of the draw that is being read; ``None`` outside of one."""
    return _keys[-1] if _keys else None


class SeededIndex(int):
    """A dataset index that knows which draw it is.

    Args:
        index (int): Index into the dataset.
        key (tuple[int]): What the sample's seed is derived from; never negative.
    """

    key: Key

    def __new__(cls, index: int, key: Key) -> 'SeededIndex':
        self = super().__new__(cls, index)
        self.key = tuple(key)
        return self

    def __reduce__(self):
        return SeededIndex, (int(self), self.key)


@contextmanager
def seeded(key: Key) -> Iterator[None]:
    """Seed python's, numpy's and torch's CPU generator from ``key``; restore their states on leaving.

    CUDA generators are left alone: a dataset has no business on the device, and workers cannot reach it.
    """
    states = random.getstate(), np.random.get_state(), torch.default_generator.get_state()
    words = np.random.SeedSequence(key).generate_state(9)
    random.seed(words[:4].tobytes())
    np.random.seed(words[4:8])
    torch.default_generator.manual_seed(int(words[8]))  # it looks at 32 bits of its seed only
    _keys.append(tuple(key))
    try:
        yield
    finally:
        _keys.pop()
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.default_generator.set_state(states[2])


class SeededFetch:
    """Reads a batch of a dataset, each :class:`SeededIndex` under its own seed, any other index as it always was."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __call__(self, indices: Sequence[int]) -> List[Any]:
        return [self._read(index) for index in indices]

    def _read(self, index: int) -> Any:
        if not isinstance(index, SeededIndex):
            return self.dataset[index]
        with seeded(index.key):
            sample = self.dataset[int(index)]
        note_draw(sample, index.key)
        return sample


def note_draw(sample: Any, key: Key) -> None:
    """Let a packed sample say which draw it is, as ``draw`` of its meta information: it can then be drawn again."""
    packed = sample.get('data_samples') if isinstance(sample, dict) else None
    if hasattr(packed, 'set_metainfo'):
        packed.set_metainfo(dict(draw=key))


def install_seeding(dataset: Any) -> None:
    """Make ``torch.utils.data.DataLoader`` read ``dataset`` through :class:`SeededFetch`; once is enough.

    Raises:
        RuntimeError: torch is older than 2.0, whose fetcher never asks for ``__getitems__``.
        TypeError: The dataset takes no attributes (a plain list).
    """
    if digit_version(torch.__version__) < digit_version('2.0'):
        raise RuntimeError(f'SeededSampler needs torch >= 2.0, found {torch.__version__}; use DefaultSampler or '
                           'InfiniteSampler with this torch')
    if isinstance(getattr(dataset, '__dict__', {}).get('__getitems__'), SeededFetch):
        return
    try:
        setattr(dataset, '__getitems__', SeededFetch(dataset))
    except AttributeError:
        raise TypeError(f'SeededSampler cannot seed a {type(dataset).__name__}: it takes no attributes; wrap it in a '
                        'dataset class') from None
