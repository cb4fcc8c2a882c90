"""From point pairs to contrasted voxels, against loops over points."""
import torch

from pretrain3d.contrastive_scene_contexts.sampling import sample_pairs, voxel_pairs
from pretrain3d.datasets.sparse_batch import build_sparse_batch

SIZES = ((40, 30), (0, 5), (25, 60))


def drawn(seed=0, point_cloud_range=None):
    """Two views of three samples (one with an empty first view) and random matches."""
    generator = torch.Generator().manual_seed(seed)
    clouds = [[torch.rand(n, 6, generator=generator) for n in view] for view in zip(*SIZES)]
    sparse = [build_sparse_batch(view, (0.25, ) * 3, point_cloud_range) for view in clouds]
    pairs = [torch.stack([torch.randint(max(n, 1), (90 * (n > 0), ), generator=generator),
                          torch.randint(m, (90 * (n > 0), ), generator=generator)], 1) for n, m in SIZES]
    return clouds, sparse, pairs


def slow_pairs(pairs, sparse):
    """Set of (query row, key row)."""
    found = set()
    for sample, pair in enumerate(pairs):
        for i, j in pair.tolist():
            rows = tuple(int(view['point2voxel'][sample][place]) for view, place in zip(sparse, (i, j)))
            if min(rows) >= 0:
                found.add(rows)
    return found


def test_voxel_pairs_are_distinct_sorted_and_know_their_scene():
    for point_cloud_range in (None, (0, 0, 0, 0.5, 1, 1)):
        _, sparse, pairs = drawn(point_cloud_range=point_cloud_range)
        found = voxel_pairs(pairs, *sparse)
        rows = list(zip(found.query_rows.tolist(), found.key_rows.tolist()))
        assert rows == sorted(slow_pairs(pairs, sparse)) and len(rows) > 20
        assert torch.equal(found.scene, sparse[0]['coors'][found.query_rows, 0].long())
        assert torch.equal(found.scene, sparse[1]['coors'][found.key_rows, 0].long())
        assert set(found.scene.tolist()) == {0, 2} and found.num_scenes == 3


def test_every_query_comes_once_with_one_of_its_keys():
    _, sparse, pairs = drawn()
    every = voxel_pairs(pairs, *sparse)
    sampled = sample_pairs(every, 1000, [1, 2, 3])
    assert sampled.query_rows.tolist() == sorted(set(every.query_rows.tolist()))
    assert set(zip(sampled.query_rows.tolist(), sampled.key_rows.tolist())) <= slow_pairs(pairs, sparse)


def test_few_are_drawn_per_scene_without_replacement():
    _, sparse, pairs = drawn()
    every = voxel_pairs(pairs, *sparse)
    for distinct in (True, False):
        sampled = sample_pairs(every, 7, [1, 2, 3], distinct)
        assert torch.bincount(sampled.scene, minlength=3).tolist() == [7, 0, 7]
        assert len(set(zip(sampled.query_rows.tolist(), sampled.key_rows.tolist()))) == 14
        assert (len(set(sampled.query_rows.tolist())) == 14) or not distinct
        assert (sampled.scene.diff() >= 0).all()


def test_draws_follow_the_seed_of_the_sample_alone():
    _, sparse, pairs = drawn()
    every = voxel_pairs(pairs, *sparse)

    def rows(seeds, scene):
        sampled = sample_pairs(every, 7, seeds)
        kept = sampled.scene == scene
        return sampled.query_rows[kept].tolist(), sampled.key_rows[kept].tolist()

    torch.manual_seed(5)
    first = rows([1, 2, 3], 2)
    assert rows([9, 9, 3], 2) == first != rows([1, 2, 4], 2)
    torch.manual_seed(0)
    free = rows([None] * 3, 2)
    assert rows([None] * 3, 2) != free
    torch.manual_seed(0)
    assert rows([None] * 3, 2) == free


def test_keys_and_queries_are_drawn_evenly():
    _, sparse, pairs = drawn()
    every = voxel_pairs(pairs, *sparse)
    query = every.query_rows.mode().values
    keys = every.key_rows[every.query_rows == query].tolist()
    assert len(keys) > 4
    drawn_keys, hits = [], torch.zeros(len(sparse[0]['coors']))
    for seed in range(600):
        sampled = sample_pairs(every, 1000, [seed] * 3)
        drawn_keys += sampled.key_rows[sampled.query_rows == query].tolist()
        hits[sample_pairs(every, 3, [seed] * 3).query_rows] += 1
    shares = torch.tensor([drawn_keys.count(key) / 600 for key in keys])
    assert (shares - 1 / len(keys)).abs().max() < 5 * (1 / len(keys) / 600) ** 0.5
    for scene in (0, 2):
        queries = every.query_rows[every.scene == scene].unique()
        share = 3 / len(queries)
        assert (hits[queries] / 600 - share).abs().max() < 5 * (share / 600) ** 0.5


def test_no_matches_at_all():
    _, sparse, pairs = drawn()
    nothing = voxel_pairs([pair[:0] for pair in pairs], *sparse)
    assert len(nothing) == 0 and len(sample_pairs(nothing, 5, [1, 2, 3])) == 0
