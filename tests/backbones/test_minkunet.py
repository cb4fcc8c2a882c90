"""SparseMinkUNet beside mmdet3d's own forward pass where that works, and beside a padded scene where it does not."""
import copy

import pytest
import torch
from sparse_scenes import random_sparse, randomise

import pretrain3d  # noqa: F401
from mmdet3d.models.backbones import MinkUNetBackbone
from mmdet3d.registry import MODELS

NARROW = dict(base_channels=4, encoder_channels=[6, 8, 10, 12], encoder_blocks=[1, 2, 1, 1],
              decoder_channels=[10, 8, 8, 6], decoder_blocks=[1, 1, 2, 1])


def narrow(seed=0):
    model = MODELS.build(dict(type='SparseMinkUNet', in_channels=3, **NARROW))
    randomise(model, seed)
    return model


def theirs_like(model):
    theirs = MinkUNetBackbone(in_channels=3, sparseconv_backend='spconv', **NARROW)
    theirs.load_state_dict(model.state_dict())
    return theirs.train(model.training)


def compare(ours, wanted):
    assert ours.shape == wanted.shape and wanted.abs().max() > 1e-3
    assert (ours - wanted).abs().max() < 1e-5 * wanted.abs().max()


@pytest.mark.parametrize('train', [False, True])
def test_equals_mmdet3d_where_that_loses_nothing(train):
    """Extents are multiples of 16, both samples have points."""
    model = narrow().train(train)
    sparse = random_sparse((32, 16, 48), (400, 300))
    theirs = theirs_like(model)
    ours, wanted = model(sparse), theirs(sparse['voxels'], sparse['coors'])
    compare(ours, wanted)
    assert model.out_channels == ours.shape[1] == 6 and model.total_stride == 16
    ours.square().sum().backward()
    wanted.square().sum().backward()
    for (name, mine), other in zip(model.named_parameters(), theirs.parameters()):
        assert (mine.grad - other.grad).abs().max() <= 1e-4 * other.grad.abs().max(), name


@pytest.mark.parametrize('extents, fails', [((17, 21, 33), False), ((31, 1, 3), True), ((1, 1, 1), True)])
def test_odd_extents_lose_nothing(extents, fails):
    """As the same voxels in a grid whose extents are multiples of 16; mmdet3d's forward loses some, or fails."""
    model, count = narrow().eval(), min(100, extents[0] * extents[1] * extents[2])
    sparse = random_sparse(extents, (count, count))
    with torch.no_grad():
        ours = model(sparse)
        compare(ours, model(dict(sparse, spatial_shape=[48, 48, 48])))
        theirs = theirs_like(model)
        if fails:
            with pytest.raises(RuntimeError, match='spatial shape'):
                theirs(sparse['voxels'], sparse['coors'])
        else:
            assert (theirs(sparse['voxels'], sparse['coors']) - ours).abs().max() > 1e-2 * ours.abs().max()


@pytest.mark.parametrize('counts', [(0, 40), (40, 0), (30, 0, 20), (1, 0)])
def test_samples_without_points(counts):
    """Each sample's features are its own, whatever stands beside it."""
    model = narrow().eval()
    sparse = random_sparse((17, 9, 12), counts)
    with torch.no_grad():
        ours = model(sparse)
        for b, count in enumerate(counts):
            rows = sparse['coors'][:, 0] == b
            coors = sparse['coors'][rows].clone()
            coors[:, 0] = 0
            if count:
                alone = dict(sparse, voxels=sparse['voxels'][rows], coors=coors, batch_size=1)
                compare(ours[rows], model(alone))
    assert len(ours) == sum(counts)


def test_batch_without_voxels_stays_in_the_graph():
    model = narrow().train()
    before = copy.deepcopy(dict(model.named_buffers()))
    out = model(dict(voxels=torch.zeros(0, 3), coors=torch.zeros(0, 4).int(), batch_size=2, spatial_shape=[1, 1, 1]))
    assert out.shape == (0, 6)
    out.sum().backward()
    assert all(parameter.grad is not None and not parameter.grad.any() for parameter in model.parameters())
    for name, value in model.named_buffers():
        assert torch.equal(value, before[name]), name


def test_every_norm_runs_without_voxels_in_the_same_order():
    """Norms that synchronise would otherwise leave the other ranks waiting, or mix up their layers."""
    model, order = narrow().train(), []
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm1d)]
    for module in norms:
        # Not exactly BatchNorm1d, as norms that synchronise.
        module.__class__ = type('Synchronised', (torch.nn.BatchNorm1d, ), dict(
            forward=lambda self, x: order.append(id(self)) or x))
    model(dict(voxels=torch.zeros(0, 3), coors=torch.zeros(0, 4).int(), batch_size=1, spatial_shape=[1, 1, 1]))
    empty = order[:]
    order.clear()
    model(random_sparse((17, 9, 12), (80, 60)))
    assert empty == order and sorted(order) == sorted(map(id, norms)) and len(norms) > 20


def test_trains_on_one_voxel():
    model = narrow().train()
    out = model(random_sparse((1, 1, 1), (1, )))
    out.sum().backward()
    assert torch.isfinite(out).all() and model.conv_input[0][0].weight.grad.any()
    with pytest.raises(ValueError, match='more than 1 value per channel'):  # which is why
        theirs_like(model)(torch.zeros(1, 3), torch.zeros(1, 4).int())


def test_rows_follow_coors_and_input_is_left_alone():
    model = narrow().eval()
    sparse = random_sparse((17, 9, 12), (80, 60))
    before = copy.deepcopy(sparse)
    order = torch.cat([torch.randperm(80), 80 + torch.randperm(60)])
    shuffled = dict(sparse, voxels=sparse['voxels'][order], coors=sparse['coors'][order])
    with torch.no_grad():
        compare(model(shuffled), model(sparse)[order])
    assert torch.equal(before['voxels'], sparse['voxels']) and torch.equal(before['coors'], sparse['coors'])


def test_autocast_on_cpu():
    model, sparse = narrow().eval(), random_sparse((20, 17, 9), (150, 100))
    with torch.no_grad():
        wanted = model(sparse)
        with torch.autocast('cpu', torch.bfloat16):
            out = model(sparse)
    assert (out - wanted).abs().max() < 3e-2 * wanted.abs().max()


def test_full_size_and_lists_of_its_own():
    config = dict(type='SparseMinkUNet', in_channels=3, encoder_blocks=[2, 3, 4, 6])
    before = copy.deepcopy(config)
    with torch.device('meta'):
        first, second = MODELS.build(config), MODELS.build(config)
        theirs = MinkUNetBackbone(in_channels=3, encoder_blocks=[2, 3, 4, 6], sparseconv_backend='spconv')
    assert config == before and first.out_channels == 96
    shapes = [{name: value.shape for name, value in model.state_dict().items()} for model in (first, second, theirs)]
    assert shapes[0] == shapes[1] == shapes[2]


def test_wrong_use_is_refused():
    model, sparse = narrow(), random_sparse((8, 8, 8), (20, ))
    with pytest.raises(ValueError, match=r"coors_order='bxyz'"):
        model(dict(sparse, coors_order='bzyx'))
    with pytest.raises(ValueError, match='in_channels=3'):
        model(dict(sparse, voxels=torch.zeros(20, 4)))
    with pytest.raises(ValueError, match='one entry per level'):
        MODELS.build(dict(type='SparseMinkUNet', in_channels=3, encoder_blocks=[2, 2]))


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_cuda_equals_cpu():
    model, sparse = narrow().eval(), random_sparse((33, 17, 9), (300, 0, 200))
    with torch.no_grad():
        cpu = model(sparse)
        gpu = model.cuda()(dict(sparse, voxels=sparse['voxels'].cuda(), coors=sparse['coors'].cuda()))
    assert (gpu.cpu() - cpu).abs().max() < 1e-4 * cpu.abs().max()
