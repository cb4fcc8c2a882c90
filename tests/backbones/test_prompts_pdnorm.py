"""PDNorm beside its formula, row by row."""
import copy

import pytest
import torch
from prompt_scenes import lone_norm
from torch import nn

from mmdet3d.models.layers import NaiveSyncBatchNorm1d
from pretrain3d.backbones.prompts import PDNorm
from pretrain3d.backbones.prompts.domains import DomainPrompts

NAMES = ('ScanNet', 'S3DIS', 'Structured3D')


def formula(norm, prompts, x, domain):
    """(x - mean_d) / sqrt(var_d + eps) * gamma(c_d) + beta(c_d), one row after the other."""
    rows = []
    for value, name in zip(x, domain):
        own = x[[each == name for each in domain]]
        if norm.training:
            mean, var = own.mean(0), own.var(0, unbiased=False)
        else:
            mean, var = norm.statistics[name].running_mean, norm.statistics[name].running_var
        gamma, beta = (norm.modulation.weight @ prompts.vectors[name] + norm.modulation.bias).chunk(2)
        rows.append((value - mean) / (var + 1e-3).sqrt() * gamma + beta)
    return torch.stack(rows)


def on_grid(batch, samples):
    """Say that the rows of the current grid are of these samples."""
    batch.indices = torch.tensor([[sample, 0, 0, 0] for sample in samples], dtype=torch.int32)


@pytest.mark.parametrize('train', [True, False])
@pytest.mark.parametrize('samples', [(0, 0, 0, 1, 1, 2, 2, 2, 2), (2, 0, 1, 1, 0, 2, 0, 2, 1)])
def test_equals_the_formula(train, samples):
    """Sorted rows and rows in any order (a GPU's strided convolution does not sort its outputs)."""
    torch.manual_seed(0)
    norm, prompts = lone_norm(5, NAMES, eps=1e-3)
    norm.train(train)
    of_sample = ('Structured3D', 'ScanNet', 'Structured3D')
    domain = [of_sample[sample] for sample in samples]
    x = (torch.randn(len(samples), 5, dtype=torch.float64) * 3 + 1).requires_grad_()
    before = copy.deepcopy(norm.statistics)
    wanted = formula(norm, prompts, x, domain)
    names = [*norm.parameters(), *prompts.parameters(), x]
    weights = torch.randn_like(x)
    by_formula = torch.autograd.grad((wanted * weights).sum(), names, allow_unused=True)
    with prompts.use(of_sample) as batch:
        on_grid(batch, samples)
        out = norm(x)
    assert torch.allclose(out, wanted, atol=1e-12)
    found = torch.autograd.grad((out * weights).sum(), names)
    for mine, theirs in zip(found, by_formula):
        # The prompt of the absent domain hangs in our graph with a gradient of 0.
        assert torch.allclose(mine, torch.zeros_like(mine) if theirs is None else theirs, atol=1e-10)
    for name in NAMES:
        own = x[[each == name for each in domain]]
        after = norm.statistics[name].running_mean
        mean = before[name].running_mean
        moved = 0.9 * mean + 0.1 * own.mean(0) if train and len(own) else mean
        assert torch.allclose(after, moved, atol=1e-12)
        assert int(norm.statistics[name].num_batches_tracked) == int(train and len(own) > 0)


def test_one_domain_is_one_batch_norm():
    norm, prompts = lone_norm(4, NAMES)
    x = torch.randn(7, 4, dtype=torch.float64)
    with prompts.use('S3DIS'):
        out = norm(x)
    gamma, beta = (norm.modulation.weight @ prompts.vectors['S3DIS'] + norm.modulation.bias).chunk(2)
    assert torch.equal(out, nn.functional.batch_norm(x, None, None, gamma, beta, True))


def test_dense_maps_have_one_row_per_sample():
    """Batch norms of a detector's neck, after the sparse layers."""
    norm, prompts = lone_norm(3, NAMES, nn.BatchNorm2d(3))
    x = torch.randn(3, 3, 4, 5, dtype=torch.float64)
    with prompts.use(('S3DIS', 'ScanNet', 'S3DIS')):
        mixed = norm(x)
    for name, samples in (('S3DIS', [0, 2]), ('ScanNet', [1])):
        with prompts.use(name):
            assert torch.allclose(norm(x[samples]), mixed[samples], atol=1e-12)
    assert type(norm.fold('S3DIS')) is nn.BatchNorm2d


@pytest.mark.parametrize('rows', [0, 1])
def test_fewer_than_two_rows_take_the_running_statistics(rows):
    norm, prompts = lone_norm(4, NAMES)
    x = torch.randn(rows + 6, 4, dtype=torch.float64)
    before = copy.deepcopy(norm.statistics['S3DIS'].state_dict())
    with prompts.use(('S3DIS', 'ScanNet')) as batch:
        on_grid(batch, [0] * rows + [1] * 6)
        out = norm(x)
        out.sum().backward()
    assert torch.isfinite(out).all()
    own = norm.statistics['S3DIS']
    assert all(torch.equal(before[key], value) for key, value in own.state_dict().items())
    norm.eval()
    with prompts.use('S3DIS'):
        assert torch.allclose(norm(x[:rows]), out[:rows], atol=1e-12)


def test_momentum_none_averages_all_batches():
    norm, prompts = lone_norm(2, ('A',), momentum=None)
    plain = nn.BatchNorm1d(2, momentum=None).double()
    plain.load_state_dict({**plain.state_dict(), **norm.statistics['A'].state_dict()})
    for _ in range(3):
        x = torch.randn(5, 2, dtype=torch.float64)
        norm(x), plain(x)
    assert torch.allclose(norm.statistics['A'].running_mean, plain.running_mean)
    assert torch.allclose(norm.statistics['A'].running_var, plain.running_var)


def test_without_running_statistics():
    norm, prompts = lone_norm(2, ('A',), nn.BatchNorm1d(2, track_running_stats=False))
    x = torch.randn(5, 2, dtype=torch.float64)
    assert torch.equal(norm.eval()(x), norm.train()(x))
    assert norm.fold('A').running_mean is None


@pytest.mark.parametrize('kind', [torch.float16, torch.bfloat16])
def test_half_precision_is_normalised_in_float32(kind):
    """Squares of 3000 are beyond float16; and means of 4096 rows are beyond its 11 bits."""
    prompts = DomainPrompts(('A', 'B'), 8)
    norm = PDNorm(3, prompts)
    x = (torch.randn(4096, 3) * 3000 + 20000).to(kind)
    with torch.autocast('cpu', torch.bfloat16), prompts.use('B'):
        out = norm(x)
        out.float().square().sum().backward()
    assert out.dtype == kind and torch.isfinite(out).all()
    assert norm.statistics['B'].running_mean.dtype == torch.float32
    assert torch.allclose(norm.statistics['B'].running_mean, 0.1 * x.float().mean(0), rtol=1e-5)
    exact = nn.functional.batch_norm(x.float(), None, None, training=True)
    assert (out.float() - exact).abs().max() < 0.02 and torch.isfinite(norm.modulation.weight.grad).all()


@pytest.mark.parametrize('kind', [nn.SyncBatchNorm, NaiveSyncBatchNorm1d])
def test_norms_that_synchronise_do_so_per_domain(kind):
    """And in one process they are plain ones."""
    norm, prompts = lone_norm(3, NAMES, kind(3))
    assert all(type(own) is nn.SyncBatchNorm for own in norm.statistics.values())
    plain, _ = lone_norm(3, NAMES, nn.BatchNorm1d(3))
    plain.load_state_dict(norm.state_dict())
    plain._prompts.load_state_dict(prompts.state_dict())
    x = torch.randn(6, 3, dtype=torch.float64)
    with prompts.use('S3DIS'), plain._prompts.use('S3DIS'):
        assert torch.equal(norm(x), plain(x))
    assert type(norm.fold('S3DIS')) is kind


def test_sharing_of_the_prompts_survives_copies():
    prompts = DomainPrompts(('A', 'B'), 8)
    model = nn.ModuleDict(dict(norm=PDNorm(3, prompts), prompts=prompts))
    twin = copy.deepcopy(model)
    assert twin['norm']._prompts is twin['prompts'] is not prompts
    assert not any('_prompts' in key for key in model.state_dict())


def test_new_domain_has_the_statistics_of_an_equal_mixture():
    norm, prompts = lone_norm(4, ('A', 'B'))
    norm.add_domain('C', ('A', 'B'))
    rows = [own.running_mean + own.running_var.sqrt() * side for own in
            (norm.statistics['A'], norm.statistics['B']) for side in (-1, 1)]
    rows = torch.stack(rows)  # as many of each, with these means and variances
    assert torch.allclose(norm.statistics['C'].running_mean, rows.mean(0))
    assert torch.allclose(norm.statistics['C'].running_var, rows.var(0, unbiased=False))
