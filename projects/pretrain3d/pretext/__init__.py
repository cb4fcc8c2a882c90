"""Pretext tasks: one encoder, one or more heads that share it."""
from pretrain3d.heads import global_mean

from .base import Encoded, PretextHead
from .model import PretextModel

__all__ = ['Encoded', 'PretextHead', 'PretextModel', 'global_mean']
