"""Features as colours."""
import numpy as np
from pretrain3d.pictures.features import principal_colours


def test_like_features_have_like_colours_in_every_cloud():
    """Four kinds of features in two clouds; turning the feature space and their length change nothing."""
    rng = np.random.default_rng(0)
    kinds, labels = rng.normal(size=(4, 16)), [rng.integers(0, 4, 300), rng.integers(0, 4, 500)]
    clouds = [kinds[label] + 0.01 * rng.normal(size=(len(label), 16)) for label in labels]
    colours = principal_colours(clouds)
    assert [len(part) for part in colours] == [300, 500]
    every, label = np.concatenate(colours), np.concatenate(labels)
    assert every.min() >= 0 and every.max() <= 255
    centres = np.array([every[label == kind].mean(0) for kind in range(4)])
    assert max(every[label == kind].std(0).max() for kind in range(4)) < 10
    assert np.linalg.norm(centres[:, None] - centres[None], axis=-1)[np.triu_indices(4, 1)].min() > 60
    turn = np.linalg.qr(rng.normal(size=(16, 16)))[0]
    turned = principal_colours([cloud @ turn * rng.uniform(1, 9, (len(cloud), 1)) for cloud in clouds])
    np.testing.assert_allclose(np.concatenate(turned), every, atol=1e-6)


def test_main_directions_are_those_of_the_covariance():
    """Red runs with the direction of the largest variance."""
    rng = np.random.default_rng(1)
    cloud = rng.normal(size=(1000, 5)) * (0.3, 0.05, 0.02, 0.01, 0.01) + (0, 0, 0, 0, 5)
    red = principal_colours([cloud])[0][:, 0]
    kept = (red > red.min() + 1) & (red < red.max() - 1)
    assert kept.mean() > 0.9 and abs(np.corrcoef(red[kept], cloud[kept, 0])[0, 1]) > 0.99


def test_constant_and_narrow_features_have_colours_too():
    for cloud in (np.ones((7, 4)), np.zeros((7, 4)), np.random.default_rng(2).normal(size=(50, 2))):
        colours, = principal_colours([cloud])
        assert colours.shape == (len(cloud), 3) and np.isfinite(colours).all()
