"""Lovasz-softmax beside its definition by the Jaccard loss of sets."""
import pytest
import torch

import pretrain3d  # noqa: F401
from pretrain3d.heads import lovasz_softmax


def jaccard_loss(truth, missed):
    """1 - |truth and predicted| / |truth or predicted| where the points in ``missed`` are predicted wrongly."""
    predicted = {i for i in range(len(truth)) if (i in truth.nonzero().flatten().tolist()) != (i in missed)}
    members = set(truth.nonzero().flatten().tolist())
    union = members | predicted
    return 1 - len(members & predicted) / len(union)


def brute_force(probabilities, labels, ignore_index):
    """The definition, class by class and point by point."""
    keep = labels != ignore_index
    probabilities, labels = probabilities[keep], labels[keep]
    losses = []
    for c in range(probabilities.shape[1]):
        truth = labels == c
        if not truth.any():
            continue
        errors = (truth.double() - probabilities[:, c]).abs()
        total, missed, before = 0, set(), 0.0
        for i in errors.argsort(descending=True).tolist():
            missed.add(i)
            after = jaccard_loss(truth, missed)
            total, before = total + errors[i] * (after - before), after
        losses.append(total)
    return sum(losses) / len(losses)


@pytest.mark.parametrize('seed', range(4))
def test_equals_definition(seed):
    torch.manual_seed(seed)
    probabilities = torch.randn(23, 5, dtype=torch.float64).softmax(1)
    labels = torch.randint(0, 4, (23, ))  # class 4 is absent
    labels[torch.rand(23) < 0.3] = 5
    value = lovasz_softmax(probabilities, labels, 5)
    assert value.item() == pytest.approx(brute_force(probabilities, labels, 5).item(), rel=1e-12)
    kept = labels != 5
    assert value.item() == pytest.approx(lovasz_softmax(probabilities[kept], labels[kept], 5).item(), rel=1e-12)


def test_of_hard_predictions_it_is_the_mean_jaccard_loss():
    labels = torch.tensor([0, 0, 0, 1, 1, 3])
    predicted = torch.tensor([0, 0, 1, 1, 0, 3])
    probabilities = torch.nn.functional.one_hot(predicted, 4).double()
    # IoU: class 0 2/4, class 1 1/3, class 2 absent (4 with ignore label 4), class 3 1/1.
    assert lovasz_softmax(probabilities, labels, 4).item() == pytest.approx((1 / 2 + 2 / 3 + 0) / 3)


def test_gradient():
    torch.manual_seed(0)
    labels = torch.tensor([0, 1, 1, 3, 2, 0, 3, 3])  # 3: ignored
    logits = torch.randn(8, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: lovasz_softmax(x.softmax(1), labels, 3), logits)
    lovasz_softmax(logits.softmax(1), labels, 3).backward()
    assert not logits.grad[labels == 3].any() and logits.grad[labels != 3].any(1).all()


@pytest.mark.parametrize('count', [0, 4])
def test_without_labels_it_is_zero_in_the_graph(count):
    logits = torch.randn(count, 3, requires_grad=True)
    value = lovasz_softmax(logits.softmax(1), torch.full((count, ), 3), 3)
    value.backward()
    assert value.item() == 0 and not logits.grad.any()


def test_float32_keeps_its_digits_on_large_batches():
    torch.manual_seed(0)
    probabilities = torch.randn(200_000, 3, dtype=torch.float64).softmax(1)
    labels = torch.randint(0, 3, (200_000, ))
    fine, coarse = lovasz_softmax(probabilities, labels, 3), lovasz_softmax(probabilities.float(), labels, 3)
    assert coarse.item() == pytest.approx(fine.item(), rel=1e-5)
    probabilities = probabilities.requires_grad_()
    single = probabilities.detach().float().requires_grad_()
    lovasz_softmax(probabilities, labels, 3).backward()
    lovasz_softmax(single, labels, 3).backward()
    assert (probabilities.grad - single.grad).abs().max() < 2e-3 * probabilities.grad.abs().max()
