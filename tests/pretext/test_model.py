import copy
import sys
from pathlib import Path

import pytest
import torch
from mmengine.registry import DefaultScope

from mmdet3d.registry import MODELS
from mmdet3d.structures import Det3DDataSample
from pretrain3d.pretext import PretextHead

sys.path.insert(0, str(Path(__file__).parent))
from pretext_parts import HeightHead, MaskedHead  # noqa: E402


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmdet3d'):
        yield


PROCESSOR = dict(type='Pretrain3DDataPreprocessor', voxel_size=0.4)


def build(encoder_name='backbone', backbone=None, processor=PROCESSOR, **heads):
    torch.manual_seed(0)
    heads = heads or dict(height=dict(type='HeightHead'), masked=dict(type='MaskedHead'))
    return MODELS.build(dict(type='PretextModel', backbone=backbone or dict(type='CountingEncoder'), heads=heads,
                             encoder_name=encoder_name, data_preprocessor=processor))


def batch(model, sizes=(50, 0, 30), views=()):
    generator = torch.Generator().manual_seed(1)
    cloud = [torch.rand(n, 4, generator=generator) * 2 for n in sizes]
    inputs = dict(points=cloud, views={
        name: dict(points=[torch.rand(n, 4, generator=generator) * 2 for n in some]) for name, some in views})
    samples = [Det3DDataSample() for _ in sizes]
    return model.data_preprocessor(dict(inputs=inputs, data_samples=samples), True)


def gradients(model, loss):
    model.zero_grad()
    loss.backward(retain_graph=True)
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_two_heads_share_one_encoder():
    model = build()
    data = batch(model)
    before = copy.deepcopy(data['inputs']['voxels'])
    losses = model(**data, mode='loss')
    assert set(losses) == {'height.loss_height', 'height.mean_error', 'masked.loss_masked'}
    clean, masked = model.encoder.seen  # one clean pass, one masked
    assert clean is data['inputs']['voxels']
    assert not masked['voxels'][::2].any() and torch.equal(masked['voxels'][1::2], clean['voxels'][1::2])
    for key, value in before.items():  # nobody wrote into the batch
        same = all(map(torch.equal, value, clean[key])) if key == 'point2voxel' else (
            torch.equal(value, clean[key]) if isinstance(value, torch.Tensor) else value == clean[key])
        assert same, key
    for own, other, loss in [('height', 'masked', losses['height.loss_height']),
                             ('masked', 'height', losses['masked.loss_masked'])]:
        found = gradients(model, loss)
        assert found['backbone.layer.weight'].abs().sum() > 0
        assert found[f'heads.{own}.layer.weight'].abs().sum() > 0 and f'heads.{other}.layer.weight' not in found


def test_what_mmengine_adds_up_is_what_was_returned():
    model = build()
    losses = model(**batch(model), mode='loss')
    total, logged = model.parse_losses(losses)
    assert torch.isclose(total, losses['height.loss_height'] + losses['masked.loss_masked'])
    assert not losses['height.mean_error'].requires_grad and 'height.mean_error' in logged


def test_weights_are_inside():
    one = build()
    data = batch(one)
    plain = one(**data, mode='loss')
    weighed = build(height=dict(type='HeightHead', loss_weight=0.25), masked=dict(type='MaskedHead', loss_weight=0.))
    weighed.load_state_dict(one.state_dict())
    found = weighed(**data, mode='loss')
    assert torch.isclose(found['height.loss_height'], plain['height.loss_height'] / 4)
    assert found['masked.loss_masked'] == 0
    assert torch.isclose(found['height.mean_error'], plain['height.mean_error'])


def test_one_pass_per_view_and_corruption():
    model = build(a=dict(type='HeightHead'), b=dict(type='HeightHead', views=['points', 'other']),
                  c=dict(type='MaskedHead'), d=dict(type='MaskedHead'), e=dict(type='HeightHead', views=['other']))
    model(**batch(model, views=[('other', (9, 4, 7))]), mode='loss')
    assert len(model.encoder.seen) == 3  # points clean, points masked, other clean


@pytest.mark.parametrize('sizes', [(0, 0), (3, 0)])
def test_a_head_with_an_empty_view_stays_in_the_graph(sizes):
    model = build(height=dict(type='HeightHead', views=['other']), masked=dict(type='MaskedHead'))
    data = batch(model, sizes, views=[('other', (0, 0))])
    losses = model(**data, mode='loss')
    total, _ = model.parse_losses(losses)
    total.backward()
    assert torch.isfinite(total)
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
    if sizes == (0, 0):
        assert total == 0 and not model.encoder.seen


class ShortCutHead(HeightHead):
    """Answers a constant where it has nothing to learn from."""

    def loss(self, encoded, inputs, data_samples):
        if not len(encoded['points'].features):
            return dict(loss=torch.zeros(()))
        return super().loss(encoded, inputs, data_samples)


def test_a_constant_loss_of_an_empty_view_is_tied_to_the_parameters():
    model = build(height=dict(type='HeightHead'))
    model.heads['height'] = ShortCutHead()
    model(**batch(model, (0, 0)), mode='loss')['height.loss'].backward()
    assert all(p.grad is not None and not p.grad.any() for p in model.parameters())


def test_encoder_under_the_name_of_the_downstream_model():
    model = build(encoder_name='pts_middle_encoder')
    assert model.encoder is model.pts_middle_encoder
    assert 'pts_middle_encoder.layer.weight' in model.state_dict()
    model(**batch(model), mode='loss')


def test_tensor_and_predict():
    model = build().eval()
    data = batch(model)
    features = model(**data)
    assert [rows.shape for rows in features] == [(50, 6), (0, 6), (30, 6)]
    expected = model.encoder(data['inputs']['voxels'])[data['inputs']['voxels']['point2voxel'][2]]
    assert torch.equal(features[2], expected)
    model.encoder.seen.clear()
    samples = model(**data, mode='predict')
    assert len(model.encoder.seen) == 2  # clean for the features, masked for the head that shows something
    assert all(torch.equal(sample.pred_pts_seg.features, rows) for sample, rows in zip(samples, features))
    assert [sample.pred_pts_seg.restored.shape for sample in samples] == [(50, 4), (0, 4), (30, 4)]
    assert len(model(data['inputs'], mode='predict')) == 3


def test_without_own_points_the_first_view_is_shown():
    model = build(height=dict(type='HeightHead', views=['other']))
    data = batch(model, views=[('other', (9, 4, 7))])
    del data['inputs']['voxels']
    assert [len(rows) for rows in model(**data)] == [9, 4, 7]


class Broken(PretextHead):
    answer = {}

    def loss(self, encoded, inputs, data_samples):
        return dict(self.answer)


@pytest.mark.parametrize('answer, words', [
    ({}, "must contain 'loss'"), (dict(error=torch.ones(())), "must contain 'loss'"),
    (dict(loss=torch.ones(3)), 'scalar'), (dict(loss=1.), 'scalar')])
def test_wrong_losses(answer, words):
    model = build()
    model.heads['height'] = Broken()
    Broken.answer = answer
    with pytest.raises(ValueError, match=f"'height'.*{words}"):
        model(**batch(model), mode='loss')


def test_wrong_models():
    with pytest.raises(ValueError, match="'my_loss'"):
        build(my_loss=dict(type='HeightHead'))
    with pytest.raises(ValueError, match='at least one head'):
        MODELS.build(dict(type='PretextModel', backbone=dict(type='CountingEncoder'), heads={}))
    for name in ('heads', 'data_preprocessor', 'forward', 'a.b'):
        with pytest.raises(ValueError, match='encoder_name'):
            build(encoder_name=name)

    @MODELS.register_module(force=True)
    class OtherMaskedHead(MaskedHead):
        def corrupt(self, sparse):
            return sparse, None
    with pytest.raises(ValueError, match="'a' and 'b'.*'half'"):
        build(a=dict(type='MaskedHead'), b=dict(type='OtherMaskedHead'))


def test_wrong_inputs():
    model = build(height=dict(type='HeightHead', views=['other']))
    with pytest.raises(KeyError, match="view 'other'.*points.*MakeViews"):
        model(**batch(model), mode='loss')
    with pytest.raises(ValueError, match="'los'"):
        model(**batch(model), mode='los')
    model.encoder.forward = lambda sparse: sparse['voxels'][:2]
    with pytest.raises(ValueError, match='one row per voxel'):
        model(**batch(model))


def test_a_real_backbone():
    tiny = dict(type='SpUNet', in_channels=4, base_channels=8, encoder_channels=[8, 8, 8, 8],
                encoder_blocks=[1, 1, 1, 1], decoder_channels=[8, 8, 8, 8], decoder_blocks=[1, 1, 1, 1])
    model = build(backbone=tiny, height=dict(type='HeightHead', in_channels=8),
                  masked=dict(type='MaskedHead', in_channels=8)).train()
    data = batch(model, (200, 0, 150))
    total, _ = model.parse_losses(model(**data, mode='loss'))
    total.backward()
    used = [p.grad for p in model.encoder.parameters()]
    assert all(grad is not None and torch.isfinite(grad).all() for grad in used)
    assert sum(grad.abs().sum() > 0 for grad in used) > 0.8 * len(used)
    assert [rows.shape for rows in model.eval()(**data)] == [(200, 8), (0, 8), (150, 8)]


def test_heads_are_what_they_claim():
    assert HeightHead.corruption is None and MaskedHead.corruption == 'half'


class CrossHead(PretextHead):
    """Hides in each view the voxels of the other one's parity; asks for its domain names."""

    views = ('points', 'other')
    corruption = 'crossed'

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.calls = 0

    def corrupt_views(self, sparse, inputs, data_samples):
        self.calls += 1
        made = {}
        for name, other in (('points', 'other'), ('other', 'points')):
            mask = torch.arange(len(sparse[name]['coors'])) % 2 == len(sparse[other]['coors']) % 2
            made[name] = {**sparse[name], 'voxels': sparse[name]['voxels'].masked_fill(mask[:, None], 0)}, mask
        return made

    def loss(self, encoded, inputs, data_samples):
        return dict(loss=sum(one.features[one.mask].sum() for one in encoded.values()))


def test_views_may_be_corrupted_together():
    model = build()
    model.heads = torch.nn.ModuleDict(dict(a=CrossHead(), b=CrossHead(), height=HeightHead()))
    model._check_corruptions()
    data = batch(model, views=[('other', (9, 4, 8))])
    data['inputs']['views']['other']['voxels']['voxels'].requires_grad_(False)
    losses = model(**data, mode='loss')
    assert (model.heads['a'].calls, model.heads['b'].calls) == (1, 0) and losses['a.loss'] == losses['b.loss']
    assert len(model.encoder.seen) == 3  # each view crossed, 'points' clean
    sizes = [len(data['inputs']['voxels']['coors']), len(data['inputs']['views']['other']['voxels']['coors'])]
    for seen, other in zip(model.encoder.seen, sizes[::-1]):
        hidden = ~seen['voxels'].any(1)
        assert torch.equal(hidden, torch.arange(len(hidden)) % 2 == other % 2)


def test_heads_that_share_a_corruption_of_views_read_the_same():
    model = build()
    model.heads = torch.nn.ModuleDict(dict(a=CrossHead(), b=CrossHead(views=['points'])))
    with pytest.raises(ValueError, match="'a' and 'b' share the corruption 'crossed'.*the same views"):
        model._check_corruptions()


def test_a_prompted_encoder_is_told_the_domains():
    model = build(height=dict(type='HeightHead'), masked=dict(type='MaskedHead'))
    data = batch(model)
    for sample, name in zip(data['data_samples'], ('ScanNet', 'S3DIS', 'ScanNet')):
        sample.set_metainfo(dict(domain=name))
    model(**data, mode='loss')
    model(**data, mode='predict')
    model(**data, mode='tensor')
    assert len(model.encoder.seen) == 5
    assert all(seen['domains'] == ['ScanNet', 'S3DIS', 'ScanNet'] for seen in model.encoder.seen)
    assert 'domains' not in data['inputs']['voxels']
    data['data_samples'][1] = Det3DDataSample()
    with pytest.raises(ValueError, match="1 of 3 samples.*domain='...'"):
        model(**data, mode='loss')
