"""Which point is seen at which pixel.

Two steps, so that any augmentation of points and images may lie between them::

    load points -> AddPointIndex -> PrepareCameras -> FindPointPixels -> 3D augmentation -> [DrawImageCrops ->]
    LoadCameraImages -> UpdateCameras -> AlignPointPixels -> PackPretrain3DInputs

``FindPointPixels`` projects the points as the sensors measured them, in float64: what augmentation does to the
coordinates cannot move a pair. ``AlignPointPixels`` follows the points by their index column and the pixels by
``img_aug_matrix``. mmdet3d's ``lidar2cam`` contains how far the car drove between the LiDAR's time stamp and the
camera's.
"""
from dataclasses import dataclass
from typing import Any, Dict, Optional, Tuple

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mmdet3d.registry import TRANSFORMS

from .camera_setup import recorded_size
from .cameras import square_matrix
from .point_index import follow_index, sample_name, split_index
from .point_moves import unfollowed


@dataclass
class PointPixels:
    """Pairs of points and pixels, sorted by camera, then by point.

    Attributes:
        camera: (P,) int64 place of the camera in ``images``.
        row: (P,) int64 row of the point where the index column was added.
        pixel: (P, 2) float64 u (to the right) and v (down) in the recorded image; pixel i covers [i, i + 1).
        depth: (P,) float64 metres along the optical axis, as measured.
    """
    camera: np.ndarray
    row: np.ndarray
    pixel: np.ndarray
    depth: np.ndarray

    def __len__(self) -> int:
        return len(self.row)

    def take(self, which: np.ndarray) -> 'PointPixels':
        """Pairs named by a mask or by numbers."""
        return PointPixels(self.camera[which], self.row[which], self.pixel[which], self.depth[which])


def projection(camera: Dict[str, Any]) -> np.ndarray:
    """Matrix (4, 4) float64 from points of the LiDAR's frame to (u z, v z, z, 1)."""
    if 'lidar2img' in camera:
        return square_matrix(camera['lidar2img'])
    return square_matrix(camera['cam2img']) @ square_matrix(camera['lidar2cam'])


def project(xyz: np.ndarray, lidar2img: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Project points.

    Args:
        xyz: (n, 3) metres.
        lidar2img: (4, 4) from them to (u z, v z, z, 1).

    Returns:
        tuple: Pixels (n, 2) float64, without meaning where the depth is not positive, and depth (n,) in metres.
    """
    moved = np.asarray(xyz, np.float64) @ lidar2img[:3, :3].T + lidar2img[:3, 3]
    depth = moved[:, 2]
    return moved[:, :2] / np.where(np.abs(depth) < 1e-9, 1e-9, depth)[:, None], depth


def inside_image(pixel: np.ndarray, size: Tuple[int, int]) -> np.ndarray:
    """Mask (n,) of pixels (n, 2) in [0, width) x [0, height); infinite ones and NaN are outside."""
    return ((pixel >= 0) & (pixel < np.asarray(size))).all(1)


def unoccluded(pixel: np.ndarray, depth: np.ndarray, size: Tuple[int, int], footprint: Tuple[int, int] = (0, 0),
               tolerance: float = 0.) -> np.ndarray:
    """Z-buffer test: which points are not behind another one.

    A point hides what lies more than ``tolerance`` behind it in the pixels around its own.

    Args:
        pixel: (n, 2) inside the image.
        depth: (n,) positive.
        size: Width and height of the image.
        footprint: Pixels to the left and right of, and above and below its own that a point covers.
        tolerance: Share of the nearer depth.

    Returns:
        Mask (n,).
    """
    depth = np.asarray(depth, np.float32)
    column, row = np.floor(pixel).astype(np.int64).T
    nearest = np.full((size[1], size[0]), np.inf, np.float32)
    np.minimum.at(nearest, (row, column), depth)
    if any(footprint):
        # The nearest of the points around a pixel; beyond the border there are none.
        nearest = cv2.erode(nearest, np.ones((2 * footprint[1] + 1, 2 * footprint[0] + 1), np.uint8))
    return depth <= nearest[row, column] * np.float32(1 + tolerance)


def focal_lengths(lidar2img: np.ndarray) -> Tuple[float, float]:
    """Pixels per unit of tangent, to the right and down, of a projection (4, 4); of any scale, also after cropping."""
    rows = lidar2img[:3, :3] / np.linalg.norm(lidar2img[2, :3])
    across = rows[:2] - (rows[:2] @ rows[2])[:, None] * rows[2]
    return tuple(np.linalg.norm(across, axis=1))


@TRANSFORMS.register_module()
class FindPointPixels(BaseTransform):
    """Pair every point with the pixels that show it, at most one per camera.

    Place it behind ``AddPointIndex`` and ``PrepareCameras``, before the 3D augmentation; or behind ``UpdateCameras``,
    then in the precision of augmented points. Before ``AddPointIndex``, points must be in the order in which it will
    find them: before ``LoadPointsFromMultiSweeps``, which puts those of the keyframe first, only these are paired.

    Required Keys:

    - points (BasePoints)
    - images (dict[str, dict]): of ``PrepareCameras``

    Added Keys:

    - recorded_pixels (PointPixels): what ``AlignPointPixels`` turns into ``point_pixels``

    Args:
        min_depth (float): Points must be farther from the camera than this, metres. Defaults to 1: nearer ones are on
            the own car.
        footprint (tuple[float, float], optional): Z-buffer test: half the angle to the left and right, and up and
            down, that a point covers, in degrees. Half the spacing of beams closes the gaps between them without
            letting neighbours hide each other; (0.17, 0.6) for nuScenes' LiDAR. Defaults to None: no test, a point on
            something that another one hides is paired too.
        tolerance (float): A point is hidden if it lies farther behind the other than this share of its depth.
            Defaults to 0.05.
    """

    def __init__(self, min_depth: float = 1., footprint: Optional[Tuple[float, float]] = None,
                 tolerance: float = 0.05) -> None:
        if min_depth <= 0:
            raise ValueError(f'FindPointPixels: min_depth is {min_depth}; it must be above 0 metres')
        if footprint is not None and (len(footprint) != 2 or min(footprint) < 0 or max(footprint) > 10):
            raise ValueError(f'FindPointPixels: footprint is {footprint}; it must be two angles from 0 to 10 degrees')
        if tolerance < 0:
            raise ValueError(f'FindPointPixels: tolerance is {tolerance}; it must not be negative')
        self.min_depth = min_depth
        self.footprint = footprint
        self.tolerance = tolerance

    def transform(self, results: dict) -> dict:
        """Project the points into all cameras.

        Raises:
            KeyError: A camera has no matrices, or its image size is not known.
            ValueError: The points are augmented, the cameras are not.
        """
        ahead = unfollowed(results)
        if ahead:
            raise ValueError(f'{sample_name(results)}: the points are augmented and the cameras are not, by '
                             f'{", ".join(ahead)} of transformation_3d_flow: put FindPointPixels before the '
                             'augmentation, or behind UpdateCameras')
        xyz, index = split_index(results['points'])
        xyz = xyz[:, :3].double().numpy()
        index = np.arange(len(xyz)) if index is None else index
        found = []
        for camera, name in enumerate(results.get('images', {})):
            which, pixel, depth = self._in_camera(results, xyz, camera, name)
            # By row; a point that the pipeline has repeated counts once.
            row, first = np.unique(index[which], return_index=True)
            found.append(PointPixels(np.full(len(row), camera), row, pixel[first], depth[first]))
        if not found:
            raise KeyError(f'{sample_name(results)} has no images: put PrepareCameras before FindPointPixels')
        results['recorded_pixels'] = PointPixels(*(
            np.concatenate([getattr(part, key) for part in found]) for key in ('camera', 'row', 'pixel', 'depth')))
        return results

    def _in_camera(self, results: dict, xyz: np.ndarray, camera: int,
                   name: str) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows of ``xyz``, recorded pixels and depth of the points that a camera shows."""
        try:
            matrix = projection(results['images'][name])
        except KeyError as error:
            raise KeyError(f'{sample_name(results)}, camera {name} has no lidar2img, nor cam2img and lidar2cam '
                           f'(missing {error}): mend the info file') from None
        size = recorded_size(results, name)
        if 'lidar_aug_matrix' in results and 'img_aug_matrix' in results:
            # UpdateCameras has moved the pixels as well; pairs are kept in those of the recorded image.
            matrix = square_matrix(np.linalg.inv(results['img_aug_matrix'][camera])) @ matrix
        pixel, depth = project(xyz, matrix)
        depth = depth / depth_scale(results)
        which = np.flatnonzero((depth > self.min_depth) & inside_image(pixel, size))
        if self.footprint is not None:
            reach = [int(round(focal * np.tan(np.radians(angle))))
                     for focal, angle in zip(focal_lengths(matrix), self.footprint)]
            which = which[unoccluded(pixel[which], depth[which], size, reach, self.tolerance)]
        return which, pixel[which], depth[which]

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(min_depth={self.min_depth}, footprint={self.footprint}, '
                f'tolerance={self.tolerance})')


def depth_scale(results: dict) -> float:
    """Factor of lengths between what was measured and what the sample's matrices give: 1 until ``UpdateCameras``."""
    if 'lidar_aug_matrix' not in results:
        return 1.
    return float(np.abs(np.linalg.det(results['lidar_aug_matrix'][:3, :3])) ** (1 / 3))


def remaining_pairs(results: dict) -> Tuple[PointPixels, np.ndarray]:
    """The pairs whose points are still there.

    Returns:
        tuple: Pairs, those of a repeated point repeated, and the rows (P,) int64 of their points as they are now.

    Raises:
        KeyError: ``FindPointPixels`` did not run.
        ValueError: The points cannot be followed.
    """
    if 'recorded_pixels' not in results:
        raise KeyError(f'{sample_name(results)}: there are no point-pixel pairs yet: put FindPointPixels before the '
                       'augmentation')
    pairs = results['recorded_pixels']
    index = split_index(results['points'])[1]
    if index is None:
        raise ValueError(f'{sample_name(results)}: the points have no index column to follow them by: put '
                         'AddPointIndex before the first augmentation')
    if len(pairs) and pairs.row.max() >= results.get('point_index_size', np.inf):
        raise ValueError(f'{sample_name(results)}: pairs name point {pairs.row.max()}, but the cloud had '
                         f'{results["point_index_size"]} points at AddPointIndex: put FindPointPixels behind it')
    which, rows = follow_index(pairs.row, index)
    return pairs.take(which), rows


@TRANSFORMS.register_module()
class AlignPointPixels(BaseTransform):
    """Bring the pairs in step with points and images as they will be packed; the last step before packing.

    ``depth`` and pixel agree with the sample's matrices: behind ``UpdateCameras``, (u d, v d, d) goes back to the
    packed point by the inverse of ``lidar2img``; to where it would be without jitter, clamping or elastic distortion.

    Required Keys:

    - recorded_pixels (PointPixels), points (BasePoints with the index column)
    - img, img_aug_matrix: where images were loaded; else pixels stay those of the recorded images

    Added Keys, for ``keys`` of ``PackPretrain3DInputs``:

    - point_pixels (np.ndarray): (P, 4) float32: camera, row of the point, u, v; sorted by camera, then row. u and v lie
      in [0, width) x [0, height) of the image, so their floor is the pixel
    - point_pixel_depth (np.ndarray): (P,) float32 metres along the optical axis

    Args:
        min_pairs (int): With fewer pairs the sample is given up and another one drawn. Defaults to 0: never.
    """

    def __init__(self, min_pairs: int = 0) -> None:
        self.min_pairs = min_pairs

    def transform(self, results: dict) -> Optional[dict]:
        """Move the pixels, follow the points.

        Raises:
            KeyError, ValueError: Pairs, index column or image sizes are missing.
            ValueError: The points were moved behind ``UpdateCameras``.
        """
        ahead = unfollowed(results, bent=False)
        if 'lidar_aug_matrix' in results and ahead:
            raise ValueError(f'{sample_name(results)}: {", ".join(ahead)} of transformation_3d_flow moved the points '
                             'behind UpdateCameras, so the matrices do not fit them: put UpdateCameras behind it')
        pairs, rows = remaining_pairs(results)
        pixel = np.zeros((len(pairs), 2), np.float32)
        seen = np.zeros(len(pairs), bool)
        for camera, name in enumerate(results['images']):
            own = pairs.camera == camera
            if 'img' in results:
                matrix, size = results['img_aug_matrix'][camera], results['img'][camera].shape[1::-1]
            else:
                matrix, size = np.eye(3), recorded_size(results, name)
            # Rounded first: a pixel just below the border would else become the border.
            pixel[own] = pairs.pixel[own] @ matrix[:2, :2].T + matrix[:2, 2]
            seen[own] = inside_image(pixel[own], size)
        order = np.flatnonzero(seen)
        order = order[np.lexsort((rows[order], pairs.camera[order]))]
        if len(order) < self.min_pairs:
            return None
        results['point_pixels'] = np.concatenate(
            [np.stack([pairs.camera[order], rows[order]], 1).astype(np.float32), pixel[order]], 1)
        results['point_pixel_depth'] = (pairs.depth[order] * depth_scale(results)).astype(np.float32)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(min_pairs={self.min_pairs})'
