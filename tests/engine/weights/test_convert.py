"""Converted files are taken, kernel for kernel, by the stack's own loaders."""
import copy

import pytest
import torch
from test_transfer import as_layout_1, assert_same
from weights_models import ENCODER, OneStep, centerpoint_config, randomise, runner_for

from mmdet3d.registry import MODELS
from pretrain3d.engine.weights import WeightsError, convert_checkpoint, read_state

MINKUNET = dict(type='MinkUNetBackbone', in_channels=4, num_stages=2, base_channels=4, encoder_channels=[4, 8],
                encoder_blocks=[1, 1], decoder_channels=[8, 4], decoder_blocks=[1, 1], block_type='residual',
                sparseconv_backend='spconv')


@pytest.mark.parametrize('checked', [True, False])
@pytest.mark.parametrize('way', ['load_from', 'init_cfg'])
def test_into_centerpoint(pretext, checkpoint, tmp_path, checked, way):
    config, path = centerpoint_config(), str(tmp_path / 'converted.pth')
    model = MODELS.build(copy.deepcopy(config)) if checked else None
    report = convert_checkpoint(checkpoint, path, 'backbone', 'pts_middle_encoder', model=model)
    assert report.layout == ('2' if checked else '') and report.fraction == 1
    if way == 'load_from':
        runner = runner_for(config, tmp_path, load_from=path)
    else:
        runner = runner_for(dict(config, init_cfg=dict(type='Pretrained', checkpoint=path)), tmp_path)
    runner.train()
    assert assert_same(runner.model.pts_middle_encoder, pretext.backbone) == 21


def test_init_cfg_of_a_part(tmp_path):
    source = randomise(MODELS.build(copy.deepcopy(MINKUNET)), 1)
    src, dst = str(tmp_path / 'a.pth'), str(tmp_path / 'b.pth')
    torch.save(dict(state_dict=torch.nn.ModuleDict(dict(net=source)).state_dict()), src)
    convert_checkpoint(src, dst, 'net')
    runner = runner_for(OneStep(dict(MINKUNET, init_cfg=dict(type='Pretrained', checkpoint=dst))), tmp_path)
    runner.train()
    assert assert_same(runner.model.part, source) > 10


def test_metadata_is_in_the_file(checkpoint, tmp_path):
    path = str(tmp_path / 'converted.pth')
    convert_checkpoint(checkpoint, path, 'backbone', 'encoder.net')
    state = torch.load(path, weights_only=True)['state_dict']
    assert all(key.startswith('encoder.net.') for key in state)
    assert state._metadata['encoder.net.conv_input.0']['version'] == 2
    assert 'encoder.net' in state._metadata and '' not in state._metadata
    assert read_state(path)[1] == dict(state._metadata)


@pytest.mark.parametrize('layout', ['1', '2'])
def test_unrecorded_layout_has_to_be_given(pretext, tmp_path, layout):
    state = pretext.backbone.state_dict()
    state = dict(state) if layout == '2' else as_layout_1(state)
    src, dst = str(tmp_path / 'a.pth'), str(tmp_path / 'b.pth')
    torch.save(state, src)
    with pytest.raises(WeightsError, match=r'21 tensors look like 3D kernels.*--config.*--spconv-layout 2'):
        convert_checkpoint(src, dst)
    convert_checkpoint(src, dst, target='part', spconv_layout=layout)
    runner = runner_for(OneStep(ENCODER), tmp_path, load_from=dst)
    runner.train()
    assert_same(runner.model.part, pretext.backbone)


def test_pointwise_kernels_of_spconv1_need_the_model(tmp_path):
    src, old = str(tmp_path / 'a.pth'), torch.rand(1, 1, 1, 5, 4)
    torch.save(dict(weight=old), src)
    with pytest.raises(WeightsError, match='pointwise kernel.*--config'):
        convert_checkpoint(src, str(tmp_path / 'b.pth'), spconv_layout='1')
    model = MODELS.build(dict(type='SubMConv3d', in_channels=5, out_channels=4, kernel_size=1, bias=False))
    convert_checkpoint(src, str(tmp_path / 'b.pth'), model=model)
    assert torch.equal(read_state(str(tmp_path / 'b.pth'))[0]['weight'].flatten(), old.flatten())


def test_too_little_writes_nothing(checkpoint, tmp_path):
    model = MODELS.build(dict(ENCODER))
    with pytest.raises(WeightsError, match=r'nothing was written(.|\n)*0 of 105 tensors'):
        convert_checkpoint(checkpoint, str(tmp_path / 'b.pth'), 'head', model=model)
    with pytest.raises(WeightsError, match=r"nothing under 'bone'; it holds backbone \(126\), head \(2\)"):
        convert_checkpoint(checkpoint, str(tmp_path / 'b.pth'), 'bone')
    assert sorted(path.name for path in tmp_path.iterdir()) == ['pretext.pth']


def test_only_what_fits_is_written(checkpoint, tmp_path):
    path = str(tmp_path / 'b.pth')
    report = convert_checkpoint(checkpoint, path, 'backbone', model=MODELS.build(dict(ENCODER, in_channels=7)))
    assert list(report.mismatched) == ['conv_input.0.weight']
    assert 'conv_input.0.weight' not in read_state(path)[0]
