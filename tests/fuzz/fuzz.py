"""Feeds damaged files to every reader: ``python tests/fuzz/fuzz.py --count 10000 --seed 0`` (``make fuzz``).

A case is well when the reader succeeds with sane content, or raises a clear error that names the file. Everything else
is told with the command that repeats it: other exceptions, crashes, hangs, memory beyond what the file could hold,
code run out of a file. Cases run in a child with little memory to ask for; the case numbered ``i`` depends on (seed, i)
only.
"""
import argparse
import logging
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

os.environ.setdefault('OMP_NUM_THREADS', '1')
ROOT = Path(__file__).resolve().parents[2]
for _folder in (ROOT / 'projects', Path(__file__).parent):
    if str(_folder) not in sys.path:
        sys.path.insert(0, str(_folder))

SPARE_BYTES = 3 << 30
LIMIT_S = 10


class Hang(BaseException):
    """A case took too long."""


def prepare(folder):
    """Whole files of every subject, which are read once to see that they are."""
    import readers
    from mmengine.registry import init_default_scope
    init_default_scope('mmdet3d')
    for place, subject in enumerate(readers.SUBJECTS):
        whole, trial = folder / 'whole' / str(place), folder / 'trial'
        whole.mkdir(parents=True)
        subject.make(whole)
        shutil.copytree(whole, trial)
        subject.read(trial)
        shutil.rmtree(trial)


def damaged(subject, path, data, rng, canary):
    """Damaged content, and what was done to it."""
    import damage
    kind = rng.random()
    if subject.pickled and kind < 0.12 and subject.load:
        return subject.dump(damage.in_tree(subject.load(data), rng, canary)), 'evil'
    if subject.load and kind < 0.6:
        return subject.dump(damage.in_tree(subject.load(data), rng)), 'tree'
    kinds = [damage.BYTES[rng.integers(len(damage.BYTES))] for _ in range(1 if rng.random() < 0.8 else 2)]
    for one in kinds:
        data = one(data, rng)
    return data, '+'.join(one.__name__ for one in kinds)


def one_case(number, seed, folder, only=None):
    """Outcome ('read', 'refused' or 'FAILED'), the subject, what was done, and what went wrong."""
    import numpy as np
    import readers
    rng = np.random.default_rng([seed, number])
    subjects = [place for place, one in enumerate(readers.SUBJECTS) if only in (None, one.name)]
    place = subjects[rng.integers(len(subjects))]
    subject, here, canary = readers.SUBJECTS[place], folder / 'case', folder / 'canary'
    shutil.rmtree(here, ignore_errors=True)
    shutil.copytree(folder / 'whole' / str(place), here)
    path = here / subject.damaged[rng.integers(len(subject.damaged))]
    try:
        data, what = damaged(subject, path, path.read_bytes(), rng, canary)
    except Exception:  # some wrong values do not fit the format
        data, what = b'', 'empty'
    path.write_bytes(data)
    told = f'{path.name}, {what}'
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    try:
        subject.read(here)
        outcome, why = 'read', ''
    except Hang:
        outcome, why = 'FAILED', f'hangs: {traceback.format_exc(limit=-3)}'
    except readers.CLEAR as error:
        outcome, why = 'refused', ''
        names = {item.name for item in here.rglob('*') if item.is_file()} | {path.name, str(here)}
        if not any(name in str(error) for name in names):
            outcome, why = 'FAILED', f'no file is named: {traceback.format_exc(limit=-3)}'
    except BaseException:
        outcome, why = 'FAILED', traceback.format_exc(limit=-4)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    if canary.exists():
        os.rmdir(canary)
        outcome, why = 'FAILED', f'code was run out of the file; {why}'
    return outcome, subject.name, told, why


def child(numbers, seed, folder, only, pipe):
    """Run cases and send what came of them."""
    def alarm(*_):
        raise Hang

    signal.signal(signal.SIGALRM, alarm)
    warnings.simplefilter('ignore')
    logging.disable(logging.CRITICAL)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    pages = int(Path('/proc/self/statm').read_text().split()[0])
    limit = pages * os.sysconf('SC_PAGE_SIZE') + SPARE_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    folder = folder / str(os.getpid())
    folder.mkdir()
    os.symlink(folder.parent / 'whole', folder / 'whole')
    for number in numbers:
        pipe.send((number, None))
        pipe.send((number, one_case(number, seed, folder, only)))
    shutil.rmtree(folder)


def run(count, seed, only=None, start=0, quiet=True):
    """Outcomes (Counter by subject and outcome) and failures (number, subject, what was done, why)."""
    memory = Path('/dev/shm')  # readers that write wait for the disk after every file
    folder = Path(tempfile.mkdtemp(prefix='fuzz_', dir=memory if os.access(memory, os.W_OK) else None))
    outcomes, failures, number = Counter(), [], start
    context = multiprocessing.get_context('fork')
    begun = time.time()
    try:
        prepare(folder)
        if not quiet:
            print(f'whole files are read, {time.time() - begun:.0f} s', flush=True)
        while number < start + count:
            mine, theirs = context.Pipe(False)
            process = context.Process(target=child, args=(range(number, start + count), seed, folder, only, theirs))
            process.start()
            theirs.close()
            number = follow(mine, process, number, outcomes, failures)
            if not quiet:
                print(f'{number - start}/{count}, {len(failures)} failures, {time.time() - begun:.0f} s', flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return outcomes, failures


def follow(pipe, process, number, outcomes, failures):
    """Collect what a child tells until it ends; returns the number of the next case."""
    while True:
        try:
            told = pipe.poll(3 * LIMIT_S) and pipe.recv()
        except EOFError:
            process.join()
            if process.exitcode:
                failures.append((number, '', '', f'the process ended with {process.exitcode}'))
                number += 1
            return number
        if not told:
            process.kill()
            process.join()
            failures.append((number, '', '', 'hangs in a way that no signal ends'))
            return number + 1
        number, result = told
        if result is not None:
            outcome, subject, what, why = result
            outcomes[subject, outcome] += 1
            if outcome == 'FAILED':
                failures.append((number, subject, what, why))
            number += 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--count', type=int, default=500)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--start', type=int, default=0, help='number of the first case')
    parser.add_argument('--only', help='one reader')
    parser.add_argument('--show', type=int, default=20, help='how many failures to show')
    args = parser.parse_args()
    warnings.simplefilter('ignore')
    outcomes, failures = run(args.count, args.seed, args.only, args.start, quiet=False)
    for subject in sorted({name for name, _ in outcomes}):
        print(f'{subject:26}' + ''.join(
            f'{outcomes[subject, kind]:7} {kind}' for kind in ('read', 'refused', 'FAILED')))
    for number, subject, what, why in failures[:args.show]:
        print(f'\n--seed {args.seed} --start {number} --count 1' + (f' --only "{args.only}"' if args.only else '')
              + f': {subject}: {what}\n{why}')
    total = sum(outcomes.values())
    print(f'{total} cases, {sum(count for (_, kind), count in outcomes.items() if kind == "read")} read, '
          f'{sum(count for (_, kind), count in outcomes.items() if kind == "refused")} refused by name, '
          f'{len(failures)} failed')
    return bool(failures)


if __name__ == '__main__':
    sys.exit(main())
