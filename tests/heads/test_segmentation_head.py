"""The segmentation head against its formulas, on one process and split over two."""
import pytest
import torch

import pretrain3d  # noqa: F401
from mmdet3d.registry import MODELS
from pretrain3d.heads import lovasz_softmax


def build(**config):
    torch.manual_seed(0)
    return MODELS.build(dict(type='SegmentationHead', in_channels=6, num_classes=4, **config)).double()


def scene(count=30, seed=0):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(count, 6, dtype=torch.float64, generator=generator)
    return features, torch.randint(0, 5, (count, ), generator=generator)


@pytest.mark.parametrize('class_weights', [None, (0.5, 2.0, 0.0, 1.0)])
def test_losses(class_weights):
    head, (features, labels) = build(class_weights=class_weights, ce_weight=2.0, lovasz_weight=0.5), scene()
    losses = head.loss(features, labels)
    log_p = (features @ head.classifier.weight.T + head.classifier.bias).log_softmax(1)
    kept, weights = labels < 4, class_weights or (1, 1, 1, 1)
    total = sum(-weights[y] * log_p[i, y] for i, y in enumerate(labels.tolist()) if y < 4)
    count = sum(weights[y] for y in labels.tolist() if y < 4)
    assert 0 < kept.sum() < len(kept)
    assert losses['loss_ce'].item() == pytest.approx(2 * (total / count).item(), rel=1e-5)
    assert losses['loss_lovasz'].item() == pytest.approx(
        0.5 * lovasz_softmax(log_p.exp(), labels, 4).item(), rel=1e-5)
    assert torch.equal(head(features), head.classifier(features))


def test_weight_zero_leaves_a_loss_out():
    assert list(build(lovasz_weight=0).loss(*scene())) == ['loss_ce']
    assert list(build(ce_weight=0).loss(*scene())) == ['loss_lovasz']


@pytest.mark.parametrize('count', [0, 5])
def test_nothing_labelled_is_zero_in_the_graph(count):
    head = build(class_weights=(1, 2, 3, 4))
    features = torch.randn(count, 6, dtype=torch.float64, requires_grad=True)
    losses = head.loss(features, torch.full((count, ), 4))
    sum(losses.values()).backward()
    assert all(value.item() == 0 for value in losses.values()) and features.grad is not None
    assert all(parameter.grad is not None and not parameter.grad.any() for parameter in head.parameters())


SPLITS = [(slice(0, 9), slice(9, 30)), (slice(0, 30), slice(0, 0))]


def parts_of_a_batch(rank, world_size):
    """Losses and gradients of this rank's part of the batch, for every way to split it."""
    head = build(class_weights=(0.5, 2.0, 1.0, 1.0))
    features, labels = scene()
    results = []
    for parts in SPLITS:
        losses = head.loss(features[parts[rank]], labels[parts[rank]])
        gradients = [torch.autograd.grad(loss, head.classifier.weight, retain_graph=True)[0]
                     for loss in losses.values()]
        results.append({name: (losses[name].item(), gradient) for name, gradient in zip(losses, gradients)})
    return results


def test_two_ranks_equal_one(head_ranks):
    """Unequal parts: what distributed training averages is the gradient of the whole batch. One rank may be empty."""
    first, second = (rank['segmentation'] for rank in head_ranks)
    head, (features, labels) = build(class_weights=(0.5, 2.0, 1.0, 1.0)), scene()
    whole = head.loss(features, labels)
    for split, name in ((0, 'loss_ce'), (0, 'loss_lovasz'), (1, 'loss_ce'), (1, 'loss_lovasz')):
        wanted = torch.autograd.grad(whole[name], head.classifier.weight, retain_graph=True)[0]
        averaged = (first[split][name][1] + second[split][name][1]) / 2
        assert wanted.abs().max() > 1e-2
        assert torch.allclose(averaged, wanted, rtol=1e-5, atol=1e-9), (split, name)
        assert first[split][name][0] == pytest.approx(whole[name].item(), rel=1e-6)
        assert second[split][name][0] == pytest.approx(whole[name].item(), rel=1e-6)


def test_wrong_input_is_refused():
    features, labels = scene()
    with pytest.raises(ValueError, match='PointSegClassMapping'):
        build().loss(features, labels - 1)
    with pytest.raises(ValueError, match='PointSegClassMapping'):
        build().loss(features, labels + 1)
    with pytest.raises(ValueError, match='30 voxels but labels'):
        build().loss(features, labels[1:])
    with pytest.raises(ValueError, match='3 entries for num_classes=4'):
        build(class_weights=(1, 1, 1))
    with pytest.raises(ValueError, match='lovasz_batch'):
        build(lovasz_batch='each')
    with pytest.raises(ValueError, match='both 0'):
        build(ce_weight=0, lovasz_weight=0)
