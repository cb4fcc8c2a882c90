"""The language-guided head: its formula, precision, the text bank in log and checkpoint."""
import math

import pytest
import torch

import pretrain3d  # noqa: F401
from pretrain3d.heads import LanguageGuidedHead
from pretrain3d.label_spaces import UnknownNameError, stand_in_bank

SPACES = dict(ScanNet='ScanNet20', S3DIS='S3DIS13')


def build(**kwargs):
    return LanguageGuidedHead(8, SPACES, **dict(dict(text_bank='hashed-ngrams'), **kwargs))


def test_info_nce_over_the_classes_of_the_domain():
    """-log softmax of 100 cos(z, t), negatives of the own data set only."""
    torch.manual_seed(0)
    head = build().double()
    x, labels = torch.randn(5, 8, dtype=torch.float64), torch.tensor([0, 3, 12, 7, 7])
    wanted = 0.
    for value, label in zip(x, labels):
        z = head.projection.weight @ value + head.projection.bias
        cosines = [float(z @ text / (z @ z + 1e-6).sqrt()) for text in head.text_S3DIS.double()]
        top = max(cosines)
        total = sum(math.exp(100 * (cosine - top)) for cosine in cosines)
        wanted += -100 * (cosines[label] - top) + math.log(total)
    assert abs(float(head.loss(x, labels, 'S3DIS')['loss_ce']) - wanted / 5) < 1e-5 * wanted


def test_gradients():
    torch.manual_seed(0)
    head = build(logit_scale=3.).double()
    x, labels = torch.randn(4, 8, dtype=torch.float64, requires_grad=True), torch.tensor([0, 3, 12, 13])
    assert torch.autograd.gradcheck(lambda x: head.loss(x, labels, 'S3DIS')['loss_ce'], x)
    assert all(not buffer.requires_grad for buffer in head.buffers())


@pytest.mark.parametrize('case', ['random', 'more channels than words', 'one direction', 'nothing'])
@pytest.mark.parametrize('kind, limit', [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_as_if_every_row_were_projected(case, kind, limit):
    """Logits and gradients of features, weight and bias beside the plain formula, which needs 512 values a row."""
    torch.manual_seed(0)
    head = LanguageGuidedHead(520 if case == 'more channels than words' else 8, SPACES, 'hashed-ngrams').to(kind)
    weight, bias = head.projection.weight, head.projection.bias
    with torch.no_grad():
        if case == 'one direction':
            weight.copy_(torch.randn(len(weight), 1) * torch.randn(1, 8))
        if case == 'nothing':
            weight.zero_()
            bias.zero_()
    x = torch.randn(50, weight.shape[1], dtype=kind).requires_grad_()
    labels = torch.arange(50) % 13

    def plain(x):
        z = x @ weight.T + bias
        return 100. * (z / (z.square().sum(1, keepdim=True) + 1e-6).sqrt()) @ head.text_S3DIS.to(kind).T

    found = []
    for logits in (plain(x), head.logits(x, 'S3DIS')):
        loss = torch.nn.functional.cross_entropy(logits, labels)
        found.append((logits, *torch.autograd.grad(loss, [x, weight, bias])))
    if case == 'one direction':  # all rows are parallel: the gradients are what rounding leaves of larger terms
        limit *= 100
    for wanted, got in zip(*found):
        assert (got - wanted).abs().max() <= limit * wanted.abs().max().clamp(min=1e-3)


@pytest.mark.parametrize('scale', [0., 1e-30, 6e4])
@pytest.mark.parametrize('kind', [torch.float16, torch.bfloat16, torch.float32])
def test_overflow_of_half_precision_stays_finite(kind, scale):
    """The largest features of float16, whose squares it cannot hold, and rows of nothing but 0."""
    head = build()
    head.projection.bias.data.zero_()
    x = (torch.randn(6, 8).sign() * scale).to(kind).requires_grad_()
    with torch.autocast('cpu', torch.bfloat16):
        logits = head(x, 'S3DIS')
        loss = head.loss(x, torch.arange(6), 'S3DIS')['loss_ce']
    loss.backward()
    assert logits.dtype == torch.float32 and logits.abs().max() <= 100.01
    for value in (logits, loss, x.grad, head.projection.weight.grad):
        assert torch.isfinite(value).all()


def test_autocast_changes_nothing():
    torch.manual_seed(0)
    head, x = build(), torch.randn(6, 8)
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(head(x, 'ScanNet'), head(x, 'ScanNet').float())
        under = head(x, 'ScanNet')
    assert torch.equal(under, head(x, 'ScanNet'))


def test_text_bank_is_named_in_the_log_and_the_checkpoint(tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr('pretrain3d.heads.language_guided.print_log', lambda line, *args, **kwargs: lines.append(line))
    head = build()
    assert 'hashed-ngrams' in lines[0] and 'no claim about language' in lines[0]
    state = head.state_dict()
    assert set(state) == {'projection.weight', 'projection.bias', 'text_source'}
    assert b'hashed-ngrams' in bytes(state['text_source'].tolist())
    build().load_state_dict(state)
    bank = stand_in_bank()
    bank.manifest['encoder'] = 'another encoder with a longer name'
    bank.save(tmp_path / 'bank.npz')
    other = build(text_bank=str(tmp_path / 'bank.npz'))
    assert 'no claim' not in lines[-1] and 'another encoder' in lines[-1]
    with pytest.raises(RuntimeError, match='trained with the text bank.*hashed-ngrams.*another encoder'):
        other.load_state_dict(state)


def test_class_in_no_bank(tmp_path):
    stand_in_bank([text for text in stand_in_bank().texts if text != 'sofa']).save(tmp_path / 'bank.npz')
    with pytest.raises(UnknownNameError, match="bank.npz lacks a class of .*'sofa'.*build_text_bank.py"):
        build(text_bank=str(tmp_path / 'bank.npz'))
    with pytest.raises(FileNotFoundError, match='hashed-ngrams'):
        build(text_bank=str(tmp_path / 'none.npz'))


def test_legacy_order():
    """Weights that learnt sorted words give the right label only with the switch, and refuse a head without it."""
    head, legacy = build(), build(legacy_order=['S3DIS'])
    assert head.texts('S3DIS')[:3] == ('ceiling', 'floor', 'wall')
    assert legacy.texts('S3DIS') == ('wall', 'floor', 'chair', 'sofa', 'table', 'door', 'window', 'bookcase', 'ceiling',
                                     'board', 'beam', 'column', 'clutter')
    assert sum(a == b for a, b in zip(head.texts('S3DIS'), legacy.texts('S3DIS'))) == 2
    assert legacy.texts('ScanNet') == head.texts('ScanNet')
    few = build(legacy_order=['S3DIS'], classes=dict(S3DIS=['chair', 'ceiling']))
    assert few.texts('S3DIS') == ('ceiling', 'wall')
    with pytest.raises(RuntimeError, match=r"give it text_bank=<that one>, legacy_order=\['S3DIS'\]"):
        head.load_state_dict(legacy.state_dict())
    with pytest.raises(RuntimeError, match=r'legacy_order=\[\]'):
        legacy.load_state_dict(head.state_dict())
    legacy.load_state_dict(build(legacy_order=['S3DIS']).state_dict())
    with pytest.raises(ValueError, match='ScanNet20 has no legacy order'):
        build(legacy_order=['ScanNet'])
    with pytest.raises(TypeError, match='list of domains'):
        build(legacy_order='S3DIS')
    with pytest.raises(UnknownNameError, match="'S3DI'; did you mean 'S3DIS'"):
        build(legacy_order=['S3DI'])


def test_older_checkpoints_load_and_loaders_that_only_warn_refuse():
    from mmengine.runner.checkpoint import load_state_dict
    head = build()
    state = head.state_dict()
    state['text_source'] = torch.frombuffer(bytearray(bytes(state['text_source'].tolist()).rstrip(b'\0')),
                                            dtype=torch.uint8)
    other = build()
    other.load_state_dict(state)
    assert torch.equal(other.projection.weight, head.projection.weight)
    with pytest.raises(RuntimeError, match='legacy_order'):
        load_state_dict(build(legacy_order=['S3DIS']), state, strict=False)
