"""mmcv's Python callers that assume CUDA take CPU tensors once mended, and still do what they did elsewhere."""
import sys
import types

import torch

from pretrain3d.engine.mmcv_cpu import callers


def test_the_four_callers_take_cpu_tensors(rng, mended_ops):
    points = torch.rand(1, 20, 3, generator=rng)
    boxes = torch.tensor([[[.5, .5, 0., 2., 2., 2., 0.]]])
    assert (mended_ops.points_in_boxes_all(points, boxes) == 1).all()
    assert (mended_ops.points_in_boxes_part(points, boxes) == 0).all()
    assert torch.equal(mended_ops.knn(1, points)[0, 0], torch.arange(20, dtype=torch.int32))
    chosen = mended_ops.furthest_point_sample(points, 20)
    assert chosen.dtype == torch.int32 and sorted(chosen[0].tolist()) == list(range(20)) and chosen[0, 0] == 0
    assert not mended_ops.furthest_point_sample(points.requires_grad_(), 3).requires_grad


def test_the_points_sampler_of_mmcv(rng, mended_ops):
    points = torch.rand(2, 30, 3, generator=rng)
    sampler = mended_ops.PointsSampler([4, 6], ['D-FPS', 'F-FPS'], [20, -1])
    rows = sampler(points, torch.rand(2, 5, 30, generator=rng))
    assert rows.shape == (2, 10) and (rows[:, :4] < 20).all() and (rows[:, 4:] >= 20).all()


def test_points_elsewhere_go_to_the_old_function():
    forward = callers._sample_on_cpu(lambda ctx, points, count: (points.device.type, count))
    assert forward(None, torch.zeros(1, 2, 3, device='meta'), 5) == ('meta', 5)


def test_mending_twice_changes_nothing(mended_ops):
    sampling = sys.modules['mmcv.ops.furthest_point_sample'].FurthestPointSampling
    before = sampling.forward, sys.modules['mmcv.ops.knn'].torch
    callers.mend_callers()
    assert (sampling.forward, sys.modules['mmcv.ops.knn'].torch) == before


def test_with_cuda_the_modules_keep_their_torch(monkeypatch, mended_ops):
    module = types.SimpleNamespace(torch=torch)
    monkeypatch.setitem(sys.modules, 'mmcv.ops.knn', module)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    callers.mend_callers()
    assert module.torch is torch


def test_the_stand_in_for_torch_differs_in_the_current_device_alone():
    proxy = callers._TorchWithoutCuda()
    assert proxy.cuda.current_device() == torch.zeros(1).get_device() == -1
    assert proxy.int is torch.int and proxy.__version__ == torch.__version__
