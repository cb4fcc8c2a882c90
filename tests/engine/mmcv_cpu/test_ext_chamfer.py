"""Chamfer distance against loops."""
import torch

from pretrain3d.engine import mmcv_cpu as ext


def nearest(point, others):
    gaps = [float(((point - other)**2).sum()) for other in others]
    return min(gaps), gaps.index(min(gaps))


def test_distances_equal_a_loop(rng, mended_ops):
    one, two = torch.randn(2, 30, 2, generator=rng), torch.randn(2, 20, 2, generator=rng)
    dist1, dist2, idx1, idx2 = mended_ops.chamfer_distance(one, two)
    for b in range(2):
        for source, target, dist, index in ((one, two, dist1, idx1), (two, one, dist2, idx2)):
            expected = [nearest(point, target[b]) for point in source[b]]
            torch.testing.assert_close(dist[b], torch.tensor([gap for gap, _ in expected]))
            assert index[b].tolist() == [row for _, row in expected]


def test_gradients_equal_autograd(rng):
    one = torch.randn(2, 15, 2, generator=rng, dtype=torch.float64, requires_grad=True)
    two = torch.randn(2, 12, 2, generator=rng, dtype=torch.float64, requires_grad=True)
    grads = torch.randn(2, 15, generator=rng).double(), torch.randn(2, 12, generator=rng).double()
    gaps = (one[:, :, None] - two[:, None]).square().sum(-1)
    best1, best2 = gaps.min(2), gaps.min(1)
    ((best1[0] * grads[0]).sum() + (best2[0] * grads[1]).sum()).backward()
    found = torch.zeros_like(one), torch.zeros_like(two)
    ext.chamfer_distance_backward(one, two, best1[1].int(), best2[1].int(), *grads, *found)
    torch.testing.assert_close(found[0], one.grad)
    torch.testing.assert_close(found[1], two.grad)
