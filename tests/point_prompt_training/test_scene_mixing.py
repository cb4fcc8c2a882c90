"""Scenes laid into one another, against one cloud that holds both."""
import pytest
import torch

from pretrain3d.datasets.sparse_batch import build_sparse_batch
from pretrain3d.point_prompt_training.scene_mixing import mix_scenes, mixed_scene_ids

SIZE = (0.1, 0.1, 0.1)


def drawn(sizes=(300, 260, 200, 180, 90), order='bxyz', limits=None, seed=0):
    """Clouds whose extents differ, with features that tell scene and point apart, and their sparse batch."""
    generator = torch.Generator().manual_seed(seed)
    clouds = []
    for place, size in enumerate(sizes):
        xyz = torch.rand(size, 3, generator=generator) * torch.tensor([1.2, 0.7 + 0.2 * place, 0.4]) - 0.3 * place
        tag = torch.full((size, 1), float(place)), torch.arange(size, dtype=torch.float32)[:, None]
        clouds.append(torch.cat([xyz, *tag], 1))
    return clouds, build_sparse_batch(clouds, SIZE, limits, order, 'first', [3, 4])


def cells_of(sparse, place):
    """Coordinates of the voxels of a scene as x, y, z."""
    own = sparse['coors'][sparse['coors'][:, 0] == place, 1:].long()
    return own if sparse['coors_order'] == 'bxyz' else own.flip(1)


def slow_pair(sparse, first, second):
    """Cells of both scenes together, each moved by whole voxels, middle on middle, floor on floor."""
    moved = []
    for place in (first, second):
        cells = cells_of(sparse, place)
        for axis in range(3):
            low, high = int(cells[:, axis].min()), int(cells[:, axis].max())
            cells[:, axis] -= low if axis == 2 else (low + high) // 2
        moved.append(cells)
    low = torch.cat(moved).amin(0)
    return [{tuple(cell): row for row, cell in enumerate((cells - low).tolist())} for cells in moved]


@pytest.mark.parametrize('order', ['bxyz', 'bzyx'])
@pytest.mark.parametrize('limits', [None, (-2, -2, -2, 2, 2, 2)])
def test_a_mixed_pair_is_the_voxels_of_both_each_once(order, limits):
    _, sparse = drawn(order=order, limits=limits)
    mixed, rows = mix_scenes(sparse, 1., [1, 2, 3, 4, 5])
    assert mixed['batch_size'] == 3 and (rows.diff() > 0).all()
    assert len({tuple(row) for row in mixed['coors'].tolist()}) == len(mixed['coors'])
    assert (mixed['coors'][:, 0].diff() >= 0).all() and (mixed['coors'] >= 0).all()
    assert mixed['coors'].dtype == torch.int32 and torch.equal(mixed['voxels'], sparse['voxels'][rows])
    extents = mixed['coors'][:, 1:].amax(0) + 1
    assert mixed['spatial_shape'] == extents.tolist()
    for target, (first, second) in enumerate(((0, 1), (2, 3))):
        one, other = slow_pair(sparse, first, second)
        cells = [tuple(cell) for cell in cells_of(mixed, target).tolist()]
        assert set(cells) == set(one) | set(other)
        own = rows[mixed['coors'][:, 0] == target]
        both, wins = set(one) & set(other), 0
        assert len(both) > 30
        for cell, row in zip(cells, own.tolist()):
            scene = int(sparse['coors'][row, 0])
            assert cell in (one if scene == first else other)
            local = row - int((sparse['coors'][:, 0] < scene).sum())
            assert (one if scene == first else other)[cell] == local
            wins += cell in both and scene == first
        assert abs(wins - len(both) / 2) < 4 * (len(both) / 4) ** 0.5  # a coin for each shared voxel
    last = sparse['coors'][:, 0] == 4
    assert torch.equal(mixed['coors'][mixed['coors'][:, 0] == 2, 1:], sparse['coors'][last, 1:])


def test_it_is_the_sparse_batch_of_both_clouds_in_one():
    """Mixed before voxelisation, by whole voxels: the same voxels come out."""
    clouds, sparse = drawn(sizes=(300, 260))
    mixed, _ = mix_scenes(sparse, 1., [1, 2])
    joined = []
    for place, cloud in enumerate(clouds):
        cells = torch.floor(cloud[:, :3].double() / 0.1).long()
        low, high = cells.amin(0), cells.amax(0)
        # Extents count from the scene's own corner.
        anchor = low + torch.tensor([*((high - low)[:2] // 2).tolist(), 0])
        joined.append(torch.cat([(cells - anchor).float() * 0.1 + 0.05, cloud[:, 3:]], 1))
    one = build_sparse_batch([torch.cat(joined)], SIZE)
    assert {tuple(row) for row in one['coors'].tolist()} == {tuple(row) for row in mixed['coors'].tolist()}
    assert one['spatial_shape'] == mixed['spatial_shape']


def test_points_find_the_voxel_of_the_mixed_batch_that_holds_them():
    clouds, sparse = drawn(limits=(-1, -1, -1, 1, 1, 1))
    mixed, rows = mix_scenes(sparse, 1., [1, 2, 3, 4, 5])
    outside = 0
    for place in range(5):
        for before, after in zip(sparse['point2voxel'][place].tolist(), mixed['point2voxel'][place].tolist()):
            outside += before < 0
            assert (before < 0) == (after < 0)
            if before >= 0:
                assert int(mixed['coors'][after, 0]) == place // 2
                assert rows[after] == before or int(sparse['coors'][rows[after], 0]) == place ^ 1
    assert outside > 10 and len(rows) < len(sparse['coors'])


def test_corners_do_not_decide():
    """The released code lays corner on corner: a room of half the size then fills one quarter of the other."""
    def square(side):
        ticks = torch.arange(0.05, side, 0.1)
        return torch.cat([torch.cartesian_prod(ticks, ticks, torch.tensor([0.05])), torch.zeros(len(ticks) ** 2, 1)], 1)

    sparse = build_sparse_batch([square(2.), square(1.)], SIZE)
    counts = []
    for seed in range(30):
        mixed, rows = mix_scenes(sparse, 1., [seed, seed])
        small = mixed['coors'][sparse['coors'][rows, 0] == 1, 1:3]
        counts.append(small)
    small = torch.cat(counts)
    assert small.amin(0).tolist() == [5, 5] and small.amax(0).tolist() == [14, 14]


def test_probability_order_and_domains():
    ids = [mixed_scene_ids([seed, 0, seed + 1000, 0], 0.8) for seed in range(500)]
    assert all(one in ([0, 0, 1, 1], [0, 0, 1, 2], [0, 1, 2, 2], [0, 1, 2, 3]) for one in ids)
    share = sum(one[0] == one[1] for one in ids) / 500
    assert abs(share - 0.8) < 5 * (0.16 / 500) ** 0.5
    assert mixed_scene_ids([1, 2, 3], 1.) == [0, 0, 1] and mixed_scene_ids([1, 2], 0.) == [0, 1]
    assert mixed_scene_ids([5], 1.) == [0] and mixed_scene_ids([], 1.) == []
    assert mixed_scene_ids([1, 2, 3, 4], 1., ['a', 'b', 'b', 'b']) == [0, 1, 2, 2]
    _, sparse = drawn(sizes=(30, 40, 50, 60))
    sparse['domains'] = ['a', 'b', 'b', 'b']
    mixed, _ = mix_scenes(sparse, 1., [1, 2, 3, 4])
    assert mixed['domains'] == ['a', 'b', 'b'] and mixed['batch_size'] == 3
    assert mix_scenes({**sparse, 'domains': 'a'}, 1., [1, 2, 3, 4])[0]['domains'] == 'a'


def test_nothing_mixed_is_the_batch_itself():
    _, sparse = drawn()
    mixed, rows = mix_scenes(sparse, 0., [1, 2, 3, 4, 5])
    assert mixed is sparse and torch.equal(rows, torch.arange(len(sparse['coors'])))


def test_empty_scenes():
    for sizes in ((0, 50), (50, 0), (0, 0)):
        _, sparse = drawn(sizes=sizes)
        mixed, rows = mix_scenes(sparse, 1., [1, 2])
        assert mixed['batch_size'] == 1 and len(rows) == len(sparse['coors']) == len(mixed['coors'])
        assert [len(one) for one in mixed['point2voxel']] == list(sizes)
        # Moved as a whole at most.
        assert mixed['coors'][:, 1:].amin(0).tolist() == [0, 0, 0] if len(rows) else mixed['spatial_shape'] == [1] * 3


def test_a_pair_is_the_same_in_any_batch():
    _, sparse = drawn(sizes=(300, 260, 200, 180))
    _, part = drawn(sizes=(300, 260))
    mixed, rows = mix_scenes(sparse, 0.5, [3, 4, 5, 6])
    alone, few = mix_scenes(part, 0.5, [3, 4])
    own = mixed['coors'][:, 0] <= alone['coors'][:, 0].max()
    assert torch.equal(mixed['coors'][own], alone['coors']) and torch.equal(rows[own], few)
