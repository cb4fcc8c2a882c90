"""A training on batches by domain goes on exactly where it was killed."""
import signal
from collections import Counter
from types import SimpleNamespace

import pytest
from resumable_runs import NoisyNumbers, config, curve, die_after, train
from test_checkpoint import log_of, same

from mmdet3d.registry import DATASETS

SIZES = dict(ScanNet=13, S3DIS=7)


@DATASETS.register_module(force=True)
class NumbersOfDomains(NoisyNumbers):
    """The noisy numbers 0 to 12 of one domain and 13 to 19 of another."""

    def __init__(self):
        self.datasets = [Numbers(name, size) for name, size in SIZES.items()]

    def __len__(self):
        return sum(SIZES.values())


class Numbers(list):
    """What a sampler asks a dataset."""

    def __init__(self, domain, size):
        super().__init__(range(size))
        self.pipeline = SimpleNamespace(transforms=[SimpleNamespace(domain=domain)])


def joint(work_dir, loop, workers=0, **changes):
    changes = {'train_dataloader.dataset.type': 'NumbersOfDomains', 'train_dataloader.drop_last': False,
               'train_dataloader.batch_sampler': dict(type='DomainBatchSampler', ratios=dict(ScanNet=2, S3DIS=1)),
               'param_scheduler.0.total_steps': 40, **changes}
    return config(work_dir, loop, workers, **changes)


@pytest.mark.parametrize('loop, workers, mode', [('iter', 2, 'single'), ('epoch', 0, 'single'), ('iter', 0, 'mixed')])
def test_a_killed_run_goes_on_as_if_nothing_had_happened(tmp_path, loop, workers, mode):
    change = {'train_dataloader.batch_sampler.mode': mode, 'train_dataloader.batch_sampler.order': 'shuffled'}
    whole, run = (joint(tmp_path / name, loop, workers, **change) for name in ('whole', 'run'))
    assert train(whole) == 0, log_of(whole.work_dir)
    for iteration in (7, 15):
        assert train(run, '--resume', prepare=die_after(iteration)) == -signal.SIGKILL, log_of(run.work_dir)
    assert train(run, '--resume') == 0, log_of(run.work_dir)
    assert same(run.work_dir, whole.work_dir)
    assert 'not as it would have' not in log_of(run.work_dir)
    losses = [values for (kind, _), values in curve(run.work_dir).items() if kind == 'loss']
    domains = [['ScanNet' if sample < SIZES['ScanNet'] else 'S3DIS' for sample in line['samples']] for line in losses]
    assert {len(set(batch)) for batch in domains} == ({1} if mode == 'single' else {2})
    if mode == 'single' and loop == 'iter':
        assert Counter(batch[0] for batch in domains[:18]) == dict(ScanNet=12, S3DIS=6)


def test_other_ratios_are_another_run(tmp_path):
    run = joint(tmp_path / 'run', 'iter', steps=8)
    assert train(run, prepare=die_after(7)) == -signal.SIGKILL
    changed = joint(tmp_path / 'run', 'iter', steps=8, **{'train_dataloader.batch_sampler.ratios.S3DIS': 2})
    assert train(changed, '--resume') == 0, log_of(run.work_dir)
    assert "plan was {'ratios'" in log_of(run.work_dir)
