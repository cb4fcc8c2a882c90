"""The one convention that links metres to grids: voxel centres, ``align_corners=False``, half-open bins."""
from __future__ import annotations

from typing import Sequence, Union

import torch
from torch import Tensor

from ._checks import Numbers, as_positive_row, as_row, check_floating

# Voxel indices beyond this are refused: differences of two indices then still fit into int32.
GRID_LIMIT = 2 ** 30


def world_to_grid(points: Tensor, range: Union[Sequence[float], Tensor]) -> Tensor:
    """Normalised coordinates for ``torch.nn.functional.grid_sample(..., align_corners=False)``.

    ``g = 2 (p - lower) / (upper - lower) - 1`` per axis, so the centre of voxel i of n sits at ``(2 i + 1) / n - 1``
    and a point outside the range falls outside [-1, 1]. The last axis stays (x, y, z), which is the order that
    ``grid_sample`` wants for a volume laid out (..., D=z, H=y, W=x).

    Args:
        points: (..., 3) metres, in the frame of ``range``.
        range: [x0, y0, z0, x1, y1, z1] metres, every lower bound below its upper bound.

    Returns:
        (..., 3) of the dtype of ``points``; differentiable with respect to the points.

    Raises:
        TypeError, ValueError: an argument has the wrong dtype or shape, or the range is empty.
    """
    _check_points(points)
    bounds = torch.as_tensor(range, dtype=torch.float64)
    if bounds.shape != (6,):
        raise ValueError(f'range must be [x0, y0, z0, x1, y1, z1], got the shape {tuple(bounds.shape)}')
    lower, upper = bounds[:3], bounds[3:]
    if not bool((upper > lower).all()):
        raise ValueError(f'range must have every lower bound below its upper bound, got {bounds.tolist()}')
    lower, extent = (bound.to(points.device, points.dtype) for bound in (lower, upper - lower))
    return (points - lower) * 2 / extent - 1


def world_to_voxel(points: Tensor, voxel_size: Numbers, origin: Numbers = 0.0) -> Tensor:
    """Index of the half-open bin that holds each point: ``floor((p - origin) / voxel_size)``, negative ones included.

    Reckoned in float64 whatever the points' dtype, so that a CPU and a GPU put a point on the same side of a bin's
    edge. Waits for the device once, to check the points.

    Args:
        points: (..., 3) metres.
        voxel_size: metres, one number or one per axis.
        origin: metres, the lower corner of voxel (0, 0, 0), one number or one per axis.

    Returns:
        (..., 3) int32.

    Raises:
        TypeError: points are not floating point.
        ValueError: a shape is wrong, a voxel size is not above zero, a point is NaN or infinite, or it lies more than
            2**30 voxels from the origin.
    """
    _check_points(points)
    return bin_points('points', points, voxel_size, origin)


def bin_points(name: str, points: Tensor, voxel_size: Numbers, origin: Numbers) -> Tensor:
    """:func:`world_to_voxel` of points that are known to be a (..., 3) float tensor and called ``name`` in errors."""
    size, corner = torch.tensor([as_positive_row('voxel_size', voxel_size, 3), as_row('origin', origin, 3)],
                                dtype=torch.float64, device=points.device)
    cells = torch.floor((points.detach().double() - corner) / size)
    fits = cells.abs() < GRID_LIMIT  # False for NaN too
    if not bool(fits.all()):
        row = int((~fits).any(-1).reshape(-1).to(torch.uint8).argmax())
        point = points.detach().reshape(-1, 3)[row]
        if not bool(torch.isfinite(point).all()):
            raise ValueError(f'{name} must be finite, but row {row} is {point.tolist()}; '
                             'drop such points when the file is loaded')
        raise ValueError(f'{name} row {row} is {point.tolist()}, 2**30 voxels or more from the origin; '
                         'check the units (metres), the origin and voxel_size')
    return cells.to(torch.int32)


def _check_points(points: Tensor) -> None:
    if not isinstance(points, Tensor):
        raise TypeError(f'points must be a torch.Tensor, got {type(points).__name__}')
    check_floating('points', points)
    if points.dim() == 0 or points.shape[-1] != 3:
        raise ValueError(f'points must have the shape (..., 3), got {tuple(points.shape)}')
