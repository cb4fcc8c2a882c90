#!/usr/bin/env python
"""Train and test {variants} x {fractions} x {seeds} of configs with mmdet3d's own tools; write one table.

    python tools/sweep.py SPEC [--jobs 2] [--dry-run]

SPEC is a YAML, JSON or Python file:

    name: csc_toy
    work_dir: work_dirs/csc_toy        # relative to where the command runs; default: work_dirs/NAME
    metric: miou/vertex                # one or a list, as the evaluator names them
    seeds: [0, 1, 2, 3, 4]
    gpus_per_cell: 1                   # processes that train one cell; more than one needs GPUs
    fractions:                         # optional; options added to every variant's config
      10%: {train_dataloader.dataset.limit_scenes: 0.1, train_dataloader.dataset.limit_seed: '{seed}'}
      100%: {}
    variants:
      scratch: {config: finetune.py}   # relative to SPEC
      pretrained:
        config: finetune.py
        metric: miou/vertex            # which of the metrics it has; default: all
        against: scratch               # to which variant the table gives the difference, or {METRIC: VARIANT}; default:
                                       # the first
        options: {optim_wrapper.optimizer.lr: 0.001}
        env: {PRETRAIN3D_CHECKPOINT: '/data/pretrain/seed_{seed}/last.pth'}   # variables that the config reads

A recipe named `NxbM` (N processes of M samples) is refused where a step would get another number of samples.
`{seed}` in a value is the cell's seed. Stop it at any time and run it again: finished cells are skipped, a half-trained
one resumes from its last checkpoint, failed ones are tried again. The table is WORK_DIR/sweep.md, the same numbers and
all seeds WORK_DIR/sweep.json. The exit status is 0 only when every cell has finished.
"""
import argparse
import fcntl
import json
import logging
import math
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

from _mmdet3d import need
from _sweep_spec import Cell, SweepError, make_cells, read_spec, write

TOOLS = Path(__file__).resolve().parent


class Sweep:
    """Runs cells in subprocesses and keeps the table up to date."""

    def __init__(self, spec: dict, cells: List[Cell], gpus: List[str]) -> None:
        self.spec, self.cells, self.gpus = spec, cells, gpus
        self.folder = Path(spec['work_dir']).resolve()
        self.stopped = threading.Event()
        self.lock = threading.Lock()
        self.running: Dict[int, subprocess.Popen] = {}
        self.free = list(gpus)
        self.pass_fds: Tuple[int, ...] = ()  # children inherit the folder's lock: it outlives a killed sweep with them
        self.failed: Dict[str, str] = {}

    def check_folders(self) -> None:
        """Refuse to mix cells of different configs in one folder."""
        for cell in self.cells:
            record = cell.record('sweep_cell.json')
            if record and record['fingerprint'] != cell.fingerprint:
                raise SweepError(f'{cell.folder} was made from another config; remove that folder or choose another '
                                 'work_dir')

    def call(self, command: List[str], log: Path, gpus: Sequence[str], variables: Dict[str, str]) -> int:
        """Run a command to its end or to :meth:`stop`; return its exit status."""
        env = {**os.environ, **variables}
        if gpus:
            env['CUDA_VISIBLE_DEVICES'] = ','.join(gpus)
        with open(log, 'a') as stream:
            with self.lock:  # no child may start after stop() has looked
                if self.stopped.is_set():
                    return -signal.SIGTERM
                child = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                         env=env, start_new_session=True, pass_fds=self.pass_fds)
                self.running[child.pid] = child
            status = child.wait()
            with self.lock:
                del self.running[child.pid]
        return status

    def stop(self, *_) -> None:
        """End the children; cells keep their last checkpoint."""
        with self.lock:
            self.stopped.set()
            for pid in self.running:
                os.killpg(pid, signal.SIGTERM)

    def run_cell(self, cell: Cell) -> None:
        """Train, test and record one cell; what goes wrong is listed, not raised."""
        if self.stopped.is_set() or cell.state() == 'done':
            return
        began = time.time()
        with self.lock:
            gpus = [self.free.pop(0) for _ in range(self.spec['gpus_per_cell'])] if self.gpus else []
        try:
            print(f'[{cell.name}] {"resumes" if cell.state() == "started" else "starts"}', flush=True)
            problem = self.train_and_test(cell, gpus)
        finally:
            with self.lock:
                self.free += gpus
        if self.stopped.is_set() and problem:
            return
        if problem:
            self.failed[cell.name] = problem
        with self.lock:
            done = self.write_table()
        print(f'[{cell.name}] {problem or "done"} ({time.time() - began:.0f} s; {done} of {len(self.cells)} cells)',
              flush=True)

    def train_and_test(self, cell: Cell, gpus: Sequence[str]) -> str:
        """Bring one cell to its result; return what went wrong, empty for nothing."""
        cell.folder.mkdir(parents=True, exist_ok=True)
        config, log = cell.folder / 'config.py', cell.folder / 'log.txt'
        write(config, cell.config)
        write(cell.folder / 'sweep_cell.json', json.dumps(dict(fingerprint=cell.fingerprint)))
        if cell.state() != 'trained':
            # --resume without a checkpoint would also make train.py forget the config's load_from.
            resume = ['--resume'] if cell.checkpoint() else []
            if self.call(train_command(config, cell, self.spec['gpus_per_cell']) + resume, log, gpus, cell.env):
                return f'training failed, see {log}'
            if cell.checkpoint() is None:
                return 'training left no checkpoint; the config needs a CheckpointHook with an interval it reaches'
            (cell.folder / 'trained').touch()
        if self.call(test_command(config, cell), log, gpus[:1], cell.env):
            return f'testing failed, see {log}'
        metrics = read_metrics(cell.folder / 'test')
        for name in cell.metrics:
            if name not in metrics:
                return f'no metric {name!r} among {", ".join(metrics) or "none"}; correct the spec'
            if not math.isfinite(metrics[name]):
                return f'metric {name!r} is {metrics[name]}'
        write(cell.folder / 'result.json', json.dumps(dict(metrics=metrics, checkpoint=str(cell.checkpoint()))))
        return ''

    def write_table(self) -> int:
        """Write the table of what is finished; return how many cells are."""
        from _sweep_table import markdown, summarise
        records = {(cell.variant, cell.fraction, cell.seed): cell.record('result.json') for cell in self.cells}
        scores = {key: record['metrics'] for key, record in records.items() if record}
        fractions = list(map(str, self.spec['fractions']))
        rows = []
        for metric in self.spec['metric']:
            compared = {str(name): variant['against'].get(metric, str(name))
                        for name, variant in self.spec['variants'].items() if metric in variant['metric']}
            rows += summarise(scores, compared, fractions, self.spec['seeds'], metric)
        self.folder.mkdir(parents=True, exist_ok=True)
        text = markdown(self.spec['name'], rows, len(self.spec['seeds']), sorted(self.failed))
        write(self.folder / 'sweep.md', text)
        write(self.folder / 'sweep.json', json.dumps(
            dict(name=self.spec['name'], finished=len(scores), planned=len(self.cells), failed=self.failed, rows=rows),
            indent=1))
        return len(scores)


def train_command(config: Path, cell: Cell, gpus: int = 1) -> List[str]:
    """Command line of mmdet3d's train.py for a cell, started once or once per GPU.

    Started as dist_train.sh does it, but not by it: that script splits paths at blanks, which names of cells have, and
    gives every run the same port.
    """
    train = [str(TOOLS / 'train.py'), str(config), '--work-dir', str(cell.folder / 'train')]
    if gpus == 1:
        return [sys.executable, *train]
    return [sys.executable, '-m', 'torch.distributed.run', '--standalone', f'--nproc_per_node={gpus}', *train,
            '--launcher', 'pytorch']


def test_command(config: Path, cell: Cell) -> List[str]:
    """Command line of mmdet3d's test.py for a cell's last checkpoint."""
    return [sys.executable, str(TOOLS / 'test.py'), str(config), str(cell.checkpoint() or '<last checkpoint>'),
            '--work-dir', str(cell.folder / 'test')]


def read_metrics(folder: Path) -> Dict[str, float]:
    """Numbers that the last test in a folder reported (mmengine's LoggerHook writes them)."""
    files = sorted((path for path in folder.glob('*/*.json') if path.stem == path.parent.name),
                   key=lambda path: path.stat().st_mtime)
    metrics = json.loads(files[-1].read_text()) if files else {}
    return {name: float(value) for name, value in metrics.items()
            if isinstance(value, (int, float)) and name not in ('time', 'data_time')}


def parse_args(argv=None) -> Tuple[argparse.Namespace, List[str]]:
    """Read the command line; return it with the list of GPUs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('spec', help='YAML, JSON or Python file as above')
    parser.add_argument('--jobs', type=int, default=1, help='cells at a time (default: 1)')
    parser.add_argument('--gpus', default='', help='comma-separated GPUs, one per job or gpus_per_cell of them, e.g. '
                        '0,1,2,3 (default: all that are visible)')
    parser.add_argument('--dry-run', action='store_true', help='list the cells, their states and commands; run nothing')
    args = parser.parse_args(argv)
    gpus = [gpu for gpu in args.gpus.split(',') if gpu]
    if args.jobs < 1 or (gpus and args.jobs > len(gpus)):
        parser.error('--jobs must be at least 1, and at most the number of --gpus where those are given')
    return args, gpus


def share_gpus(gpus: List[str], jobs: int, per_cell: int) -> List[str]:
    """GPUs to hand out to cells: those named, or all where a cell needs several; none lets every cell see them all."""
    if per_cell == 1 and not gpus:
        return gpus
    if not gpus:
        named = os.environ.get('CUDA_VISIBLE_DEVICES')
        if named is None:
            import torch
            gpus = [str(number) for number in range(torch.cuda.device_count())]
        else:
            gpus = [gpu for gpu in named.split(',') if gpu]
    if len(gpus) < jobs * per_cell:
        raise SweepError(f'gpus_per_cell: {per_cell} times --jobs {jobs} needs {jobs * per_cell} GPUs, here are '
                         f'{len(gpus)}' + ('' if gpus else '; without GPUs a cell is one process: gpus_per_cell: 1'))
    return gpus


def run(args: argparse.Namespace, gpus: List[str]) -> int:
    """Do the sweep; return the exit status."""
    logging.disable(logging.INFO)  # mmengine tells of every config that is loaded, several times a cell
    spec = read_spec(args.spec)
    cells = make_cells(spec)
    sweep = Sweep(spec, cells, gpus)
    sweep.check_folders()
    if args.dry_run:
        for cell in cells:
            print(f'{cell.name}: {cell.state()}')
            config = cell.folder / 'config.py'
            if cell.state() != 'done':
                print('  ' + shlex.join(train_command(config, cell, spec['gpus_per_cell'])))
                print('  ' + shlex.join(test_command(config, cell)))
        return 0
    sweep.gpus = share_gpus(gpus, args.jobs, spec['gpus_per_cell'])
    sweep.free = list(sweep.gpus)
    sweep.folder.mkdir(parents=True, exist_ok=True)
    with open(sweep.folder / '.lock', 'w') as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SweepError(f'another sweep, or a run that one left behind, is at work in {sweep.folder}; wait for it '
                             'or choose another work_dir') from None
        sweep.pass_fds = (lock.fileno(), )
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, sweep.stop)
        with ThreadPoolExecutor(args.jobs) as pool:
            list(pool.map(sweep.run_cell, cells))
        done = sweep.write_table()
    print((sweep.folder / 'sweep.md').read_text())
    if sweep.stopped.is_set():
        print(f'sweep: stopped with {done} of {len(cells)} cells done; run the same command to go on', file=sys.stderr)
        return 130
    for name, problem in sweep.failed.items():
        print(f'  {name}: {problem}', file=sys.stderr)
    if sweep.failed:
        print(f'sweep: {len(sweep.failed)} of {len(cells)} cells failed', file=sys.stderr)
    return 1 if sweep.failed else 0


def main(argv=None) -> int:
    """Run the command line."""
    args, gpus = parse_args(argv)
    need('mmengine')
    try:
        return run(args, gpus)
    except SweepError as error:
        print(f'sweep: {error}', file=sys.stderr)
        return 1


if __name__ == '__main__':
    sys.exit(main())
