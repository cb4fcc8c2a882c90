"""PointContrast's first loss: matches drawn together, each point's hardest negative pushed away."""
from typing import Optional, Sequence

import torch
from mmengine.dist import get_rank
from mmengine.model import BaseModule
from torch import Tensor

from mmdet3d.registry import MODELS
from pretrain3d.heads.point_info_nce import full_precision
from pretrain3d.heads.reduction import gather_rows, global_mean
from pretrain3d.pretext.draws import make_generator

from .sampling import STREAM


@torch.no_grad()
def nearest_rows(anchor: Tensor, candidates: Tensor) -> Tensor:
    """(M,) row of the candidate (K, C), K > 0, nearest to each anchor (M, C)."""
    return (candidates.square().sum(1) - 2 * anchor @ candidates.T).argmin(1)


@MODELS.register_module()
class HardestContrastiveLoss(BaseModule):
    r"""relu(|f0 - f1|^2 - positive_margin) over matches, plus relu(negative_margin - D)^2, the mean of both directions,
    with D the distance of a point to the nearest of a few random points of the other view.

    A nearest point that truly matches is no negative. Candidates come from all scenes of the batch, as released, on
    whatever rank they are; each scene gives as many, by its own seed.

    Args:
        positive_margin: squared distance below which a match costs nothing. Defaults to 0.1.
        negative_margin: distance beyond which a negative costs nothing. Defaults to 1.4.
        negative_weight: factor of the second term. Defaults to 1.
        num_candidates: random points per view and scene. Defaults to 256.
    """

    def __init__(self, positive_margin: float = 0.1, negative_margin: float = 1.4, negative_weight: float = 1.,
                 num_candidates: int = 256) -> None:
        super().__init__()
        if num_candidates < 1:
            raise ValueError(f'num_candidates must be at least 1, got {num_candidates}')
        self.positive_margin = positive_margin
        self.negative_margin = negative_margin
        self.negative_weight = negative_weight
        self.num_candidates = num_candidates

    def forward(self, features: Sequence[Tensor], query_rows: Tensor, key_rows: Tensor, pairs: Tensor,
                num_scenes: int = 1, seeds: Sequence[Optional[int]] = (None, ),
                voxel_scenes: Optional[Sequence[Tensor]] = None) -> Tensor:
        """Scalar loss.

        Args:
            features: (N0, C) and (N1, C) unit rows, all voxels of both views.
            query_rows, key_rows: (M,) int64, the sampled matches; M may be 0.
            pairs: (P, 2) int64, all matches.
            num_scenes: samples of the batch.
            seeds: of the samples; each one decides its candidates.
            voxel_scenes: (N0,) and (N1,) int64, the sample of every row of ``features``; ``None``: all are of one.
        """
        first, second = full_precision(*features)
        with torch.autocast(first.device.type, enabled=False):
            anchor0, anchor1 = first[query_rows], second[key_rows]
            ones = query_rows.new_tensor(len(query_rows))
            excess = ((anchor0 - anchor1).square().sum(1) - self.positive_margin).clamp(min=0)
            loss = global_mean(excess.sum(), ones)
            both = ((anchor0, query_rows, second, pairs), (anchor1, key_rows, first, pairs.flip(1)))
            for view, (anchor, rows, others, matches) in enumerate(both):
                scenes = None if voxel_scenes is None else voxel_scenes[1 - view]
                candidates = self._candidates(others, num_scenes, seeds, 1 - view, scenes)
                loss = loss + 0.5 * self.negative_weight * self._push(anchor, rows, others, candidates, matches)
        return loss

    def _push(self, anchor: Tensor, rows: Tensor, others: Tensor, candidates: Tensor, matches: Tensor) -> Tensor:
        """Mean of the second term in one direction.

        Args:
            anchor: (M, C), rows ``rows`` (M,) of their own view.
            others: (N, C), all rows of the other view.
            candidates: (K,) rows of ``others``.
            matches: (P, 2) rows [own view, other view] that match.
        """
        pool, sizes = gather_rows(others[candidates])
        if len(anchor) == 0 or len(pool) == 0:
            return global_mean(anchor.sum() * 0 + pool.sum() * 0, candidates.new_zeros(()))
        nearest = nearest_rows(anchor, pool)
        # Rows of the other view; -1, which matches nothing, for those of other ranks.
        own, start = candidates.new_full((len(pool), ), -1), sum(sizes[:get_rank()])
        own[start:start + len(candidates)] = candidates
        # As released, a point whose nearest candidate is its match has no negative: no second nearest is looked for.
        width = len(others) + 1
        negative = ~torch.isin(rows * width + own[nearest] + 1, matches[:, 0] * width + matches[:, 1] + 1)
        distance = ((anchor - pool[nearest]).square().sum(1) + 1e-7).sqrt()
        cost = (self.negative_margin - distance).clamp(min=0).square().masked_fill(~negative, 0)
        return global_mean(cost.sum(), negative.sum())

    def _candidates(self, features: Tensor, num_scenes: int, seeds: Sequence[Optional[int]], view: int,
                    scenes: Optional[Tensor] = None) -> Tensor:
        """Distinct random rows of one view, of each scene by its own seed: who shares the batch does not matter."""
        counts = [len(features)] if scenes is None else scenes.bincount(minlength=num_scenes).tolist()
        start, rows = 0, [torch.zeros(0, dtype=torch.int64)]
        for count, seed in zip(counts, seeds):
            order = torch.randperm(count, generator=make_generator(seed, STREAM + 2 + view))
            rows.append(start + order[:self.num_candidates])
            start += count
        return torch.cat(rows).to(features.device)
