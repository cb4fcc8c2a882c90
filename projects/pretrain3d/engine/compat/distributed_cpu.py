"""mmengine's launchers on CPU: they choose a CUDA device, ask for NCCL, and name a device to DDP."""
import contextlib
import datetime
import functools
import importlib
import os
import sys
import warnings
from typing import Any, Callable, Iterator

import torch

# What gloo says to a process whose partner is gone or does not answer.
LOST_PARTNER = ('Connection closed by peer', 'Connection reset by peer', 'Broken pipe', 'Timed out waiting')


def _rank() -> str:
    """This process's rank, before and after there is a process group."""
    return os.environ.get('RANK', os.environ.get('SLURM_PROCID', '0'))


@contextlib.contextmanager
def _no_device_to_set() -> Iterator[None]:
    """Let ``torch.cuda.set_device`` do nothing."""
    original, torch.cuda.set_device = torch.cuda.set_device, lambda device: None
    try:
        yield
    finally:
        torch.cuda.set_device = original


def report_lost_partner(hook: Callable) -> Callable:
    """Wrap ``sys.excepthook``: a process that stops because another one did says so in a line, without a traceback.

    The cause is then printed once, by the process that had it.
    """

    @functools.wraps(hook)
    def report(kind: type, error: BaseException, trace: Any) -> None:
        if issubclass(kind, RuntimeError) and any(words in str(error) for words in LOST_PARTNER):
            words = str(error).splitlines()[0]
            print(f'rank {_rank()} stops: another rank ended or does not answer ({words})', file=sys.stderr)
        else:
            hook(kind, error, trace)

    return report


def by_gloo(init_dist: Callable) -> Callable:
    """Wrap mmengine's ``init_dist``: without CUDA, processes talk by gloo and no device is chosen."""

    @functools.wraps(init_dist)
    def init(launcher: str, backend: str = 'nccl', **kwargs: Any) -> None:
        if torch.cuda.is_available():
            return init_dist(launcher, backend, **kwargs)
        if backend == 'nccl':
            backend = 'gloo'
            if _rank() == '0':
                warnings.warn('there is no CUDA, so the processes communicate by gloo instead of nccl; '
                              "env_cfg.dist_cfg.backend='gloo' in the config says the same without this warning")
        init.timeout = kwargs.get('timeout')
        with _no_device_to_set():
            init_dist(launcher, backend, **kwargs)
        sys.excepthook = report_lost_partner(sys.excepthook)

    init.timeout = None
    return init


def _wrapper_on_cpu(construct: Callable, init: Callable) -> Callable:
    """Wrap the constructor of ``MMDistributedDataParallel``: a module on the CPU has no device id.

    It gets process group of its own. Gradients are reduced as soon as they are there, which on a rank without points
    is another moment than elsewhere; in the group that the synchronising norms use they would meet those.
    """

    @functools.wraps(construct)
    def __init__(self, module: torch.nn.Module, *args: Any, **kwargs: Any) -> None:
        if all(parameter.device.type == 'cpu' for parameter in module.parameters()):
            kwargs.update(device_ids=None, output_device=None)
            if kwargs.get('process_group') is None:
                limit = {} if init.timeout is None else dict(timeout=datetime.timedelta(seconds=init.timeout))
                kwargs['process_group'] = torch.distributed.new_group(backend='gloo', **limit)
        construct(self, module, *args, **kwargs)

    return __init__


def mend() -> None:
    """Wrap ``init_dist`` wherever mmengine keeps it, and the constructor of its DDP."""
    # By name: mmengine.dist re-exports what its modules hold, and mmengine.runner is a package and a module.
    places = [importlib.import_module(name) for name in ('mmengine.dist.utils', 'mmengine.dist',
                                                         'mmengine.runner.runner')]
    from mmengine.model.wrappers import MMDistributedDataParallel
    if hasattr(places[0].init_dist, 'timeout'):
        return
    init = by_gloo(places[0].init_dist)
    for module in places:
        module.init_dist = init
    MMDistributedDataParallel.__init__ = _wrapper_on_cpu(MMDistributedDataParallel.__init__, init)
