"""mmengine 0.10.7 formats the same config text about six times a run with yapf, 1.7 s each: remember the results."""
import functools
from typing import Any, Callable

_KEPT = 8


def remember(format_code: Callable) -> Callable:
    """``format_code`` (yapf's ``FormatCode``) with its last results kept; what it raises is raised again each time."""
    kept: dict = {}

    @functools.wraps(format_code)
    def formatted(text: str, **options: Any):
        key = (text, repr(sorted(options.items())))
        if key not in kept:
            while len(kept) >= _KEPT:
                kept.pop(next(iter(kept)))
            kept[key] = format_code(text, **options)
        return kept[key]

    return formatted


def mend() -> None:
    """Let ``Config.pretty_text`` use :func:`remember`."""
    from mmengine.config import config
    if hasattr(config, 'FormatCode') and not hasattr(config.FormatCode, '__wrapped__'):
        config.FormatCode = remember(config.FormatCode)
