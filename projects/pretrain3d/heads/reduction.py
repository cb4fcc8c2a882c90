"""How a loss is averaged when several processes share a batch."""
from typing import Optional

from mmengine.dist import all_reduce, get_world_size
from torch import Tensor


def global_mean(values: Tensor, count: Optional[Tensor] = None) -> Tensor:
    """Mean over the batches of all processes: ``sum / (sum of counts over ranks) * (number of ranks)``.

    Distributed training averages the gradients of the ranks, so with this value every element weighs the same wherever
    it lies, and the gradient is that of one process with the whole batch. A rank without elements contributes 0 and
    stays in the graph; only the count, which carries no gradient, is communicated. Every rank must call it.

    Args:
        values: losses of this rank's elements, any shape, also empty; or their sum.
        count: scalar, number (or summed weights) of this rank's elements. Defaults to the number of ``values``.

    Returns:
        Scalar; the sum, which is then 0, where no rank has an element.
    """
    if count is None:
        count = values.new_tensor(values.numel())
    count = count.detach().to(values.dtype).clone()
    if get_world_size() > 1:
        all_reduce(count, op='mean')
    return values.sum() / count.masked_fill(count == 0, 1)
