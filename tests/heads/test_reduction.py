"""The mean over all ranks."""
import subprocess
import sys

import pytest
import torch
import torch.distributed as dist

from pretrain3d.heads import global_mean, reduction

# Fresh interpreters, not forks: a fork of a process that has used OpenMP can hang. The file is loaded by its path,
# so that neither of them has to import mmdet3d.
SCRIPT = """
import importlib.util, sys, torch, torch.distributed as dist
path, store, rank = sys.argv[1], sys.argv[2], int(sys.argv[3])
spec = importlib.util.spec_from_file_location('reduction', path)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
dist.init_process_group('gloo', init_method=f'file://{store}', rank=rank, world_size=2)
weight = torch.ones(1, requires_grad=True)
values = [torch.zeros(0), torch.tensor([1., 2, 6])][rank] * weight
loss = module.global_mean(values) if sys.argv[4] == 'values' else module.global_mean(
    values.sum(), torch.tensor(values.numel()))
loss.backward()
print(loss.item(), weight.grad.item())
"""


def test_sum_and_count_on_one_process():
    total = torch.tensor(6.0, requires_grad=True)
    value = global_mean(total, torch.tensor(4))
    value.backward()
    assert value.item() == 1.5 and total.grad.item() == 0.25
    assert global_mean(torch.tensor(0.0), torch.tensor(0)).item() == 0


def test_values_on_one_process():
    values = torch.tensor([1., 4, 7], dtype=torch.float64, requires_grad=True)
    assert global_mean(values) == 4
    assert torch.autograd.gradcheck(global_mean, values)


def test_nothing_is_zero_and_in_the_graph():
    weight = torch.ones(3, requires_grad=True)
    loss = global_mean(torch.zeros(0, 3) @ weight)
    loss.backward()
    assert loss == 0 and weight.grad.tolist() == [0, 0, 0]


def test_the_callers_count_stays(monkeypatch):
    count = torch.tensor(4)
    monkeypatch.setattr(reduction, 'get_world_size', lambda: 2)
    monkeypatch.setattr(reduction, 'all_reduce', lambda value, op: value.add_(12).div_(2))  # the other one: 12 / 12
    total = torch.tensor(6.0, requires_grad=True)
    loss = global_mean(total, count)
    loss.backward()
    # The gradient is averaged over the two ranks: that of (6 + 12) / 16.
    assert loss.item() == pytest.approx(18 / 16) and total.grad.item() / 2 == pytest.approx(1 / 16)
    assert count.item() == 4


@pytest.mark.skipif(not dist.is_available(), reason='needs torch.distributed')
@pytest.mark.parametrize('form', ['values', 'sum and count'])
def test_two_ranks_of_which_one_has_nothing(tmp_path, form):
    command = [sys.executable, '-c', SCRIPT, reduction.__file__, str(tmp_path / 'store')]
    ranks = [subprocess.Popen([*command, str(rank), form], stdout=subprocess.PIPE, text=True) for rank in range(2)]
    try:
        (empty, empty_grad), (full, full_grad) = (
            map(float, rank.communicate(timeout=120)[0].split()) for rank in ranks)
    finally:
        for rank in ranks:
            rank.kill()
    # Distributed data parallel averages: the mean over ranks is the mean over all values.
    assert empty == full == 3 and (empty_grad + full_grad) / 2 == 3 and empty_grad == 0
