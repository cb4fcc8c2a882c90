"""Batch norm over the rows of all processes, on the CPU, where torch's ``SyncBatchNorm`` refuses to run."""
from typing import List, Optional, Tuple

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


def _ranks(group: Optional[object]) -> int:
    """Number of processes that share a batch."""
    return dist.get_world_size(group) if dist.is_available() and dist.is_initialized() else 1


def _over_rows(x: Tensor) -> Tuple[List[int], Tuple[int, ...]]:
    """Dimensions of (N, C, ...) to sum over, and the shape in which (C,) broadcasts against it."""
    return [0, *range(2, x.dim())], (1, -1, *([1] * (x.dim() - 2)))


@torch.no_grad()
def batch_moments(x: Tensor, group: Optional[object] = None) -> Tuple[int, Tensor, Tensor]:
    """Count, mean and biased variance of every channel over the rows of all processes.

    Each process sends its count, mean and sum of squared deviations; they are combined by Chan's formula, in float64
    and in the order of the ranks, so that every process gets the same bits.

    Args:
        x: (N, C, ...) on the CPU; N may be 0, also everywhere.
        group: process group; ``None``: all.

    Returns:
        Number of elements per channel, (C,) means and (C,) variances, both float64, 0 where there is no element.
    """
    dims, shape = _over_rows(x)
    count = x.numel() // max(1, x.shape[1])
    mean = x.sum(dims, dtype=torch.float64) / max(1, count)
    # In float64 from the start: the deviations of a float32 mean would not sum to 0.
    squares = (x.to(torch.float64) - mean.view(shape)).square().sum(dims)
    own = torch.cat([mean.new_tensor([count]), mean, squares])
    every = [torch.empty_like(own) for _ in range(_ranks(group))]
    if len(every) > 1:
        dist.all_gather(every, own, group=group)
    else:
        every = [own]
    packed = torch.stack(every)
    counts, means, sums = packed[:, :1], *packed[:, 1:].chunk(2, dim=1)
    total = int(counts.sum())
    mean = (counts * means).sum(0) / max(1, total)
    return total, mean, (sums + counts * (means - mean).square()).sum(0) / max(1, total)


class _Normalise(Function):
    """(x - mean) / sqrt(var + eps) * weight + bias, where mean and var follow x unless they are ``fixed``."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Optional[Tensor], bias: Optional[Tensor], moments: Tuple[int, Tensor, Tensor],
                eps: float, fixed: bool, group: Optional[object]) -> Tensor:
        _, shape = _over_rows(x)
        count, mean, var = moments
        kind = torch.promote_types(x.dtype, torch.float32)
        scale = (var.double() + eps).rsqrt().to(kind).view(shape)
        normal = (x.to(kind) - mean.to(kind).view(shape)) * scale
        ctx.save_for_backward(normal, scale, weight)
        ctx.count, ctx.fixed, ctx.group = count, fixed, group
        out = normal if weight is None else normal * weight.to(kind).view(shape)
        return (out if bias is None else out + bias.to(kind).view(shape)).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        normal, scale, weight = ctx.saved_tensors
        dims, shape = _over_rows(normal)
        like, grad = grad.dtype, grad.to(normal.dtype)
        # float64 sums: that of the gradients is often a small difference of large numbers
        by_bias, by_weight = (values.sum(dims, dtype=torch.float64) for values in (grad, grad * normal))
        every = torch.cat([by_bias, by_weight])
        if _ranks(ctx.group) > 1:  # whatever needs a gradient here: the others wait
            dist.all_reduce(every, group=ctx.group)
        by_input = grad
        if not ctx.fixed:
            first, second = ((part / max(1, ctx.count)).to(grad.dtype).view(shape) for part in every.chunk(2))
            by_input = grad - first - normal * second
        by_input = by_input * scale
        if weight is None:
            return by_input.to(like), None, None, None, None, None, None
        kind = weight.dtype
        by_input = by_input * weight.to(grad.dtype).view(shape)
        return by_input.to(like), by_weight.to(kind), by_bias.to(kind), None, None, None, None


def sync_batch_norm(norm: torch.nn.SyncBatchNorm, x: Tensor) -> Tensor:
    """One training step of ``norm`` on the CPU, over the rows of all processes, of which some may have none.

    As much as ``BatchNorm`` of one process with all rows, its running statistics included. Fewer than two rows in all
    have no variance: they are normalised by the running statistics, which stay.

    Args:
        norm: weights, running statistics, ``momentum``, ``eps`` and ``process_group``.
        x: (N, C, ...); N may be 0, also everywhere. Half precision is normalised in float32.

    Returns:
        As ``x``, in its type. Its backward pass communicates too: every process has to call it.
    """
    if x.dim() < 2 or x.shape[1] != norm.num_features:
        raise ValueError(f'a norm of {norm.num_features} channels got a tensor of shape {tuple(x.shape)}')
    moments = batch_moments(x, norm.process_group)
    count, mean, var = moments
    tracked = norm.track_running_stats and norm.running_mean is not None
    fixed = tracked and count < 2
    if fixed:
        moments = count, norm.running_mean, norm.running_var
    elif tracked:
        norm.num_batches_tracked.add_(1)
        momentum = 1 / int(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
        unbiased = var * count / (count - 1)
        norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), momentum)
        norm.running_var.lerp_(unbiased.to(norm.running_var.dtype), momentum)
    return _Normalise.apply(x, norm.weight, norm.bias, moments, norm.eps, fixed, norm.process_group)
