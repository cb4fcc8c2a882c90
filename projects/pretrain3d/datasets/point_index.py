"""The index column: how per-point arrays stay in step with points that are shuffled, sampled and filtered.

mmdet3d's transforms re-index the points and the two masks, nothing else. ``AddPointIndex`` writes every point's row
number into one more column of the points, which rides through all of them; ``PackPretrain3DInputs`` takes the column
off again and looks every other per-point array up through it.
"""
from typing import Any, Optional, Tuple

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from mmdet3d.registry import TRANSFORMS
from mmdet3d.structures.points import BasePoints

COLUMN = 'index'
# float32 holds every integer up to here, and point tensors of mmdet3d are float32.
MAX_POINTS = 2 ** 24
# Transforms that join clouds of several samples: afterwards a row number no longer names a point.
MIXING = ('PolarMix', 'LaserMix', 'ObjectSample')


def sample_name(results: dict) -> str:
    """How to name a sample in an error: its point file, else its token or number."""
    path = results.get('lidar_path') or results.get('lidar_points', {}).get('lidar_path')
    return str(path or results.get('token') or f"sample {results.get('sample_idx', '?')}")


def split_index(points: BasePoints) -> Tuple[torch.Tensor, Optional[np.ndarray]]:
    """Take the index column off.

    Args:
        points (BasePoints): Points with or without the column, (N, C).

    Returns:
        tuple: Point tensor without the column (N, C - 1), and the row numbers (N,) int64; ``None`` where there was
        no column.
    """
    column = (points.attribute_dims or {}).get(COLUMN)
    if column is None:
        return points.tensor, None
    index = points.tensor[:, column].long().numpy()
    keep = [i for i in range(points.tensor.shape[1]) if i != column]
    return points.tensor[:, keep], index


def follow_index(rows: np.ndarray, index: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Carry rows through whatever dropped, repeated or shuffled the points.

    Args:
        rows (np.ndarray): (P,) rows of the cloud as it was at ``AddPointIndex``.
        index (np.ndarray): (n,) the old row of each point that is left, see :func:`split_index`.

    Returns:
        tuple: Entries of ``rows`` whose points are still there (Q,) int64, an entry repeated as often as its point is,
        and where they are now (Q,) int64.
    """
    order = np.argsort(index, kind='stable')
    ordered = index[order]
    start = np.searchsorted(ordered, rows)
    count = np.searchsorted(ordered, rows, side='right') - start
    which = np.repeat(np.arange(len(rows)), count)
    turn = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
    return which, order[start[which] + turn]


@TRANSFORMS.register_module()
class AddPointIndex(BaseTransform):
    """Append an attribute column ``index`` with the row number of every point.

    Place it after all loading (also of sweeps) and after ``ObjectSample``, before the first transform that drops,
    shuffles or samples points.

    Required Keys:

    - points (BasePoints)

    Modified Keys:

    - points (BasePoints): one more column, named ``index`` in ``attribute_dims``

    Added Keys:

    - point_index_size (int): points at this moment; per-point arrays must have this length
    """

    def transform(self, results: dict) -> dict:
        """Append the column.

        Raises:
            ValueError: More points than float32 can number, a column that is there already, or a transform further
                down the pipeline that mixes clouds.
        """
        points = results['points']
        count = len(points)
        if count > MAX_POINTS:
            raise ValueError(f'{sample_name(results)} has {count} points; the index column is exact up to '
                             f'{MAX_POINTS}: sample or crop the cloud before AddPointIndex')
        if COLUMN in (points.attribute_dims or {}):
            raise ValueError(f'{sample_name(results)}: the points have an index column already; keep one AddPointIndex '
                             'in the pipeline')
        self._refuse_mixing(results.get('dataset'))
        column = torch.arange(count, dtype=torch.float32, device=points.device)
        results['points'] = type(points)(
            torch.cat([points.tensor, column[:, None]], dim=1),
            points_dim=points.points_dim + 1,
            attribute_dims={**(points.attribute_dims or {}), COLUMN: points.points_dim})
        results['point_index_size'] = count
        return results

    def _refuse_mixing(self, dataset: Any) -> None:
        """Raise if the dataset's pipeline joins clouds after this transform.

        PolarMix and LaserMix need ``results['dataset']`` themselves, so where they run the pipeline can be seen.
        """
        transforms = getattr(getattr(dataset, 'pipeline', None), 'transforms', ())
        flat = list(_flatten(transforms))
        after = flat[flat.index(self) + 1:] if self in flat else flat
        for transform in after:
            if type(transform).__name__ in MIXING:
                raise ValueError(f'{type(transform).__name__} joins the clouds of several samples, so per-point arrays '
                                 'cannot be looked up through AddPointIndex before it; take one of the two out of '
                                 'the pipeline')


def _flatten(transforms: Any):
    """Transforms of a pipeline, those inside wrappers (RandomApply, Compose) included, in order."""
    for transform in transforms:
        yield transform
        inner = getattr(transform, 'transforms', None)
        if inner is not None:
            yield from _flatten(inner if isinstance(inner, (list, tuple)) else getattr(inner, 'transforms', ()))
