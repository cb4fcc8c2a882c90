"""Hooks that guard a run; importing them registers them."""
from .config_check import ConfigCheckHook
from .freeze import FreezeHook
from .input_check import InputCheckHook

__all__ = ['ConfigCheckHook', 'FreezeHook', 'InputCheckHook']
