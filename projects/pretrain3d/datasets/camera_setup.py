"""The cameras of a sample before anything is read from them: which, in which order, and of what image size.

Pixels of a *recorded* image are those that ``cam2img`` belongs to, counted from the outer edge: pixel i covers
[i, i + 1). ``PrepareCameras`` writes the recorded size beside the matrices; pairing, cropping and loading rely on it.
"""
from pathlib import Path
from typing import Any, Dict, Optional, Sequence, Tuple

import numpy as np
from mmcv.transforms import BaseTransform
from PIL import Image, UnidentifiedImageError

from mmdet3d.registry import TRANSFORMS

from .point_index import sample_name

# How far, in shares of the image, the principal point may lie from the middle. Real cameras: a few per cent. Of an
# image stored at half or twice the size that the matrix belongs to it seems to lie at 1 or at 1/4.
OFF_CENTRE = 0.2


def read_size(path: str) -> Tuple[int, int]:
    """Width and height of an image file, from its header alone.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no image.
    """
    try:
        with Image.open(path) as image:
            return image.size
    except FileNotFoundError:
        raise FileNotFoundError(f'image file {path} does not exist: check data_root and data_prefix of this camera') \
            from None
    except UnidentifiedImageError:
        raise ValueError(f'{path} is no image that can be read ({Path(path).stat().st_size} bytes): copy it again') \
            from None


def camera_label(results: dict, name: str) -> str:
    """How to name a camera of a sample in an error: by its file, and by that alone, which may be noted as a bad one."""
    path = results['images'][name].get('img_path')
    return f'camera {name} ({path})' if path else f'{sample_name(results)}, camera {name}'


def recorded_size(results: dict, name: str) -> Tuple[int, int]:
    """Width and height of a camera's recorded image.

    Raises:
        KeyError: ``PrepareCameras`` did not run.
    """
    camera = results.get('images', {}).get(name, {})
    if 'width' not in camera or 'height' not in camera:
        raise KeyError(f'{sample_name(results)}: the image size of camera {name} is not known yet: put PrepareCameras '
                       'behind the loading of the points')
    return int(camera['width']), int(camera['height'])


@TRANSFORMS.register_module()
class PrepareCameras(BaseTransform):
    """Choose the cameras, check that they are whole and write down the size of their images.

    The first camera step of a pipeline: cameras are numbered by their place in ``images`` from here on. The size of a
    recorded image is what the info says (``width``, ``height``), else ``recorded_size``, else that of the file. In the
    last case the principal point must lie near the middle; otherwise the file was resized and the matrices were not.

    Required Keys:

    - images (dict[str, dict]): per camera ``img_path`` and lidar2img, or cam2img and lidar2cam

    Modified Keys:

    - images: the chosen cameras in order, with ``width`` and ``height``

    Args:
        names (Sequence[str], optional): Cameras that every sample must have, in this order. Defaults to None: all that
            the sample has, in its order.
        number (int, optional): Draw so many of them, in random order. Defaults to None: all.
        recorded_size (tuple[int, int], optional): Width and height that ``cam2img`` belongs to, where the info does
            not say; needed where the files are resized copies. Defaults to None.
    """

    def __init__(self, names: Optional[Sequence[str]] = None, number: Optional[int] = None,
                 recorded_size: Optional[Tuple[int, int]] = None) -> None:
        if number is not None and (number < 1 or (names is not None and number > len(names))):
            raise ValueError(f'PrepareCameras: number is {number}; it must be from 1 to the number of cameras')
        if recorded_size is not None and (len(recorded_size) != 2 or min(recorded_size) < 1):
            raise ValueError(f'PrepareCameras: recorded_size is {recorded_size}; it must be (width, height)')
        self.names = None if names is None else tuple(names)
        self.number = number
        self.recorded_size = None if recorded_size is None else tuple(recorded_size)

    def transform(self, results: dict) -> dict:
        """Choose and check.

        Raises:
            KeyError: A camera, its path or its matrices are missing.
            FileNotFoundError, ValueError: The file is missing, no image, or of another size than its matrices.
        """
        if 'recorded_pixels' in results or 'img' in results:
            raise ValueError(f'{sample_name(results)}: PrepareCameras changes the numbers of the cameras: put it '
                             'before FindPointPixels and the loading of images')
        cameras = results.get('images')
        if not cameras:
            raise KeyError(f'{sample_name(results)} has no images: set modality=dict(use_lidar=True, use_camera=True) '
                           'of the dataset, and check that its info file has any')
        names = self.names or tuple(cameras)
        missing = [name for name in names if name not in cameras]
        if missing:
            raise KeyError(f'{sample_name(results)} has no camera {", ".join(missing)}, only {", ".join(cameras)}: '
                           'mend the info file, or name other cameras in PrepareCameras')
        if self.number is not None:
            if self.number > len(names):
                raise KeyError(f'{sample_name(results)} has {len(names)} cameras, PrepareCameras wants {self.number}')
            names = [names[i] for i in np.random.permutation(len(names))[:self.number]]
        results['images'] = {name: dict(cameras[name]) for name in names}
        for name, camera in results['images'].items():
            self._check(results, name, camera)
            camera['width'], camera['height'] = self._size(results, name, camera)
        return results

    @staticmethod
    def _check(results: dict, name: str, camera: Dict[str, Any]) -> None:
        """Raise where a camera lacks its path or its matrices."""
        if not camera.get('img_path'):
            raise KeyError(f'{camera_label(results, name)} has no img_path: mend the info file')
        if 'lidar2img' not in camera and not ('cam2img' in camera and 'lidar2cam' in camera):
            raise KeyError(f'{camera_label(results, name)} has no lidar2img, nor cam2img and lidar2cam, only '
                           f'{sorted(camera)}: make the info file again with mmdet3d\'s create_data.py')

    def _size(self, results: dict, name: str, camera: Dict[str, Any]) -> Tuple[int, int]:
        """Width and height of the recorded image."""
        if 'width' in camera and 'height' in camera:
            size = int(camera['width']), int(camera['height'])
            if self.recorded_size not in (None, size):
                raise ValueError(f'{camera_label(results, name)} was recorded at {size} by its info, and at '
                                 f'{self.recorded_size} by recorded_size of PrepareCameras: drop the latter')
            return size
        if self.recorded_size is not None:
            return self.recorded_size
        size = read_size(camera['img_path'])
        if 'cam2img' in camera:
            point = np.asarray(camera['cam2img'], np.float64)[:2, 2]
            if (np.abs(point / size - 0.5) > OFF_CENTRE).any():
                raise ValueError(
                    f'{camera_label(results, name)} has {size[0]} x {size[1]} pixels, but the principal point of its '
                    f'cam2img is ({point[0]:.0f}, {point[1]:.0f}): the file seems to be resized while the matrix is '
                    "not. Give recorded_size=(width, height) of PrepareCameras and resized=True of LoadCameraImages, "
                    "or the info's images their width and height")
        return size

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(names={self.names}, number={self.number}, '
                f'recorded_size={self.recorded_size})')
