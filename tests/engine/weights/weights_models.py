"""Small sparse models and runners for the weight tests."""
import copy

import torch
from torch import nn

import pretrain3d  # noqa: F401
from mmdet3d.registry import METRICS, MODELS
from mmengine.evaluator import BaseMetric
from mmengine.hub import get_config
from mmengine.model import BaseModel
from mmengine.runner import Runner

ENCODER = dict(type='SparseEncoder', in_channels=5, sparse_shape=[9, 32, 32], output_channels=16, base_channels=4,
               order=('conv', 'norm', 'act'), encoder_channels=((4, 4, 8), (8, 8, 12), (12, 12, 16), (16, 16)),
               encoder_paddings=((0, 0, 1), (0, 0, 1), (0, 0, [0, 1, 1]), (0, 0)), block_type='basicblock')


class Pretext(nn.Module):
    """Stands for a pre-training model: an encoder under ``backbone`` and a head of no use downstream."""

    def __init__(self, encoder: dict = ENCODER) -> None:
        super().__init__()
        self.backbone = MODELS.build(copy.deepcopy(encoder))
        self.head = nn.Linear(3, 4)


class OneStep(BaseModel):
    """Trains a named part by the sum of its parameters; enough for a real training loop."""

    def __init__(self, part: dict, init_cfg=None) -> None:
        super().__init__(init_cfg=init_cfg)
        self.part = MODELS.build(copy.deepcopy(part))

    def forward(self, inputs, data_samples=None, mode='loss'):
        return dict(loss=sum(parameter.sum() for parameter in self.part.parameters()) * 1e-3)


def randomise(model: nn.Module, seed: int) -> nn.Module:
    """Fill every floating tensor, buffers included, with its own random values."""
    generator = torch.Generator().manual_seed(seed)
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + .5)
    return model


def centerpoint_config() -> dict:
    """Stock CenterPoint (voxel 0.1) with small channels."""
    model = get_config('mmdet3d::centerpoint/centerpoint_voxel01_second_secfpn_8xb4-cyclic-20e_nus-3d.py').model
    model.pts_middle_encoder = copy.deepcopy(ENCODER)
    model.pts_backbone.update(in_channels=16, out_channels=[8, 8], layer_nums=[1, 1])
    model.pts_neck.update(in_channels=[8, 8], out_channels=[8, 8])
    model.pts_bbox_head.update(in_channels=16, share_conv_channel=8)
    return model


def runner_for(model, work_dir, hooks=(), iters=0, **options) -> Runner:
    """A real runner over three samples; ``iters=0`` does all that ``train`` does before its first step."""
    return Runner(
        model=model, work_dir=str(work_dir),
        train_dataloader=dict(dataset=[torch.zeros(1)] * 3, batch_size=1, num_workers=0,
                              sampler=dict(type='InfiniteSampler', shuffle=False),
                              collate_fn=lambda batch: dict(inputs=batch)),
        train_cfg=dict(by_epoch=False, max_iters=iters),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=.1)),
        default_hooks=dict(logger=dict(type='LoggerHook', interval=1),
                           checkpoint=dict(type='CheckpointHook', interval=1, by_epoch=False)),
        custom_hooks=list(hooks), default_scope='mmdet3d', experiment_name=f'{id(work_dir)}-{id(hooks)}',
        log_processor=dict(by_epoch=False), **options)


@METRICS.register_module(force=True)
class EmptyMetric(BaseMetric):
    """A test loop needs a metric."""

    def process(self, data_batch, data_samples):
        """Keep nothing."""

    def compute_metrics(self, results):
        """Report nothing."""
        return {}
