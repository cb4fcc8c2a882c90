"""Two processes: each goes on with its own generators, and a signal to one stops both after the same step."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ranks import run_ranks  # noqa: E402


def runs(rank: int, world_size: int, root: str) -> dict:
    """On every rank: an undisturbed run, one that a signal to rank 1 stops, and what goes on from there."""
    import os
    import signal

    import torch
    from mmengine.runner import Runner
    from resumable_runs import NoisyNet, config, curve, digest
    os.environ.setdefault('LOCAL_RANK', '0')
    forward, steps = NoisyNet.forward, []

    def signalled(self, inputs, data_samples=None, mode='tensor'):
        steps.append(mode)
        if rank == 1 and steps.count('loss') == 7:
            os.kill(os.getpid(), signal.SIGTERM)
        return forward(self, inputs, data_samples, mode)

    def run(name, resume=False):
        changes = {'launcher': 'pytorch', 'randomness.diff_rank_seed': True, 'resume': resume,
                   'train_dataloader.batch_size': 2, 'experiment_name': f'{name}{resume}',
                   'default_hooks.checkpoint.stop_interval': 5}
        built = config(Path(root) / name, **changes)
        built.custom_hooks[1].path = str(Path(root) / name / str(rank) / 'curve.jsonl')
        Path(root, name, str(rank)).mkdir(parents=True, exist_ok=True)
        Runner.from_cfg(built).train()

    run('whole')
    NoisyNet.forward = signalled
    try:
        run('stopped')
        status = 0
    except SystemExit as error:
        status = error.code
    NoisyNet.forward = forward
    seen = len([key for key in curve(Path(root) / 'stopped' / str(rank)) if key[0] == 'loss'])
    run('stopped', resume=True)
    ours, theirs = (curve(Path(root) / name / str(rank)) for name in ('stopped', 'whole'))
    equal = ours == theirs or [(ours.get(key), theirs.get(key)) for key in {**theirs, **ours}
                               if ours.get(key) != theirs.get(key)][:3]
    torch.distributed.barrier()
    return dict(status=status, seen=seen, equal=equal,
                digests=[digest(Path(root) / name) for name in ('whole', 'stopped')] if rank == 0 else None)


def test_two_ranks(tmp_path):
    found = run_ranks(f'{__file__}:runs', 2, tmp_path, root=str(tmp_path))
    # Told in the seventh step, agreed after the validation of the eighth, before the tenth.
    assert [(one['status'], one['seen'], one['equal']) for one in found] == [(75, 8, True)] * 2
    assert found[0]['digests'][0] == found[0]['digests'][1]
