import numpy as np
import pytest
import torch

from pretrain3d.datasets.sparse_batch import build_sparse_batch, gather_points, vote_voxel_labels, voxel_positions

SIZE = (0.2, 0.25, 0.5)


def clouds(seed=0, sizes=(40, 0, 25, 1)):
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(n, 5, generator=generator) * 4 - 2 for n in sizes]


def brute(points, limits=None):
    """Voxel of every point by python arithmetic: {(batch, x, y, z): [points]} in order of first occurrence."""
    cells = {}
    for b, cloud in enumerate(points):
        xyz = cloud[:, :3].double().numpy()
        origin = np.zeros(3) if limits is None else np.array(limits[:3])
        bins = np.floor((xyz - origin) / np.array(SIZE)).astype(int)
        if limits is None:
            bins = bins - (bins.min(0) if len(bins) else 0)
            grid = np.full(3, 10 ** 9)
        else:
            grid = np.round((np.array(limits[3:]) - origin) / SIZE).astype(int)
        for i, cell in enumerate(bins):
            if (cell >= 0).all() and (cell < grid).all():
                cells.setdefault((b, *cell.tolist()), []).append(i)
    return cells


@pytest.mark.parametrize('limits', [None, (-1, -1, -1, 1, 1.5, 1)])
@pytest.mark.parametrize('order', ['bxyz', 'bzyx'])
def test_against_brute_force(limits, order):
    points = clouds()
    cells = brute(points, limits)
    sparse = build_sparse_batch(points, SIZE, limits, order)
    found = sparse['coors'] if order == 'bxyz' else sparse['coors'][:, [0, 3, 2, 1]]
    assert [tuple(row) for row in found.tolist()] == list(cells)
    assert sparse['coors'].dtype == torch.int32 and sparse['voxels'].dtype == torch.float32
    assert (found[:, 0].diff() >= 0).all() and (found >= 0).all()
    assert sparse['batch_size'] == 4
    for row, (cell, members) in enumerate(cells.items()):
        assert torch.allclose(sparse['voxels'][row], points[cell[0]][members].mean(0))
        assert (sparse['point2voxel'][cell[0]][members] == row).all()
    outside = sum(int((rows < 0).sum()) for rows in sparse['point2voxel'])
    assert outside == sum(map(len, points)) - sum(map(len, cells.values()))
    assert (outside > 0) == (limits is not None)
    extents = [10, 10, 4] if limits else [max(c[i] for c in cells) + 1 for i in (1, 2, 3)]
    assert sparse['spatial_shape'] == (extents if order == 'bxyz' else extents[::-1])
    assert all(type(extent) is int for extent in sparse['spatial_shape'])
    assert [len(rows) for rows in sparse['point2voxel']] == [40, 0, 25, 1]


def test_first_point_and_point_of_lowest_rank():
    points = clouds(1)
    cells = brute(points)
    first = build_sparse_batch(points, SIZE, reduce='first')
    torch.manual_seed(0)
    ranks = [torch.randperm(len(cloud)).flip(0) if index else torch.arange(len(cloud)).flip(0)
             for index, cloud in enumerate(points)]
    chosen = build_sparse_batch(points, SIZE, reduce='first', ranks=ranks, feature_dims=[4, 0])
    differ = 0
    for row, (cell, members) in enumerate(cells.items()):
        cloud = points[cell[0]]
        best = min(members, key=lambda i: ranks[cell[0]][i])
        assert torch.equal(first['voxels'][row], cloud[members[0]])
        assert torch.equal(chosen['voxels'][row], cloud[best][[4, 0]])
        differ += best != members[0]
    assert differ


def test_ranks_follow_the_points_inside_the_range():
    points = [torch.tensor([[5., 5, 5], [.1, .1, .1], [.15, .1, .1]])]
    limits = (0, 0, 0, 1, 1, 1)
    sparse = build_sparse_batch(points, SIZE, limits, reduce='first', ranks=[torch.tensor([0, 2, 1])])
    assert torch.equal(sparse['voxels'], points[0][2:])


def test_a_batch_without_any_point():
    sparse = build_sparse_batch([torch.zeros(0, 4), torch.zeros(0, 4)], SIZE)
    assert sparse['coors'].shape == (0, 4) and sparse['voxels'].shape == (0, 4)
    assert sparse['batch_size'] == 2 and sparse['spatial_shape'] == [1, 1, 1]
    assert [rows.tolist() for rows in sparse['point2voxel']] == [[], []]


def test_labels_by_vote_and_points_outside_do_not_vote():
    points = [torch.tensor([[.1, .1, .1], [.1, .1, .2], [.1, .1, .3], [.9, .9, .9], [9., 9, 9]]), torch.zeros(0, 3)]
    sparse = build_sparse_batch(points, (.5, .5, .5), (0, 0, 0, 1, 1, 1))
    labels = [torch.tensor([2, 1, 1, 3, 0]), torch.zeros(0, dtype=torch.long)]
    voted = vote_voxel_labels(labels, sparse, num_classes=3)
    assert [one.tolist() for one in voted] == [[1, 3], []]
    with pytest.raises(ValueError, match='pts_semantic_mask'):
        vote_voxel_labels([labels[0][:4], labels[1]], sparse, 3)


def test_points_get_the_values_of_their_voxel_and_zero_outside():
    points = clouds(2)
    sparse = build_sparse_batch(points, SIZE, (-1, -1, -1, 1, 1, 1))
    values = torch.arange(1., len(sparse['coors']) + 1)[:, None].requires_grad_()
    gathered = gather_points(values, sparse)
    for rows, one in zip(sparse['point2voxel'], gathered):
        assert one[:, 0].tolist() == [row + 1. if row >= 0 else 0. for row in rows.tolist()]
    sum(one.sum() for one in gathered).backward()
    assert values.grad.min() >= 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_same_on_the_gpu():
    points = clouds(3)
    torch.manual_seed(0)
    ranks = [torch.randperm(len(cloud)).flip(0) if index else torch.arange(len(cloud)).flip(0)
             for index, cloud in enumerate(points)]
    cpu = build_sparse_batch(points, SIZE, (-1, -1, -1, 1, 1, 1), reduce='first', ranks=ranks)
    gpu = build_sparse_batch([cloud.to('cuda') for cloud in points], SIZE, (-1, -1, -1, 1, 1, 1), reduce='first',
                             ranks=[rank.to('cuda') for rank in ranks])
    assert torch.equal(cpu['coors'], gpu['coors'].cpu()) and torch.equal(cpu['voxels'], gpu['voxels'].cpu())
    assert all(torch.equal(a, b.cpu()) for a, b in zip(cpu['point2voxel'], gpu['point2voxel']))


@pytest.mark.parametrize('limits', [None, (0, 0, 0, 2, 2, 2)])
def test_a_voxel_lies_at_the_mean_of_its_points(limits):
    points = clouds(sizes=(400, 0, 250))
    sparse = build_sparse_batch(points, SIZE, limits)
    rows, cloud = torch.cat(sparse['point2voxel']), torch.cat(points)[:, :3]
    wanted = torch.stack([cloud[rows == row].mean(0) for row in range(len(sparse['coors']))])
    assert len(wanted) > 50 and torch.allclose(voxel_positions(points, sparse), wanted)
