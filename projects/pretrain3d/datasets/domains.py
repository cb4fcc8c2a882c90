"""Which domain the samples of a dataset are of: what the packer of its pipeline says."""
from typing import Any, Dict, Iterator, List, Optional, Tuple

import numpy as np


def dataset_domain(dataset: Any) -> Optional[str]:
    """Domain of a dataset, through wrappers of one dataset; ``None`` where its pipeline says none."""
    names = vars(dataset)
    inner = next((names[name] for name in ('dataset', '_dataset') if name in names), None)
    if inner is not None:
        return dataset_domain(inner)
    transforms = getattr(getattr(dataset, 'pipeline', None), 'transforms', ())
    found = [step.domain for step in transforms if getattr(step, 'domain', None) is not None]
    return found[-1] if found else None


def parts(dataset: Any) -> Iterator[Tuple[Any, int, int]]:
    """Datasets inside a concatenation with the range [first, last) of its indices that each has; else the dataset."""
    first = 0
    for one in vars(dataset).get('datasets') or [dataset]:
        yield one, first, first + len(one)
        first += len(one)


def domain_indices(dataset: Any) -> Dict[str, np.ndarray]:
    """Indices of each domain in a concatenation of datasets, in the order of the datasets.

    Raises:
        ValueError: A dataset does not say its domain.
    """
    found: Dict[str, List[np.ndarray]] = {}
    for one, first, last in parts(dataset):
        domain = dataset_domain(one)
        if domain is None:
            raise ValueError(f'{type(one).__name__} {getattr(one, "ann_file", "")} does not say its domain: give the '
                             "PackPretrain3DInputs of its pipeline domain='<name>'")
        found.setdefault(domain, []).append(np.arange(first, last))
    return {domain: np.concatenate(ranges) for domain, ranges in found.items()}
