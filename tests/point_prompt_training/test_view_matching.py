"""Matches of two views against brute force over all pairs of voxels."""
import pytest
import torch

from pretrain3d.point_prompt_training.view_matching import match_views, nearest_within


def drawn(seed=0, counts=((200, 180), (0, 30), (90, 0), (120, 140))):
    generator = torch.Generator().manual_seed(seed)
    xyz, scene = [], []
    for view in zip(*counts):
        xyz.append(torch.rand(sum(view), 3, generator=generator, dtype=torch.float64))
        scene.append(torch.cat([torch.full((n, ), place) for place, n in enumerate(view)]))
    return (*xyz, *scene)


def slow(query, key, query_scene, key_scene, radius, count):
    """{query row: its nearest keys within the radius, from near to far}."""
    found = {}
    for i, point in enumerate(query):
        distance = (key - point).norm(dim=1)
        near = [j for j in range(len(key)) if distance[j] <= radius and key_scene[j] == query_scene[i]]
        if near:
            found[i] = sorted(near, key=lambda j: (float(distance[j]), j))[:count]
    return found


@pytest.mark.parametrize('radius, count', [(0.12, 3), (0.2, 8), (0.3, 1), (0.05, 8)])
def test_nearest_keys(radius, count):
    query, key, query_scene, key_scene = drawn()
    wanted = slow(query, key, query_scene, key_scene, radius, count)
    pairs = nearest_within(query, key, radius, count, query_scene, key_scene)
    assert pairs.tolist() == [[i, j] for i, near in wanted.items() for j in near] and len(pairs) > 5
    assert radius < 0.2 or max(map(len, wanted.values())) == count


def test_equally_near_keys_in_the_order_of_their_rows():
    key = torch.tensor([[1., 0, 0], [-1, 0, 0], [0, 1, 0]])
    zero = torch.zeros(3, dtype=torch.int64)
    assert nearest_within(torch.zeros(1, 3), key, 1.5, 2, zero[:1], zero).tolist() == [[0, 0], [0, 1]]


def test_each_query_with_one_of_its_nearest():
    args = drawn()
    wanted = slow(*args, 0.2, 3)
    pairs = match_views(*args, 4, [1, 2, 3, 4], radius=0.2, max_neighbours=3)
    assert pairs[:, 0].tolist() == list(wanted)
    assert all(j in wanted[i] for i, j in pairs.tolist())
    again = match_views(*args, 4, [5, 2, 3, 4], radius=0.2, max_neighbours=3)
    first = args[2][pairs[:, 0]] == 0
    assert torch.equal(pairs[~first], again[~first]) and not torch.equal(pairs[first], again[first])


def test_at_most_so_many_of_a_scene():
    args = drawn()
    every = match_views(*args, 4, [1, 2, 3, 4], radius=0.2, max_neighbours=3)
    few = match_views(*args, 4, [1, 2, 3, 4], radius=0.2, max_neighbours=3, pairs_per_scene=20)
    assert torch.bincount(args[2][few[:, 0]], minlength=4).tolist() == [20, 0, 0, 20]
    assert {tuple(pair) for pair in few.tolist()} < {tuple(pair) for pair in every.tolist()}
    assert (few[:, 0].diff() > 0).all()


def test_survivors_and_scenes_are_drawn_evenly():
    query, key, query_scene, key_scene = drawn(counts=((40, 60), ))
    near = slow(query, key, query_scene, key_scene, 0.4, 4)
    row = max(near, key=lambda i: len(near[i]))
    chosen, hits = [], torch.zeros(len(query))
    for seed in range(400):
        pairs = match_views(query, key, query_scene, key_scene, 1, [seed], 0.4, 4, 10)
        assert len(pairs) == 10
        hits[pairs[:, 0]] += 1
        chosen += match_views(query, key, query_scene, key_scene, 1, [seed], 0.4, 4)[
            list(near).index(row), 1:].tolist()
    shares = torch.tensor([chosen.count(j) / 400 for j in near[row]])
    assert len(shares) == 4 and (shares - 0.25).abs().max() < 5 * (0.25 * 0.75 / 400) ** 0.5
    share = 10 / len(near)
    assert (hits[list(near)] / 400 - share).abs().max() < 5 * (share / 400) ** 0.5


def test_no_match():
    args = drawn()
    assert len(match_views(*args, 4, [1, 2, 3, 4], radius=1e-6)) == 0
    nothing = torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64)
    assert match_views(nothing[0], nothing[0], nothing[1], nothing[1], 2, [1, 2]).shape == (0, 2)
