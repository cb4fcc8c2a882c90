"""Estimated normals against a twin that loops, shapes whose normals are known, and a drawn room."""
import numpy as np
import pytest
from pretrain3d.normals import cell_means, estimate_normals, plane_normals, towards_free_space


def box_room(rng, count=20000, noise=0.0):
    """Points on the six inner faces of a room of 4 x 3 x 2.5 m and their inward normals."""
    size = np.array([4.0, 3.0, 2.5])
    xyz, normal = rng.uniform(0, 1, (count, 3)) * size, np.zeros((count, 3))
    axis, side = rng.integers(3, size=count), rng.integers(2, size=count)
    rows = np.arange(count)
    xyz[rows, axis] = side * size[axis] + rng.normal(0, noise, count) if noise else side * size[axis]
    normal[rows, axis] = 1 - 2 * side
    return xyz, normal


def away_from_edges(xyz, by=0.3):
    size = np.array([4.0, 3.0, 2.5])
    return ((xyz < by).sum(1) + (xyz > size - by).sum(1)) == 1


def test_plane_normals_equal_the_loop():
    rng = np.random.default_rng(0)
    xyz = rng.normal(size=(200, 3)) * (1, 1, 0.2)
    found = plane_normals(xyz, 8)
    for row in range(len(xyz)):
        near = xyz[np.argsort(((xyz - xyz[row]) ** 2).sum(1))[:8]]
        _, _, directions = np.linalg.svd(near - near.mean(0))
        assert abs(found[row] @ directions[2]) == pytest.approx(1, abs=1e-6)


def test_cell_means_equal_the_loop():
    xyz = np.random.default_rng(0).uniform(-1, 1, (300, 3))
    means, inverse = cell_means(xyz, 0.5)
    cells = [tuple(cell) for cell in np.floor((xyz - xyz.min(0)) / 0.5).astype(int)]
    assert len(means) == len(set(cells))
    for cell in set(cells):
        rows = [row for row, each in enumerate(cells) if each == cell]
        assert len(set(inverse[rows])) == 1
        np.testing.assert_allclose(means[inverse[rows[0]]], xyz[rows].mean(0))


@pytest.mark.parametrize('count', [4000, 40000])
def test_a_room_looks_inwards_whatever_its_density(count):
    rng = np.random.default_rng(1)
    xyz, normal = box_room(rng, count, noise=0.003)
    found = estimate_normals(xyz)
    assert found.dtype == np.float32 and found.shape == xyz.shape
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    rows = away_from_edges(xyz)
    dot = (found * normal).sum(1)[rows]
    assert (dot > 0).all() and np.quantile(dot, 0.05) > 0.97


def test_both_rooms_of_an_l_look_inwards():
    """The middle of the bounding box lies outside one of the walls: free space decides, not the middle."""
    rng = np.random.default_rng(2)
    corners = np.array([(0, 0), (6, 0), (6, 1.5), (1.5, 1.5), (1.5, 6), (0, 6)], float)
    walls, normals = [], []
    for start, end in zip(corners, np.roll(corners, -1, 0)):
        length = np.linalg.norm(end - start)
        share = rng.random(int(length * 400))[:, None]
        walls.append(np.concatenate([start + share * (end - start), rng.uniform(0, 2.5, (len(share), 1))], 1))
        direction = (end - start) / length
        normals.append(np.tile((-direction[1], direction[0], 0), (len(share), 1)))
    flat = rng.uniform(0, 6, (20000, 2))
    flat = flat[(flat[:, 0] < 1.5) | (flat[:, 1] < 1.5)]
    ground = np.concatenate([flat, np.zeros((len(flat), 1))], 1)
    xyz, normal = np.concatenate([*walls, ground]), np.concatenate([*normals, np.tile((0, 0, 1.0), (len(ground), 1))])
    middle = np.append((xyz.min(0)[:2] + xyz.max(0)[:2]) / 2, 1.5)
    by_middle = (((middle - xyz) * normal).sum(1) > 0).mean()
    found = (towards_free_space(xyz, normal) > 0).mean()
    assert by_middle < 0.95 and found > 0.98
    np.testing.assert_array_equal(towards_free_space(xyz, -normal), -towards_free_space(xyz, normal))


def test_drawn_offices():
    """Against the surfaces' true normals; edges, where a plane has no single normal, are some of the points."""
    from pretrain3d.worlds.rooms import s3dis_style
    from pretrain3d.worlds.rooms.layout import furnish
    room = furnish(np.random.default_rng(5), 'office', s3dis_style.OFFICES)
    kept = {}

    class Caster(s3dis_style.Caster):
        def colour(self, part, xyz, normal):
            kept['normal'] = normal
            return super().colour(part, xyz, normal)

    original, s3dis_style.Caster = s3dis_style.Caster, Caster
    try:
        cloud = s3dis_style.sample_room(np.random.default_rng(0), room, 600)
    finally:
        s3dis_style.Caster = original
    dot = (estimate_normals(cloud.xyz) * kept['normal']).sum(1)
    shell = np.isin(np.array([item.category for item in room.items])[cloud.item], ('wall', 'floor', 'ceiling'))
    assert (np.abs(dot) > np.cos(np.radians(25))).mean() > 0.75
    flat = np.abs(dot) > 0.7
    assert (dot[flat & shell] > 0).mean() > 0.99 and (dot[flat] > 0).mean() > 0.85


def test_tiny_clouds_and_huge_ones():
    assert estimate_normals(np.zeros((0, 3))).shape == (0, 3)
    np.testing.assert_array_equal(estimate_normals(np.zeros((5, 3))), np.tile(np.float32([0, 0, 1]), (5, 1)))
    spread = np.random.default_rng(0).uniform(-3000, 3000, (50, 3))  # far more cubes than memory has room for
    assert np.isfinite(estimate_normals(spread)).all()
