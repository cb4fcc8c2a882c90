"""Frozen modules keep their weights and their running statistics."""
import copy
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mmdet3d.registry import HOOKS
from pretrain3d.engine.hooks import FreezeHook


def net():
    torch.manual_seed(0)
    return nn.ModuleDict(dict(backbone=nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), head=nn.Linear(4, 2)))


def test_only_the_rest_learns():
    model = net()
    before = copy.deepcopy(model.state_dict())
    hook = HOOKS.build(dict(type='FreezeHook', modules=['backbone']))
    runner = SimpleNamespace(model=model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.1)  # built before the hook acts
    hook.before_train(runner)
    for step in range(2):
        model.train()
        hook.before_train_iter(runner, step)
        model['head'](model['backbone'](torch.rand(5, 3))).square().sum().backward()
        optimizer.step()
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]) == key.startswith('backbone'), key
    assert model['head'].training and not model['backbone'].training


def test_unknown_module_is_named():
    with pytest.raises(KeyError, match='neck.*backbone'):
        FreezeHook(['neck']).before_train(SimpleNamespace(model=net()))
    with pytest.raises(TypeError, match='list'):
        FreezeHook('backbone')
