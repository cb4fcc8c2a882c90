r"""The loss of Contrastive Scene Contexts: InfoNCE once per cell around every anchor.

With unit features, logits s_ik = q_i . k_k / t, and C_p(i) the keys in cell p around anchor i (the anchor's own key in
none),

    L_i = 1/P sum_p -log( exp(s_ii) / (exp(s_ii) + sum_{k in C_p(i)} exp(s_ik)) ) = 1/P sum_p log1p(S_ip / d_i)

where e_ik = exp(s_ik - 1/t), d_i = e_ii and S_ip the sum of e_ik over C_p(i). No logit exceeds 1/t, so nothing
overflows; an empty cell has S_ip = 0 and costs exactly 0. Derivatives: dL_i/ds_ik = e_ik / (P (d_i + S_ip)) for
k in C_p(i), and minus their sum for s_ii. Only S (N x P) is kept; logits and cells are computed again by chunks.
"""
from typing import Iterator, Optional, Tuple

import torch
from mmengine.model import BaseModule
from torch import Tensor
from torch.autograd import Function

from mmdet3d.registry import MODELS
from pretrain3d.heads.point_info_nce import (ScenePadding, check_temperature, check_unit_pairs, chunk_rows,
                                             full_precision, mean_over_scenes)

from .partitions import Partition, get_partition


class _RowLosses(Function):
    """Losses (B, N) of the anchors of a padded grid."""

    @staticmethod
    def forward(ctx, query: Tensor, key: Tensor, xyz: Tensor, sizes: Tuple[int, ...], partition: Partition,
                temperature: float, non_empty: bool) -> Tensor:
        sums = query.new_zeros(*query.shape[:2], partition.num_cells)
        for rows, terms in _chunks(query, key, temperature):
            sums[:, rows] = sum_by_cell(terms, xyz, sizes, rows.start, partition)
        own = ((query * key).sum(2, keepdim=True) / temperature - 1 / temperature).exp()
        # No term of a cell can underflow to 0 (see MIN_TEMPERATURE), so a sum of 0 is an empty cell.
        cells = (sums > 0).sum(2).clamp_(min=1) if non_empty else partition.num_cells
        ctx.save_for_backward(query, key, xyz, sums, own)
        ctx.options = sizes, partition, temperature, non_empty
        return torch.log1p(sums / own).sum(2) / cells

    @staticmethod
    def backward(ctx, grad: Tensor):
        query, key, xyz, sums, own = ctx.saved_tensors
        sizes, partition, temperature, non_empty = ctx.options
        cells = (sums > 0).sum(2).clamp_(min=1) if non_empty else partition.num_cells
        weights = (grad / cells / temperature)[..., None] / (own + sums)
        by_own = -(weights * sums).sum(2, keepdim=True)
        by_query, by_key = by_own * key, by_own * query
        with torch.autocast(query.device.type, enabled=False):
            for rows, terms in _chunks(query, key, temperature):
                terms = weigh_by_cell(terms, xyz, sizes, rows.start, partition, weights[:, rows].contiguous())
                by_query[:, rows] += torch.bmm(terms, key)
                by_key.baddbmm_(terms.transpose(1, 2), query[:, rows])
        return by_query, by_key, None, None, None, None, None


def _chunks(query: Tensor, key: Tensor, temperature: float) -> Iterator[Tuple[slice, Tensor]]:
    """Slices of anchors with e_ik (B, R, N); what lies beyond a scene means nothing."""
    step, width = chunk_rows(key), key.shape[1]
    shift = query.new_full((1, 1, 1), -1 / temperature)
    for start in range(0, width if len(key) else 0, step):
        rows = slice(start, min(start + step, width))
        terms = torch.baddbmm(shift, query[:, rows], key.transpose(1, 2), alpha=1 / temperature)
        yield rows, terms.exp_()


def sum_by_cell(values: Tensor, xyz: Tensor, sizes: Tuple[int, ...], start: int, partition: Partition) -> Tensor:
    """Sum the values of a chunk of anchors over the keys in each cell.

    Args:
        values: (B, R, N), anchors ``start`` ... ``start + R - 1`` of every scene against all N keys.
        xyz: (B, N, 3) metres.
        sizes: points of each scene; rows and keys beyond do not count.
        start: first anchor.
        partition: cells.

    Returns:
        (B, R, num_cells).
    """
    if not values.is_cuda:
        from . import _cells_cpu
        return _cells_cpu.sum_by_cell(values, xyz, sizes, start, partition)
    cells = chunk_cells(xyz, sizes, start, values.shape[1], partition)
    return torch.stack([values.where(cells == p, 0).sum(2) for p in range(partition.num_cells)], dim=2)


def weigh_by_cell(values: Tensor, xyz: Tensor, sizes: Tuple[int, ...], start: int, partition: Partition,
                  weights: Tensor) -> Tensor:
    """Multiply values, in place, by the weight (B, R, num_cells) of their cell; by 0 in none (see ``sum_by_cell``)."""
    if not values.is_cuda:
        from . import _cells_cpu
        return _cells_cpu.weigh_by_cell(values, xyz, sizes, start, partition, weights)
    cells = chunk_cells(xyz, sizes, start, values.shape[1], partition)
    padded = torch.cat([weights, torch.zeros_like(weights[..., :1])], dim=2)
    return values.mul_(padded.gather(2, cells.where(cells >= 0, partition.num_cells).long()))


def chunk_cells(xyz: Tensor, sizes: Tuple[int, ...], start: int, rows: int, partition: Partition) -> Tensor:
    """Cells (B, rows, N) of all keys around a chunk of anchors; -1: no cell, the anchor itself or beyond the scene."""
    anchors = xyz[:, start:start + rows]
    x, y, z = (xyz[:, None, :, d] - anchors[:, :, None, d] for d in range(3))
    cells, place = partition.cells(x, y, z), torch.arange(xyz.shape[1], device=xyz.device)
    beyond = place >= torch.tensor(sizes, device=xyz.device)[:, None]
    own = place[start:start + rows, None] == place
    return cells.masked_fill_(own | beyond[:, None] | beyond[:, start:start + rows, None], -1)


def scene_context_losses(query: Tensor, key: Tensor, xyz: Tensor, partition: Partition, temperature: float,
                         scene: Optional[Tensor] = None, num_scenes: int = 1, average: str = 'all_cells') -> Tensor:
    """Losses of anchors, all scenes of a batch in one call.

    Args:
        query, key: (M, C) unit rows; row i of one matches row i of the other. Half precision is left for float32, also
            under autocast; float64 stays.
        xyz: (M, 3) metres, z up: where the query of each row lies. Its key counts as lying there too.
        partition: cells.
        temperature: at least 0.025.
        scene: (M,) int64 scene ids in any order; ``None``: one scene.
        num_scenes: number of scenes that the ids may name.
        average: over 'all_cells', where an empty one counts as 0, or over the anchor's 'non_empty' ones.

    Returns:
        (M,) losses, with gradients for query and key. Second derivatives are not supported.
    """
    check_unit_pairs(query, key, temperature)
    if xyz.shape != (len(query), 3):
        raise ValueError(f'xyz must be ({len(query)}, 3), got {tuple(xyz.shape)}')
    with torch.autocast(query.device.type, enabled=False):
        query, key, xyz = full_precision(query, key, xyz.detach())
        grid = ScenePadding.of(scene, len(query), num_scenes, query.device)
        losses = _RowLosses.apply(grid.pad(query), grid.pad(key), grid.pad(xyz), grid.sizes, partition, temperature,
                                  average == 'non_empty')
        return grid.take(losses)


@MODELS.register_module()
class SceneContextLoss(BaseModule):
    """Loss of Contrastive Scene Contexts: each scene's mean over its anchors, then the mean over scenes with matches.

    Args:
        preset: 'p1', 'p2', 'p4', 'p8' (2 x 2 angles, shells at 5 and 50 cm) or 'fast4' (above and below, the same
            shells: what the released scripts train). Fields given beside a preset change it.
        mode: 'none', 'angular' or 'fast', see :class:`~.partitions.Partition`.
        n_azimuth, n_elevation: angular bins.
        shells: metres, radii between shells.
        exclude_radius: metres, keys nearer than this are no negatives.
        frame: whether the cells' axes are those of the 'world', with z up, or of the 'augmented' view. Read by the
            head, which hands in the coordinates.
        average: over 'all_cells' (as released) or over the 'non_empty' ones.
        temperature: defaults to 0.4.
    """

    def __init__(self, preset: Optional[str] = None, frame: str = 'world', average: str = 'all_cells',
                 temperature: float = 0.4, **partition) -> None:
        super().__init__()
        check_temperature(temperature)
        if frame not in ('world', 'augmented'):
            raise ValueError(f"frame of SceneContextLoss must be 'world' or 'augmented', got {frame!r}")
        if average not in ('all_cells', 'non_empty'):
            raise ValueError(f"average of SceneContextLoss must be 'all_cells' or 'non_empty', got {average!r}")
        self.partition = get_partition(preset, **partition)
        self.frame = frame
        self.average = average
        self.temperature = temperature

    def forward(self, query: Tensor, key: Tensor, xyz: Tensor, scene: Optional[Tensor] = None,
                num_scenes: int = 1) -> Tensor:
        """Scalar loss; arguments as :func:`scene_context_losses`. 0, in the graph, without matches."""
        losses = scene_context_losses(query, key, xyz, self.partition, self.temperature, scene, num_scenes,
                                      self.average)
        scene = torch.zeros(len(losses), dtype=torch.int64, device=losses.device) if scene is None else scene
        return mean_over_scenes(losses, scene, num_scenes)
