"""A hook that keeps part of a model as it is: linear probes train a classifier on frozen features."""
from typing import Sequence

from mmdet3d.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper


@HOOKS.register_module()
class FreezeHook(Hook):
    """Freeze modules: no gradient for their parameters, and no running statistics that follow the data.

    It acts in ``before_train``, after ``WeightTransferHook`` whatever their order, and in every step, since the loops
    put the whole model back into training mode.

    Args:
        modules: paths of the modules, e.g. ``['backbone']``.
    """

    priority = 'LOW'

    def __init__(self, modules: Sequence[str]) -> None:
        if isinstance(modules, str):
            raise TypeError(f'modules of FreezeHook is the string {modules!r}; give a list of module paths')
        self.modules = tuple(modules)

    def before_train(self, runner) -> None:
        """Take the parameters out of training.

        Raises:
            KeyError: a path names no module of the model.
        """
        for module in self._found(runner):
            module.requires_grad_(False)
        if is_model_wrapper(runner.model):
            # Distributed data parallel notes at its making whose gradients it waits for.
            runner.model = runner.wrap_model(runner.cfg.get('model_wrapper_cfg'), runner.model.module)

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Keep batch norms from following the data."""
        for module in self._found(runner):
            module.eval()

    def _found(self, runner) -> list:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        try:
            return [model.get_submodule(path) for path in self.modules]
        except AttributeError as error:
            children = [name for name, _ in model.named_children()]
            raise KeyError(f'FreezeHook: {error}; modules={list(self.modules)}, the model holds {children}') from None
