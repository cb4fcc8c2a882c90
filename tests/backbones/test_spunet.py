"""SpUNet against the figures of its paper and code."""
import copy

import pytest
import torch
from spconv.pytorch import SparseConv3d, SparseInverseConv3d, SubMConv3d
from torch import nn

import pretrain3d  # noqa: F401
from mmdet3d.registry import MODELS

LARGE = dict(
    base_channels=96, encoder_channels=(96, 192, 384, 768), encoder_blocks=(6, 6, 12, 6),
    decoder_channels=(768, 384, 192, 192))


def build(**config):
    return MODELS.build(dict(type='SpUNet', **config))


@pytest.mark.parametrize('config,count', [
    (dict(in_channels=6, num_classes=20), 39_157_844),
    (dict(in_channels=6, num_classes=13), 39_157_165),
    (dict(in_channels=6), 39_157_844 - 97 * 20),
    (dict(in_channels=6, num_classes=20, **LARGE), 412_612_436),
])
def test_parameter_count(config, count):
    """412,612,436 is the sum by hand over the layers of the large network; the paper prints 412 M."""
    with torch.device('meta'):
        model = build(**config)
    assert sum(parameter.numel() for parameter in model.parameters()) == count
    assert model.out_channels == config.get('num_classes') or model.out_channels == 96


def test_initialisation_and_norms():
    torch.manual_seed(0)
    model = build(in_channels=6, num_classes=20, encoder_channels=(32, 64, 64, 64), encoder_blocks=(1, 1, 1, 1),
                  decoder_channels=(64, 64, 64, 64), decoder_blocks=(1, 1, 1, 1))
    for module in model.modules():
        if isinstance(module, (SubMConv3d, nn.Linear)):
            if module.weight.numel() > 5000:
                assert module.weight.std().item() == pytest.approx(0.02, rel=0.05)
        elif isinstance(module, (SparseConv3d, SparseInverseConv3d)):
            bound = (module.in_channels * 8)**-0.5  # spconv's own: uniform, its fan without the outputs
            assert module.weight.abs().max().item() == pytest.approx(bound, rel=0.02)
            assert module.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.05)
            assert module.bias is None
        elif isinstance(module, nn.BatchNorm1d):
            assert (module.eps, module.momentum) == (1e-3, 0.01)
            assert (module.weight == 1).all() and not module.bias.any()
    assert not model.final.bias.any()


def test_config_is_left_alone_and_builds_twice():
    config = dict(type='SpUNet', in_channels=3, encoder_channels=[4, 4, 4, 4], decoder_channels=[4, 4, 4, 4],
                  base_channels=4, norm_cfg=dict(type='BN1d', eps=1e-4))
    before = copy.deepcopy(config)
    first, second = MODELS.build(config), MODELS.build(config)
    assert config == before
    assert [p.shape for p in first.parameters()] == [p.shape for p in second.parameters()]
    assert first.stem.norm.eps == 1e-4 and first.dec[0][0].norm2.eps == 1e-4
