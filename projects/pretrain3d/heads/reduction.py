"""How a loss is averaged when several processes share a batch."""
from mmengine.dist import all_reduce, get_world_size
from torch import Tensor


def global_mean(total: Tensor, count: Tensor) -> Tensor:
    """Mean over the batches of all processes: ``total / (sum of counts over ranks) * (number of ranks)``.

    Distributed training averages the gradients of the ranks, so with this value every element weighs the same wherever
    it lies, and the gradient is that of one process with the whole batch. A rank without elements contributes 0 and
    stays in the graph; only the count, which carries no gradient, is communicated.

    Args:
        total: scalar, sum of the losses of this rank's elements.
        count: scalar, number (or summed weights) of this rank's elements.

    Returns:
        Scalar; ``total`` where no rank has an element.
    """
    count = count.detach().to(total.dtype).clone()
    if get_world_size() > 1:
        all_reduce(count, op='mean')
    return total / count.masked_fill(count == 0, 1)
