"""What the demos share: scripts run with their progress shown, and failures told in one line."""
import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Set, Tuple

from _mmdet3d import ROOT

TRAIN_LINE = re.compile(r'Iter\(train\)\s+\[\s*(\d+)/(\d+)\].*?eta: (\S+).*?\bloss: (\S+)')
COUNT_LINE = re.compile(r'^\s*(\d+)/(\d+) (\w+), (\d+) s left')
LIVE: Set[subprocess.Popen] = set()  # the scripts that run now
STOP_WAIT = 30  # seconds that a stopped script has to clean up; a second Ctrl-C ends the wait


class DemoError(Exception):
    """The demo cannot go on; the message is what the user sees."""


def training_progress(line: str) -> Optional[str]:
    """What to show of a line that mmdet3d's train.py printed; ``None`` for nothing."""
    step = TRAIN_LINE.search(line)
    if not step:
        return None
    done, total, eta, loss = step.groups()
    return f'  step {done:>4}/{total}   loss {float(loss):9.3f}   time left {eta}'


class TrainingProgress:
    """As :func:`training_progress`, after the name of the training and not more often than every ``pause`` seconds."""

    def __init__(self, name: str, pause: float = 5.0) -> None:
        self.name, self.pause, self.shown = name, pause, time.monotonic()

    def __call__(self, line: str) -> Optional[str]:
        text, step = training_progress(line), TRAIN_LINE.search(line)
        if text is None or (step[1] != step[2] and time.monotonic() - self.shown < self.pause):
            return None
        self.shown = time.monotonic()
        return f'  {self.name:<19}{text}'


class CountProgress:
    """What to show of lines ``3/10 scans, 4 s left``: the last one, and in between one every few seconds."""

    def __init__(self, pause: float = 5.0) -> None:
        self.pause, self.shown = pause, time.monotonic()

    def __call__(self, line: str) -> Optional[str]:
        count = COUNT_LINE.search(line)
        if not count or (count[1] != count[2] and time.monotonic() - self.shown < self.pause):
            return None
        self.shown = time.monotonic()
        return f'  {count[1]}/{count[2]} {count[3]}' + (f'   {count[4]} s left' if count[1] != count[2] else '')


def error_of(log: Path) -> str:
    """The line of a log that says why a script failed."""
    lines = [line.strip() for line in log.read_text(errors='replace').splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r'[\w.]*(Error|Exception|Interrupt)\b', line)]
    return (errors or lines or ['nothing was printed'])[-1]


def run(script: str, arguments: Sequence[object], log: Path, environment: Dict[str, str],
        progress: Callable[[str], Optional[str]] = training_progress) -> str:
    """Run ``tools/<script>``, show its progress, return all that it printed.

    Raises:
        DemoError: it failed; the message ends with its own last error and where the log is.
    """
    command = [sys.executable, str(ROOT / 'tools' / script), *map(str, arguments)]
    printed: List[str] = []
    # A session of its own, so that stopping it reaches the processes it has started.
    with log.open('w') as file, subprocess.Popen(command, env=environment, stdout=subprocess.PIPE,
                                                 stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
                                                 errors='replace', start_new_session=True) as process:
        LIVE.add(process)
        try:
            for line in process.stdout:
                file.write(line)
                printed.append(line)
                shown = progress(line)
                if shown:
                    print(shown, flush=True)
            process.wait()
        except BaseException:
            _stop(process)
            raise
        finally:
            LIVE.discard(process)
    if process.returncode:
        raise DemoError(f'{script} failed: {error_of(log)}\n  all it printed: {log}')
    return ''.join(printed)


def _stop(process: subprocess.Popen) -> None:
    """Interrupt a script and all that it started, as Ctrl-C would; kill what does not stop."""
    for number in (signal.SIGINT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            process.wait(STOP_WAIT)


def together(tasks: Sequence[Callable[[], None]], jobs: int) -> None:
    """Do the tasks, ``jobs`` at a time. The first that fails, or an interrupt, ends the others and is raised."""
    if jobs <= 1:
        for task in tasks:
            task()
        return
    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(task) for task in tasks]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            while not all(future.done() for future in futures):
                for process in list(LIVE):
                    _stop(process)
                time.sleep(0.05)
            raise


def threads_of(jobs: int) -> Optional[int]:
    """Threads of arithmetic for each of ``jobs`` trainings at a time; ``None``: as torch or the user wants it."""
    shared = jobs > 1 and 'OMP_NUM_THREADS' not in os.environ
    return max(1, (os.cpu_count() or 1) // jobs) if shared else None


def make_work_dir(folder: Path) -> Path:
    """The absolute path of a work dir, which is made if need be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DemoError(f'--work-dir {folder} cannot be made: {error.strerror}') from error
    return folder.resolve()


def environment(**added: str) -> Dict[str, str]:
    """The environment of the scripts."""
    found = {key: value for key, value in os.environ.items() if key != 'PRETRAIN3D_LIGHT'}
    found.update(PYTHONUNBUFFERED='1', **added)
    # Idle threads sleep instead of spinning: where other work shares the cores, spinning made this 20 times slower.
    found.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
    return found


def scores_of(folder: Path) -> Dict[str, float]:
    """The scores of the last mmdet3d test.py with ``--work-dir folder``."""
    files = sorted(folder.glob('*/*.json'), key=lambda path: path.stat().st_mtime)
    if not files:
        raise DemoError(f'test.py left no scores in {folder}')
    return json.loads(files[-1].read_text())


def checkpoint_of(folder: Path) -> Path:
    """The last checkpoint of the last mmdet3d train.py with ``--work-dir folder``."""
    pointer = folder / 'last_checkpoint'
    if not pointer.is_file():
        raise DemoError(f'train.py left no checkpoint in {folder}')
    return Path(pointer.read_text().strip())


def curve_of(folder: Path, key: str) -> List[Tuple[float, float]]:
    """(step, value) of what the last mmdet3d train.py with ``--work-dir folder`` logged under ``key``."""
    files = sorted(folder.glob('*/vis_data/scalars.json'), key=lambda path: path.stat().st_mtime)
    if not files:
        return []
    lines = map(json.loads, files[-1].read_text().splitlines())
    return [(line['step'], line[key]) for line in lines if key in line]


def command(script: str, *arguments: object) -> str:
    """What a user would type to run ``tools/<script>``, paths from the checkout's root."""
    return f'python tools/{script} ' + shlex.join(map(_from_root, arguments))


def _from_root(argument: object) -> str:
    inside = os.path.isabs(str(argument)) and Path(argument).is_relative_to(ROOT)
    return os.path.relpath(argument, ROOT) if inside else str(argument)


@dataclass
class Run:
    """One training and its test by mmdet3d's scripts.

    Attributes:
        name: short, for tables and curves. config: the file that the scripts get. folder: where everything goes.
        variables: of the environment, beside those of :func:`environment`. cfg_options: overrides, KEY=VALUE.
        scores: of test.py. commands: as a user would type them.
    """
    name: str
    config: Path
    folder: Path
    variables: Dict[str, str]
    cfg_options: Sequence[str] = ()
    scores: Dict[str, float] = field(default_factory=dict)
    commands: List[str] = field(default_factory=list)

    @property
    def predictions(self) -> Path:
        """Folder of the predicted classes, ``<scan>.npy``."""
        return self.folder / 'predictions'

    def train(self) -> None:
        """Train from the beginning."""
        self._call('train')

    def test(self) -> None:
        """Test the last checkpoint with the config that train.py saved: a recipe edited since then is another model."""
        self._call('test', checkpoint_of(self.folder / 'train'), config=self.folder / 'train' / self.config.name)
        self.scores = scores_of(self.folder / 'test')

    def train_and_test(self) -> None:
        """One after the other."""
        self.train()
        self.test()

    def _call(self, what: str, *arguments: object, config: Optional[Path] = None) -> None:
        whole = [config or self.config, *arguments, '--work-dir', self.folder / what]
        whole += ['--cfg-options', *self.cfg_options] if self.cfg_options else []
        named = ''.join(f'{key}={shlex.quote(_from_root(value))} ' for key, value in self.variables.items())
        self.commands.append(named + command(f'{what}.py', *whole))
        run(f'{what}.py', whole, self.folder / f'{what}.log', environment(**self.variables),
            TrainingProgress(self.name))


@contextlib.contextmanager
def light() -> Iterator[None]:
    """Import parts of pretrain3d that need no mmdet3d without waiting for it."""
    before = os.environ.get('PRETRAIN3D_LIGHT')
    os.environ['PRETRAIN3D_LIGHT'] = '1'
    try:
        yield
    finally:
        if before is None:
            del os.environ['PRETRAIN3D_LIGHT']
        else:
            os.environ['PRETRAIN3D_LIGHT'] = before


class Steps:
    """Announces the steps of a demo and remembers how long each took.

    Args:
        count: how many there are.
    """

    def __init__(self, count: int) -> None:
        self.count, self.taken = count, []  # (title, seconds)

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        """One step."""
        print(f'{len(self.taken) + 1}/{self.count} {title}', flush=True)
        began = time.monotonic()
        yield
        self.taken.append((title, time.monotonic() - began))

    def tell_the_end(self, told: str, report: Path) -> None:
        """Print ``told``, where the report and, beside it, everything else is, and how long it all took."""
        total = sum(seconds for _, seconds in self.taken)
        print(f'{told}\nreport: {report}\nlogs and weights: {report.parent}\ntook {total:.0f} s')


@contextlib.contextmanager
def quiet(log: Path) -> Iterator[None]:
    """What imports and builders print goes into ``log``."""
    with log.open('w') as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
        yield


def main(demo: Callable[[], None], again: str = 'it starts afresh') -> int:
    """Run a demo; returns the exit status. Being asked to end counts as Ctrl-C, so that no script outlives it."""
    def interrupt(*_) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        demo()
    except (DemoError, OSError) as error:
        print(f'demo: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f'demo: interrupted; run it again, {again}', file=sys.stderr)
        return 130
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0
