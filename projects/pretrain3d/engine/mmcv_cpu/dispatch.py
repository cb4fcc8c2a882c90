"""Beside compiled mmcv: run our implementation on CPU tensors where the compiled function has no CPU kernel."""
import functools
import sys
import types
from typing import Callable

import torch

from .callers import mend_callers

# Extension functions that mmcv 2.1.0 compiles for accelerators alone and that this package implements.
CUDA_ONLY = (
    'ball_query_forward', 'chamfer_distance_backward', 'chamfer_distance_forward',
    'diff_iou_rotated_sort_vertices_forward', 'dynamic_point_to_voxel_backward', 'dynamic_point_to_voxel_forward',
    'furthest_point_sampling_forward', 'furthest_point_sampling_with_dist_forward', 'gather_points_backward',
    'gather_points_forward', 'group_points_backward', 'group_points_forward', 'iou3d_boxes_overlap_bev_forward',
    'iou3d_nms3d_forward', 'iou3d_nms3d_normal_forward', 'knn_forward', 'points_in_boxes_all_forward',
    'points_in_boxes_part_forward', 'sigmoid_focal_loss_backward', 'sigmoid_focal_loss_forward',
    'softmax_focal_loss_backward', 'softmax_focal_loss_forward', 'stack_ball_query_forward',
    'stack_group_points_backward', 'stack_group_points_forward', 'three_interpolate_backward',
    'three_interpolate_forward', 'three_nn_forward')


def _on_cpu(args: tuple, kwargs: dict) -> bool:
    """Whether the first tensor argument lies in main memory."""
    for value in (*args, *kwargs.values()):
        if isinstance(value, torch.Tensor):
            return value.device.type == 'cpu'
    return False


def _by_device(compiled: Callable, ours: Callable) -> Callable:

    @functools.wraps(ours)
    def call(*args, **kwargs):
        return (ours if _on_cpu(args, kwargs) else compiled)(*args, **kwargs)

    call.compiled = compiled
    return call


def _voxelize_by_order(compiled: Callable, ours: Callable) -> Callable:
    """Hard voxelisation has a CPU kernel, except for the non-deterministic order."""

    @functools.wraps(ours)
    def call(*args, **kwargs):
        any_order = not (args[10] if len(args) > 10 else kwargs.get('deterministic', True))
        return (ours if any_order and _on_cpu(args, kwargs) else compiled)(*args, **kwargs)

    call.compiled = compiled
    return call


def install_over_compiled(ext_module: types.ModuleType) -> None:
    """Make mmcv's operators work on CPU tensors; ``ext_module`` is ``mmcv._ext``, compiled or this package.

    A compiled function that has a CPU kernel stays as it is; so does every call with tensors elsewhere. Where
    ``ext_module`` is this package itself (mmcv-lite), only mmcv's Python callers are mended. Calling it again changes
    nothing. All ``mmcv.ops.*.ext_module`` are this one module, so replacing its attributes reaches them all.
    """
    if not getattr(ext_module, 'STAND_IN', False):
        package = sys.modules[__package__]
        for name in CUDA_ONLY:
            compiled = getattr(ext_module, name, None)
            if compiled is not None and not hasattr(compiled, 'compiled'):
                setattr(ext_module, name, _by_device(compiled, getattr(package, name)))
        compiled = ext_module.hard_voxelize_forward
        if not hasattr(compiled, 'compiled'):
            ext_module.hard_voxelize_forward = _voxelize_by_order(compiled, package.hard_voxelize_forward)
    mend_callers()
