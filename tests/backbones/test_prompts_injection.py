"""Direct injection and cross attention beside their formulas, and in networks."""
import copy

import pytest
import torch
from prompt_scenes import build, scatter_prompts, scene, take

from pretrain3d.backbones.prompts import CrossAttention, DirectInjection, DomainPrompts, convert, fold_domain
from pretrain3d.backbones.prompts.injection import Adapter

NAMES = ('ScanNet', 'S3DIS')


def drawn(kind, **kwargs):
    torch.manual_seed(0)
    adapter = kind(5, DomainPrompts(NAMES, 8), **kwargs).double()
    for parameter in adapter.parameters():
        parameter.data.normal_()
    return adapter, torch.randn(6, 5, dtype=torch.float64), torch.randn(2, 8, dtype=torch.float64)


def test_injection_is_a_linear_map_of_the_prompt():
    adapter, x, prompts = drawn(DirectInjection)
    domain = torch.tensor([0, 1, 1, 0, 1, 0])
    weight, bias = adapter.projection.weight, adapter.projection.bias
    rows = torch.stack([weight @ prompts[d] + bias for d in domain])
    assert torch.allclose(adapter.add(x, prompts, domain), rows)
    assert torch.allclose(adapter.add(x, prompts[:1], None).expand(6, 5), (weight @ prompts[0] + bias).expand(6, 5))


def test_attention_is_over_the_tokens_of_the_own_domain():
    adapter, x, prompts = drawn(CrossAttention, tokens=2, width=3)
    domain = torch.tensor([0, 1, 1, 0, 1, 0])
    rows = []
    for value, d in zip(x, domain):
        tokens = prompts[d].view(2, 4)
        query = adapter.query.weight @ value + adapter.query.bias
        scores = [query @ (adapter.key.weight @ token + adapter.key.bias) / 3**0.5 for token in tokens]
        shares = torch.stack(scores).softmax(0)
        mixed = sum(share * (adapter.value.weight @ token + adapter.value.bias) for share, token in zip(shares, tokens))
        rows.append(adapter.projection.weight @ mixed + adapter.projection.bias)
    # Scores pass through float32.
    assert torch.allclose(adapter.add(x, prompts, domain), torch.stack(rows), atol=1e-5)
    alone = adapter.add(x[domain == 1], prompts[1:], None)
    assert torch.allclose(alone, torch.stack(rows)[domain == 1], atol=1e-5)


@pytest.mark.parametrize('adapter', ['injection', 'attention'])
@pytest.mark.parametrize('kind', ['SpUNet', 'SparseMinkUNet', 'blocks'])
def test_networks(adapter, kind):
    """They start as the plain one; a mixed batch equals batches of one domain; gradients reach the prompts."""
    plain = build(kind).eval()
    model = convert(copy.deepcopy(plain), NAMES, adapter=adapter)
    names = ('S3DIS', 'ScanNet', 'S3DIS')
    with torch.no_grad():
        assert torch.equal(model(dict(scene(), domains=names)), plain(scene()))
    sites = [module for module in model.modules() if isinstance(module, Adapter)]
    blocks, stages = dict(SpUNet=(5, 4), SparseMinkUNet=(5, 4), blocks=(6, 3))[kind]
    assert len(sites) == (blocks if adapter == 'injection' else stages)
    scatter_prompts(model)
    out = model(dict(scene(), domains=names))
    out.square().sum().backward()
    assert all(site.projection.weight.grad.abs().max() > 0 for site in sites)
    assert all(vector.grad.abs().max() > 0 for vector in model.prompts.vectors.values())
    for name, samples in (('S3DIS', [0, 2]), ('ScanNet', [1])):
        part, rows = take(scene(), samples)
        own = model(dict(part, domains=name))
        other = model(dict(part, domains=NAMES[1 - NAMES.index(name)]))
        wanted = out[torch.tensor(samples) if len(out) == 3 else rows]
        assert (own - wanted).abs().max() < 1e-5 * out.abs().max() < (own - other).abs().max()
    with pytest.raises(ValueError, match='no place in a plain network'):
        fold_domain(model, 'S3DIS')


def test_copies_keep_their_own_adapters():
    model = scatter_prompts(convert(build('SparseMinkUNet'), NAMES, adapter='injection')).eval()
    twin = copy.deepcopy(model)
    wanted = model(dict(scene(), domains='S3DIS'))
    assert torch.equal(twin(dict(scene(), domains='S3DIS')), wanted)
    for site in twin.adapters.values():
        site.projection.weight.data.mul_(2)
    assert not torch.equal(twin(dict(scene(), domains='S3DIS')), wanted)
    assert torch.equal(model(dict(scene(), domains='S3DIS')), wanted)


def test_tokens_have_equal_lengths():
    with pytest.raises(ValueError, match='3 equal tokens'):
        CrossAttention(4, DomainPrompts(NAMES, 8), tokens=3)
