"""What ``test_joint_training.py`` runs on every rank: the small joint recipe, a few steps and a validation."""
import os

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from ranks import distribute, regroup

import pretrain3d  # noqa: F401
from mmdet3d.registry import METRICS, MODELS


MODES = ('single', 'mixed')


def then_halves(rank, world_size, **arguments):
    """Both modes on all ranks; then each half of the ranks trains one of them, with batches twice as large."""
    all_ranks = {mode: train(mode=mode, batch=1, **arguments) for mode in MODES}
    half = world_size // 2
    regroup(half)
    return dict(all=all_ranks, half=train(mode=MODES[rank // half], batch=2, **arguments))


def train(config, environment, mode, batch, steps):
    """Losses of some steps, domains and draws of their samples, and the scores after them."""
    os.environ.update(environment)
    init_default_scope('mmdet3d')
    cfg = Config.fromfile(config)
    cfg.train_dataloader.update(batch_size=batch, num_workers=0, persistent_workers=False)
    cfg.train_dataloader.batch_sampler.update(mode=mode)
    cfg.model.data_preprocessor.voxel_size = 0.2
    cfg.val_dataloader.update(num_workers=0, persistent_workers=False)
    torch.manual_seed(0)
    model = distribute(MODELS.build(cfg.model).double())  # all parameters have gradients, whichever domains there are
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    losses, domains, draws = [], [], []
    loader = Runner.build_dataloader(cfg.train_dataloader, seed=3)
    for _, data in zip(range(steps), loader):
        data = in_float64(model.module.data_preprocessor(data, training=True))
        value, _ = model.module.parse_losses(model(**data, mode='loss'))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
        domains.append([sample.metainfo['domain'] for sample in data['data_samples']])
        draws.append([sample.metainfo['draw'] for sample in data['data_samples']])
    return dict(losses=losses, domains=domains, draws=draws, scores=scores(model.module.eval(), cfg))


def in_float64(data):
    """Features of the voxels in the type of the weights."""
    data['inputs']['voxels']['voxels'] = data['inputs']['voxels']['voxels'].double()
    return data


@torch.no_grad()
def scores(model, cfg):
    """Validation of all data sets, as mmengine's loop has it."""
    loader = Runner.build_dataloader(cfg.val_dataloader, seed=3)
    metric = METRICS.build(cfg.val_evaluator)
    for data in loader:
        data = in_float64(model.data_preprocessor(data, training=False))
        metric.process(None, [sample.to_dict() for sample in model(**data, mode='predict')])
    return metric.evaluate(len(loader.dataset))
