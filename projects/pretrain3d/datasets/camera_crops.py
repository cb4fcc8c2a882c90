"""Random crops of camera images, drawn before anything is decoded."""
from typing import List, Optional, Tuple

import numpy as np
from mmcv.transforms import BaseTransform

from mmdet3d.registry import TRANSFORMS

from .camera_images import Crop
from .camera_setup import recorded_size
from .point_index import sample_name
from .point_pixels import remaining_pairs


@TRANSFORMS.register_module()
class DrawImageCrops(BaseTransform):
    """Draw a part of every camera's image, as the random resized crop of image training does, and a flip.

    A crop that loses too many of the point-pixel pairs is drawn again; after ``tries`` the best one is taken.

    Required Keys:

    - images (dict[str, dict]): of ``PrepareCameras``
    - recorded_pixels, points: with ``min_pairs``, so place it behind the 3D augmentation

    Added Keys:

    - image_crops (list[Crop]): per camera, in pixels of the recorded image, for ``LoadCameraImages``

    Args:
        area (tuple[float, float]): Least and largest share of the image. Defaults to (0.3, 1).
        ratio (tuple[float, float]): Least and largest width over height. Defaults to (14 / 9, 17 / 9).
        flip_prob (float): How likely an image is mirrored left to right. Defaults to 0.
        min_pairs (int): Pairs of the camera that are enough. Defaults to 0: any crop will do.
        min_share (float): Share of the camera's pairs that is enough where ``min_pairs`` are not to be had.
            Defaults to 0.75.
        tries (int): Defaults to 10.
    """

    def __init__(self, area: Tuple[float, float] = (0.3, 1.), ratio: Tuple[float, float] = (14 / 9, 17 / 9),
                 flip_prob: float = 0., min_pairs: int = 0, min_share: float = 0.75, tries: int = 10) -> None:
        if not 0 < area[0] <= area[1] <= 1:
            raise ValueError(f'DrawImageCrops: area is {area}; it must be shares of the image in (0, 1], least first')
        if not 0 < ratio[0] <= ratio[1]:
            raise ValueError(f'DrawImageCrops: ratio is {ratio}; it must be positive, least first')
        if tries < 1:
            raise ValueError(f'DrawImageCrops: tries is {tries}; it must be at least 1')
        self.area = tuple(area)
        self.ratio = tuple(ratio)
        self.flip_prob = flip_prob
        self.min_pairs = min_pairs
        self.min_share = min_share
        self.tries = tries

    def transform(self, results: dict) -> dict:
        """Draw.

        Raises:
            KeyError: The size of an image, or with ``min_pairs`` the pairs, are not known yet.
            ValueError: The images are loaded already.
        """
        if 'img' in results:
            raise ValueError(f'{sample_name(results)}: the images are loaded already: put DrawImageCrops before '
                             'LoadCameraImages')
        pixels = self._pixels(results)
        results['image_crops'] = [
            self._draw(recorded_size(results, name), None if pixels is None else pixels[camera])
            for camera, name in enumerate(results.get('images', {}))]
        return results

    def _pixels(self, results: dict) -> Optional[List[np.ndarray]]:
        """Recorded pixels (P_c, 2) of the pairs of every camera whose points are still there."""
        if not self.min_pairs:
            return None
        pairs, _ = remaining_pairs(results)
        return [pairs.pixel[pairs.camera == camera] for camera in range(len(results['images']))]

    def _draw(self, size: Tuple[int, int], pixels: Optional[np.ndarray]) -> Crop:
        """The crop of one image."""
        best, most = None, -1
        for _ in range(self.tries):
            crop = self._one(size)
            if pixels is None:
                return crop
            inside = int(((pixels >= crop[:2]) & (pixels < np.add(crop[:2], crop[2:4]))).all(1).sum())
            if inside > most:
                best, most = crop, inside
            if inside >= self.min_pairs or inside >= self.min_share * len(pixels):
                break
        return best

    def _one(self, size: Tuple[int, int]) -> Crop:
        """A crop of random area, proportion and place; what does not fit is cut to the image."""
        area = np.random.uniform(*self.area) * size[0] * size[1]
        ratio = np.exp(np.random.uniform(*np.log(self.ratio)))
        width, height = min(np.sqrt(area * ratio), size[0]), min(np.sqrt(area / ratio), size[1])
        left, top = np.random.uniform(0, size[0] - width), np.random.uniform(0, size[1] - height)
        return Crop(float(left), float(top), float(width), float(height), bool(np.random.rand() < self.flip_prob))

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(area={self.area}, ratio={self.ratio}, flip_prob={self.flip_prob}, '
                f'min_pairs={self.min_pairs}, min_share={self.min_share}, tries={self.tries})')
