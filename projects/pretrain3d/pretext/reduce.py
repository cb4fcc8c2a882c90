"""Means that mean the same on one process and on many."""
from torch import Tensor

from mmengine.dist import all_reduce, get_world_size


def global_mean(values: Tensor) -> Tensor:
    """Mean of ``values`` over all ranks, as distributed training needs it.

    ``sum(values) * world_size / all_reduced(count)``: distributed data parallel averages gradients over ranks, so what
    is back-propagated is the gradient of the mean over the global batch, however unevenly it is dealt. A rank without
    values contributes 0 and stays in the graph; without any values at all the result is 0. Every rank must call it.

    Args:
        values (Tensor): Per-element losses of this rank, any shape, also empty.

    Returns:
        Tensor: Scalar.
    """
    count = values.new_full((), values.numel())
    all_reduce(count)
    return values.sum() * get_world_size() / count.clamp(min=1)
