import numpy as np
import pytest
import torch

from mmdet3d.structures import LiDARInstance3DBoxes
from pretrain3d.engine.visualization.box_geometry import (EDGES, box_corners, clip_segments, headings, project_boxes)

# Camera at the LiDAR's origin that looks along +x: image x is -y, image y is -z.
LIDAR2CAM = np.array([[0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1.0]])
CAM2IMG = np.array([[100, 0, 80], [0, 100, 60], [0, 0, 1.0]])
SIZE = (160, 120)


def random_boxes(seed, count=20):
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.uniform(-20, 20, (count, 3)), rng.uniform(0.3, 6, (count, 3)),
                           rng.uniform(-7, 7, (count, 1))], axis=1)


def test_corners_are_mmdet3ds():
    boxes = random_boxes(0)
    theirs = LiDARInstance3DBoxes(torch.tensor(boxes).float(), origin=(0.5, 0.5, 0.5)).corners.numpy()
    for mine, their in zip(box_corners(boxes), theirs):
        gaps = np.linalg.norm(mine[:, None] - their[None], axis=-1)
        assert (gaps.min(1) < 1e-4).all() and (gaps.min(0) < 1e-4).all()


def test_edges_and_headings():
    boxes = random_boxes(1)
    corners = box_corners(boxes)
    lengths = np.linalg.norm(corners[:, EDGES[:, 0]] - corners[:, EDGES[:, 1]], axis=-1)
    np.testing.assert_allclose(np.sort(lengths, 1), np.sort(np.repeat(boxes[:, 3:6], 4, axis=1), 1))
    front = corners[:, [0, 3, 4, 7], :2].mean(1)  # corners 0 and 3 are the front ones
    np.testing.assert_allclose(headings(boxes)[:, 1], front)
    np.testing.assert_allclose(headings(boxes)[:, 0], boxes[:, :2])
    assert box_corners(np.zeros((0, 7))).shape == (0, 8, 3) and headings(np.zeros((0, 9))).shape == (0, 2, 2)


@pytest.mark.parametrize('seed', range(3))
def test_clipping_keeps_exactly_what_is_in_front(seed):
    """Brute force: walk along each segment; what is left ends where the walk crosses the plane."""
    segments = np.random.default_rng(seed).normal(size=(50, 2, 3)) * 3
    clipped, index = clip_segments(segments, near=0.5)
    for number, segment in enumerate(segments):
        share = np.linspace(0, 1, 20001)[:, None]
        walk = segment[0] * (1 - share) + segment[1] * share
        walk = walk[walk[:, 2] >= 0.5]
        mine = clipped[index == number]
        assert len(mine) == (len(walk) > 0)
        if len(walk):
            np.testing.assert_allclose(mine[0], walk[[0, -1]], atol=2e-3)
    assert 0 < len(clipped) < 50


def test_projection_of_a_box_in_front():
    pixels, owner = project_boxes(np.array([[10.0, 1, 0, 2, 2, 2, 0]]), LIDAR2CAM, CAM2IMG, SIZE)
    assert len(pixels) == 12 and set(owner) == {0}
    # Near face at x = 9: y from 0 to 2 maps to columns 80 - 100 * y / 9.
    assert pixels[..., 0].max() == pytest.approx(80 - 0) and pixels[..., 0].min() == pytest.approx(80 - 200 / 9)
    assert pixels[..., 1].min() == pytest.approx(60 - 100 / 9) and pixels[..., 1].max() == pytest.approx(60 + 100 / 9)


def test_a_box_around_the_camera_is_cut_not_mirrored():
    """Rear corners lie behind; unclipped they would land mirrored, above the image's horizon."""
    box = np.array([[3.0, 0, -2, 10, 2, 1, 0]])  # from x = -2 to 8, below the camera
    pixels, _ = project_boxes(box, LIDAR2CAM, CAM2IMG, SIZE, near=0.5)
    assert len(pixels) == 8  # the rear face's four edges are gone
    assert (pixels[..., 1] > 60).all()
    assert pixels[..., 1].max() == pytest.approx(60 + 100 * 2.5 / 0.5)


def test_what_is_not_seen_is_left_out():
    behind, aside, seen = [-10.0, 0, 0, 2, 2, 2, 0], [10.0, 50, 0, 2, 2, 2, 0], [10.0, 0, 0, 2, 2, 2, 0]
    pixels, owner = project_boxes(np.array([behind, aside, seen]), LIDAR2CAM, CAM2IMG, SIZE)
    assert set(owner) == {2} and len(pixels) == 12
    assert len(project_boxes(np.zeros((0, 7)), LIDAR2CAM, CAM2IMG, SIZE)[0]) == 0
    assert len(project_boxes(np.array([behind]), LIDAR2CAM, CAM2IMG, SIZE)[0]) == 0
