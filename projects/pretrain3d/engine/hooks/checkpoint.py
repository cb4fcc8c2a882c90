"""A checkpoint hook after which a killed run goes on as if nothing had happened; docs/resume.md tells what is meant."""
from collections import deque
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from mmengine.dist import all_gather_object, barrier, get_rank, get_world_size, is_main_process
from mmengine.fileio import LocalBackend, get_file_backend
from mmengine.hooks import CheckpointHook
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop

from mmdet3d.registry import HOOKS
from pretrain3d.files import remove_leftovers, write_atomic

from .checkpoint_files import STOPPED, WHOLE_FILES, LateRemoval, newest_whole
from .checkpoint_position import ResumedBatches, doubts, resume_epoch, restore_sampler, sampler_state
from .checkpoint_signals import EXIT_STOPPED, StopRequest
from .checkpoint_state import (pending_gradients, rank_buffers, rng_state, set_pending_gradients, set_rank_buffers,
                               set_rng_state)

# Where checkpoints keep what this hook adds.
KEY = 'exact_resume'


@HOOKS.register_module()
class ResumableCheckpointHook(CheckpointHook):
    """mmengine's ``CheckpointHook`` whose runs ``--resume`` exactly, whatever ended them.

    Beside what mmengine saves, a checkpoint holds every rank's generators, buffers and waiting gradients, the
    place in the epoch, the sampler's seed, and whether the validation due at that step has been done. Files appear
    whole or not at all, and old ones go when the new one and ``last_checkpoint`` are on the disk. ``--resume`` (auto)
    passes over damaged files with a warning. It draws no random number, so that a run is the same with or without it.

    Args:
        signals: On these the run saves once, after the step it is in, and exits with status 75; [] for none. Defaults
            to SIGTERM and SIGUSR1, which Slurm sends before it kills.
        stop_interval: The ranks of a distributed run agree on where to stop every so many iterations. Defaults to 10.
        **kwargs: Of mmengine's hook.
    """

    def __init__(self, *args, signals: Sequence[str] = ('SIGTERM', 'SIGUSR1'), stop_interval: int = 10,
                 **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self._stop = StopRequest(signals, stop_interval)
        self._batch = 0  # batches trained on of the epoch that the next checkpoint names
        self._validated = True  # whether the validation due at this step has been done
        self._saved_at: Optional[int] = None  # iterations done at the last save
        self._local = False
        self._saving: Optional[Dict[str, Any]] = None
        self._resumed: Optional[Dict[str, Any]] = None
        self._rng: Optional[Dict[str, Any]] = None

    # Where to resume from

    def before_run(self, runner) -> None:
        """Where ``--resume`` names no file, choose the last whole one."""
        self._local = not (self.file_client_args or self.backend_args) and isinstance(
            get_file_backend(self.out_dir or runner.work_dir), LocalBackend)
        if not runner._resume or runner._load_from is not None or not self._local:
            return
        work_dir = Path(runner.work_dir)
        folder = Path(self.out_dir) / work_dir.name if self.out_dir else work_dir
        found, wrong = newest_whole(work_dir, folder, self.filename_tmpl)
        for line in wrong:
            runner.logger.warning(f'{line}: passed over')
        if found is not None:
            runner._load_from = str(found)
            runner.logger.info(f'Resuming from {found}')
        elif wrong:
            runner.logger.warning('no whole checkpoint is left to resume from: training begins anew')
            runner._resume = False

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Keep what :meth:`before_train` puts back."""
        if runner._resume:
            self._resumed = checkpoint.pop(KEY, {})

    def before_train(self, runner) -> None:
        """Prepare the folder, catch signals, and after a resume go to the place in the data."""
        if self._local:
            self.backend_args = dict(backend=WHOLE_FILES)
        super().before_train(runner)
        self._stop.install()
        state, self._resumed = self._resumed, None
        if self._local and is_main_process():
            remove_leftovers(Path(self.out_dir), Path(runner.work_dir))
            self._remove((state or {}).get('outdated', ()))
        if state is not None:
            self._go_on(runner, state)

    # Saving

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Add this hook's part to a checkpoint that can be resumed from; the best one is for testing."""
        if self._saving is not None:
            checkpoint[KEY] = self._saving

    def after_train_iter(self, runner, batch_idx: int, data_batch: Any = None, outputs: Optional[dict] = None) -> None:
        """Save if it is time to; stop if the run has been told to."""
        self._batch, self._validated = batch_idx + 1, False
        super().after_train_iter(runner, batch_idx, data_batch, outputs)
        if self._stop.agreed(runner.iter + 1):
            self._save_and_exit(runner, dict(epoch=runner.epoch, iter=runner.iter + 1))

    def after_train_epoch(self, runner) -> None:
        """Save if it is time to."""
        self._batch = 0
        super().after_train_epoch(runner)

    def after_val_iter(self, runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Do not wait for the end of a validation that a resumed run does again."""
        if self._stop.received is not None and get_world_size() == 1 and self._saved_at == runner.iter:
            self._save_and_exit(runner, {})

    def after_val_epoch(self, runner, metrics) -> None:
        """Save the best checkpoint; the one before it goes when it is on the disk."""
        self._validated = True
        late = self.file_backend = LateRemoval(self.file_backend)
        try:
            super().after_val_epoch(runner, metrics)
        finally:
            self.file_backend = late.backend
        info = runner.message_hub.runtime_info
        late.finish(keep=[info[key] for key in info if key.startswith('best_ckpt')])

    def after_val(self, runner) -> None:
        """Stop if the run has been told to."""
        if self._stop.agreed():
            self._save_and_exit(runner, dict(epoch=runner.epoch, iter=runner.iter))

    def after_train(self, runner) -> None:
        """Publish as mmengine's hook does; signals do what they did before."""
        super().after_train(runner)
        self._stop.uninstall()

    def _save_checkpoint_with_step(self, runner, step: int, meta: dict) -> None:
        """mmengine's method in another order: the new file, then ``last_checkpoint``, then outdated files go."""
        outdated: List[int] = []
        if self.max_keep_ckpts > 0:
            steps = [kept for kept in self.keep_ckpt_ids if kept != step] + [step]
            outdated = steps[:-self.max_keep_ckpts]
            self.keep_ckpt_ids = deque(steps[-self.max_keep_ckpts:], self.max_keep_ckpts)
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        names = [self.filename_tmpl.format(kept) for kept in outdated]
        self._write(runner, self.filename_tmpl.format(step), meta, names)
        if is_main_process():
            self._remove(names)
            if self._local:
                self._remove(path.name for path in Path(self.out_dir).glob(STOPPED.replace('{}', '*')))

    def _write(self, runner, name: str, meta: dict, outdated: Sequence[str] = ()) -> None:
        """Write a checkpoint that can be resumed from and name it in ``last_checkpoint``; all ranks call it."""
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        rank = dict(rng=rng_state(), gradients=pending_gradients(runner),
                    buffers=rank_buffers(runner) if get_world_size() > 1 else {})
        self._saving = dict(ranks=all_gather_object(rank), batch=self._batch, validated=self._validated,
                            outdated=list(outdated), sampler=sampler_state(runner.train_dataloader),
                            val_sampler=runner.val_loop and sampler_state(runner.val_dataloader))
        try:
            runner.save_checkpoint(
                self.out_dir, name, self.file_client_args, save_optimizer=self.save_optimizer,
                save_param_scheduler=self.save_param_scheduler, meta=meta, by_epoch=self.by_epoch,
                backend_args=self.backend_args, **self.args)
        finally:
            self._saving = None
        self._saved_at = meta['iter']
        if is_main_process():
            write_atomic(Path(runner.work_dir) / 'last_checkpoint', self.last_ckpt.encode())

    def _remove(self, names: Sequence[str]) -> None:
        for name in names:
            path = self.file_backend.join_path(self.out_dir, name)
            if self.file_backend.isfile(path):
                self.file_backend.remove(path)

    def _save_and_exit(self, runner, meta: dict) -> None:
        """Save unless this very step has been saved, and leave in good order."""
        if meta and self._saved_at != meta['iter']:
            self._write(runner, STOPPED.format(meta['iter']), meta)
        runner.logger.warning(f'signal {self._stop.received}: stopped, {self.last_ckpt} is saved; --resume goes on')
        barrier()  # a launcher ends all ranks as soon as one has left
        runner.visualizer.close()
        self._stop.uninstall()
        raise SystemExit(EXIT_STOPPED)

    # Going on

    def _go_on(self, runner, state: dict) -> None:
        """Put everything back that the loop, just begun, has at its start instead of in the middle."""
        loop, warn = runner.train_loop, runner.logger.warning
        if not state:
            warn('this checkpoint holds no generators and no place in the epoch: the run goes on, but not as it would '
                 'have')
        else:
            if state['val_sampler'] is not None and runner.val_loop is not None:
                restore_sampler(runner.val_dataloader, state['val_sampler'])
            for line in restore_sampler(loop.dataloader, state['sampler']):
                warn(f'the training data have changed, {line}: the run goes on, but not as it would have')
            if len(state['ranks']) == get_world_size():
                rank = state['ranks'][get_rank()]
                self._rng = rank['rng']
                set_pending_gradients(runner, rank['gradients'])
                set_rank_buffers(runner, rank['buffers'])
            else:
                warn(f'{len(state["ranks"])} processes wrote this checkpoint and {get_world_size()} go on: the run is '
                     'not as it would have been')
        self._batch, self._validated = state.get('batch', 0), state.get('validated', True)
        self._saved_at = runner.iter
        self.last_ckpt = runner.message_hub.runtime_info.get('last_ckpt')  # mmengine saves a new best one twice if set
        by_iterations = isinstance(loop, IterBasedTrainLoop)
        if not self._validated and (by_iterations or not self._batch):
            self._validate_if_due(runner, loop)
        for line in doubts(loop.dataloader, by_iterations or self._batch > 0):
            warn(f'{line}. The run goes on, but not as it would have')
        if by_iterations:
            loop.dataloader_iterator = None  # its workers end before others begin
            loop.dataloader_iterator = ResumedBatches(loop.dataloader, runner.iter, self._restore_rng)
        elif type(loop).run_epoch is EpochBasedTrainLoop.run_epoch and (
                self._batch or loop.dataloader.persistent_workers):
            resume_epoch(loop, self._batch, self._restore_rng)
        elif self._batch:
            warn(f'{type(loop).__name__} has a run_epoch of its own: the epoch begins again')
        else:
            self._restore_rng()

    def _restore_rng(self) -> None:
        if self._rng is not None:
            set_rng_state(self._rng)
            self._rng = None

    def _validate_if_due(self, runner, loop) -> None:
        """Do the validation that the run was killed before or in; a run that was not has done it."""
        loop._decide_current_val_interval()
        done, last = (loop.iter, loop.max_iters) if isinstance(loop, IterBasedTrainLoop) else (
            loop.epoch, loop.max_epochs)
        if runner.val_loop is None or done < loop.val_begin or (done % loop.val_interval and done != last):
            return
        has_rng = self._rng is not None
        self._restore_rng()
        runner.val_loop.run()
        self._rng = rng_state() if has_rng else None
