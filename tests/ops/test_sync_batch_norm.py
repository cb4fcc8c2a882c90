"""The norm that synchronises on CPU against torch's BatchNorm on all rows together."""
import pytest
import sync_norm_ranks
import torch
from ranks import run_ranks
from sync_norm_ranks import CASES, NORMS, norm_of, rows, steps
from torch import nn

import pretrain3d  # noqa: F401
from pretrain3d.ops import sync_batch_norm


class AnyBatchNorm(nn.modules.batchnorm._BatchNorm):
    """BatchNorm of any number of dimensions."""

    def _check_input_dim(self, input):
        pass


@pytest.fixture(scope='module')
def ranks(tmp_path_factory):
    return run_ranks(f'{sync_norm_ranks.__file__}:on_rank', 3, tmp_path_factory.mktemp('norms'))


@pytest.mark.parametrize('kind', NORMS)
@pytest.mark.parametrize('case', CASES)
@pytest.mark.parametrize('dtype, tolerance', [(torch.float64, 1e-12), (torch.float32, 1e-4)])
def test_ranks_equal_one(ranks, case, kind, dtype, tolerance):
    """float32: rows lie 60 standard deviations off 0, which alone costs two digits."""
    found = [rank[f'{case}, {kind}, {dtype}'] for rank in ranks]
    norm = norm_of(kind, dtype, AnyBatchNorm)
    values, grads = (torch.cat(parts) for parts in rows(case, dtype))
    if len(values) < 2:
        if kind == 'without statistics':
            return  # torch has no answer; ours is finite
        norm.eval()  # the running statistics, which stay
    wanted = steps(norm, norm, values, grads)
    assert torch.cat([one['out'] for one in found]).isfinite().all()
    for name in ('out', 'by_input'):
        assert torch.allclose(torch.cat([one[name] for one in found]), wanted[name], rtol=tolerance, atol=tolerance)
    for place, value in enumerate(wanted['by_parameters']):
        total = sum(one['by_parameters'][place] for one in found)
        assert torch.allclose(total, value, rtol=tolerance, atol=10 * tolerance)
    for one in found:
        for mine, value in zip(one['buffers'], wanted['buffers']):
            assert torch.allclose(mine, value, rtol=tolerance)


def test_gradients_on_one_process():
    norm = norm_of('plain', torch.float64)
    x = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda *given: sync_batch_norm(norm, given[0]), (x, norm.weight, norm.bias))


def test_half_precision_is_normalised_in_float32():
    x = (torch.randn(50, 3) + 20).bfloat16()
    out = sync_batch_norm(norm_of('plain', torch.float32), x)
    exact = sync_batch_norm(norm_of('plain', torch.float32), x.float())
    assert out.dtype == torch.bfloat16 and torch.equal(out, exact.bfloat16())


def test_wrong_shape_is_named():
    with pytest.raises(ValueError, match='3 channels'):
        sync_batch_norm(norm_of('plain', torch.float32), torch.zeros(5, 4))
