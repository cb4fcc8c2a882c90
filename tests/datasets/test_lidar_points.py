"""Strength and the box around outdoor clouds."""
import numpy as np
import pytest
import torch
from pretrain3d.datasets.lidar_points import ClipPoints, LabelPointsByBoxes, NormalizeStrength

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


def boxed(rng, boxes=12, points=3000, **keys):
    """Random upright boxes, some of which overlap, and points around them; bottoms at the boxes' z."""
    drawn = np.concatenate([rng.uniform(-8, 8, (boxes, 2)), rng.uniform(-2, 0, (boxes, 1)), rng.uniform(1, 5, (boxes, 3)),
                            rng.uniform(-4, 4, (boxes, 1)), np.zeros((boxes, 2))], axis=1).astype(np.float32)
    annotation = dict(gt_bboxes_3d=LiDARInstance3DBoxes(drawn, box_dim=9), gt_labels_3d=rng.integers(0, 10, boxes))
    cloud = LiDARPoints(torch.from_numpy(rng.uniform(-9, 9, (points, 4)).astype(np.float32)), points_dim=4)
    return dict(points=cloud, lidar_path='a.bin', **{key: dict(annotation) for key in keys.get('into', ['ann_info'])})


def test_points_have_the_class_of_the_first_box_that_holds_them():
    found = 0
    for seed in range(5):
        results = boxed(np.random.default_rng(seed))
        boxes = results['ann_info']['gt_bboxes_3d'].numpy().astype(np.float64)
        wanted = np.full(3000, 10)
        for number, (x, y, z, length, width, height, yaw) in reversed(list(enumerate(boxes[:, :7]))):
            off = results['points'].tensor[:, :3].numpy().astype(np.float64) - (x, y, z)
            along = off[:, 0] * np.cos(yaw) + off[:, 1] * np.sin(yaw)
            across = -off[:, 0] * np.sin(yaw) + off[:, 1] * np.cos(yaw)
            holds = (abs(along) < length / 2) & (abs(across) < width / 2) & (off[:, 2] > 0) & (off[:, 2] < height)
            wanted[holds] = results['ann_info']['gt_labels_3d'][number]
        made = LabelPointsByBoxes(10)(results)['pts_semantic_mask']
        assert made.dtype == np.int64 and (made == wanted).all()
        found += (made < 10).sum()
    assert found > 300


def test_labels_by_boxes_in_testing_and_without_boxes():
    results = LabelPointsByBoxes(10)(boxed(np.random.default_rng(0), into=['eval_ann_info']))
    assert (results['eval_ann_info']['pts_semantic_mask'] == results['pts_semantic_mask']).all()
    none = LabelPointsByBoxes(10)(boxed(np.random.default_rng(0), boxes=0))
    assert (none['pts_semantic_mask'] == 10).all()
    other = boxed(np.random.default_rng(0))
    other['ann_info']['gt_labels_3d'][:] = -1  # a class that the data set leaves out
    assert (LabelPointsByBoxes(10)(other)['pts_semantic_mask'] == 10).all()
    with pytest.raises(KeyError, match='a.bin: no boxes to label points by'):
        LabelPointsByBoxes(10)(boxed(np.random.default_rng(0), into=[]))
    with pytest.raises(ValueError, match='a.bin: a box has class [0-9], and LabelPointsByBoxes has num_classes=2'):
        LabelPointsByBoxes(2)(boxed(np.random.default_rng(0)))
    with pytest.raises(ValueError, match="a.bin: the points were moved .*'R'.* put it right behind the loading"):
        LabelPointsByBoxes(10)(dict(boxed(np.random.default_rng(0)), transformation_3d_flow=['R']))
