"""One line in ``custom_hooks`` that gives any mmdet3d model a pre-trained part."""
from typing import Mapping, Optional, Sequence, Union

from mmdet3d.registry import HOOKS
from mmengine.hooks import EMAHook, Hook
from mmengine.model import is_model_wrapper

from .mapping import StateMapping
from .transfer import MIN_MATCHED, load_weights


@HOOKS.register_module()
class WeightTransferHook(Hook):
    """Load part of a checkpoint into part of the model before training begins.

    It acts in ``before_train``: after ``init_cfg`` and ``load_from``, never in a test, and not when a run is resumed
    (a resumed run already holds trained weights). The report is logged; too few matches stop the run. An averaged
    copy kept by ``EMAHook`` starts from the same weights.

    ::

        custom_hooks = [dict(type='WeightTransferHook', checkpoint='pretrained.pth', source='backbone',
                             target='pts_middle_encoder')]

    Args:
        checkpoint: Local checkpoint file.
        source: Module path in the checkpoint; empty takes all.
        target: Module path in the model; empty means the whole model.
        rename: ``(pattern, replacement)`` pairs for ``re.sub`` on keys relative to ``source``.
        mapping: Name of a registered mapping.
        min_matched: Fraction of the target's tensors that must match, in [0, 1].
        spconv_layout: Layout of the checkpoint's sparse kernels: ``'auto'``, ``'1'`` or ``'2'``.
        state_key: Entry of the checkpoint that holds the state dict, e.g. ``'ema_state_dict'``.
        domain: The checkpoint has domain prompts, the model is a plain one: load this domain's weights.
        new_domains: The model has domains that the checkpoint has not: new domain -> a domain of the checkpoint to
            start it from, several, or ``'mean'`` of all, e.g. ``dict(Mine='mean')``.
    """

    priority = 'HIGH'

    def __init__(self,
                 checkpoint: str,
                 source: str = '',
                 target: str = '',
                 rename: Sequence[Sequence[str]] = (),
                 mapping: Union[str, StateMapping, None] = None,
                 min_matched: float = MIN_MATCHED,
                 spconv_layout: str = 'auto',
                 state_key: Optional[str] = None,
                 domain: Optional[str] = None,
                 new_domains: Optional[Mapping[str, Union[str, Sequence[str]]]] = None) -> None:
        self.checkpoint = checkpoint
        self.options = dict(source=source, target=target, rename=rename, mapping=mapping, min_matched=min_matched,
                            spconv_layout=spconv_layout, state_key=state_key, domain=domain,
                            new_domains=new_domains)

    def before_train(self, runner) -> None:
        """Transfer the weights unless the run was resumed from a checkpoint of its own."""
        # `--resume` without a checkpoint to resume from is a fresh start: only then is nothing loaded.
        if runner._resume and runner._has_loaded:
            runner.logger.info(f'resumed run: the weights of {self.checkpoint} are not loaded again')
            return
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        load_weights(model, self.checkpoint, logger=runner.logger, **self.options)
        for hook in runner.hooks:
            if isinstance(hook, EMAHook):
                # The average was copied before the model was initialised, so all of it is taken over, not only the
                # transferred part.
                hook.ema_model.module.load_state_dict(model.state_dict())
