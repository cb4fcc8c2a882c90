"""Fragments and voting beside explicit loops over points."""
import math
import weakref

import numpy as np
import pytest
import torch

from pretrain3d.ops.fragments import PRESETS, Augmentation, Fragments, vote

SIZE = 0.2


def cloud(n=400, seed=0, columns=9):
    return torch.rand(n, columns, generator=torch.Generator().manual_seed(seed)) * 1.5 - 0.7


def by_voxel(xyz, size=SIZE, origin=(0., 0., 0.)):
    """Voxel -> its points in order, point by point."""
    found = {}
    for i, point in enumerate(xyz.double().tolist()):
        found.setdefault(tuple(math.floor((p - o) / size) for p, o in zip(point, origin)), []).append(i)
    return found


@pytest.mark.parametrize('origin', [(0., 0., 0.), (-0.73, -0.71, -0.9)])
def test_each_fragment_holds_point_i_mod_count_of_every_voxel(origin):
    points = cloud()
    voxels = list(by_voxel(points[:, :3], origin=origin).values())
    fragments = Fragments(points[:, :3], SIZE, origin)
    assert len(fragments) == max(map(len, voxels)) > 3
    seen = torch.zeros(len(points), dtype=torch.int64)
    for i, rows in enumerate(fragments):
        assert sorted(rows.tolist()) == sorted(members[i % len(members)] for members in voxels)
        seen[rows] += 1
    wanted = torch.zeros_like(seen)
    for members in voxels:
        for rank, point in enumerate(members):
            wanted[point] = (len(fragments) - 1 - rank) // len(members) + 1
    assert torch.equal(seen, wanted) and wanted.min() >= 1
    with pytest.raises(IndexError):
        fragments[len(fragments)]


def test_an_empty_cloud_and_a_single_point():
    assert len(Fragments(torch.zeros(0, 3), SIZE)) == 0
    assert [rows.tolist() for rows in Fragments(torch.ones(1, 3), SIZE)] == [[0]]
    assert vote(torch.zeros(0, 9), lambda clouds: 1 / 0, SIZE, PRESETS['indoor']) is None


@pytest.mark.parametrize('augmentation', [*PRESETS['indoor'], *PRESETS['s3dis'], Augmentation(37., 1.2, 'x'),
                                          Augmentation(-135., 1., 'y'), Augmentation(450.)])
def test_augmentations_are_these_matrices(augmentation):
    points = cloud()
    turn = math.radians(augmentation.angle)
    matrix = np.array([[math.cos(turn), -math.sin(turn), 0], [math.sin(turn), math.cos(turn), 0], [0, 0, 1]])
    matrix = matrix @ np.diag([-1 if axis in augmentation.flip else 1 for axis in 'xyz'])
    moved = augmentation.apply(points, vector_columns=(6, 7, 8))
    wanted = points.double().numpy().copy()
    wanted[:, :3] = augmentation.scale * wanted[:, :3] @ matrix.T
    wanted[:, 6:] = wanted[:, 6:] @ matrix.T
    np.testing.assert_allclose(moved.numpy(), wanted, atol=1e-6)
    assert torch.equal(moved[:, 3:6], points[:, 3:6])
    assert torch.equal(augmentation.apply(points)[:, 3:], points[:, 3:]) and torch.equal(points, cloud())


def test_presets():
    indoor, s3dis = PRESETS['indoor'], PRESETS['s3dis']
    assert len(indoor) == len(set(indoor)) == 13 and len(s3dis) == len(set(s3dis)) == 10
    half_turn = [each for each in indoor if torch.equal(each.apply(cloud()), indoor[-1].apply(cloud()))]
    assert len(half_turn) == 2, 'the flip of both axes is the half turn once more'
    assert sorted({each.scale for each in indoor}) == [0.95, 1., 1.05]
    for wrong in (dict(flip='z'), dict(scale=0.), dict(angle=float('nan'))):
        with pytest.raises(ValueError, match='augmentation'):
            Augmentation(**wrong)


def network(clouds):
    """Scores that depend on the whole fragment, its augmentation and the point."""
    return [torch.stack((one[:, 0] * one[:, 6], one[:, 1] + len(one) / 1000, one[:, 3] * one.mean()), 1).softmax(1)
            for one in clouds]


@pytest.mark.parametrize('chunk', [1, 2, 7, 1000])
def test_voting_is_this_sum(chunk):
    points, augmentations = cloud(150), (*PRESETS['indoor'][:5], Augmentation(20., 0.9, 'x'))
    wanted = torch.zeros(len(points), 3, dtype=torch.float64)
    for augmentation in augmentations:
        moved = augmentation.apply(points, (6, 7, 8))
        voxels = list(by_voxel(moved[:, :3]).values())
        for i in range(max(map(len, voxels))):
            rows = [members[i % len(members)] for members in voxels]
            for row, scores in zip(rows, network([moved[rows]])[0]):
                wanted[row] += scores
    found = vote(points, network, SIZE, augmentations, chunk=chunk, vector_columns=(6, 7, 8))
    torch.testing.assert_close(found.double(), wanted, atol=1e-5, rtol=1e-5)
    again = vote(points, network, SIZE, augmentations, chunk=chunk, vector_columns=(6, 7, 8))
    assert torch.equal(found, again)


@pytest.mark.parametrize('copies', [4, 40])
@pytest.mark.parametrize('chunk', [1, 3])
def test_never_more_than_a_chunk_of_fragments_is_alive(copies, chunk):
    """However many points a voxel has."""
    points, given, most = cloud(30).repeat(copies, 1), [], []

    def predict(clouds):
        given.extend(map(weakref.ref, clouds))
        most.append(sum(each() is not None for each in given))
        return network(clouds)

    vote(points, predict, SIZE, PRESETS['indoor'][:2], chunk=chunk)
    assert max(most) <= chunk and len(given) >= 2 * copies and len(most) >= 2 * copies / chunk


def test_bad_arguments():
    for wrong in (dict(chunk=0), dict(augmentations=())):
        with pytest.raises(ValueError, match='voting needs'):
            vote(cloud(), network, SIZE, **dict(dict(augmentations=PRESETS['none']), **wrong))


@pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU')
def test_a_gpu_makes_the_same_fragments():
    points = cloud(5000)
    for augmentation in (*PRESETS['indoor'], *PRESETS['s3dis']):
        here, there = augmentation.apply(points, (6, 7, 8)), augmentation.apply(points.cuda(), (6, 7, 8))
        assert torch.equal(here, there.cpu())
        pairs = zip(Fragments(here[:, :3], SIZE), Fragments(there[:, :3], SIZE))
        assert all(torch.equal(mine, other.cpu()) for mine, other in pairs)
