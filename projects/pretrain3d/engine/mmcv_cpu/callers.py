"""Mends of mmcv's Python around the extension functions: four callers assume CUDA before they reach the operator."""
import importlib
import sys
import types

import torch

# Modules that ask ``torch.cuda.current_device()`` whatever device their tensors are on.
ASKS_CURRENT_DEVICE = ('mmcv.ops.points_in_boxes', 'mmcv.ops.knn')


class _TorchWithoutCuda:
    """``torch``, but the current CUDA device is -1, which is what ``Tensor.get_device()`` says on a CPU."""

    def __init__(self):
        self.cuda = types.SimpleNamespace(current_device=lambda: -1)

    def __getattr__(self, name: str):
        return getattr(torch, name)


def _sample_on_cpu(on_cuda):
    """``FurthestPointSampling.forward`` with its buffers on the CPU when the points are there."""

    def forward(ctx, points_xyz: torch.Tensor, num_points: int) -> torch.Tensor:
        if points_xyz.device.type != 'cpu':
            return on_cuda(ctx, points_xyz, num_points)
        batch, count = points_xyz.shape[:2]
        points_xyz = points_xyz.detach().contiguous()
        output = points_xyz.new_zeros((batch, num_points), dtype=torch.int32)
        temp = points_xyz.new_full((batch, count), 1e10)
        module = sys.modules['mmcv.ops.furthest_point_sample']
        module.ext_module.furthest_point_sampling_forward(points_xyz, temp, output, b=batch, n=count, m=num_points)
        ctx.mark_non_differentiable(output)
        return output

    forward.mended = True
    return forward


def mend_callers() -> None:
    """Let ``points_in_boxes_part``, ``points_in_boxes_all``, ``knn`` and ``furthest_point_sample`` take CPU tensors.

    Acts inside mmcv's modules, so that whoever imported the functions by name gets the mend too. Calling it again
    changes nothing.
    """
    importlib.import_module('mmcv.ops')  # here, not above: in its first life this package is loaded by mmcv.ops
    if not torch.cuda.is_available():  # with CUDA, mmcv's question has an answer and its consequence is harmless
        for name in ASKS_CURRENT_DEVICE:
            module = sys.modules[name]
            if not isinstance(module.torch, _TorchWithoutCuda):
                module.torch = _TorchWithoutCuda()
    sampling = sys.modules['mmcv.ops.furthest_point_sample'].FurthestPointSampling
    if not getattr(sampling.forward, 'mended', False):
        sampling.forward = staticmethod(_sample_on_cpu(sampling.forward))
