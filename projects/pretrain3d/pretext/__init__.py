"""Pretext tasks: one encoder, one or more heads that share it."""
from .base import Encoded, PretextHead
from .model import PretextModel
from .reduce import global_mean

__all__ = ['Encoded', 'PretextHead', 'PretextModel', 'global_mean']
