"""Strength and the box around outdoor clouds."""
import numpy as np
import pytest
import torch
from pretrain3d.datasets.lidar_points import ClipPoints, NormalizeStrength

from mmdet3d.structures import LiDARInstance3DBoxes
from mmdet3d.structures.points import LiDARPoints

BOX = [-10., -10., -4., 10., 10., 2.]


def sample(values):
    points = LiDARPoints(torch.tensor(values, dtype=torch.float32), points_dim=len(values[0]))
    return dict(points=points, lidar_path='a.bin', pts_semantic_mask=np.arange(len(values)))


def test_strength_is_the_share_of_the_largest_value():
    made = NormalizeStrength(255.)(sample([[1, 2, 3, 0], [4, 5, 6, 51], [7, 8, 9, 255]]))['points'].tensor
    assert torch.equal(made[:, :3], torch.arange(1., 10).reshape(3, 3))
    assert torch.allclose(made[:, 3], torch.tensor([0, 0.2, 1]))
    assert NormalizeStrength(1., column=4)(sample([[0, 0, 0, 9, 0.5]]))['points'].tensor[0].tolist() == [0, 0, 0, 9, .5]


def test_strength_of_intensities_without_a_largest_value():
    values = np.array([0, 0.25, 1, 3.5, 40000])
    made = NormalizeStrength(1., tanh=True)(sample([[1, 2, 3, value] for value in values]))['points'].tensor
    assert torch.equal(made[:, :3], torch.tensor([[1., 2, 3]] * 5))
    wanted = (np.exp(2 * values[:4]) - 1) / (np.exp(2 * values[:4]) + 1)
    assert np.allclose(made[:, 3], [*wanted, 1], atol=1e-6)
    halved = NormalizeStrength(2., tanh=True)(sample([[1, 2, 3, 2]]))['points'].tensor
    assert halved[0, 3].item() == pytest.approx(np.tanh(1))
    with pytest.raises(ValueError, match='a.bin: intensities from -0.5 to 0, and NormalizeStrength expects 0 to inf'):
        NormalizeStrength(1., tanh=True)(sample([[0, 0, 0, 0], [0, 0, 0, -0.5]]))


def test_strength_of_another_sensor_is_refused():
    with pytest.raises(ValueError, match='a.bin: intensities from 0 to 30, and NormalizeStrength expects 0 to 1'):
        NormalizeStrength(1.)(sample([[0, 0, 0, 0], [0, 0, 0, 30]]))
    with pytest.raises(ValueError, match='from -1 '):
        NormalizeStrength(255.)(sample([[0, 0, 0, -1]]))
    with pytest.raises(ValueError, match='3 columns and no column 3'):
        NormalizeStrength(255.)(sample([[0, 0, 0]]))
    with pytest.raises(ValueError, match='scale must be positive'):
        NormalizeStrength(0.)
    empty = dict(points=LiDARPoints(torch.zeros(0, 4), points_dim=4))
    assert len(NormalizeStrength(1.)(empty)['points']) == 0


def test_points_are_brought_onto_the_box_or_taken_out():
    values = [[0, 0, 0, 1], [11, -12, 3, 2], [10, 10, 2, 3], [-10.5, 0, -4, 4], [0, 0, -5, 5]]
    made = ClipPoints(BOX)(sample(values))
    assert made['points'].tensor.tolist() == [[0, 0, 0, 1], [10, -10, 2, 2], [10, 10, 2, 3], [-10, 0, -4, 4],
                                              [0, 0, -4, 5]]
    assert made['pts_semantic_mask'].tolist() == [0, 1, 2, 3, 4]
    made = ClipPoints(BOX, outside='remove')(sample(values))
    assert made['points'].tensor.tolist() == [[0, 0, 0, 1], [10, 10, 2, 3]]
    assert made['pts_semantic_mask'].tolist() == [0, 2]


def test_clip_refuses():
    with pytest.raises(ValueError, match="'clamp' or 'remove'"):
        ClipPoints(BOX, outside='drop')
    for box in (BOX[:5], BOX[3:] + BOX[:3]):
        with pytest.raises(ValueError, match='x0, y0, z0'):
            ClipPoints(box)
    with pytest.raises(ValueError, match='gt_bboxes_3d'):
        ClipPoints(BOX)(dict(sample([[0, 0, 0, 1]]), gt_bboxes_3d=LiDARInstance3DBoxes(torch.zeros(1, 7))))
