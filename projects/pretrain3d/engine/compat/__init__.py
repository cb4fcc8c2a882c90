"""Mends of the installed stack, applied once when ``pretrain3d`` is imported."""


def apply() -> None:
    """Apply every mend that this machine needs; calling it again changes nothing."""
