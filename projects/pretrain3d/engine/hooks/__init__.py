"""Hooks that guard a run; importing them registers them."""
from .config_check import ConfigCheckHook
from .input_check import InputCheckHook

__all__ = ['ConfigCheckHook', 'InputCheckHook']
