"""Boxes, info files and resampling lists in the formats of mmdet3d's three ScanNet datasets."""
import pickle
from pathlib import Path
from typing import Any, Dict, List

import numpy as np

from ...label_spaces import get_label_space
from ...files import write_atomic

# Detection classes of the ScanNet benchmark in mmdet3d's order, by NYU40 id.
DETECTION_NYU40 = (3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 24, 28, 33, 34, 36, 39)
DETECTION_CLASSES = ('cabinet', 'bed', 'chair', 'sofa', 'table', 'door', 'window', 'bookshelf', 'picture', 'counter',
                     'desk', 'curtain', 'refrigerator', 'showercurtrain', 'toilet', 'sink', 'bathtub', 'garbagebin')
# mmdet3d's default number of points that segmentation samples from a scene.
POINTS_PER_SAMPLE = 8192


def instance_boxes(xyz: np.ndarray, nyu40: np.ndarray, instance: np.ndarray, align: np.ndarray) -> List[Dict[str, Any]]:
    """Axis-aligned boxes of the instances of the 18 detection classes.

    Args:
        xyz: (V, 3) in the scan's frame. nyu40, instance: (V,). align: (4, 4) scan to axis-aligned.

    Returns:
        ``dict(bbox_3d=[x, y, z, dx, dy, dz] (centre and extents), bbox_label_3d, instance_id)`` for each box.
    """
    aligned = xyz @ align[:3, :3].T + align[:3, 3]
    boxes = []
    for identity in np.unique(instance[instance > 0]):
        rows = instance == identity
        raw = int(np.bincount(nyu40[rows]).argmax())
        if raw in DETECTION_NYU40:
            low, high = aligned[rows].min(0), aligned[rows].max(0)
            boxes.append(dict(bbox_3d=[*((low + high) / 2).tolist(), *(high - low).tolist()],
                              bbox_label_3d=DETECTION_NYU40.index(raw), instance_id=int(identity)))
    return boxes


def write_infos(out: Path, split: str, records: List[Dict[str, Any]]) -> Path:
    """Write ``scannet_infos_<split>.pkl`` (mmdet3d info format 1.1) from the scans' records."""
    data_list = []
    for record in records:
        name = record['name']
        entry = dict(lidar_points=dict(num_pts_feats=6, lidar_path=f'{name}.bin'), scan=name,
                     num_points=record['num_points'], axis_align_matrix=np.asarray(record['axis_align']))
        if record['labelled']:
            entry.update(pts_semantic_mask_path=f'{name}.bin', pts_instance_mask_path=f'{name}.bin',
                         instances=record['boxes'])
        data_list.append(entry)
    categories = {name: index for index, name in enumerate(DETECTION_CLASSES)}
    path = out / f'scannet_infos_{split}.pkl'
    write_atomic(path, pickle.dumps(dict(
        metainfo=dict(categories=categories, dataset='scannet', info_version='1.1'), data_list=data_list)))
    return path


def write_frame_infos(out: Path, split: str, records: List[Dict[str, Any]]) -> Path:
    """Write ``scannet_frames_<split>.pkl``: for each scan its cameras, poses and frame files, with their roots."""
    data_list = [dict(scan=record['name'], axis_align_matrix=np.asarray(record['axis_align']), **record['frames'])
                 for record in records if record.get('frames')]
    path = out / f'scannet_frames_{split}.pkl'
    write_atomic(path, pickle.dumps(dict(
        metainfo=dict(dataset='scannet', content='rgbd_frames', info_version='1.1', depth_unit_m=0.001),
        data_list=data_list)))
    return path


def write_seg_info(out: Path, split: str, records: List[Dict[str, Any]]) -> None:
    """Write the class weights and the resampled scene indices that ``ScanNetSegDataset`` trains with.

    A scene occurs in the list in proportion to its points; weights fall with the logarithm of a class's share.
    """
    num_classes = get_label_space('ScanNet20').num_classes
    labelled = [record for record in records if record['labelled']]
    points = np.array([record['num_points'] for record in labelled], np.float64)
    counts = np.array([record['class_points'] for record in labelled]).reshape(-1, num_classes).sum(0)
    repeats = np.maximum(np.round(points / points.sum() * int(points.sum() / POINTS_PER_SAMPLE)).astype(int), 1)
    share = counts / max(counts.sum(), 1)
    for name, array in ((f'{split}_resampled_scene_idxs', np.repeat(np.arange(len(labelled)), repeats)),
                        (f'{split}_label_weight', (1 / np.log(1.2 + share)).astype(np.float32))):
        buffer = _npy(array)
        write_atomic(out / 'seg_info' / f'{name}.npy', buffer)


def _npy(array: np.ndarray) -> bytes:
    import io
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()
