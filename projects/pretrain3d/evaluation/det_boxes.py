"""From mmdet3d's boxes and info files to nuscenes-devkit's ``DetectionBox`` in the global frame.

Three frames meet here. LiDAR: where mmdet3d trains and where info files keep their boxes (x, y, z of the box *centre*,
l, w, h, yaw counter-clockwise from +x); ``LiDARInstance3DBoxes`` keep the same numbers but the centre of the *bottom*
face. Ego: LiDAR moved by ``lidar2ego``. Global: ego moved by ``ego2global``; nuScenes evaluates here, with sizes in
(w, l, h) order and rotations as quaternions (w, x, y, z).
"""
import difflib
from dataclasses import dataclass
from typing import Dict, List, Optional, Sequence

import numpy as np
from nuscenes.eval.detection.constants import ATTRIBUTE_NAMES, DETECTION_NAMES
from nuscenes.eval.detection.data_classes import DetectionBox
from scipy.spatial.transform import Rotation

# Label order of mmdet3d's nuScenes converter, for info files that do not name their categories.
CONVERTER_CLASSES = ('car', 'truck', 'trailer', 'bus', 'construction_vehicle', 'bicycle', 'motorcycle', 'pedestrian',
                     'traffic_cone', 'barrier')
# Speed (m/s) above which mmdet3d's nuScenes metric calls a predicted object moving.
MOVING = 0.2


@dataclass(frozen=True)
class FramePose:
    """Where a LiDAR frame lies in the world.

    Attributes:
        rotation: LiDAR to global.
        translation: (3,) origin of the LiDAR in the global frame, metres.
        ego: (3,) origin of the ego vehicle in the global frame, metres; ranges are measured from here.
    """
    rotation: Rotation
    translation: np.ndarray
    ego: np.ndarray

    @classmethod
    def from_info(cls, info: dict) -> 'FramePose':
        """Pose of one entry of an info file's ``data_list``; needs ``lidar_points.lidar2ego`` and ``ego2global``."""
        lidar2ego = _rigid(info.get('lidar_points', {}).get('lidar2ego'), 'lidar_points.lidar2ego', info)
        ego2global = _rigid(info.get('ego2global'), 'ego2global', info)
        lidar2global = ego2global @ lidar2ego
        # from_matrix takes the nearest rotation, so float32 matrices do no harm.
        return cls(Rotation.from_matrix(lidar2global[:3, :3]), lidar2global[:3, 3], ego2global[:3, 3])


def _rigid(matrix: object, key: str, info: dict) -> np.ndarray:
    """``matrix`` as a (4, 4) float64 rigid transform, or a ValueError that names the key and the sample."""
    where = f'sample {info.get("token", info.get("sample_idx"))!r}'
    if matrix is None:
        raise ValueError(f'{where} has no {key!r}, which is needed to evaluate in the global frame; '
                         "create the info file with mmdet3d's nuScenes converter (v1.1)")
    matrix = np.asarray(matrix, dtype=np.float64)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        raise ValueError(f'{where}: {key!r} is not a finite 4x4 matrix')
    if not np.allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3), atol=1e-3) or np.linalg.det(matrix[:3, :3]) < 0:
        raise ValueError(f'{where}: the upper left 3x3 of {key!r} is not a rotation')
    return matrix


def check_class_names(classes: Sequence[str]) -> List[str]:
    """The names as a list; ValueError with the nearest devkit name for one that nuScenes detection does not know."""
    for name in classes:
        if name not in DETECTION_NAMES:
            near = difflib.get_close_matches(str(name), DETECTION_NAMES, n=1, cutoff=0.4)
            hint = f'; did you mean {near[0]!r}?' if near else ''
            raise ValueError(f'unknown nuScenes detection class {name!r}{hint} '
                             f'Known: {", ".join(DETECTION_NAMES)}. Mend metainfo.classes of the dataset.')
    return list(classes)


def label_names(metainfo: dict) -> Dict[int, str]:
    """Label -> class name of an info file, from its ``categories`` (name -> label) where it has them."""
    categories = metainfo.get('categories')
    if not categories:
        return dict(enumerate(CONVERTER_CLASSES))
    return {int(label): name for name, label in categories.items()}


def boxes_to_global(boxes: np.ndarray, pose: FramePose) -> Dict[str, np.ndarray]:
    """LiDAR boxes by their centre -> the fields of ``DetectionBox``.

    Args:
        boxes: (N, 9) x, y, z (centre), l, w, h, yaw, vx, vy in the LiDAR frame, metres, radians, m/s; NaN velocity is
            kept as NaN.
        pose: of the frame.

    Returns:
        translation (N, 3), size (N, 3) as w, l, h, rotation (N, 4) as w, x, y, z, velocity (N, 2), ego (N, 3: centre
        minus ego position, global axes).
    """
    boxes = np.asarray(boxes, dtype=np.float64).reshape(-1, 9)
    translation = boxes[:, :3] @ pose.rotation.as_matrix().T + pose.translation
    flat_velocity = np.concatenate([boxes[:, 7:9], np.zeros((len(boxes), 1))], axis=1)
    if len(boxes):
        spin = np.zeros((len(boxes), 3))
        spin[:, 2] = boxes[:, 6]
        rotation = (pose.rotation * Rotation.from_rotvec(spin)).as_quat()[:, [3, 0, 1, 2]]
    else:  # scipy refuses empty rotations
        rotation = np.zeros((0, 4))
    return dict(translation=translation, size=boxes[:, [4, 3, 5]], rotation=rotation,
                velocity=(flat_velocity @ pose.rotation.as_matrix().T)[:, :2], ego=translation - pose.ego)


def _detection_boxes(token: str, fields: Dict[str, np.ndarray], names: Sequence[str], scores: Sequence[float],
                     points: Sequence[int], attributes: Sequence[str]) -> List[DetectionBox]:
    return [
        DetectionBox(sample_token=token, translation=tuple(translation), size=tuple(size), rotation=tuple(rotation),
                     velocity=tuple(velocity), ego_translation=tuple(ego), num_pts=int(num_pts), detection_name=name,
                     detection_score=float(score), attribute_name=attribute)
        for translation, size, rotation, velocity, ego, num_pts, name, score, attribute in zip(
            fields['translation'].tolist(), fields['size'].tolist(), fields['rotation'].tolist(),
            fields['velocity'].tolist(), fields['ego'].tolist(), points, names, scores, attributes)
    ]


def truth_boxes(info: dict, names: Dict[int, str], token: str) -> List[DetectionBox]:
    """Ground truth of one frame of an info file; instances with a negative label (ignored) are left out.

    ``num_pts`` is LiDAR plus radar points, as the devkit counts. A converter may add ``attribute_name`` to instances.

    Raises:
        ValueError: for a missing key, a label without a name, or a box that is not finite or has no volume.
    """
    instances = [one for one in info.get('instances', []) if one['bbox_label_3d'] >= 0]
    rows = []
    for one in instances:
        if one['bbox_label_3d'] not in names:
            raise ValueError(f'sample {token!r}: label {one["bbox_label_3d"]} is not among the categories of the info '
                             f'file ({names}); mend its metainfo.categories')
        if 'num_lidar_pts' not in one:
            raise ValueError(f"sample {token!r}: an instance has no 'num_lidar_pts', which decides whether a box "
                             'counts; create the info file with a converter that writes it')
        row = np.concatenate([np.asarray(one['bbox_3d'], dtype=np.float64)[:7],
                              np.asarray(one.get('velocity', (np.nan, np.nan)), dtype=np.float64)[:2]])
        if not np.isfinite(row[:7]).all() or (row[3:6] <= 0).any():
            raise ValueError(f'sample {token!r}: ground-truth box {np.round(row[:7], 3).tolist()} (x, y, z, l, w, h, '
                             'yaw) is not finite or has no volume; mend the info file')
        rows.append(row)
    fields = boxes_to_global(np.stack(rows) if rows else np.zeros((0, 9)), FramePose.from_info(info))
    return _detection_boxes(
        token, fields, [names[one['bbox_label_3d']] for one in instances], [-1.0] * len(instances),
        [int(one['num_lidar_pts']) + int(one.get('num_radar_pts', 0)) for one in instances],
        [one.get('attribute_name', '') for one in instances])


def predicted_boxes(boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, classes: Sequence[str], pose: FramePose,
                    token: str, default_attribute: Optional[Dict[str, str]] = None) -> List[DetectionBox]:
    """Predictions of one frame.

    Args:
        boxes: (N, 7 or 9) by their centre in the LiDAR frame, already finite and with positive sizes; without
            velocity columns the velocity is NaN, which the devkit scores as AVE 1.
        scores: (N,). labels: (N,) index into ``classes``. pose: of the frame. token: names the frame.
        default_attribute: class -> attribute of an object at rest; given only when truth has attributes.
    """
    if boxes.shape[1] == 7:
        boxes = np.concatenate([boxes, np.full((len(boxes), 2), np.nan)], axis=1)
    fields = boxes_to_global(boxes[:, :9], pose)
    names = [classes[label] for label in labels]
    speeds = np.linalg.norm(fields['velocity'], axis=1)
    attributes = [''] * len(names) if default_attribute is None else [
        guess_attribute(name, speed, default_attribute) for name, speed in zip(names, speeds)]
    return _detection_boxes(token, fields, names, scores.tolist(), [-1] * len(names), attributes)


def guess_attribute(name: str, speed: float, default_attribute: Dict[str, str]) -> str:
    """Attribute of a predicted box from its speed (m/s), by the same rule as mmdet3d's nuScenes metric."""
    moving = speed > MOVING
    if moving and name in ('car', 'construction_vehicle', 'bus', 'truck', 'trailer'):
        guess = 'vehicle.moving'
    elif moving and name in ('bicycle', 'motorcycle'):
        guess = 'cycle.with_rider'
    elif not moving and name == 'pedestrian':
        guess = 'pedestrian.standing'
    elif not moving and name == 'bus':
        guess = 'vehicle.stopped'
    else:
        guess = default_attribute[name]
    return guess if guess in ATTRIBUTE_NAMES else ''
