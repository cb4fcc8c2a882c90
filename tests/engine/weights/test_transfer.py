"""Sparse kernels must arrive, every one of them, or the transfer must say so."""
import re
from collections import OrderedDict

import pytest
import torch
from torch import nn

from mmdet3d.registry import MODELS
from mmengine.runner.checkpoint import load_checkpoint, load_state_dict
from pretrain3d.engine.weights import WeightsError, load_weights
from pretrain3d.engine.weights.layout import Kernel, convert_layout, permutation, sparse_kernels
from weights_models import ENCODER, Pretext, centerpoint_config, randomise


def assert_same(module, reference):
    """Every tensor of two modules equal, compared one by one, kernels among them."""
    loaded, expected = module.state_dict(), reference.state_dict()
    assert loaded.keys() == expected.keys()
    kernels = 0
    for key, tensor in expected.items():
        assert torch.equal(loaded[key], tensor), key
        kernels += tensor.dim() == 5
    return kernels


def as_layout_1(state):
    """The state dict as spconv 1.x would hold it; a loop over axes as the slow twin of the permutation."""
    old = OrderedDict()
    for key, tensor in state.items():
        if tensor.dim() == 5:
            tensor = torch.stack([tensor[c] for c in range(len(tensor))], dim=-1)
        old[key] = tensor
    return old


def test_sparse_encoder_into_centerpoint(pretext, checkpoint):
    model = MODELS.build(centerpoint_config())
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    report = load_weights(model, checkpoint, source='backbone', target='pts_middle_encoder')
    assert assert_same(model.pts_middle_encoder, pretext.backbone) == len(sparse_kernels(pretext.backbone)) == 21
    assert report.fraction == 1 and report.layout == '2' and report.outside == 2
    for key, tensor in model.state_dict().items():  # and nothing else was touched
        assert key.startswith('pts_middle_encoder.') or torch.equal(tensor, before[key])


@pytest.mark.parametrize('loader', ['revise_keys', 'pretrained_prefix', 'plain_dict'])
def test_trap_of_the_stack(pretext, checkpoint, loader):
    """mmdet3d's and mmengine's own ways to rename leave every kernel at random init while norms load."""
    model = MODELS.build(centerpoint_config())
    if loader == 'revise_keys':
        load_checkpoint(model, checkpoint, revise_keys=[(r'^backbone\.', 'pts_middle_encoder.')])
    elif loader == 'pretrained_prefix':
        from mmengine.model.weight_init import PretrainedInit
        PretrainedInit(checkpoint=checkpoint, prefix='backbone.')(model.pts_middle_encoder)
    else:
        load_state_dict(model.pts_middle_encoder, dict(pretext.backbone.state_dict()))
    loaded, expected = model.pts_middle_encoder.state_dict(), pretext.backbone.state_dict()
    kernels = sparse_kernels(pretext.backbone)
    assert all(torch.equal(loaded[key], expected[key]) for key in expected if key not in kernels)
    assert not any(torch.equal(loaded[key], expected[key]) for key in kernels)


def test_trap_permutes_without_a_word():
    """With as many channels as kernel taps the shape fits, and the kernel arrives permuted."""
    cfg = dict(type='SubMConv3d', in_channels=3, out_channels=3, kernel_size=3, indice_key='a')
    source, target = randomise(MODELS.build(cfg), 0), MODELS.build(cfg)
    load_state_dict(target, dict(source.state_dict()))
    assert not torch.equal(target.weight, source.weight)
    assert torch.equal(target.weight, source.weight.permute(4, 0, 1, 2, 3))


def test_file_of_plain_spconv2_records_version_1(pretext, tmp_path):
    """Projects that use spconv 2 without mmdet3d record version 1: same names and intact metadata, still lost."""
    state = pretext.backbone.state_dict()
    for entry in state._metadata.values():
        entry['version'] = 1
    path = tmp_path / 'plain_spconv2.pth'
    torch.save(dict(state_dict=state), path)
    stock, ours = MODELS.build(dict(ENCODER)), MODELS.build(dict(ENCODER))
    load_checkpoint(stock, str(path))
    kernels = sparse_kernels(stock)
    assert not any(torch.equal(stock.state_dict()[key], state[key]) for key in kernels)
    assert load_weights(ours, str(path)).layout == '2'
    assert_same(ours, pretext.backbone)


@pytest.mark.parametrize('metadata', [False, True])
def test_spconv1_kernels_are_permuted(pretext, tmp_path, metadata):
    state = as_layout_1(pretext.backbone.state_dict())
    if metadata:
        state._metadata = OrderedDict((name, dict(version=1)) for name, _ in pretext.backbone.named_modules())
    path = tmp_path / 'spconv1.pth'
    torch.save(state, path)
    model = MODELS.build(dict(ENCODER))
    assert load_weights(model, str(path)).layout == '1'
    assert_same(model, pretext.backbone)
    with pytest.raises(WeightsError, match='too few weights matched'):
        load_weights(model, str(path), spconv_layout='2')


def test_permutation_inverts():
    tensor = torch.rand(2, 3, 4, 5, 6)
    for pointwise in (False, True):
        there = convert_layout(tensor, '1', Kernel('2', pointwise))
        assert there.shape == (6, 2, 3, 4, 5)
        assert torch.equal(convert_layout(there, '2', Kernel('1', pointwise)), tensor)
        assert convert_layout(tensor, '2', Kernel('2', pointwise)) is tensor
    assert permutation(5, '1') == (4, 0, 1, 2, 3)


@pytest.mark.parametrize('size', [1, 3])
def test_spconv1_kernel_computes_the_same(tmp_path, size):
    """The layer computes what spconv 1 computed: for each tap, features @ kernel[tap], with (C_in, C_out) slices."""
    from spconv.pytorch import SparseConvTensor
    conv = MODELS.build(dict(type='SubMConv3d', in_channels=5, out_channels=4, kernel_size=size, bias=False,
                             indice_key='a'))
    old, path = torch.rand(size, size, size, 5, 4), str(tmp_path / 'old.pth')
    torch.save(dict(weight=old), path)
    assert load_weights(conv, path).layout == '1'
    voxels = torch.nonzero(torch.rand(1, 6, 6, 6) < .3).int().contiguous()  # spconv reads memory, not strides
    features = torch.rand(len(voxels), 5)
    expected = torch.zeros(len(voxels), 4)
    for i, here in enumerate(voxels.tolist()):
        for j, there in enumerate(voxels.tolist()):
            tap = [b - a + size // 2 for a, b in zip(here[1:], there[1:])]
            if all(0 <= t < size for t in tap):
                expected[i] += features[j] @ old[tap[0], tap[1], tap[2]]
    out = conv(SparseConvTensor(features, voxels, [6, 6, 6], 1)).features
    assert torch.allclose(out, expected, atol=1e-5)
    stock = MODELS.build(dict(type='SubMConv3d', in_channels=5, out_channels=4, kernel_size=size, bias=False,
                              indice_key='a'))
    load_state_dict(stock, dict(weight=old))  # mmdet3d's own loader gets the pointwise kernel wrong
    stock_out = stock(SparseConvTensor(features, voxels, [6, 6, 6], 1)).features
    assert torch.allclose(stock_out, expected, atol=1e-5) == (size != 1)


def test_ambiguous_and_contradictory_layouts(tmp_path):
    convs = nn.ModuleDict({name: MODELS.build(dict(type='SubMConv3d', in_channels=3, out_channels=channels,
                                                   kernel_size=3, indice_key='a'))
                           for name, channels in (('a', 3), ('b', 8), ('c', 8))})
    path = str(tmp_path / 'odd.pth')
    torch.save({'weight': convs['a'].weight.data, 'bias': convs['a'].bias.data}, path)
    with pytest.raises(WeightsError, match='does not record which it is; pass spconv_layout'):
        load_weights(convs, path, target='a')
    assert load_weights(convs, path, target='a', spconv_layout='2').fraction == 1
    state = {key: tensor.clone() for key, tensor in convs.state_dict().items()}
    state['b.weight'] = state['b.weight'].permute(1, 2, 3, 4, 0).contiguous()
    torch.save(state, path)
    with pytest.raises(WeightsError, match=re.escape('b.weight (3, 3, 3, 3, 8) speaks for spconv 1, c.weight')):
        load_weights(convs, path)


def test_half_and_none_fail_with_the_table_and_change_nothing(pretext, checkpoint, tmp_path):
    state = pretext.backbone.state_dict()
    keys = [key for key in state if not key.endswith('num_batches_tracked')]
    half = str(tmp_path / 'half.pth')
    torch.save({key: state[key] for key in keys[::2]}, half)
    model = MODELS.build(dict(ENCODER))
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    with pytest.raises(WeightsError) as none:
        load_weights(model, checkpoint, source='head')
    assert re.search(r'0 of 105 tensors \(0\.0 %, at least 95\.0 % wanted\)', str(none.value))
    assert re.search(r'unexpected\s+2  weight, bias', str(none.value))
    assert re.search(r'the checkpoint holds: backbone \(\d+\), head \(2\)', str(none.value))
    with pytest.raises(WeightsError) as some:
        load_weights(model, half)
    assert re.search(r'53 of 105 tensors \(50\.5 %', str(some.value))
    assert re.search(r'missing\s+52 ', str(some.value))
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())


def test_shape_mismatch_is_skipped_and_listed(checkpoint, pretext):
    model = MODELS.build(dict(ENCODER, in_channels=9))
    start = model.conv_input[0].weight.detach().clone()
    report = load_weights(model, checkpoint, source='backbone')
    assert report.mismatched == {'conv_input.0.weight': ((4, 3, 3, 3, 9), (4, 3, 3, 3, 5))}
    assert 'conv_input.0.weight (4, 3, 3, 3, 9) <- (4, 3, 3, 3, 5)' in report.table()
    assert torch.equal(model.conv_input[0].weight, start)
    assert torch.equal(model.conv_out[0].weight, pretext.backbone.conv_out[0].weight)
    with pytest.raises(WeightsError):
        load_weights(model, checkpoint, source='backbone', min_matched=1.)


def test_lost_kernels_alone_fail(pretext, tmp_path):
    """What the trap leaves (norms but no kernels) is far below the default threshold."""
    path = str(tmp_path / 'norms.pth')
    torch.save({k: v for k, v in pretext.backbone.state_dict().items() if v.dim() != 5}, path)
    with pytest.raises(WeightsError, match=r'84 of 105 tensors \(80\.0 %'):
        load_weights(MODELS.build(dict(ENCODER)), path)


def test_a_loader_that_drops_tensors_is_noticed(tmp_path):

    class Deaf(nn.Linear):

        def _load_from_state_dict(self, *args, **kwargs):
            pass

    path = str(tmp_path / 'linear.pth')
    torch.save(nn.Linear(2, 2).state_dict(), path)
    with pytest.raises(WeightsError, match='2 tensors did not arrive'):
        load_weights(Deaf(2, 2), path)


def test_rename_and_dtype(pretext, tmp_path):
    path = str(tmp_path / 'half_precision.pth')
    state = OrderedDict((f'module.net.{key}'.replace('conv_input', 'stem'), tensor.half() if tensor.is_floating_point()
                         else tensor) for key, tensor in pretext.backbone.state_dict().items())
    torch.save(dict(model=state), path)
    model = MODELS.build(dict(ENCODER))
    load_weights(model, path, source='net', rename=[('^stem', 'conv_input')])
    for key, tensor in pretext.backbone.state_dict().items():
        expected = tensor.half().float() if tensor.is_floating_point() else tensor
        assert torch.equal(model.state_dict()[key], expected), key


def test_unknown_target_names_the_nearest(checkpoint):
    with pytest.raises(WeightsError, match="no sub-module 'pts_midle'.*'pts_middle_encoder'"):
        load_weights(nn.ModuleDict(dict(pts_middle_encoder=Pretext())), checkpoint, target='pts_midle')


def test_voxelnet_family_without_sparse_layers(tmp_path):
    source, target = nn.Conv3d(2, 4, 3), nn.Conv3d(2, 4, 3)
    path = str(tmp_path / 'dense.pth')
    torch.save(source.state_dict(), path)
    report = load_weights(target, path)
    assert report.layout == '' and torch.equal(source.weight, target.weight)
