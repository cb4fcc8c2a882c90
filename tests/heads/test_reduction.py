"""The mean over all ranks, with the other rank's count put in by hand."""
import pytest
import torch

import pretrain3d  # noqa: F401
from pretrain3d.heads import global_mean, reduction


def test_one_process():
    total = torch.tensor(6.0, requires_grad=True)
    value = global_mean(total, torch.tensor(4))
    value.backward()
    assert value.item() == 1.5 and total.grad.item() == 0.25
    assert global_mean(torch.tensor(0.0), torch.tensor(0)).item() == 0


def test_with_another_rank(monkeypatch):
    count = torch.tensor(4)
    monkeypatch.setattr(reduction, 'get_world_size', lambda: 2)
    monkeypatch.setattr(reduction, 'all_reduce', lambda value, op: value.add_(12).div_(2))  # the other one has 12
    # Averaged over the two ranks: (6 + t) / 16.
    assert global_mean(torch.tensor(6.0), count).item() / 2 == pytest.approx(6 / 16)
    assert count.item() == 4
