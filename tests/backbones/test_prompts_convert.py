"""Converted networks beside the plain ones, mixed batches beside batches of one domain, and the way back."""
import copy

import pytest
import torch
from prompt_scenes import BLOCKS, ENCODER, NARROW, build, scatter_prompts, scene, take
from sparse_scenes import random_sparse, randomise
from torch import nn

from mmdet3d.models.backbones import MinkUNetBackbone
from mmdet3d.registry import MODELS
from pretrain3d.backbones import SparseMinkUNet
from pretrain3d.backbones.prompts import (DomainPrompts, PDNorm, add_domain, convert, find_prompts, fold_domain,
                                          parameter_counts)
from pretrain3d.label_spaces import UnknownNameError

NAMES = ('ScanNet', 'S3DIS', 'Structured3D')
KINDS = ['SpUNet', 'SRUNet', 'SparseMinkUNet', 'SparseEncoder', 'blocks']
MIXED = ('S3DIS', 'ScanNet', 'S3DIS')


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('train', [True, False])
def test_starts_as_the_plain_network_exactly(kind, train):
    """Outputs, and then running statistics, of every domain: bit for bit."""
    plain = build(kind).train(train)
    converted = convert(copy.deepcopy(plain), NAMES)
    assert sum(isinstance(module, PDNorm) for module in converted.modules()) == sum(
        isinstance(module, nn.BatchNorm1d) for module in plain.modules())
    for name in NAMES:
        own, twin = copy.deepcopy(converted), copy.deepcopy(plain)
        assert torch.equal(own(dict(scene(), domains=name)), twin(scene()))
        folded = fold_domain(own, name).state_dict()
        assert folded.keys() == twin.state_dict().keys()
        assert all(torch.equal(folded[key], value) for key, value in twin.state_dict().items())
    if not train:
        assert torch.equal(converted(dict(scene(), domains=MIXED)), plain(scene()))


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('train', [True, False])
def test_mixed_batch_equals_batches_of_one_domain(kind, train):
    """Outputs, gradients and running statistics."""
    model = scatter_prompts(convert(build(kind), NAMES)).train(train)
    alone = copy.deepcopy(model)
    sparse = scene((60, 0, 40)) if kind != 'blocks' else scene()
    out = model(dict(sparse, domains=MIXED))
    per_sample = len(out) == 3
    weight = torch.randn(out.shape, generator=torch.Generator().manual_seed(1))
    (out * weight).sum().backward()
    for name, samples in (('S3DIS', [0, 2]), ('ScanNet', [1])):
        part, rows = take(sparse, samples)
        rows = torch.tensor(samples) if per_sample else rows
        if len(part['voxels']):
            own = alone(dict(part, domains=[name] * len(samples)))
            assert (own - out[rows]).abs().max() < 1e-5 * out.abs().max(), name
            (own * weight[rows]).sum().backward()
    for (name, mine), twin in zip(model.named_parameters(), alone.parameters()):
        gap = (mine.grad - twin.grad).abs().max()
        # In front of a norm that is trained there is nothing but rounding.
        assert gap <= 1e-3 * twin.grad.abs().max() + 1e-5, (name, gap)
    for (name, mine), twin in zip(model.named_buffers(), alone.buffers()):
        assert torch.allclose(mine, twin, rtol=1e-5, atol=1e-6), name
    assert model.prompts.vectors['Structured3D'].grad.abs().max() == 0, 'absent, but in the graph'


def test_a_domain_changes_nothing_for_others():
    """What stands beside a sample of another domain has no part in its features, also in training."""
    model = scatter_prompts(convert(build('SpUNet'), NAMES)).train()
    first, second = scene((60, 50)), scene((60, 50), seed=5)
    rows = second['coors'][:, 0] == 0
    second['voxels'][rows], second['coors'][rows] = first['voxels'][rows], first['coors'][rows]
    outs = [model(dict(each, domains=['ScanNet', 'S3DIS']))[rows] for each in (first, second)]
    assert torch.allclose(*outs, atol=1e-5)
    outs = [model(dict(each, domains='ScanNet'))[rows] for each in (first, second)]
    assert not torch.allclose(*outs, atol=1e-2)


@pytest.mark.parametrize('kind', KINDS)
def test_folded_network_is_a_stock_one(kind):
    """A stock network takes its whole state dict, and computes what the prompted one does, in eval."""
    model = scatter_prompts(convert(build(kind), NAMES)).eval()
    for name in NAMES:
        stock = build(kind, seed=9).eval()
        stock.load_state_dict(fold_domain(model, name).state_dict(), strict=True)
        with torch.no_grad():
            wanted = model(dict(scene(), domains=name))
            assert (stock(scene()) - wanted).abs().max() < 1e-5 * wanted.abs().max()
    folded = fold_domain(model, 'S3DIS')
    assert not any(isinstance(module, (PDNorm, DomainPrompts)) for module in folded.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in folded.modules())
    assert torch.isfinite(model(dict(scene(), domains='S3DIS'))).all()
    with pytest.raises(UnknownNameError, match='S3DIS'):
        fold_domain(model, 'S3DSI')


def test_stock_encoder_in_its_own_call():
    """mmdet3d's SparseEncoder called as a detector does, inside the context."""
    for cfg in (ENCODER, BLOCKS):
        plain = MODELS.build(copy.deepcopy(cfg)).eval()
        model = convert(copy.deepcopy(plain), NAMES)
        sparse = scene()
        args = sparse['voxels'], sparse['coors'], 3
        with model.prompts.use(MIXED), torch.no_grad():
            assert torch.equal(model(*args), plain(*args))
        with pytest.raises(UnknownNameError, match='which domain'):
            model(*args)


def test_stock_minkunet_in_its_own_call():
    """mmdet3d's MinkUNetBackbone, whose forward makes the sparse tensor itself."""
    plain = MinkUNetBackbone(in_channels=3, num_stages=2, sparseconv_backend='spconv', **copy.deepcopy(NARROW))
    randomise(plain)
    sparse = random_sparse((16, 16, 16), (60, 50, 40))
    args = sparse['voxels'], sparse['coors']
    for train in (True, False):
        model = convert(copy.deepcopy(plain.train(train)), NAMES)
        with model.prompts.use('S3DIS'):
            assert torch.equal(model(*args), copy.deepcopy(plain)(*args))
    with model.prompts.use(MIXED):
        assert torch.equal(model(*args), plain(*args))
        scatter_prompts(model)
        mixed = model(*args)
    with model.prompts.use('ScanNet'):
        alone = model(*args)
    own = sparse['coors'][:, 0] == 1
    assert torch.allclose(alone[own], mixed[own], atol=1e-5) and not torch.allclose(alone, mixed, atol=1e-2)


def test_gradients_reach_prompts():
    """Zero maps hide the prompts from the first step; the second one moves them."""
    model = convert(build('SpUNet'), NAMES)
    optimiser = torch.optim.SGD(model.parameters(), 1e-3)
    target = torch.randn(150, 6, generator=torch.Generator().manual_seed(1))
    before = {name: vector.detach().clone() for name, vector in model.prompts.vectors.items()}
    sizes = []
    for _ in range(2):
        optimiser.zero_grad()
        (model(dict(scene(), domains=MIXED)) - target).square().mean().backward()
        sizes.append({name: float(vector.grad.abs().max()) for name, vector in model.prompts.vectors.items()})
        weights = [module.modulation.weight.grad for module in model.modules() if isinstance(module, PDNorm)]
        assert all(weight.abs().max() > 0 for weight in weights)
        optimiser.step()
    assert not any(sizes[0].values()) and sizes[1]['ScanNet'] > 0 < sizes[1]['S3DIS'] and not sizes[1]['Structured3D']
    after = model.prompts.vectors
    assert [torch.equal(before[name], after[name]) for name in NAMES] == [False, False, True]


def test_new_domain_starts_as_another():
    model = scatter_prompts(convert(build('SpUNet'), NAMES)).eval()
    add_domain(model, 'Matterport', like='S3DIS')
    assert torch.equal(model(dict(scene(), domains='Matterport')), model(dict(scene(), domains='S3DIS')))
    add_domain(model, 'mixture')
    vectors = model.prompts.vectors
    assert torch.allclose(vectors['mixture'], torch.stack([vectors[n] for n in (*NAMES, 'Matterport')]).mean(0))
    assert torch.isfinite(model(dict(scene(), domains=['mixture', 'S3DIS', 'ScanNet']))).all()
    with pytest.raises(UnknownNameError, match='S3DIS'):
        add_domain(model, 'other', like='S3DSI')
    with pytest.raises(ValueError, match='there already'):
        add_domain(model, 'S3DIS')


@pytest.mark.parametrize('kind, stem', [('SpUNet', 'stem'), ('SparseMinkUNet', 'conv_input')])
def test_scope(kind, stem):
    """Norms of a part; together they are all."""
    counts, plain = {}, build(kind)
    for scope in ('initial', 'encoder', 'decoder', 'all'):
        model = convert(copy.deepcopy(plain), NAMES, scope=scope)
        found = [name for name, module in model.named_modules() if isinstance(module, PDNorm)]
        counts[scope] = len(found)
        starts = dict(initial=stem, encoder=('enc', 'down'), decoder=('dec', 'up'), all='')[scope]
        assert found and all(name.startswith(starts) for name in found)
        assert torch.equal(model.eval()(dict(scene(), domains=MIXED)), plain.eval()(scene()))
    assert counts['initial'] + counts['encoder'] + counts['decoder'] == counts['all']
    both = convert(copy.deepcopy(plain), NAMES, scope=('initial', 'decoder'))
    assert sum(isinstance(module, PDNorm) for module in both.modules()) == counts['initial'] + counts['decoder']


def test_parameter_counts_of_spunet():
    """Twice 257 for each of the 8,576 norm channels, instead of two; 256 for each domain.

    43.55 M in all. 41.0 M, which the paper prints, is what prompts in the decoder's 3,456 norm channels and the
    projection to the text (49,664) make: 40.98 M; the paper puts them everywhere.
    """
    with torch.device('meta'):
        plain = MODELS.build(dict(type='SpUNet', in_channels=6))
        own = sum(parameter.numel() for parameter in plain.parameters())
        counts = {scope: parameter_counts(convert(copy.deepcopy(plain), NAMES, scope=scope))
                  for scope in ('all', 'decoder')}
    assert own == 39_155_904
    assert counts['all'] == dict(prompts=768, modulation=2 * 257 * 8576, other=own - 2 * 8576, total=43_547_584)
    assert counts['decoder']['total'] == own + 768 + (2 * 257 - 2) * 3456 == 40_926_144


def test_registered_builder_keeps_the_names_of_parameters():
    cfg = dict(type='SparseMinkUNet', in_channels=3, encoder_channels=(32, 64), encoder_blocks=(1, 1),
               decoder_channels=(64, 32), decoder_blocks=(1, 1))
    model = MODELS.build(dict(type='PromptedBackbone', backbone=cfg, domains=NAMES, channels=16))
    assert isinstance(model, SparseMinkUNet) and model.prompts.names == NAMES and model.prompts.channels == 16
    plain = MODELS.build(cfg).state_dict()
    shared = [key for key in plain if key in model.state_dict()]
    assert len(shared) == sum(value.dim() == 5 for value in plain.values())
    assert find_prompts(nn.Sequential(model)) is model.prompts


def test_an_initialiser_leaves_the_zeros_alone():
    model = build('SpUNet')
    model.init_cfg = dict(type='Kaiming', layer='Linear')
    convert(model, NAMES)
    model._is_init = False
    model.init_weights()
    assert not any(module.modulation.weight.any() for module in model.modules() if isinstance(module, PDNorm))


def test_without_zero_init_domains_differ_at_once():
    model = convert(build('SpUNet'), NAMES, zero_init=False).eval()
    assert not torch.allclose(model(dict(scene(), domains='S3DIS')), model(dict(scene(), domains='ScanNet')))


def test_bad_configs():
    with pytest.raises(ValueError, match='adapter must be one of'):
        convert(build('SpUNet'), NAMES, adapter='pdnorm')
    with pytest.raises(ValueError, match="scope 'encoders'.*stem"):
        convert(build('SpUNet'), NAMES, scope='encoders')
    with pytest.raises(ValueError, match='nothing to adapt'):
        convert(nn.Sequential(nn.Linear(2, 2)), NAMES)
    with pytest.raises(ValueError, match='already'):
        convert(convert(build('SpUNet'), NAMES), NAMES)
    with pytest.raises(ValueError, match='0 sets of domain prompts'):
        fold_domain(build('SpUNet'), 'S3DIS')


@pytest.mark.parametrize('adapter', ['norm', 'injection', 'attention', 'none'])
def test_everything_that_is_trained_is_in_the_graph(adapter):
    """Distributed training would wait for the rest, and fail in its second step."""
    model = convert(build('SpUNet'), NAMES, adapter=adapter)
    add_domain(model, 'another', like='S3DIS')
    model(dict(scene(), domains=MIXED)).sum().backward()
    lost = [name for name, value in model.named_parameters() if value.requires_grad and value.grad is None]
    assert not lost
    assert len(model.prompts.vectors) == 4 and all(
        value.requires_grad == (adapter != 'none') for value in model.prompts.vectors.values())


def test_adapter_none_knows_its_domains():
    plain = build('SpUNet').eval()
    model = convert(copy.deepcopy(plain), NAMES, adapter='none')
    assert torch.equal(model(dict(scene(), domains=MIXED)), plain(scene()))
    with pytest.raises(UnknownNameError):
        model(dict(scene(), domains='other'))
