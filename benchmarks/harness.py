"""One shape for every benchmark: ours beside a plain baseline, agreement first, then time and peak memory as ratios.

A benchmark script defines four functions and calls :func:`main`; run it from any directory::

    python benchmarks/NAME.py [--pairs 20] [--threads N] [--device cpu|cuda] [--json FILE]

It ends with one line ``speedup=<baseline time / our time> memory_ratio=<our peak / baseline peak>``.
"""
from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

ROOT = Path(__file__).resolve().parents[1]
# This checkout is measured, whatever is installed, and without the ten seconds of importing mmdet3d.
sys.path.insert(0, str(ROOT / 'projects'))
sys.path.append(str(ROOT / 'tools'))
os.environ.setdefault('PRETRAIN3D_LIGHT', '1')

from _mmdet3d import need  # noqa: E402

need('torch')

import torch  # noqa: E402

WARM_UP = 3
SIDES = ('ours', 'baseline')
Setup = Callable[[str, bool], Tuple[Tuple[Any, ...], str]]


def compare(ours: Callable, baseline: Callable, check: Callable[[Any, Any], None], setup: Setup, name: str,
            script: Optional[str] = None, pairs: int = 20, device: str = 'cpu',
            threads: Optional[int] = None) -> Dict[str, Any]:
    """Check that both functions agree, then time them in turn and measure the peak memory of each.

    Args:
        ours: function under test, called as ``ours(*inputs)``.
        baseline: plain function with the same purpose and arguments.
        check: called with both results; raises AssertionError where they disagree.
        setup: ``setup(device, tiny) -> (inputs, description)``; ``tiny`` asks for a few rows, with which the code is
            loaded before memory is measured.
        name: title of the report.
        script: file that passes these functions to :func:`main`; it is run again, once for each side, to measure
            memory in a process of its own. None leaves memory out.
        pairs: number of interleaved pairs of calls; which of the two comes first alternates.
        device: 'cpu' or 'cuda'.
        threads: threads for torch, None for its default.

    Returns:
        What ``--json`` saves: ``seconds`` and ``peak_bytes`` of each side, ``speedup``, ``memory_ratio``, versions.
    """
    if pairs < 1:
        raise ValueError(f'pairs must be at least 1, got {pairs}')
    if threads is not None:
        torch.set_num_threads(threads)
    inputs, description = setup(device, False)
    sides = dict(zip(SIDES, (ours, baseline)))
    check(ours(*inputs), baseline(*inputs))
    seconds = time_in_turn(sides, inputs, pairs, device)
    peaks = {side: measure_peak(script, side, device, threads) for side in SIDES} if script else dict.fromkeys(SIDES)
    median = {side: statistics.median(values) for side, values in seconds.items()}
    return dict(name=name, input=description, pairs=pairs, device=describe_device(device),
                threads=torch.get_num_threads(), versions=versions(), seconds=seconds, median_seconds=median,
                peak_bytes=peaks, speedup=median['baseline'] / median['ours'], memory_ratio=ratio(peaks))


def time_in_turn(sides: Dict[str, Callable], inputs: Tuple[Any, ...], pairs: int,
                 device: str) -> Dict[str, List[float]]:
    """Seconds of every call, ``pairs`` for each side, after a warm-up and without pauses for garbage collection."""
    seconds: Dict[str, List[float]] = {side: [] for side in sides}
    for function in sides.values():
        for _ in range(WARM_UP):
            function(*inputs)
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        for pair in range(pairs):
            for side in (SIDES if pair % 2 == 0 else SIDES[::-1]):
                synchronize(device)
                start = time.perf_counter()
                result = sides[side](*inputs)
                synchronize(device)
                seconds[side].append(time.perf_counter() - start)
                del result
    finally:
        if was_enabled:
            gc.enable()
    return seconds


def synchronize(device: str) -> None:
    """Wait for the GPU, if there is one in play."""
    if device == 'cuda':
        torch.cuda.synchronize()


def measure_peak(script: str, side: str, device: str, threads: Optional[int]) -> int:
    """Bytes that one call of ``side`` needs beyond its inputs, measured in a fresh process."""
    command = [sys.executable, os.path.abspath(script), '--peak-of', side, '--device', device]
    if threads is not None:
        command += ['--threads', str(threads)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f'measuring the memory of {side} failed:\n{done.stderr.strip()}')
    return int(done.stdout.split()[-1])


def peak_of_call(function: Callable, setup: Setup, device: str) -> int:
    """Peak bytes of one call above what the process held before it; meant for a process that does nothing else."""
    inputs, _ = setup(device, False)
    function(*setup(device, True)[0])  # loads and compiles the code, which is not what is measured
    gc.collect()
    if device == 'cuda':
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        result = function(*inputs)
        torch.cuda.synchronize()
        after = torch.cuda.max_memory_allocated()
    else:
        reset_high_water()
        before = high_water()
        result = function(*inputs)
        after = high_water()
    del result
    return max(0, after - before)


def reset_high_water() -> None:
    """Let Linux forget the peak of start-up; elsewhere nothing happens and a peak below that of start-up reads 0."""
    try:
        Path('/proc/self/clear_refs').write_text('5')
    except OSError:
        pass


def high_water() -> int:
    """Largest resident size of this process so far, in bytes."""
    try:
        status = Path('/proc/self/status').read_text()
        return 1024 * int(status.split('VmHWM:')[1].split()[0])
    except (OSError, IndexError):
        unit = 1 if sys.platform == 'darwin' else 1024
        return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def ratio(peaks: Dict[str, Optional[int]]) -> Optional[float]:
    """Our peak over the baseline's, None where it was not measured or the baseline's is below what can be seen."""
    return peaks['ours'] / peaks['baseline'] if peaks['baseline'] and peaks['ours'] is not None else None


def versions() -> Dict[str, str]:
    """Versions of what the result depends on."""
    found = dict(python=platform.python_version(), torch=torch.__version__)
    for name in ('numpy', 'numba'):
        if name in sys.modules:
            found[name] = sys.modules[name].__version__
    return found


def describe_device(device: str) -> str:
    """Name of the GPU, or of the processor as far as the system tells."""
    if device == 'cuda':
        return torch.cuda.get_device_name()
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
        model = next(line.split(':', 1)[1].strip() for line in lines if line.startswith('model name'))
    except (OSError, StopIteration):
        model = platform.processor() or platform.machine()
    return f'{model}, {os.cpu_count()} cores'


def report(result: Dict[str, Any]) -> str:
    """The table and the closing line."""
    rows = [('', 'median', 'middle half', 'fastest', 'peak memory')]
    for side in SIDES:
        times = sorted(result['seconds'][side])
        low, high = times[len(times) // 4], times[-1 - len(times) // 4]
        peak = result['peak_bytes'][side]
        rows.append((side, f'{result["median_seconds"][side] * 1e3:.3f} ms', f'{low * 1e3:.3f} ... {high * 1e3:.3f} ms',
                     f'{times[0] * 1e3:.3f} ms', 'not measured' if peak is None else f'{peak / 2 ** 20:.2f} MiB'))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    table = ['  '.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    about = ', '.join(f'{name} {version}' for name, version in result['versions'].items())
    memory = result['memory_ratio']
    return '\n'.join([
        f'{result["name"]}: {result["input"]}', *table, f'{result["pairs"]} interleaved pairs; both sides agree',
        f'{result["device"]}; {result["threads"]} threads; {about}',
        f'speedup={result["speedup"]:.2f} memory_ratio={"nan" if memory is None else format(memory, ".2f")}'])


def main(ours: Callable, baseline: Callable, check: Callable[[Any, Any], None], setup: Setup, name: str, script: str,
         argv: Optional[Sequence[str]] = None) -> int:
    """Command line of a benchmark script; arguments as :func:`compare`. Returns the exit status."""
    parser = argparse.ArgumentParser(description=f'{name}: ours beside a plain baseline')
    parser.add_argument('--pairs', type=int, default=20, help='interleaved pairs of calls (default 20)')
    parser.add_argument('--threads', type=int, help="threads for torch (default: torch's own)")
    parser.add_argument('--device', choices=('cpu', 'cuda'), default='cpu')
    parser.add_argument('--json', type=Path, metavar='FILE', help='save the result here')
    parser.add_argument('--peak-of', choices=SIDES, help=argparse.SUPPRESS)  # how the script calls itself
    args = parser.parse_args(argv)
    if args.pairs < 1 or (args.threads is not None and args.threads < 1):
        parser.error('--pairs and --threads must be at least 1')
    if args.device == 'cuda' and not torch.cuda.is_available():
        parser.error('--device cuda: torch sees no GPU here')
    if args.peak_of:
        if args.threads:
            torch.set_num_threads(args.threads)
        print(peak_of_call(dict(zip(SIDES, (ours, baseline)))[args.peak_of], setup, args.device))
        return 0
    try:
        result = compare(ours, baseline, check, setup, name, script, args.pairs, args.device, args.threads)
    except AssertionError as error:
        print(f'{name}: ours and the baseline disagree: {error}', file=sys.stderr)
        return 1
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(result, indent=2) + '\n')
    print(report(result))
    return 0
