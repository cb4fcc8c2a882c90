"""Overlap of frames: pruning never drops a true pair, shares are those of brute force."""
import numpy as np
import pytest
from pair_scenes import camera

from pretrain3d.converters.pairs.backproject import backproject, frustum
from pretrain3d.converters.pairs.overlap import Overlap, find_overlaps, may_touch


def random_pose(rng, spread):
    matrix, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    pose = np.eye(4)
    pose[:3, :3] = matrix * np.sign(np.linalg.det(matrix))
    pose[:3, 3] = rng.uniform(-spread, spread, 3)
    return pose


def random_frames(seed, count=12, spread=2.0):
    """Clouds of frames with random poses, cones and depths, and their frusta."""
    rng = np.random.default_rng(seed)
    clouds, frusta = [], []
    for _ in range(count):
        near = rng.uniform(0.3, 2)
        depth = rng.uniform(near, near + rng.uniform(0.01, 2), (12, 16))
        depth[rng.random(depth.shape) < 0.3] = 0
        depth[0, 0] = near
        points = backproject(depth, camera(rng.uniform(8, 30), 16, 12))
        pose = random_pose(rng, spread)
        clouds.append(points @ pose[:3, :3].T + pose[:3, 3])
        frusta.append(frustum(points, pose))
    return clouds, frusta


def distances(first, second):
    x, y, z = (np.subtract.outer(first[:, axis], second[:, axis]) for axis in range(3))
    return x * x + y * y + z * z


def brute_overlaps(clouds, radius, least):
    found = []
    for i, first in enumerate(clouds):
        for j in range(i + 1, len(clouds)):
            near = distances(first, clouds[j]) <= radius * radius
            one = Overlap(i, j, near.any(1).mean(), near.any(0).mean())
            if one.ratio >= least:
                found.append(one)
    return found


@pytest.mark.parametrize('seed', range(12))
def test_pruning_never_drops_frames_that_touch(seed):
    clouds, frusta = random_frames(seed)
    for margin in (0.0, 0.05, 0.4):
        touch = may_touch(frusta, clouds, margin)
        assert np.array_equal(touch, touch.T)
        for i, first in enumerate(clouds):
            for j, second in enumerate(clouds):
                assert touch[i, j] or distances(first, second).min() > margin ** 2


def test_pruning_sees_most_frames_that_are_apart():
    kept = total = 0
    for seed in range(5):
        clouds, frusta = random_frames(seed, spread=4.0)
        touch = may_touch(frusta, clouds, 0.05)
        for i in range(len(clouds)):
            for j in range(i):
                apart = distances(clouds[i], clouds[j]).min() > 0.5 ** 2
                total += apart
                kept += apart and touch[i, j]
    assert total > 100 and kept < 0.3 * total


def test_frusta_prune_where_boxes_touch():
    """Two cameras side by side that look diagonally away from each other: their boxes meet, their cones do not."""
    depth = np.linspace(1, 5, 192).reshape(12, 16)
    points = backproject(depth, camera(40.0, 16, 12))
    cos = np.cos(np.pi / 4)
    poses = [np.eye(4), np.eye(4)]
    poses[0][:3, :3] = [[cos, 0, cos], [0, 1, 0], [-cos, 0, cos]]
    poses[1][:3, :3] = poses[0][:3, :3]
    poses[1][:3, 3] = (-2.5, 0, 2.5)
    clouds = [points @ pose[:3, :3].T + pose[:3, 3] for pose in poses]
    boxes = [(cloud.min(0), cloud.max(0)) for cloud in clouds]
    assert all(boxes[0][0] <= boxes[1][1]) and all(boxes[1][0] <= boxes[0][1])
    assert not may_touch([frustum(points, pose) for pose in poses], clouds, 0.1)[0, 1]


@pytest.mark.parametrize('seed', range(12))
@pytest.mark.parametrize('least', [0.02, 0.3, 0.6])
def test_overlaps_are_those_of_brute_force(seed, least):
    clouds, frusta = random_frames(seed, spread=0.3)
    radius = 0.4
    found = find_overlaps(clouds, frusta, radius, least)
    expected = brute_overlaps(clouds, radius, least)
    assert [one[:2] for one in found] == [one[:2] for one in expected]
    np.testing.assert_array_equal([one[2:] for one in found], [one[2:] for one in expected])


def test_the_random_scenes_have_pairs_and_strangers():
    counts = [len(brute_overlaps(random_frames(seed, spread=0.3)[0], 0.4, 0.3)) for seed in range(12)]
    assert max(counts) < 66 and sum(counts) > 60


def test_either_direction_makes_a_pair():
    """A close-up lies wholly in a wide view, which it covers to a small part only."""
    points = backproject(np.full((12, 16), 2.0), camera(8.0, 16, 12))
    close = backproject(np.full((12, 16), 2.0), camera(80.0, 16, 12))
    found = find_overlaps([points, close], [frustum(points, np.eye(4)), frustum(close, np.eye(4))], 0.2, 0.3)
    assert len(found) == 1 and found[0].backward == 1.0 and found[0].forward < 0.1 and found[0].ratio == 1.0
