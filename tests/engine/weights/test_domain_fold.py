"""Prompted weights into stock detectors: by state dict, by hook and by command line, with every tensor matched."""
import copy
import importlib.util
from pathlib import Path

import pytest
import torch
from mmengine.hub import get_config

import pretrain3d  # noqa: F401
from mmdet3d.registry import MODELS
from pretrain3d.backbones import convert, fold_domain
from pretrain3d.engine.weights import WeightsError, fold_state, load_weights, read_state
from weights_models import ENCODER

TOOL = Path(__file__).parents[3] / 'tools' / 'convert_weights.py'
NAMES = ('nuScenes', 'SemanticKITTI')
STOCK = dict(
    centerpoint=('centerpoint/centerpoint_voxel01_second_secfpn_8xb4-cyclic-20e_nus-3d.py', 'pts_middle_encoder'),
    second=('second/second_hv_secfpn_8xb6-80e_kitti-3d-3class.py', 'middle_encoder'))


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('convert_weights_for_folding', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def prompted(encoder, scope='all', adapter='norm', seed=3, **kwargs):
    """A backbone as a joint training leaves it behind: domains that differ, norms that are not at their start."""
    torch.manual_seed(seed)
    scale = (1., 1., 1., 255.)[:encoder['in_channels']]
    backbone = MODELS.build(dict(type='SparseEncoderBackbone', encoder=copy.deepcopy(encoder), out_channels=8,
                                 column_scale=scale))
    convert(backbone, NAMES, scope=scope, adapter=adapter, channels=16, **kwargs)
    for key, tensor in backbone.state_dict().items():
        if 'modulation' in key:
            tensor.add_(torch.randn_like(tensor) * 0.03)
        elif 'running' in key:
            tensor.mul_(0.5).add_(torch.rand_like(tensor))
    return backbone


def save(path, backbone):
    """A checkpoint of a whole segmentor, of which the backbone is a part."""
    torch.save(dict(state_dict=torch.nn.ModuleDict(dict(backbone=backbone, decode_head=torch.nn.Linear(8, 2)))
                    .state_dict()), path)
    return str(path)


def voxels(encoder, seed=0):
    """Inputs of a detector's encoder: (voxels, coors, batch_size) in a corner of its grid."""
    generator = torch.Generator().manual_seed(seed)
    flat = torch.randperm(2 * 8 * 32 * 32, generator=generator)[:500]
    coors = torch.stack([flat // 8192, flat // 1024 % 8, flat // 32 % 32, flat % 32], 1).int()
    return torch.randn(500, encoder['in_channels'], generator=generator), coors, 2


@pytest.fixture(params=sorted(STOCK))
def detector(request):
    """A stock detector of mmdet3d's own config, on a small grid, and where its encoder is."""
    name, path = STOCK[request.param]
    cfg = get_config(f'mmdet3d::{name}').model
    cfg[path].sparse_shape = [41, 32, 32]
    return MODELS.build(cfg).eval(), cfg[path], path


@pytest.mark.parametrize('scope, shared', [('encoder', True), ('all', True), ('all', False)])
@pytest.mark.parametrize('name', NAMES)
def test_the_folded_state_is_that_of_the_folded_model(scope, shared, name):
    backbone = prompted(ENCODER, scope, shared_prompt=shared)
    assert any(key.endswith('.block') for key in backbone.state_dict()) != shared
    model = torch.nn.ModuleDict(dict(backbone=backbone, decode_head=torch.nn.Linear(8, 2)))
    state = model.state_dict()
    tensors, metadata = fold_state(state, state._metadata, name)
    wanted = torch.nn.ModuleDict(dict(backbone=fold_domain(backbone, name), decode_head=model['decode_head']))
    wanted = wanted.state_dict()
    assert set(tensors) == set(wanted)
    for key, value in wanted.items():
        assert torch.allclose(tensors[key].float(), value.float(), rtol=1e-5, atol=1e-6), key
    assert metadata == dict(wanted._metadata)


def test_the_hook_fills_a_stock_detector(detector, tmp_path):
    """Every tensor matches, and its map of the ground is that of the prompted encoder."""
    model, encoder, path = detector
    backbone = prompted(encoder).eval()
    checkpoint = save(tmp_path / 'joint.pth', backbone)
    inputs = voxels(encoder)
    for name in NAMES:
        report = load_weights(model, checkpoint, source='backbone.encoder', target=path, domain=name, min_matched=1.)
        assert report.fraction == 1 and not report.missing and not report.mismatched and not report.unexpected
        assert f'folded for {name}' in report.table() and '100.0 %' in report.table()
        with torch.no_grad(), backbone.prompts.use(name):
            wanted = backbone.encoder(*inputs)
            found = getattr(model, path)(*inputs)
        assert wanted.abs().max() > 0 and (found - wanted).abs().max() < 1e-5 * wanted.abs().max()
        with torch.no_grad(), backbone.prompts.use(next(other for other in NAMES if other != name)):
            assert not torch.allclose(backbone.encoder(*inputs), found, rtol=1e-2)


def test_the_command_writes_what_the_hook_loads(detector, tmp_path, tool, capsys):
    model, encoder, path = detector
    checkpoint, folded = save(tmp_path / 'joint.pth', prompted(encoder)), str(tmp_path / 'encoder.pth')
    assert tool.main(['fold', checkpoint, folded, '--domain', 'nuScenes']) == 0
    assert 'folded for nuScenes' in capsys.readouterr().out
    report = load_weights(model, folded, target=path, min_matched=1.)
    assert report.fraction == 1 and not report.unexpected
    # As well for load_from, which wants the detector's own names.
    assert tool.main(['fold', checkpoint, folded, '--domain', 'nuScenes', '--target', path]) == 0
    fresh = getattr(model, path).state_dict()
    written = read_state(folded)[0]
    assert {key: tuple(value.shape) for key, value in written.items()} == {
        f'{path}.{key}': tuple(value.shape) for key, value in fresh.items()}
    assert all(torch.equal(written[f'{path}.{key}'], value) for key, value in fresh.items())


def test_what_cannot_be_folded_is_told(tmp_path, tool, capsys):
    checkpoint = save(tmp_path / 'joint.pth', prompted(ENCODER))
    out = str(tmp_path / 'out.pth')
    assert tool.main(['fold', checkpoint, out, '--domain', 'Waymo']) == 1
    assert "no domain 'Waymo'; it has nuScenes, SemanticKITTI" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        tool.main(['fold', checkpoint, out])
    plain = torch.nn.Linear(2, 2).state_dict()
    with pytest.raises(WeightsError, match='0 sets of domain prompts'):
        fold_state(plain, {}, 'nuScenes')
    two = torch.nn.ModuleDict(dict(a=prompted(ENCODER), b=prompted(ENCODER))).state_dict()
    with pytest.raises(WeightsError, match='2 sets'):
        fold_state(two, {}, 'nuScenes')
    with pytest.raises(WeightsError, match='have no place in a plain network'):
        fold_state(prompted(ENCODER, adapter='injection').state_dict(), {}, 'nuScenes')
    assert not Path(out).exists()


def test_domains_without_prompted_layers_fold_to_the_plain_network():
    backbone = prompted(ENCODER, adapter='none')
    assert set(fold_state(backbone.state_dict(), {}, 'nuScenes')[0]) == set(
        fold_domain(backbone, 'nuScenes').state_dict())
