"""A SpUNet with domain prompts in every norm beside the same network with plain batch norms, forward and backward.

Takes ten seconds to start, because a registered module imports mmdet3d."""
from __future__ import annotations

import os
import sys
from typing import Any, Tuple

# Threads that spin while they wait take the cores from the others where the machine is busy: seconds for tenths.
os.environ.setdefault('OMP_WAIT_POLICY', 'passive')

import harness  # noqa: E402
import torch  # noqa: E402

import pretrain3d  # noqa: E402

pretrain3d.register_all()

from pretrain3d.backbones import SpUNet, convert  # noqa: E402

VOXELS, DOMAINS = 10_000, ('ScanNet', 'S3DIS', 'Structured3D')
Pass = Tuple[torch.Tensor, torch.Tensor]


def setup(device: str, tiny: bool) -> Tuple[Tuple[Any, ...], str]:
    """Two networks with the same weights, and two rooms: walls and floor of a box at 2 cm, thinned out."""
    generator = torch.Generator().manual_seed(0)
    extents, wanted = torch.tensor([64, 64, 48]), 200 if tiny else VOXELS
    cells = torch.stack(torch.meshgrid(*map(torch.arange, extents.tolist()), indexing='ij'), -1).view(-1, 3)
    surface = cells[((cells % (extents // 2)) < 1).any(1)]
    coors = []
    for sample in range(2):
        rows = torch.randperm(len(surface), generator=generator)[:wanted // 2].sort().values
        coors.append(torch.cat([torch.full((len(rows), 1), sample), surface[rows]], 1))
    coors = torch.cat(coors).int().to(device)
    torch.manual_seed(0)
    plain = SpUNet(in_channels=6).to(device)
    prompted = SpUNet(in_channels=6).to(device)
    prompted.load_state_dict(plain.state_dict())
    convert(prompted, DOMAINS).to(device)
    sparse = dict(voxels=torch.randn(len(coors), 6, generator=generator).to(device), coors=coors, batch_size=2,
                  spatial_shape=extents.tolist())
    domains = ['ScanNet', 'S3DIS'] if MIXED else ['S3DIS', 'S3DIS']
    kind = 'of two domains' if MIXED else 'of one domain'
    return (plain, prompted, sparse, domains), f'{len(coors):,} voxels in a batch {kind}, 39 M SpUNet'


def train(model: torch.nn.Module, sparse: dict) -> Pass:
    """Features, and the gradient of the stem."""
    model.zero_grad(set_to_none=True)
    out = model(sparse)
    out.square().mean().backward()
    return out.detach(), model.stem.conv.weight.grad


def ours(plain: Any, prompted: Any, sparse: dict, domains: list) -> Pass:
    """With prompts."""
    return train(prompted, dict(sparse, domains=domains))


def baseline(plain: Any, prompted: Any, sparse: dict, domains: list) -> Pass:
    """Without."""
    return train(plain, sparse)


def check(mine: Pass, theirs: Pass) -> None:
    """The prompts start as the plain network, so both agree where the batch is of one domain."""
    for name, own, plain in zip(('features', 'gradients'), mine, theirs):
        assert own.shape == plain.shape and torch.isfinite(own).all(), name
        error = (own - plain).norm() / plain.norm()
        assert MIXED or error < 1e-4, f'{name} differ by {error:.1e}'


MIXED = os.environ.get('PDNORM_MIXED', '') not in ('', '0')  # also of the processes that measure memory

if __name__ == '__main__':
    sys.exit(harness.main(ours, baseline, check, setup, 'PDNorm', __file__))
