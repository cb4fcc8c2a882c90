"""Voting over fragments that are made one at a time beside the released way, in which all fragments of all
augmentations are cut first and their scores kept until the end.

``--grow`` prints instead how peak memory and time change with the points of a voxel, hence with the number of
fragments, while the cloud keeps its size, and the time beside one pass of the network. The network is a stand-in whose
cost grows with the points; what is measured is what voting adds to it."""
from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Any, List, Tuple

import harness
import torch

import pretrain3d  # noqa: F401
from pretrain3d.ops.fragments import PRESETS, Fragments, vote

VOXEL, CLASSES, WIDTH = 0.05, 20, 96
POINTS, DENSITIES = int(os.environ.get('VOTING_POINTS', 90_000)), (2, 4, 8, 16, 32)


def setup(device: str, tiny: bool, density: int = 8) -> Tuple[Tuple[Any, ...], str]:
    """A floor and a wall of 5 cm voxels with up to ``density`` points in each, and the weights of the network."""
    generator = torch.Generator().manual_seed(0)
    side = 15 if tiny else int((POINTS / (density + 1)) ** 0.5)
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing='ij')
    flat = torch.stack([rows.flatten(), columns.flatten(), torch.zeros(side * side, dtype=torch.int64)], 1)
    cells = torch.cat([flat, flat[:, [0, 2, 1]] + torch.tensor([0, side, 0])])
    counts = torch.randint(1, density + 1, (len(cells), ), generator=generator)
    counts[0] = density
    cells = cells.repeat_interleave(counts, 0)
    # Kept off the faces of the voxels. Centred, as a test pipeline does.
    xyz = (cells + 0.02 + 0.96 * torch.rand(cells.shape, generator=generator)) * VOXEL
    points = torch.cat([xyz - xyz.mean(0), torch.rand(len(xyz), 3, generator=generator),
                        torch.nn.functional.normalize(torch.randn(len(xyz), 3, generator=generator))], 1).to(device)
    weights = [torch.randn(shape, generator=generator).to(device) / 10
               for shape in ((9, WIDTH), (WIDTH, WIDTH), (WIDTH, CLASSES))]
    kind = f'{len(points):,} points in voxels of up to {density}, 13 augmentations'
    return (points, weights), kind


def network(clouds: List[torch.Tensor], weights: List[torch.Tensor]) -> List[torch.Tensor]:
    """Softmax scores of every point of some clouds."""
    first, second, last = weights
    return [((cloud @ first).relu() @ second).relu().matmul(last).softmax(1) for cloud in clouds]


def ours(points: torch.Tensor, weights: List[torch.Tensor]) -> torch.Tensor:
    """One fragment after the other."""
    return vote(points, lambda clouds: network(clouds, weights), VOXEL, PRESETS['indoor'], vector_columns=(6, 7, 8))


def baseline(points: torch.Tensor, weights: List[torch.Tensor]) -> torch.Tensor:
    """All fragments are cut before the first is predicted, and all predictions kept until they are summed."""
    pieces = []
    for augmentation in PRESETS['indoor']:
        moved = augmentation.apply(points, (6, 7, 8))
        pieces += [(rows, moved[rows]) for rows in Fragments(moved[:, :3], VOXEL)]
    scores = [network([cloud], weights)[0] for _, cloud in pieces]
    total = points.new_zeros(len(points), CLASSES)
    for (rows, _), part in zip(pieces, scores):
        total[rows] += part
    return total


def check(mine: torch.Tensor, theirs: torch.Tensor) -> None:
    """The same sums."""
    torch.testing.assert_close(mine, theirs)
    assert mine.sum(1).min() > 12.9, 'a point was left out of an augmentation'


def one_density(density: int, device: str) -> None:
    """Print the fragments, the peak bytes of a vote and the seconds of a vote and of one pass."""
    peak = harness.peak_of_call(ours, lambda where, tiny: setup(where, tiny, density), device)
    inputs, _ = setup(device, False, density)
    fragments = sum(len(Fragments(each.apply(inputs[0])[:, :3], VOXEL)) for each in PRESETS['indoor'])
    seconds = []
    for call in (lambda: ours(*inputs), lambda: network([inputs[0]], inputs[1])):
        call()
        harness.synchronize(device)
        start = time.perf_counter()
        call()
        harness.synchronize(device)
        seconds.append(time.perf_counter() - start)
    print(len(inputs[0]), fragments, peak, *seconds)


def grow(device: str) -> None:
    """A line for each density, each measured in a process of its own."""
    print('points  fragments  peak MiB  vote s  one pass s  ratio')
    for density in DENSITIES:
        done = subprocess.run([sys.executable, __file__, '--density', str(density), '--device', device],
                              capture_output=True, text=True, check=True)
        points, fragments, peak, vote_s, pass_s = map(float, done.stdout.split())
        print(f'{points:6.0f}  {fragments:9.0f}  {peak / 2**20:8.1f}  {vote_s:6.2f}  {pass_s:10.4f}  '
              f'{vote_s / pass_s:5.0f}')


if __name__ == '__main__':
    where = 'cuda' if 'cuda' in sys.argv else 'cpu'
    if '--density' in sys.argv:
        one_density(int(sys.argv[sys.argv.index('--density') + 1]), where)
        sys.exit(0)
    if '--grow' in sys.argv:
        grow(where)
        sys.exit(0)
    sys.exit(harness.main(ours, baseline, check, setup, 'fragment voting', __file__))
