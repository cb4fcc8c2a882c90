"""SyncBatchNorm of torch trains on the CPU, by config and by conversion."""
import torch
from mmengine.model import convert_sync_batchnorm
from torch import nn

import pretrain3d  # noqa: F401
from pretrain3d.backbones.blocks import make_norm
from pretrain3d.engine.compat import sync_bn_cpu
from pretrain3d.ops import sync_batch_norm


def test_a_norm_named_in_a_config_trains_on_the_cpu():
    norm = make_norm(dict(type='SyncBN', eps=1e-3, momentum=0.1), 4).train()
    twin = nn.BatchNorm1d(4, eps=1e-3, momentum=0.1).train()
    x = torch.randn(6, 4)
    assert isinstance(norm, nn.SyncBatchNorm) and torch.allclose(norm(x), twin(x), atol=1e-6)
    assert torch.allclose(norm.running_var, twin.running_var)
    assert torch.allclose(norm.eval()(x), twin.eval()(x), atol=1e-6)


def test_a_converted_norm_takes_a_batch_without_rows():
    norm = convert_sync_batchnorm(nn.Sequential(nn.BatchNorm1d(4)), 'torch').train()
    assert norm(torch.zeros(0, 4)).shape == (0, 4)


def test_evaluation_and_other_devices_stay_torchs(monkeypatch):
    seen = []
    forward = sync_bn_cpu._forward(lambda self, x: seen.append(x.device.type))
    monkeypatch.setattr(nn.SyncBatchNorm, 'forward', forward)
    norm = nn.SyncBatchNorm(4)
    norm.eval()(torch.zeros(2, 4))
    norm.train()(torch.zeros(2, 4, device='meta'))
    assert seen == ['cpu', 'meta']
    assert norm(torch.ones(2, 4)).equal(sync_batch_norm(nn.SyncBatchNorm(4), torch.ones(2, 4)))
