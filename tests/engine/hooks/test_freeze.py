"""Frozen modules keep their weights and their running statistics."""
import copy
import os
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


class Probe(nn.Module):
    """A head on an encoder, both called through the wrapper."""

    def __init__(self):
        super().__init__()
        self.parts = net()

    def forward(self, rows):
        return self.parts['head'](self.parts['backbone'](rows)).square().mean()


def probe_on_ranks(rank, world_size):
    """Three steps of a wrapped model whose encoder a hook froze; the head's weights."""
    from mmengine.config import Config
    from mmengine.runner import Runner
    runner = SimpleNamespace(cfg=Config(), distributed=True)
    os.environ['LOCAL_RANK'] = str(rank)
    runner.wrap_model = lambda cfg, model: Runner.wrap_model(runner, cfg, model)
    runner.model = runner.wrap_model(None, Probe())
    hook = FreezeHook(['parts.backbone'])
    optimizer = torch.optim.SGD(runner.model.parameters(), lr=0.1)
    hook.before_train(runner)
    for step in range(3):
        hook.before_train_iter(runner, step)
        optimizer.zero_grad()
        rows = torch.rand(4, 3, generator=torch.Generator().manual_seed(2 * step + rank))
        runner.model(rows).backward()  # waits for the gradients of all ranks
        optimizer.step()
    return {key: value for key, value in runner.model.module.state_dict().items()}


def test_two_ranks_train_the_rest(tmp_path):
    from ranks import run_ranks
    first, second = run_ranks(f'{__file__}:probe_on_ranks', 2, tmp_path, timeout=120)
    before = Probe().state_dict()
    for key, value in before.items():
        assert torch.equal(first[key], second[key]), key
        assert torch.equal(first[key], value) == ('backbone' in key), key
