"""What a run is made of beyond weights, optimizer and schedules: generators, and gradients not yet applied."""
import random
from typing import Any, Dict, List

import numpy as np
import torch
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper


def rng_state() -> Dict[str, Any]:
    """States of python's, numpy's and torch's generators (CPU and every CUDA device), in types any checkpoint may hold.

    Reading them draws nothing.
    """
    version, words, gauss = random.getstate()
    kind, keys, position, has_gauss, cached = np.random.get_state()
    return dict(
        python=(version, torch.tensor(words), gauss),
        numpy=(kind, torch.from_numpy(keys.astype(np.int64)), position, has_gauss, cached),
        torch=torch.get_rng_state(),
        cuda=torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [])


def set_rng_state(state: Dict[str, Any]) -> None:
    """Put back what :func:`rng_state` read; devices that this machine lacks are passed over."""
    version, words, gauss = state['python']
    random.setstate((version, tuple(words.tolist()), gauss))
    kind, keys, position, has_gauss, cached = state['numpy']
    np.random.set_state((kind, keys.cpu().numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state['torch'].cpu())
    devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for device, cuda in enumerate(state['cuda'][:devices]):
        torch.cuda.set_rng_state(cuda.cpu(), device)


def _wrappers(runner: Any) -> List[OptimWrapper]:
    """The optimizer wrappers of a run, one for most."""
    wrapper = runner.optim_wrapper
    return [wrapper] if isinstance(wrapper, OptimWrapper) else list(wrapper.values())


def pending_gradients(runner: Any) -> Dict[str, torch.Tensor]:
    """Gradients that wait for the next update (``accumulative_counts`` > 1), by parameter; empty right after one."""
    if all(wrapper.should_update() for wrapper in _wrappers(runner)):
        return {}
    return {name: parameter.grad.detach().cpu().clone() for name, parameter in _parameters(runner)
            if parameter.grad is not None}


def set_pending_gradients(runner: Any, gradients: Dict[str, torch.Tensor]) -> None:
    """Put back what :func:`pending_gradients` read."""
    for name, parameter in _parameters(runner):
        if name in gradients:
            parameter.grad = gradients[name].to(parameter, copy=True)


def rank_buffers(runner: Any) -> Dict[str, torch.Tensor]:
    """Buffers of the model on this rank: norms that do not synchronise have statistics of their own on each."""
    return {name: buffer.detach().cpu().clone() for name, buffer in _model(runner).named_buffers()}


def set_rank_buffers(runner: Any, buffers: Dict[str, torch.Tensor]) -> None:
    """Put back what :func:`rank_buffers` read."""
    with torch.no_grad():
        for name, buffer in _model(runner).named_buffers():
            if name in buffers and buffers[name].shape == buffer.shape:
                buffer.copy_(buffers[name])


def _parameters(runner: Any):
    return _model(runner).named_parameters()


def _model(runner: Any) -> torch.nn.Module:
    return runner.model.module if is_model_wrapper(runner.model) else runner.model
