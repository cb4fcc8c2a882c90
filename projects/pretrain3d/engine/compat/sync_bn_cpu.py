"""torch's ``SyncBatchNorm`` on CPU, where it and DDP raise: ``SyncBN`` in a config, ``sync_bn='torch'``, conversions."""
import functools
from typing import Callable

from torch import Tensor
from torch.nn import Module, SyncBatchNorm
from torch.nn.parallel import DistributedDataParallel


def _forward(original: Callable) -> Callable:
    """Wrap ``forward``: training on the CPU goes through :func:`pretrain3d.ops.sync_batch_norm`."""
    from pretrain3d.ops.sync_batch_norm import sync_batch_norm

    @functools.wraps(original)
    def forward(self, input: Tensor) -> Tensor:
        if self.training and input.device.type == 'cpu':
            return sync_batch_norm(self, input)
        return original(self, input)

    forward.by_device = True
    return forward


def _check(original: Callable) -> Callable:
    """Wrap the check of DDP, whose only purpose it is to refuse such norms off the GPU."""

    @functools.wraps(original)
    def check(self, module: Module) -> None:
        if self.device_type != 'cpu':
            original(self, module)

    return check


def mend() -> None:
    """Wrap both, once; evaluation and CUDA stay torch's."""
    if hasattr(SyncBatchNorm.forward, 'by_device'):
        return
    SyncBatchNorm.forward = _forward(SyncBatchNorm.forward)
    name = '_passing_sync_batchnorm_handle'
    if hasattr(DistributedDataParallel, name):
        setattr(DistributedDataParallel, name, _check(getattr(DistributedDataParallel, name)))
