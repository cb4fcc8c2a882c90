"""Cells around an anchor against angles computed by arctangents, and against the released code's ids."""
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from pretrain3d.contrastive_scene_contexts import PRESETS, Partition, get_partition
from pretrain3d.contrastive_scene_contexts.scene_context_loss import chunk_cells, sum_by_cell, weigh_by_cell

REFERENCE = np.load(Path(__file__).parent / 'reference_partitions.npz')
# Name in the file -> the same cells in metres (the released code counts voxels of 2.5 cm).
SAME = dict(p8=PRESETS['p8'], fast4=PRESETS['fast4'], p2x1=Partition('angular', 2, 1, (0.5, ), 0.05),
            p6x3=Partition('angular', 6, 3, (0.5, ), 0.05), p3x2=Partition('angular', 3, 2, (0.5, ), 0.05),
            p5x4=Partition('angular', 5, 4, (0.75, ), 0.1))


def slow_cells(partition, offset):
    """The definition, one offset at a time, by angles."""
    x, y, z = offset.tolist()
    distance = math.sqrt(x * x + y * y + z * z)
    if distance < partition.exclude_radius or (partition.mode == 'fast' and z == 0):
        return -1
    shell = sum(radius <= distance for radius in partition.shells)
    if partition.mode == 'none':
        return shell
    if partition.mode == 'fast':
        return shell * 2 + (z < 0)
    azimuth = int(math.atan2(y, x) % (2 * math.pi) / (2 * math.pi / partition.n_azimuth))
    elevation = int(math.atan2(y, z) % math.pi / (math.pi / partition.n_elevation))
    return (shell * partition.n_azimuth + azimuth) * partition.n_elevation + elevation


ANY = [*PRESETS.values(), Partition('none', shells=(0.3, 1.), exclude_radius=0.2), Partition('fast'),
       Partition('angular', 1, 4), Partition('angular', 3, 1), Partition('angular', 8, 5, (0.4, 0.9, 2.), 0.1)]


@pytest.mark.parametrize('partition', ANY, ids=str)
def test_cells_are_the_definition(partition):
    generator = torch.Generator().manual_seed(1)
    directions = torch.nn.functional.normalize(torch.randn(4000, 3, dtype=torch.float64, generator=generator), dim=1)
    offsets = directions * 2.5 * torch.rand(4000, 1, dtype=torch.float64, generator=generator)
    cells = partition.cells(*offsets.T)
    assert cells.tolist() == [slow_cells(partition, one) for one in offsets]
    assert set(cells.tolist()) >= set(range(partition.num_cells))


def test_boundaries_belong_to_the_upper_cell():
    def cell(partition, *offset):
        return int(partition.cells(*torch.tensor(offset, dtype=torch.float32)[:, None]))

    shells = Partition('none', shells=(0.5, 2.), exclude_radius=0.25)
    assert [cell(shells, d, 0, 0) for d in (0.2, 0.25, 0.49, 0.5, 1.9, 2., 9.)] == [-1, 0, 0, 1, 1, 2, 2]
    azimuth = Partition('angular', 4, 1)
    around = [(1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (0, 0)]
    assert [cell(azimuth, x, y, 1) for x, y in around] == [0, 0, 1, 1, 2, 2, 3, 3, 0]
    elevation = Partition('angular', 1, 2)
    assert [cell(elevation, 1, y, z) for z, y in around] == [0, 0, 1, 1, 0, 0, 1, 1, 0]
    fast = Partition('fast', shells=(0.5, ))
    assert [cell(fast, 1, 0, z) for z in (1e-6, 0., -0., -1e-6)] == [2, -1, -1, 3]


def test_two_by_two_angles_are_quadrants_of_the_y_z_plane():
    offsets = torch.randn(5000, 3, generator=torch.Generator().manual_seed(2))
    x, y, z = offsets.T
    wanted = 2 * (y < 0).long() + (y * z < 0).long()
    cells = PRESETS['p4'].cells(x, y, z)
    assert torch.equal(cells[cells >= 0].long(), wanted[cells >= 0]) and (cells >= 0).sum() > 4900
    assert torch.equal(PRESETS['p4'].cells(100 * x + 7, y, z).long(), wanted)  # x only moves keys out of the centre


@pytest.mark.parametrize('name', SAME)
def test_ids_of_the_released_code(name):
    xyz, wanted = torch.from_numpy(REFERENCE['xyz']), torch.from_numpy(REFERENCE[f'ids_{name}']).long()
    x, y, z = (xyz[None, :, d] - xyz[:, None, d] for d in range(3))
    assert torch.equal(SAME[name].cells(x, y, z).long(), wanted)
    assert SAME[name].num_cells == wanted.max() + 1


def test_released_fast_cells_ignore_the_angular_bins():
    """Its scripts ask for 2 x 2 bins and two shells, eight cells, and train four: above and below."""
    assert len(set(REFERENCE['ids_fast4'].ravel()) - {-1}) == 4 and len(set(REFERENCE['ids_p8'].ravel()) - {-1}) == 8


def test_a_direction_just_below_the_x_axis_is_in_the_last_bin():
    """In float32 its angle plus 2 pi is 2 pi, and the remainder 0: by angles it would land in the first bin."""
    offset = torch.tensor([1., -1e-8, 0.])[:, None]
    angle = torch.fmod(torch.atan2(offset[1], offset[0]) + 2 * math.pi, 2 * math.pi)
    assert angle // (math.pi / 2) == 0 and PRESETS['p4'].cells(*offset) // 2 == 1
    assert Partition('angular', 4).cells(*offset) == 3


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
@pytest.mark.parametrize('partition', ANY, ids=str)
def test_compiled_rows_are_the_cells(partition, dtype):
    generator = torch.Generator().manual_seed(3)
    sizes, width = (23, 0, 1, 14), 23
    xyz = torch.randint(-6, 7, (4, width, 3), generator=generator).to(dtype) / 8  # many ties
    start, rows = 5, 16
    cells = chunk_cells(xyz, sizes, start, rows, partition)
    values = torch.rand(4, rows, width, generator=generator, dtype=dtype)
    hits = torch.stack([cells == p for p in range(partition.num_cells)], dim=2)
    wanted = (values[:, :, None] * hits).sum(3)
    assert torch.allclose(sum_by_cell(values, xyz, sizes, start, partition), wanted)
    weights = torch.rand(4, rows, partition.num_cells, generator=generator, dtype=dtype)
    wanted = values * (hits * weights[..., None]).sum(2)
    assert torch.equal(weigh_by_cell(values.clone(), xyz, sizes, start, partition, weights), wanted)
    assert (cells[1] == -1).all() and (cells[0] >= 0).any()


@pytest.mark.parametrize('fields, words', [
    (dict(mode='radial'), 'mode'), (dict(mode='angular', n_azimuth=0), 'at least 1'),
    (dict(mode='fast', n_azimuth=2), 'angular'), (dict(mode='none', shells=(0.5, 0.1)), 'increase'),
    (dict(mode='none', shells=(0.1, ), exclude_radius=0.2), 'increase'), (dict(), 'preset'),
    (dict(preset='p7'), 'p8'), (dict(mode='angular', n_azimuth=20, n_elevation=20), '255')])
def test_wrong_fields_are_named(fields, words):
    with pytest.raises(ValueError, match=words):
        get_partition(**fields)


def test_presets_can_be_changed():
    assert [PRESETS[name].num_cells for name in ('p1', 'p2', 'p4', 'p8', 'fast4')] == [1, 2, 4, 8, 4]
    assert get_partition('p8', exclude_radius=0.1) == Partition('angular', 2, 2, [0.5], 0.1)
