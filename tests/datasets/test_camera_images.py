import pickle
from io import BytesIO

import camera_keyframe
import cv2
import numpy as np
import pytest
from PIL import Image

from mmdet3d.datasets.transforms import LoadMultiViewImageFromFiles
from pretrain3d.datasets.camera_images import Crop, LoadCameraImages, choose_reduction, decode, load_part, stored_size
from pretrain3d.datasets.camera_setup import PrepareCameras

SIZE = (320, 180)


def jpeg(image, **options):
    file = BytesIO()
    Image.fromarray(np.ascontiguousarray(image[..., ::-1])).save(file, 'JPEG', quality=98, subsampling=0, **options)
    return file.getvalue()


@pytest.fixture(scope='module')
def keyframe(tmp_path_factory):
    return camera_keyframe.write_keyframe(tmp_path_factory.mktemp('keyframe'), size=SIZE)[0]


def load(keyframe, prepare=None, crops=None, change=None, **options):
    sample = camera_keyframe.read_sample(keyframe)
    if change is not None:
        change(sample)
    sample = PrepareCameras(**(prepare or {}))(sample)
    if crops is not None:
        sample['image_crops'] = crops
    return LoadCameraImages(**options)(sample)


def shown(matrix, size, camera, recorded):
    """What the loaded image must show: the texture at where the centres of its pixels come from."""
    u, v = np.meshgrid(np.arange(size[1]) + 0.5, np.arange(size[0]) + 0.5)
    back = np.linalg.inv(matrix)
    return camera_keyframe.texture(u * back[0, 0] + back[0, 2], v * back[1, 1] + back[1, 2], camera, recorded)


@pytest.mark.parametrize('size', [(320, 180), (323, 183), (41, 90), (27, 19)])
@pytest.mark.parametrize('reduction', [1, 2, 4, 8])
def test_reduced_decoding_is_a_pure_factor(size, reduction):
    image = camera_keyframe.drawn_image(1, size)
    got = decode(jpeg(image), reduction).astype(float)
    assert got.shape == (size[1] // reduction, size[0] // reduction, 3)
    rows, columns = (side * reduction for side in got.shape[:2])
    want = image[:rows, :columns].reshape(got.shape[0], reduction, got.shape[1], reduction, 3).mean((1, 3))
    assert np.abs(got - want).mean() < 1.0
    # Half a decoded pixel of shift would be seen.
    inner = got[:-1, :-1], (want[:-1, :-1] + want[1:, 1:]) / 2
    assert reduction == 1 or np.abs(np.subtract(*inner)).mean() > 2 * np.abs(got - want).mean()


def test_channels_and_orientation_are_as_stored():
    image = np.zeros((16, 24, 3), np.uint8)
    image[..., 0], image[:8, :, 2] = 200, 100
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right for display
    got = decode(jpeg(image, exif=exif))
    assert got.shape == image.shape and np.abs(got.astype(int) - image).max() < 6


@pytest.mark.parametrize('reduction', [1, 2, 4])
def test_other_formats(reduction):
    image = camera_keyframe.drawn_image(2, (50, 38))
    data = cv2.imencode('.png', image)[1].tobytes()
    got = decode(data, reduction)
    assert got.shape[:2] == (38 // reduction, 50 // reduction) and stored_size(data) == (50, 38)
    assert reduction > 1 or np.array_equal(got, image)


def test_choice_of_reduction():
    for crop, size, oversampling, want in [
            ((1600, 900), (416, 224), 1, 2), ((1600, 900), (400, 225), 1, 4), ((1600, 900), (1600, 900), 1, 1),
            ((1600, 900), (200, 112), 1, 8), ((1600, 900), (20, 11), 1, 8), ((820, 500), (416, 224), 1, 1),
            ((820, 500), (416, 224), 0.95, 2), ((1600, 900), (400, 225), 2, 2), ((100, 60), (416, 224), 1, 1)]:
        assert choose_reduction(crop, size, oversampling) == want, (crop, size)


@pytest.mark.parametrize('seed', range(40))
def test_an_image_shows_what_its_matrix_says(seed):
    rng = np.random.default_rng(seed)
    stored = tuple(rng.integers(120, 400, 2))
    size = tuple(int(side) for side in rng.integers(20, 120, 2))
    width, height = (rng.uniform(0.4, 1, 2) * stored).tolist()
    crop = Crop(rng.uniform(0, stored[0] - width), rng.uniform(0, stored[1] - height), width, height, seed % 2 == 1)
    image, matrix = load_part(jpeg(camera_keyframe.drawn_image(3, stored)), crop, size)
    assert image.shape == (size[1], size[0], 3) and image.dtype == np.uint8
    want = shown(matrix, size[::-1], 3, stored)
    # Interpolation and JPEG: two grey levels of 255; a pixel of shift is three or more on average.
    assert np.abs(image - want).mean() < 1.5 and np.abs(image - want).max() < 25
    # The part is the one that was asked for, up to one decoded pixel (8 at most here).
    corners = np.linalg.inv(matrix) @ np.array([[0, size[0], 1.], [0, size[1], 1.], [1, 1, 1]])[:, :2]
    asked = sorted([crop.left, crop.left + crop.width]), sorted([crop.top, crop.top + crop.height])
    assert np.abs(np.sort(corners[:2], 1) - asked).max() <= 8


def test_all_cameras_of_a_sample(keyframe):
    out = load(keyframe, size=(60, 104))
    assert len(out['img']) == len(out['img_aug_matrix']) == out['num_views'] == len(out['img_path']) == 6
    assert out['img_shape'] == out['pad_shape'] == (60, 104) and out['ori_shape'] == SIZE[::-1]
    for camera, (image, matrix) in enumerate(zip(out['img'], out['img_aug_matrix'])):
        assert image.shape == (60, 104, 3)
        assert np.allclose(matrix @ [*SIZE, 1], [104, 60, 1]) and np.allclose(matrix[:2, 2], 0)
        assert np.abs(image - shown(matrix, (60, 104), camera, SIZE)).mean() < 2


def test_a_fixed_crop(keyframe):
    out = load(keyframe, size=(50, 160), crop=(0., 4 / 9, 1., 5 / 9))
    for camera, (image, matrix) in enumerate(zip(out['img'], out['img_aug_matrix'])):
        assert np.allclose(matrix @ [0, 80, 1], [0, 0, 1]) and np.allclose(matrix @ [320, 180, 1], [160, 50, 1])
        assert np.abs(image - shown(matrix, (50, 160), camera, SIZE)).mean() < 2


def test_beside_mmdet3d(keyframe):
    """Full-size decoding and averaging, by mmdet3d's loader."""
    ours = load(keyframe, size=(45, 80))['img']
    full = LoadMultiViewImageFromFiles(num_views=6)(camera_keyframe.read_sample(keyframe))['img']
    for mine, theirs in zip(ours, full):
        want = cv2.resize(np.ascontiguousarray(theirs), (80, 45), interpolation=cv2.INTER_AREA)
        assert np.abs(mine.astype(int) - want).mean() < 1


def test_resized_copies(keyframe, tmp_path):
    """Files of half the size that was recorded: an error, unless declared."""
    def shrink(sample):
        for image in sample['images'].values():
            image['img_path'] = str(shrunk)

    shrunk = tmp_path / 'half.jpg'
    shrunk.write_bytes(jpeg(cv2.resize(camera_keyframe.drawn_image(0, SIZE), (160, 90), interpolation=cv2.INTER_AREA)))
    with pytest.raises(ValueError, match=r'half.jpg\) has 160 x 90 pixels, but the principal point.*resized'):
        load(keyframe, change=shrink, size=(60, 104))
    declared = dict(recorded_size=SIZE)
    with pytest.raises(ValueError, match='recorded with 320 x 180 pixels.*the file has 160 x 90.*resized=True'):
        load(keyframe, declared, change=shrink, size=(60, 104))
    out = load(keyframe, declared, change=shrink, size=(60, 104), resized=True,
               crops=[Crop(40, 20, 250, 150), Crop(0, 0, 100, 60, True)] * 3)
    for image, matrix in zip(out['img'], out['img_aug_matrix']):
        assert np.abs(image - shown(matrix, (60, 104), 0, SIZE)).mean() < 2.5
    assert np.allclose(out['img_aug_matrix'][0] @ [40, 20, 1], [0, 0, 1], atol=0.5)

    shrunk.write_bytes(jpeg(np.zeros((120, 160, 3), np.uint8)))
    with pytest.raises(ValueError, match='160 x 120 pixels, which is no resized copy.*320 x 180.*proportion'):
        load(keyframe, declared, change=shrink, size=(60, 104), resized=True)


@pytest.mark.parametrize('content, message', [
    (None, 'CAM_BACK .*does not exist'), (b'', 'CAM_BACK .*no image .0 bytes'), (b'hello', 'CAM_BACK .*no image'),
    ('half', r'CAM_BACK .*is truncated at \d+ bytes: copy it again')])
def test_bad_files_are_named(keyframe, tmp_path, content, message):
    path = tmp_path / 'picture.jpg'
    if content == 'half':
        whole = jpeg(camera_keyframe.drawn_image(0, SIZE))
        path.write_bytes(whole[:len(whole) // 2])
    elif content is not None:
        path.write_bytes(content)

    def change(sample):
        sample['images']['CAM_BACK'].update(img_path=str(path))

    for prepare in (None, dict(recorded_size=SIZE)):
        with pytest.raises((FileNotFoundError, ValueError), match='picture.jpg'):
            load(keyframe, prepare, change=change, size=(60, 104))
    with pytest.raises((FileNotFoundError, ValueError), match=message):
        load(keyframe, dict(recorded_size=SIZE), change=change, size=(60, 104))


def test_wrong_arguments_and_order(keyframe):
    for options in (dict(size=(0, 5)), dict(size=(5, 5), crop=(0.5, 0, 0.6, 1)), dict(size=(5, 5), oversampling=0)):
        with pytest.raises(ValueError, match='LoadCameraImages'):
            LoadCameraImages(**options)
    with pytest.raises(KeyError, match='put PrepareCameras'):
        LoadCameraImages(size=(60, 104))(camera_keyframe.read_sample(keyframe))


def test_it_travels_to_workers(keyframe):
    step = pickle.loads(pickle.dumps(LoadCameraImages(size=(60, 104))))
    assert len(step(PrepareCameras()(camera_keyframe.read_sample(keyframe)))['img']) == 6
