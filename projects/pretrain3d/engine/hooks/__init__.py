"""Hooks that guard a run; importing them registers them."""
from .bad_samples import BadSampleHook
from .checkpoint import ResumableCheckpointHook
from .config_check import ConfigCheckHook
from .domain_check import DomainCheckHook
from .finite_loss import FiniteLossHook
from .freeze import FreezeHook
from .input_check import InputCheckHook

__all__ = [
    'BadSampleHook', 'ConfigCheckHook', 'DomainCheckHook', 'FiniteLossHook', 'FreezeHook', 'InputCheckHook',
    'ResumableCheckpointHook'
]
