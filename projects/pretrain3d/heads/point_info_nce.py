"""InfoNCE over matched rows of two views, in chunks of rows: no N x N matrix outlives its chunk."""
from dataclasses import dataclass
from typing import Optional, Tuple

import torch
from mmengine.dist import get_rank, get_world_size
from mmengine.model import BaseModule
from torch import Tensor
from torch.autograd import Function

from mmdet3d.registry import MODELS

from .reduction import gather_rows, global_mean

# exp(-2 / temperature), the ratio of the smallest to the largest term of unit features, has to be a float32.
MIN_TEMPERATURE = 0.025
# Elements of a chunk of logits: 2 MB in float32, so that it stays in the cache. A GPU takes sixteen times as many at
# once: there it is the number of kernels that costs.
CHUNK = 1 << 19
GPU_FACTOR = 16


@dataclass
class ScenePadding:
    """Rows of several scenes laid out as a (B, N) grid, N the size of the largest scene.

    Attributes:
        slot: (M,) int64, place of every row in the flattened grid.
        sizes: rows of each scene.
    """
    slot: Tensor
    sizes: Tuple[int, ...]

    @classmethod
    def of(cls, scene: Optional[Tensor], rows: int, num_scenes: int, device: torch.device) -> 'ScenePadding':
        """Grid for scene ids (rows,) in [0, num_scenes), in any order; ``None``: one scene."""
        if scene is None:
            return cls(torch.arange(rows, device=device), (rows, ))
        if scene.shape != (rows, ):
            raise ValueError(f'scene has the shape {tuple(scene.shape)} for {rows} rows; give one id per row')
        counts = torch.bincount(scene, minlength=num_scenes)
        sizes = tuple(counts.tolist())  # one synchronisation: the grid's width is a shape
        if len(sizes) > num_scenes:
            raise ValueError(f'scene ids reach {len(sizes) - 1}, but num_scenes is {num_scenes}')
        order = scene.argsort(stable=True)
        place = torch.arange(rows, device=device) - (counts.cumsum(0) - counts)[scene[order]]
        slot = torch.empty_like(place)
        slot[order] = scene[order] * max(sizes, default=0) + place
        return cls(slot, sizes)

    def pad(self, rows: Tensor) -> Tensor:
        """(M, ...) -> (B, N, ...), zero where a scene has no row; differentiable."""
        width = max(self.sizes, default=0)
        grid = rows.new_zeros(len(self.sizes) * width, *rows.shape[1:]).index_copy(0, self.slot, rows)
        return grid.view(len(self.sizes), width, *rows.shape[1:])

    def take(self, grid: Tensor) -> Tensor:
        """(B, N, ...) -> (M, ...), the inverse of :meth:`pad`."""
        return grid.flatten(0, 1)[self.slot]


def full_precision(*tensors: Tensor) -> Tuple[Tensor, ...]:
    """Half precision to float32; float64 stays."""
    return tuple(one.to(torch.promote_types(one.dtype, torch.float32)) for one in tensors)


def check_unit_pairs(query: Tensor, key: Tensor, temperature: float) -> None:
    """Raise unless query and key are (M, C) alike and the temperature is in the range of float32."""
    if query.dim() != 2 or query.shape != key.shape:
        raise ValueError(f'query and key must both be (M, C), got {tuple(query.shape)} and {tuple(key.shape)}')
    check_temperature(temperature)


def check_temperature(temperature: float) -> None:
    """Raise unless exp(-2 / temperature) is a number of float32."""
    if not temperature >= MIN_TEMPERATURE:
        raise ValueError(f'temperature must be at least {MIN_TEMPERATURE}, got {temperature}: below it '
                         'exp(-2 / temperature) leaves the range of float32')


class _RowLosses(Function):
    """Cross-entropy of every anchor of a padded grid; keeps log-denominators (B, N) and computes the logits again.

    ``key`` may be wider than ``query``: its further rows are negatives that match nothing.
    """

    @staticmethod
    def forward(ctx, query: Tensor, key: Tensor, sizes: Tuple[int, ...], temperature: float) -> Tensor:
        scaled, outside = query / temperature, _outside(key, sizes)
        normalisers = [torch.logsumexp(logits, dim=2) for _, logits in _chunks(scaled, key, outside)]
        normaliser = torch.cat(normalisers, dim=1) if normalisers else query.new_zeros(query.shape[:2])
        ctx.save_for_backward(query, key, normaliser)
        ctx.sizes, ctx.temperature = sizes, temperature
        return normaliser - (scaled * key[:, :query.shape[1]]).sum(2)

    @staticmethod
    def backward(ctx, grad: Tensor):
        query, key, normaliser = ctx.saved_tensors
        width = query.shape[1]
        grad = grad.masked_fill(_outside(key, ctx.sizes)[:, :width], 0)[..., None] / ctx.temperature
        by_query, by_key = -grad * key[:, :width], torch.zeros_like(key)
        by_key[:, :width] = -grad * query
        with torch.autocast(query.device.type, enabled=False):
            for rows, logits in _chunks(query / ctx.temperature, key, _outside(key, ctx.sizes)):
                share = logits.sub_(normaliser[:, rows, None]).exp_().mul_(grad[:, rows])
                by_query[:, rows] += torch.bmm(share, key)
                by_key.baddbmm_(share.transpose(1, 2), query[:, rows])
        return by_query, by_key, None, None


def _outside(grid: Tensor, sizes: Tuple[int, ...]) -> Tensor:
    """(B, N) bool: beyond the rows of a scene."""
    counts = torch.tensor(sizes, device=grid.device)
    return torch.arange(grid.shape[1], device=grid.device) >= counts[:, None]


def chunk_rows(key: Tensor) -> int:
    """Anchors of every scene whose logits against all keys (B, N, C) make one chunk."""
    batch, width = key.shape[:2]
    return max(1, CHUNK * (GPU_FACTOR if key.is_cuda else 1) // max(1, batch * width))


def _chunks(scaled: Tensor, key: Tensor, outside: Tensor):
    """Slices of rows with their logits (B, R, N), -inf beyond a scene; rows of no scene get 0."""
    step, width = chunk_rows(key), scaled.shape[1]
    # A scene without rows would have nothing but -inf.
    hidden = outside & ~outside.all(1, keepdim=True)
    for start in range(0, width if len(key) else 0, step):
        rows = slice(start, min(start + step, width))
        logits = torch.bmm(scaled[:, rows], key.transpose(1, 2))
        yield rows, logits.masked_fill_(hidden[:, None], float('-inf'))


def info_nce(query: Tensor, key: Tensor, temperature: float, scene: Optional[Tensor] = None,
             num_scenes: int = 1, negatives: Optional[Tensor] = None) -> Tensor:
    """-log softmax_k(query_i . key_k / temperature) at k = i, of every row i.

    Args:
        query, key: (M, C), row i of one matches row i of the other. Half precision is left for float32, also under
            autocast; float64 stays.
        temperature: at least 0.025.
        scene: (M,) int64 scene ids; the softmax runs over the keys of the anchor's scene. ``None``: over all.
        num_scenes: number of scenes that the ids may name.
        negatives: (K, C) further keys, of all anchors; without scenes only.

    Returns:
        (M,) losses. Second derivatives are not supported.
    """
    check_unit_pairs(query, key, temperature)
    if negatives is not None and scene is not None:
        raise ValueError('info_nce takes scene ids or further negatives, not both')
    with torch.autocast(query.device.type, enabled=False):
        query, key = full_precision(query, key)
        if negatives is not None:
            keys = torch.cat([key, *full_precision(negatives)])[None]
            return _RowLosses.apply(query[None], keys, (keys.shape[1], ), temperature)[0]
        grid = ScenePadding.of(scene, len(query), num_scenes, query.device)
        return grid.take(_RowLosses.apply(grid.pad(query), grid.pad(key), grid.sizes, temperature))


def mean_over_scenes(losses: Tensor, scene: Tensor, num_scenes: int) -> Tensor:
    """Each scene's mean over its own rows, then the mean over the scenes of all ranks that have rows.

    Args:
        losses: (M,).
        scene: (M,) int64 in [0, num_scenes).
        num_scenes: scenes of this rank, also those without rows.

    Returns:
        Scalar; 0, in the graph, where there are no rows.
    """
    counts = torch.bincount(scene, minlength=num_scenes)
    total = (losses / counts[scene].to(losses.dtype)).sum()
    return global_mean(total, (counts > 0).sum())


def elsewhere(rows: Tensor) -> Tensor:
    """The rows of all other ranks, in their order; differentiable, every rank must call it."""
    every, sizes = gather_rows(rows)
    start = sum(sizes[:get_rank()])
    return torch.cat([every[:start], every[start + len(rows):]])


@MODELS.register_module()
class PointInfoNCELoss(BaseModule):
    """PointInfoNCE of PointContrast: a point's match in the other view against the matches of other points.

    Args:
        temperature: at least 0.025. Defaults to 0.4.
        negatives: 'batch' (PointContrast): the keys of all scenes of the batch, on whatever rank they are, and the mean
            over its points. 'rank': the same, of one's own rank only, as released trainings on several GPUs.
            'scene': the keys of the anchor's own scene, the mean over each scene, then over scenes.
    """

    def __init__(self, temperature: float = 0.4, negatives: str = 'batch') -> None:
        super().__init__()
        check_temperature(temperature)
        if negatives not in ('batch', 'rank', 'scene'):
            raise ValueError(f"negatives must be 'batch', 'rank' or 'scene', got {negatives!r}")
        self.temperature = temperature
        self.negatives = negatives

    def forward(self, query: Tensor, key: Tensor, scene: Optional[Tensor] = None, num_scenes: int = 1) -> Tensor:
        """Scalar loss.

        Args:
            query, key: (M, C) unit rows that match one another; M may be 0.
            scene: (M,) int64, the scene of each row; needed for ``negatives='scene'``.
            num_scenes: scenes of this batch, also those without rows.
        """
        if self.negatives != 'scene':
            others = elsewhere(key) if self.negatives == 'batch' and get_world_size() > 1 else None
            losses = info_nce(query, key, self.temperature, negatives=others)
            return global_mean(losses.sum(), losses.new_tensor(len(losses)))
        if scene is None:
            raise ValueError("PointInfoNCELoss(negatives='scene') needs the scene of every row")
        return mean_over_scenes(info_nce(query, key, self.temperature, scene, num_scenes), scene, num_scenes)
