"""Focal losses, element by element: the kernels under ``mmcv.ops.sigmoid_focal_loss`` and ``softmax_focal_loss``.

With p the probability of the target and t the target's class: sigmoid ``-alpha (1-p)^gamma log p`` at column t and
``-(1-alpha) p^gamma log(1-p)`` at the others; softmax ``-alpha (1-p)^gamma log p``. Logarithms are clamped at the
smallest normal float32, and a row is scaled by ``weight[t]`` where weights are given. A target outside the classes is
background; it has no weight of its own (the CUDA kernel reads past the end there), so it keeps 1.
"""
import torch
from torch import Tensor

TINY = torch.finfo(torch.float32).tiny


def _row_weight(weight: Tensor, target: Tensor) -> Tensor:
    """(N,) the weight of each row's class; 1 for background."""
    known = (target >= 0) & (target < weight.numel())
    return torch.where(known, weight[target.clamp(0, weight.numel() - 1)], torch.ones((), dtype=weight.dtype))


def _sigmoid_terms(input: Tensor, target: Tensor):
    p = torch.sigmoid(input)
    hit = target[:, None] == torch.arange(input.shape[1])
    return p, hit, p.clamp(min=TINY).log(), (1 - p).clamp(min=TINY).log()


@torch.no_grad()
def sigmoid_focal_loss_forward(input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float,
                               alpha: float) -> None:
    """Write the loss of logits ``input`` (N, C) against classes ``target`` (N,) into ``output`` (N, C).

    Args:
        weight: (C,) or empty.
    """
    p, hit, log_p, log_q = _sigmoid_terms(input, target)
    loss = torch.where(hit, -alpha * (1 - p)**gamma * log_p, -(1 - alpha) * p**gamma * log_q)
    output.copy_(loss * _row_weight(weight, target)[:, None] if weight.numel() else loss)


@torch.no_grad()
def sigmoid_focal_loss_backward(input: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, gamma: float,
                                alpha: float) -> None:
    """Write the derivative of each entry of the loss by its own logit into ``grad_input`` (N, C)."""
    p, hit, log_p, log_q = _sigmoid_terms(input, target)
    positive = -alpha * (1 - p)**gamma * (1 - p - gamma * p * log_p)
    negative = -(1 - alpha) * p**gamma * (gamma * (1 - p) * log_q - p)
    grad = torch.where(hit, positive, negative)
    grad_input.copy_(grad * _row_weight(weight, target)[:, None] if weight.numel() else grad)


@torch.no_grad()
def softmax_focal_loss_forward(input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float,
                               alpha: float) -> None:
    """Write the loss of *probabilities* ``input`` (N, C) against ``target`` (N,) into ``output`` (N,).

    A negative target costs nothing.
    """
    p = input.gather(1, target.clamp(min=0)[:, None]).squeeze(1)
    loss = -alpha * (1 - p)**gamma * p.clamp(min=TINY).log()
    loss = loss * _row_weight(weight, target) if weight.numel() else loss
    output.copy_(torch.where(target >= 0, loss, 0))


@torch.no_grad()
def softmax_focal_loss_backward(input: Tensor, target: Tensor, weight: Tensor, buff: Tensor, grad_input: Tensor,
                                gamma: float, alpha: float) -> None:
    """Write the gradient by the logits into ``grad_input`` (N, C); ``buff`` (N,) receives the factor of each row."""
    p = input.gather(1, target.clamp(min=0)[:, None]).squeeze(1)
    factor = alpha * (gamma * (1 - p)**(gamma - 1) * p * p.clamp(min=TINY).log() - (1 - p)**gamma)
    factor = factor * _row_weight(weight, target) if weight.numel() else factor
    buff.copy_(torch.where(target >= 0, factor, 0))
    hit = target[:, None] == torch.arange(input.shape[1])
    grad_input.copy_(buff[:, None] * (hit.to(input) - input))
