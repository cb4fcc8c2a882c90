"""Random sparse batches for the tests of the backbones."""
from typing import Dict, Sequence

import torch
from torch import nn


def random_sparse(extents: Sequence[int], counts: Sequence[int], channels: int = 3, seed: int = 0) -> Dict:
    """Sparse batch with ``counts[b]`` distinct voxels in sample b, whose corners are occupied where there is room."""
    generator = torch.Generator().manual_seed(seed)
    cells = torch.stack(torch.meshgrid(*[torch.arange(e) for e in extents], indexing='ij'), -1).reshape(-1, 3)
    coors = []
    for b, count in enumerate(counts):
        # The far corner is what odd extents lose.
        chosen = torch.randperm(len(cells) - 1, generator=generator)[:max(count - 1, 0)]
        chosen = torch.cat([chosen, torch.tensor([len(cells) - 1])])[:count]
        coors.append(torch.cat([torch.full((count, 1), b), cells[chosen]], 1))
    coors = torch.cat(coors).int()
    voxels = torch.randn(len(coors), channels, generator=generator)
    return dict(voxels=voxels, coors=coors, batch_size=len(counts), spatial_shape=list(extents))


def randomise(model: nn.Module, seed: int = 0) -> None:
    """Draw weights through which the signal keeps its size, and norms that differ, so that a mixed-up layer shows."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.ndim > 1:  # (C_out, ..., C_in)
            std = (2 / parameter[0].numel())**0.5
            parameter.data.copy_(torch.randn(parameter.shape, generator=generator) * std)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            channels = module.num_features
            module.running_mean.copy_(torch.randn(channels, generator=generator) * 0.1)
            module.running_var.copy_(torch.rand(channels, generator=generator) + 0.5)
            module.weight.data.copy_(torch.rand(channels, generator=generator) + 0.5)
            module.bias.data.copy_(torch.randn(channels, generator=generator) * 0.1)
