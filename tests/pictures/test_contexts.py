"""Cells around an anchor: their colours mean what the legend says, and the anchor is on furniture."""
from pathlib import Path

import numpy as np
import torch
from pretrain3d.contrastive_scene_contexts import get_partition
from pretrain3d.pictures import contexts
from pretrain3d.pictures.scans import SPACE, BrowsedScan

FLOOR, CHAIR = SPACE.indices(('floor', 'chair'))


def test_names_and_colours_are_those_of_the_cells():
    """The words of the legend, applied to offsets, against the loss's own partition."""
    partition = get_partition('p8')
    offset = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (2000, 3)).astype(np.float32))
    offset[:50] *= 0.02
    cells = partition.cells(*offset.T).long().numpy()
    names = contexts.cell_names(partition.shells[0], partition.exclude_radius)
    colours = contexts.cell_colours(cells)
    assert len(names) == partition.num_cells + 1 and len({colour for _, colour in names}) == len(names)
    told = {tuple(map(int, colour)): name for name, colour in names}
    for (x, y, z), colour in zip(offset.tolist(), colours):
        distance = np.sqrt(x * x + y * y + z * z)
        radius = ('nearer than 0.05 m' if distance < 0.05 else '0.05 to 0.5 m' if distance < 0.5 else 'beyond 0.5 m')
        quadrant = f'{"+y" if y > 0 else "-y"}, {"above" if z > 0 else "below"}, '
        assert told[tuple(map(int, colour))] == (radius if distance < 0.05 else quadrant + radius)


def scan(label):
    grid = np.stack(np.meshgrid(*[np.linspace(0, 2, 21)] * 3, indexing='ij'), -1).reshape(-1, 3)
    return BrowsedScan('scene', 'val', grid, np.zeros_like(grid), np.zeros(grid.shape, np.uint8),
                       np.where(label(grid), CHAIR, FLOOR), [], np.eye(4), None, Path('.'))


def test_anchor_is_the_furniture_nearest_to_the_middle():
    room = scan(lambda xyz: (xyz[:, 0] > 1.5) & (xyz[:, 2] < 1))
    np.testing.assert_allclose(room.xyz[contexts.choose_anchor(room)], (1.6, 1, 0.7))
    empty = scan(lambda xyz: np.zeros(len(xyz), bool))
    np.testing.assert_allclose(empty.xyz[contexts.choose_anchor(empty)], (1, 1, 0.7))
