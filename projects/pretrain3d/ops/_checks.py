"""Argument checks shared by the operators; every message names the argument and says what to pass instead."""
from __future__ import annotations

from typing import Optional, Sequence, Union

import torch
from torch import Tensor

Numbers = Union[float, int, Sequence[float], Tensor]


def check_matrix(name: str, value: Tensor, columns: Optional[int] = None) -> None:
    """Raise unless ``value`` is a (N, columns) tensor; ``columns=None`` accepts any width of at least one."""
    if not isinstance(value, Tensor):
        raise TypeError(f'{name} must be a torch.Tensor, got {type(value).__name__}')
    wanted = 'D >= 1' if columns is None else columns
    if value.dim() != 2 or value.shape[1] == 0 or (columns is not None and value.shape[1] != columns):
        raise ValueError(f'{name} must have the shape (N, {wanted}), got {tuple(value.shape)}')


def check_floating(name: str, value: Tensor) -> None:
    """Raise unless ``value`` holds floating-point numbers."""
    if not value.is_floating_point():
        raise TypeError(f'{name} must be floating point, got {value.dtype}; convert with .float()')


def check_integral(name: str, value: Tensor) -> None:
    """Raise unless ``value`` holds integers (bool does not count)."""
    if value.is_floating_point() or value.is_complex() or value.dtype == torch.bool:
        raise TypeError(f'{name} must hold integers, got {value.dtype}; convert with .long()')


def check_vector(name: str, value: Tensor) -> None:
    """Raise unless ``value`` is an integer tensor of one dimension."""
    if not isinstance(value, Tensor):
        raise TypeError(f'{name} must be a torch.Tensor, got {type(value).__name__}')
    check_integral(name, value)
    if value.dim() != 1:
        raise ValueError(f'{name} must have the shape (N,), got {tuple(value.shape)}')


def check_index(name: str, value: Tensor, length: int) -> None:
    """Raise unless ``value`` is an integer tensor of the shape (length,)."""
    check_vector(name, value)
    if value.shape[0] != length:
        raise ValueError(f'{name} must have the shape ({length},), got {tuple(value.shape)}')


def check_same_device(name: str, value: Tensor, other_name: str, other: Tensor) -> None:
    """Raise unless both tensors are on one device."""
    if value.device != other.device:
        raise ValueError(f'{name} is on {value.device} but {other_name} is on {other.device}; move one of them')


def as_row(name: str, value: Numbers, length: int, device: torch.device) -> Tensor:
    """``value`` (a number, or ``length`` of them) as a float64 tensor of the shape (length,) on ``device``."""
    row = torch.as_tensor(value, dtype=torch.float64)
    if row.dim() == 0:
        row = row.expand(length).contiguous()
    if row.shape != (length,):
        raise ValueError(f'{name} must be one number or {length} numbers, got the shape {tuple(row.shape)}')
    return row.detach().to(device)


def as_positive_row(name: str, value: Numbers, length: int, device: torch.device) -> Tensor:
    """:func:`as_row` for a quantity that must be finite and above zero, such as a voxel size."""
    row = as_row(name, value, length, torch.device('cpu'))  # looked at here, so that a GPU is not waited for
    if not bool(((row > 0) & torch.isfinite(row)).all()):
        raise ValueError(f'{name} must be finite and above zero, got {row.tolist()}')
    return row.to(device)
