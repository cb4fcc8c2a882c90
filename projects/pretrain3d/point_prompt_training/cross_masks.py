"""Cross masks: patches of space that are hidden in one view and shown in the other."""
from typing import Optional, Sequence, Tuple

import torch
from torch import Tensor

from pretrain3d.ops.grid import world_to_voxel
from pretrain3d.ops.voxelize import unique_voxels
from pretrain3d.pretext.draws import draw

# Tells these draws apart from others that start from the same seed; see pretext.draws.
STREAM = 2000


def check_mask(patch_size: float, rate: float) -> None:
    """ValueError unless both make sense; above a rate of 1/2 the masks of two views would overlap."""
    if not patch_size > 0:
        raise ValueError(f'patch_size is {patch_size}; it must be positive metres')
    if not 0 < rate <= 0.5:
        raise ValueError(f'mask_rate is {rate}; it must be in (0, 0.5], since no patch is hidden in both views')


def patches(xyz: Tensor, scene: Tensor, num_scenes: int, patch_size: float) -> Tuple[Tensor, Tensor]:
    """Cells of a grid that hold points, the grid of each scene starting at the minimum of its points.

    Args:
        xyz: (N, 3) metres.
        scene: (N,) int64 in [0, num_scenes), in any order.
        num_scenes: number of scenes.
        patch_size: edge of a cell in metres.

    Returns:
        patch (N,) int64, the cell of every point, numbered by scene, then by first occurrence; and the scene of every
        cell (P,) int64, in increasing order.
    """
    low = xyz.new_zeros(num_scenes, 3).scatter_reduce(0, scene[:, None].expand(-1, 3), xyz, 'amin', include_self=False)
    cells = world_to_voxel(xyz - low[scene], patch_size, (0., 0., 0.))
    found, inverse, _ = unique_voxels(torch.cat([scene[:, None].to(cells.dtype), cells], 1))
    order = found[:, 0].argsort(stable=True)
    number = torch.empty_like(order)
    number[order] = torch.arange(len(order), device=order.device)
    return number[inverse], found[order, 0].long()


def cross_masks(xyz: Tuple[Tensor, Tensor], scene: Tuple[Tensor, Tensor], num_scenes: int,
                seeds: Sequence[Optional[int]], patch_size: float = 0.1, rate: float = 0.4) -> Tuple[Tensor, Tensor]:
    """Which points of two views are masked.

    The patches that the points of both views occupy are shuffled, scene by scene; of n patches the first
    floor(n rate) are masked in the first view, the next as many in the second.

    Args:
        xyz: (N_0, 3) and (N_1, 3) metres, in the frame that the views share.
        scene: (N_0,) and (N_1,) int64 in [0, num_scenes).
        num_scenes: scenes of the batch.
        seeds: one per scene, or ``None`` for torch's global generator.
        patch_size: edge of a patch in metres.
        rate: share of the patches that are masked in each view, at most 1/2.

    Returns:
        (N_0,) and (N_1,) bool.
    """
    check_mask(patch_size, rate)
    patch, patch_scene = patches(torch.cat(xyz), torch.cat(scene), num_scenes, patch_size)
    counts = torch.bincount(patch_scene, minlength=num_scenes)
    # Scenes stay together in this order, since numbers of a scene lie in [scene, scene + 1).
    order = (patch_scene + draw(patch_scene, num_scenes, seeds, STREAM)).argsort()
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order), device=order.device)
    place -= (counts.cumsum(0) - counts)[patch_scene]
    masked = (counts.double() * rate + 1e-9).floor().long()[patch_scene]
    first, second = place < masked, (place >= masked) & (place < 2 * masked)
    split = patch.split([len(one) for one in xyz])
    return first[split[0]], second[split[1]]
