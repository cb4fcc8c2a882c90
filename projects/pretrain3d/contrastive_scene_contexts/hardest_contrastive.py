"""PointContrast's first loss: matches drawn together, each point's hardest negative pushed away."""
from typing import Optional, Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor

from mmdet3d.registry import MODELS
from pretrain3d.heads.point_info_nce import full_precision
from pretrain3d.heads.reduction import global_mean

from .sampling import STREAM, make_generator


@torch.no_grad()
def nearest_rows(anchor: Tensor, candidates: Tensor) -> Tensor:
    """(M,) row of the candidate (K, C), K > 0, nearest to each anchor (M, C)."""
    return (candidates.square().sum(1) - 2 * anchor @ candidates.T).argmin(1)


@MODELS.register_module()
class HardestContrastiveLoss(BaseModule):
    r"""relu(|f0 - f1|^2 - positive_margin) over matches, plus relu(negative_margin - D)^2, the mean of both directions,
    with D the distance of a point to the nearest of a few random points of the other view.

    A nearest point that truly matches is no negative. Candidates come from all scenes of the batch, as released.

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
                num_scenes: int = 1, seeds: Sequence[Optional[int]] = (None, )) -> Tensor:
        """Scalar loss.

        Args:
            features: (N0, C) and (N1, C) unit rows, all voxels of both views.
            query_rows, key_rows: (M,) int64, the sampled matches; M may be 0.
            pairs: (P, 2) int64, all matches.
            num_scenes: samples of the batch.
            seeds: of the samples; the first one decides the candidates.
        """
        first, second = full_precision(*features)
        with torch.autocast(first.device.type, enabled=False):
            anchor0, anchor1 = first[query_rows], second[key_rows]
            ones = query_rows.new_tensor(len(query_rows))
            excess = ((anchor0 - anchor1).square().sum(1) - self.positive_margin).clamp(min=0)
            loss = global_mean(excess.sum(), ones)
            both = ((anchor0, query_rows, second, pairs), (anchor1, key_rows, first, pairs.flip(1)))
            for view, (anchor, rows, others, matches) in enumerate(both):
                candidates = self._candidates(others, num_scenes, seeds, 1 - view)
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
        if len(anchor) == 0 or len(candidates) == 0:
            return global_mean(anchor.sum() * 0 + others.sum() * 0, candidates.new_zeros(()))
        nearest = candidates[nearest_rows(anchor, others[candidates])]
        # As released, a point whose nearest candidate is its match has no negative: no second nearest is looked for.
        negative = ~torch.isin(rows * len(others) + nearest, matches[:, 0] * len(others) + matches[:, 1])
        distance = ((anchor - others[nearest]).square().sum(1) + 1e-7).sqrt()
        cost = (self.negative_margin - distance).clamp(min=0).square().masked_fill(~negative, 0)
        return global_mean(cost.sum(), negative.sum())

    def _candidates(self, features: Tensor, num_scenes: int, seeds: Sequence[Optional[int]], view: int) -> Tensor:
        """Distinct random rows of one view."""
        seed = seeds[0] if len(seeds) else None
        order = torch.randperm(len(features), generator=make_generator(seed, STREAM + 2 + view))
        return order[:self.num_candidates * num_scenes].to(features.device)
