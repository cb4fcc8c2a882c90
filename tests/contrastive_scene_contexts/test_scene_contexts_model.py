"""The model on hand-made batches, from the loader's output to gradients."""
import pytest
import torch
from mmengine.registry import init_default_scope
from scene_context_batches import SMALL, turn, two_views

from mmdet3d.registry import MODELS
from pretrain3d.contrastive_scene_contexts import ContrastiveSceneContexts

LOSSES = dict(
    p8=dict(type='SceneContextLoss', preset='p8'), fast4=dict(type='SceneContextLoss', preset='fast4'),
    augmented=dict(type='SceneContextLoss', preset='p8', frame='augmented'), nce=dict(type='PointInfoNCELoss'),
    hardest=dict(type='HardestContrastiveLoss', num_candidates=32))


def build(loss='p8', seed=0, **head):
    init_default_scope('mmdet3d')
    torch.manual_seed(seed)
    return ContrastiveSceneContexts(
        backbone=SMALL, head=dict(in_channels=8, out_channels=16, samples_per_scene=128, loss=LOSSES[loss], **head),
        data_preprocessor=dict(type='Pretrain3DDataPreprocessor', voxel_size=0.3, feature_dims=[3, 4, 5]))


def losses_of(model, batch):
    return model(**model.data_preprocessor(batch, training=True), mode='loss')


@pytest.mark.parametrize('loss', LOSSES)
def test_it_learns(loss):
    model, batch = build(loss), two_views()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    curve, retrieved = [], []
    for _ in range(25):
        optimizer.zero_grad()
        losses = losses_of(model, batch)
        total, log = model.parse_losses(losses)
        total.backward()
        assert log['contrast.matches'] == 128 and total == losses['contrast.loss_contrast']
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
        assert model.backbone.stem.conv.weight.grad.abs().sum() > 0
        optimizer.step()
        curve.append(total.item())
        retrieved.append(log['contrast.retrieval'])
    assert curve[-1] < 0.9 * curve[0]
    assert sum(retrieved[-5:]) > 1.5 * sum(retrieved[:5])


def test_features_of_every_point():
    model, batch = build(), two_views()
    model.eval()
    data = model.data_preprocessor(batch)
    features = model(**data, mode='tensor')
    assert [tuple(one.shape) for one in features] == [(300, 8), (260, 8)]
    shown = model(**data, mode='predict')
    assert torch.equal(shown[1].pred_pts_seg.features, features[1])


@pytest.mark.parametrize('loss', LOSSES)
def test_without_matches_every_parameter_stays_in_the_graph(loss):
    model = build(loss)
    losses = losses_of(model, two_views(matched=False))
    losses['contrast.loss_contrast'].backward()
    assert losses['contrast.loss_contrast'] == 0 and losses['contrast.matches'] == 0
    assert all(p.grad is not None and p.grad.abs().sum() == 0 for p in model.parameters())


def test_the_same_seeds_give_the_same_loss():
    model = build()
    first, again, other = (losses_of(model, two_views(seed=seed))['contrast.loss_contrast'] for seed in (3, 3, 4))
    assert first == again != other


def test_turning_the_augmented_view_matters_only_in_its_frame():
    """Coordinates of the first view turned behind the encoder's back: cells in the world stay."""
    for loss, moves in (('p8', False), ('augmented', True)):
        model = build(loss)
        data = model.data_preprocessor(two_views(), training=True)
        first = model(**data, mode='loss')['contrast.loss_contrast']
        view = data['inputs']['views']['view0']
        view['points'] = [torch.cat([one[:, :3] @ turn(0.7).T, one[:, 3:]], 1) for one in view['points']]
        second = model(**data, mode='loss')['contrast.loss_contrast']
        assert (abs(first - second) > 1e-5) == moves
        for one in view['xyz_world']:
            one += torch.tensor([7., -3., 1.])  # where the world's origin lies does not matter
        assert abs(model(**data, mode='loss')['contrast.loss_contrast'] - second) < 1e-5


def test_autocast_keeps_the_loss_in_float32():
    model, batch = build(), two_views()
    data = model.data_preprocessor(batch, training=True)
    exact = model(**data, mode='loss')['contrast.loss_contrast']
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = model(**data, mode='loss')['contrast.loss_contrast']
    loss.backward()
    assert loss.dtype == torch.float32 and abs(loss - exact) < 0.02
    assert model.backbone.stem.conv.weight.grad.isfinite().all()


def test_bad_input_is_named():
    model = build()
    data = model.data_preprocessor(two_views(), training=True)
    pairs = data['inputs'].pop('pairs')
    with pytest.raises(KeyError, match='MatchViews'):
        model(**data, mode='loss')
    data['inputs']['pairs'] = pairs[:1]
    with pytest.raises(ValueError, match='pairs of 1 samples'):
        model(**data, mode='loss')
    data['inputs']['pairs'] = pairs
    data['inputs']['views']['view0'].pop('xyz_world')
    with pytest.raises(KeyError, match='point_keys'):
        model(**data, mode='loss')
    with pytest.raises(ValueError, match='two views'):
        build(views=['view0'])
    with pytest.raises(ValueError, match='samples_per_scene'):
        MODELS.build(dict(type='SceneContextsHead', in_channels=8, loss=LOSSES['p8'], samples_per_scene=0))
