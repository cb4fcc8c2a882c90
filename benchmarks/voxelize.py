"""``pretrain3d.ops.voxelize`` of one LiDAR sweep beside ``torch.unique(dim=0)``, 0.1 m voxels."""
from __future__ import annotations

import sys
from typing import Any, Tuple

import harness
import numpy as np
import torch

from pretrain3d import ops

VOXEL_SIZE = 0.1
REAL = harness.ROOT.parent / 'shared' / 'real' / 'nuscenes_frame'
BEAMS, COLUMNS = 32, 1084  # 34,688 points, the size of the real sweep


def setup(device: str, tiny: bool) -> Tuple[Tuple[Any, ...], str]:
    """The real sweep where it is at hand, else one of the same size drawn here."""
    found = sorted(REAL.glob('*LIDAR_TOP*.bin'))
    if found:
        points, source = np.fromfile(found[0], np.float32).reshape(-1, 5)[:, :3], 'a real nuScenes sweep'
    else:
        points, source = synthetic_sweep(), 'a SYNTHETIC sweep (no real one in ../shared/real)'
    points = points[:100] if tiny else points
    return (torch.from_numpy(np.ascontiguousarray(points)).to(device),), f'{len(points):,} points of {source}'


def synthetic_sweep() -> np.ndarray:
    """A 32-beam scanner 1.8 m above a plane, between two walls 8 m apart, with 2 cm of noise; (34688, 3) metres."""
    rng = np.random.default_rng(0)
    elevation = np.deg2rad(np.linspace(-30, 10, BEAMS))[:, None]
    azimuth = np.linspace(-np.pi, np.pi, COLUMNS, endpoint=False)[None]
    rays = np.stack(np.broadcast_arrays(np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth),
                                        np.sin(elevation)), -1).reshape(-1, 3)
    with np.errstate(divide='ignore'):
        ground = np.where(rays[:, 2] < 0, -1.8 / rays[:, 2], np.inf)
        walls = 4 / np.abs(rays[:, 1])
    reach = np.minimum(np.minimum(ground, walls), 70) + rng.normal(0, 0.02, len(rays))
    return (rays * reach[:, None]).astype(np.float32)


def ours(points: torch.Tensor) -> ops.Voxels:
    """What the package uses."""
    return ops.voxelize(points, VOXEL_SIZE)


def baseline(points: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The same bins, made distinct by sorting rows; ``ours`` gives each voxel's first point besides."""
    cells = torch.floor(points.double() / VOXEL_SIZE).int()
    cells = cells - cells.amin(0)
    return torch.unique(cells, dim=0, return_inverse=True, return_counts=True)


def check(mine: ops.Voxels, theirs: Tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> None:
    """Same voxels, same points in each, whatever the order of the voxels."""
    voxels, inverse, counts = theirs
    assert len(mine.coors) == len(voxels), f'{len(mine.coors)} voxels instead of {len(voxels)}'
    order = inverse[mine.first]  # our voxel -> theirs
    assert torch.equal(voxels[order], mine.coors), 'other voxels'
    assert torch.equal(order[mine.inverse], inverse), 'another map from points to voxels'
    assert torch.equal(counts[order], mine.counts), 'other counts'


if __name__ == '__main__':
    sys.exit(harness.main(ours, baseline, check, setup, 'voxelize', __file__))
