"""Cameras that follow the augmentation.

3D augmentation, mmdet3d's and ours, moves points and leaves the cameras where they were; it only records what it did.
Image augmentation moves pixels. ``UpdateCameras``, last in the pipeline, rewrites the matrices so that every physical
point still projects to the pixel that shows it.

Pixels are counted from the outer edge: pixel i covers [i, i + 1). In this convention (mmdet3d's) resizing is a pure
factor and a flip maps u to width - u.
"""
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from mmdet3d.registry import TRANSFORMS
from mmdet3d.structures import Box3DMode
from mmdet3d.structures.points import BasePoints, get_points_type

from .point_index import sample_name
from .point_moves import FLOW_KEY, FOLLOWED_KEY, MATRICES_KEY

CAMERA_KEYS = ('cam2img', 'lidar2cam', 'lidar2img', 'depth2img')


def resize_matrix(factor_x: float, factor_y: float) -> np.ndarray:
    """Pixel transform (3, 3) of resizing an image by the factors."""
    return np.diag([factor_x, factor_y, 1.])


def crop_matrix(left: float, top: float) -> np.ndarray:
    """Pixel transform (3, 3) of cutting ``left`` columns and ``top`` rows off (negative: padding)."""
    return np.array([[1., 0., -left], [0., 1., -top], [0., 0., 1.]])


def flip_matrix(width: float) -> np.ndarray:
    """Pixel transform (3, 3) of mirroring an image of ``width`` pixels left to right."""
    return np.array([[-1., 0., width], [0., 1., 0.], [0., 0., 1.]])


def recorded_augmentation(results: dict) -> Tuple[np.ndarray, float]:
    """What 3D augmentation did to the points.

    Args:
        results (dict): With ``transformation_3d_flow``, the ``pcd_*`` records and ``point_moves``.

    Returns:
        tuple: Matrix A (4, 4) with p' = A p for column vectors, and the factor by which lengths grew.

    Raises:
        ValueError: A record that does not tell what was done: two rotations or translations (each overwrites the
            record of the one before), an operation of unknown name, or one that moves each point by itself where no
            pixels were found before.
    """
    flow, own = results.get(FLOW_KEY, []), results.get(MATRICES_KEY, {})
    for step, transform in (('R', 'pcd_rotation'), ('T', 'pcd_trans')):
        if flow.count(step) > 1:
            raise ValueError(f'{sample_name(results)}: transformation_3d_flow is {flow}, but {transform} records '
                             'only the last of them: keep one GlobalRotScaleTrans before UpdateCameras')
    matrix, scale = np.eye(4), 1.
    for place, step in enumerate(flow):
        one = np.eye(4)
        if place in own:
            one = _own_move(results, step, own[place])
        elif step == 'R':
            # mmdet3d multiplies row vectors: p' = p @ pcd_rotation.
            one[:3, :3] = np.asarray(results['pcd_rotation'], dtype=np.float64).T
        elif step == 'S':
            scale *= float(results['pcd_scale_factor'])
            one[:3, :3] *= float(results['pcd_scale_factor'])
        elif step == 'T':
            one[:3, 3] = np.asarray(results['pcd_trans'], dtype=np.float64)
        elif step in ('HF', 'VF'):
            one[:3, :3] = _flip(results, 'horizontal' if step == 'HF' else 'vertical')
        else:
            raise ValueError(f'{sample_name(results)}: UpdateCameras does not know the 3D augmentation {step!r} in '
                             f'transformation_3d_flow {flow}')
        matrix = one @ matrix
    return matrix, scale


def _own_move(results: dict, step: str, matrix: Optional[np.ndarray]) -> np.ndarray:
    """Matrix (4, 4) of a step of ``record_move``: of one that has none, how its points would be without it."""
    if matrix is not None:
        return square_matrix(matrix)
    if 'recorded_pixels' not in results:
        raise ValueError(f'{sample_name(results)}: {step} moves each point by itself, which no camera can follow: put '
                         'it behind FindPointPixels, whose pairs go by index, or take it out')
    return np.eye(4)


def _flip(results: dict, direction: str) -> np.ndarray:
    """Matrix (3, 3) of a flip in the sample's coordinate type, as mmdet3d's own points do it."""
    points = results.get('points')
    if isinstance(points, BasePoints):
        kind = type(points)
    else:
        kind = get_points_type({Box3DMode.LIDAR: 'LIDAR', Box3DMode.CAM: 'CAMERA',
                                Box3DMode.DEPTH: 'DEPTH'}[results['box_mode_3d']])
    probe = kind(torch.eye(3))
    probe.flip(direction)
    return probe.tensor.double().numpy().T


def square_matrix(matrix: Any) -> np.ndarray:
    """A (3, 3), (3, 4) or (4, 4) camera matrix as (4, 4) float64."""
    matrix = np.asarray(matrix, dtype=np.float64)
    out = np.eye(4)
    out[:matrix.shape[0], :matrix.shape[1]] = matrix
    return out


def _pixel_transform(matrix: Any) -> np.ndarray:
    """An image augmentation as (4, 4) acting on (u z, v z, z, 1).

    (3, 3) acts on (u, v, 1); (4, 4) is the other common form, whose shift stands in the last column.
    """
    matrix = np.asarray(matrix, dtype=np.float64)
    if matrix.shape == (4, 4):
        matrix = matrix[np.ix_([0, 1, 3], [0, 1, 3])]
    if matrix.shape != (3, 3) or not np.allclose(matrix[2], [0, 0, 1]):
        raise ValueError(f'img_aug_matrix must be affine pixel transforms of shape (3, 3) or (4, 4), got {matrix}')
    return square_matrix(matrix)


def move_camera(camera: Dict[str, Any], points_moved: np.ndarray, scale: float,
                pixels_moved: Optional[np.ndarray] = None) -> Dict[str, np.ndarray]:
    """Matrices of one camera after augmentation.

    With p' = A p, A of scale s, and pixels moved by I: ``lidar2cam' = diag(s, s, s, 1) lidar2cam A^-1`` is again a
    rotation (a reflection after a flip) and sees a depth of s z; ``cam2img' = I cam2img``, its last column times s.

    Args:
        camera (dict): Some of cam2img, lidar2cam, lidar2img, depth2img.
        points_moved (np.ndarray): A (4, 4).
        scale (float): s.
        pixels_moved (np.ndarray, optional): I (3, 3) or (4, 4). Defaults to None: the image is as it was.

    Returns:
        dict: The same keys in float64, ``lidar2img`` also where it follows from the other two; ``cam2img`` in the
        shape it had, the others (4, 4).
    """
    pixels = np.eye(4) if pixels_moved is None else _pixel_transform(pixels_moved)
    grow, back = np.diag([scale, scale, scale, 1.]), np.linalg.inv(points_moved)
    moved = {}
    for key in ('lidar2img', 'depth2img'):
        if key in camera:
            moved[key] = pixels @ grow @ square_matrix(camera[key]) @ back
    if 'lidar2cam' in camera:
        moved['lidar2cam'] = grow @ square_matrix(camera['lidar2cam']) @ back
    if 'cam2img' in camera:
        full = pixels @ grow @ square_matrix(camera['cam2img']) @ np.linalg.inv(grow)
        rows, columns = np.asarray(camera['cam2img']).shape
        moved['cam2img'] = full[:rows, :columns]
        if 'lidar2cam' in camera:
            moved['lidar2img'] = full @ moved['lidar2cam']
    return moved


@TRANSFORMS.register_module()
class UpdateCameras(BaseTransform):
    """Rewrite the cameras after all augmentation of points and images; the last transform before packing.

    A model that undoes the augmentation itself (mmdet3d's ``apply_3d_transformation``: MVXNet, ImVoteNet) must not be
    given updated cameras.

    Required Keys (where present):

    - images (dict), or cam2img, lidar2cam, lidar2img, depth2img: one matrix or one per camera
    - transformation_3d_flow, pcd_rotation, pcd_scale_factor, pcd_trans, point_moves: records of 3D augmentation
    - img_aug_matrix: pixel transform per camera in the order of ``images``, (3, 3) on (u, v, 1) or (4, 4) with the
      shift in the last column; one matrix alone is for all cameras. Only what ``cam2img`` does not contain already:
      mmdet3d's ``RandomResize3D`` and ``RandomCrop3D`` rewrite ``cam2img`` themselves and need none

    Modified Keys: the matrices, at the top level and in ``images``

    Added Keys:

    - lidar_aug_matrix (np.ndarray): A (4, 4), p' = A p
    - cameras_follow (int): steps of the flow that the matrices contain

    Args:
        global_alignment (bool): Whether ``GlobalAlignment`` ran before the augmentation; it leaves no record, so its
            ``axis_align_matrix`` is added here. Defaults to False.
    """

    def __init__(self, global_alignment: bool = False) -> None:
        self.global_alignment = global_alignment

    def transform(self, results: dict) -> dict:
        """Rewrite the matrices.

        Raises:
            ValueError: The transform ran before, an image was flipped without ``img_aug_matrix``, or the number of
                matrices and cameras differ.
        """
        if 'lidar_aug_matrix' in results:
            raise ValueError(f'{sample_name(results)}: the cameras were updated already; keep one UpdateCameras in the '
                             'pipeline, after all augmentation')
        matrix, scale = recorded_augmentation(results)
        if self.global_alignment:
            matrix = matrix @ square_matrix(results['axis_align_matrix'])
        pixels = results.get('img_aug_matrix')
        if pixels is None and np.any(results.get('flip', False)) and 'img' in results:
            raise ValueError(f'{sample_name(results)}: RandomFlip3D flipped the image, which it does to any image it '
                             'finds, but no img_aug_matrix says so: place it before the images are loaded, or record '
                             'the flip as cameras.flip_matrix(width)')
        names = list(results.get('images', {}))
        top = {key: results[key] for key in CAMERA_KEYS if key in results}
        many = any(np.ndim(value) == 3 for value in top.values())
        count = len(next(iter(top.values()))) if many else max(len(names), 1)
        pixels = self._per_camera(pixels, count, results)
        in_images = [{key: images[key] for key in CAMERA_KEYS if key in images}
                     for images in (results['images'][name] for name in names)]
        if many:
            moved = [move_camera({key: top[key][i] for key in top}, matrix, scale, pixels[i]) for i in range(count)]
            results.update({key: [camera[key] for camera in moved] for key in moved[0]})
        else:
            moved = [move_camera(camera, matrix, scale, pixel) for camera, pixel in zip(in_images, pixels)]
            if top:
                results.update(move_camera(top, matrix, scale, self._only(pixels, results)))
        if names and len(moved) == len(names):
            results['images'] = {name: {**results['images'][name], **camera} for name, camera in zip(names, moved)}
        results['lidar_aug_matrix'] = matrix
        results[FOLLOWED_KEY] = len(results.get(FLOW_KEY, []))
        return results

    @staticmethod
    def _per_camera(pixels: Any, count: int, results: dict) -> List[Optional[np.ndarray]]:
        """One pixel transform, or None, per camera."""
        if pixels is None or np.ndim(pixels) == 2:
            return [pixels] * count
        if len(pixels) != count:
            raise ValueError(f'{sample_name(results)}: img_aug_matrix has {len(pixels)} entries for {count} cameras; '
                             'give one per camera, in the order of results["images"]')
        return list(pixels)

    @staticmethod
    def _only(pixels: List[Optional[np.ndarray]], results: dict) -> Optional[np.ndarray]:
        """The pixel transform of the one camera whose matrices stand at the top level."""
        first = pixels[0]
        if any((first is None) != (pixel is None) or (first is not None and not np.array_equal(first, pixel))
               for pixel in pixels):
            raise ValueError(f'{sample_name(results)}: img_aug_matrix differs between cameras, but the matrices at '
                             'the top level are of one camera only: load all images, or give one matrix for all')
        return first

    def __repr__(self) -> str:
        return f'{type(self).__name__}(global_alignment={self.global_alignment})'
