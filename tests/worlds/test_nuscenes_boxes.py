"""Points in boxes and visibility of boxes, as streets on disk have them."""
import numpy as np
import pytest
from pretrain3d.worlds.street.nuscenes_boxes import View, count_points, visible_share, yaw_matrices


def test_points_are_counted_as_the_devkit_counts():
    from nuscenes.utils.data_classes import Box
    from nuscenes.utils.geometry_utils import points_in_box
    from pyquaternion import Quaternion
    rng = np.random.default_rng(0)
    points = rng.uniform(-4, 4, (2000, 3)).astype(np.float32)
    centre, size, yaw = rng.uniform(-2, 2, (20, 3)), rng.uniform(0.3, 4, (20, 3)), rng.uniform(-4, 4, 20)
    counts = count_points(points, centre, size, yaw_matrices(yaw))
    for row in range(20):
        box = Box(centre[row], size[row], Quaternion(axis=(0, 0, 1), angle=yaw[row]))
        assert counts[row] == points_in_box(box, points.T).sum()
    assert counts.min() < 10 < 100 < counts.max()
    corners = np.array([[1, 2, 0.5], [1, 2, 0.6]])
    assert count_points(corners, np.zeros((1, 3)), np.array([[4, 2, 1]]), np.eye(3)[None]) == [1]  # borders count


def camera(depth):
    return View(np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 1], [0, 0, 0, 1.0]]),
                np.array([[100, 0, 80], [0, 100, 45], [0, 0, 1.0]]), depth)


def test_visibility_is_the_share_that_nothing_hides():
    centre, size = np.array([20.0, 0, 1]), np.array([2.0, 4, 2])  # 2 m wide, ahead: its back is 18 m away
    open_air = np.full((90, 160), np.inf)
    assert visible_share(centre, size, 0.0, [camera(open_air)]) == pytest.approx(1)
    behind = np.full((90, 160), 25.0)
    assert visible_share(centre, size, 0.0, [camera(behind)]) == pytest.approx(1)
    hidden = np.full((90, 160), 10.0)
    assert visible_share(centre, size, 0.0, [camera(hidden)]) == 0
    half = open_air.copy()
    half[:, :80] = 10  # a wall before the left half
    assert abs(visible_share(centre, size, 0.0, [camera(half)]) - 0.5) < 0.1
    # A second camera that sees the hidden half cannot help: pixels count where they are largest. Outside the image:
    assert visible_share(np.array([-20.0, 0, 1]), size, 0.0, [camera(open_air)]) == 0
    aside = visible_share(np.array([20.0, 16.0, 1]), size, 0.0, [camera(open_air)])
    assert 0 < aside < 1
    # Its own object, which fills the box, hides nothing.
    own = open_air.copy()
    own[35:55, 70:90] = 18.0
    assert visible_share(centre, size, 0.0, [camera(own)]) == pytest.approx(1)
    assert visible_share(centre, size, 0.0, []) == 0


def test_views_of_large_images_are_thinned():
    rng = np.random.default_rng(0)
    depth = np.repeat(np.repeat(rng.uniform(5, 50, (9, 16)), 100, 0), 100, 1)  # 1600 x 900, blocks of 100 pixels
    large = View(np.eye(4), np.array([[1266.0, 0, 800], [0, 1266, 491], [0, 0, 1]]), depth)
    small = large.thinned()
    assert small.depth.shape == (225, 400) and small.depth.base is None
    assert large.thinned(1600) is large
    point = rng.uniform([-0.6, -0.3, 1], [0.6, 0.3, 1], (50, 3))
    for x, y, _ in point:  # the same depth in the same direction
        here, there = (np.floor(view.intrinsic @ [x, y, 1]).astype(int) for view in (large, small))
        assert large.depth[here[1], here[0]] == small.depth[there[1], there[0]]
