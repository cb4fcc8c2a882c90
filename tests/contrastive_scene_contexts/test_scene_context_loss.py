"""The fused loss against a plain masked cross-entropy, the released code's numbers, and what it must not depend on."""
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmdet3d.registry import MODELS
from pretrain3d.contrastive_scene_contexts import (PRESETS, Partition, SceneContextLoss, scene_context_loss,
                                                   scene_context_losses)
from pretrain3d.heads import PointInfoNCELoss, point_info_nce

REFERENCE = np.load(Path(__file__).parent / 'reference_partitions.npz')


def drawn(rows, channels=6, dtype=torch.float64, seed=0, spread=0.6):
    """Unit queries, like keys, and places in a room-sized box."""
    generator = torch.Generator().manual_seed(seed)
    query = torch.randn(rows, channels, generator=generator, dtype=dtype)
    key = query + torch.randn(rows, channels, generator=generator, dtype=dtype)
    xyz = torch.randn(rows, 3, generator=generator, dtype=dtype) * spread
    return F.normalize(query, dim=1).requires_grad_(), F.normalize(key, dim=1).requires_grad_(), xyz


def masked_cross_entropy(query, key, cells, num_cells, temperature, average='all_cells'):
    """Mean over anchors and cells of -log softmax over {own key} and the cell's keys; -1: in no cell."""
    logits, rows = query @ key.T / temperature, torch.arange(len(query))
    losses, there = [], []
    for p in range(num_cells):
        hidden = cells != p
        there.append((~hidden).any(1))
        hidden = hidden.clone().fill_diagonal_(False)
        losses.append(F.cross_entropy(logits.masked_fill(hidden, -math.inf), rows, reduction='none'))
    losses = torch.stack(losses)
    if average == 'all_cells':
        return losses.mean()
    return (losses.sum(0) / torch.stack(there).sum(0).clamp(min=1)).mean()


@pytest.mark.parametrize('average', ['all_cells', 'non_empty'])
@pytest.mark.parametrize('partition', [
    PRESETS['p8'], PRESETS['fast4'], PRESETS['p1'], Partition('angular', 5, 3, (0.3, 0.8), 0.2),
    Partition('none', shells=(50., ), exclude_radius=0.4)], ids=str)
def test_it_is_the_masked_cross_entropy(partition, average):
    query, key, xyz = drawn(70)
    xyz[10:13] = xyz[13:16] + 0.001  # within the excluded radius
    cells = partition.cells(*(xyz[None, :, d] - xyz[:, None, d] for d in range(3))).long()
    cells.fill_diagonal_(-1)
    plain = masked_cross_entropy(query, key, cells, partition.num_cells, 0.4, average)
    wanted = torch.autograd.grad(plain, (query, key))
    fused = scene_context_losses(query, key, xyz, partition, 0.4, average=average).mean()
    assert abs(fused - plain) < 1e-10
    for mine, theirs in zip(torch.autograd.grad(fused, (query, key)), wanted):
        assert (mine - theirs).abs().max() < 1e-10


@pytest.mark.parametrize('average', ['all_cells', 'non_empty'])
def test_random_ids_with_excluded_and_empty_cells(monkeypatch, average):
    """The same with cells from nowhere: whatever the partition, the formula holds."""
    query, key, xyz = drawn(50)
    cells = torch.randint(-1, 7, (1, 50, 50), generator=torch.Generator().manual_seed(5))
    cells[cells == 3] = 4  # an empty cell for everyone
    cells[0, 7] = -1  # an anchor without any key
    cells[0].fill_diagonal_(-1)
    hits = torch.stack([cells == p for p in range(8)], dim=2).double()
    monkeypatch.setattr(scene_context_loss, 'sum_by_cell', lambda values, xyz, sizes, start, partition: (
        values[:, :, None] * hits[:, start:start + values.shape[1]]).sum(3))
    monkeypatch.setattr(scene_context_loss, 'weigh_by_cell', lambda values, xyz, sizes, start, partition, weights: (
        values * (hits[:, start:start + values.shape[1]] * weights[..., None]).sum(2)))
    monkeypatch.setattr(point_info_nce, 'CHUNK', 50 * 7)
    losses = scene_context_losses(query, key, xyz, PRESETS['p8'], 0.1, average=average)
    plain = masked_cross_entropy(query, key, cells[0], 8, 0.1, average)
    assert abs(losses.mean() - plain) < 1e-10 and losses[7] == 0
    for mine, theirs in zip(torch.autograd.grad(losses.mean(), (query, key)), torch.autograd.grad(plain, (query, key))):
        assert (mine - theirs).abs().max() < 1e-10


@pytest.mark.parametrize('average', ['all_cells', 'non_empty'])
def test_gradcheck_with_several_scenes_and_chunks(monkeypatch, average):
    monkeypatch.setattr(point_info_nce, 'CHUNK', 40)
    query, key, xyz = drawn(14, 3)
    scene = torch.tensor([2, 0, 2, 2, 0, 0, 0, 2, 3, 0, 2, 0, 0, 2])

    def loss(query, key):
        return scene_context_losses(query, key, xyz, PRESETS['p8'], 0.4, scene, 5, average)

    assert torch.autograd.gradcheck(loss, (query, key))


@pytest.mark.parametrize('name', ['p8', 'fast4'])
def test_loss_of_the_released_code(name):
    query, key = (torch.from_numpy(REFERENCE[one]).double().requires_grad_() for one in ('query', 'key'))
    loss = SceneContextLoss(preset=name)(query, key, torch.from_numpy(REFERENCE['xyz']))
    loss.backward()
    assert loss.item() == pytest.approx(float(REFERENCE[f'loss_{name}']), abs=1e-10)
    for mine, theirs in ((query, 'grad_query_'), (key, 'grad_key_')):
        assert np.abs(mine.grad.numpy() - REFERENCE[theirs + name]).max() < 1e-7


def test_an_empty_shell_halves_the_loss_unless_left_out():
    """The released code has two shells always; to have one it moves the other out of reach and still divides by it."""
    query, key, xyz = drawn(80)
    four = SceneContextLoss(preset='p4', exclude_radius=0.)(query, key, xyz)
    padded = dict(mode='angular', n_azimuth=2, n_elevation=2, shells=[1e6])
    assert (SceneContextLoss(**padded)(query, key, xyz) - four / 2).abs() < 1e-12
    by_anchor = [SceneContextLoss(average='non_empty', **cells)(query, key, xyz)
                 for cells in (padded, dict(preset='p4', exclude_radius=0.))]
    assert by_anchor[0] == by_anchor[1]


def test_one_cell_and_no_exclusion_is_point_info_nce():
    query, key, xyz = drawn(60)
    scene = torch.arange(60) % 3
    ours, theirs = SceneContextLoss(preset='p1'), PointInfoNCELoss(negatives='scene')
    assert (ours(query, key, xyz, scene, 3) - theirs(query, key, scene, 3)).abs() < 1e-12
    assert (ours(query, key, xyz) - PointInfoNCELoss()(query, key)).abs() < 1e-12


def test_moving_the_world_changes_nothing_but_turning_it_does():
    query, key, xyz = drawn(200)
    loss = SceneContextLoss(preset='p8')
    first = loss(query, key, xyz)
    assert (loss(query, key, xyz + torch.tensor([300., -20., 7.])) - first).abs() < 1e-12
    turned = xyz @ torch.tensor([[0.6, 0.8, 0], [-0.8, 0.6, 0], [0, 0, 1.]], dtype=xyz.dtype)
    assert (loss(query, key, turned) - first).abs() > 1e-6
    fast = SceneContextLoss(preset='fast4')
    assert (fast(query, key, turned) - fast(query, key, xyz)).abs() < 1e-12  # above and below stay


@pytest.mark.parametrize('preset', ['p8', 'fast4', 'p1'])
def test_a_batch_is_its_scenes_alone(preset):
    query, key, xyz = drawn(90)
    scene = torch.randint(0, 4, (90, ), generator=torch.Generator().manual_seed(1))
    scene[scene == 2] = 1  # a scene without matches
    loss = SceneContextLoss(preset=preset)
    alone = [loss(query[scene == s], key[scene == s], xyz[scene == s]) for s in (0, 1, 3)]
    assert (loss(query, key, xyz, scene, 4) - sum(alone) / 3).abs() < 1e-12
    assert (loss(query, key, xyz, scene, 9) - sum(alone) / 3).abs() < 1e-12


@pytest.mark.parametrize('rows', [0, 1])
def test_scenes_of_no_or_one_match_cost_nothing_and_stay_in_the_graph(rows):
    query, key, xyz = drawn(rows, dtype=torch.float32)
    loss = SceneContextLoss(preset='p8')(query, key, xyz, torch.zeros(rows, dtype=torch.int64), 2)
    loss.backward()
    assert loss == 0 and loss.requires_grad
    assert query.grad.abs().sum() == 0 and key.grad.abs().sum() == 0


@pytest.mark.parametrize('criterion', [SceneContextLoss(preset='p8'), PointInfoNCELoss()], ids=['cells', 'nce'])
def test_half_precision_and_autocast_reduce_in_float32(criterion):
    query, key, xyz = drawn(300, 16, torch.float32)

    def run(query, key):
        scene = torch.zeros(300, dtype=torch.int64)
        return criterion(query, key, xyz, scene) if isinstance(criterion, SceneContextLoss) else criterion(query, key)

    exact = run(query, key)
    wanted = torch.autograd.grad(exact, query)[0]
    with torch.autocast('cpu', dtype=torch.bfloat16):
        same = run(query, key)
        assert same.dtype == torch.float32 and same == exact
        assert torch.equal(torch.autograd.grad(same, query)[0], wanted)  # backward too, and under autocast
    half = [one.detach().bfloat16().requires_grad_() for one in (query, key)]
    coarse = run(*half)
    coarse.backward()
    assert coarse.dtype == torch.float32 and half[0].grad.dtype == torch.bfloat16
    assert abs(coarse - run(*(one.float() for one in half))) < 1e-7 and abs(coarse - exact) < 1e-2


def test_low_temperatures_stay_finite():
    query = torch.tensor([[1., 0], [-1, 0], [0, 1]], requires_grad=True)
    key = torch.tensor([[-1., 0], [1, 0], [0, 1]], requires_grad=True)  # the worst: own key opposite
    loss = SceneContextLoss(preset='p1', temperature=0.025)(query, key, torch.rand(3, 3))
    loss.backward()
    assert loss.item() == pytest.approx((80 + 80 + 2 * math.exp(-40)) / 3) and query.grad.isfinite().all()


def test_it_is_built_by_name_and_checks_its_words():
    assert MODELS.build(dict(type='SceneContextLoss', preset='p8', shells=[0.7])).partition.shells == (0.7, )
    for wrong in (dict(frame='camera'), dict(average='some'), dict(temperature=0.01)):
        with pytest.raises(ValueError, match=str(list(wrong)[0])):
            SceneContextLoss(preset='p8', **wrong)
    with pytest.raises(ValueError, match='xyz'):
        SceneContextLoss(preset='p8')(torch.rand(3, 2), torch.rand(3, 2), torch.rand(4, 3))


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
@pytest.mark.parametrize('partition', [PRESETS['p8'], PRESETS['fast4'], Partition('angular', 5, 3, (0.4, ), 0.1)],
                         ids=str)
def test_the_gpu_agrees(partition):
    query, key, xyz = drawn(900, 16)
    scene = torch.arange(900) % 3
    mine = scene_context_losses(query, key, xyz, partition, 0.4, scene, 3)
    theirs = scene_context_losses(query.cuda(), key.cuda(), xyz.cuda(), partition, 0.4, scene.cuda(), 3).cpu()
    assert (mine - theirs).abs().max() < 1e-12
    for one in (query, key):
        a, b = (torch.autograd.grad(loss.mean(), one, retain_graph=True)[0] for loss in (mine, theirs))
        assert (a - b).abs().max() < 1e-12
