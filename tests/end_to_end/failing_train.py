"""Stands in for mmdet3d's train.py: a small training whose rank 1 comes to harm, in the way its argument names.

``train.py HARM MEND``: a training of a linear layer by mmengine's launcher and DDP; MEND is the path of the mend that
lets both run without CUDA. It is loaded alone, since importing all of pretrain3d takes ten seconds.
"""
import importlib.util
import os
import signal
import sys
import time

import torch
from torch.utils.data import DataLoader

HARM, _, MEND = sys.argv[1].partition('@')


class Samples(torch.utils.data.Dataset):
    """Twenty samples, one of which is harmful."""

    def __init__(self, rank):
        self.rank = rank

    def __len__(self):
        return 20

    def __getitem__(self, index):
        if self.rank == 1 and index == 4:
            if HARM == 'raises':
                raise ValueError('scan7.bin: truncated')
            if HARM == 'killed':
                os.kill(os.getppid(), signal.SIGKILL)  # the rank: this is its worker
            if HARM == 'hangs':
                time.sleep(1000)
        return torch.ones(3)


def wait_to_be_told():
    """As the checkpoint hook: note a signal, go on for a while, save, leave with 75."""
    told = []
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, lambda number, frame: told.append(number))
    print(f'rank {os.environ["RANK"]} has process {os.getpid()}', flush=True)
    end = time.time() + 60
    while not told and time.time() < end:
        time.sleep(0.05)
    time.sleep(1)
    print(f'rank {os.environ["RANK"]} saved on {told}', flush=True)
    time.sleep(1)  # the hook's barrier
    sys.exit(75 if told else 1)


def main():
    if HARM == 'told':
        wait_to_be_told()
    spec = importlib.util.spec_from_file_location('distributed_cpu', MEND)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.mend()
    torch.multiprocessing.set_start_method('fork')  # as mmengine's runner does
    from mmengine.dist import get_rank, init_dist  # as the runner finds them, after the import of pretrain3d
    from mmengine.model import MMDistributedDataParallel
    init_dist(sys.argv[sys.argv.index('--launcher') + 1], timeout=8 if HARM == 'hangs' else 100)
    print(f'rank {get_rank()} has process {os.getpid()}', flush=True)
    model = MMDistributedDataParallel(module=torch.nn.Linear(3, 1), device_ids=[int(os.environ['LOCAL_RANK'])])
    # A rank that hangs itself: a worker that does outlives it, holding the launcher's output.
    workers = 0 if HARM == 'hangs' else 1
    for batch in DataLoader(Samples(get_rank()), batch_size=1, num_workers=workers):
        model.zero_grad()
        model(batch).sum().backward()
    print(f'rank {get_rank()} has gradients of {model.module.weight.grad.tolist()}', flush=True)


if __name__ == '__main__':
    main()
