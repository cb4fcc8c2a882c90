"""Criteria of the alignment with words: formulas, gradients, precision, ranks, and every label against its own name."""
import math
from itertools import permutations

import pytest
import torch

import pretrain3d  # noqa: F401
from pretrain3d.heads import LanguageGuidedHead
from pretrain3d.heads.text_criteria import TextContrastive
from pretrain3d.label_spaces import UnknownNameError, class_text, get_label_space, stand_in_bank


OTHERS = ('L2', 'Discriminative', 'TextContrastive')


def build(criterion, spaces=dict(ScanNet='ScanNet20', S3DIS='S3DIS13'), channels=8, **kwargs):
    return LanguageGuidedHead(channels, spaces, 'hashed-ngrams', criterion=criterion, **kwargs)


def batch():
    """Rows of two domains, some unlabelled, one class alone."""
    generator = torch.Generator().manual_seed(0)
    return {domain: (torch.randn(len(labels), 8, generator=generator, dtype=torch.float64), torch.tensor(labels))
            for domain, labels in (('ScanNet', [0, 3, 3, 20, 7]), ('S3DIS', [12, 13, 0, 0]))}


def rows_of(head, parts):
    """(domain, z, u, label) of every labelled row, one by one."""
    for domain, (features, labels) in parts.items():
        for value, label in zip(features, labels.tolist()):
            if label < len(head.class_names[domain]):
                z = head.projection.weight @ value + head.projection.bias
                yield domain, z, z / (z @ z + head.eps).sqrt(), label


def twin_l2(head, parts):
    terms = [float((u - getattr(head, f'text_{domain}')[label]).square().sum())
             for domain, _, u, label in rows_of(head, parts)]
    return sum(terms) / len(terms)


def twin_contrastive(head, parts, positive=0.1, negative=0.9, weight=0.5):
    terms = []
    for domain, _, u, label in rows_of(head, parts):
        distances = [1 - float(u @ text) for text in getattr(head, f'text_{domain}')]
        own = distances.pop(label)
        terms.append(max(0, own - positive) + weight * max(0, negative - sum(distances) / len(distances)))
    return sum(terms) / len(terms)


def twin_discriminative(head, parts, pull=0.4, push=1.3, norm_weight=0.1):
    members = {}
    for domain, z, u, label in rows_of(head, parts):
        members.setdefault((domain, label), []).append((z, u))
    means = {key: sum(u for _, u in values) / len(values) for key, values in members.items()}
    near = [sum(max(0, float((u - getattr(head, f'text_{key[0]}')[key[1]]).norm()) - pull)**2 for _, u in values)
            / len(values) for key, values in members.items()]
    far = [max(0, push - float((means[a] - means[b]).norm()))**2 for a, b in permutations(means, 2) if a[0] == b[0]]
    norms = [float((sum(z for z, _ in values) / len(values)).norm()) for values in members.values()]
    return sum(near) / len(near) + sum(far) / len(far) + norm_weight * sum(norms) / len(norms)


@pytest.mark.parametrize('criterion,twin', [
    (dict(type='L2'), twin_l2),
    (dict(type='TextContrastive', positive=0.1, negative=0.9, weight=0.5, num_negatives=None), twin_contrastive),
    (dict(type='Discriminative', pull=0.4, push=1.3, norm_weight=0.1), twin_discriminative)])
def test_formula(criterion, twin):
    torch.manual_seed(0)
    head = build(criterion).double()
    loss = head.loss_by_domain(batch())['loss_text']
    assert abs(float(loss) - twin(head, batch())) < 1e-9 and float(loss) > 0.1
    loss.backward()
    assert head.projection.weight.grad.abs().max() > 0


@pytest.mark.parametrize('criterion', [
    'L2', dict(type='TextContrastive', num_negatives=None, negative=1.2),
    dict(type='Discriminative', norm_weight=0.1)])
def test_gradients(criterion):
    torch.manual_seed(0)
    head = build(criterion).double()
    parts = batch()
    xs = [features.requires_grad_() for features, _ in parts.values()]

    def loss(*xs):
        return head.loss_by_domain({d: (x, labels) for x, (d, (_, labels)) in zip(xs, parts.items())})['loss_text']

    assert torch.autograd.gradcheck(loss, xs)


def test_drawn_negatives():
    """As many as asked for, never the own class, every other one in the long run."""
    torch.manual_seed(0)
    criterion, own = TextContrastive(num_negatives=3), torch.arange(4000)[:, None] % 5
    chosen = criterion.draw(torch.zeros(4000, 5), own)
    assert torch.equal(chosen.sum(1), torch.full((4000,), 3.)) and not chosen.gather(1, own).any()
    assert (chosen.mean(0) - 3 / 5).abs().max() < 0.05
    assert not torch.equal(chosen, criterion.draw(torch.zeros(4000, 5), own))
    few = TextContrastive(num_negatives=9).draw(torch.zeros(2, 5), own[:2])
    assert torch.equal(few, 1 - torch.eye(5)[:2])
    lonely = build('TextContrastive', dict(D='S3DIS13'), classes=dict(D=['chair']))
    assert 0 <= lonely.loss(torch.randn(4, 8), torch.tensor([0, 0, 1, 0]))['loss_text'] <= 2
    with pytest.raises(ValueError, match='at least 1'):
        TextContrastive(num_negatives=0)


@pytest.mark.parametrize('criterion', ('InfoNCE', *OTHERS))
def test_every_label_comes_back_by_its_own_name(criterion):
    """Training with the words of the classes as features: the arg max cosine gives every class its name."""
    torch.manual_seed(0)
    names = get_label_space('S3DIS13').classes
    words = torch.from_numpy(stand_in_bank().rows([class_text('S3DIS13', name) for name in names]))
    head = build(criterion, dict(S3DIS='S3DIS13'), 512)
    optimiser = torch.optim.Adam(head.parameters(), 0.005)
    losses = []
    for _ in range(40):
        optimiser.zero_grad()
        losses.append(sum(head.loss(words, torch.arange(13)).values()))
        losses[-1].backward()
        optimiser.step()
    assert losses[-1] < 0.5 * losses[0]
    assert [names[label] for label in head(words).argmax(1)] == list(names)


@pytest.mark.parametrize('criterion', OTHERS)
def test_nothing_to_learn_from(criterion):
    head = build(criterion)
    for parts in ({}, dict(S3DIS=(torch.randn(3, 8), torch.full((3,), 13))),
                  dict(ScanNet=(torch.randn(0, 8), torch.zeros(0).long()))):
        loss = head.loss_by_domain(parts)['loss_text']
        loss.backward()
        assert loss == 0 and not any(parameter.grad.any() for parameter in head.parameters())


@pytest.mark.parametrize('criterion', OTHERS)
@pytest.mark.parametrize('scale', [0., 1., 6e4])
def test_half_precision(criterion, scale):
    """float32 inside autocast; features whose squares half precision cannot hold, and nothing but 0."""
    torch.manual_seed(0)
    head = build(criterion)
    head.projection.bias.data.zero_()
    x, labels = (torch.randn(6, 8).sign() * scale).half().requires_grad_(), torch.arange(6)
    torch.manual_seed(1)
    with torch.autocast('cpu', torch.bfloat16):
        loss = head.loss(x, labels, 'S3DIS')['loss_text']
    loss.backward()
    assert loss.dtype == torch.float32
    for value in (loss, x.grad, head.projection.weight.grad):
        assert torch.isfinite(value).all()
    torch.manual_seed(1)
    assert torch.equal(loss, head.loss(x.detach().float(), labels, 'S3DIS')['loss_text'])


def test_two_ranks_are_one(head_ranks):
    """Loss and gradients of two processes, one of them without rows of a domain or of any, are those of one."""
    from text_criteria_ranks import CRITERIA, Wrapped, losses_and_gradients, whole
    wanted = [losses_and_gradients(Wrapped(criterion), whole()) for criterion in CRITERIA]
    for results in (rank['criteria'] for rank in head_ranks):
        for number, result in enumerate(results):
            assert result.keys() == wanted[number % 4].keys()
            for name, value in wanted[number % 4].items():
                assert math.isfinite(value.abs().max()) and value.abs().max() > 0
                assert (result[name] - value).abs().max() < 1e-9 * value.abs().max(), (number, name)


def test_config():
    assert set(build('L2').loss(torch.randn(2, 8), torch.tensor([0, 1]), 'S3DIS')) == {'loss_text'}
    assert set(build('InfoNCE').loss(torch.randn(2, 8), torch.tensor([0, 1]), 'S3DIS')) == {'loss_ce'}
    with pytest.raises(UnknownNameError, match="'Discriminativ'; did you mean 'Discriminative'.*InfoNCE, L2"):
        build('Discriminativ')
    with pytest.raises(ValueError, match='logit_scale'):
        build(dict(type='InfoNCE', temperature=0.1))
    for criterion in OTHERS:
        with pytest.raises(ValueError, match=r'labels of S3DIS lie in \[3, 14\]'):
            build(criterion).loss(torch.randn(2, 8), torch.tensor([3, 14]), 'S3DIS')
        with pytest.raises(UnknownNameError, match="'S3DI'; did you mean 'S3DIS'"):
            build(criterion).loss(torch.randn(2, 8), torch.tensor([3, 1]), 'S3DI')
