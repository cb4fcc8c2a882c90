"""A tiny encoder and the two dummy heads with which the pretext contract is proven."""
import torch
from mmengine.model import BaseModule
from torch import nn

from mmdet3d.registry import MODELS
from pretrain3d.pretext import PretextHead, global_mean


@MODELS.register_module(force=True)
class CountingEncoder(BaseModule):
    """One linear layer on a voxel and the mean of all, so that masked voxels learn too; remembers its inputs."""

    def __init__(self, in_channels=4, out_channels=6):
        super().__init__()
        self.out_channels = out_channels
        self.layer = nn.Linear(in_channels, out_channels)
        self.seen = []

    def forward(self, sparse):
        self.seen.append(sparse)
        return self.layer(sparse['voxels'] + sparse['voxels'].mean(0)).tanh()


@MODELS.register_module(force=True)
class HeightHead(PretextHead):
    """Reads the clean view: predict the third coordinate of a voxel."""

    def __init__(self, in_channels=6, **kwargs):
        super().__init__(**kwargs)
        self.layer = nn.Linear(in_channels, 1)

    def loss(self, encoded, inputs, data_samples):
        total = 0
        for one in encoded.values():
            error = self.layer(one.features)[:, 0] - one.sparse['coors'][:, 3]
            total = total + global_mean(error.abs())
        return dict(loss_height=total, mean_error=total / 2)


@MODELS.register_module(force=True)
class MaskedHead(PretextHead):
    """Masks every second voxel and predicts the features that were there."""

    corruption = 'half'

    def __init__(self, in_channels=6, out_channels=4, **kwargs):
        super().__init__(**kwargs)
        self.layer = nn.Linear(in_channels, out_channels)

    def corrupt(self, sparse):
        mask = torch.arange(len(sparse['coors'])) % 2 == 0
        return {**sparse, 'voxels': sparse['voxels'].masked_fill(mask[:, None], 0)}, mask

    def loss(self, encoded, inputs, data_samples):
        one = encoded['points']
        error = self.layer(one.features[one.mask]) - inputs['voxels']['voxels'][one.mask]
        return dict(loss_masked=global_mean(error ** 2))

    def predict(self, encoded, inputs, data_samples):
        for sample, rows in zip(data_samples, encoded['points'].per_point()):
            sample.pred_pts_seg.restored = self.layer(rows)
        return data_samples
