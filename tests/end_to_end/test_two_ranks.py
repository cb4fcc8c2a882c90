"""Several ranks train like one: losses, gradients and running statistics of our models, whole steps through DDP.

``pytest -s`` prints the table of docs/distributed.md.
"""
import pytest
import rank_models
import torch
from ranks import difference, run_ranks

# float32 sums in another order; single tensors of badly conditioned networks differ by more than the whole step.
TOLERANCE = dict(float64=dict(losses=1e-12, gradients=1e-12, step=1e-12, buffers=1e-12),
                 float32=dict(losses=1e-5, step=1e-5, buffers=1e-5))


def check(world_size, precision, results, cases=rank_models.CASES):
    """Print a line per case; fail with those that differ too much."""
    wrong, wanted = [], rank_models.whole(world_size, precision, cases)
    assert len(wanted) == len(cases)
    for name, one in wanted.items():
        found = difference(one, [rank[name] for rank in results])
        line = ' '.join([f'{world_size} {precision} {name:34}', *(f'{kind} {gap:.1e}' for kind, gap in found.items())])
        print(line)
        if not all(found[kind] <= limit for kind, limit in TOLERANCE[precision].items()):
            wrong.append(line)
    assert not wrong, '\n'.join(wrong)


@pytest.fixture(scope='module')
def ranks(tmp_path_factory):
    """Results of four ranks, and of the same four as two pairs."""
    return run_ranks(f'{rank_models.__file__}:four_then_two', 4, tmp_path_factory.mktemp('ranks'))


def test_four_ranks_equal_one(ranks):
    check(4, 'float64', [rank['four'] for rank in ranks])


@pytest.mark.parametrize('precision, pair', [('float64', slice(0, 2)), ('float32', slice(2, 4))])
def test_two_ranks_equal_one(ranks, precision, pair):
    check(2, precision, [rank['two'] for rank in ranks[pair]], rank_models.PAIR_CASES[precision])


def test_a_group_of_one_equals_none(tmp_path):
    torch.distributed.init_process_group('gloo', init_method=f'file://{tmp_path}/store', rank=0, world_size=1)
    try:
        results = rank_models.on_rank(0, 1, 'float64')
    finally:
        torch.distributed.destroy_process_group()
    check(1, 'float64', [results])
