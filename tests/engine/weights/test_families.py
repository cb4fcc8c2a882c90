"""Named mappings, and SpUNet into a segmentor."""
import copy

import pytest
import torch
from test_transfer import assert_same
from torch import nn
from weights_models import randomise, runner_for

from mmdet3d.registry import MODELS
from pretrain3d.engine.weights import WeightsError, convert_checkpoint, load_weights

SPUNET = dict(type='SpUNet', in_channels=4, base_channels=4, encoder_channels=(4, 6, 8, 8), encoder_blocks=(1, 1, 1, 1),
              decoder_channels=(8, 6, 4, 4), decoder_blocks=(1, 1, 1, 1))


def spunet_checkpoint(tmp_path):
    backbone = randomise(MODELS.build(dict(SPUNET)), 3)
    path = str(tmp_path / 'pretrained.pth')
    torch.save(dict(state_dict=nn.ModuleDict(dict(encoder=backbone)).state_dict()), path)
    return backbone, path


@pytest.mark.parametrize('way', ['hook', 'convert', 'convert_checked'])
def test_spunet_into_a_segmentor(tmp_path, way):
    backbone, path = spunet_checkpoint(tmp_path)
    segmentor = dict(type='VoxelSegmentor', backbone=dict(SPUNET),
                     decode_head=dict(type='SegmentationHead', in_channels=4, num_classes=3))
    if way == 'hook':
        hook = dict(type='WeightTransferHook', checkpoint=path, source='encoder', target='backbone')
        runner = runner_for(segmentor, tmp_path, [hook])
    else:
        converted = str(tmp_path / 'converted.pth')
        model = MODELS.build(copy.deepcopy(segmentor)) if way == 'convert_checked' else None
        convert_checkpoint(path, converted, 'encoder', 'backbone', model=model)
        runner = runner_for(segmentor, tmp_path, load_from=converted)
    head = runner.model.decode_head.classifier.weight.detach().clone()
    runner.train()
    kernels = sum(tensor.dim() == 5 for tensor in backbone.parameters())
    assert assert_same(runner.model.backbone, backbone) == kernels > 20
    assert torch.equal(runner.model.decode_head.classifier.weight, head)


def pointcept_names(backbone):
    """A state dict as Pointcept writes it: our rules backwards, kernels of one tap in place of linear layers."""
    state = {}
    for key, tensor in backbone.state_dict().items():
        parts = key.split('.')
        if parts[0] == 'stem':
            parts[:2] = ['conv_input', '0' if parts[1] == 'conv' else '1']
        elif parts[0] in ('down', 'up'):
            parts[2] = '0' if parts[2] == 'conv' else '1'
        elif parts[0] in ('enc', 'dec'):
            parts[2] = f'block{parts[2]}'
            parts[3] = parts[3].replace('norm1', 'bn1').replace('norm2', 'bn2')
            parts[3:4] = {'shortcut': ['proj', '0'], 'shortcut_norm': ['proj', '1']}.get(parts[3], parts[3:4])
        if tensor.dim() == 2:
            tensor = tensor.T.contiguous().reshape(tensor.shape[0], 1, 1, 1, tensor.shape[1])
        state['module.backbone.' + '.'.join(parts)] = tensor
    return state


def test_pointcept_by_name(tmp_path):
    backbone, path = randomise(MODELS.build(dict(SPUNET)), 3), str(tmp_path / 'pointcept.pth')
    # Its ports of Contrastive Scene Contexts and Masked Scene Contrast keep a token and a head beside the backbone.
    beside = {'module.mask_token': torch.zeros(1, 4), 'module.color_head.weight': torch.zeros(3, 4)}
    torch.save(dict(state_dict={**beside, **pointcept_names(backbone)}, epoch=1), path)
    ours = MODELS.build(dict(SPUNET))
    report = load_weights(ours, path, mapping='pointcept_spunet')
    assert report.fraction == 1 and report.unexpected == ['mask_token', 'color_head.weight']
    assert_same(ours, backbone)
    torch.save(dict(state_dict=nn.Linear(2, 2).state_dict()), path)
    with pytest.raises(WeightsError, match='not a Pointcept SpUNet'):
        load_weights(ours, path, mapping='pointcept_spunet')


SA, FP = ((3, 64, 64, 128), (131, 128, 128, 256), (259, 128, 128, 256), (259, 128, 128, 256)), (
    (512, 256, 256), (512, 256, 256), (384, 256, 128), (128, 128, 32))


def votenet_names():
    """The state dict of a released PointNet++: names and widths of its code."""
    generator, state = torch.Generator().manual_seed(5), {}
    for kind, inner, levels in (('sa', 'mlp_module', SA), ('fp', 'mlp', FP)):
        for level, widths in enumerate(levels, start=1):
            for layer, (before, after) in enumerate(zip(widths, widths[1:])):
                name = f'{kind}{level}.{inner}.layer{layer}'
                state[f'{name}.conv.weight'] = torch.rand(after, before, 1, 1, generator=generator)
                for part in ('weight', 'bias', 'running_mean', 'running_var'):
                    state[f'{name}.bn.bn.{part}'] = torch.rand(after, generator=generator)
    return state


def test_pointnet2_of_votenet_by_name(tmp_path):
    state, path = votenet_names(), str(tmp_path / 'pointnet2.pth')
    torch.save(dict(curr_iter=15000, state_dict=state), path)
    pretext = MODELS.build(dict(type='SparsePointNet2', in_channels=3,
                                fp_channels=((256, 256), (256, 256), (256, 128), (128, 32))))
    report = load_weights(pretext, path, mapping='votenet_pointnet2', min_matched=1)
    assert report.fraction == 1 and not report.unexpected
    assert torch.equal(pretext.FP_modules[3].mlps.layer1.bn.running_var, state['fp4.mlp.layer1.bn.bn.running_var'])
    assert torch.equal(pretext.SA_modules[2].mlps[0].layer0.conv.weight, state['sa3.mlp_module.layer0.conv.weight'])
    downstream = MODELS.build(dict(type='PointNet2SASSG', in_channels=3))
    torch.save(dict(state_dict={f'backbone_net.{key}': tensor for key, tensor in state.items()}), path)
    report = load_weights(downstream, path, mapping='votenet_pointnet2', min_matched=1)
    assert report.fraction == 1 and {key[:13] for key in report.unexpected} == {'FP_modules.2.', 'FP_modules.3.'}
    assert_same(downstream, nn.ModuleDict(dict(SA_modules=pretext.SA_modules, FP_modules=pretext.FP_modules[:2])))
    torch.save(dict(state_dict=nn.Linear(2, 2).state_dict()), path)
    with pytest.raises(WeightsError, match='no PointNet.. of VoteNet'):
        load_weights(downstream, path, mapping='votenet_pointnet2')
