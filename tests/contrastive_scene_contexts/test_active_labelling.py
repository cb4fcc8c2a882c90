"""Choosing vertices: the joint space, distinct nearest vertices, k-means against random, objects counted by hand."""
import numpy as np
import pytest
from scipy.spatial.distance import cdist

from pretrain3d.contrastive_scene_contexts.active_labelling import (FEATURE_SETS, choose_by_kmeans, choose_random,
                                                                    countable_objects, joint_space, nearest_vertices,
                                                                    objects_hit)


def blocks(rng, count=50):
    return dict(features=rng.normal(2, 3, (count, 5)), xyz=rng.normal(size=(count, 3)),
                rgb=rng.uniform(0, 255, (count, 3)))


def blobs(rng, sizes, spread=0.05):
    """Well separated blobs of very different sizes; the vertices' blob numbers start at 1."""
    centres = np.stack(np.meshgrid(*[np.arange(4.)] * 3), -1).reshape(-1, 3)[rng.permutation(64)[:len(sizes)]]
    instance = rng.permutation(np.repeat(np.arange(1, len(sizes) + 1), sizes))
    return centres[instance - 1] + spread * rng.normal(size=(len(instance), 3)), instance


@pytest.mark.parametrize('name', FEATURE_SETS)
def test_joint_space(name):
    given = blocks(np.random.default_rng(0))
    plain, scaled = joint_space(given, name), joint_space(given, name, 'zscore')
    np.testing.assert_allclose(plain, np.hstack([given[part] for part in FEATURE_SETS[name]]), rtol=1e-6)
    start = 0
    for part in FEATURE_SETS[name]:
        ours = scaled[:, start:start + given[part].shape[1]].astype(float)
        start += given[part].shape[1]
        assert np.abs(ours.mean(0)).max() < 1e-6
        assert (ours**2).sum(1).mean() == pytest.approx(1, rel=1e-5)  # every block weighs the same
        ratio = cdist(ours, ours)[0, 1:] / cdist(given[part], given[part])[0, 1:]
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-3)  # and keeps its proportions


def test_joint_space_of_bad_values():
    given = blocks(np.random.default_rng(0))
    assert (joint_space({**given, 'xyz': np.ones((50, 3))}, 'xyz', 'zscore') == 0).all()
    broken = given['features'].copy()
    broken[[3, 7]] = np.nan
    with pytest.raises(ValueError, match='features has values that are not finite at 2 of 50'):
        joint_space({**given, 'features': broken}, 'features_xyz')
    with pytest.raises(ValueError, match='features 50, xyz 49'):
        joint_space({**given, 'xyz': given['xyz'][1:]}, 'features_xyz')
    with pytest.raises(ValueError, match='features_xyz'):
        joint_space(given, 'colour')
    with pytest.raises(ValueError, match='zscore'):
        joint_space(given, 'xyz', 'minmax')


@pytest.mark.parametrize('crowded', [False, True])
def test_nearest_vertices_against_brute_force(crowded):
    """Far from the origin, where single precision would lose the differences; all centroids in one place if crowded."""
    rng = np.random.default_rng(1)
    space = rng.normal(size=(300, 6)) + 1e4
    centroids = np.repeat(space[:1], 40, 0) + (1e-6 if crowded else 1.) * rng.normal(size=(40, 6))
    taken = []
    for row in cdist(centroids, space):
        taken.append(next(place for place in np.argsort(row, kind='stable') if place not in taken))
    found = nearest_vertices(space, centroids)
    assert found.tolist() == taken and len(set(taken)) == 40


@pytest.mark.parametrize('options', [dict(), dict(init='random'), dict(init='first-k'), dict(n_init=3),
                                     dict(fit_vertices=150)], ids=str)
def test_kmeans_is_distinct_and_repeatable(options):
    space = np.random.default_rng(2).normal(size=(400, 4)).astype(np.float32)
    kept = space.copy()
    first, again, other = (choose_by_kmeans(space, 30, np.random.default_rng(seed), **options) for seed in (0, 0, 1))
    assert len(set(first.tolist())) == 30 and first.dtype == np.int64 and 0 <= first.min() <= first.max() < 400
    assert np.array_equal(first, again) and np.array_equal(space, kept)
    assert np.array_equal(first, other) == (options == dict(init='first-k'))


def test_kmeans_takes_vertices_at_cluster_means():
    """On blobs that nobody could cut otherwise: each blob's vertex nearest to its mean."""
    space, instance = blobs(np.random.default_rng(3), [40] * 12, 0.01)
    wanted = []
    for blob in range(1, 13):
        rows = np.flatnonzero(instance == blob)
        wanted.append(rows[np.linalg.norm(space[rows] - space[rows].mean(0), axis=1).argmin()])
    found = choose_by_kmeans(space.astype(np.float32), 12, np.random.default_rng(0), n_init=5)
    assert sorted(found.tolist()) == sorted(wanted)


@pytest.mark.parametrize('iterations', [1, 50])
def test_iterations_are_bounded(monkeypatch, iterations):
    from sklearn.cluster import KMeans

    from pretrain3d.contrastive_scene_contexts import active_labelling
    fits = []

    class Watched(KMeans):
        def fit(self, *args, **kwargs):
            fits.append(super().fit(*args, **kwargs))
            return self

    monkeypatch.setattr(active_labelling, 'KMeans', Watched)
    space = np.random.default_rng(2).normal(size=(400, 4)).astype(np.float32)
    choose_by_kmeans(space, 30, np.random.default_rng(0), iterations=iterations)
    assert fits[0].n_iter_ == 1 if iterations == 1 else 1 < fits[0].n_iter_ <= 50


def test_coinciding_vertices_and_too_few():
    """Vertices of a voxel share their features: fewer distinct rows than labels, still distinct vertices."""
    space = np.repeat(np.eye(3, dtype=np.float32), 20, 0)
    found = choose_by_kmeans(space, 10, np.random.default_rng(0))
    assert len(set(found.tolist())) == 10 and {row // 20 for row in found} == {0, 1, 2}
    for count in (60, 61):
        assert choose_by_kmeans(space, count, np.random.default_rng(0)).tolist() == list(range(60))
        assert sorted(choose_random(60, count, np.random.default_rng(0))) == list(range(60))
    with pytest.raises(ValueError, match='first-k'):
        choose_by_kmeans(space, 10, np.random.default_rng(0), init='best')


def test_random_lists_are_nested_and_uniform():
    few, many = (choose_random(50, count, np.random.default_rng(4)) for count in (5, 20))
    assert many[:5].tolist() == few.tolist() and len(set(many.tolist())) == 20
    rng = np.random.default_rng(0)
    drawn = np.bincount(np.concatenate([choose_random(10, 3, rng) for _ in range(2000)]), minlength=10)
    assert np.abs(drawn / 600 - 1).max() < 0.15  # five standard deviations are 0.17


def test_kmeans_reaches_more_objects_than_random():
    """A few large objects and many small ones, as in rooms, ten times."""
    shares = dict(kmeans=[], random=[])
    for seed in range(10):
        rng = np.random.default_rng(seed)
        space, instance = blobs(rng, [600, 400, *[15] * 14])
        objects = countable_objects(instance)
        picks = dict(kmeans=choose_by_kmeans(space.astype(np.float32), 20, rng),
                     random=choose_random(len(space), 20, rng))
        for name, rows in picks.items():
            shares[name].append(objects_hit(instance, rows, objects) / len(objects))
    assert np.mean(shares['kmeans']) > 0.9 and np.mean(shares['random']) < 0.5
    assert min(shares['kmeans']) > max(shares['random'])


def test_objects_against_brute_force():
    rng = np.random.default_rng(5)
    instance = rng.integers(0, 12, 400) * 3
    semantic = np.where(rng.random(400) < 0.7, instance % 5, rng.integers(0, 5, 400))
    wanted = [one for one in sorted(set(instance.tolist()) - {0})
              if np.isin(semantic[instance == one], [1, 2]).mean() <= 0.5]
    assert 0 < len(wanted) < 11
    assert countable_objects(instance, semantic, [1, 2]).tolist() == wanted
    assert countable_objects(instance).tolist() == sorted(set(instance.tolist()) - {0})
    rows = rng.permutation(400)[:6]
    assert objects_hit(instance, rows, np.array(wanted)) == len({int(instance[row]) for row in rows} & set(wanted))
    assert objects_hit(instance, rows[:0], np.array(wanted)) == 0
    assert countable_objects(np.zeros(5, int), np.ones(5, int), [1]).tolist() == []
