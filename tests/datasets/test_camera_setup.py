import camera_keyframe
import numpy as np
import pytest

from pretrain3d.datasets.camera_setup import PrepareCameras, read_size, recorded_size

SIZE = (96, 54)


@pytest.fixture(scope='module')
def keyframe(tmp_path_factory):
    return camera_keyframe.write_keyframe(tmp_path_factory.mktemp('keyframe'), size=SIZE, count=50)[0]


@pytest.fixture()
def sample(keyframe):
    return camera_keyframe.read_sample(keyframe)


def test_all_cameras_in_their_order(sample):
    before = {name: dict(image) for name, image in sample['images'].items()}
    out = PrepareCameras()(sample)
    assert list(out['images']) == list(before) and len(before) == 6
    for name, image in out['images'].items():
        assert {key: image[key] for key in before[name]} == before[name]
        assert recorded_size(out, name) == SIZE == read_size(image['img_path'])


def test_named_cameras_in_the_order_of_the_names(sample):
    names = ['CAM_BACK', 'CAM_FRONT_LEFT']
    assert list(PrepareCameras(names=names)(sample)['images']) == names


def test_a_random_choice(keyframe):
    np.random.seed(3)
    drawn = [tuple(PrepareCameras(number=2)(camera_keyframe.read_sample(keyframe))['images']) for _ in range(60)]
    assert all(len(set(names)) == 2 for names in drawn) and len(set(drawn)) > 15
    assert {name for names in drawn for name in names} == set(camera_keyframe.CAMERAS)


def test_the_size_of_the_info_comes_first(sample):
    for image in sample['images'].values():
        image.update(width=960, height=540, img_path='not_there.jpg')
    out = PrepareCameras()(sample)
    assert recorded_size(out, 'CAM_BACK') == (960, 540)
    with pytest.raises(ValueError, match=r'\(960, 540\) by its info.*\(96, 54\) by recorded_size'):
        PrepareCameras(recorded_size=SIZE)(sample)


def test_a_given_size_needs_no_file(sample):
    for image in sample['images'].values():
        image['img_path'] = 'not_there.jpg'
    assert recorded_size(PrepareCameras(recorded_size=[96, 54])(sample), 'CAM_FRONT') == SIZE


@pytest.mark.parametrize('factor', [0.5, 2.])
def test_matrices_of_another_size_are_seen(sample, factor):
    image = sample['images']['CAM_BACK']
    image['cam2img'] = (np.diag([factor, factor, 1]) @ image['cam2img']).tolist()
    with pytest.raises(ValueError, match='CAM_BACK.*96 x 54 pixels.*principal point.*resized.*recorded_size'):
        PrepareCameras()(sample)


def test_errors(sample, tmp_path):
    with pytest.raises(KeyError, match='lidar0.bin has no camera CAM_TOP, only CAM_FRONT, .*PrepareCameras'):
        PrepareCameras(names=['CAM_TOP', 'CAM_FRONT'])(dict(sample))
    with pytest.raises(KeyError, match='has 6 cameras, PrepareCameras wants 7'):
        PrepareCameras(number=7)(dict(sample))
    with pytest.raises(KeyError, match='lidar0.bin has no images.*use_camera=True'):
        PrepareCameras()(dict(sample, images={}))
    for lost, message in (('lidar2cam', 'CAM_BACK .*CAM_BACK0.jpg. has no lidar2img, nor cam2img and lidar2cam'),
                          ('img_path', 'camera CAM_BACK has no img_path')):
        images = {name: dict(image) for name, image in sample['images'].items()}
        del images['CAM_BACK'][lost]
        with pytest.raises(KeyError, match=message):
            PrepareCameras()(dict(sample, images=images))
    images['CAM_BACK'] = dict(sample['images']['CAM_BACK'], img_path=str(tmp_path / 'lost.jpg'))
    with pytest.raises(FileNotFoundError, match='lost.jpg does not exist: check data_root'):
        PrepareCameras()(dict(sample, images=images))
    (tmp_path / 'lost.jpg').write_text('a text')
    with pytest.raises(ValueError, match='lost.jpg is no image .*6 bytes'):
        PrepareCameras()(dict(sample, images=images))
    with pytest.raises(ValueError, match='put it before FindPointPixels'):
        PrepareCameras()(dict(sample, recorded_pixels=None))
    with pytest.raises(KeyError, match='put PrepareCameras behind'):
        recorded_size(sample, 'CAM_FRONT')
    for options in (dict(number=0), dict(names=['A'], number=2), dict(recorded_size=(0, 5))):
        with pytest.raises(ValueError, match='PrepareCameras'):
            PrepareCameras(**options)
