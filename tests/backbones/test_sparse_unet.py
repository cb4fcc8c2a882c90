"""The sparse U-Net beside a dense twin, on awkward scenes."""
import copy

import pytest
import torch
import torch.nn.functional as F
from sparse_scenes import random_sparse, randomise
from spconv.pytorch import SparseConv3d

import pretrain3d  # noqa: F401
from mmdet3d.registry import MODELS
from pretrain3d.backbones import SparseUNet

NARROW = dict(
    in_channels=3, base_channels=4, encoder_channels=(6, 8, 10, 12), encoder_blocks=(1, 2, 1, 1),
    decoder_channels=(10, 8, 8, 6), decoder_blocks=(1, 1, 2, 1), norm_cfg=dict(type='BN1d'))


def narrow(out_channels=0, stem_kernel=5, widen_when_down=True, seed=0):
    torch.manual_seed(seed)
    model = SparseUNet(out_channels=out_channels, stem_kernel=stem_kernel, widen_when_down=widen_when_down, **NARROW)
    randomise(model, seed)
    return model


def dense_twin(model, sparse):
    """The same network by dense convolutions on the whole grid, masked by occupancy (eval mode)."""
    batch, x, y, z = sparse['coors'].long().T
    size = [-(-max(e, 1) // 16) * 16 for e in sparse['spatial_shape']]
    grid = torch.zeros(sparse['batch_size'], sparse['voxels'].shape[1], *size)
    mask = torch.zeros(sparse['batch_size'], 1, *size)
    grid[batch, :, x, y, z] = sparse['voxels']
    mask[batch, :, x, y, z] = 1

    def conv(layer, value, stride=1):
        kernel = layer.weight.permute(0, 4, 1, 2, 3)  # (out, x, y, z, in) -> (out, in, x, y, z)
        padding = 0 if stride == 2 else kernel.shape[-1] // 2
        return F.conv3d(value, kernel, layer.bias, stride=stride, padding=padding)

    def norm(layer, value):
        return F.batch_norm(value, layer.running_mean, layer.running_var, layer.weight, layer.bias, False, 0, layer.eps)

    def block(layer, value, mask):
        identity = value
        if layer.shortcut is not None:
            identity = norm(layer.shortcut_norm, F.conv3d(value, layer.shortcut.weight[..., None, None, None]))
        out = F.relu(norm(layer.norm1, conv(layer.conv1, value))) * mask
        return F.relu(norm(layer.norm2, conv(layer.conv2, out)) + identity) * mask

    value = F.relu(norm(model.stem.norm, conv(model.stem.conv, grid))) * mask
    skips = []
    for down, enc in zip(model.down, model.enc):
        skips.append((value, mask))
        mask = F.max_pool3d(mask, 2)
        value = F.relu(norm(down.norm, conv(down.conv, value, 2))) * mask
        for layer in enc:
            value = block(layer, value, mask)
    for up, dec in zip(reversed(model.up), reversed(model.dec)):
        skip, mask = skips.pop()
        kernel = up.conv.weight.permute(4, 0, 1, 2, 3)
        value = F.relu(norm(up.norm, F.conv_transpose3d(value, kernel, stride=2))) * mask
        value = torch.cat([value, skip], 1)
        for layer in dec:
            value = block(layer, value, mask)
    value = value[batch, :, x, y, z]
    return value if model.final is None else value @ model.final.weight.T + model.final.bias


@pytest.mark.parametrize('extents,counts', [
    ((16, 16, 16), (200, 100)),
    ((17, 5, 33), (150, 90)),  # odd extents: the last slab must survive at every level
    ((1, 1, 1), (1, )),  # one voxel
    ((31, 1, 3), (40, 0, 1)),  # flat, with an empty sample inside the batch
    ((7, 9, 2), (0, 20)),  # the first sample is empty
    ((7, 9, 2), (20, 0)),  # the last sample is empty
])
@pytest.mark.parametrize('stem_kernel,widen_when_down,out_channels', [(5, True, 0), (3, False, 7)])
def test_equals_dense_twin(extents, counts, stem_kernel, widen_when_down, out_channels):
    model = narrow(out_channels, stem_kernel, widen_when_down).eval()
    sparse = random_sparse(extents, counts)
    with torch.no_grad():
        ours, twin = model(sparse), dense_twin(model, sparse)
    assert ours.shape == (sum(counts), out_channels or 6)
    assert model.out_channels == ours.shape[1]
    scale = twin.abs().max()
    assert scale > 1e-3
    assert (ours - twin).abs().max() < 1e-5 * scale


@pytest.mark.parametrize('extents', [(17, 5, 33), (1, 1, 1), (15, 31, 3)])
def test_no_voxel_is_lost_at_any_level(extents):
    model, seen = narrow().eval(), []
    sparse = random_sparse(extents, (min(60, extents[0] * extents[1] * extents[2]), ) * 2)
    for module in model.modules():
        if isinstance(module, SparseConv3d):
            module.register_forward_hook(lambda _, __, out: seen.append({tuple(row) for row in out.indices.tolist()}))
    model(sparse)
    for level, got in enumerate(seen, start=1):
        wanted = {(b, x >> level, y >> level, z >> level) for b, x, y, z in sparse['coors'].tolist()}
        assert got == wanted
    assert len(seen) == 4


def test_rows_follow_coors():
    """Shuffling the voxels of a sample shuffles the output alike."""
    model = narrow().eval()
    sparse = random_sparse((17, 9, 12), (80, 60))
    order = torch.cat([torch.randperm(80), 80 + torch.randperm(60)])
    shuffled = dict(sparse, voxels=sparse['voxels'][order], coors=sparse['coors'][order])
    with torch.no_grad():
        out, wanted = model(shuffled), model(sparse)[order]
    assert (out - wanted).abs().max() < 1e-5 * wanted.abs().max()


def test_batch_without_voxels_stays_in_the_graph():
    model = narrow(out_channels=5).train()
    before = copy.deepcopy(model.state_dict())
    voxels = torch.zeros(0, 3, requires_grad=True)
    sparse = dict(voxels=voxels, coors=torch.zeros(0, 4).int(), batch_size=2, spatial_shape=[1, 1, 1])
    out = model(sparse)
    assert out.shape == (0, 5)
    out.sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and not parameter.grad.any(), name
    assert voxels.grad is not None
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_every_norm_runs_without_voxels():
    """Norms that synchronise would otherwise leave the other ranks waiting."""
    model, ran = narrow().train(), []
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm1d)]
    for module in norms:
        # Not exactly BatchNorm1d, as norms that synchronise.
        module.__class__ = type('Synchronised', (torch.nn.BatchNorm1d, ), dict(
            forward=lambda self, x: ran.append(self) or x))
    model(dict(voxels=torch.zeros(0, 3), coors=torch.zeros(0, 4).int(), batch_size=1, spatial_shape=[1, 1, 1]))
    assert len(ran) == len(norms) > 20


def test_trains_on_one_voxel():
    """At one voxel a batch norm has no statistics: the running ones serve, and are left as they are."""
    model = narrow().train()
    before = copy.deepcopy(dict(model.named_buffers()))
    out = model(random_sparse((1, 1, 1), (1, )))
    out.sum().backward()
    assert torch.isfinite(out).all() and model.stem.conv.weight.grad.any()
    for name, value in model.named_buffers():
        assert torch.equal(value, before[name]), name


def test_every_parameter_gets_a_gradient():
    model = narrow(out_channels=4).train()
    model(random_sparse((20, 17, 9), (150, 100))).square().sum().backward()
    assert all(parameter.grad.any() for parameter in model.parameters())


def test_autocast_on_cpu():
    model, sparse = narrow(out_channels=4).eval(), random_sparse((20, 17, 9), (150, 100))
    wanted = model(sparse)
    with torch.autocast('cpu', torch.bfloat16):
        out = model(sparse)
        assert model(dict(sparse, voxels=sparse['voxels'][:0], coors=sparse['coors'][:0])).shape == (0, 4)
    assert out.dtype == torch.bfloat16
    assert (out - wanted).abs().max() < 3e-2 * wanted.abs().max()
    out.float().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_input_is_left_alone():
    sparse = random_sparse((17, 9, 12), (80, 60))
    before = copy.deepcopy(sparse)
    narrow()(sparse)
    assert list(before) == list(sparse) and before['spatial_shape'] == sparse['spatial_shape']
    assert torch.equal(before['voxels'], sparse['voxels']) and torch.equal(before['coors'], sparse['coors'])


def test_wrong_input_is_refused():
    model, sparse = narrow(), random_sparse((8, 8, 8), (20, ))
    with pytest.raises(ValueError, match=r"coors_order='bxyz'"):
        model(dict(sparse, coors_order='bzyx'))
    assert model(dict(sparse, coors_order='bxyz')).shape == (20, 6)
    with pytest.raises(KeyError, match='spatial_shape'):
        model({key: sparse[key] for key in sparse if key != 'spatial_shape'})
    with pytest.raises(ValueError, match='in_channels=3'):
        model(dict(sparse, voxels=torch.zeros(20, 4)))
    with pytest.raises(ValueError, match='coors must|coors \\(N, 4\\)'):
        model(dict(sparse, coors=sparse['coors'][:, 1:]))
    with pytest.raises(ValueError, match='subtract the minimum'):
        model(dict(sparse, coors=sparse['coors'] - 1))
    with pytest.raises(ValueError, match='maximum'):
        model(dict(sparse, spatial_shape=[8, 8, 4]))
    with pytest.raises(ValueError, match='maximum'):
        model(dict(sparse, batch_size=0))


def test_wrong_config_is_refused():
    with pytest.raises(ValueError, match='one entry per level'):
        MODELS.build(dict(type='SpUNet', in_channels=3, encoder_blocks=(1, 1)))
    with pytest.raises(ValueError, match='output channels'):
        narrow(out_channels=-1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
@pytest.mark.parametrize('dtype', [None, torch.float16])
def test_cuda_equals_cpu(dtype):
    model = narrow(out_channels=4).eval()
    sparse = random_sparse((33, 17, 9), (300, 0, 200))
    with torch.no_grad():
        cpu = model(sparse)
        model.cuda()
        with torch.autocast('cuda', dtype=dtype, enabled=dtype is not None):
            gpu = model(dict(sparse, voxels=sparse['voxels'].cuda(), coors=sparse['coors'].cuda()))
    assert (gpu.float().cpu() - cpu).abs().max() < (1e-4 if dtype is None else 3e-2) * cpu.abs().max()
