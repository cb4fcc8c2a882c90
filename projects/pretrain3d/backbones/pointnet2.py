"""PointNet++ on the sparse batch, so that VoteNet's encoder can be pre-trained like the sparse ones."""
from typing import Dict, List, Mapping, Optional, Sequence

import torch
from torch import Tensor

from mmdet3d.models.backbones import PointNet2SASSG
from mmdet3d.registry import MODELS

FPS_CHANNELS = ((256, 256), (256, 256), (256, 128), (128, 128))


@MODELS.register_module()
class SparsePointNet2(PointNet2SASSG):
    """mmdet3d's ``PointNet2SASSG`` with its parameter names, read through our contract; back to every row.

    A row of the sparse batch is a point: its first three features are x, y, z in metres, so the data preprocessor
    takes ``feature_dims=[0, 1, 2]`` (and more columns where the network reads more) and a voxel is as small as points
    are to be told apart. Each sample's rows are thinned evenly, or repeated, to ``num_sampled`` points, which the set
    abstractions see; the last feature propagation reaches all rows, sampled or not.

    VoteNet propagates features up to its second level only: its whole backbone is in this one, the modules
    ``FP_modules.2`` and ``.3`` are left behind.

    Args:
        in_channels: Channels of a point: 3 for its position, 1 for its height if ``with_height``, and the further
            columns of the sparse batch.
        num_sampled: Points of each sample, at least ``num_points[0]``.
        with_height: Whether the first channel after the position is the height above the floor, which is where 0.99
            percent of the sample's points lie lower, as mmdet3d's ``shift_height`` takes it.
        fp_channels: Widths of the four feature propagations, from the deepest up to the points.
        kwargs: Arguments of ``PointNet2SASSG``: ``num_points``, ``radius``, ``num_samples``, ``sa_channels``, ...

    Attributes:
        out_channels: Width of what ``forward`` returns.
        coors_order: Order of the coordinate columns; of those, only the sample's number is read.
    """

    coors_order = 'bxyz'

    def __init__(self, in_channels: int, num_sampled: int = 20000, with_height: bool = False,
                 fp_channels: Sequence[Sequence[int]] = FPS_CHANNELS, init_cfg: Optional[Dict] = None,
                 **kwargs) -> None:
        super().__init__(in_channels=in_channels, fp_channels=fp_channels, init_cfg=init_cfg, **kwargs)
        if self.num_fp != self.num_sa:
            raise ValueError(f'SparsePointNet2 gives features to every point: it needs as many fp_channels as '
                             f'sa_channels ({self.num_sa}), got {self.num_fp}')
        if num_sampled < self.SA_modules[0].num_point[0]:
            raise ValueError(f'num_sampled={num_sampled} points are fewer than the {self.SA_modules[0].num_point[0]} '
                             'that the first set abstraction picks from them (num_points)')
        self.in_channels = in_channels
        self.num_sampled = num_sampled
        self.with_height = with_height
        self.out_channels = fp_channels[-1][-1]

    def forward(self, sparse: Mapping) -> Tensor:
        """Encode a sparse batch.

        Args:
            sparse: ``voxels`` (N, >= 3) x, y, z in metres first, ``coors`` (N, 4) sorted by sample, ``batch_size``.

        Returns:
            (N, out_channels) features, row i belongs to ``coors[i]``. Samples without rows are passed over.
        """
        voxels = sparse['voxels']
        given = self.in_channels - self.with_height
        if voxels.shape[1] != given:
            raise ValueError(
                f'the backbone was built with in_channels={self.in_channels} and with_height={self.with_height}, so '
                f'rows have {given} columns, x, y, z first, but they have {voxels.shape[1]}: make in_channels and '
                'feature_dims of the data_preprocessor agree')
        # One synchronisation: sizes of tensors are python numbers.
        counts = torch.bincount(sparse['coors'][:, 0].long(), minlength=int(sparse['batch_size'])).tolist()
        samples = [self._with_height(rows) for rows in voxels.split(counts) if len(rows)]
        if not samples:
            return voxels.new_zeros(0, self.out_channels)
        sampled = torch.stack([rows[evenly(len(rows), self.num_sampled, rows.device)] for rows in samples])
        # As many rows of every sample: cyclic repetitions, so that batch norms see nothing but points.
        longest = max(map(len, samples))
        every = torch.stack([rows[torch.arange(longest, device=rows.device) % len(rows)] for rows in samples])
        features = self._propagate(*self._split_point_feats(sampled), *self._split_point_feats(every))
        return torch.cat([rows.T[:len(own)] for rows, own in zip(features, samples)])

    def _with_height(self, rows: Tensor) -> Tensor:
        """Insert the height behind x, y, z of one sample."""
        if not self.with_height:
            return rows
        height = rows[:, 2:3] - torch.quantile(rows[:, 2], 0.0099)
        return torch.cat([rows[:, :3], height, rows[:, 3:]], 1)

    def _propagate(self, xyz: Tensor, features: Optional[Tensor], every_xyz: Tensor,
                   every_features: Optional[Tensor]) -> Tensor:
        """Down through the sampled points (B, n, 3) and back up, at last to every row (B, m, 3): (B, C, m)."""
        levels: List = [(every_xyz, every_features)]
        for module in self.SA_modules:
            xyz, features, _ = module(xyz, features)
            levels.append((xyz, features))
        for module in self.FP_modules:
            source, _ = levels.pop()
            target, skip = levels[-1]
            features = module(target, source, skip, features)
        return features


def evenly(available: int, wanted: int, device: torch.device) -> Tensor:
    """``wanted`` of ``available`` row numbers (wanted,) int64, evenly spread; where there are too few, all of them in
    turn, again and again."""
    places = torch.arange(wanted, device=device)
    return places % available if available <= wanted else places * available // wanted
