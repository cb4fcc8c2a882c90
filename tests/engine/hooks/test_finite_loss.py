import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from ranks import run_ranks

from mmdet3d.registry import DATASETS, MODELS
from pretrain3d.engine.hooks.finite_loss import FiniteLossHook, NonFiniteLossError, batch_samples, gradients


@DATASETS.register_module(force=True)
class Numbers(BaseDataset):

    def load_data_list(self):
        return [dict(number=i) for i in range(8)]

    def prepare_data(self, index):
        return dict(inputs=torch.full((4, 3), float(index)) + torch.rand(4, 3),
                    data_samples=BaseDataElement(metainfo=dict(lidar_path=f'{index}.bin')))


@MODELS.register_module(force=True)
class Breaks(BaseModel):
    """A linear layer behind a batch norm; ``breaks`` maps an iteration to what becomes NaN."""

    def __init__(self, breaks=()):
        super().__init__()
        self.norm, self.linear = torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 1)
        self.breaks, self.step = {int(step): what for step, what in dict(breaks).items()}, 0

    def forward(self, inputs, data_samples=None, mode='tensor'):
        what, self.step = self.breaks.get(self.step), self.step + 1
        x = torch.cat(list(inputs))
        if what == 'input':
            x = x * math.nan
        loss = (self.linear(self.norm(x)) ** 2).mean()
        if what == 'gradient':  # finite, with an infinite slope
            loss = loss + (self.linear.weight[0, 0] * 0).abs().sqrt()
        return dict(loss=loss * math.inf if what == 'infinite' else loss)


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmdet3d'):
        yield


def run(root, breaks=(), iterations=8, hook=True, each=None, **wrapper):
    """Train; returns the runner and the states of the model after every iteration."""
    hooks = dict(checkpoint=None)
    if hook:
        hooks['finite_loss'] = dict(type='FiniteLossHook', **(hook if isinstance(hook, dict) else {}))
    cfg = Config(dict(
        model=dict(type='Breaks', breaks={str(step): what for step, what in dict(breaks).items()}),
        work_dir=str(root / 'work'), default_scope='mmdet3d', randomness=dict(seed=3), train_dataloader=dict(
            dataset=dict(type='Numbers', ann_file=''), sampler=dict(type='SeededInfiniteSampler'), batch_size=2,
            num_workers=0),
        train_cfg=dict(by_epoch=False, max_iters=iterations), default_hooks=hooks, log_level='WARNING',
        optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=0.1, weight_decay=0.1), **wrapper),
        experiment_name=f'finite-{root.name}-{id(breaks)}-{id(each)}-{np.random.default_rng().integers(1 << 40)}'))
    runner = Runner.from_cfg(cfg)
    states = []

    class Look:
        def __call__(self, *args, **kwargs):
            states.append({key: value.clone() for key, value in runner.model.state_dict().items()})

    if not hasattr(runner.hooks[0], '_looks'):
        from mmengine.hooks import Hook
        look = Hook()
        look.priority, look.after_train_iter = 'VERY_LOW', Look()
        runner.register_hook(look, 'LOWEST')
    run.runner, run.states = runner, states
    runner.train()
    return runner, states


def same(first, second):
    return all(torch.equal(first[key], second[key]) for key in first)


def lines(runner):
    files = list(Path(runner.log_dir).glob('nonfinite.*.jsonl'))
    return [json.loads(line) for line in files[0].read_text().splitlines()] if files else []


def test_a_sound_run_is_bit_identical_with_and_without(tmp_path):
    runner, guarded = run(tmp_path)
    _, plain = run(tmp_path, hook=False)
    assert all(same(*pair) for pair in zip(guarded, plain)) and len(guarded) == 8 and not lines(runner)


@pytest.mark.parametrize('what, fault', [('input', 'loss'), ('infinite', 'loss'), ('gradient', 'gradients')])
def test_nothing_changes_in_a_step_that_is_not_finite(tmp_path, what, fault):
    runner, states = run(tmp_path, {3: what})
    assert same(states[2], states[3]) and not same(states[3], states[4])
    assert all(torch.isfinite(value).all() for value in states[-1].values())
    steps = {int(state['step']) for state in runner.optim_wrapper.optimizer.state.values()}
    assert steps == {7}
    entry, = lines(runner)
    assert (entry['iter'], entry['fault'], entry['run_seed']) == (3, fault, 3)
    # The samples by name, and the key with which each can be drawn again.
    order = runner.train_dataloader.sampler.draws(6)
    assert [(sample['lidar_path'], tuple(sample['draw'])) for sample in entry['samples']] == [
        (f'{int(index)}.bin', index.key) for index, _ in zip(order, range(2))]


def test_without_the_hook_the_weights_are_lost(tmp_path):
    _, states = run(tmp_path, {3: 'input'}, hook=False)
    assert not torch.isfinite(states[-1]['linear.weight']).all()


def test_the_run_ends_after_too_many_in_a_row(tmp_path):
    with pytest.raises(NonFiniteLossError, match=r'loss NaN .* in 2 updates in a row, up to iteration 5.*nonfinite'):
        run(tmp_path, {1: 'input', 4: 'input', 5: 'input'}, hook=dict(max_in_a_row=2))
    assert len(lines(run.runner)) == 3
    assert all(torch.isfinite(value).all() for value in run.runner.model.state_dict().values())


def test_an_accumulated_update_is_left_out_as_a_whole(tmp_path):
    runner, states = run(tmp_path, {3: 'input'}, iterations=12, accumulative_counts=3)
    assert same({'w': states[2]['linear.weight']}, {'w': states[5]['linear.weight']})
    assert same(states[2], states[5])  # the norm's statistics of the two good batches are dropped with their gradients
    assert not same({'w': states[5]['linear.weight']}, {'w': states[8]['linear.weight']})
    entry, = lines(runner)
    assert entry['iter'] == 5 and len(entry['samples']) == 6


class Scaler:
    """As torch's GradScaler: leaves the step out where a gradient is not finite."""

    def __init__(self, optimizer):
        self.optimizer = optimizer

    def step(self):
        if all(torch.isfinite(grad).all() for grad in
               (p.grad for group in self.optimizer.param_groups for p in group['params'])):
            self.optimizer.step()


def test_overflows_of_mixed_precision_are_counted_and_end_when_there_is_no_scale_left():
    weight = torch.nn.Parameter(torch.ones(2))

    class Amp(OptimWrapper):
        def step(self):
            self.loss_scaler.step()

    wrapper = Amp(torch.optim.SGD([weight], lr=0.1))
    wrapper.loss_scaler = Scaler(wrapper.optimizer)
    hook = FiniteLossHook()
    hook._stand_before(wrapper)

    class Fake:
        optim_wrapper = wrapper
        model = torch.nn.Module()
        iter = 0

        class message_hub:
            values = {}

            @classmethod
            def update_scalar(cls, name, value):
                cls.values[name] = value

    def iteration(loss):
        hook.before_train_iter(Fake, 0, None)
        wrapper.update_params(loss)
        hook.after_train_iter(Fake, 0, None, {})

    def overflow():
        return (weight * 0).abs().sqrt().sum() + weight.sum()  # finite, with infinite slopes

    iteration(weight.sum())
    iteration(overflow())
    iteration(weight.sum())
    assert hook.overflows == 1 and Fake.message_hub.values == {'train/overflows': 1} and hook.skipped == 0
    torch.testing.assert_close(weight.detach(), torch.full((2,), 0.8))
    with pytest.raises(NonFiniteLossError, match='100 updates in a row overflowed'):
        for _ in range(100):
            iteration(overflow())


def test_sparse_and_empty_gradients_are_looked_at():
    table = torch.nn.Embedding(4, 2, sparse=True)
    empty = torch.nn.Parameter(torch.zeros(0, 3))
    (table(torch.tensor([1, 1])).sum() * math.inf + empty.sum()).backward()
    found = gradients(OptimWrapper(torch.optim.SGD([*table.parameters(), empty], lr=1.)))
    assert [grad.shape for grad in found] == [(1, 2)] and torch.isinf(found[0]).all()


def test_batches_without_samples_and_options():
    assert batch_samples(None) == batch_samples(dict(inputs=[])) == [] and batch_samples(dict(data_samples=[1])) == [{}]
    with pytest.raises(ValueError, match='max_in_a_row is 0'):
        FiniteLossHook(max_in_a_row=0)


def two_ranks(rank, world_size):
    weight = torch.nn.Parameter(torch.ones(2))
    wrapper = OptimWrapper(torch.optim.SGD([weight], lr=0.1))
    FiniteLossHook()._stand_before(wrapper)
    for step in range(3):
        wrapper.update_params(weight.sum() * (math.nan if (rank, step) == (1, 1) else 1))
    return weight.detach()


def test_ranks_agree(tmp_path):
    for weight in run_ranks(f'{__file__}:two_ranks', 2, tmp_path):
        torch.testing.assert_close(weight, torch.full((2,), 0.8))
