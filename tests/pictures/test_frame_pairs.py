"""The picture of two frames: matches, which of them are drawn, and where their lines end."""
import numpy as np
from pretrain3d.pictures import frame_pairs
from pretrain3d.pictures.frame_pairs import FrameCloud


def frame(low, high, eye, colour):
    """A wall at x = 2 from y = ``low`` to ``high``, 1.5 m high, seen along +x from (0, eye, 1)."""
    y, z = np.meshgrid(np.arange(low, high, 0.04), np.arange(0, 1.5, 0.04), indexing='ij')
    xyz = np.stack([np.full(y.size, 2.), y.ravel(), z.ravel()], 1).astype(np.float32)
    pose = np.eye(4)
    pose[:3, :3] = np.array([(0, -1, 0), (0, 0, -1), (1, 0, 0)]).T  # columns: right, down, forward
    pose[:3, 3] = (0, eye, 1)
    return FrameCloud(xyz, np.full(xyz.shape, colour, np.uint8), pose)


def test_matches_equal_comparing_every_point_with_every_other():
    rng = np.random.default_rng(0)
    first, second = (FrameCloud(rng.random((size, 3)).astype(np.float32), None, None) for size in (200, 300))
    near = np.linalg.norm(first.xyz[:, None].astype(float) - second.xyz[None].astype(float), axis=-1) <= 0.1
    found = frame_pairs.matches(first, second, 0.1)
    assert len(found) > 50 and sorted(map(tuple, found)) == sorted(zip(*np.nonzero(near)))


def test_rows_are_spread():
    """On a line, the ends come before anything else, then the middle."""
    places = np.linspace(0, 1, 101)[:, None]
    assert frame_pairs.spread_rows(places, 3).tolist() == [0, 100, 50]
    many = np.random.default_rng(1).random((5000, 2))
    rows = frame_pairs.spread_rows(many, 20)
    gaps = np.linalg.norm(many[rows][:, None] - many[rows][None], axis=-1)[np.triu_indices(20, 1)]
    assert len(set(rows)) == 20 and rows.max() > 4000 and gaps.min() > 0.1
    assert len(frame_pairs.spread_rows(places[:2], 20)) == 2 and not len(frame_pairs.spread_rows(places[:0], 20))


def test_normals_face_the_eye():
    wall = frame(-1, 1, 0, 0)
    for x, sign in ((0, -1), (4, 1)):
        normals = frame_pairs.normals_towards(wall.xyz.astype(float), np.array((x, 0., 1.)))
        np.testing.assert_allclose(normals, np.tile((sign, 0, 0), (len(normals), 1)), atol=1e-6)


def test_what_both_saw_keeps_its_colour_and_lines_join_it():
    """The right half of the left wall is the left half of the right wall."""
    clouds = [frame(-1, 1, 0, (30, 60, 200)), frame(-2, 0, -1, (30, 60, 200))]
    pairs = frame_pairs.matches(*clouds, 0.01)
    plain = np.asarray(frame_pairs.pair_picture(clouds, pairs, lines=0)).astype(int)
    width = frame_pairs.PANEL[0]
    assert plain.shape == (frame_pairs.PANEL[1], 2 * width + frame_pairs.GAP, 3)
    blue = plain[..., 2] - plain[..., 0] > 60
    grey = (np.ptp(plain, axis=-1) < 3) & (plain[..., 0] < 250)
    for side, first in enumerate((grey, blue)):  # y falls to the right of an eye that looks along +x
        second = blue if side == 0 else grey
        columns = slice(side * (width + frame_pairs.GAP), side * (width + frame_pairs.GAP) + width)
        halves = [np.nonzero(kind[:, columns])[1].mean() for kind in (first, second)]
        assert halves[0] < width / 2 < halves[1]
    lined = np.asarray(frame_pairs.pair_picture(clouds, pairs, lines=8)).astype(int)
    middle = slice(width, width + frame_pairs.GAP)
    assert (plain[:, middle] == 255).all()
    crossing = (np.ptp(lined[:, middle], axis=-1) > 60).any(1)
    assert 4 <= (np.diff(crossing.astype(int)) == 1).sum() <= 8
