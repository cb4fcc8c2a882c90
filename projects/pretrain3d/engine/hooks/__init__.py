"""Hooks that guard a run; importing them registers them."""
from .input_check import InputCheckHook

__all__ = ['InputCheckHook']
