"""A training that draws from every generator, small enough to be killed often, and what is left of one to compare.

Its data draw from python, numpy and torch, its model from torch (dropout); it has batch norm, momentum, a schedule, an
average of its weights, validation and a best checkpoint.
"""
import contextlib
import hashlib
import importlib.util
import itertools
import json
import os
import random
import runpy
import signal
import sys
import time
import traceback
import types
from pathlib import Path

import mmengine
import numpy as np
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from torch import nn
from torch.utils.data import Dataset

import pretrain3d.files
from mmdet3d.registry import DATASETS, HOOKS, METRICS, MODELS
from pretrain3d.engine.hooks import ResumableCheckpointHook, checkpoint, checkpoint_files

TRAIN = Path(importlib.util.find_spec('mmdet3d').submodule_search_locations[0]) / '.mim' / 'tools' / 'train.py'

SAMPLES, BATCH = 22, 4
STEPS = 5  # batches of an epoch: the last of six would be short, and is dropped


@DATASETS.register_module(force=True)
class NoisyNumbers(Dataset):
    metainfo = dict(classes=('number',))

    def __len__(self):
        return SAMPLES

    def __getitem__(self, index):
        noise = torch.rand(6) + float(np.random.rand()) + random.random()
        return dict(inputs=noise + index / SAMPLES, data_samples=torch.tensor(float(index)))


@MODELS.register_module(force=True)
class NoisyNet(BaseModel):
    def __init__(self, data_preprocessor=None):
        super().__init__(data_preprocessor)
        self.net = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 1))

    def forward(self, inputs, data_samples=None, mode='tensor'):
        out = self.net(torch.stack(list(inputs)))[:, 0]
        if mode == 'loss':
            return dict(loss=(out - torch.stack(list(data_samples)) / SAMPLES).square().mean())
        return [float(value) for value in out]


@METRICS.register_module(force=True)
class MeanOutput(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results += data_samples

    def compute_metrics(self, results):
        return dict(score=float(np.mean(results)))


@HOOKS.register_module(force=True)
class CurveHook(Hook):
    """Write every loss and validation as it comes, whole lines only, for a run that ends at any moment."""

    def __init__(self, path):
        self.path = Path(path)

    def _line(self, **values):
        with open(self.path, 'a') as file:
            file.write(json.dumps(values) + '\n')

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self._line(iter=runner.iter, batch=batch_idx, epoch=runner.epoch, loss=float(outputs['loss']).hex(),
                   lr=runner.optim_wrapper.get_lr()['lr'][0], samples=[int(i) for i in data_batch['data_samples']])

    def after_val_epoch(self, runner, metrics=None):
        self._line(iter=runner.iter, score=metrics['score'].hex())


@HOOKS.register_module(force=True)
class SlowHook(Hook):
    """Gives whoever watches the curve time to act."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        time.sleep(0.1)


def config(work_dir, loop='iter', workers=0, accumulate=1, steps=20, saving=None, **changes):
    """Config of a run: ``loop`` is 'iter' or 'epoch', ``saving`` changes the checkpoint hook."""
    loader = dict(batch_size=BATCH, num_workers=workers, persistent_workers=workers > 0, drop_last=True,
                  dataset=dict(type='NoisyNumbers'))
    sampler = dict(iter='SeededInfiniteSampler', epoch='SeededSampler')[loop]
    loops = dict(iter=dict(type='IterBasedTrainLoop', max_iters=steps, val_interval=4),
                 epoch=dict(type='EpochBasedTrainLoop', max_epochs=-(-steps // STEPS), val_interval=1))
    base = dict(
        default_scope='mmdet3d', work_dir=str(work_dir), custom_imports=dict(imports=['pretrain3d']),
        randomness=dict(seed=3), log_level='WARNING', model=dict(type='NoisyNet'),
        train_dataloader=dict(loader, sampler=dict(type=sampler, shuffle=True)),
        val_dataloader=dict(batch_size=BATCH, num_workers=0, dataset=dict(type='NoisyNumbers'),
                            sampler=dict(type='SeededSampler', shuffle=False)),
        val_evaluator=dict(type='MeanOutput'), val_cfg=dict(), train_cfg=loops[loop],
        optim_wrapper=dict(type='OptimWrapper', accumulative_counts=accumulate,
                           optimizer=dict(type='AdamW', lr=0.01), clip_grad=dict(max_norm=1.)),
        param_scheduler=[dict(type='OneCycleLR', eta_max=0.02, total_steps=max(steps, 20), by_epoch=False)],
        default_hooks=dict(
            timer=dict(type='IterTimerHook'), logger=dict(type='LoggerHook', interval=1, log_metric_by_epoch=False),
            param_scheduler=dict(type='ParamSchedulerHook'), sampler_seed=dict(type='DistSamplerSeedHook'),
            checkpoint=dict(dict(type='ResumableCheckpointHook', by_epoch=False, interval=3, max_keep_ckpts=2,
                                 save_best='score', rule='less'), **saving or {})),
        custom_hooks=[dict(type='EMAHook', momentum=0.1), dict(type='CurveHook', path=f'{work_dir}/curve.jsonl')],
        log_processor=dict(window_size=4, by_epoch=loop == 'epoch'),
        visualizer=dict(type='Visualizer', vis_backends=[]))
    built = Config(base)
    built.merge_from_dict(changes)
    return built


def curve(work_dir):
    """Losses by iteration and scores by iteration; what was done twice must have come out the same."""
    found = {}
    for line in (Path(work_dir) / 'curve.jsonl').read_text().splitlines():
        values = json.loads(line)
        key = ('score' if 'score' in values else 'loss', values['iter'])
        assert found.setdefault(key, values) == values, f'{found[key]} came out as {values} the second time'
    return found


def last_checkpoint(work_dir):
    return torch.load((Path(work_dir) / 'last_checkpoint').read_text(), map_location='cpu')


def digest(work_dir):
    """One number of everything in the last checkpoint that a run's future and its logs depend on."""
    return hashlib.sha256('\n'.join(leaves(work_dir)).encode()).hexdigest()


def leaves(work_dir):
    """Everything in the last checkpoint that a run's future and its logs depend on, as lines of text."""
    saved = last_checkpoint(work_dir)
    hub = saved['message_hub']
    logs = {key: [buffer._log_history.tolist(), buffer._count_history.tolist()]
            for key, buffer in hub['log_scalars'].items() if 'time' not in key}
    # Not its 'iter' and 'epoch': a run that is resumed when all is done notes them once more, ahead by one.
    info = {key: value for key, value in hub['runtime_info'].items() if key in ('best_score', 'keep_ckpt_ids')}
    best = Path(hub['runtime_info']['best_ckpt']).name if 'best_ckpt' in hub['runtime_info'] else None
    parts = [saved[key] for key in ('state_dict', 'ema_state_dict', 'optimizer', 'param_schedulers')]
    parts += [logs, info, best, saved['exact_resume']['ranks'], saved['exact_resume']['batch'],
              [saved['meta'][key] for key in ('epoch', 'iter')]]
    return plain(parts)


def plain(value):
    """Every leaf of a nest as text, floats and tensors exactly."""
    if isinstance(value, dict):
        return [line for key in sorted(value, key=str) for line in [str(key), *plain(value[key])]]
    if isinstance(value, (list, tuple)):
        return [line for item in value for line in plain(item)]
    if isinstance(value, torch.Tensor):
        return [f'{value.dtype}{tuple(value.shape)}', value.contiguous().numpy().tobytes().hex()]
    return [value.hex() if isinstance(value, float) else repr(value)]


def start(built, *arguments, prepare=None):
    """Run mmdet3d's train.py on a config in a fork of this process, which has imported everything; its process number.

    The fork leads a process group of its own, so that its data loaders' workers can be ended with it. ``prepare`` is
    called in it first. What it prints goes to ``output.log`` in the work dir.
    """
    work_dir = Path(built.work_dir)
    work_dir.mkdir(parents=True, exist_ok=True)
    path = work_dir.with_suffix('.py')
    built.dump(str(path))
    sys.stdout.flush()
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        os.setpgid(0, 0)
        sys.stdout = sys.stderr = open(work_dir / 'output.log', 'a', buffering=1)
        os.dup2(sys.stdout.fileno(), 1), os.dup2(sys.stdout.fileno(), 2)
        torch.set_num_threads(1)
        mmengine.runner.runner.collect_env = dict  # which asks compilers for their versions
        mmengine.runner.loops.time = types.SimpleNamespace(sleep=lambda seconds: None)  # two at the end of a sampler
        if prepare is not None:
            prepare()
        sys.argv = [str(TRAIN), str(path), '--work-dir', str(work_dir), *arguments]
        runpy.run_path(str(TRAIN), run_name='__main__')
        status = 0
    except SystemExit as error:
        status = error.code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(status)


def wait(process):
    """Wait for a run and end its workers; what it exited with, or minus the signal that killed it."""
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    end_group(process)
    return status


def end_group(process):
    try:
        os.killpg(process, signal.SIGKILL)
    except ProcessLookupError:
        pass


def train(built, *arguments, prepare=None):
    """Run a config to its end; its exit status."""
    return wait(start(built, *arguments, prepare=prepare))


def die(*args):
    os.kill(os.getpid(), signal.SIGKILL)


def die_after(iteration):
    """Something to ``prepare`` a run with: it is killed when this many iterations are done and saved."""
    def prepare():
        after = ResumableCheckpointHook.after_train_iter

        def after_train_iter(self, runner, *args, **kwargs):
            after(self, runner, *args, **kwargs)
            if runner.iter + 1 == iteration:
                die()

        ResumableCheckpointHook.after_train_iter = after_train_iter
    return prepare


def die_writing(count, stage):
    """Something to ``prepare`` a run with: it is killed in its ``count``-th writing of a checkpoint or of the pointer.

    ``stage``: before the 'first' byte, 'half' way, when all is 'written' but not yet in place, or when it is 'there'
    (and the pointer does not know it, or outdated files have not gone).
    """
    writings = itertools.count(1)

    def write_atomic(path, content):
        if next(writings) != count:
            return pretrain3d.files.write_atomic(path, content)
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(pretrain3d.files.open_atomic(Path(path)))
            file.write(content[:dict(first=0, half=len(content) // 2).get(stage, len(content))])
            file.flush()
            if stage != 'there':
                die()
        die()

    def prepare():
        checkpoint.write_atomic = checkpoint_files.write_atomic = write_atomic
    return prepare
