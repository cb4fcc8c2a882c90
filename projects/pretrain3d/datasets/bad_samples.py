"""What happens to a sample that cannot be read: one policy for every dataset, ours and mmdet3d's alike.

mmengine's datasets read a sample by ``prepare_data``. :func:`guard` puts a :class:`Guard` in front of it, on the
object, so that no class changes and worker processes get it with the dataset.
"""
import json
import os
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Set, Tuple, Union

import numpy as np

from ..files import HOST, is_disk_full
from .seeding import current_key, seeded

# Sets the draws of replacements apart from all others.
_REPLACEMENT = 0x5EED
# Replacements of one draw that fail too, before the data as a whole count as bad.
MAX_TRIES = 20


class BadSampleError(ValueError):
    """A sample that cannot be read, or too many of them; the message names the file."""


@dataclass(frozen=True)
class Policy:
    """What to do about samples that cannot be read.

    Attributes:
        on_bad_sample: 'raise', or 'skip': train on another one instead, chosen by the draw.
        max_bad: how many different samples may be skipped: a number, or a share (< 1) of the dataset, at least one.
        folder: where every process writes down what it skipped.
        rank: of this process among those that train.
    """
    on_bad_sample: str
    max_bad: Union[int, float]
    folder: str
    rank: int = 0

    def __post_init__(self) -> None:
        if self.on_bad_sample not in ('raise', 'skip'):
            raise ValueError(f"on_bad_sample is {self.on_bad_sample!r}; it must be 'raise' or 'skip'")
        if self.max_bad < 0:
            raise ValueError(f'max_bad is {self.max_bad}; it must be a number of samples or a share below 1')

    def limit(self, size: int) -> int:
        """How many samples of a dataset of ``size`` may be bad."""
        return int(self.max_bad) if self.max_bad >= 1 or not self.max_bad else max(1, int(self.max_bad * size))


def guard(dataset: Any, policy: Policy) -> None:
    """Let ``dataset``, one of mmengine's ``BaseDataset`` without wrappers, follow ``policy`` from now on."""
    if hasattr(dataset, 'prepare_data'):
        dataset.prepare_data = Guard(dataset, policy)


class Guard:
    """Stands for ``dataset.prepare_data``.

    ``None``, by which mmdet3d says that a frame has no objects to learn from, is passed on and counted: mmengine then
    draws another sample from numpy's generator, which the seeded samplers seed for every draw.
    """

    def __init__(self, dataset: Any, policy: Policy) -> None:
        self.dataset = dataset
        self.policy = policy
        self._none_in_a_row = 0

    def __call__(self, index: int) -> Any:
        try:
            sample = self._read(index)
        except Exception as error:  # whatever is wrong with a file
            if is_machines_fault(error):
                raise
            if self.dataset.test_mode or self.policy.on_bad_sample == 'raise':
                self._raise(index, error)
            sample = self._another(index, error)
        if sample is None and not self.dataset.test_mode:
            self._count_none(index)
        else:
            self._none_in_a_row = 0
        return sample

    def _read(self, index: int) -> Any:
        return type(self.dataset).prepare_data(self.dataset, index)

    def _raise(self, index: int, error: Exception) -> None:
        """Raise ``error`` again, with the sample's files where it does not name one."""
        files = self._files(index)
        if isinstance(error, BadSampleError) or any(file in str(error) for file in files if not os.path.isdir(file)):
            raise error
        raise BadSampleError(f'{self._where(index)}, {describe(files)}: {type(error).__name__}: {error}. Mend the file '
                             "or take the sample out of the list; BadSampleHook's on_bad_sample='skip' trains without "
                             'such samples') from error

    def _another(self, index: int, error: Exception) -> Any:
        """The sample to train on instead: it depends on the draw alone, neither on workers nor on what has failed."""
        key = current_key()
        self._write_down(index, error)
        for attempt in range(MAX_TRIES):
            words = (*(key or (int(index), )), _REPLACEMENT, attempt)
            step = int(np.random.SeedSequence(words).generate_state(1)[0]) % max(1, len(self.dataset) - 1)
            index = (int(index) + 1 + step) % len(self.dataset)  # any other one
            try:
                if key is None:
                    return self._read(index)
                with seeded(words):
                    return self._read(index)
            except Exception as another:
                if is_machines_fault(another):
                    raise
                self._write_down(index, another)
                error = another
        raise BadSampleError(f'{MAX_TRIES + 1} samples in a row cannot be read, the last one is {self._where(index)}, '
                             f'{describe(self._files(index))}: {type(error).__name__}: {error}') from error

    def _write_down(self, index: int, error: Exception) -> None:
        """Note a skipped sample; raise where they are too many."""
        files = self._files(index)
        # The files that the error speaks of, else all of the sample.
        named = [file for file in files if file in str(error)] or files
        append(self.policy, dict(index=index, list=self._list(), files=named, error=f'{type(error).__name__}: {error}'))
        bad = {entry['index'] for entry in read_records(self.policy.folder)
               if 'error' in entry and entry['list'] == self._list()}
        limit = self.policy.limit(len(self.dataset))
        if len(bad) > limit:
            raise BadSampleError(f'{len(bad)} of {len(self.dataset)} samples of {self._list()} cannot be read, and '
                                 f'BadSampleHook allows {limit} (max_bad={self.policy.max_bad}); all are listed in '
                                 f'{self.policy.folder}, the last one is {describe(named)}: {type(error).__name__}: '
                                 f'{error}') from error

    def _count_none(self, index: int) -> None:
        append(self.policy, dict(index=index, list=self._list()))
        self._none_in_a_row += 1
        if self._none_in_a_row > self.dataset.max_refetch:
            raise BadSampleError(f'{self._none_in_a_row} samples in a row of {self._list()} have nothing to learn from '
                                 "(no boxes, or none left by the pipeline's filters), the last one is "
                                 f'{describe(self._files(index))}: check metainfo.classes, point_cloud_range, or set '
                                 'filter_empty_gt=False of the dataset')

    def _where(self, index: int) -> str:
        return f'sample {int(index)} of {self._list()}'

    def _list(self) -> str:
        return str(getattr(self.dataset, 'ann_file', '') or getattr(self.dataset, 'data_root', '')
                   or type(self.dataset).__name__)

    def _files(self, index: int) -> List[str]:
        """Files that the sample's info names."""
        try:
            return list(file_names(self.dataset.get_data_info(index)))
        except Exception:  # the info itself may be what is wrong
            return []


def is_machines_fault(error: Exception) -> bool:
    """Whether ``error`` is no fault of a sample."""
    return is_disk_full(error) or isinstance(error, MemoryError)


def file_names(info: Any) -> Iterator[str]:
    """Every value of a sample's info whose key ends in ``path``, once."""
    found: Set[str] = set()
    todo = [info]
    while todo:
        held = todo.pop()
        for key, value in held.items():
            if isinstance(value, str) and key.endswith('path') and value not in found:
                found.add(value)
                yield value
            elif isinstance(value, dict):
                todo.append(value)
            elif isinstance(value, (list, tuple)):
                todo += [item for item in value if isinstance(item, dict)]


def describe(files: List[str]) -> str:
    """Files for a message."""
    if not files:
        return 'which names no file'
    return f'file {files[0]}' + (f' (and {len(files) - 1} more)' if len(files) > 1 else '')


def append(policy: Policy, entry: Dict[str, Any]) -> None:
    """Add a line to this process' file."""
    folder = Path(policy.folder)
    folder.mkdir(parents=True, exist_ok=True)
    entry = dict(entry, time=round(time.time(), 3)) if 'error' in entry else entry
    with open(folder / f'rank{policy.rank}.{HOST}.{os.getpid()}.jsonl', 'a') as file:
        file.write(json.dumps(entry, default=str) + '\n')


def read_records(folder: Union[str, Path]) -> Iterator[Dict[str, Any]]:
    """Lines of all processes; one that is being written, or was torn by a kill, is left out."""
    for path in sorted(Path(folder).glob('*.jsonl')):
        for line in path.read_text(errors='replace').splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict) and 'index' in entry and 'list' in entry:
                yield entry


def summary(folder: Union[str, Path]) -> Tuple[Counter, Dict[str, str], Counter]:
    """How often each file was skipped, the last error of each, and how often samples of each list were empty."""
    skipped: Counter = Counter()
    errors: Dict[str, str] = {}
    empty: Counter = Counter()
    for entry in read_records(folder):
        if 'error' not in entry:
            empty[entry['list']] += 1
            continue
        name = (entry.get('files') or [f'sample {entry["index"]} of {entry["list"]}'])[0]
        skipped[name] += 1
        errors[name] = entry['error']
    return skipped, errors, empty
