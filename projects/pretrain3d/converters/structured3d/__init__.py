"""Structured3D, real or drawn by ``worlds.rooms``."""
