"""Normals for clouds that come without them."""
import numpy as np
import torch
from mmcv.transforms import BaseTransform

from mmdet3d.registry import TRANSFORMS
from pretrain3d.normals import CELL, NEIGHBOURS, estimate_normals

from ..point_index import sample_name
from .columns import attribute

POLICIES = ('estimate', 'zeros', 'error')


@TRANSFORMS.register_module()
class FillNormals(BaseTransform):
    """See to it that the points have normals, for models and joint trainings that feed on them.

    Points that name normals (``NamePointColumns``) stay as they are. Place it behind ``NamePointColumns`` and before
    anything that drops or moves points: estimates need the whole cloud, z up, in metres.

    Required Keys:

    - points (BasePoints)

    Modified Keys:

    - points (BasePoints): three more columns, named ``normal`` in ``attribute_dims``

    Args:
        policy (str): Where there are none: 'estimate' them from the neighbours
            (:func:`~pretrain3d.normals.estimate_normals`; about 2 s a million points, so better in the converter),
            write 'zeros', or raise an 'error'. Defaults to 'error'.
        cell (float): Metres; only for 'estimate'. Defaults to 0.02.
        neighbours (int): Only for 'estimate'. Defaults to 16.
    """

    def __init__(self, policy: str = 'error', cell: float = CELL, neighbours: int = NEIGHBOURS) -> None:
        if policy not in POLICIES:
            raise ValueError(f'FillNormals: policy is {policy!r}; it must be one of {POLICIES}')
        if cell <= 0 or neighbours < 3:
            raise ValueError(f'FillNormals: cell is {cell} and neighbours {neighbours}; they must be positive metres '
                             'and at least 3')
        self.policy = policy
        self.cell = cell
        self.neighbours = neighbours

    def transform(self, results: dict) -> dict:
        """Append the columns where they are missing.

        Raises:
            ValueError: The points have no normals and ``policy`` is 'error'.
        """
        points = results['points']
        if attribute(points, 'normal') is not None:
            return results
        if self.policy == 'error':
            raise ValueError(f'{sample_name(results)} has no normals, which this model feeds on: load them '
                             "(points_normals, NamePointColumns), or set FillNormals(policy='estimate'), or 'zeros'")
        if self.policy == 'estimate':
            normal = torch.from_numpy(estimate_normals(points.tensor[:, :3].numpy(), self.cell, self.neighbours))
        else:
            normal = points.tensor.new_zeros(len(points), 3)
        first = points.points_dim
        results['points'] = type(points)(
            torch.cat([points.tensor, normal.to(points.tensor)], 1),
            points_dim=first + 3,
            attribute_dims={**(points.attribute_dims or {}), 'normal': np.arange(first, first + 3).tolist()})
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(policy={self.policy!r}, cell={self.cell}, neighbours={self.neighbours})'
