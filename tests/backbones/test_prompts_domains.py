"""Which domain a batch is of: names, errors, and the way through a model."""
import copy
import pickle

import pytest
import torch
from prompt_scenes import build, scatter_prompts, scene

from pretrain3d.backbones.prompts import DomainPrompts, convert
from pretrain3d.backbones.prompts.domains import RowGroups
from pretrain3d.label_spaces import UnknownNameError


@pytest.fixture(scope='module')
def model():
    return scatter_prompts(convert(build('SpUNet'), ('ScanNet', 'S3DIS'))).eval()


def test_row_groups():
    generator = torch.Generator().manual_seed(0)
    domain = torch.randint(0, 4, (50,), generator=generator)
    domain[domain == 2] = 0
    x = torch.randn(50, 3, generator=generator)
    together = torch.tensor([1, 3, 0])[torch.arange(50) // 20]
    for rows in (domain, domain.sort().values, together, domain[:1].expand(50)):
        groups = RowGroups.of(rows, 4)
        parts = groups.split(x)
        assert [len(part) for part in parts] == [int((rows == d).sum()) for d in range(4)]
        assert all(torch.equal(part, x[rows == d]) for d, part in enumerate(parts))
        assert torch.equal(groups.join(parts), x)
        values = x.double().requires_grad_()
        weights = (1., 2., 3., 4.)
        assert torch.autograd.gradgradcheck(
            lambda rows: groups.join([part**3 * w for part, w in zip(groups.split(rows), weights)]), values)
        groups.join([part * w for part, w in zip(groups.split(values), weights)]).sum().backward()
        assert torch.equal(values.grad, torch.tensor(weights)[rows][:, None].expand(50, 3).double())
        assert (groups.order is None) == (rows is not domain), 'rows that lie together are not copied'
    assert RowGroups.of(domain[:0], 4).counts == [0] * 4


def test_rows_that_lie_together_give_exactly_what_sorted_ones_do(monkeypatch):
    """Samples in another order than the domains of the model: outputs, statistics and gradients of a training step."""

    def by_sorting(domain, number):
        order = domain.argsort(stable=True)
        return RowGroups([int((domain == d).sum()) for d in range(number)], order, order.argsort())

    steps, groups = [], []
    for of in (RowGroups.of, by_sorting):
        monkeypatch.setattr(RowGroups, 'of', lambda *args: groups.append(of(*args)) or groups[-1])
        torch.manual_seed(0)
        one = scatter_prompts(convert(build('SpUNet'), ('ScanNet', 'S3DIS', 'Structured3D'))).train()
        out = one(dict(scene(), domains=['Structured3D', 'Structured3D', 'ScanNet']))
        out.square().sum().backward()
        steps.append([out, *one.buffers(), *(value.grad for value in one.parameters())])
    # The voxels of a sample lie together; a strided layer may mix those of several.
    assert groups[0].order is None and groups[0].runs and groups[len(groups) // 2].order is not None
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(*steps))


@pytest.mark.parametrize('how', ['key', 'use'])
def test_unknown_domain_names_the_known_ones(model, how):
    with pytest.raises(UnknownNameError, match="'ScanNte'; did you mean 'ScanNet'.*ScanNet, S3DIS"):
        if how == 'key':
            model(dict(scene(), domains=['ScanNet', 'ScanNte', 'S3DIS']))
        else:
            with model.prompts.use('ScanNte'):
                model(scene())


def test_no_domain_is_guessed(model):
    with pytest.raises(UnknownNameError, match='ScanNet, S3DIS.*domains'):
        model(scene())
    assert torch.isfinite(convert(build('SpUNet'), ('only',))(scene())).all()


def test_one_name_per_sample(model):
    with pytest.raises(ValueError, match='2 domains for a batch of 3 samples'):
        model(dict(scene(), domains=['ScanNet', 'S3DIS']))


def test_key_and_context_agree_and_a_failure_leaves_nothing(model):
    names = ['S3DIS', 'ScanNet', 'S3DIS']
    by_key = model(dict(scene(), domains=names))
    with pytest.raises(ValueError, match='in_channels'):
        model(dict(scene(), domains=names, voxels=torch.zeros(150, 2)))
    assert model.prompts._batch is None
    with model.prompts.use(names):
        assert torch.equal(model(scene()), by_key)
        # The key of the batch wins.
        assert torch.equal(model(dict(scene(), domains='ScanNet')), model(dict(scene(), domains=['ScanNet'] * 3)))
        assert torch.equal(model(scene()), by_key)
    assert not torch.equal(by_key, model(dict(scene(), domains='ScanNet')))


def test_two_backwards_inside_one_context(model):
    with model.prompts.use(['ScanNet', 'S3DIS', 'S3DIS']):
        for _ in range(2):
            model(scene()).sum().backward()


def test_copies_and_pickles_follow_their_own_batch(model):
    names = ['S3DIS', 'ScanNet', 'S3DIS']
    wanted = model(dict(scene(), domains=names))
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(twin(dict(scene(), domains=names)), wanted)
        twin.prompts.vectors['S3DIS'].data.add_(1)
        assert not torch.equal(twin(dict(scene(), domains=names)), wanted)
    assert torch.equal(model(dict(scene(), domains=names)), wanted)


def test_a_norm_off_the_grid_is_refused(model):
    with model.prompts.use(['ScanNet', 'S3DIS']) as batch:
        with pytest.raises(RuntimeError, match='has not run'):
            model.stem.norm(torch.zeros(3, 4))
        batch.indices = torch.zeros(5, 4, dtype=torch.int32)
        with pytest.raises(RuntimeError, match='got 3 rows.*has 5'):
            model.stem.norm(torch.zeros(3, 4))


@pytest.mark.parametrize('names', ['ScanNet', (), ('A', 'A'), ('a.b',), ('keys',), ('',), (3,)])
def test_impossible_names(names):
    with pytest.raises(ValueError):
        DomainPrompts(names)
