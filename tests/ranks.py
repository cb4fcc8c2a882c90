"""Runs functions of a test on several gloo processes, and what a distributed training does with a model on each.

A test writes ``run_ranks('my_ranks.py:function', world_size, tmp_path, **arguments)``: fresh interpreters (a fork of a
process that has used OpenMP can hang) import that file and call ``function(rank, world_size, **arguments)``; what each
returns comes back, as ``torch.save`` keeps it. Importing mmdet3d costs ten seconds a process, so put many cases into
one call. Where a rank fails, hangs or is killed, all end and the test fails with that rank's own words.
"""
import argparse
import datetime
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence

TIMEOUT = 300.
# After the first rank has failed the others get this long to fail by themselves, so that their words are there too.
GRACE = 5.


class RankError(AssertionError):
    """What the ranks said when one of them failed."""


def run_ranks(function: str, world_size: int, folder: Path, timeout: float = TIMEOUT, **arguments: Any) -> List[Any]:
    """Call a function on every rank of a gloo process group and return what each returned, in the order of the ranks.

    Args:
        function: ``path/of/file.py:name``; its folder is on the path of the ranks.
        world_size: processes; with 1 there is a group of one.
        folder: for the store, logs and results.
        timeout: seconds after which all are killed.
        arguments: as JSON can hold.
    """
    room = Path(folder) / f'ranks{world_size}_{time.monotonic_ns()}'
    room.mkdir()
    logs = [room / f'{rank}.log' for rank in range(world_size)]
    environ = {**os.environ, 'OMP_NUM_THREADS': '1', 'NUMBA_NUM_THREADS': '1', 'RANKS_ROOM': str(room)}
    ranks = []
    try:
        for rank, log in enumerate(logs):
            command = [sys.executable, __file__, function, str(rank), str(world_size), str(room), str(timeout),
                       json.dumps(arguments)]
            with open(log, 'wb') as stream:
                ranks.append(subprocess.Popen(command, stdout=stream, stderr=stream, env=environ))
        failed = _first_failure(ranks, timeout)
    finally:
        for process in ranks:
            process.kill()
            process.wait()
    if failed:
        words = '\n'.join(f'--- rank {rank} said\n{log.read_text(errors="replace")[-3000:]}'
                          for rank, log in enumerate(logs))
        raise RankError(f'{function} on {world_size} ranks: {failed}\n{words}')
    import torch
    return [torch.load(room / f'{rank}.pt') for rank in range(world_size)]


def _first_failure(ranks: Sequence[subprocess.Popen], timeout: float) -> str:
    """Wait for all; say which rank failed first, '' for none."""
    end, failed = time.monotonic() + timeout, ''
    while time.monotonic() < end:
        states = [process.poll() for process in ranks]
        wrong = [rank for rank, state in enumerate(states) if state]
        if wrong and not failed:
            state = states[wrong[0]]
            how = f'was ended by {signal.Signals(-state).name}' if state < 0 else f'ended with status {state}'
            failed, end = f'rank {wrong[0]} {how}', min(end, time.monotonic() + GRACE)
        if None not in states:
            return failed
        time.sleep(0.05)
    waiting = [rank for rank, process in enumerate(ranks) if process.poll() is None]
    return failed or f'ranks {waiting} still ran after {timeout:g} s'


def regroup(world_size: int) -> int:
    """Leave the process group for one of ``world_size`` consecutive ranks, and return the rank in it.

    All ranks call it, so that one start of processes serves several sizes.
    """
    import torch.distributed as dist
    rank = dist.get_rank()
    dist.barrier()
    dist.destroy_process_group()
    store = Path(os.environ['RANKS_ROOM']) / f'store_{world_size}_{rank // world_size}'
    dist.init_process_group('gloo', init_method=f'file://{store}', rank=rank % world_size, world_size=world_size)
    return rank % world_size


def distribute(model: Any, find_unused_parameters: bool = False) -> Any:
    """The model as mmengine's runner makes it for several CPU processes with ``sync_bn='torch'``."""
    from mmengine.model import MMDistributedDataParallel, convert_sync_batchnorm
    model = convert_sync_batchnorm(model, 'torch').train()
    return MMDistributedDataParallel(module=model, device_ids=[0], broadcast_buffers=False,
                                     find_unused_parameters=find_unused_parameters)


def step(model: Any, batch: Dict[str, Any]) -> Dict[str, Any]:
    """Losses, gradients and running statistics after one training step without an optimiser.

    Args:
        model: mmengine's, plain or as :func:`distribute` returns it.
        batch: what ``model(**batch, mode='loss')`` reads.

    Returns:
        ``losses``: of this rank. ``gradients``, ``buffers``: by the names of the plain model; of very large gradients
        some entries.
    """
    plain = getattr(model, 'module', model)
    model.zero_grad()
    losses = model(**batch, mode='loss')
    total, _ = plain.parse_losses(losses)
    total.backward()
    return dict(
        losses={name: value.detach().clone() for name, value in losses.items() if 'loss' in name},
        gradients={name: _some(value.grad) for name, value in plain.named_parameters() if value.grad is not None},
        buffers={name: value.clone() for name, value in plain.named_buffers() if value.is_floating_point()})


def _some(values: Any) -> Any:
    """A copy of at most 50,000 entries, evenly spread: results travel through files."""
    return values.flatten()[::1 + values.numel() // 50000].clone()


def difference(one: Dict[str, Any], ranks: Sequence[Dict[str, Any]]) -> Dict[str, float]:
    """Largest relative differences of results of :func:`step` on several ranks from those of one process.

    A loss is compared by its own size. A gradient and a running statistic, which may be a difference of large numbers,
    by the largest entry of that tensor, or a thousandth of the largest gradient of the model where the tensor is
    smaller still (the bias in front of a norm has none but rounding). ``step`` is the distance of all gradients as one
    vector, by its length.

    Returns:
        ``losses``, ``gradients``, ``step``, ``buffers``; infinite where a name is missing or not finite.
    """
    found = {}
    for kind, wanted in one.items():
        worst = 0.
        largest = max((float(value.abs().max()) for value in wanted.values() if value.numel()), default=0.)
        for own in (rank[kind] for rank in ranks):
            if own.keys() != wanted.keys():
                worst = float('inf')
                continue
            for name, value in wanted.items():
                size = float(value.abs().max())
                size = size if kind == 'losses' else max(size, 1e-3 * largest)
                gap = float((own[name] - value).abs().max())
                worst = max(worst, gap / size if size else gap if gap == gap else float('inf'))
                if gap != gap:
                    worst = float('inf')
        found[kind] = worst
    found['step'] = max(_distance(one['gradients'], rank['gradients']) for rank in ranks)
    return found


def _distance(wanted: Dict[str, Any], own: Dict[str, Any]) -> float:
    """Length of the difference of two sets of tensors, by that of the first."""
    if own.keys() != wanted.keys():
        return float('inf')
    gap = sum(float((own[name] - value).double().square().sum()) for name, value in wanted.items())
    size = sum(float(value.double().square().sum()) for value in wanted.values())
    return float('inf') if gap != gap else (gap / size)**0.5 if size else gap


def _main() -> None:
    """One rank."""
    parser = argparse.ArgumentParser()
    for name in ('function', 'rank', 'world_size', 'room', 'timeout', 'arguments'):
        parser.add_argument(name)
    args = parser.parse_args()
    path, _, name = args.function.rpartition(':')
    rank, world_size = int(args.rank), int(args.world_size)
    sys.path[:0] = [str(Path(path).parent), str(Path(__file__).parent)]
    import importlib.util

    import torch
    torch.set_num_threads(1)
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{args.room}/store', rank=rank, world_size=world_size,
        timeout=datetime.timedelta(seconds=float(args.timeout)))
    function: Callable = getattr(module, name)
    torch.save(function(rank, world_size, **json.loads(args.arguments)), Path(args.room) / f'{rank}.pt')
    torch.distributed.barrier()


if __name__ == '__main__':
    _main()
