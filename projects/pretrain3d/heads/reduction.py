"""How a loss is computed when several processes share a batch."""
from typing import List, Optional, Tuple

import torch
from mmengine.dist import all_gather, all_reduce, get_rank, get_world_size
from torch import Tensor
from torch.autograd import Function


def global_mean(values: Tensor, count: Optional[Tensor] = None) -> Tensor:
    """Mean over the batches of all processes: the sum over all ranks by the count over all ranks.

    Every rank gets this value, so that all of them log the same and see the same NaN. Its gradient is that of
    ``sum / (count over ranks) * (number of ranks)``: distributed training averages the gradients of the ranks, so every
    element weighs the same wherever it lies, and the average is the gradient of one process with the whole batch. A
    rank without elements stays in the graph. Sums and counts are communicated, without a gradient. Every rank must call
    it.

    Args:
        values: losses of this rank's elements, any shape, also empty; or their sum.
        count: scalar, number (or summed weights) of this rank's elements. Defaults to the number of ``values``.

    Returns:
        Scalar; the sum, which is then 0, where no rank has an element.
    """
    total = values.sum()
    if count is None:
        count = total.new_tensor(values.numel())
    count = count.detach().to(total.dtype)
    if get_world_size() == 1:
        return total / count.masked_fill(count == 0, 1)
    means = torch.stack([total.detach(), count])
    all_reduce(means, op='mean')
    count = means[1].masked_fill(means[1] == 0, 1)
    own = total / count
    return own + (means[0] / count - own).detach()


class _GatherRows(Function):
    """Rows of all ranks; backward adds up what the ranks ask of this one's rows."""

    @staticmethod
    def forward(ctx, rows: Tensor, sizes: Tuple[int, ...]) -> Tensor:
        ctx.sizes = sizes
        padded = rows.new_zeros(max(sizes), *rows.shape[1:])
        padded[:len(rows)] = rows
        return torch.cat([part[:size] for part, size in zip(all_gather(padded), sizes)])

    @staticmethod
    def backward(ctx, grad: Tensor):
        grad = grad.contiguous().clone()
        all_reduce(grad)
        return grad.split(ctx.sizes)[get_rank()], None


def gather_rows(rows: Tensor) -> Tuple[Tensor, List[int]]:
    """Rows of all processes, for losses that are no sum over them. Every rank must call it, and back-propagate.

    Distributed training averages the gradients of the ranks. So, as with :func:`global_mean`: where every rank computes
    the same loss from the gathered rows, or its own part of a mean (times the number of ranks), the average is the
    gradient of one process.

    Args:
        rows: (N, ...), another N on every rank, also 0.

    Returns:
        (sum of N, ...) in the order of the ranks, and every rank's N.
    """
    if get_world_size() == 1:
        return rows, [len(rows)]
    sizes = torch.cat(all_gather(torch.tensor([len(rows)], device=rows.device))).tolist()
    return _GatherRows.apply(rows, tuple(sizes)), sizes
