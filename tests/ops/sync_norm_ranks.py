"""What ``test_sync_batch_norm.py`` runs on every rank: norms on rows that are dealt to the ranks."""
import importlib.util
from pathlib import Path

import torch
from torch import nn

# By its path, so that the ranks need not import mmdet3d.
PATH = Path(__file__).resolve().parents[2] / 'projects' / 'pretrain3d' / 'ops' / 'sync_batch_norm.py'
_spec = importlib.util.spec_from_file_location('sync_batch_norm', PATH)
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
sync_batch_norm = _module.sync_batch_norm

# Rows of each rank, of three ranks; the rest of the shape.
CASES = {'2-d': ((7, 4, 2), (3, )), 'empty rank': ((0, 4, 2), (3, )), 'only one row': ((0, 1, 0), (3, )),
         'no row': ((0, 0, 0), (3, )), 'a row each': ((1, 1, 1), (3, )), 'images': ((2, 1, 0), (3, 4, 5)),
         'cubes': ((1, 0, 2), (3, 2, 3, 2))}
NORMS = {'plain': {}, 'cumulative': dict(momentum=None), 'without weights': dict(affine=False),
         'without statistics': dict(track_running_stats=False)}


def rows(case, dtype):
    """Rows (and gradients of the output) of every rank, far from 0."""
    sizes, shape = CASES[case]
    generator = torch.Generator().manual_seed(0)
    draw = [torch.randn(sum(sizes), *shape, generator=generator, dtype=torch.float64) for _ in range(2)]
    return (draw[0] * 0.5 + 30).to(dtype).split(sizes), draw[1].to(dtype).split(sizes)


def norm_of(kind, dtype, make=nn.SyncBatchNorm):
    norm = make(3, eps=1e-3, **NORMS[kind]).to(dtype)
    with torch.no_grad():
        for place, values in enumerate((*norm.parameters(), *(one for one in norm.buffers() if one.dim()))):
            values.copy_(torch.tensor([1.5, 0.5, 2.]) + place)
    return norm.train()


def steps(norm, run, values, grad):
    """Output, gradients and statistics of the second of two steps."""
    for _ in range(2):
        values = values.detach().requires_grad_()
        norm.zero_grad()
        out = run(values)
        out.backward(grad)
    return dict(out=out.detach(), by_input=values.grad,
                by_parameters=[one.grad for one in norm.parameters()], buffers=list(norm.buffers()))


def on_rank(rank, world_size):
    """All cases on this rank."""
    found = {}
    for case in CASES:
        for kind in NORMS:
            for dtype in (torch.float64, torch.float32):
                norm = norm_of(kind, dtype)
                values, grads = rows(case, dtype)
                found[f'{case}, {kind}, {dtype}'] = steps(
                    norm, lambda x: sync_batch_norm(norm, x), values[rank], grads[rank])
    return found
