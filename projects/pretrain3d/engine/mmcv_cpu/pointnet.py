"""PointNet++ operators on batches of equal size: sampling, neighbours, grouping and interpolation.

mmcv compiles all of them for CUDA alone. Distances are squared metres; ties go to the lower row.
"""
import numpy as np
import torch
from torch import Tensor

from .jit import lazy_jit


@lazy_jit
def _farthest(points, nearest, chosen):
    for b in range(points.shape[0]):
        last = 0
        for j in range(chosen.shape[1]):
            chosen[b, j] = last
            best = np.float32(-1)
            following = 0
            if j == chosen.shape[1] - 1:
                break
            for k in range(points.shape[1]):
                gap = ((points[b, k, 0] - points[b, last, 0])**2 + (points[b, k, 1] - points[b, last, 1])**2 +
                       (points[b, k, 2] - points[b, last, 2])**2)
                if gap < nearest[b, k]:
                    nearest[b, k] = gap
                if nearest[b, k] > best:
                    best = nearest[b, k]
                    following = k
            last = following


@lazy_jit
def _farthest_by_distance(distance, nearest, chosen):
    for b in range(distance.shape[0]):
        last = 0
        for j in range(chosen.shape[1]):
            chosen[b, j] = last
            best = np.float32(-1)
            following = 0
            if j == chosen.shape[1] - 1:
                break
            for k in range(distance.shape[1]):
                if distance[b, last, k] < nearest[b, k]:
                    nearest[b, k] = distance[b, last, k]
                if nearest[b, k] > best:
                    best = nearest[b, k]
                    following = k
            last = following


@lazy_jit
def _in_ball(centres, points, index, low, high, count):
    for b in range(centres.shape[0]):
        for i in range(centres.shape[1]):
            found = 0
            for k in range(points.shape[1]):
                gap = ((centres[b, i, 0] - points[b, k, 0])**2 + (centres[b, i, 1] - points[b, k, 1])**2 +
                       (centres[b, i, 2] - points[b, k, 2])**2)
                if gap == 0 or low <= gap < high:
                    if found == 0:
                        for slot in range(count):
                            index[b, i, slot] = k
                    index[b, i, found] = k
                    found += 1
                    if found == count:
                        break


@lazy_jit
def _nearest(centres, points, index, squares, far):
    count = index.shape[2]
    for b in range(centres.shape[0]):
        for i in range(centres.shape[1]):
            for slot in range(count):
                index[b, i, slot] = 0
                squares[b, i, slot] = far
            for k in range(points.shape[1]):
                gap = ((centres[b, i, 0] - points[b, k, 0])**2 + (centres[b, i, 1] - points[b, k, 1])**2 +
                       (centres[b, i, 2] - points[b, k, 2])**2)
                if gap < squares[b, i, count - 1]:
                    slot = count - 1
                    while slot > 0 and gap < squares[b, i, slot - 1]:
                        squares[b, i, slot] = squares[b, i, slot - 1]
                        index[b, i, slot] = index[b, i, slot - 1]
                        slot -= 1
                    squares[b, i, slot] = gap
                    index[b, i, slot] = k


def _array(tensor: Tensor) -> np.ndarray:
    """A view of the tensor's memory."""
    return tensor.detach().numpy()


@torch.no_grad()
def furthest_point_sampling_forward(points_tensor: Tensor, temp_tensor: Tensor, idx_tensor: Tensor, b: int, n: int,
                                    m: int) -> None:
    """Write ``m`` rows into ``idx_tensor`` (B, m) int32: row 0, then ever the point farthest from those chosen.

    Args:
        points_tensor: (B, n, 3); temp_tensor: (B, n), filled with 1e10, keeps each point's squared distance.
    """
    _farthest(_array(points_tensor), _array(temp_tensor), _array(idx_tensor))


@torch.no_grad()
def furthest_point_sampling_with_dist_forward(points_tensor: Tensor, temp_tensor: Tensor, idx_tensor: Tensor, b: int,
                                              n: int, m: int) -> None:
    """The same from a matrix of distances ``points_tensor`` (B, n, n), any metric."""
    _farthest_by_distance(_array(points_tensor), _array(temp_tensor), _array(idx_tensor))


@torch.no_grad()
def ball_query_forward(new_xyz_tensor: Tensor, xyz_tensor: Tensor, idx_tensor: Tensor, b: int, n: int, m: int,
                       min_radius: float, max_radius: float, nsample: int) -> None:
    """Write into ``idx_tensor`` (B, m, nsample) int32 the first rows of ``xyz_tensor`` (B, n, 3) around each centre.

    In the order of the rows, ``min_radius <= distance < max_radius``; a point exactly at the centre always counts.
    Unfilled places repeat the first hit; a centre without any keeps what ``idx_tensor`` held (mmcv: 0).
    """
    # Radii are squared in float32, as the CUDA kernel does.
    low, high = np.float32(min_radius)**2, np.float32(max_radius)**2
    _in_ball(_array(new_xyz_tensor), _array(xyz_tensor), _array(idx_tensor), low, high, nsample)


@torch.no_grad()
def knn_forward(xyz_tensor: Tensor, new_xyz_tensor: Tensor, idx_tensor: Tensor, dist2_tensor: Tensor, b: int, n: int,
                m: int, nsample: int) -> None:
    """Write the ``nsample`` nearest rows of ``xyz_tensor`` (B, n, 3) into ``idx_tensor`` (B, m, nsample) int32.

    Nearest first, squared distances into ``dist2_tensor``; places beyond ``n`` get row 0 at 1e10.
    """
    _nearest(_array(new_xyz_tensor), _array(xyz_tensor), _array(idx_tensor), _array(dist2_tensor), 1e10)


@torch.no_grad()
def three_nn_forward(unknown_tensor: Tensor, known_tensor: Tensor, dist2_tensor: Tensor, idx_tensor: Tensor, b: int,
                     n: int, m: int) -> None:
    """Write the three nearest rows of ``known_tensor`` (B, m, 3) into ``idx_tensor`` (B, n, 3) int32, nearest first.

    ``dist2_tensor`` receives *squared* distances (mmcv's Python takes the root); with ``m < 3`` the places left over
    get row 0 at infinity.
    """
    _nearest(_array(unknown_tensor), _array(known_tensor), _array(idx_tensor), _array(dist2_tensor), np.inf)


@torch.no_grad()
def three_interpolate_forward(points_tensor: Tensor, idx_tensor: Tensor, weight_tensor: Tensor, out_tensor: Tensor,
                              b: int, c: int, m: int, n: int) -> None:
    """Write the weighted sums of three columns of ``points_tensor`` (B, C, m) into ``out_tensor`` (B, C, n).

    Args:
        idx_tensor: (B, n, 3) int32; weight_tensor: (B, n, 3).
    """
    taken = _take(points_tensor, idx_tensor.reshape(b, -1)).reshape(b, c, n, 3)
    out_tensor.copy_((taken * weight_tensor[:, None]).sum(-1))


@torch.no_grad()
def three_interpolate_backward(grad_out_tensor: Tensor, idx_tensor: Tensor, weight_tensor: Tensor,
                               grad_points_tensor: Tensor, b: int, c: int, n: int, m: int) -> None:
    """Add the gradient with respect to the features to ``grad_points_tensor`` (B, C, m)."""
    grad = grad_out_tensor[..., None] * weight_tensor[:, None]
    _give(grad_points_tensor, idx_tensor.reshape(b, -1), grad.reshape(b, c, -1))


@torch.no_grad()
def group_points_forward(points_tensor: Tensor, idx_tensor: Tensor, out_tensor: Tensor, b: int, c: int, n: int,
                         npoints: int, nsample: int) -> None:
    """Gather columns of ``points_tensor`` (B, C, n) by ``idx_tensor`` (B, npoints, nsample) into ``out_tensor``."""
    out_tensor.copy_(_take(points_tensor, idx_tensor.reshape(b, -1)).reshape(out_tensor.shape))


@torch.no_grad()
def group_points_backward(grad_out_tensor: Tensor, idx_tensor: Tensor, grad_points_tensor: Tensor, b: int, c: int,
                          n: int, npoints: int, nsample: int) -> None:
    """Add the gradient (B, C, npoints, nsample) back to ``grad_points_tensor`` (B, C, n)."""
    _give(grad_points_tensor, idx_tensor.reshape(b, -1), grad_out_tensor.reshape(b, c, -1))


@torch.no_grad()
def gather_points_forward(points_tensor: Tensor, idx_tensor: Tensor, out_tensor: Tensor, b: int, c: int, n: int,
                          npoints: int) -> None:
    """Gather columns of ``points_tensor`` (B, C, n) by ``idx_tensor`` (B, npoints) into ``out_tensor``."""
    out_tensor.copy_(_take(points_tensor, idx_tensor))


@torch.no_grad()
def gather_points_backward(grad_out_tensor: Tensor, idx_tensor: Tensor, grad_points_tensor: Tensor, b: int, c: int,
                           n: int, npoints: int) -> None:
    """Add the gradient (B, C, npoints) back to ``grad_points_tensor`` (B, C, n)."""
    _give(grad_points_tensor, idx_tensor, grad_out_tensor)


def _take(features: Tensor, index: Tensor) -> Tensor:
    """Columns ``index`` (B, K) of ``features`` (B, C, N)."""
    return features.gather(2, index.long()[:, None].expand(-1, features.shape[1], -1))


def _give(target: Tensor, index: Tensor, values: Tensor) -> None:
    """Add ``values`` (B, C, K) to columns ``index`` (B, K) of ``target`` (B, C, N)."""
    target.scatter_add_(2, index.long()[:, None].expand(-1, target.shape[1], -1), values)
