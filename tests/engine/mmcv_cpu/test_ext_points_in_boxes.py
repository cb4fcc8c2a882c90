"""Points in 3D boxes against a loop, with the conventions on the boundary."""
import math

import pytest
import torch

from pretrain3d.engine import mmcv_cpu as ext

BOX = torch.tensor([[1., 2., 0., 4., 2., 1., 0.]])
EDGE_POINTS = {  # (x, y, z): inside?
    (1., 2., .5): 1, (1., 2., 0.): 1, (1., 2., 1.): 1, (1., 2., 1.01): 0, (1., 2., -.01): 0, (3., 2., .5): 0,
    (2.99, 2., .5): 1, (-1., 2., .5): 0, (1., 3., .5): 0, (1., 2.99, .5): 1, (1., 1., .5): 0, (math.nan, 2., .5): 0}


def scene(rng, points=400, boxes=7):
    raw = torch.rand(boxes, 7, generator=rng)
    boxes = raw * torch.tensor([6., 6., 1., 4., 2., 2., 14.]) + torch.tensor([0., 0., -1., .5, .5, .5, -7.])
    return torch.rand(points, 3, generator=rng) * torch.tensor([8., 8., 4.]) - torch.tensor([1., 1., 2.]), boxes


def inside(point, box):
    x, y, z, dx, dy, dz, yaw = (float(value) for value in box)
    east, north = float(point[0]) - x, float(point[1]) - y
    along = east * math.cos(yaw) + north * math.sin(yaw)
    across = north * math.cos(yaw) - east * math.sin(yaw)
    return int(abs(along) < dx / 2 and abs(across) < dy / 2 and z <= float(point[2]) <= z + dz)


def cpu_forward(module, points, boxes):
    result = torch.full((len(boxes), len(points)), 5, dtype=torch.int)
    module.points_in_boxes_cpu_forward(boxes, points, result)
    return result.t()


def all_forward(points, boxes):
    result = torch.zeros(*points.shape[:2], boxes.shape[1], dtype=torch.int)
    ext.points_in_boxes_all_forward(boxes, points, result)
    return result


def part_forward(points, boxes):
    result = torch.full(points.shape[:2], -1, dtype=torch.int)
    ext.points_in_boxes_part_forward(boxes, points, result)
    return result


@pytest.mark.parametrize('chunk', [1 << 18, 50])
def test_membership_equals_a_loop(rng, chunk, monkeypatch):
    import sys
    monkeypatch.setattr(sys.modules['pretrain3d.engine.mmcv_cpu.points_in_boxes'], 'CHUNK', chunk)
    scenes = [scene(rng), scene(rng)]
    points, boxes = (torch.stack(parts) for parts in zip(*scenes))
    expected = torch.tensor([[[inside(p, b) for b in boxes[i]] for p in points[i]] for i in range(2)], dtype=torch.int)
    assert 50 < expected.sum() < expected.numel() / 2 and (expected.sum(-1) > 1).any()
    assert torch.equal(all_forward(points, boxes), expected)
    assert torch.equal(cpu_forward(ext, points[0], boxes[0]), expected[0])
    first = torch.where(expected.any(-1), expected.argmax(-1), -1)
    assert torch.equal(part_forward(points, boxes).long(), first)


def test_floor_and_ceiling_are_inside_and_walls_outside():
    points = torch.tensor(list(EDGE_POINTS))
    assert all_forward(points[None], BOX[None])[0, :, 0].tolist() == list(EDGE_POINTS.values())
    assert part_forward(points[None], BOX[None])[0].tolist() == [flag - 1 for flag in EDGE_POINTS.values()]


def test_no_points_and_no_boxes():
    points = torch.zeros(1, 4, 3)
    assert all_forward(points, BOX[None, :0]).shape == (1, 4, 0)
    assert part_forward(points, BOX[None, :0]).tolist() == [[-1] * 4]
    assert part_forward(points[:, :0], BOX[None]).shape == (1, 0)
    assert cpu_forward(ext, points[0], BOX[:0]).shape == (4, 0)


def test_mmcv_and_mmdet3d_calls_reach_the_functions(rng, mended_ops):
    from mmdet3d.structures import LiDARInstance3DBoxes
    points, boxes = scene(rng)
    expected = all_forward(points[None], boxes[None])
    assert torch.equal(mended_ops.points_in_boxes_cpu(points[None], boxes[None]), expected)
    assert torch.equal(mended_ops.points_in_boxes_all(points[None], boxes[None]), expected)
    first = part_forward(points[None], boxes[None])
    assert torch.equal(mended_ops.points_in_boxes_part(points[None], boxes[None]), first)
    structure = LiDARInstance3DBoxes(boxes)
    assert torch.equal(structure.points_in_boxes_all(points), expected[0])
    assert torch.equal(structure.points_in_boxes_part(points), first[0])


@pytest.mark.full
def test_membership_equals_the_compiled_operator(rng, compiled):
    points, boxes = scene(rng, 5000, 20)
    assert torch.equal(cpu_forward(ext, points, boxes), cpu_forward(compiled, points, boxes))
    edges = torch.tensor(list(EDGE_POINTS))
    assert torch.equal(cpu_forward(ext, edges, BOX), cpu_forward(compiled, edges, BOX))
