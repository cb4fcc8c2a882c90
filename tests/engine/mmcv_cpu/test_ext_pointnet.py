"""PointNet++ operators against loops, gradients against gradcheck, ties and short input as documented."""
import pytest
import torch

from pretrain3d.engine import mmcv_cpu as ext


def squares(one, two):
    return (one[:, :, None] - two[:, None]).square().sum(-1)


def draw(rng, *shape, dtype=torch.float32):
    return torch.rand(*shape, generator=rng, dtype=dtype)


def farthest_brute(distance, count):
    chosen, nearest = [0], distance[0].clone()
    for _ in range(count - 1):
        chosen.append(int(nearest.argmax()))
        nearest = torch.minimum(nearest, distance[chosen[-1]])
    return chosen


def farthest(function, points, count):
    chosen = torch.full((len(points), count), -1, dtype=torch.int32)
    function(points, points.new_full(points.shape[:2], 1e10), chosen, b=len(points), n=points.shape[1], m=count)
    return chosen.tolist()


def test_farthest_points_equal_a_loop(rng):
    points = draw(rng, 3, 60, 3)
    distance = squares(points, points)
    expected = [farthest_brute(matrix, 12) for matrix in distance]
    assert farthest(ext.furthest_point_sampling_forward, points, 12) == expected
    metric = draw(rng, 2, 30, 30)
    expected = [farthest_brute(matrix, 30) for matrix in metric]
    assert farthest(ext.furthest_point_sampling_with_dist_forward, metric, 30) == expected


def test_farthest_points_when_all_coincide_and_when_none_are_wanted():
    points = torch.ones(1, 5, 3)
    assert farthest(ext.furthest_point_sampling_forward, points, 3) == [[0, 0, 0]]
    assert farthest(ext.furthest_point_sampling_forward, points, 0) == [[]]


def test_farthest_points_keep_the_distances():
    points, temp = torch.tensor([[[0., 0, 0], [1, 0, 0], [3, 0, 0]]]), torch.full((1, 3), 1e10)
    ext.furthest_point_sampling_forward(points, temp, torch.zeros(1, 2, dtype=torch.int32), b=1, n=3, m=2)
    assert temp.tolist() == [[0, 1, 9]]  # from the points chosen before the last, as in the CUDA kernel


def ball_brute(centres, points, low, high, count, start=0):
    rows = []
    for gaps in squares(centres[None], points[None])[0]:
        hits = [k for k, gap in enumerate(gaps.tolist()) if gap == 0 or low**2 <= gap < high**2][:count]
        rows.append(hits + [hits[0]] * (count - len(hits)) if hits else [start] * count)
    return rows


@pytest.mark.parametrize('low, high', [(0., .3), (.2, .4), (0., .01)])
def test_ball_query_equals_a_loop(rng, low, high, mended_ops):
    points = draw(rng, 2, 80, 3)
    centres = torch.cat((points[:, :10], draw(rng, 2, 10, 3)), 1).contiguous()
    expected = [ball_brute(c, p, low, high, 5) for c, p in zip(centres, points)]
    assert mended_ops.ball_query(low, high, 5, points, centres).tolist() == expected


def test_ball_query_is_closed_inside_and_open_outside():
    points, centre = torch.tensor([[[2., 0, 0], [1, 0, 0], [.5, 0, 0], [0, 0, 0]]]), torch.zeros(1, 1, 3)
    index = torch.full((1, 1, 4), 9, dtype=torch.int32)
    ext.ball_query_forward(centre, points, index, b=1, n=4, m=1, min_radius=1., max_radius=2., nsample=4)
    assert index.tolist() == [[[1, 3, 1, 1]]]
    ext.ball_query_forward(centre + 50, points, index, b=1, n=4, m=1, min_radius=1., max_radius=2., nsample=4)
    assert index.tolist() == [[[1, 3, 1, 1]]]


def test_nearest_neighbours_equal_a_loop(rng, mended_ops):
    points, centres = draw(rng, 2, 70, 3), draw(rng, 2, 15, 3)
    gaps = squares(centres, points)
    best, rows = gaps.sort(-1)
    assert torch.equal(mended_ops.knn(6, points, centres).long(), rows[..., :6].transpose(1, 2))
    index, dist2 = torch.zeros(2, 15, 6, dtype=torch.int32), torch.zeros(2, 15, 6)
    ext.knn_forward(points, centres, index, dist2, b=2, n=70, m=15, nsample=6)
    torch.testing.assert_close(dist2, best[..., :6])
    distance, index = mended_ops.three_nn(centres, points)
    torch.testing.assert_close(distance, best[..., :3].sqrt())
    assert torch.equal(index.long(), rows[..., :3])


def test_nearest_neighbours_of_ties_and_of_too_few_points():
    centre, points = torch.zeros(1, 1, 3), torch.tensor([[[1., 0, 0], [0, 1, 0]]])
    dist2, index = torch.zeros(1, 1, 3), torch.full((1, 1, 3), 9, dtype=torch.int32)
    ext.three_nn_forward(centre, points, dist2, index, b=1, n=1, m=2)
    assert dist2.tolist() == [[[1, 1, float('inf')]]] and index.tolist() == [[[0, 1, 0]]]
    ext.knn_forward(points, centre, index, dist2, b=1, n=2, m=1, nsample=3)
    assert dist2.tolist() == [[[1, 1, 1e10]]] and index.tolist() == [[[0, 1, 0]]]
    ext.knn_forward(torch.ones(1, 5, 3), centre, index, dist2, b=1, n=5, m=1, nsample=3)
    assert index.tolist() == [[[0, 1, 2]]]


def test_gathering_equals_a_loop(rng, mended_ops):
    features = draw(rng, 2, 4, 20)
    index = torch.randint(0, 20, (2, 6, 3), generator=rng, dtype=torch.int32)
    weight = draw(rng, 2, 6, 3)
    grouped = mended_ops.grouping_operation(features, index)
    gathered = mended_ops.gather_points(features, index[..., 0].contiguous())
    mixed = mended_ops.three_interpolate(features, index, weight)
    for b, c, i in torch.cartesian_prod(*map(torch.arange, (2, 4, 6))).tolist():
        column = features[b, c, index[b, i].long()]
        assert torch.equal(grouped[b, c, i], column) and gathered[b, c, i] == column[0]
        torch.testing.assert_close(mixed[b, c, i], (column * weight[b, i]).sum())


def test_gradients(rng, mended_ops):
    features = draw(rng, 2, 3, 10, dtype=torch.float64).requires_grad_()
    index = torch.randint(0, 5, (2, 6, 3), generator=rng, dtype=torch.int32)  # repeats: gradients add up
    weight = draw(rng, 2, 6, 3, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: mended_ops.grouping_operation(x, index), features)
    assert torch.autograd.gradcheck(lambda x: mended_ops.gather_points(x, index[..., 0].contiguous()), features)
    assert torch.autograd.gradcheck(lambda x: mended_ops.three_interpolate(x, index, weight), features)


def test_query_and_group_of_mmcv(rng, mended_ops):
    points, features = draw(rng, 1, 40, 3), draw(rng, 1, 2, 40)
    centres = points[:, :6].contiguous()
    rows = torch.tensor(ball_brute(centres[0], points[0], 0., .3, 4))
    grouped = mended_ops.QueryAndGroup(.3, 4)(points, centres, features)[0]
    torch.testing.assert_close(grouped[:3], (points[0, rows] - centres[0, :, None]).permute(2, 0, 1))
    torch.testing.assert_close(grouped[3:], features[0][:, rows])
