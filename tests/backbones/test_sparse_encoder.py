"""mmdet3d's SparseEncoder as a backbone: rows, levels, prompts, and that it is the detector's encoder."""
import copy

import pytest
import torch
from prompt_scenes import BLOCKS, ENCODER, scatter_prompts, take
from sparse_scenes import random_sparse, randomise

import pretrain3d  # noqa: F401
from mmdet3d.registry import MODELS
from pretrain3d.backbones import convert, fold_domain
from pretrain3d.backbones.prompts import PDNorm

NAMES = ('nuScenes', 'SemanticKITTI')
# In five channels: three of the points, the time, and one more of zeros.
ENCODERS = dict(
    conv_module=dict(ENCODER, in_channels=5, encoder_channels=((4, ), (6, 6), (8, 8))),
    basicblock=dict(BLOCKS, in_channels=5))


def build(kind, **options):
    model = MODELS.build(dict(type='SparseEncoderBackbone', encoder=copy.deepcopy(ENCODERS[kind]), out_channels=7,
                              column_scale=(1., 2., 1.), **options))
    randomise(model)
    return model


def scene(counts=(60, 50, 40), seed=0):
    return dict(random_sparse((9, 16, 16), counts, seed=seed), coors_order='bzyx')


@pytest.fixture(params=sorted(ENCODERS))
def kind(request):
    return request.param


@pytest.mark.parametrize('train', [True, False])
def test_the_encoder_computes_what_the_stock_one_does(kind, train):
    """Levels of ours, in the order of spconv's rows, beside mmdet3d's own forward pass."""
    from spconv.pytorch import SparseConvTensor
    model, sparse = build(kind).train(train), scene()
    stock = copy.deepcopy(model.encoder)
    stock.return_middle_feats = True
    inputs = model.encoder_inputs(sparse['voxels'])
    assert torch.equal(inputs, torch.cat([sparse['voxels'] * torch.tensor([1., 2., 1.]), torch.zeros(150, 2)], 1))
    dense, middle = stock(inputs, sparse['coors'], 3)
    levels = model.encode(SparseConvTensor(inputs, sparse['coors'], [9, 16, 16], 3))
    assert torch.equal(levels[-1].dense().flatten(1, 2), dense)
    assert torch.equal(levels[-2].features, middle[-1].features)
    assert [level.features.shape[1] for level in levels] == [each.in_features for each in model.fusion.levels]
    for name, value in stock.state_dict().items():
        assert torch.equal(value, model.encoder.state_dict()[name]), name


def test_rows_gather_their_own_cells(kind):
    """Voxel by voxel: the chain of cells, and the linear map of all features together."""
    model, sparse = build(kind).eval(), scene()
    with torch.no_grad():
        out = model(sparse)
        from spconv.pytorch import SparseConvTensor
        levels = model.encode(SparseConvTensor(model.encoder_inputs(sparse['voxels']), sparse['coors'], [9, 16, 16], 3))
        convs, wanted = model._strided_convs(), []
        tables = [{tuple(cell): row for row, cell in enumerate(level.indices.tolist())} for level in levels]
        for batch, *cell in sparse['coors'].tolist():
            parts = [levels[0].features[tables[0][(batch, *cell)]]]
            for conv, level, table in zip(convs, levels[1:], tables[1:]):
                centres = [(cell[a] + conv.padding[a] - (conv.kernel_size[a] - 1) / 2) / conv.stride[a]
                           for a in range(3)]
                cell = [min(max(-int(-(c - 0.5) // 1), 0), level.spatial_shape[a] - 1)
                        for a, c in enumerate(centres)]
                parts.append(level.features[table[(batch, *cell)]])
            wanted.append(torch.cat(parts))
        joined = torch.stack(wanted) @ torch.cat([level.weight for level in model.fusion.levels], 1).T
        fusion = model.fusion
        assert torch.allclose(out, fusion.norm2(fusion.linear(fusion.norm1(joined).relu())).relu(), atol=1e-5)
    assert out.shape == (150, 7) and out.std() > 0.01


def test_samples_do_not_meet_and_order_of_rows_is_free(kind):
    model, sparse = build(kind).eval(), scene()
    with torch.no_grad():
        whole = model(sparse)
        for sample in range(3):
            part, rows = take(sparse, [sample])
            assert torch.allclose(model(part), whole[rows], atol=1e-5)
        mixed = torch.randperm(60, generator=torch.Generator().manual_seed(1))
        part, rows = take(sparse, [0])
        moved = dict(part, voxels=part['voxels'][mixed], coors=part['coors'][mixed])
        assert torch.allclose(model(moved), whole[rows][mixed], atol=1e-5)


@pytest.mark.parametrize('counts', [(0, ), (5, 0), (1, ), (0, 0)])
def test_empty_samples_and_lone_voxels(kind, counts):
    """Nothing is a reason to stop; every parameter stays in the graph."""
    model, sparse = build(kind).train(), scene(counts)
    out = model(sparse)
    assert out.shape == (sum(counts), 7) and torch.isfinite(out).all()
    out.sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize('scope', ['encoder', 'all'])
def test_prompts_start_as_the_plain_network_and_keep_domains_apart(kind, scope):
    plain, sparse = build(kind).eval(), scene()
    model = convert(copy.deepcopy(plain), NAMES, scope=scope)
    domains = ['nuScenes', 'SemanticKITTI', 'nuScenes']
    with torch.no_grad():
        assert torch.equal(model(dict(sparse, domains=domains)), plain(sparse))
        scatter_prompts(model)
        mixed = model(dict(sparse, domains=domains))
        for name, samples in (('nuScenes', [0, 2]), ('SemanticKITTI', [1])):
            part, rows = take(sparse, samples)
            assert torch.allclose(model(dict(part, domains=[name] * len(samples))), mixed[rows], atol=1e-5)
        assert not torch.allclose(mixed, plain(sparse), atol=1e-3)
    assert isinstance(model.fusion.norm1, PDNorm) == (scope == 'all')
    # In training, too, rows and domains go together.
    model.train()
    model(dict(sparse, domains=domains)).sum().backward()


@pytest.mark.parametrize('adapter', ['injection', 'attention'])
def test_other_adapters_reach_the_encoder(kind, adapter):
    if adapter == 'injection' and kind == 'conv_module':
        pytest.skip('this encoder has no residual blocks to inject into')
    plain, sparse = build(kind).eval(), scene()
    model = convert(copy.deepcopy(plain), NAMES, adapter=adapter)
    assert len(model.adapters)
    with torch.no_grad():
        assert torch.equal(model(dict(sparse, domains='nuScenes')), plain(sparse))
        for each in model.adapters.values():
            before = model(dict(sparse, domains='nuScenes'))
            each.projection.weight.normal_()
            each.projection.bias.normal_()
            assert not torch.allclose(model(dict(sparse, domains='nuScenes')), before)


def test_a_folded_backbone_holds_the_stock_encoder(kind):
    model, sparse = scatter_prompts(convert(build(kind), NAMES)).eval(), scene()
    stock = MODELS.build(copy.deepcopy(ENCODERS[kind])).eval()
    inputs = model.encoder_inputs(sparse['voxels'])
    for name in NAMES:
        stock.load_state_dict(fold_domain(model, name).encoder.state_dict(), strict=True)
        with torch.no_grad(), model.prompts.use(name):
            wanted = model.encoder(inputs, sparse['coors'], 3)
            assert (stock(inputs, sparse['coors'], 3) - wanted).abs().max() < 1e-5 * wanted.abs().max()


def test_what_does_not_fit_is_told():
    model = build('basicblock')
    with pytest.raises(ValueError, match="coors_order='bzyx'"):
        model(dict(scene(), coors_order='bxyz'))
    with pytest.raises(ValueError, match='sparse_shape'):
        model(dict(scene(), spatial_shape=[10, 16, 16]))
    with pytest.raises(ValueError, match='in_channels=3'):
        model(dict(scene(), voxels=torch.zeros(150, 5)))
    with pytest.raises(ValueError, match='6 factors, the encoder 5'):
        MODELS.build(dict(type='SparseEncoderBackbone', encoder=ENCODERS['basicblock'], column_scale=(1., ) * 6))
