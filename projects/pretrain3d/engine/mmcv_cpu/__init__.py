"""mmcv's extension functions on CPU, one torch, torchvision or numba implementation each.

The package has two lives. Without compiled operators (``mmcv-lite``) the finder loads it under the name ``mmcv._ext``,
so it *is* the extension; hence the relative imports and nothing of pretrain3d, mmdet3d, mmcv or mmengine inside.
Beside compiled operators :func:`install_over_compiled` calls it for CPU tensors where mmcv has no CPU kernel.

Every function takes exactly the arguments with which mmcv 2.1.0's Python calls it, and writes into the tensors that it
is given where the compiled one does. What is not implemented raises when it is called.
"""
import os

from .chamfer import chamfer_distance_backward, chamfer_distance_forward
from .deform_conv import (deform_conv_backward_input, deform_conv_backward_parameters, deform_conv_forward,
                          modulated_deform_conv_backward, modulated_deform_conv_forward)
from .diff_iou import diff_iou_rotated_sort_vertices_forward
from .dispatch import install_over_compiled
from .focal import (sigmoid_focal_loss_backward, sigmoid_focal_loss_forward, softmax_focal_loss_backward,
                    softmax_focal_loss_forward)
from .iou3d import iou3d_boxes_overlap_bev_forward, iou3d_nms3d_forward, iou3d_nms3d_normal_forward
from .missing import missing
from .pointnet import (ball_query_forward, furthest_point_sampling_forward, furthest_point_sampling_with_dist_forward,
                       gather_points_backward, gather_points_forward, group_points_backward, group_points_forward,
                       knn_forward, three_interpolate_backward, three_interpolate_forward, three_nn_forward)
from .points_in_boxes import (points_in_boxes_all_forward, points_in_boxes_cpu_forward, points_in_boxes_part_forward)
from .roi import roi_align_backward, roi_align_forward
from .rotated import box_iou_rotated
from .stacked import stack_ball_query_forward, stack_group_points_backward, stack_group_points_forward
from .suppression import bbox_overlaps, nms, nms_rotated, softnms
from .voxelize import (dynamic_point_to_voxel_backward, dynamic_point_to_voxel_forward, dynamic_voxelize_forward,
                       hard_voxelize_forward)

STAND_IN = True  # tells this package from the compiled extension

__all__ = [
    'STAND_IN', 'ball_query_forward', 'bbox_overlaps', 'box_iou_rotated', 'chamfer_distance_backward',
    'chamfer_distance_forward', 'deform_conv_backward_input', 'deform_conv_backward_parameters', 'deform_conv_forward',
    'diff_iou_rotated_sort_vertices_forward', 'dynamic_point_to_voxel_backward', 'dynamic_point_to_voxel_forward',
    'dynamic_voxelize_forward', 'furthest_point_sampling_forward', 'furthest_point_sampling_with_dist_forward',
    'gather_points_backward', 'gather_points_forward', 'get_compiler_version', 'get_compiling_cuda_version',
    'group_points_backward', 'group_points_forward', 'hard_voxelize_forward', 'install_over_compiled',
    'iou3d_boxes_overlap_bev_forward', 'iou3d_nms3d_forward', 'iou3d_nms3d_normal_forward', 'knn_forward',
    'modulated_deform_conv_backward', 'modulated_deform_conv_forward', 'nms', 'nms_rotated',
    'points_in_boxes_all_forward', 'points_in_boxes_cpu_forward', 'points_in_boxes_part_forward', 'roi_align_backward',
    'roi_align_forward', 'sigmoid_focal_loss_backward', 'sigmoid_focal_loss_forward', 'softmax_focal_loss_backward',
    'softmax_focal_loss_forward', 'softnms', 'stack_ball_query_forward', 'stack_group_points_backward',
    'stack_group_points_forward', 'three_interpolate_backward', 'three_interpolate_forward', 'three_nn_forward'
]


def get_compiler_version() -> str:
    """What mmcv's environment report says of the compiler."""
    return 'n/a (CPU operators of pretrain3d)'


def get_compiling_cuda_version() -> str:
    """What mmcv's environment report says of CUDA."""
    return 'not available'


def __getattr__(name: str):
    """Stand for an extension function that is not implemented; it raises once it is called."""
    if name.startswith('_') or os.path.exists(os.path.join(os.path.dirname(__file__), name + '.py')):
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return missing(name)
