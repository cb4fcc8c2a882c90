import numpy as np
import pytest
from pretrain3d.worlds.render import Caster
from pretrain3d.worlds.shapes import box, cylinder, folded_sheet, ray_mesh, rotation_z, tessellate, translation
from pretrain3d.worlds.textures import KINDS, Texture, lattice_hash, value_noise

GREY = Texture((0.5, 0.5, 0.5), (0.2, 0.2, 0.2))


def area(triangles):
    return np.linalg.norm(np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]), axis=1).sum() / 2


def volume(triangles):
    """Divergence theorem: positive only when every face is counter-clockwise seen from outside."""
    return np.einsum('ij,ij->i', triangles[:, 0], np.cross(triangles[:, 1], triangles[:, 2])).sum() / 6


def test_box_is_closed_and_faces_outwards():
    triangles, owner = ray_mesh([box((1.0, 2.0, 3.0), (5, 6, 7), GREY, yaw=0.4)])
    assert area(triangles) == pytest.approx(2 * (2 + 3 + 6))
    assert volume(triangles) == pytest.approx(6.0)
    assert (owner == 0).all() and len(triangles) == 12


def test_cylinder_is_a_closed_prism():
    triangles, _ = ray_mesh([cylinder((1.0, 1.0, 2.0), (0, 0, 1), GREY)])
    sides = 20
    assert volume(triangles) == pytest.approx(2.0 * sides / 2 * 0.25 * np.sin(2 * np.pi / sides))


@pytest.mark.parametrize('part', [box((0.5, 1, 1.5), (1, 2, 3), GREY, 0.3), cylinder((0.6, 0.4, 1), (0, 1, 0), GREY),
                                  folded_sheet((1, 0.1, 2), (0, 0, 1), 4, GREY)])
def test_tessellation_covers_the_same_surface(part):
    part = part.moved(translation(1, -2, 0.5) @ rotation_z(0.7))
    triangles, _ = ray_mesh([part])
    surface = tessellate([part], 0.07)
    fine = surface.xyz[surface.faces]
    assert area(fine) == pytest.approx(area(triangles))
    edges = np.linalg.norm(fine - np.roll(fine, 1, 1), axis=2)
    assert edges.max() < 0.07 * np.sqrt(2) + 1e-9
    # Normals point the way the faces turn.
    normal = np.cross(fine[:, 1] - fine[:, 0], fine[:, 2] - fine[:, 0])
    keep = np.linalg.norm(normal, axis=1) > 1e-9
    assert (np.einsum('ij,ij->i', normal, surface.normal[surface.faces[:, 0]])[keep] > 0).all()
    back = surface.local @ part.pose[:3, :3].T + part.pose[:3, 3]
    np.testing.assert_allclose(back, surface.xyz, atol=1e-12)


def test_rays_hit_where_geometry_says():
    caster = Caster([box((2, 2, 2), (0, 0, 0), GREY), cylinder((1, 1, 1), (5, 0, 0), GREY)])
    hits = caster.cast(np.array([[-5, 0, 0], [5, 0, 9], [0, 9, 9.0]]), np.array([[1, 0, 0], [0, 0, -1], [0, 0, 1.0]]))
    np.testing.assert_array_equal(hits.part, [0, 1, -1])
    np.testing.assert_allclose(hits.distance, [4, 8.5, np.inf], rtol=1e-6)
    np.testing.assert_allclose(hits.normal[:2], [[-1, 0, 0], [0, 0, 1]], atol=1e-6)
    np.testing.assert_array_equal(caster.visible(np.array([[-1.0, 0, 0], [1.0, 0, 0]]), np.array([-5.0, 0, 0])),
                                  [True, False])


@pytest.mark.parametrize('kind', KINDS)
def test_textures_stay_between_their_two_colours(kind):
    points = np.random.default_rng(0).uniform(-2, 2, (500, 3))
    texture = Texture((0.1, 0.2, 0.3), (0.6, 0.5, 0.4), kind, seed=5)
    rgb = texture(points)
    assert (rgb >= np.minimum(texture.base, texture.accent) - 1e-9).all()
    assert (rgb <= np.maximum(texture.base, texture.accent) + 1e-9).all()
    assert np.ptp(rgb, axis=0).max() > 0.02
    np.testing.assert_array_equal(rgb, texture(points))


def test_unknown_texture_is_refused():
    with pytest.raises(ValueError, match='choose one of'):
        Texture((0, 0, 0), (1, 1, 1), 'tartan')(np.zeros((1, 3)))


def test_noise_meets_the_lattice_and_is_spread():
    lattice = np.random.default_rng(1).integers(-50, 50, (2000, 3))
    np.testing.assert_allclose(value_noise(lattice.astype(float), 3), lattice_hash(lattice, 3))
    values = lattice_hash(lattice, 3)
    assert 0.45 < values.mean() < 0.55 and 0.25 < values.std() < 0.33
    assert (lattice_hash(lattice, 4) != values).mean() > 0.99
