"""Shared by the tests of mmcv's extension functions: seeded random numbers and the compiled operators, if any."""
import importlib
import math
import types

import pytest
import torch


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(20)


@pytest.fixture(scope='session')
def compiled():
    """The functions of the environment's compiled ``mmcv._ext`` as compiled, without our dispatch over them."""
    extension = importlib.import_module('mmcv._ext')
    if getattr(extension, 'STAND_IN', False):
        pytest.skip('this environment has mmcv-lite: no compiled operators to compare with (make test-full has them)')
    names = (name for name in dir(extension) if not name.startswith('_'))
    return types.SimpleNamespace(**{name: getattr(getattr(extension, name), 'compiled', getattr(extension, name))
                                    for name in names})


@pytest.fixture(scope='session')
def mended_ops():
    """``mmcv.ops`` with its callers mended, over whichever extension the environment has."""
    from pretrain3d.engine.mmcv_cpu.dispatch import install_over_compiled
    install_over_compiled(importlib.import_module('mmcv._ext'))
    return importlib.import_module('mmcv.ops')


def rectangle(box):
    """Corners, counter-clockwise, of (x, y, width, height, angle)."""
    x, y, width, height, angle = (float(value) for value in box)
    cos, sin = math.cos(angle), math.sin(angle)
    return [(x + cos * a * width / 2 - sin * b * height / 2, y + sin * a * width / 2 + cos * b * height / 2)
            for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]


def area(polygon):
    return abs(sum(a[0] * b[1] - a[1] * b[0] for a, b in zip(polygon, polygon[1:] + polygon[:1]))) / 2


def clip(subject, window):
    """The part of a convex polygon inside another; both counter-clockwise."""
    for start, end in zip(window, window[1:] + window[:1]):
        def side(point):
            return (end[0] - start[0]) * (point[1] - start[1]) - (end[1] - start[1]) * (point[0] - start[0])
        clipped = []
        for here, there in zip(subject, subject[1:] + subject[:1]):
            a, b = side(here), side(there)
            if a >= 0:
                clipped.append(here)
            if a * b < 0:
                clipped.append(tuple(p + (q - p) * a / (a - b) for p, q in zip(here, there)))
        subject = clipped
        if not subject:
            return []
    return subject


def overlap(one, two):
    return area(clip(rectangle(one), rectangle(two)) or [(0., 0.)])


def iou(one, two):
    shared = overlap(one, two)
    return shared / float(one[2] * one[3] + two[2] * two[3] - shared)


@pytest.fixture(scope='session')
def clipping():
    """Slow oracle of rotated rectangles: Sutherland-Hodgman clipping in plain Python."""
    return types.SimpleNamespace(rectangle=rectangle, area=area, clip=clip, overlap=overlap, iou=iou)
