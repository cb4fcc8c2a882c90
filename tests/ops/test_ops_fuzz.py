"""Random shapes, values and batches through every operator, shrunk to the smallest failing case by hypothesis."""
import sys

import pytest
import torch

hypothesis = pytest.importorskip('hypothesis')
from hypothesis import given, settings, strategies as st  # noqa: E402

from pretrain3d.ops import radius_join, segment_max, segment_sum, unique_voxels, vote_labels, voxelize  # noqa: E402

VOXELIZE = sys.modules['pretrain3d.ops.voxelize']
FAST = settings(max_examples=60, deadline=None, derandomize=True)
integers = st.integers(-2 ** 20, 2 ** 20)
small = st.integers(-3, 3)
lattice_points = st.lists(st.tuples(small, small, small, st.integers(0, 2)), max_size=25)  # the last is the sample


@FAST
@given(st.lists(st.tuples(integers | small, small, integers | small), max_size=40))
def test_both_routes_give_the_same_voxels_in_order_of_occurrence(rows):
    coors = torch.tensor(rows, dtype=torch.int64).reshape(-1, 3)
    voxels, inverse, counts = unique_voxels(coors)
    order = list(dict.fromkeys(rows))
    assert [tuple(row) for row in voxels.tolist()] == order
    assert inverse.tolist() == [order.index(row) for row in rows]
    assert counts.tolist() == [rows.count(row) for row in order]
    low, high = VOXELIZE._extent(coors)
    by_sort = VOXELIZE._group_by_sort(coors, low, [b - a + 1 for a, b in zip(low, high)])
    assert torch.equal(by_sort[1], inverse) and torch.equal(by_sort[2], counts)


@FAST
@given(st.lists(st.tuples(*[st.floats(-1e4, 1e4, width=32)] * 3), max_size=30), st.floats(0.01, 50))
def test_every_point_lies_in_its_voxel(rows, size):
    points = torch.tensor(rows, dtype=torch.float64).reshape(-1, 3)
    result = voxelize(points, size, [-1e4 - 1] * 3)
    lower = result.coors[result.inverse].double() * size - 1e4 - 1
    assert ((points >= lower - 1e-7) & (points < lower + size + 1e-7)).all()
    assert result.counts.sum() == len(points) and torch.equal(result.inverse[result.first],
                                                              torch.arange(len(result.coors)))


@FAST
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), max_size=40))
def test_the_vote_is_a_most_frequent_label(rows):
    table = torch.tensor(rows, dtype=torch.int64).reshape(-1, 2)
    votes = vote_labels(table[:, 0], table[:, 1], 5, 4, 4).tolist()
    for voxel, vote in enumerate(votes):
        labels = [label for label, v in rows if v == voxel and label != 4]
        if not labels:
            assert vote == 4
        else:
            assert vote == min(set(labels), key=lambda c: (-labels.count(c), c))


@FAST
@given(lattice_points, lattice_points, st.sampled_from([0.5, 1., 1.5, 2., 9.]))
def test_join_on_a_lattice(queries, keys, radius):
    query, key = (torch.tensor(rows, dtype=torch.float64).reshape(-1, 4) for rows in (queries, keys))
    pairs, dist2 = radius_join(query[:, :3], key[:, :3], radius, query[:, 3].long(), key[:, 3].long())
    want = [[i, j] for i, q in enumerate(queries) for j, k in enumerate(keys)
            if q[3] == k[3] and sum((a - b) ** 2 for a, b in zip(q[:3], k[:3])) <= radius ** 2]
    assert pairs.tolist() == want
    assert dist2.tolist() == [sum((a - b) ** 2 for a, b in zip(queries[i][:3], keys[j][:3])) for i, j in want]


@FAST
@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 5)), max_size=30))
def test_segments(rows):
    table = torch.tensor(rows, dtype=torch.int64).reshape(-1, 2)
    groups = [[value for value, s in rows if s == segment] for segment in range(6)]
    assert segment_sum(table[:, 0], table[:, 1], 6).tolist() == [sum(group) for group in groups]
    assert segment_max(table[:, 0], table[:, 1], 6).tolist() == [max(group, default=0) for group in groups]
