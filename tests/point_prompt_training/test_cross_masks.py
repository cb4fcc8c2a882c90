"""Masks of two views: rates, disjointness, the union of both views, against loops over points."""
import math

import pytest
import torch

from pretrain3d.point_prompt_training.cross_masks import cross_masks, patches

SIZE = 0.1


def drawn(seed=0, counts=((300, 260), (0, 40), (150, 0), (5, 3)), centred=True):
    """Two views of four scenes: xyz and scene of each; scenes lie about the origin, as after CenterShift."""
    generator = torch.Generator().manual_seed(seed)
    xyz, scene = [], []
    for view in zip(*counts):
        clouds = [torch.rand(n, 3, generator=generator) * torch.tensor([1.3, 1.1, 0.4]) - 0.6 * centred for n in view]
        xyz.append(torch.cat(clouds))
        scene.append(torch.cat([torch.full((n, ), place) for place, n in enumerate(view)]))
    return tuple(xyz), tuple(scene)


def slow_patches(xyz, scene):
    """{(scene, cell)}: the grid of a scene starts at the minimum of both views; in order of first occurrence."""
    cells = {}
    cloud, which = torch.cat(xyz), torch.cat(scene)
    low = {place: cloud[which == place].amin(0) for place in set(which.tolist())}
    for row, (point, place) in enumerate(zip(cloud, which.tolist())):
        cell = tuple(math.floor(float(value) / SIZE) for value in (point - low[place]).double())
        cells.setdefault((place, cell), []).append(row)
    return cells


def test_patches_are_cells_of_the_union_of_both_views():
    xyz, scene = drawn()
    patch, patch_scene = patches(torch.cat(xyz), torch.cat(scene), 4, SIZE)
    wanted = slow_patches(xyz, scene)
    assert len(wanted) == len(patch_scene) > 300
    found = {}
    for row, number in enumerate(patch.tolist()):
        found.setdefault(number, []).append(row)
    assert sorted(found.values()) == sorted(wanted.values())
    assert (patch_scene.diff() >= 0).all() and torch.equal(patch_scene[patch], torch.cat(scene))
    first, second = patch.split([len(one) for one in xyz])
    shared = set(first.tolist()) & set(second.tolist())
    assert len(shared) > 50  # a patch of both views is one patch


@pytest.mark.parametrize('rate', [0.4, 0.29, 0.5, 0.01])
def test_exact_rates_and_no_patch_in_both_masks(rate):
    xyz, scene = drawn()
    masks = cross_masks(xyz, scene, 4, [1, 2, 3, 4], SIZE, rate)
    points, hidden = [len(one) for one in xyz], [set(), set()]
    for (place, cell), rows in slow_patches(xyz, scene).items():
        for view, mask in enumerate(masks):
            own = [row - view * points[0] for row in rows if (row >= points[0]) == bool(view)]
            values = set(mask[own].tolist())
            assert len(values) < 2  # a patch is masked whole or not at all
            if True in values:
                hidden[view].add((place, cell))
    assert not hidden[0] & hidden[1]
    number = [sum(place == one for place, _ in slow_patches(xyz, scene)) for one in range(4)]
    # Patches that only the other view occupies count towards the rate, but cannot be seen in this one's mask.
    patch, patch_scene = patches(torch.cat(xyz), torch.cat(scene), 4, SIZE)
    same = cross_masks((torch.cat(xyz), torch.cat(xyz)), (torch.cat(scene), ) * 2, 4, [1, 2, 3, 4], SIZE, rate)
    for mask in same:
        counts = [len(set(patch[mask & (torch.cat(scene) == one)].tolist())) for one in range(4)]
        assert counts == [math.floor(n * rate + 1e-9) for n in number]
    assert not (same[0] & same[1]).any()
    for view in range(2):
        assert all(sum(one == place for one, _ in hidden[view]) <= counts[place] for place in range(4))


def test_half_and_half_leaves_nothing_unmasked_of_even_numbers():
    xyz = (torch.tensor([[0., 0, 0], [0.25, 0, 0], [0.5, 0, 0], [0.75, 0, 0]]), ) * 2
    masks = cross_masks(xyz, (torch.zeros(4, dtype=torch.int64), ) * 2, 1, [3], SIZE, 0.5)
    assert torch.equal(masks[0], ~masks[1]) and masks[0].sum() == 2


def test_distant_cells_do_not_merge_where_coordinates_are_negative():
    """Numbered from cell 0 with the extents from the minimum, (-1, 1, 0) and (0, 0, 0) had one number."""
    xyz = torch.tensor([[x, y, 0.] for x in (-0.15, -0.05, 0.05, 0.15) for y in (-0.15, -0.05, 0.05, 0.15)])
    scene = torch.zeros(len(xyz), dtype=torch.int64)
    patch, _ = patches(xyz, scene, 1, SIZE)
    assert len(set(patch.tolist())) == len(xyz)
    cell = torch.floor(xyz / SIZE).long()
    extent = cell.amax(0) + 1  # of a grid that starts at 0
    merged = cell[:, 0] + cell[:, 1] * extent[0] + cell[:, 2] * extent[0] * extent[1]
    assert len(set(merged.tolist())) < len(xyz)


def test_masks_follow_the_seed_of_the_sample_alone():
    xyz, scene = drawn()
    masks = cross_masks(xyz, scene, 4, [1, 2, 3, 4], SIZE)
    alone = cross_masks(tuple(one[which == 0] for one, which in zip(xyz, scene)),
                        tuple(which[which == 0] for which in scene), 1, [1], SIZE)
    other = cross_masks(xyz, scene, 4, [9, 2, 3, 4], SIZE)
    for view in range(2):
        assert torch.equal(masks[view][scene[view] == 0], alone[view])
        assert not torch.equal(masks[view][scene[view] == 0], other[view][scene[view] == 0])
        assert torch.equal(masks[view][scene[view] > 0], other[view][scene[view] > 0])


def test_every_patch_has_the_same_chance():
    xyz = (torch.arange(10.)[:, None] * torch.tensor([0.2, 0, 0]), ) * 2
    scene = (torch.zeros(10, dtype=torch.int64), ) * 2
    hits = torch.zeros(2, 10)
    for seed in range(600):
        hits += torch.stack(cross_masks(xyz, scene, 1, [seed], SIZE)).float()
    assert (hits / 600 - 0.4).abs().max() < 5 * (0.4 * 0.6 / 600) ** 0.5


def test_nothing_to_mask():
    nothing = torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64)
    masks = cross_masks((nothing[0], nothing[0]), (nothing[1], nothing[1]), 2, [1, 2], SIZE)
    assert [len(mask) for mask in masks] == [0, 0]


@pytest.mark.parametrize('size, rate, words', [(0, 0.4, 'patch_size'), (0.1, 0.6, 'mask_rate'), (0.1, 0, 'mask_rate')])
def test_wrong_arguments(size, rate, words):
    xyz, scene = drawn()
    with pytest.raises(ValueError, match=words):
        cross_masks(xyz, scene, 4, [1, 2, 3, 4], size, rate)
