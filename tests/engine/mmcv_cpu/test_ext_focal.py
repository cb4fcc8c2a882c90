"""Focal losses against their formulas, their gradients against autograd through those formulas."""
import pytest
import torch
import torch.nn.functional as F

from pretrain3d.engine import mmcv_cpu as ext

GAMMA, ALPHA = 1.7, .3


def sigmoid_formula(logits, target, weight=None):
    hit = F.one_hot(target.clamp(max=logits.shape[1]), logits.shape[1] + 1)[:, :-1].to(logits)
    p = torch.sigmoid(logits)
    loss = -hit * ALPHA * (1 - p)**GAMMA * F.logsigmoid(logits)
    loss = loss - (1 - hit) * (1 - ALPHA) * p**GAMMA * F.logsigmoid(-logits)
    return loss if weight is None else loss * weight[target][:, None]


def softmax_formula(logits, target, weight=None):
    log_p = F.log_softmax(logits, 1).gather(1, target[:, None]).squeeze(1)
    loss = -ALPHA * (1 - log_p.exp())**GAMMA * log_p
    return loss if weight is None else loss * weight[target]


def draw(rng, classes=4, rows=12):
    logits = torch.randn(rows, classes, generator=rng, dtype=torch.float64) * 3
    return logits, torch.randint(0, classes, (rows, ), generator=rng), torch.rand(classes, generator=rng).double() + .5


@pytest.mark.parametrize('weighted', [False, True])
def test_sigmoid_loss_and_gradient(rng, weighted):
    logits, target, weight = draw(rng)
    if not weighted:
        weight = None
        target[3] = 4  # background
    expected = sigmoid_formula(logits.requires_grad_(), target, weight)
    expected.sum().backward()
    given = logits.new_zeros(0) if weight is None else weight
    loss, grad = torch.full_like(logits, 9), torch.full_like(logits, 9)
    ext.sigmoid_focal_loss_forward(logits, target, given, loss, gamma=GAMMA, alpha=ALPHA)
    ext.sigmoid_focal_loss_backward(logits, target, given, grad, gamma=GAMMA, alpha=ALPHA)
    torch.testing.assert_close(loss, expected.detach())
    torch.testing.assert_close(grad, logits.grad)


@pytest.mark.parametrize('weighted', [False, True])
def test_softmax_loss_and_gradient(rng, weighted):
    logits, target, weight = draw(rng)
    weight = weight if weighted else None
    expected = softmax_formula(logits.requires_grad_(), target, weight)
    expected.sum().backward()
    given = logits.new_zeros(0) if weight is None else weight
    loss, factor, grad = logits.new_full((12, ), 9), logits.new_full((12, ), 9), torch.full_like(logits, 9)
    probability = logits.detach().softmax(1)
    ext.softmax_focal_loss_forward(probability, target, given, loss, gamma=GAMMA, alpha=ALPHA)
    ext.softmax_focal_loss_backward(probability, target, given, factor, grad, gamma=GAMMA, alpha=ALPHA)
    torch.testing.assert_close(loss, expected.detach())
    torch.testing.assert_close(grad, logits.grad)


def test_targets_outside_the_classes(rng):
    logits, _, weight = draw(rng, 3, 2)
    background = torch.tensor([-1, 3])
    loss = torch.zeros_like(logits)
    ext.sigmoid_focal_loss_forward(logits, background, weight, loss, gamma=GAMMA, alpha=ALPHA)
    torch.testing.assert_close(loss, -(1 - ALPHA) * logits.sigmoid()**GAMMA * F.logsigmoid(-logits))
    loss, factor, grad = logits.new_ones(1), logits.new_ones(1), torch.ones_like(logits[:1])
    probability = logits[:1].softmax(1)
    ext.softmax_focal_loss_forward(probability, background[:1], weight, loss, gamma=GAMMA, alpha=ALPHA)
    ext.softmax_focal_loss_backward(probability, background[:1], weight, factor, grad, gamma=GAMMA, alpha=ALPHA)
    assert loss == 0 and factor == 0 and (grad == 0).all()


def test_extreme_logits_stay_finite():
    logits, target = torch.tensor([[200., -200.], [-200., 200.]]), torch.tensor([1, 1])
    loss, grad = torch.zeros_like(logits), torch.zeros_like(logits)
    ext.sigmoid_focal_loss_forward(logits, target, logits.new_zeros(0), loss, gamma=2., alpha=.25)
    ext.sigmoid_focal_loss_backward(logits, target, logits.new_zeros(0), grad, gamma=2., alpha=.25)
    assert loss.isfinite().all() and grad.isfinite().all() and loss[0, 1] > 10


def test_mmcv_calls_reach_the_functions(rng, mended_ops):
    logits, target, weight = draw(rng)
    logits.requires_grad_()
    for function in (mended_ops.sigmoid_focal_loss, mended_ops.softmax_focal_loss):
        assert torch.autograd.gradcheck(lambda x: function(x, target, GAMMA, ALPHA, weight, 'mean'), logits)
    torch.testing.assert_close(mended_ops.sigmoid_focal_loss(logits, target, GAMMA, ALPHA, None, 'none'),
                               sigmoid_formula(logits, target))
