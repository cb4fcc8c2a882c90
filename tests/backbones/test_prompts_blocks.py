"""A prompt for each block beside one for all: which block a norm is of, numbers, domains, the way back."""
import copy

import pytest
import torch
from prompt_scenes import build, lone_norm, scatter_prompts, scene, take

from pretrain3d.backbones.prompts import DomainPrompts, PDNorm, add_domain, convert, fold_domain, parameter_counts
from pretrain3d.backbones.prompts.domains import PromptReader

NAMES = ('ScanNet', 'S3DIS', 'Structured3D')
MIXED = ('S3DIS', 'ScanNet', 'S3DIS')
KINDS = ['SpUNet', 'SRUNet', 'SparseMinkUNet', 'SparseEncoder', 'blocks']


def prompted(kind, **kwargs):
    torch.manual_seed(0)
    return convert(build(kind), NAMES, shared_prompt=False, **kwargs)


def readers(model):
    return {name: module for name, module in model.named_modules() if isinstance(module, PromptReader)}


def test_norms_of_a_residual_block_share_a_prompt_and_others_have_their_own():
    model = prompted('SpUNet')
    block = {name: int(module.block) for name, module in readers(model).items()}
    # One layer in, two down, two up, five residual blocks.
    assert sorted(set(block.values())) == list(range(10)) and model.prompts.blocks == 10
    residual = [name for name, module in model.named_modules() if type(module).__name__ == 'SparseBasicBlock']
    assert len(residual) == 5
    for name, number in block.items():
        inside = [each for each in residual if name.startswith(f'{each}.')]
        others = {other for other, given in block.items() if given == number}
        assert others == {other for other in block if other.startswith(f'{inside[0]}.')} if inside else others == {name}
    sizes = sorted(list(block.values()).count(number) for number in set(block.values()))
    # Two blocks of the decoder have a norm on their shortcut.
    assert sizes == [1] * 5 + [2] * 3 + [3] * 2


@pytest.mark.parametrize('kind, adapter', [
    *((kind, adapter) for kind in KINDS for adapter in ('norm', 'attention')),
    *((kind, 'injection') for kind in KINDS if kind != 'SparseEncoder')])  # which has no residual blocks
def test_zero_init_starts_as_the_plain_network_exactly(kind, adapter):
    plain = build(kind)
    for train in (True, False):
        plain.train(train)
        model = convert(copy.deepcopy(plain), NAMES, adapter=adapter, shared_prompt=False)
        assert torch.equal(model(dict(scene(), domains='S3DIS')), copy.deepcopy(plain)(scene()))
    assert torch.equal(model(dict(scene(), domains=MIXED)), plain(scene()))
    found = [int(module.block) for module in readers(model).values()]
    assert set(found) == set(range(model.prompts.blocks))
    if adapter != 'norm':
        assert len(set(found)) == len(found)
    assert all(vector.shape == (model.prompts.blocks, 256) for vector in model.prompts.vectors.values())


@pytest.mark.parametrize('adapter', ['norm', 'injection', 'attention'])
def test_equal_prompts_of_all_blocks_are_one_for_all(adapter):
    """Outputs, and gradients: that of the one prompt is the sum over the blocks."""
    shared = scatter_prompts(convert(build('SpUNet'), NAMES, adapter=adapter))
    own = prompted('SpUNet', adapter=adapter)
    state = shared.state_dict()
    for name in NAMES:
        key = f'prompts.vectors.{name}'
        state[key] = state[key].expand(own.prompts.blocks, -1)
    assert own.load_state_dict(state, strict=False).unexpected_keys == []
    for model in (shared, own):
        (out := model(dict(scene(), domains=MIXED))).square().sum().backward()
        outs = [out.detach()] if model is shared else [*outs, out.detach()]
    assert torch.equal(*outs)
    for name in NAMES:
        gradients = own.prompts.vectors[name].grad
        wanted = shared.prompts.vectors[name].grad
        assert torch.allclose(gradients.sum(0), wanted, rtol=1e-4, atol=1e-4 * wanted.abs().max().item())
        assert bool((gradients.abs().amax(1) > 0).all()) == (name in MIXED)


def test_a_prompt_moves_its_own_block_alone():
    model = scatter_prompts(prompted('SpUNet')).eval()
    with torch.no_grad():
        before = fold_domain(model, 'S3DIS').state_dict()
        model.prompts.vectors['S3DIS'][3] += 1
        after = fold_domain(model, 'S3DIS').state_dict()
    moved = {key.rpartition('.')[0] for key in before if not torch.equal(before[key], after[key])}
    assert moved == {name for name, module in readers(model).items() if int(module.block) == 3}
    assert len(moved) in (1, 2, 3)


def test_mixed_batch_equals_batches_of_one_domain_and_the_folded_network():
    model = scatter_prompts(prompted('SpUNet')).eval()
    out = model(dict(scene(), domains=MIXED)).detach()
    for name, samples in (('S3DIS', [0, 2]), ('ScanNet', [1])):
        part, rows = take(scene(), samples)
        stock = build('SpUNet', seed=9).eval()
        stock.load_state_dict(fold_domain(model, name).state_dict(), strict=True)
        for other in (model(dict(part, domains=name)), stock(part)):
            assert (other - out[rows]).abs().max() < 1e-5 * out.abs().max()
    assert not any('block' in key.split('.')[-1] for key in stock.state_dict())


def test_the_block_comes_with_the_weights():
    """Loaded into a network that counts its blocks otherwise, a norm still reads the prompt it was trained with."""
    model = scatter_prompts(prompted('SpUNet')).eval()
    other = prompted('SpUNet').eval()
    for module in readers(other).values():
        module.block.copy_(model.prompts.blocks - 1 - module.block)
    other.load_state_dict(model.state_dict(), strict=True)
    assert torch.equal(other(dict(scene(), domains=MIXED)), model(dict(scene(), domains=MIXED)))


def test_new_domain_starts_as_another_or_as_the_mean():
    model = scatter_prompts(prompted('SpUNet')).eval()
    add_domain(model, 'Mine', like='S3DIS')
    assert torch.equal(model(dict(scene(), domains='Mine')), model(dict(scene(), domains='S3DIS')))
    add_domain(model, 'mixture', like=('ScanNet', 'S3DIS'))
    vectors = model.prompts.vectors
    assert torch.equal(vectors['mixture'], (vectors['ScanNet'] + vectors['S3DIS']) / 2)


@pytest.mark.parametrize('adapter', ['norm', 'injection', 'attention'])
def test_everything_that_is_trained_is_in_the_graph(adapter):
    model = prompted('SpUNet', adapter=adapter)
    model(dict(scene(), domains='S3DIS')).sum().backward()
    assert not [name for name, value in model.named_parameters() if value.grad is None]


def test_default_state_is_as_it_was():
    """No key more, vectors as long as they were, and the same draws of the same seed."""
    torch.manual_seed(0)
    model = convert(build('SpUNet'), NAMES)
    torch.manual_seed(0)
    build('SpUNet')
    drawn = {name: torch.randn(256) for name in NAMES}
    assert all(torch.equal(model.prompts.vectors[name], vector) for name, vector in drawn.items())
    leaves = {key.rpartition('.')[2] for key in model.state_dict() if 'prompts' not in key}
    assert leaves == {'weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked'}


def test_parameters_of_spunet():
    from mmdet3d.registry import MODELS
    with torch.device('meta'):
        model = convert(MODELS.build(dict(type='SpUNet', in_channels=6)), NAMES, shared_prompt=False)
    assert model.prompts.blocks == 1 + 4 + 4 + 15 + 8
    counts = parameter_counts(model)
    assert counts['prompts'] == 3 * 32 * 256 and counts['modulation'] == 2 * 257 * 8576
    assert counts['total'] == 43_547_584 - 3 * 256 + 3 * 32 * 256


def test_scope_counts_its_own_blocks():
    """Blocks outside the scope have no prompt, as nobody would read it."""
    decoder = prompted('SpUNet', scope='decoder')
    assert decoder.prompts.blocks == 4
    assert {int(module.block) for module in readers(decoder).values()} == set(range(4))


def test_bad_arguments():
    with pytest.raises(ValueError, match="adapter='none' reads none"):
        prompted('SpUNet', adapter='none')
    with pytest.raises(ValueError, match='prompts are of 4 blocks'):
        PDNorm(3, DomainPrompts(NAMES, 8, blocks=4))
    with pytest.raises(ValueError, match='of no blocks'):
        lone_norm(3, NAMES, block=1)
