"""Several ranks train like one: losses, gradients and running statistics, with and without prompts."""
import msc_ranks
import pytest
from ranks import difference, run_ranks


@pytest.fixture(scope='module')
def ranks(tmp_path_factory):
    return run_ranks(f'{msc_ranks.__file__}:four_then_two', 4, tmp_path_factory.mktemp('ranks'))


@pytest.mark.parametrize('world_size, key', [(4, 'four'), (2, 'two')])
def test_ranks_equal_one(ranks, world_size, key):
    wanted = msc_ranks.whole(world_size)
    assert set(wanted) == set(msc_ranks.cases(world_size)) and len(wanted) == (6 if world_size == 2 else 4)
    wrong = []
    for name, one in wanted.items():
        assert {'msc.loss_contrast', 'msc.loss_color', 'msc.loss_normal'} == set(one['losses'])
        found = difference(one, [rank[key][name] for rank in ranks[:world_size]])
        line = ' '.join([f'{world_size} {name:15}', *(f'{kind} {gap:.1e}' for kind, gap in found.items())])
        print(line)
        wrong += [line] * (max(found.values()) > 1e-11)
    assert not wrong, '\n'.join(wrong)


def test_a_seed_of_another_scene_would_be_seen():
    """What the test compares does depend on the draws."""
    first, second = (msc_ranks.model_of('even') for _ in range(2))
    batch = msc_ranks.batch_of(first, (90, 80), 0)
    other = msc_ranks.batch_of(second, (90, 80), 0)
    other['data_samples'][0].set_metainfo(dict(voxel_seed=77))
    one, two = (msc_ranks.step(model.train(), data) for model, data in ((first, batch), (second, other)))
    assert difference(one, [two])['losses'] > 1e-3
