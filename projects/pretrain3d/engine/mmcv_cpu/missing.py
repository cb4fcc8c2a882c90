"""What an extension function that has no implementation here says when it is called."""
from typing import Callable


def needs_compiled(name: str) -> NotImplementedError:
    """The error that names the operator and how to get it."""
    return NotImplementedError(
        f'{name} needs compiled mmcv: this environment has mmcv without compiled operators, and pretrain3d implements '
        f'on CPU only those that its models and metrics need. Install a compiled wheel (pip install mmcv==2.1.0 -f '
        f'https://download.openmmlab.com/mmcv/dist/<cuda>/<torch>/index.html) or build one with `make wheels`')


def missing(name: str) -> Callable:
    """A stand-in for the extension function ``name`` that raises once it is called, not when it is looked up."""

    def call(*args, **kwargs):
        raise needs_compiled(name)

    call.__name__ = call.__qualname__ = name
    return call
