"""Heads by domain: classes by name, losses beside the formula, and every label against its own name."""
import pytest
import torch

import pretrain3d  # noqa: F401
from mmdet3d.registry import DATASETS, MODELS
from pretrain3d.label_spaces import LABEL_SPACES, UnknownNameError, class_text, get_label_space, stand_in_bank
from pretrain3d.heads import lovasz_softmax
from pretrain3d.label_spaces.space import fold

SPACES = dict(ScanNet='ScanNet20', S3DIS='S3DIS13', Structured3D='Structured3D25')
KINDS = dict(DecoupledHead={}, UnionizedHead={}, LanguageGuidedHead=dict(text_bank='hashed-ngrams'))


def build(kind, spaces=SPACES, in_channels=8, **kwargs):
    return MODELS.build(dict(type=kind, in_channels=in_channels, label_spaces=spaces, **KINDS[kind], **kwargs))


def batch(head, seed=0, channels=8):
    generator = torch.Generator().manual_seed(seed)
    parts = {}
    for domain, count in zip(head.class_names, (30, 0, 20)):
        number = len(head.class_names[domain])
        parts[domain] = (torch.randn(count, channels, generator=generator),
                         torch.randint(0, number + 1, (count,), generator=generator))
    return parts


@pytest.mark.parametrize('kind', KINDS)
def test_loss_is_the_mean_over_labelled_rows(kind):
    torch.manual_seed(0)
    head = build(kind).double()
    parts = {domain: (features.double(), labels) for domain, (features, labels) in batch(head).items()}
    terms = []
    for domain, (features, labels) in parts.items():
        for value, label in zip(features, labels):
            if label < len(head.class_names[domain]):
                terms.append(-head(value[None], domain)[0].log_softmax(0)[label])
    loss = head.loss_by_domain(parts)['loss_ce']
    assert torch.allclose(loss, torch.stack(terms).mean(), atol=1e-12)
    loss.backward()
    assert all(parameter.grad is not None for parameter in head.parameters())


@pytest.mark.parametrize('kind', KINDS)
def test_lovasz_is_the_mean_over_domains_that_have_labels(kind):
    torch.manual_seed(0)
    head = build(kind, lovasz_weight=0.5).double()
    parts = {domain: (features.double(), labels) for domain, (features, labels) in batch(head).items()}
    none = parts['Structured3D'][1]
    terms = []
    for domain, (features, labels) in parts.items():
        number = len(head.class_names[domain])
        if len(labels):
            terms.append(lovasz_softmax(head(features, domain).softmax(1), labels, number))
    losses = head.loss_by_domain(parts)
    assert len(terms) == 2 and torch.allclose(losses['loss_lovasz'], 0.5 * (terms[0] + terms[1]) / 2, atol=1e-12)
    sum(losses.values()).backward()
    assert all(parameter.grad is not None for parameter in head.parameters())
    # A domain without labels counts for nothing; a batch without any is 0, in the graph.
    none.fill_(25)
    assert torch.allclose(head.loss_by_domain(parts)['loss_lovasz'], 0.5 * terms[0], atol=1e-12)
    empty = head.loss_by_domain({})
    assert empty['loss_lovasz'] == 0
    empty['loss_lovasz'].backward()
    assert 'loss_lovasz' not in build(kind).loss_by_domain({})
    with pytest.raises(ValueError, match='negative'):
        build(kind, lovasz_weight=-1)


@pytest.mark.parametrize('kind', KINDS)
def test_single_data_set(kind):
    """forward(features) and loss(features, labels), as SegmentationHead."""
    head = build(kind, 'S3DIS13')
    assert head.num_classes == 13 and head(torch.randn(4, 8)).shape == (4, 13)
    assert torch.isfinite(head.loss(torch.randn(4, 8), torch.tensor([0, 12, 13, 5]))['loss_ce'])
    for empty in (head.loss(torch.randn(3, 8), torch.full((3,), 13)), head.loss_by_domain({}),
                  head.loss(torch.randn(0, 8), torch.zeros(0).long())):
        assert empty['loss_ce'] == 0
        empty['loss_ce'].backward()


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('space', LABEL_SPACES)
def test_every_label_trains_against_its_own_name(kind, space):
    """Features that are the words of a class are trained to be labelled with it, and come back by their names."""
    torch.manual_seed(0)
    names = get_label_space(space).classes
    words = torch.from_numpy(stand_in_bank().rows([class_text(space, name) for name in names]))
    head = build(kind, space, in_channels=512)
    optimiser = torch.optim.Adam(head.parameters(), 0.02)
    labels = torch.tensor([get_label_space(space).index(name) for name in names])
    for _ in range(30):
        optimiser.zero_grad()
        head.loss(words, labels)['loss_ce'].backward()
        optimiser.step()
    found = head(words).argmax(1)
    assert [head.class_names[space][label] for label in found] == list(names)


@pytest.mark.parametrize('space', LABEL_SPACES)
def test_text_of_a_label_is_that_of_its_name(space):
    """The direction of the words of class k gives label k, whatever order the labels have."""
    names = get_label_space(space).classes
    for order in (names, names[::-1]):
        head = build('LanguageGuidedHead', {'D': space}, 512, classes={'D': order})
        head.projection.weight.data.copy_(torch.eye(512))
        head.projection.bias.data.zero_()
        words = torch.from_numpy(stand_in_bank().rows([class_text(space, name) for name in order]))
        assert head(words).argmax(1).tolist() == list(range(len(names)))
        assert torch.allclose(head(words * 7).diagonal(), torch.full((len(names),), 100.), atol=1e-3)


def test_s3dis_is_not_sorted():
    """Released models train 11 of the 13 labels of S3DIS against the words of another class."""
    head = build('LanguageGuidedHead')
    assert head.texts('S3DIS')[:3] == ('ceiling', 'floor', 'wall')
    bank = stand_in_bank()
    union = [class_text(SPACES[d], name) for d in ('Structured3D', 'ScanNet', 'S3DIS') for name in
             get_label_space(SPACES[d]).classes]
    released = sorted({union.index(text) for text in head.texts('S3DIS')})
    assert not torch.equal(head.text_S3DIS, torch.from_numpy(bank.rows([union[row] for row in released])))
    assert torch.equal(head.text_S3DIS, torch.from_numpy(bank.rows(list(get_label_space('S3DIS13').classes))))


def test_unionized_head_shares_classes_by_name():
    head = build('UnionizedHead')
    assert len(head.union) == 35
    columns = {domain: getattr(head, f'columns_{domain}').tolist() for domain in SPACES}
    for domain, space in SPACES.items():
        assert [head.union[column] for column in columns[domain]] == list(get_label_space(space).classes)
    assert columns['S3DIS'][8] == columns['ScanNet'][get_label_space('ScanNet20').index('chair')]
    head.loss(torch.randn(4, 8), torch.tensor([0, 1, 2, 8]), 'S3DIS')['loss_ce'].backward()
    others = [column for column in range(35) if column not in columns['S3DIS']]
    grad = head.classifier.weight.grad
    assert not grad[others].any() and grad[columns['S3DIS']].abs().amax(1).min() > 0


def test_parameter_counts():
    """Of 96 channels and three indoor data sets: 97 x 58 decoupled, 97 x 35 unionized, 97 x 512 to the text."""
    counts = {kind: sum(p.numel() for p in build(kind, in_channels=96).parameters()) for kind in KINDS}
    assert counts == dict(DecoupledHead=97 * 58, UnionizedHead=97 * 35, LanguageGuidedHead=49_664)


def test_classes_of_a_dataset():
    """Names in its own order and spelling, from a list, METAINFO or the registered type."""
    meta = DATASETS.get('ScanNetSegDataset').METAINFO
    head = build('DecoupledHead', dict(ScanNet='ScanNet20'), classes='ScanNetSegDataset')
    assert head.class_names['ScanNet'] == get_label_space('ScanNet20').classes
    head.check_classes('ScanNet', meta)
    few = build('DecoupledHead', dict(ScanNet='ScanNet20'), classes=dict(ScanNet=['sofa', 'Chair']))
    assert few.class_names['ScanNet'] == ('sofa', 'chair') and few.num_classes == 2
    with pytest.raises(ValueError, match="label 0 of ScanNet is 'sofa' for the head but 'wall' for the dataset"):
        few.check_classes('ScanNet', meta)
    with pytest.raises(ValueError, match="label 2 of ScanNet is None for the head but 'bed'"):
        few.check_classes('ScanNet', dict(classes=('sofa', 'chair', 'bed')))


def test_bad_names():
    with pytest.raises(UnknownNameError, match="'ScanNet21'; did you mean 'ScanNet20'"):
        build('DecoupledHead', 'ScanNet21')
    with pytest.raises(UnknownNameError, match="'chiar'; did you mean 'chair'"):
        build('DecoupledHead', 'ScanNet20', classes=['wall', 'chiar'])
    with pytest.raises(UnknownNameError, match="'S3DSI'; did you mean 'S3DIS'"):
        build('DecoupledHead', classes=dict(S3DSI=['wall']))
    with pytest.raises(UnknownNameError, match='no registered dataset'):
        build('DecoupledHead', 'ScanNet20', classes='NoSuchDataset')
    with pytest.raises(ValueError, match="'chair' of ScanNet20 is given twice"):
        build('DecoupledHead', 'ScanNet20', classes=['chair', 'Chair'])
    with pytest.raises(ValueError, match='of which domain'):
        build('DecoupledHead', classes=['wall'])
    with pytest.raises(ValueError, match='at least one domain'):
        build('DecoupledHead', {})
    head = build('DecoupledHead')
    with pytest.raises(UnknownNameError, match="'S3DI'; did you mean 'S3DIS'.*ScanNet, S3DIS, Structured3D"):
        head(torch.randn(2, 8), 'S3DI')
    with pytest.raises(UnknownNameError, match='which domain is this of.*ScanNet, S3DIS, Structured3D'):
        head(torch.randn(2, 8))
    with pytest.raises(ValueError, match=r'labels of S3DIS lie in \[3, 14\].*13 for unlabelled'):
        head.loss(torch.randn(2, 8), torch.tensor([3, 14]), 'S3DIS')
    with pytest.raises(ValueError, match='2 rows but labels'):
        head.loss(torch.randn(2, 8), torch.tensor([3]), 'S3DIS')


def test_union_is_by_words_across_spaces():
    head = build('UnionizedHead', dict(KITTI='SemanticKITTI19', Waymo='Waymo22'))
    shared = set(map(fold, head.texts('KITTI'))) & set(map(fold, head.texts('Waymo')))
    assert len(head.union) == 19 + 22 - len(shared) and fold('person who rides a bicycle') in shared
