"""What ``test_prompts_ranks.py`` runs on every rank: a converted network whose ranks have other domains."""
import torch
from mmengine.model import convert_sync_batchnorm
from prompt_scenes import build, scatter_prompts, scene, take
from torch.nn.parallel import DistributedDataParallel

from pretrain3d.backbones.prompts import convert

NAMES = ('ScanNet', 'S3DIS', 'Structured3D')
# Samples of each rank, of two, and the domain of every sample. Nobody has Structured3D.
CASES = {
    'mixed on one rank': (((0,), (1, 2)), ('ScanNet', 'S3DIS', 'ScanNet'), (60, 50, 40)),
    'a domain each': (((0, 2), (1,)), ('ScanNet', 'S3DIS', 'ScanNet'), (60, 50, 40)),
    'a rank without voxels': (((0, 1), (2,)), ('S3DIS', 'S3DIS', 'ScanNet'), (60, 50, 0)),
    'one domain': (((0,), (1, 2)), ('S3DIS', 'S3DIS', 'S3DIS'), (60, 50, 40)),
}


def model_of(sync):
    torch.manual_seed(0)  # of the prompts
    model = scatter_prompts(convert(build('SpUNet'), NAMES)).train()
    return convert_sync_batchnorm(model, 'torch') if sync else model


def steps(model, sparse, rows, weight):
    """Features, gradients and statistics after two steps: distributed training misses parameters in the second."""
    for _ in range(2):
        model.zero_grad()
        out = model(sparse)
        (out * weight[rows]).sum().backward()
    plain = getattr(model, 'module', model)
    return dict(out=out.detach(), gradients={name: value.grad for name, value in plain.named_parameters()},
                buffers=dict(plain.named_buffers()))


def whole(case):
    """The batch of all ranks, and the gradient of its features."""
    _, domains, counts = CASES[case]
    sparse = dict(scene(counts), domains=list(domains))
    return sparse, torch.randn(len(sparse['voxels']), 6, generator=torch.Generator().manual_seed(1))


def on_rank(rank, world_size):
    torch.set_num_threads(1)
    results = {}
    for case, (deal, domains, _) in CASES.items():
        sparse, weight = whole(case)
        part, rows = take(sparse, deal[rank])
        part['domains'] = [domains[sample] for sample in deal[rank]]
        for sync in (True, False):
            model = DistributedDataParallel(model_of(sync), broadcast_buffers=False)
            results[f'{case}, {sync}'] = dict(steps(model, part, rows, weight), rows=rows)
    model = DistributedDataParallel(convert(build('SpUNet'), NAMES, adapter='none').train(), broadcast_buffers=False)
    return dict(results, none=steps(model, part, rows, weight))
