"""A hook that holds the run's policy about samples that cannot be read, and tells at the end what was left out."""
import functools
import os.path as osp
from typing import Any, Optional, Union

from mmengine.dist import get_rank, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import FlexibleRunner, Runner

from mmdet3d.registry import HOOKS
from pretrain3d.datasets.bad_samples import Policy, guard, summary

from .input_check import leaf_datasets

FOLDER = 'bad_samples'
SHOWN = 20


def _watch(runner_type: type) -> None:
    """Let a run's hook guard every dataset before its workers start; without the hook, nothing changes."""
    for name in ('build_train_loop', 'build_val_loop', 'build_test_loop'):
        build = getattr(runner_type, name)
        if not hasattr(build, '_guards'):
            setattr(runner_type, name, _guarding(build))


def _guarding(build_loop: Any) -> Any:

    @functools.wraps(build_loop)
    def build(runner, *args, **kwargs):
        hook = next((one for one in runner.hooks if isinstance(one, BadSampleHook)), None)
        if hook is not None and 'build_dataloader' not in vars(runner):
            plain = runner.build_dataloader

            def build_dataloader(*args, **kwargs):
                loader = plain(*args, **kwargs)
                hook.guard(loader.dataset, runner)
                return loader

            runner.build_dataloader = build_dataloader  # loops ask the runner; endless ones start workers at once
        return build_loop(runner, *args, **kwargs)

    build._guards = True
    return build


@HOOKS.register_module()
class BadSampleHook(Hook):
    """What happens to samples that cannot be read, in every dataset of the run, stock mmdet3d ones too.

    A bad sample of training is an error that names its file, or it is skipped: another one takes its place, chosen by
    the draw alone. Validation and testing never skip, because the score would be of other data. Every process writes
    what it skips into ``bad_samples/`` beside the run's log; the end of training tells how often each file was.

    Frames without objects, which mmdet3d's datasets replace by others (``filter_empty_gt``), are counted, too.

    Args:
        on_bad_sample: 'raise' or 'skip'. Defaults to 'raise'.
        max_bad: With 'skip', how many different samples of a dataset may be bad before the run ends: a number, or a
            share below 1. Defaults to 0.01.
    """

    priority = 'VERY_HIGH'

    def __init__(self, on_bad_sample: str = 'raise', max_bad: Union[int, float] = 0.01) -> None:
        Policy(on_bad_sample, max_bad, '')  # its checks
        self.on_bad_sample = on_bad_sample
        self.max_bad = max_bad
        for runner_type in (Runner, FlexibleRunner):
            _watch(runner_type)

    def guard(self, dataset: Any, runner: Any) -> None:
        """Make the datasets inside wrappers follow this hook's policy."""
        policy = Policy(self.on_bad_sample, self.max_bad, osp.join(runner.log_dir, FOLDER), get_rank())
        for one in leaf_datasets(dataset):
            guard(one, policy)

    def after_train(self, runner: Any) -> None:
        """Tell what was left out, by all ranks that share the work directory, in reading this run's data."""
        report = describe_skipped(osp.join(runner.log_dir, FOLDER)) if is_main_process() else None
        if report:
            runner.logger.warning(report)


def describe_skipped(folder: str) -> Optional[str]:
    """Lines that tell what was skipped and which frames had no objects; ``None`` where there were neither."""
    skipped, errors, empty = summary(folder)
    lines = []
    if skipped:
        lines.append(f'{sum(skipped.values())} reads of {len(skipped)} bad files were skipped (all in {folder}):')
        lines += [f'  {count} x {name}: {errors[name]}' for name, count in skipped.most_common(SHOWN)]
        if len(skipped) > SHOWN:
            lines.append(f'  and {len(skipped) - SHOWN} more')
    lines += [f'{count} reads of {name} gave nothing to learn from (no boxes) and were replaced'
              for name, count in sorted(empty.items())]
    return '\n'.join(lines) or None
