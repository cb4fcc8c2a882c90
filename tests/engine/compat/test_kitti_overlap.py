"""KITTI's bird's-eye overlap and KittiMetric's average precision without ``numba.cuda``, beside shapely."""
import numpy as np
import pytest
from mmdet3d.evaluation.functional.kitti_utils import kitti_eval
from numba import cuda
from shapely.affinity import rotate, translate
from shapely.geometry import box as rectangle

import pretrain3d  # noqa: F401  mends the evaluation
from pretrain3d.engine.compat.kitti_overlap import rotate_iou_eval

pytestmark = pytest.mark.skipif(cuda.is_available(), reason='numba has CUDA: mmdet3d runs its own kernel')


def random_boxes(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.uniform(-4, 4, (count, 2)), rng.uniform(0.5, 5, (count, 2)),
                           rng.uniform(-4, 4, (count, 1))], 1)


def polygon(row):
    """A box of the kernel as a polygon: its corners turn by ``x cos + y sin, -x sin + y cos``, clockwise."""
    x, y, length, width, yaw = row
    return translate(rotate(rectangle(-length / 2, -width / 2, length / 2, width / 2), -yaw, use_radians=True,
                            origin=(0, 0)), x, y)


@pytest.mark.parametrize('criterion', [-1, 0, 1, 2])
def test_every_criterion_equals_shapely(criterion):
    first, second = random_boxes(15, 0), random_boxes(11, 1)
    second[0], second[1, 4] = first[0], 0
    expected = np.zeros((15, 11))
    for i, one in enumerate(map(polygon, first)):
        for j, other in enumerate(map(polygon, second)):
            common = one.intersection(other).area
            expected[i, j] = common / {-1: one.area + other.area - common, 0: other.area, 1: one.area, 2: 1}[criterion]
    found = rotate_iou_eval(first, second, criterion)
    assert found.dtype == np.float32 and (expected > 0.05).sum() > 20
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_no_boxes():
    assert rotate_iou_eval(np.zeros((0, 5)), random_boxes(3, 0)).shape == (0, 3)
    assert rotate_iou_eval(random_boxes(3, 0), np.zeros((0, 5))).shape == (3, 0)


def annotations(shift: float = 0.0, keep: float = 1.0) -> list:
    """Frames of six easy cars with scores, shifted by metres or thinned out for the detections."""
    frames = []
    for frame in range(8):
        rng = np.random.default_rng(frame)
        count = 6
        location = np.stack([np.arange(count) * 8.0 - 20, np.full(count, 1.7), rng.uniform(8, 30, count)], 1)
        left = np.arange(count) * 200.0
        rows = dict(name=np.array(['Car'] * count), truncated=np.zeros(count), occluded=np.zeros(count),
                    alpha=np.full(count, -10.),
                    bbox=np.stack([left, np.full(count, 100.), left + 120, np.full(count, 190.)], 1),
                    dimensions=np.tile([3.9, 1.6, 1.6], (count, 1)), location=location + [shift, 0, 0],
                    rotation_y=rng.uniform(-3, 3, count), score=rng.uniform(0.3, 1, count))
        chosen = rng.uniform(size=count) < keep
        frames.append({key: value[chosen] for key, value in rows.items()})
    return frames


@pytest.mark.parametrize('shift, keep, low, high', [(0.0, 1.0, 99, 100), (0.0, 0.5, 20, 80), (1.5, 1.0, 0, 5)])
def test_kitti_average_precision_without_cuda(shift, keep, low, high):
    text, result = kitti_eval(annotations(), annotations(shift, keep), current_classes=['Car'],
                              eval_types=['bbox', 'bev', '3d'])
    for kind in ('BEV', '3D'):
        assert low <= result[f'KITTI/Car_{kind}_AP40_easy_strict'] <= high, text
