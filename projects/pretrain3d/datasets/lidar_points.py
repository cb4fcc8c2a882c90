"""What outdoor clouds need besides the loading: strength of 0 ... 1, a box for far points, labels taken from boxes."""
from typing import Sequence

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from mmdet3d.registry import TRANSFORMS
from mmdet3d.structures.ops.box_np_ops import points_in_rbbox

from .point_index import sample_name
from .point_moves import record_move
from .transforms_indoor.columns import keep_points, refuse_boxes


@TRANSFORMS.register_module()
class NormalizeStrength(BaseTransform):
    """Make of the intensity column a strength of 0 ... 1, of whatever sensor: divide it by its largest possible value.

    Intensities that have none (Waymo's are mostly below 1, and some in the thousands) go through the hyperbolic tangent
    instead: tanh(intensity / scale).

    Required Keys:

    - points (BasePoints)

    Modified Keys:

    - points (BasePoints): one column

    Args:
        scale (float): Largest value of the files: 255 for nuScenes, 1 for SemanticKITTI; 1 for Waymo, with ``tanh``.
        column (int): Which column. Defaults to 3.
        tanh (bool): Whether the intensities have no largest value. Defaults to False.
    """

    def __init__(self, scale: float, column: int = 3, tanh: bool = False) -> None:
        if scale <= 0 or column < 3:
            raise ValueError(f'NormalizeStrength: scale={scale}, column={column}; scale must be positive and the '
                             'column behind x, y, z')
        self.scale = scale
        self.column = column
        self.tanh = tanh

    def transform(self, results: dict) -> dict:
        """Divide.

        Raises:
            ValueError: There is no such column, or its values are not in 0 ... scale (``tanh``: negative).
        """
        tensor = results['points'].tensor
        if tensor.shape[1] <= self.column:
            raise ValueError(f'{sample_name(results)}: the points have {tensor.shape[1]} columns and no column '
                             f'{self.column} for the intensity: check load_dim and use_dim')
        values = tensor[:, self.column]
        largest = float('inf') if self.tanh else self.scale
        if len(values) and (values.min() < 0 or values.max() > largest):
            raise ValueError(f'{sample_name(results)}: intensities from {values.min():g} to {values.max():g}, and '
                             f'NormalizeStrength expects 0 to {largest:g}: the file is of another sensor, or '
                             'load_dim is wrong')
        strength = values / self.scale
        tensor[:, self.column] = torch.tanh(strength) if self.tanh else strength
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(scale={self.scale}, column={self.column}, tanh={self.tanh})'


@TRANSFORMS.register_module()
class ClipPoints(BaseTransform):
    """Bring points outside of a box onto it, or take them out.

    Point Prompt Training's outdoor recipe brings them onto the box; the box is a constant of the data set. Cameras
    cannot follow: where pixels are paired, clamp behind ``FindPointPixels``.

    Required Keys:

    - points (BasePoints)

    Modified Keys:

    - points (BasePoints): coordinates; with ``outside='remove'`` also pts_semantic_mask, pts_instance_mask

    Args:
        point_cloud_range (Sequence[float]): x0, y0, z0, x1, y1, z1, metres.
        outside (str): 'clamp' or 'remove'. Defaults to 'clamp'.
    """

    def __init__(self, point_cloud_range: Sequence[float], outside: str = 'clamp') -> None:
        low, high = np.asarray(point_cloud_range[:3]), np.asarray(point_cloud_range[3:])
        if len(point_cloud_range) != 6 or not (low < high).all():
            raise ValueError(f'ClipPoints: point_cloud_range is {point_cloud_range}; it must be x0, y0, z0, x1, y1, z1')
        if outside not in ('clamp', 'remove'):
            raise ValueError(f"ClipPoints: outside is {outside!r}; it must be 'clamp' or 'remove'")
        self.point_cloud_range = tuple(float(edge) for edge in point_cloud_range)
        self.outside = outside

    def transform(self, results: dict) -> dict:
        """Clamp or remove."""
        refuse_boxes(results, type(self).__name__)
        xyz = results['points'].tensor[:, :3]
        box = torch.tensor(self.point_cloud_range, dtype=xyz.dtype)
        if self.outside == 'clamp':
            results['points'].tensor[:, :3] = torch.maximum(torch.minimum(xyz, box[3:]), box[:3])
            record_move(results, type(self).__name__)
            return results
        inside = ((xyz >= box[:3]) & (xyz <= box[3:])).all(1)
        return keep_points(results, np.flatnonzero(inside.numpy()))

    def __repr__(self) -> str:
        return f'{type(self).__name__}(point_cloud_range={self.point_cloud_range}, outside={self.outside!r})'


@TRANSFORMS.register_module()
class LabelPointsByBoxes(BaseTransform):
    """Give every point the class of the box that holds it, for detection data without labels of points.

    Boxes are read as the data set has them, so this stands right behind the loading of the points, before anything
    moves or removes any. Of boxes that overlap the first counts. Points in none are ignored: nothing is known of them.

    Required Keys:

    - points (BasePoints)
    - ann_info (dict), in testing eval_ann_info: gt_bboxes_3d (LiDARInstance3DBoxes), gt_labels_3d (np.int64)

    Added Keys:

    - pts_semantic_mask (np.int64): (n,), ``num_classes`` where ignored; in testing also in eval_ann_info

    Args:
        num_classes (int): Classes of the boxes.
    """

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes

    def transform(self, results: dict) -> dict:
        """Look up the boxes.

        Raises:
            KeyError: The sample has no boxes.
            ValueError: The points were moved, or a box has a class that is none of ``num_classes``.
        """
        if results.get('transformation_3d_flow'):
            raise ValueError(f'{sample_name(results)}: the points were moved ({results["transformation_3d_flow"]}) '
                             'before LabelPointsByBoxes: put it right behind the loading of the points')
        annotation = results.get('eval_ann_info') or results.get('ann_info')
        if not annotation or 'gt_bboxes_3d' not in annotation:
            raise KeyError(f'{sample_name(results)}: no boxes to label points by: use a detection data set, and in '
                           'testing its load_eval_anns=True')
        boxes, classes = annotation['gt_bboxes_3d'].numpy()[:, :7], np.asarray(annotation['gt_labels_3d'])
        known = classes >= 0  # mmdet3d: -1, none of metainfo.classes
        if (classes >= self.num_classes).any():
            raise ValueError(f'{sample_name(results)}: a box has class {classes.max()}, and LabelPointsByBoxes has '
                             f'num_classes={self.num_classes}: set it to the number of metainfo.classes')
        # The last column holds the points in no box, so that the first box that holds a point is found by argmax.
        inside = points_in_rbbox(results['points'].tensor[:, :3].numpy(), boxes[known])
        inside = np.concatenate([inside, np.ones((len(inside), 1), bool)], axis=1)
        labels = np.append(classes[known], self.num_classes)[inside.argmax(1)].astype(np.int64)
        results['pts_semantic_mask'] = labels
        if 'eval_ann_info' in results:
            results['eval_ann_info']['pts_semantic_mask'] = labels.copy()
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(num_classes={self.num_classes})'
