"""Two processes whose batches are of other domains, beside one process with the whole batch."""
import sys
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).resolve().parents[1]))
from prompt_ranks import CASES, NAMES, model_of, steps, whole  # noqa: E402
from ranks import run_ranks  # noqa: E402


@pytest.fixture(scope='module')
def ranks(tmp_path_factory):
    return run_ranks(str(Path(__file__).with_name('prompt_ranks.py')) + ':on_rank', 2, tmp_path_factory.mktemp('ranks'))


@pytest.mark.parametrize('case', CASES)
def test_synchronised_statistics_equal_one_process(ranks, case):
    """Features of every row, gradients of every parameter, running statistics of every domain."""
    sparse, weight = whole(case)
    one = steps(model_of(False), sparse, slice(None), weight)
    largest = max(value.abs().max() for value in one['gradients'].values())
    for rank in ranks:
        mine = rank[f'{case}, True']
        assert torch.allclose(mine['out'], one['out'][mine['rows']], atol=1e-4)
        for name, value in one['gradients'].items():
            gap = (mine['gradients'][name] * 2 - value).abs().max()  # distributed training averages
            assert gap <= 1e-3 * value.abs().max() + 1e-5 * largest, (name, gap)
        for name, value in one['buffers'].items():
            assert torch.allclose(mine['buffers'][name], value, rtol=1e-4, atol=1e-5), name


@pytest.mark.parametrize('case', CASES)
def test_without_synchronising_no_parameter_leaves_the_graph(ranks, case):
    """As many domains on a rank as it has; a second step would fail had a parameter been left out."""
    _, domains, counts = CASES[case]
    present = {name for name, count in zip(domains, counts) if count}
    grads = [rank[f'{case}, False']['gradients'] for rank in ranks]
    for name, value in grads[0].items():
        assert torch.equal(value, grads[1][name]) and torch.isfinite(value).all()
    for name in NAMES:
        assert (grads[0][f'prompts.vectors.{name}'].abs().max() > 0) == (name in present)


def test_a_network_without_adapters_trains_on(ranks):
    """As naive joint training has it: prompts that nobody reads are not waited for."""
    first, second = (rank['none']['gradients'] for rank in ranks)
    assert all((value is None) == name.startswith('prompts.') for name, value in first.items())
    assert all(torch.equal(value, second[name]) for name, value in first.items() if value is not None)
