"""SRUNet against the figures of its paper and code."""
import pytest
import torch
from sparse_scenes import random_sparse
from spconv.pytorch import SparseInverseConv3d
from spconv.pytorch.conv import SparseConvolution
from torch import nn

import pretrain3d  # noqa: F401
from mmdet3d.registry import MODELS
from pretrain3d.backbones.blocks import SparseBasicBlock


def build(**config):
    return MODELS.build(dict(type='SRUNet', in_channels=3, **config))


@pytest.mark.parametrize('depth,count', [('34C', 37_847_808), ('18A', 15_484_928)])
def test_parameter_count(depth, count):
    with torch.device('meta'):
        model = build(depth=depth, out_channels=32)
        features = build(depth=depth)
    assert sum(parameter.numel() for parameter in model.parameters()) == count
    assert count - sum(parameter.numel() for parameter in features.parameters()) == 97 * 32
    assert (model.out_channels, features.out_channels) == (32, 96)


def test_norms():
    with torch.device('meta'):
        model = build(depth='18A')
        other = build(depth='18A', norm_cfg=dict(type='BN1d', momentum=0.02))
    inside = {norm for block in model.modules() if isinstance(block, SparseBasicBlock)
              for norm in block.modules() if hasattr(norm, 'momentum')}
    norms = [module for module in model.modules() if hasattr(module, 'momentum')]
    outside = [norm for norm in norms if norm not in inside]
    assert len(outside) == 9  # stem, four down, four up
    assert {(norm.eps, norm.momentum) for norm in outside} == {(1e-5, 0.05)}
    assert {(norm.eps, norm.momentum) for norm in inside} == {(1e-5, 0.1)}
    assert other.stem.norm.momentum == 0.02 and other.enc[0][0].norm1.momentum == 0.1


def test_initialisation():
    torch.manual_seed(0)
    model = build(depth='18A', out_channels=32)
    for module in model.modules():
        if isinstance(module, SparseConvolution):
            channels = module.out_channels if isinstance(module, SparseInverseConv3d) else module.in_channels
            bound = (channels * module.weight[0, ..., 0].numel())**-0.5
            assert 0.95 * bound < module.weight.abs().max() <= bound
        elif isinstance(module, nn.Linear):
            assert 0.95 * module.in_features**-0.5 < module.weight.abs().max() <= module.in_features**-0.5
    assert 0 < model.final.bias.abs().max() <= 96**-0.5
    # A strided convolution keeps the width, the first block after it changes it.
    assert model.down[1].conv.out_channels == 32 and model.enc[1][0].conv1.in_channels == 32
    assert isinstance(model.enc[1][0].shortcut, nn.Linear) and model.enc[0][0].shortcut is None


def test_forward():
    model = build(depth='18A', out_channels=32).eval()
    with torch.no_grad():
        out = model(random_sparse((37, 20, 9), (80, 0, 50)))
    assert out.shape == (130, 32) and torch.isfinite(out).all() and out.std(0).min() > 0


def test_unknown_depth_is_refused():
    with pytest.raises(ValueError, match='18A'):
        build(depth='50')
