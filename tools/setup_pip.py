"""Runs pip for the set-up: its chatter becomes a line of progress, its failures one clear line."""
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

# What a failed run says -> the clause for the user; the first that matches wins.
FAILURES = (
    (r'No space left on device|Errno 28|Disk quota exceeded', 'the disk is full; free some space and run it again'),
    (r'Temporary failure in name resolution|Name or service not known|Network is unreachable|NewConnectionError|'
     r'NameResolutionError|Connection refused|ConnectTimeout|Read timed out|ReadTimeout|ProxyError|'
     r'Connection (?:reset|aborted|broken)|IncompleteRead',
     'the package index cannot be reached; check the network (or pip\'s index and proxy settings) and run it again'),
    (r'CERTIFICATE_VERIFY_FAILED', 'the certificate of the package index is not trusted here; set PIP_CERT'),
    (r'No matching distribution found for (?P<what>\S+)', 'the package index has no wheel of {what} for this Python'),
    (r'not a supported wheel|THESE PACKAGES DO NOT MATCH', 'a downloaded package is damaged; run it again'),
    (r'(?P<what>\w*Error: .+)\s*\Z', '{what}'))


class SetupError(Exception):
    """What stopped the set-up, in one line that a user can act upon."""


def diagnose(text: str, otherwise: str) -> str:
    """One line that names the cause of a failed command from its output."""
    for pattern, message in FAILURES:
        found = re.search(pattern, text)
        if found:
            return message.format(**found.groupdict())
    return otherwise


class Progress:
    """One status line, rewritten in place on a terminal, printed every ``period`` seconds elsewhere."""

    def __init__(self, stream=None, period: float = 10.0):
        self.stream = stream or sys.stdout
        self.live, self.period = self.stream.isatty(), period
        self.shown, self.text, self.started = 0.0, '', time.time()

    def show(self, text: str, force: bool = False) -> None:
        """Show ``text`` with the seconds since the start, if it is time to."""
        now = time.time()
        if not force and now - self.shown < (0.2 if self.live else self.period):
            return
        if not self.live and text == self.text and not force:
            return
        self.shown, self.text = now, text
        line = f'set-up: {now - self.started:4.0f} s  {text}'
        width = shutil.get_terminal_size().columns - 1
        self.stream.write('\r\033[K' + line[:width] if self.live else line + '\n')
        self.stream.flush()

    def end(self) -> None:
        """Leave the line."""
        if self.live and self.shown:
            self.stream.write('\n')
            self.stream.flush()


def pip_environment(scratch) -> dict:
    """The user's environment (mirrors, proxies, caches stay) without what would make pip install elsewhere."""
    dropped = {'PYTHONPATH', 'PYTHONHOME', 'PIP_TARGET', 'PIP_PREFIX', 'PIP_ROOT', 'PIP_REQUIRE_HASHES',
               'PIP_NO_BINARY'}
    environ = {key: value for key, value in os.environ.items() if key not in dropped}
    environ.update(TMPDIR=str(scratch), PIP_USER='0', PIP_DISABLE_PIP_VERSION_CHECK='1', PIP_NO_INPUT='1',
                   PYTHONUNBUFFERED='1', PIP_PROGRESS_BAR='off', LC_ALL='C.UTF-8')
    return environ


def stream_lines(process) -> 'queue.Queue':
    """Lines of a process as they come, ``None`` at the end, in a queue that can be waited on with a limit."""
    lines = queue.Queue()

    def read():
        for raw in process.stdout:
            lines.put(raw.decode(errors='replace').rstrip())
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    return lines


def follow(process, log, on_line, on_tick) -> str:
    """Copy a process's output into ``log`` line by line until it ends; returns all of it. Kills it if interrupted."""
    lines, kept = stream_lines(process), []
    try:
        while True:
            try:
                line = lines.get(timeout=1.0)
            except queue.Empty:
                on_tick()
                continue
            if line is None:
                break
            kept.append(line)
            log.write(line + '\n')
            log.flush()
            on_line(line)
        process.wait()
    except BaseException:
        process.send_signal(signal.SIGKILL)
        process.wait()
        raise
    return '\n'.join(kept)


def run_pip(env, arguments: list, lock_fd: int, total: int = 0, count=lambda: 0) -> None:
    """Run pip of ``env`` (an ``Environment``); with ``total`` show how far it is, ``count()`` = packages in place."""
    progress, seen, unpacking = Progress(), [0], threading.Event()
    scratch = env.owner / 'tmp'  # pip unpacks gigabytes; /tmp is often small
    scratch.mkdir(exist_ok=True)

    def on_line(line: str) -> None:
        if not total:
            return
        fetched = re.match(r'\s*(?:Collecting|Requirement already satisfied:) (\S+)', line)
        size = re.match(r'\s*Downloading (\S+?)-\d\S* \((.+ [MG]B)\)', line)
        if fetched:
            seen[0] += 1
            progress.show(f'fetching {seen[0]}/{total}: {fetched.group(1)}', force=seen[0] % 25 == 0)
        elif size:
            progress.show(f'downloading {seen[0]}/{total}: {size.group(1)} ({size.group(2)})',
                          force=size.group(2).endswith('GB') or float(size.group(2).split()[0]) > 100)
        elif 'Retrying (' in line:
            progress.show('the package index does not answer; trying again', force=True)
        elif line.startswith('Installing collected packages'):
            unpacking.set()
            progress.show(f'installing {count()}/{total}', force=True)

    def on_tick() -> None:
        if unpacking.is_set():
            progress.show(f'installing {count()}/{total}')

    env.log.parent.mkdir(exist_ok=True)
    with open(str(env.log), 'a') as log:
        process = subprocess.Popen([str(env.python), '-m', 'pip', *arguments], env=pip_environment(scratch),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   cwd=str(env.owner), pass_fds=(lock_fd,))
        try:
            text = follow(process, log, on_line, on_tick)
        finally:
            progress.end()
    shutil.rmtree(str(scratch), ignore_errors=True)
    if process.returncode:
        errors = [line for line in text.splitlines() if line.startswith('ERROR')] or ['']
        raise SetupError(diagnose(text, f'pip failed; {errors[-1]} (see {env.log})'))
