"""``SceneContextLoss``, 4096 matches and 8 cells, beside one masked cross-entropy per cell, with gradients.

Takes ten seconds to start, because a registered module imports mmdet3d."""
from __future__ import annotations

import os
import sys
from typing import Any, Tuple

# Threads that spin while they wait take the cores from the others where the machine is busy: seconds for tenths.
os.environ.setdefault('OMP_WAIT_POLICY', 'passive')

import harness  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from torch import Tensor  # noqa: E402

from pretrain3d.contrastive_scene_contexts.partitions import PRESETS  # noqa: E402
from pretrain3d.contrastive_scene_contexts.scene_context_loss import scene_context_losses  # noqa: E402

MATCHES, CHANNELS, PARTITION, TEMPERATURE = 4096, 32, PRESETS['p8'], 0.4


def setup(device: str, tiny: bool) -> Tuple[Tuple[Any, ...], str]:
    """Unit features and places in a room of 6 x 5 x 2.5 m."""
    generator = torch.Generator().manual_seed(0)
    rows = 64 if tiny else MATCHES
    query = torch.randn(rows, CHANNELS, generator=generator)
    key = query + torch.randn(rows, CHANNELS, generator=generator)
    xyz = torch.rand(rows, 3, generator=generator) * torch.tensor([6., 5., 2.5])
    inputs = tuple(one.to(device) for one in (F.normalize(query, dim=1), F.normalize(key, dim=1), xyz))
    return inputs, f'{rows:,} matches, {CHANNELS} channels, {PARTITION.num_cells} cells, forward and backward'


def with_gradients(query: Tensor, key: Tensor, xyz: Tensor, loss) -> Tuple[Tensor, Tensor, Tensor]:
    """Loss and its gradients for queries and keys."""
    query, key = query.detach().requires_grad_(), key.detach().requires_grad_()
    value = loss(query, key, xyz)
    return (value.detach(), *torch.autograd.grad(value, (query, key)))


def ours(query: Tensor, key: Tensor, xyz: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
    """What the package trains with."""
    return with_gradients(query, key, xyz, lambda *inputs: scene_context_losses(*inputs, PARTITION, TEMPERATURE).mean())


def baseline(query: Tensor, key: Tensor, xyz: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
    """The usual way: ids from a matrix of offsets, then logits, mask and cross-entropy once per cell."""
    return with_gradients(query, key, xyz, per_cell)


def per_cell(query: Tensor, key: Tensor, xyz: Tensor) -> Tensor:
    """Sum of the cross-entropies of the cells, by their number."""
    offset = xyz[None] - xyz[:, None]
    azimuth = torch.atan2(offset[..., 1], offset[..., 0]).remainder(2 * torch.pi) // torch.pi
    elevation = torch.atan2(offset[..., 1], offset[..., 2]).remainder(torch.pi) // (torch.pi / 2)
    distance = offset.square().sum(2).sqrt()
    cell = (distance >= PARTITION.shells[0]) * 4 + azimuth.clamp_(max=1) * 2 + elevation.clamp_(max=1)
    cell[distance < PARTITION.exclude_radius] = -1
    target, total = torch.arange(len(query), device=query.device), 0
    for p in range(PARTITION.num_cells):
        kept = cell == p
        kept.fill_diagonal_(True)
        logits = query @ key.T / TEMPERATURE - 1e9 * (~kept).float()
        total = total + F.cross_entropy(logits, target) / PARTITION.num_cells
    return total


def check(mine: Tuple[Tensor, ...], theirs: Tuple[Tensor, ...]) -> None:
    """The same loss and gradients, but for float32 and a pair in ten thousand that lies on a boundary."""
    assert abs(mine[0] - theirs[0]) < 1e-5 * abs(theirs[0]), f'losses {mine[0]} and {theirs[0]}'
    for ours_, plain in zip(mine[1:], theirs[1:]):
        error = (ours_ - plain).norm() / plain.norm()
        assert error < 1e-4, f'gradients differ by {error:.1e}'


if __name__ == '__main__':
    sys.exit(harness.main(ours, baseline, check, setup, 'scene_context_loss', __file__))
