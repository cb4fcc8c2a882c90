"""Boxes, info files and resampling lists in the formats of mmdet3d's S3DIS datasets."""
import io
import pickle
from pathlib import Path
from typing import Any, Dict, List

import numpy as np

from ...files import write_atomic
from .reading import SPACE

# Detection classes of S3DIS in mmdet3d's order.
DETECTION_CLASSES = ('table', 'chair', 'sofa', 'bookcase', 'board')
# mmdet3d's default number of points that segmentation samples from a room.
POINTS_PER_SAMPLE = 4096


def instance_boxes(xyz: np.ndarray, label: np.ndarray, instance: np.ndarray) -> List[Dict[str, Any]]:
    """``dict(bbox_3d=[x, y, z, dx, dy, dz] (centre and extents), bbox_label_3d)`` of the instances of the five classes.

    Args:
        xyz: (N, 3). label: (N,) of S3DIS13, the same throughout an instance. instance: (N,), 1 and up.
    """
    classes = {SPACE.index(name): index for index, name in enumerate(DETECTION_CLASSES)}
    boxes = []
    for identity in np.unique(instance):
        rows = instance == identity
        kind = classes.get(int(label[rows][0]))
        if kind is not None:
            low, high = xyz[rows].min(0), xyz[rows].max(0)
            boxes.append(dict(bbox_3d=[*((low + high) / 2).tolist(), *(high - low).tolist()], bbox_label_3d=kind))
    return boxes


def write_infos(out: Path, area: str, records: List[Dict[str, Any]]) -> Path:
    """Write ``s3dis_infos_<area>.pkl`` (mmdet3d info format 1.1) from the rooms' records."""
    data_list = [dict(sample_idx=index, lidar_points=dict(num_pts_feats=6, lidar_path=f'{record["name"]}.bin'),
                      pts_semantic_mask_path=f'{record["name"]}.bin', pts_instance_mask_path=f'{record["name"]}.bin',
                      scan=record['name'], num_points=record['num_points'], instances=record['boxes'])
                 for index, record in enumerate(records)]
    categories = {name: index for index, name in enumerate(DETECTION_CLASSES)}
    path = out / f's3dis_infos_{area}.pkl'
    write_atomic(path, pickle.dumps(dict(
        metainfo=dict(categories=categories, dataset='s3dis', info_version='1.1'), data_list=data_list)))
    return path


def write_seg_info(out: Path, area: str, records: List[Dict[str, Any]]) -> None:
    """Write the class weights and the resampled room indices that ``S3DISSegDataset`` trains with.

    A room occurs in the list in proportion to its points; weights fall with the logarithm of a class's share.
    """
    points = np.array([record['num_points'] for record in records], np.float64)
    counts = np.array([record['class_points'] for record in records]).sum(0)
    repeats = np.maximum(np.round(points / POINTS_PER_SAMPLE).astype(int), 1)
    share = counts / max(counts.sum(), 1)
    for name, array in ((f'{area}_resampled_scene_idxs', np.repeat(np.arange(len(records)), repeats).astype(np.int32)),
                        (f'{area}_label_weight', (1 / np.log(1.2 + share)).astype(np.float32))):
        buffer = io.BytesIO()
        np.save(buffer, array)
        write_atomic(out / 'seg_info' / f'{name}.npy', buffer.getvalue())
