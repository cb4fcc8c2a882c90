"""What pulls projected features towards the words of their classes, beside InfoNCE (Point Prompt Training, ablation).

The paper names these criteria and gives no formula. What is here is our reading. z are projected features, u = z / |z|,
t_k the unit vectors of the words of the K classes of a domain, y the class of a row. Sums are over the labelled rows of
all domains and ranks. Prediction is always the class whose words have the largest cosine with z.
"""
from dataclasses import dataclass
from typing import Dict, Mapping, Sequence, Tuple, Union

import torch
from torch import Tensor

from pretrain3d.label_spaces.space import unknown

from .reduction import gather_rows, global_mean

INFO_NCE = 'InfoNCE'


@dataclass
class TextRows:
    """Rows of one domain; a rank gives one for every domain of the head, in the same order, also without rows.

    Attributes:
        projected: (N, C) z.
        unit: (N, C) u.
        labels: (N,) class of each row; K for unlabelled ones.
        text: (K, C) unit vectors of the words.
    """
    projected: Tensor
    unit: Tensor
    labels: Tensor
    text: Tensor

    @property
    def labelled(self) -> Tensor:
        """(N,) 1 for labelled rows, 0 for others. A weight: to select rows would wait for the GPU."""
        return (self.labels < len(self.text)).to(self.unit.dtype)

    @property
    def classes(self) -> Tensor:
        """(N,) an index of ``text`` for every row, also unlabelled ones."""
        return self.labels.clamp(max=len(self.text) - 1)


class RowCriterion:
    """Mean over rows of a loss of each row alone."""

    def __call__(self, parts: Sequence[TextRows]) -> Tensor:
        """Scalar, the same on every rank; see :func:`~pretrain3d.heads.global_mean` for its gradient."""
        total = sum((self.rows(part) * part.labelled).sum() for part in parts)
        return global_mean(total, sum(part.labelled.sum() for part in parts))

    def rows(self, part: TextRows) -> Tensor:
        """(N,) losses; those of unlabelled rows do not count."""
        raise NotImplementedError


class L2(RowCriterion):
    """|u - t_y|^2 = 2 - 2 cos(z, t_y): says nothing about other classes."""

    def rows(self, part: TextRows) -> Tensor:
        """See :class:`RowCriterion`."""
        return (part.unit - part.text[part.classes]).square().sum(1)


class TextContrastive(RowCriterion):
    """Text-supervised contrast as LGround's released code has it: with the cosine distance d(a, b) = 1 - cos(a, b),

    max(0, d(z, t_y) - positive) + weight * max(0, negative - mean over some other classes n of d(z, t_n)).

    The defaults are its own. It draws with repetition, and averages the second term over unlabelled rows too.

    Args:
        positive, negative: margins.
        weight: of the second term.
        num_negatives: other classes of the domain, drawn anew for every row without repetition; None: all of them.
    """

    def __init__(self, positive: float = 0., negative: float = 0.6, weight: float = 1.,
                 num_negatives: Union[int, None] = 3) -> None:
        if num_negatives is not None and num_negatives < 1:
            raise ValueError(f'num_negatives must be at least 1, or None for all other classes, got {num_negatives}')
        self.positive, self.negative, self.weight, self.num_negatives = positive, negative, weight, num_negatives

    def rows(self, part: TextRows) -> Tensor:
        """See :class:`RowCriterion`."""
        distance = 1 - part.unit @ part.text.T
        own = part.classes[:, None]
        pull = (distance.gather(1, own)[:, 0] - self.positive).clamp(min=0)
        chosen = self.draw(distance.detach(), own)
        number = chosen.sum(1)
        push = (self.negative - (distance * chosen).sum(1) / number.clamp(min=1)).clamp(min=0)
        return pull + self.weight * push * (number > 0)

    def draw(self, like: Tensor, own: Tensor) -> Tensor:
        """(N, K) 1 for the classes that a row is pushed away from, never its own (N, 1)."""
        others = torch.ones_like(like).scatter(1, own, 0)
        if self.num_negatives is None or self.num_negatives >= like.shape[1] - 1:
            return others
        best = (torch.rand_like(like) + others).topk(self.num_negatives, 1).indices
        return torch.zeros_like(like).scatter(1, best, 1)


class Discriminative:
    """Discriminative loss (De Brabandere et al.) whose centres are the words. With mu_c and nu_c the means of u and of
    z of class c, over the classes that the batch of all ranks has:

    mean over c of mean over its rows of max(0, |u - t_c| - pull)^2
    + mean over pairs a != b of a domain of max(0, push - |mu_a - mu_b|)^2 + norm_weight * mean over c of |nu_c|.

    Unit vectors, since prediction asks for directions only, and since the square of z overflows where z does.

    Args:
        pull: distance to the own words that is near enough.
        push: distance between means that is far enough; orthogonal unit vectors are 1.41 apart.
        norm_weight: of the last term.
        eps: |x| is sqrt(x.x + eps), whose gradient is bounded at 0.
    """

    def __init__(self, pull: float = 0.1, push: float = 1., norm_weight: float = 0.001, eps: float = 1e-12) -> None:
        self.pull, self.push, self.norm_weight, self.eps = pull, push, norm_weight, eps

    def __call__(self, parts: Sequence[TextRows]) -> Tensor:
        """Scalar, the same on every rank; all domains in the same order on all of them."""
        own = torch.cat([self._sums(part) for part in parts])
        tables, sizes = gather_rows(own)
        sums = tables.view(len(sizes), *own.shape).sum(0)
        count = sums[:, -1]
        there = (count > 0).to(sums.dtype)
        number = there.sum().clamp(min=1)
        sums = sums[:, :-1] / count.clamp(min=1)[:, None]
        pulls = sums[:, -1]
        means, raw = sums[:, :-1].chunk(2, 1)
        domain = torch.arange(len(parts)).repeat_interleave(torch.tensor([len(part.text) for part in parts]))
        same = (domain[:, None] == domain).fill_diagonal_(False).to(sums.device)
        pairs = same * there[:, None] * there
        apart = self._length(means[:, None] - means)
        push = ((self.push - apart).clamp(min=0).square() * pairs).sum() / pairs.sum().clamp(min=1)
        norm = (self._length(raw) * there).sum() / number
        return pulls.sum() / number + push + self.norm_weight * norm

    def _sums(self, part: TextRows) -> Tensor:
        """(K, 2 C + 2) for each class: sums of u, of z, and of the first term, number of rows."""
        away = (self._length(part.unit - part.text[part.classes]) - self.pull).clamp(min=0).square()
        rows = torch.cat([part.unit, part.projected, away[:, None], torch.ones_like(away)[:, None]], 1)
        return rows.new_zeros(len(part.text), rows.shape[1]).index_add(
            0, part.classes, rows * part.labelled[:, None])

    def _length(self, vectors: Tensor) -> Tensor:
        """(..., C) -> (...)."""
        return (vectors.square().sum(-1) + self.eps).sqrt()


Criterion = Union[L2, TextContrastive, Discriminative]
CRITERIA: Dict[str, type] = dict(L2=L2, Discriminative=Discriminative, TextContrastive=TextContrastive)


def build_criterion(config: Union[str, Mapping]) -> Union[Criterion, None]:
    """A criterion from its name or ``dict(type=name, ...)``; None for 'InfoNCE', which is cross-entropy of the logits.

    Raises:
        UnknownNameError: there is none of that name; the nearest is named.
    """
    options = dict(type=config) if isinstance(config, str) else dict(config)
    name = options.pop('type', None)
    names: Tuple[str, ...] = (INFO_NCE, *CRITERIA)
    if name not in names:
        raise unknown('criterion', name, names, ', '.join(names))
    if name == INFO_NCE:
        if options:
            raise ValueError(f'InfoNCE has no options, got {sorted(options)}; its scale is logit_scale of the head')
        return None
    return CRITERIA[name](**options)
