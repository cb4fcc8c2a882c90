"""``NuScenesMetric`` for cameras without a GPU: it moves the boxes of six images to CUDA before their joint NMS."""
import functools
from typing import Tuple

import numpy as np
import torch
from torch import Tensor

NUM_CLASSES = 10


def boxes_on_cpu(boxes: list) -> Tuple[object, Tensor, Tensor]:
    """Turn nuScenes boxes in a camera's frame into mmdet3d's camera boxes.

    Args:
        boxes: nuscenes-devkit ``Box`` objects (centre in metres, ``wlh``, orientation, velocity, score, label).

    Returns:
        ``CameraInstance3DBoxes`` of (N, 9) [x, y, z, l, h, w, yaw, vx, vz], (N, 11) scores with a column per class
        and one for background, (N,) labels.
    """
    from mmdet3d.structures import CameraInstance3DBoxes
    rows = np.zeros((len(boxes), 9), dtype=np.float32)
    for row, box in zip(rows, boxes):
        width, length, height = box.wlh
        # nuScenes turns about z up, mmdet3d's camera boxes about y down
        row[:] = (*box.center, length, height, width, -box.orientation.yaw_pitch_roll[0], *box.velocity[0::2])
    scores = torch.tensor([box.score for box in boxes], dtype=torch.float32)
    labels = torch.tensor([box.label for box in boxes], dtype=torch.int64)
    per_class = scores.new_zeros(len(boxes), NUM_CLASSES + 1)
    per_class[torch.arange(len(boxes)), labels] = scores
    return CameraInstance3DBoxes(torch.from_numpy(rows), box_dim=9, origin=(0.5, 0.5, 0.5)), per_class, labels


def mend() -> None:
    """Use :func:`boxes_on_cpu` inside the metric where there is no CUDA."""
    from mmdet3d.evaluation.metrics import nuscenes_metric
    original = nuscenes_metric.nusc_box_to_cam_box3d
    if hasattr(original, 'by_device'):
        return

    @functools.wraps(original)
    def by_device(boxes: list) -> Tuple[object, Tensor, Tensor]:
        return original(boxes) if torch.cuda.is_available() else boxes_on_cpu(boxes)

    by_device.by_device = True
    nuscenes_metric.nusc_box_to_cam_box3d = by_device
