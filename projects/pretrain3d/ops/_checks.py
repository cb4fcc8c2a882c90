"""Argument checks shared by the operators; every message names the argument and says what to pass instead."""
from __future__ import annotations

import math
from typing import List, Optional, Sequence, Union

import numpy as np
import torch
from torch import Tensor

Numbers = Union[float, int, Sequence[float], np.ndarray, Tensor]


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


def as_row(name: str, value: Numbers, length: int) -> List[float]:
    """``value`` (a number, or ``length`` of them) as ``length`` Python floats.

    Plain Python on purpose: on a handful of numbers a tensor operation costs more than the kernel that needs them.
    """
    if isinstance(value, (int, float)):
        return [float(value)] * length
    row = value.tolist() if isinstance(value, (Tensor, np.ndarray, np.generic)) else list(value)
    if isinstance(row, (int, float)):
        return [float(row)] * length
    if len(row) != length or not all(isinstance(each, (int, float, np.number)) for each in row):
        raise ValueError(f'{name} must be one number or {length} numbers, got {row}')
    return [float(each) for each in row]


def as_positive_row(name: str, value: Numbers, length: int) -> List[float]:
    """:func:`as_row` for a quantity that must be finite and above zero, such as a voxel size."""
    row = as_row(name, value, length)
    if not all(0 < each < math.inf for each in row):
        raise ValueError(f'{name} must be finite and above zero, got {row}')
    return row
