"""``KittiMetric`` without a GPU: its bird's-eye overlap is a ``numba.cuda`` kernel that cannot even be imported."""
import sys
from types import ModuleType

import numpy as np
import torch

MODULE = 'mmdet3d.evaluation.functional.kitti_utils.rotate_iou'


def rotate_iou_eval(boxes: np.ndarray, query_boxes: np.ndarray, criterion: int = -1, device_id: int = 0) -> np.ndarray:
    """Overlap of every box with every query box in KITTI's bird's-eye plane.

    Args:
        boxes: (N, 5) [x, z, length along x, length along z, yaw], metres and radians, yaw clockwise.
        query_boxes: (K, 5) of the same.
        criterion: -1 intersection over union, 0 over the query's area, 1 over the box's area, else the intersection.
        device_id: Read by the CUDA kernel only.

    Returns:
        (N, K) float32.
    """
    from mmcv.ops import box_iou_rotated
    if len(boxes) == 0 or len(query_boxes) == 0:
        return np.zeros((len(boxes), len(query_boxes)), dtype=np.float32)
    first, second = (torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
                     for array in (boxes, query_boxes))
    iou = box_iou_rotated(first, second, mode='iou', clockwise=False)
    if criterion == -1:
        return iou.numpy()
    area, query_area = (first[:, 2] * first[:, 3])[:, None], (second[:, 2] * second[:, 3])[None]
    intersection = iou * (area + query_area) / (1 + iou)
    if criterion == 0:
        intersection = intersection / query_area
    elif criterion == 1:
        intersection = intersection / area
    return intersection.numpy()


def mend() -> None:
    """Stand in for the module of the CUDA kernel where numba finds no CUDA."""
    from numba import cuda
    if MODULE in sys.modules or cuda.is_available():
        return
    module = ModuleType(MODULE, __doc__)
    module.rotate_iou_gpu_eval = rotate_iou_eval
    sys.modules[MODULE] = module
