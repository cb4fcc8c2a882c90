"""Norm building and the helpers of the sparse blocks."""
import pytest
import torch
from torch import nn

import pretrain3d  # noqa: F401
from mmdet3d.registry import MODELS
from pretrain3d.backbones.blocks import apply_norm, make_norm, pad_spatial_shape


class PairOfNorms(nn.Module):
    """A norm that mmcv does not know, as a norm per domain is."""

    def __init__(self, num_features, eps, domains):
        super().__init__()
        self.norms = nn.ModuleDict({name: nn.BatchNorm1d(num_features, eps) for name in domains})

    def forward(self, x):
        return self.norms['a'](x)


@pytest.mark.parametrize('extents,stride,padded', [
    ((1, 16, 17), 16, (16, 16, 32)), ((0, 31, 32), 16, (16, 32, 32)), ((5, 6, 7), 1, (5, 6, 7))])
def test_pad_spatial_shape(extents, stride, padded):
    assert pad_spatial_shape(extents, stride) == padded


def test_make_norm_reads_its_config_and_leaves_it_alone():
    config = dict(type='BN1d', eps=1e-3, momentum=0.01, requires_grad=False)
    before = dict(config)
    norm = make_norm(config, 5)
    assert config == before
    assert type(norm) is nn.BatchNorm1d and (norm.eps, norm.momentum, norm.num_features) == (1e-3, 0.01, 5)
    assert not norm.weight.requires_grad
    assert make_norm(dict(type='BN1d'), 5).eps == 1e-5
    with pytest.raises(KeyError, match='BatchNorm7d'):
        make_norm(dict(type='BatchNorm7d'), 5)


def test_norms_of_the_mmdet3d_registry_are_found_without_a_runner():
    """So that a norm per domain can be put in by config, and by a walk over the modules."""
    MODELS.register_module(module=PairOfNorms)
    try:
        config = dict(type='SpUNet', in_channels=3, norm_cfg=dict(type='PairOfNorms', domains=['a', 'b']))
        with torch.device('meta'):
            model = MODELS.build(config)
        norms = [module for module in model.modules() if isinstance(module, PairOfNorms)]
        assert len(norms) == 59 and sum(norm.norms['a'].num_features for norm in norms) == 8576
        direct = [m for m in model.modules() for c in m.children() if isinstance(c, PairOfNorms)]
        assert len(direct) == 59  # as many places for a module walk to replace
    finally:
        MODELS.module_dict.pop('PairOfNorms')


def test_apply_norm_of_few_rows_uses_running_statistics():
    torch.manual_seed(0)
    norm = nn.BatchNorm1d(4).train()
    norm(torch.randn(50, 4) * 3 + 1)
    reference, x = nn.BatchNorm1d(4).eval(), torch.randn(1, 4)
    reference.load_state_dict(norm.state_dict())
    state = {name: value.clone() for name, value in norm.state_dict().items()}
    assert torch.equal(apply_norm(norm, x), reference(x))
    assert apply_norm(norm, x[:0]).shape == (0, 4)
    assert all(torch.equal(value, state[name]) for name, value in norm.state_dict().items())
    assert norm.training
    apply_norm(norm, torch.randn(2, 4))
    assert not torch.equal(norm.running_mean, state['running_mean'])
