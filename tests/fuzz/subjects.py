"""What a fuzzed reader is to the harness, and how trees come out of files and back into them."""
import io
import json
import pickle
from collections import Counter
from pathlib import Path
from typing import Any, Callable, Optional, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from whole_files import saved


class Subject:
    """A reader.

    Args:
        name: of the reader.
        make: writes whole files into a folder.
        damaged: which of them are damaged, one at a time.
        read: reads the folder's files; it raises an ``AssertionError`` where what it got is not sane.
        load, dump: the tree in a file and back, where it is one.
        pickled: whether the format could hold code.
    """

    def __init__(self, name: str, make: Callable[[Path], None], damaged: Sequence[str], read: Callable[[Path], Any],
                 load: Optional[Callable[[bytes], Any]] = None, dump: Optional[Callable[[Any], bytes]] = None,
                 pickled: bool = False) -> None:
        self.name, self.make, self.damaged, self.read = name, make, damaged, read
        self.load, self.dump, self.pickled = load, dump, pickled


def finite(*arrays):
    for array in arrays:
        assert np.isfinite(np.asarray(array, np.float64)).all(), 'not finite'


def from_npz(data):
    with np.load(io.BytesIO(data)) as file:
        return dict(file)


def to_npz(tree):
    buffer = io.BytesIO()
    np.savez(buffer, **{str(key): np.asarray(value) for key, value in dict(tree).items()})
    return buffer.getvalue()


def from_torch(data):
    return torch.load(io.BytesIO(data), weights_only=False)


def to_json(tree):
    def plain(value):
        return value.tolist() if hasattr(value, 'tolist') else str(value)
    return json.dumps(tree, default=plain).encode()


def from_parquet(data):
    return pq.read_table(io.BytesIO(data)).to_pydict()


def column(values):
    """A parquet column, whose rows are of one type: odd ones become null, a column that is odd as a whole, text."""
    kind = Counter(map(type, values)).most_common(1)[0][0] if len(values) else object
    for rows in (values, [row if isinstance(row, kind) else None for row in values], [repr(row) for row in values]):
        try:
            return pa.array(rows)
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            continue
    return pa.nulls(len(values))


def to_parquet(tree):
    columns = {str(key): column(values) for key, values in dict(tree).items() if hasattr(values, '__len__')}
    rows = max(map(len, columns.values()), default=0)
    whole = {key: pa.concat_arrays([held, pa.nulls(rows - len(held), held.type)]) for key, held in columns.items()}
    buffer = io.BytesIO()
    pq.write_table(pa.table(whole), buffer)
    return buffer.getvalue()


PICKLE = dict(load=pickle.loads, dump=pickle.dumps, pickled=True)
NPZ = dict(load=from_npz, dump=to_npz, pickled=True)  # npz may hold pickled objects
TORCH = dict(load=from_torch, dump=saved, pickled=True)
JSON = dict(load=json.loads, dump=to_json)
PARQUET = dict(load=from_parquet, dump=to_parquet)
