"""The hardest-contrastive loss against loops."""
import pytest
import torch
import torch.nn.functional as F

from pretrain3d.contrastive_scene_contexts import HardestContrastiveLoss


def drawn():
    generator = torch.Generator().manual_seed(0)
    first, second = (F.normalize(torch.randn(n, 3, generator=generator, dtype=torch.float64), dim=1).requires_grad_()
                     for n in (30, 26))
    pairs = torch.stack([torch.randint(n, (80, ), generator=generator) for n in (30, 26)], 1).unique(dim=0)
    return first, second, pairs, pairs[::3]


def slow_loss(first, second, pairs, sampled, candidates, margins=(0.1, 1.4)):
    """One match, one direction at a time; ``candidates``: rows of view 0 and of view 1."""
    truth = set(map(tuple, pairs.tolist()))
    pull = [F.relu((first[i] - second[j]).square().sum() - margins[0]) for i, j in sampled.tolist()]
    total = torch.stack(pull).mean()
    for direction in (0, 1):
        push = []
        for pair in sampled.tolist():
            anchor, others = ((first[pair[0]], second), (second[pair[1]], first))[direction]
            distances = [((anchor - others[c]).square().sum() + 1e-7).sqrt() for c in candidates[1 - direction]]
            nearest = min(range(len(distances)), key=lambda place: distances[place])
            row = candidates[1 - direction][nearest]
            if ((pair[0], row) if direction == 0 else (row, pair[1])) not in truth:
                push.append(F.relu(margins[1] - distances[nearest]).square())
        assert 0 < len(push) < len(sampled)
        total = total + 0.5 * torch.stack(push).mean()
    return total


@pytest.mark.parametrize('count', [1000, 12])
def test_it_is_the_loop(count):
    first, second, pairs, sampled = drawn()
    loss = HardestContrastiveLoss(num_candidates=count)
    candidates = [loss._candidates(features, 1, [4], view).tolist() for view, features in enumerate((first, second))]
    assert [len(set(rows)) for rows in candidates] == [min(count, 30), min(count, 26)]
    value = loss((first, second), sampled[:, 0], sampled[:, 1], pairs, 1, [4])
    wanted = slow_loss(first, second, pairs, sampled, candidates)
    assert abs(value - wanted) < 1e-12
    for mine, theirs in zip(torch.autograd.grad(value, (first, second)), torch.autograd.grad(wanted, (first, second))):
        assert (mine - theirs).abs().max() < 1e-12


def test_candidates_follow_the_seed():
    first, second, pairs, sampled = drawn()
    loss = HardestContrastiveLoss(num_candidates=6)

    def value(seed):
        return loss((first, second), sampled[:, 0], sampled[:, 1], pairs, 1, [seed]).item()

    assert value(1) == value(1) != value(2)


def test_candidates_of_a_scene_do_not_depend_on_the_batch():
    features, loss = torch.zeros(30, 3), HardestContrastiveLoss(num_candidates=6)
    scenes = torch.tensor([0] * 10 + [2] * 16 + [3] * 4)
    rows = loss._candidates(features, 4, [1, 2, 3, 4], 0, scenes)
    assert len(rows) == 6 + 0 + 6 + 4 and len(rows.unique()) == 16
    assert torch.equal(rows[6:12] - 10, loss._candidates(features[:16], 1, [3], 0))


def test_without_matches_it_is_zero_in_the_graph():
    first, second, pairs, _ = drawn()
    loss = HardestContrastiveLoss()((first, second), pairs[:0, 0], pairs[:0, 1], pairs[:0], 1)
    loss.backward()
    assert loss == 0 and first.grad.abs().sum() == second.grad.abs().sum() == 0


def test_half_precision_is_left():
    first, second, pairs, sampled = drawn()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = HardestContrastiveLoss()((first.bfloat16(), second.bfloat16()), sampled[:, 0], sampled[:, 1], pairs)
    assert loss.dtype == torch.float32
    with pytest.raises(ValueError, match='num_candidates'):
        HardestContrastiveLoss(num_candidates=0)
