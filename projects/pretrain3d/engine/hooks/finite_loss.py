"""A hook that keeps NaN and infinity out of the weights."""
import functools
import json
import os.path as osp
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import torch
from mmengine.dist import all_reduce, get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from torch import Tensor

from mmdet3d.registry import HOOKS

# Updates in a row that the loss scaler of mixed precision leaves out: its scale has by then become zero.
DEAD_SCALE = 100
STATISTICS = ('running_mean', 'running_var', 'num_batches_tracked')
# What a batch is known by, as far as its samples' meta information has it.
SAMPLE_KEYS = ('lidar_path', 'img_path', 'sample_idx', 'token', 'scan', 'frames', 'draw', 'voxel_seed')


class NonFiniteLossError(RuntimeError):
    """The loss stays NaN or infinite; the message names the file that lists the batches."""


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """No update from a NaN or infinite loss or gradient, whatever the model.

    In such a step, on all ranks alike, the weights, the optimizer's state and the running statistics of norms stay as
    they were before it; a line in ``nonfinite.rank<r>.jsonl`` beside the run's log says which samples, drawn with which
    seeds, were in the batch. Losses and gradients that are finite are not touched.

    The check costs one synchronisation of the host for each update, between backward and update. mmengine itself
    synchronises in each iteration right behind the update, to log the losses. Gradients of mixed precision are checked
    by its loss scaler, whose skipped updates are counted in ``overflows`` of the log's scalars.

    Args:
        max_in_a_row: The run ends when this many updates in a row are left out. Defaults to 10.
    """

    def __init__(self, max_in_a_row: int = 10) -> None:
        if max_in_a_row < 1:
            raise ValueError(f'FiniteLossHook: max_in_a_row is {max_in_a_row}; it must be at least 1')
        self.max_in_a_row = max_in_a_row
        self.skipped = 0
        self.overflows = 0
        self._in_a_row = 0
        self._overflows_in_a_row = 0
        self._bad_loss: Optional[Tensor] = None
        self._fault: Optional[str] = None
        self._batches: List[Any] = []
        self._statistics: List[Tensor] = []
        self._saved: List[Tensor] = []
        self._model: Optional[torch.nn.Module] = None

    def before_train(self, runner: Any) -> None:
        """Stand between the loss and the optimizer."""
        self._model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        self._statistics = [buffer for name, buffer in self._model.named_buffers()
                            if name.rpartition('.')[2] in STATISTICS]
        wrappers = runner.optim_wrapper
        for wrapper in [wrappers] if isinstance(wrappers, OptimWrapper) else list(wrappers.values()):
            if not hasattr(wrapper.step, '_checks_losses'):
                self._stand_before(wrapper)

    def _stand_before(self, wrapper: OptimWrapper) -> None:
        """Note every loss of ``wrapper``, and step only where all since the last step and their gradients are finite.

        On the object, because ``update_params`` asks it, and so do models that call both themselves.
        """
        wrapper.backward = self._noting(wrapper.backward)
        wrapper.step = self._checking(wrapper.step, wrapper)

    def _noting(self, backward: Callable) -> Callable:

        @functools.wraps(backward)
        def noting(loss: Tensor, *args: Any, **kwargs: Any) -> None:
            bad = ~torch.isfinite(loss.detach()).all()
            self._bad_loss = bad if self._bad_loss is None else self._bad_loss | bad
            # Also where the loss is bad: on other ranks it may not be, and these wait for this one's gradients.
            backward(loss, *args, **kwargs)

        return noting

    def _checking(self, step: Callable, wrapper: OptimWrapper) -> Callable:
        scaled = getattr(wrapper, 'loss_scaler', None) is not None
        stepped: List[bool] = []
        if scaled:
            wrapper.optimizer.register_step_post_hook(lambda *_: stepped.append(True))

        @functools.wraps(step)
        def checking(*args: Any, **kwargs: Any) -> None:
            bad_loss, self._bad_loss = self._bad_loss, None
            fault = self._agree(bad_loss, None if scaled else gradients(wrapper))
            if fault:
                self._fault = fault
                self._restore()
                wrapper.optimizer.zero_grad()
                return
            stepped.clear()
            step(*args, **kwargs)
            if scaled and not stepped:
                self.overflows += 1
                self._overflows_in_a_row += 1
            elif scaled:
                self._overflows_in_a_row = 0

        checking._checks_losses = True
        return checking

    def _agree(self, bad_loss: Optional[Tensor], grads: Optional[List[Tensor]]) -> Optional[str]:
        """What is not finite on any rank; ``None``: all is."""
        flags = [torch.zeros((), dtype=torch.bool) if bad_loss is None else bad_loss]
        if grads:
            # NaN and infinity survive in the norm; its squares overflow above 1e19, which is no gradient either.
            norms = torch._foreach_norm(grads, 2)
            flags.append(~torch.isfinite(torch.stack([norm.to(flags[0].device).float() for norm in norms])).all())
        told = torch.stack([flag.to(flags[0].device) for flag in flags]).int()
        if get_world_size() > 1:
            all_reduce(told, 'max')
        told = told.tolist()
        return 'loss' if told[0] else 'gradients' if any(told) else None

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Remember the batch, and the norms' statistics before it."""
        if not self._batches:
            if len(self._saved) != len(self._statistics):
                self._saved = [torch.empty_like(buffer) for buffer in self._statistics]
            copy_all(self._saved, self._statistics)
        self._batches.append(data_batch)

    def _restore(self) -> None:
        copy_all(self._statistics, self._saved)

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None,
                         outputs: Optional[Dict[str, Any]] = None) -> None:
        """Write down a batch that gave no update; end the run after too many.

        Raises:
            NonFiniteLossError: ``max_in_a_row`` updates in a row were left out.
        """
        fault, self._fault = self._fault, None
        if self.overflows:
            runner.message_hub.update_scalar('train/overflows', self.overflows)
        if self._overflows_in_a_row >= DEAD_SCALE:
            raise NonFiniteLossError(f'{DEAD_SCALE} updates in a row overflowed in mixed precision, whatever the '
                                     'scale: gradients are NaN; train with OptimWrapper instead of AmpOptimWrapper')
        updates = all(wrapper.should_update() for wrapper in _wrappers(runner.optim_wrapper))
        if not updates and not fault:
            return
        batches, self._batches = self._batches, []
        if not fault:
            self._in_a_row = 0
            return
        self.skipped += 1
        self._in_a_row += 1
        path = osp.join(runner.log_dir, f'nonfinite.rank{get_rank()}.jsonl')
        self._write(runner, path, fault, batches, outputs or {})
        if self._in_a_row >= self.max_in_a_row:
            raise NonFiniteLossError(f'{fault} NaN or infinite in {self._in_a_row} updates in a row, up to iteration '
                                     f'{runner.iter}: the weights are as they were before. {path} lists the batches; '
                                     'lower the learning rate, or look for a bad sample among them')
        runner.logger.warning(f'iteration {runner.iter}: {fault} NaN or infinite, no update; samples are in {path}')

    def _write(self, runner: Any, path: str, fault: str, batches: List[Any], outputs: Dict[str, Any]) -> None:
        losses = {name: float(value) for name, value in outputs.items()
                  if isinstance(value, (int, float)) or (isinstance(value, Tensor) and value.numel() == 1)}
        entry = dict(iter=runner.iter, epoch=runner.epoch, fault=fault, run_seed=runner.seed, losses=losses,
                     samples=[sample for batch in batches for sample in batch_samples(batch)])
        with open(path, 'a') as file:
            file.write(json.dumps(entry, default=str) + '\n')

    def after_train(self, runner: Any) -> None:
        """Tell how many updates were left out."""
        if self.skipped or self.overflows:
            runner.logger.warning(f'{self.skipped} updates were left out because of NaN or infinity, {self.overflows} '
                                  "by the loss scaler of mixed precision")


def _wrappers(wrapper: Any) -> List[OptimWrapper]:
    return [wrapper] if isinstance(wrapper, OptimWrapper) else list(wrapper.values())


def gradients(wrapper: OptimWrapper) -> List[Tensor]:
    """Gradients that an optimizer is about to use."""
    found = [parameter.grad for group in wrapper.optimizer.param_groups for parameter in group['params']
             if parameter.grad is not None]
    return [grad for grad in (grad.coalesce().values() if grad.is_sparse else grad for grad in found) if grad.numel()]


@torch.no_grad()
def copy_all(targets: List[Tensor], sources: List[Tensor]) -> None:
    """Copy tensors of equal shapes, those of one type and device in one kernel."""
    for group in _by_kind(targets, sources):
        torch._foreach_copy_(*map(list, zip(*group)))


def _by_kind(targets: List[Tensor], sources: List[Tensor]) -> Iterator[List[Tuple[Tensor, Tensor]]]:
    kinds: Dict[Any, List[Tuple[Tensor, Tensor]]] = {}
    for target, source in zip(targets, sources):
        kinds.setdefault((target.dtype, target.device), []).append((target, source))
    yield from kinds.values()


def batch_samples(batch: Any) -> List[Dict[str, Any]]:
    """What the samples of a batch are known by, in the batch's order."""
    samples = batch.get('data_samples') if isinstance(batch, dict) else None
    found = []
    for sample in samples or ():
        info = getattr(sample, 'metainfo', {})
        found.append({key: info[key] for key in SAMPLE_KEYS if key in info})
    return found
