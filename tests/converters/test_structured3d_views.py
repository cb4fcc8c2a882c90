"""Cameras, normals and label pictures of Structured3D, against literal values and the release's own formula."""
import numpy as np
from PIL import Image
from pretrain3d.converters.structured3d.views import label_ids, panorama_rays, perspective_rays, surface_normals
from pretrain3d.label_spaces.indoor import NYU40


def test_the_camera_is_the_documented_one():
    """Literal rays: eye, view, up, half angles; image x to the right of who looks, image y down."""
    camera = np.array([0, 0, 0, 1, 0, 0, 0, 0, 1, np.arctan(2), np.arctan(0.5)])
    rays = perspective_rays(camera, 2, 4)
    # Looking along +x with +z up, the right hand is -y. Half angles reach to the outer edges: columns lie at
    # -3/4, -1/4, 1/4, 3/4 of tan = 2, rows at -1/2, 1/2 of tan = 0.5.
    np.testing.assert_allclose(rays[..., 0], 1)
    np.testing.assert_allclose(rays[0, :, 1], [1.5, 0.5, -0.5, -1.5])
    np.testing.assert_allclose(rays[:, 0, 2], [0.25, -0.25])


def test_rays_are_those_of_the_formula_that_the_release_publishes():
    """Project with rotation rows (right, up, view), x right, y down, f = size / 2 / tan(half angle): the pixel's middle
    comes back."""
    rng = np.random.default_rng(0)
    for _ in range(5):
        view = rng.normal(size=3)
        view /= np.linalg.norm(view)
        up = np.cross(np.cross(view, [0, 0, 1]), view)
        half = rng.uniform(0.3, 0.9, 2)
        rays = perspective_rays(np.array([0, 0, 0, *view, *up, *half]), 6, 8)
        right = np.cross(view, up / np.linalg.norm(up))
        x, y, z = (rays @ axis for axis in (right, up / np.linalg.norm(up), view))
        np.testing.assert_allclose(x / z * 4 / np.tan(half[0]) + 4, np.tile(np.arange(8) + 0.5, (6, 1)), atol=1e-9)
        np.testing.assert_allclose(-y / z * 3 / np.tan(half[1]) + 3, np.tile(np.arange(6)[:, None] + 0.5, 8), atol=1e-9)


def test_the_panorama_looks_along_y_with_x_to_its_right():
    rays = panorama_rays(181, 361)
    np.testing.assert_allclose(rays[90, 180], [0, 1, 0], atol=1e-9)
    np.testing.assert_allclose(rays[90, 270], [1, 0, 0], atol=0.01)
    np.testing.assert_allclose(rays[0, 180], [0, 0, 1], atol=0.01)


def test_normals_do_not_mix_two_surfaces():
    """Two parallel walls, one half a metre before the other: no normal is bent, at any column."""
    rays = perspective_rays(np.array([0, 0, 0, 0, 1, 0, 0, 0, 1, 0.7, 0.5]), 20, 30)
    depth = np.where(np.arange(30) < 15, 2.0, 2.5)[None, :, None]
    normal, known = surface_normals(rays * depth, np.ones((20, 30), bool), wrap=False)
    assert known.all()
    np.testing.assert_allclose(np.abs(normal[..., 1]), 1, atol=1e-9)


def test_label_pictures_of_every_kind_give_the_same_ids():
    ids = np.arange(41, dtype=np.uint8).reshape(1, -1)
    palette = [0, 0, 0, *(value for _, colour in NYU40 for value in colour)]
    released = Image.fromarray(ids)
    released.putpalette(palette)
    shuffled = Image.fromarray(40 - ids)
    shuffled.putpalette([value for entry in np.array(palette).reshape(-1, 3)[::-1] for value in entry.tolist()])
    foreign = Image.fromarray(ids)
    foreign.putpalette([value for entry in range(41) for value in (entry, 7, 9)])
    coloured = [released.convert(mode) for mode in ('RGB', 'RGBA')]
    for picture in (released, shuffled, foreign, *coloured, Image.fromarray(ids)):
        found, unknown = label_ids(picture)
        np.testing.assert_array_equal(found, ids)
        assert not unknown
    found, unknown = label_ids(Image.fromarray(np.array([[3, 41, 41, 200]], np.uint8)))
    assert found.tolist() == [[3, -1, -1, -1]] and unknown == {'id 41': 2, 'id 200': 1}
