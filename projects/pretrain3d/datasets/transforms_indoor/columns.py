"""Columns of a cloud by name, and points taken out together with all that belongs to them."""
from typing import Dict, List, Optional, Sequence

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from mmdet3d.registry import TRANSFORMS
from mmdet3d.structures.points import BasePoints

from ..point_index import sample_name

# Written by LimitAnnotations: the label of points that nobody annotated. Sampling then spares the others.
LIMITED_KEY = 'limited_annotations'
_MASKS = ('pts_semantic_mask', 'pts_instance_mask')
_MOVED_ALONG = ('gt_bboxes_3d', 'cam2img', 'lidar2img', 'depth2img')


@TRANSFORMS.register_module()
class NamePointColumns(BaseTransform):
    """Say which columns are colour and which are normals.

    mmdet3d's loader with ``use_color=True`` takes the *last* three columns for the colour, which is wrong for
    x, y, z, r, g, b, nx, ny, nz. Load with ``use_color=False`` and put this behind.

    Required Keys:

    - points (BasePoints)

    Modified Keys:

    - points (BasePoints): ``attribute_dims``

    Args:
        color (Sequence[int], optional): Columns of r, g, b in 0 ... 255. Defaults to None: no colour.
        normal (Sequence[int], optional): Columns of nx, ny, nz. Defaults to None: no normals.
    """

    def __init__(self, color: Optional[Sequence[int]] = None, normal: Optional[Sequence[int]] = None) -> None:
        named = dict(color=color, normal=normal)
        self.columns: Dict[str, List[int]] = {name: list(dims) for name, dims in named.items() if dims is not None}
        for name, dims in self.columns.items():
            if len(dims) != 3 or min(dims) < 3:
                raise ValueError(f'NamePointColumns: {name} is {dims}; it must be three columns behind x, y, z')

    def transform(self, results: dict) -> dict:
        """Name the columns.

        Raises:
            ValueError: The points have fewer columns.
        """
        points = results['points']
        for name, dims in self.columns.items():
            if max(dims) >= points.tensor.shape[1]:
                raise ValueError(f'{sample_name(results)}: the points have {points.tensor.shape[1]} columns, but '
                                 f'NamePointColumns wants {name} in {dims}: load more (load_dim, use_dim; ScanNet\'s '
                                 'normals are in points_normals), or leave it out')
        points.attribute_dims = {**(points.attribute_dims or {}), **self.columns}
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.columns})'


def attribute(points: BasePoints, name: str) -> Optional[torch.Tensor]:
    """Copy of the columns called ``name`` (N, 3), or ``None`` where the points have none."""
    dims = (points.attribute_dims or {}).get(name)
    return None if dims is None else points.tensor[:, dims]


def set_attribute(points: BasePoints, name: str, values: torch.Tensor) -> None:
    """Overwrite the columns called ``name`` with ``values`` (N, 3)."""
    points.tensor[:, points.attribute_dims[name]] = values.to(points.tensor.dtype)


def keep_points(results: dict, index: np.ndarray) -> dict:
    """Reduce a sample to the points ``index`` (K,) int64, its per-point masks with them.

    Raises:
        ValueError: A mask has another length than the cloud.
    """
    count = len(results['points'])
    for key in _MASKS:
        if key in results:
            if len(results[key]) != count:
                raise ValueError(f'{sample_name(results)}: {key} has {len(results[key])} entries for {count} points')
            results[key] = np.asarray(results[key])[index]
    results['points'] = results['points'][torch.from_numpy(np.ascontiguousarray(index))]
    return results


def annotated(results: dict) -> Optional[np.ndarray]:
    """Which points carry one of a limited number of annotations (N,) bool; ``None`` if annotations are not limited."""
    if LIMITED_KEY not in results or 'pts_semantic_mask' not in results:
        return None
    return np.asarray(results['pts_semantic_mask']) != results[LIMITED_KEY]


def refuse_boxes(results: dict, transform: str) -> None:
    """Raise if the sample holds what ``transform`` would leave where it was: boxes, or a camera outside of ``images``.

    Cameras in ``images`` follow, see ``point_moves.record_move``.
    """
    held = [key for key in _MOVED_ALONG if key in results]
    if held:
        raise ValueError(f'{sample_name(results)}: {transform} moves points only, and the sample holds {held}: use '
                         "mmdet3d's RandomFlip3D and GlobalRotScaleTrans for detection")
