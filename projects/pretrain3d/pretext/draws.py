"""Random numbers of a pretext task, each sample's by its own seed: they depend on no rank, worker, batch or device.

``PackPretrain3DInputs`` draws the seed (``metainfo['voxel_seed']``). Every use takes a stream number of its own; small
ones belong to the data preprocessor, which starts from the same seed.
"""
from typing import List, Optional, Sequence

import numpy as np
import torch
from torch import Tensor


def sample_seeds(data_samples: Optional[list], num_samples: int) -> List[Optional[int]]:
    """``voxel_seed`` of every sample, ``None`` where the packer wrote none."""
    if not data_samples:
        return [None] * num_samples
    return [sample.metainfo.get('voxel_seed') for sample in data_samples]


def make_generator(seed: Optional[int], stream: int) -> Optional[torch.Generator]:
    """CPU generator of a sample's seed and the number of a draw; ``None`` for ``None``."""
    if seed is None:
        return None
    word = np.random.SeedSequence((seed, stream)).generate_state(1)[0]  # torch looks at 32 bits of a seed only
    return torch.Generator().manual_seed(int(word))


def draw(scene: Tensor, num_scenes: int, seeds: Sequence[Optional[int]], stream: int) -> Tensor:
    """Uniform numbers in [0, 1), float64, for rows sorted by scene; each scene by its own seed, on the CPU, so that
    they depend neither on the batch nor on the device. A seed of ``None`` takes torch's global generator."""
    counts = torch.bincount(scene, minlength=num_scenes).tolist()
    numbers = [torch.rand(count, generator=make_generator(seed, stream), dtype=torch.float64)
               for count, seed in zip(counts, seeds)]
    return torch.cat(numbers).to(scene.device)
