"""Colour changes against python's colorsys and loops over points."""
import colorsys

import numpy as np
import pytest
import torch

import pretrain3d  # noqa: F401
from mmdet3d.structures.points import DepthPoints
from pretrain3d.datasets.seeding import seeded
from pretrain3d.datasets.transforms_indoor import RandomColorJitter
from pretrain3d.datasets.transforms_indoor.color_jitter import shift_hue

GREY = (0.299, 0.587, 0.114)


def colours(count=200, seed=0):
    """Random ones, greys, black, white, and equal channels."""
    drawn = np.random.default_rng(seed).uniform(0, 255, (count, 3))
    drawn[:6] = [[0, 0, 0], [255, 255, 255], [90, 90, 90], [200, 200, 10], [10, 200, 200], [200, 10, 200]]
    return torch.from_numpy(drawn)


def slow(color, name, amount):
    rows, mean = [], np.mean([np.dot(GREY, row) for row in color.tolist()])
    for row in color.tolist():
        if name == 'hue':
            h, s, v = colorsys.rgb_to_hsv(*(value / 255 for value in row))
            rows.append([255 * value for value in colorsys.hsv_to_rgb((h + amount) % 1, s, v)])
        else:
            other = dict(brightness=0, contrast=mean, saturation=np.dot(GREY, row))[name]
            rows.append([amount * value + (1 - amount) * other for value in row])
    return torch.tensor(rows, dtype=torch.float64)


@pytest.mark.parametrize('name, amounts', [
    ('brightness', (0.6, 1.4)), ('contrast', (0.6, 1.4)), ('saturation', (0., 0.8, 1.2)),
    ('hue', (-0.5, -0.3, -0.02, 0., 0.02, 0.2, 0.5))])
def test_each_change(name, amounts):
    for amount in amounts:
        color = colours()
        torch.testing.assert_close(RandomColorJitter.change(color, name, amount), slow(color, name, amount))


def test_a_full_turn_is_none():
    color = colours()
    torch.testing.assert_close(shift_hue(shift_hue(color, 0.3), 0.7), color)


def jittered(seed, **args):
    points = DepthPoints(torch.cat([torch.zeros(200, 3), colours().float()], 1), 6,
                         attribute_dims=dict(color=[3, 4, 5]))
    with seeded((1, seed)):
        out = RandomColorJitter(**args)(dict(points=points))['points'].tensor
    assert torch.equal(out[:, :3], torch.zeros(200, 3)) and out.min() >= 0 and out.max() <= 255
    return out[:, 3:]


def test_each_by_its_own_chance_and_range():
    """With one amount above 0 the factor can be read off."""
    color, factors = colours().float(), []
    for seed in range(400):
        out = jittered(seed, contrast=0, saturation=0, hue=0)
        factors.append(float(out[6, 0] / color[6, 0]))
    factors = np.array(factors)
    assert factors.min() >= 0.6 - 1e-5 and factors.max() <= 1.4 + 1e-5 and factors.std() > 0.15
    same = np.mean(np.abs(factors - 1) < 1e-6)
    assert abs(same - 0.2) < 5 * (0.16 / 400) ** 0.5


def test_all_off_and_all_on():
    torch.testing.assert_close(jittered(0, prob=0), colours().float(), rtol=0, atol=0)
    assert (jittered(0, prob=1) - colours().float()).abs().max() > 5
    assert not torch.equal(jittered(0, prob=1), jittered(1, prob=1))
    assert torch.equal(jittered(3, prob=1), jittered(3, prob=1))


def test_the_order_is_drawn():
    """Clipping and means make the order matter: with fixed factors several outcomes come."""
    step = RandomColorJitter(0.4, 0.4, 0.2, 0, prob=1.)
    step._amount = lambda name: dict(brightness=1.4, contrast=1.4, saturation=0.8, hue=0)[name]
    outcomes = set()
    for seed in range(40):
        with seeded((2, seed)):
            outcomes.add(round(float(step.recolor(colours()).sum()), 3))
    assert len(outcomes) >= 4


@pytest.mark.parametrize('args', [dict(brightness=-1), dict(hue=0.6), dict(prob=2)])
def test_wrong_arguments(args):
    with pytest.raises(ValueError, match='RandomColorJitter'):
        RandomColorJitter(**args)


def test_no_colour():
    with pytest.raises(ValueError, match='needs colours'):
        RandomColorJitter()(dict(points=DepthPoints(torch.rand(5, 3), 3)))
