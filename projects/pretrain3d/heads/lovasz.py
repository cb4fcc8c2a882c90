"""Lovasz-softmax: a convex surrogate of the mean intersection over union."""
import torch
from torch import Tensor


def lovasz_softmax(probabilities: Tensor, labels: Tensor, ignore_index: int) -> Tensor:
    """Lovasz extension of the Jaccard loss, averaged over the classes present in ``labels``.

    For class c with errors ``e_i = |[y_i = c] - p_ic|`` sorted downwards, and J_k the Jaccard loss of missing exactly
    the k largest, the loss is ``sum_k e_k (J_k - J_{k-1})`` (Berman et al., CVPR 2018). All classes are sorted at once,
    and rows to be ignored are given error 0, which puts them last, where they weigh nothing, without waiting for the
    device to say how many there are.

    Args:
        probabilities: (N, C) float, rows sum to 1; N may be 0.
        labels: (N,) integers in [0, C) or ``ignore_index``.
        ignore_index: label of rows that do not count.

    Returns:
        Scalar, 0 (in the graph) where no row counts.
    """
    classes = torch.arange(probabilities.shape[1], device=labels.device)
    truth = labels[:, None] == classes  # rows to be ignored belong to no class
    errors = torch.where(truth, 1 - probabilities, probabilities) * (labels != ignore_index)[:, None]
    errors, order = errors.sort(dim=0, descending=True)
    present = truth.any(dim=0)
    per_class = (errors * _jaccard_steps(truth.gather(0, order), errors.dtype)).sum(dim=0) * present
    return per_class.sum() / present.sum().clamp(min=1)


def _jaccard_steps(truth: Tensor, dtype: torch.dtype) -> Tensor:
    """J_k - J_{k-1} of every class, for (N, C) membership in the order of falling error.

    With P members, and h of them and m others among the first k, J_k = 1 - (P - h) / (P + m). A member adds
    1 / (P + m), another adds (P - h) / ((P + m)(P + m - 1)): closed forms, since differences of J lose half of
    float32's digits at 100,000 rows. Counts are integers, so their running sums are exact on every device.
    """
    members = truth.sum(dim=0)
    missing = (members - truth.cumsum(dim=0, dtype=torch.int32)).to(dtype)
    union = (members + (~truth).cumsum(dim=0, dtype=torch.int32)).to(dtype)
    return torch.where(truth, 1 / union.clamp(min=1), missing / (union * (union - 1)).clamp(min=1))
