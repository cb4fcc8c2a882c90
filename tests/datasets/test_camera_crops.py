import camera_keyframe
import numpy as np
import pytest
from mmcv.transforms import Compose

from mmdet3d.registry import TRANSFORMS
from pretrain3d.datasets.camera_crops import DrawImageCrops

SIZE = (320, 180)
LOAD = [dict(type='LoadPointsChecked', coord_type='LIDAR', load_dim=5, use_dim=4), dict(type='AddPointIndex'),
        dict(type='PrepareCameras'), dict(type='FindPointPixels')]


@pytest.fixture(scope='module')
def sample(tmp_path_factory):
    path, _ = camera_keyframe.write_keyframe(tmp_path_factory.mktemp('keyframe'), size=SIZE)
    return Compose([TRANSFORMS.build(step) for step in LOAD])(camera_keyframe.read_sample(path))


def draw(sample, times, **options):
    np.random.seed(5)
    return [crop for _ in range(times) for crop in DrawImageCrops(**options)(dict(sample))['image_crops']]


def pairs_inside(sample, camera, crop):
    pixel = sample['recorded_pixels'].pixel[sample['recorded_pixels'].camera == camera]
    return sum(crop.left <= u < crop.left + crop.width and crop.top <= v < crop.top + crop.height for u, v in pixel)


def test_area_proportion_and_place(sample):
    crops = draw(sample, 60, area=(0.3, 0.6), ratio=(14 / 9, 17 / 9), flip_prob=0.25)
    parts = np.array([crop[:4] for crop in crops])
    assert (parts >= 0).all() and (parts[:, :2] + parts[:, 2:] <= np.array(SIZE) + 1e-9).all()
    area, ratio = parts[:, 2] * parts[:, 3] / (SIZE[0] * SIZE[1]), parts[:, 2] / parts[:, 3]
    assert 0.3 <= area.min() < 0.32 and 0.58 < area.max() <= 0.6
    assert 14 / 9 - 1e-9 <= ratio.min() < 1.6 and 1.85 < ratio.max() <= 17 / 9 + 1e-9
    assert parts[:, 0].max() > 100 and parts[:, 1].max() > 50 and parts[:, :2].min() < 2
    assert 0.1 < np.mean([crop.flip for crop in crops]) < 0.4


def test_a_crop_that_does_not_fit_is_cut(sample):
    for crop in draw(sample, 20, area=(1., 1.), ratio=(1., 3.)):
        assert 0 <= crop.left and crop.left + crop.width <= SIZE[0] and crop.top + crop.height <= SIZE[1]


def test_the_seed_decides(sample):
    assert draw(sample, 3) == draw(sample, 3)


@pytest.mark.parametrize('min_pairs, min_share', [(350, 2.), (10 ** 6, 0.9)])
def test_crops_keep_pairs(sample, min_pairs, min_share):
    """Enough of them, or a share of what there is."""
    counts = np.bincount(sample['recorded_pixels'].camera, minlength=6)

    def enough(found, camera):
        return found >= min_pairs or found >= min_share * counts[camera]

    options = dict(min_pairs=min_pairs, min_share=min_share, area=(0.3, 1.))
    plain = [enough(pairs_inside(sample, i % 6, crop), i % 6)
             for i, crop in enumerate(draw(sample, 20, area=(0.3, 1.)))]
    drawn = [enough(pairs_inside(sample, i % 6, crop), i % 6)
             for i, crop in enumerate(draw(sample, 20, tries=60, **options))]
    possible = [counts[i % 6] >= min_pairs or min_share <= 1 for i in range(120)]
    assert np.mean(np.array(plain)[possible]) < 0.8 < 0.95 < np.mean(np.array(drawn)[possible])


def test_where_no_crop_has_enough_the_best_is_taken(sample):
    np.random.seed(5)
    seen = []
    step = DrawImageCrops(min_pairs=10 ** 6, min_share=2., tries=4)
    one = step._one
    step._one = lambda size: seen.append(one(size)) or seen[-1]
    crops = step(dict(sample))['image_crops']
    assert len(seen) == 24
    for camera, crop in enumerate(crops):
        tried = seen[4 * camera:4 * camera + 4]
        assert pairs_inside(sample, camera, crop) == max(pairs_inside(sample, camera, each) for each in tried)


def test_only_points_that_are_left_count(sample):
    """All points of a camera dropped by augmentation: any crop will do, none fails."""
    gone = dict(sample, points=sample['points'][:0])
    assert len(DrawImageCrops(min_pairs=100, tries=3)(gone)['image_crops']) == 6


def test_errors(sample):
    for options in (dict(area=(0., 1.)), dict(area=(0.6, 0.5)), dict(ratio=(0, 1)), dict(tries=0)):
        with pytest.raises(ValueError, match='DrawImageCrops'):
            DrawImageCrops(**options)
    with pytest.raises(ValueError, match='put DrawImageCrops before LoadCameraImages'):
        DrawImageCrops()(dict(sample, img=[]))
    with pytest.raises(KeyError, match='put FindPointPixels before'):
        DrawImageCrops(min_pairs=5)({key: value for key, value in sample.items() if key != 'recorded_pixels'})
