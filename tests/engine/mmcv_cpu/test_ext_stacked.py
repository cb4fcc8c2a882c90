"""Ragged PointNet++ operators against loops over the samples."""
import torch

from pretrain3d.engine import mmcv_cpu as ext

POINTS, CENTRES = torch.tensor([30, 0, 20], dtype=torch.int32), torch.tensor([5, 0, 4], dtype=torch.int32)


def sample_of(row, counts):
    """Sample that owns a row, and the row at which it starts."""
    ends = counts.cumsum(0).tolist()
    sample = next(i for i, end in enumerate(ends) if row < end)
    return sample, ends[sample] - int(counts[sample])


def start_of(sample):
    return int(POINTS[:sample].sum())


def test_ball_query_equals_a_loop(rng, mended_ops):
    points = torch.rand(50, 3, generator=rng)
    centres = torch.cat((torch.rand(8, 3, generator=rng), torch.full((1, 3), 99.)))
    found = mended_ops.ball_query(0, .45, 4, points, centres, POINTS, CENTRES)
    for row, centre in enumerate(centres):
        sample, _ = sample_of(row, CENTRES)
        own = points[start_of(sample):start_of(sample) + int(POINTS[sample])]
        hits = [k for k, point in enumerate(own) if float(((point - centre)**2).sum()) < .45**2][:4]
        expected = hits + [hits[0]] * (4 - len(hits)) if hits else [-1, 0, 0, 0]
        assert found[row].tolist() == expected
    assert found[8].tolist() == [-1, 0, 0, 0] and (found[:8, 0] >= 0).any()


def test_grouping_and_its_gradient_equal_a_loop(rng, mended_ops):
    features = torch.rand(50, 3, generator=rng, dtype=torch.float64, requires_grad=True)
    index = torch.randint(0, 20, (9, 4), generator=rng, dtype=torch.int32)
    grouped = mended_ops.grouping_operation(features, index, POINTS, CENTRES)
    for row in range(9):
        sample, _ = sample_of(row, CENTRES)
        torch.testing.assert_close(grouped[row], features[start_of(sample) + index[row].long()].t())
    assert torch.autograd.gradcheck(lambda x: mended_ops.grouping_operation(x, index, POINTS, CENTRES), features)


def test_rows_outside_their_sample_are_not_read(rng):
    features, out = torch.rand(50, 3, generator=rng), torch.full((9, 3, 2), 7.)
    index = torch.tensor([[-1, 30]] * 5 + [[-1, 20]] * 4, dtype=torch.int32)
    ext.stack_group_points_forward(features, POINTS, index, CENTRES, out, b=3, m=9, c=3, nsample=2)
    assert (out == 7).all()
    grad = torch.zeros(50, 3)
    ext.stack_group_points_backward(out, index, CENTRES, POINTS, grad, b=3, c=3, m=9, n=50, nsample=2)
    assert (grad == 0).all()
