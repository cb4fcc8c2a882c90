"""Segment sum, mean and maximum beside a loop over segments."""
import pytest
import torch

from pretrain3d.ops import segment_max, segment_mean, segment_sum

DEVICES = ['cpu', pytest.param('cuda', marks=pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU'))]
SLOW = {segment_sum: lambda rows: rows.sum(0), segment_mean: lambda rows: rows.mean(0),
        segment_max: lambda rows: rows.amax(0)}


def slow(function, values, index, num_segments):
    out = values.new_zeros((num_segments, *values.shape[1:]))
    for segment in range(num_segments):
        rows = values[index == segment]
        if len(rows):
            out[segment] = SLOW[function](rows)
    return out


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('shape', [(50,), (50, 3), (50, 2, 4), (50, 0), (0, 3)])
@pytest.mark.parametrize('function', list(SLOW))
def test_equals_a_loop_over_segments(function, shape, device):
    generator = torch.Generator().manual_seed(len(shape))
    values = torch.randn(shape, generator=generator, dtype=torch.float64).to(device)
    # Segments 20 ... 24 stay empty; all-negative values would show a maximum that starts at zero.
    values = values - 5
    index = torch.randint(0, 20, shape[:1], generator=generator).to(device)
    out = function(values, index, 25)
    assert out.dtype == values.dtype and out.device == values.device
    torch.testing.assert_close(out, slow(function, values, index, 25))


@pytest.mark.parametrize('function', list(SLOW))
def test_gradients(function):
    generator = torch.Generator().manual_seed(3)
    values = torch.randn(12, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    index = torch.randint(0, 4, (12,), generator=generator)
    assert torch.autograd.gradcheck(lambda v: function(v, index, 6), values)


def test_the_gradient_of_a_tied_maximum_is_shared():
    values = torch.tensor([2., 2., 1.], requires_grad=True)
    segment_max(values, torch.zeros(3, dtype=torch.long), 1).sum().backward()
    assert values.grad.tolist() == [0.5, 0.5, 0]


def test_integers_and_other_index_types():
    values, index = torch.tensor([3, 4, -7]), torch.tensor([0, 0, 2], dtype=torch.int32)
    assert segment_sum(values, index, 3).tolist() == [7, 0, -7]
    assert segment_max(values, index, 3).tolist() == [4, 0, -7]


def test_half_precision_neither_overflows_nor_stalls():
    values, index = torch.full((5000,), 30., dtype=torch.float16), torch.zeros(5000, dtype=torch.long)
    assert segment_mean(values, index, 1).item() == 30
    assert segment_mean(values, index, 1).dtype == torch.float16
    ones = torch.ones(1000, dtype=torch.bfloat16)  # adding 1 to 256 in bfloat16 gives 256
    assert segment_sum(ones, index[:1000], 1).item() == 1000


@pytest.mark.parametrize('values, index, segments, error, word', [
    (torch.zeros(3), torch.zeros(2, dtype=torch.long), 1, ValueError, 'index'),
    (torch.zeros(3), torch.zeros(3, 1, dtype=torch.long), 1, ValueError, 'index'),
    (torch.zeros(3), torch.zeros(3), 1, TypeError, 'index'),
    (torch.zeros(3), torch.tensor([0, 1, 2]), 2, IndexError, 'num_segments=2'),
    (torch.zeros(3), torch.tensor([0, -1, 1]), 2, IndexError, '-1'),
    (torch.zeros(3), torch.zeros(3, dtype=torch.long), -1, ValueError, 'num_segments'),
    (torch.zeros(3, dtype=torch.bool), torch.zeros(3, dtype=torch.long), 1, TypeError, 'values'),
    (torch.tensor(1.), torch.zeros(1, dtype=torch.long), 1, ValueError, 'values'),
    ([1., 2.], torch.zeros(2, dtype=torch.long), 1, TypeError, 'values')])
@pytest.mark.parametrize('function', list(SLOW))
def test_errors_name_the_argument(function, values, index, segments, error, word):
    with pytest.raises(error, match=word):
        function(values, index, segments)


def test_a_mean_of_integers_is_refused():
    with pytest.raises(TypeError, match='values'):
        segment_mean(torch.tensor([1, 2]), torch.tensor([0, 0]), 1)
