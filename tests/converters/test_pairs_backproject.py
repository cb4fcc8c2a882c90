"""Back-projection of hand-made frames with known positions and colours."""
import numpy as np
import pytest
from pair_scenes import HEIGHT, WIDTH, camera, coordinates_as_colour, scan_entry, shifted, write_frame
from PIL import Image

from pretrain3d.converters.batch import SceneError
from pretrain3d.converters.pairs.backproject import (Cameras, FrameError, backproject, frame_cloud, frame_pose, frustum,
                                                     pixel_colours, read_cameras)

SAME = Cameras(camera(), camera(), np.eye(4))


def test_pixels_become_metres_in_the_world(tmp_path):
    depth = np.zeros((HEIGHT, WIDTH))
    depth[10, 20], depth[30, 5] = 1500, 2000
    # The camera looks along the world's x: its z is the world's x, its x the world's -y, its y the world's -z.
    pose = np.array([[0, 0, 1, 1.0], [-1, 0, 0, 2.0], [0, -1, 0, 3.0], [0, 0, 0, 1]])
    xyz, rgb, _ = frame_cloud(write_frame(tmp_path, 's', 0, pose, depth), tmp_path, SAME, 0.001, 10.0)
    expected = [[1 + 1.5, 2 - (20 - 31.5) * 1.5 / 100, 3 - (10 - 23.5) * 1.5 / 100],
                [1 + 2.0, 2 - (5 - 31.5) * 2.0 / 100, 3 - (30 - 23.5) * 2.0 / 100]]
    np.testing.assert_allclose(xyz, expected, atol=1e-12)
    assert rgb.tolist() == [[20, 10, 7], [5, 30, 7]]


def test_colour_camera_of_its_own_with_extrinsics():
    """Colours are those of the pixel that a loop over points, by the pinhole formula, lands on."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (70, 90, 3)).astype(np.uint8)
    angle = 0.1
    to_color = np.array([[np.cos(angle), 0, np.sin(angle), 0.05], [0, 1, 0, -0.02],
                         [-np.sin(angle), 0, np.cos(angle), 0.01], [0, 0, 0, 1]])
    cameras = Cameras(camera(), camera(130.0, 90, 70), to_color)
    points = backproject(rng.uniform(0.5, 3, (HEIGHT, WIDTH)), cameras.depth)
    got, seen = pixel_colours(points, image, cameras)
    outside = 0
    for point, colour, inside in zip(points, got, seen):
        x, y, z = to_color[:3, :3] @ point + to_color[:3, 3]
        u, v = round(130 * x / z + 44.5), round(130 * y / z + 34.5)
        fits = 0 <= u < 90 and 0 <= v < 70
        assert fits == inside
        outside += not fits
        assert not fits or np.array_equal(colour, image[v, u])
    assert 0 < outside < len(points)


def test_points_behind_the_colour_camera_have_no_colour():
    cameras = Cameras(camera(), camera(), shifted(z=-3.0))
    assert not pixel_colours(np.array([[0.0, 0, 2.0], [0, 0, 3.0]]), coordinates_as_colour(), cameras)[1].any()


def test_extrinsics_come_from_the_scan_or_its_folder(tmp_path):
    frames = [write_frame(tmp_path, 's', 0, np.eye(4))]
    assert np.array_equal(read_cameras(scan_entry('s', frames), tmp_path).depth_to_color, np.eye(4))
    folder = tmp_path / 'scans' / 's' / 'intrinsic'
    folder.mkdir()
    np.savetxt(folder / 'extrinsic_color.txt', shifted(0.5))
    np.savetxt(folder / 'extrinsic_depth.txt', shifted(0.2, 0.1))
    # A point of the depth camera at its origin is at x = 0.2 of the sensor and at x = -0.3 of the colour camera.
    np.testing.assert_allclose(read_cameras(scan_entry('s', frames), tmp_path).depth_to_color, shifted(-0.3, 0.1))
    named = scan_entry('s', frames, extrinsic_color=shifted(1.0).tolist(), extrinsic_depth=np.eye(4).tolist())
    np.testing.assert_allclose(read_cameras(named, tmp_path).depth_to_color, shifted(-1.0))
    (folder / 'extrinsic_color.txt').write_text('1 2 3')
    with pytest.raises(SceneError, match='extrinsic_color.txt'):
        read_cameras(scan_entry('s', frames), tmp_path)


def test_frustum_holds_its_points_and_touches_them():
    rng = np.random.default_rng(0)
    pose = np.array([[0, 0, 1, 1.0], [-1, 0, 0, 2.0], [0, -1, 0, 3.0], [0, 0, 0, 1]])
    points = backproject(rng.uniform(0.5, 3, (HEIGHT, WIDTH)), camera())
    view = frustum(points, pose)
    world = points @ pose[:3, :3].T + pose[:3, 3]
    np.testing.assert_allclose(np.linalg.norm(view.normals, axis=1), 1)
    for normal in view.normals:
        along, edges = world @ normal, view.corners @ normal
        assert along.min() >= edges.min() - 1e-9 and along.max() <= edges.max() + 1e-9
        assert min(along.min() - edges.min(), edges.max() - along.max()) < 1e-9


@pytest.mark.parametrize('pose, reason', [
    (None, 'no pose'), (np.full((4, 4), -np.inf), 'not finite'), (np.full((4, 4), np.nan), 'not finite'),
    (np.eye(3), 'no pose'), (np.zeros((4, 4)), 'no rigid motion'), (shifted(1e6), 'no rigid motion')])
def test_unusable_poses(pose, reason):
    with pytest.raises(FrameError, match=reason):
        frame_pose(dict(index=0, pose=None if pose is None else pose.tolist()))


def test_unusable_images(tmp_path):
    def reason(frame, cameras=SAME, max_depth=10.0):
        with pytest.raises(FrameError) as caught:
            frame_cloud(frame, tmp_path, cameras, 0.001, max_depth)
        return str(caught.value)

    frame = write_frame(tmp_path, 's', 0, np.eye(4))
    assert 'depth is empty' in reason(write_frame(tmp_path, 's', 1, np.eye(4), np.zeros((HEIGHT, WIDTH))))
    assert 'depth is empty' in reason(frame, max_depth=1.5)
    assert 'another image size' in reason(frame, Cameras(camera(), camera(100.0, 1296, 968), np.eye(4)))
    assert 'in the colour image' in reason(frame, Cameras(camera(), camera(), shifted(x=100.0)))
    assert 'no depth image' in reason(dict(frame, depth_path=frame['color_path']))
    assert 'missing' in reason(dict(frame, color_path='nowhere.png'))
    depth = tmp_path / frame['depth_path']
    depth.write_bytes(depth.read_bytes()[:60])
    assert 'cannot be read' in reason(frame)
    depth.write_bytes(b'')
    assert 'cannot be read' in reason(frame)


def test_intrinsics_that_are_missing(tmp_path):
    frames = [write_frame(tmp_path, 's', 0, np.eye(4))]
    with pytest.raises(SceneError, match='intrinsic_depth'):
        read_cameras(scan_entry('s', frames, intrinsic_depth=None), tmp_path)


def test_depth_beyond_the_limit_is_not_used(tmp_path):
    depth = np.full((HEIGHT, WIDTH), 2000)
    depth[:, :10] = 12000
    xyz, _, _ = frame_cloud(write_frame(tmp_path, 's', 0, np.eye(4), depth), tmp_path, SAME, 0.001, 10.0)
    assert len(xyz) == HEIGHT * (WIDTH - 10) and np.all(xyz[:, 2] == 2)


def test_a_grey_or_transparent_colour_image_is_read(tmp_path):
    frame = write_frame(tmp_path, 's', 0, np.eye(4))
    Image.fromarray(np.full((HEIGHT, WIDTH), 9, np.uint8)).save(tmp_path / frame['color_path'])
    assert (frame_cloud(frame, tmp_path, SAME, 0.001, 10.0)[1] == 9).all()
