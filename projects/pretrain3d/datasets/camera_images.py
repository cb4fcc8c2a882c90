"""Camera images, decoded no larger than they are needed.

A JPEG can be decoded at 1/2, 1/4 or 1/8 of its size: fewer coefficients of every 8 x 8 block are turned back into
pixels. Such an image is an average, which a full-size image resized by interpolation is not, and costs a fraction of
time and memory. Decoding at 1/r is exactly a factor of 1/r on pixel coordinates, also where r does not divide the size.

Images stay uint8 in BGR, as OpenMMLab's loaders give them; the data preprocessor swaps channels (``bgr_to_rgb``),
normalises (``mean``, ``std``), pads and stacks them on the device into ``inputs['imgs']`` (B, cameras, 3, h, w).
"""
from io import BytesIO
from typing import NamedTuple, Optional, Tuple

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.fileio import get
from PIL import Image, UnidentifiedImageError

from mmdet3d.registry import TRANSFORMS

from .camera_setup import camera_label, recorded_size
from .cameras import crop_matrix, flip_matrix, resize_matrix

_FLAGS = {1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4,
          8: cv2.IMREAD_REDUCED_COLOR_8}
_JPEG, _JPEG_END = b'\xff\xd8', b'\xff\xd9'
# Some cameras pad their files; the end mark must stand in the last so many bytes.
_TAIL = 4096


class Crop(NamedTuple):
    """Part of a recorded image, in its pixels, and whether it is mirrored left to right afterwards."""
    left: float
    top: float
    width: float
    height: float
    flip: bool = False


def choose_reduction(crop: Tuple[float, float], size: Tuple[int, int], oversampling: float = 1.) -> int:
    """The strongest reduction (1, 2, 4 or 8) that leaves ``oversampling`` decoded pixels a side for every pixel wanted.

    Args:
        crop: Width and height of the part of the stored image that is used.
        size: Width and height that it is resized to.
        oversampling: Decoded pixels per pixel wanted, at least.
    """
    factor = min(crop[0] / size[0], crop[1] / size[1]) / oversampling
    return max((r for r in _FLAGS if r <= factor + 1e-9), default=1)


def decode(data: bytes, reduction: int = 1) -> np.ndarray:
    """Decode an image at 1 / ``reduction`` of its size; anything but JPEG is decoded whole and averaged.

    Args:
        data: Content of the file.
        reduction: 1, 2, 4 or 8.

    Returns:
        (h, w, 3) uint8 BGR, h and w rounded down.

    Raises:
        ValueError: The data are no image, or end too early.
    """
    jpeg = data[:2] == _JPEG
    if jpeg and _JPEG_END not in data[-_TAIL:]:
        raise ValueError(f'is truncated at {len(data)} bytes')  # the decoder would fill up with grey
    # Orientation tags are for viewers; the matrices belong to the pixels as they are stored.
    flag = _FLAGS[reduction if jpeg else 1] | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flag) if data else None
    if image is None:
        raise ValueError(f'cannot be decoded ({len(data)} bytes)')
    if not jpeg and reduction > 1:
        rows, columns = (side // reduction for side in image.shape[:2])
        return cv2.resize(image[:rows * reduction, :columns * reduction], (columns, rows),
                          interpolation=cv2.INTER_AREA)
    if reduction > 1:  # where the reduction does not divide the size, the last pixel is half made up
        width, height = stored_size(data)
        image = image[:height // reduction, :width // reduction]
    return image


def stored_size(data: bytes) -> Tuple[int, int]:
    """Width and height of an image from the content of its file, without decoding it.

    Raises:
        ValueError: The data are no image.
    """
    try:
        with Image.open(BytesIO(data)) as image:
            return image.size
    except UnidentifiedImageError:
        raise ValueError(f'is no image ({len(data)} bytes)') from None


def load_part(data: bytes, crop: Crop, size: Tuple[int, int], oversampling: float = 1.
              ) -> Tuple[np.ndarray, np.ndarray]:
    """Decode, crop, resize and mirror a stored image.

    The crop is moved by less than one decoded pixel, so that it is a plain slice; the matrix says where it is.

    Args:
        data: Content of the file.
        crop: Part wanted, in pixels of the stored image.
        size: Width and height wanted.
        oversampling: As in :func:`choose_reduction`.

    Returns:
        tuple: Image (height, width, 3) uint8 BGR, and the matrix (3, 3) from pixels (u, v, 1) of the stored image to
        its pixels.
    """
    reduction = choose_reduction(crop[2:4], size, oversampling)
    image = decode(data, reduction)
    (left, width), (top, height) = (
        _snap(crop[side] / reduction, crop[side + 2] / reduction, image.shape[1 - side]) for side in (0, 1))
    image = image[top:top + height, left:left + width]
    if (width, height) != tuple(size):
        image = cv2.resize(image, tuple(size), interpolation=cv2.INTER_LINEAR)
    matrix = (resize_matrix(size[0] / width, size[1] / height) @ crop_matrix(left, top)
              @ resize_matrix(1 / reduction, 1 / reduction))
    if crop.flip:
        image, matrix = image[:, ::-1], flip_matrix(size[0]) @ matrix
    return image, matrix


def _snap(start: float, length: float, limit: int) -> Tuple[int, int]:
    """Start and length in whole pixels, inside 0 ... ``limit``."""
    length = min(max(int(round(length)), 1), limit)
    return min(max(int(round(start)), 0), limit - length), length


@TRANSFORMS.register_module()
class LoadCameraImages(BaseTransform):
    """Read the images of all cameras at the size that the network gets.

    Place it behind the 3D augmentation: mmdet3d's ``RandomFlip3D`` flips any image it finds. ``UpdateCameras`` and
    ``AlignPointPixels``, behind it, use the matrices that it writes.

    Required Keys:

    - images (dict[str, dict]): of ``PrepareCameras``
    - image_crops (list[Crop]): of ``DrawImageCrops``, if it ran

    Added Keys:

    - img (list[np.ndarray]): per camera (height, width, 3) uint8 BGR
    - img_aug_matrix (list[np.ndarray]): per camera (3, 3) float64, from pixels of the recorded image to those of
      ``img``
    - img_path (list[str]), img_shape, pad_shape, ori_shape (tuple[int, int]: height, width), num_views (int)

    Args:
        size (tuple[int, int]): Height and width of the images.
        crop (tuple[float, float, float, float], optional): Part of every recorded image to use where no crop was
            drawn, as shares of its sides: left, top, width, height. Defaults to None: all of it.
        oversampling (float): Pixels a side to decode for every pixel of ``img``, at least; the factor left is resized
            bilinearly. Below 1 saves time where a crop is hardly too small for the next reduction. Defaults to 1.
        resized (bool): Whether the files may be resized copies of what was recorded. Defaults to False: an error.
        backend_args (dict, optional): Of mmengine's file client. Defaults to None.
    """

    def __init__(self, size: Tuple[int, int], crop: Optional[Tuple[float, float, float, float]] = None,
                 oversampling: float = 1., resized: bool = False, backend_args: Optional[dict] = None) -> None:
        if len(size) != 2 or min(size) < 1:
            raise ValueError(f'LoadCameraImages: size is {size}; it must be (height, width)')
        if crop is not None and not (len(crop) == 4 and min(crop[:2]) >= 0 and min(crop[2:]) > 0
                                     and max(crop[0] + crop[2], crop[1] + crop[3]) <= 1 + 1e-9):
            raise ValueError(f'LoadCameraImages: crop is {crop}; it must be (left, top, width, height) as shares of '
                             'the image, inside of it')
        if oversampling <= 0:
            raise ValueError(f'LoadCameraImages: oversampling is {oversampling}; it must be above 0')
        self.size = tuple(size)
        self.crop = crop
        self.oversampling = oversampling
        self.resized = resized
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        """Read the images.

        Raises:
            FileNotFoundError: A file is missing.
            ValueError: A file is damaged, or of another size than was recorded.
        """
        names = list(results.get('images', {}))
        sizes = [recorded_size(results, name) for name in names]
        crops = results.get('image_crops') or [self._fixed(size) for size in sizes]
        loaded = [self._load(results, name, size, crop) for name, size, crop in zip(names, sizes, crops)]
        results['img'] = [image for image, _ in loaded]
        results['img_aug_matrix'] = [matrix for _, matrix in loaded]
        results['img_path'] = [results['images'][name]['img_path'] for name in names]
        results['img_shape'] = results['pad_shape'] = self.size
        results['ori_shape'] = sizes[0][::-1]
        results['num_views'] = len(names)
        return results

    def _fixed(self, size: Tuple[int, int]) -> Crop:
        left, top, width, height = self.crop or (0., 0., 1., 1.)
        return Crop(left * size[0], top * size[1], width * size[0], height * size[1])

    def _load(self, results: dict, name: str, recorded: Tuple[int, int], crop: Crop) -> Tuple[np.ndarray, np.ndarray]:
        """Image and matrix of one camera."""
        label = camera_label(results, name)
        try:
            data = get(results['images'][name]['img_path'], backend_args=self.backend_args)
        except FileNotFoundError:
            raise FileNotFoundError(f'{label}: the image file does not exist: check data_root and data_prefix of this '
                                    'camera') from None
        try:
            stored = stored_size(data)
            factor = self._factor(label, stored, recorded)
            part = Crop(crop.left * factor[0], crop.top * factor[1], crop.width * factor[0], crop.height * factor[1],
                        crop.flip)
            image, matrix = load_part(data, part, self.size[::-1], self.oversampling)
        except ValueError as error:
            if label in str(error):
                raise
            raise ValueError(f'{label}: the image file {error}: copy it again, or take the sample out of the info '
                             'file') from error
        return image, matrix @ resize_matrix(*factor)

    def _factor(self, label: str, stored: Tuple[int, int], recorded: Tuple[int, int]) -> Tuple[float, float]:
        """Width and height of the stored image by those of the recorded one."""
        factor = stored[0] / recorded[0], stored[1] / recorded[1]
        if stored == recorded:
            return factor
        if not self.resized:
            raise ValueError(f'{label} was recorded with {recorded[0]} x {recorded[1]} pixels, to which its cam2img '
                             f'belongs, but the file has {stored[0]} x {stored[1]}: restore the file, or set '
                             'resized=True of LoadCameraImages if it is a resized copy')
        if abs(stored[0] * recorded[1] / recorded[0] - stored[1]) > 1:
            raise ValueError(f'{label} has {stored[0]} x {stored[1]} pixels, which is no resized copy of the recorded '
                             f'{recorded[0]} x {recorded[1]}: its sides have another proportion')
        return factor

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(size={self.size}, crop={self.crop}, oversampling={self.oversampling}, '
                f'resized={self.resized})')
