"""Neighbours within a radius and grid means, against brute force."""
import numpy as np
import pytest

from pretrain3d.converters.batch import SceneError
from pretrain3d.converters.pairs import neighbours
from pretrain3d.converters.pairs.neighbours import RadiusIndex, grid_means


def brute_matches(query, keys, radius):
    difference = query[:, None] - keys[None]
    return np.argwhere((difference * difference).sum(-1) <= radius * radius)


def as_pairs(counts, keys):
    return np.stack([np.repeat(np.arange(len(counts)), counts), keys], 1)


@pytest.mark.parametrize('seed', range(8))
def test_matches_are_those_of_brute_force(seed):
    rng = np.random.default_rng(seed)
    extent = rng.uniform(0.05, 3, 3)
    keys = rng.uniform(-extent, extent, (rng.integers(1, 300), 3))
    query = np.concatenate([rng.uniform(-1.5 * extent, 1.5 * extent, (200, 3)), keys[:20]])
    radius = rng.uniform(0.02, 1.0)
    expected = brute_matches(query, keys, radius)
    index = RadiusIndex(keys, radius)
    assert np.array_equal(as_pairs(*index.matches(query)), expected)
    assert np.array_equal(index.pairs(query), expected)
    assert index.count(query) == len(np.unique(expected[:, 0]))
    assert index.bound(query) >= index.count(query)


def test_bound_is_worth_something():
    rng = np.random.default_rng(0)
    keys, query = rng.uniform(0, 1, (500, 3)), rng.uniform(0.9, 1.9, (500, 3))
    index = RadiusIndex(keys, 0.05)
    assert index.count(query) <= index.bound(query) < 100


def test_the_radius_itself_is_inside():
    # Multiples of 1/8 are exact in binary, so the distance is the radius and not nearly so.
    keys = np.array([[0.0, 0, 0], [0.25, 0, 0], [0, 0, -0.25], [0.25, 0.125, 0]])
    counts, found = RadiusIndex(keys, 0.25).matches(np.zeros((1, 3)))
    assert counts.tolist() == [3] and found.tolist() == [0, 1, 2]


def test_lattices_whose_points_lie_on_cell_borders():
    line = np.arange(12) * 0.075
    keys = np.stack(np.meshgrid(line, line, line[:3]), -1).reshape(-1, 3)
    index = RadiusIndex(keys, 0.075)
    assert np.array_equal(as_pairs(*index.matches(keys + 0.0)), brute_matches(keys, keys, 0.075))


def test_wider_cells_for_wide_clouds_are_exact(monkeypatch):
    monkeypatch.setattr(neighbours, '_MAX_CELLS', 200)
    rng = np.random.default_rng(1)
    keys, query = rng.uniform(-4, 4, (2, 300, 3))
    index = RadiusIndex(keys, 0.3)
    assert index._mask.size <= 200
    assert np.array_equal(as_pairs(*index.matches(query)), brute_matches(query, keys, 0.3))
    assert index.count(query) == len(np.unique(brute_matches(query, keys, 0.3)[:, 0]))


def test_more_matches_than_first_expected():
    keys = np.zeros((300, 3))
    counts, found = RadiusIndex(keys, 0.1).matches(np.zeros((50, 3)))
    assert counts.tolist() == [300] * 50 and np.array_equal(found.reshape(50, 300), np.tile(np.arange(300), (50, 1)))


@pytest.mark.parametrize('seed', range(3))
def test_grid_means(seed):
    rng = np.random.default_rng(seed)
    xyz, rgb = rng.uniform(-1, 1, (500, 3)), rng.integers(0, 256, (500, 3)).astype(np.uint8)
    got_xyz, got_rgb = grid_means(0.3, xyz, rgb)
    groups = {}
    for row, cell in enumerate(map(tuple, np.floor(xyz / 0.3).astype(int))):
        groups.setdefault(cell, []).append(row)
    np.testing.assert_allclose(got_xyz, [xyz[rows].mean(0) for rows in groups.values()], atol=1e-12)
    np.testing.assert_allclose(got_rgb, [rgb[rows].mean(0) for rows in groups.values()], atol=1e-9)


def test_grid_means_of_nothing_and_of_too_much():
    assert grid_means(0.1, np.zeros((0, 3)))[0].shape == (0, 3)
    with pytest.raises(SceneError, match='too far'):
        grid_means(1e-9, np.array([[0.0, 0, 0], [1e3, 1e3, 1e3]]))
