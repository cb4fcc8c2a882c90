"""Makes ``.venv`` in this checkout: the pinned stack of requirements/lock.txt and pretrain3d itself, no compiler.

``make test`` and ``make demo`` call it first; by hand: ``python3.11 tools/setup_env.py [--python PATH] [--check]``.
It uses the standard library alone and runs under any Python >= 3.6, so that a wrong one gets a clear line.
The record of what was installed is written last: without it an environment counts as interrupted and is made anew.
Where record and lock differ, only the difference is installed. One process works at a time; the others wait.
"""
import argparse
import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

try:
    import fcntl
except ImportError:  # not Linux: check_platform says so
    fcntl = None

sys.path.insert(0, str(Path(__file__).resolve().parent))

from setup_machine import check_platform, disk_plan, find_python, probe  # noqa: E402
from setup_pip import SetupError, diagnose, run_pip  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
FINDER = '_pretrain3d_mmcv_ext'
VERIFY = '''
import importlib.util
import torch, torchvision, cv2, spconv.pytorch, mmcv.ops
import mmdet.models, mmdet3d.models, mmdet3d.datasets, mmdet3d.evaluation, open_clip
assert importlib.util.find_spec('pretrain3d'), 'pretrain3d is not on the path'
'''


def say(message: str) -> None:
    """One line of progress."""
    print(f'set-up: {message}', flush=True)


# -- what is there, what is wanted -------------------------------------------------------------------------------------
def read_lock(path: Path, python: str) -> dict:
    """Canonical name -> version of the lock's lines that hold for ``python`` (a version like '3.11')."""
    packages = {}
    for line in path.read_text().splitlines():
        line = line.split('#')[0].strip()
        if not line:
            continue
        matched = re.fullmatch(r'([a-z0-9-]+)==([^\s;]+)(?:\s*;\s*python_version == "([\d.]+)")?', line)
        if matched is None:
            raise SetupError(f'{path}: cannot read {line!r}; remake the file with `make lock`')
        name, version, only = matched.groups()
        if only in (None, python):
            packages[name] = version
    return packages


def installed(site: Path) -> dict:
    """Canonical name -> version of what lies in a site-packages folder, by its metadata folders."""
    found = {}
    for entry in site.glob('*.dist-info'):
        name, _, version = entry.name[:-len('.dist-info')].rpartition('-')
        found[re.sub(r'[-_.]+', '-', name).lower()] = version
    return found


class Environment:
    """The environment of one checkout: where its files lie and in which state it is."""

    def __init__(self, root: Path = ROOT):
        self.root = root
        self.venv = root / '.venv'
        self.python = self.venv / 'bin' / 'python'
        self.owner = self.venv / '.pretrain3d-setup'  # made before anything else: this folder is ours
        self.record = self.owner / 'record.json'
        self.lock = root / 'requirements' / 'lock.txt'
        self.finder = root / 'projects' / 'pretrain3d' / 'engine' / 'mmcv_cpu' / 'finder.py'
        self.log = root / '.cache' / 'setup.log'

    def read_record(self) -> dict:
        """What the last complete set-up wrote; empty if there is none or it cannot be read."""
        try:
            return json.loads(self.record.read_text())
        except (OSError, ValueError):
            return {}

    def write_record(self, **facts) -> None:
        """Replace the record in one step."""
        scratch = self.record.with_suffix('.new')
        scratch.write_text(json.dumps(facts, indent=1))
        os.replace(str(scratch), str(self.record))

    def site(self, version: str) -> Path:
        """The site-packages folder for a Python version such as '3.11'."""
        return self.venv / 'lib' / f'python{version}' / 'site-packages'

    def state(self, asked=None) -> tuple:
        """(state, reason): 'absent', 'foreign', 'broken' (make anew), 'outdated' (install the difference),
        'unverified' or 'ready'."""
        if not self.venv.exists():
            return 'absent', 'there is no environment yet'
        if not self.owner.is_dir():
            return 'foreign', f'{self.venv} was not made by this set-up; move it away'
        record = self.read_record()
        if not record:
            return 'broken', 'the last set-up was interrupted'
        if record['root'] != str(self.root):
            return 'broken', f'the checkout was moved from {record["root"]}'
        facts = probe(str(self.python))
        if facts is None or not facts['version'].startswith(record['python'] + '.'):
            return 'broken', f'its Python {record["python"]} is gone'
        if asked and not asked['version'].startswith(record['python'] + '.'):
            return 'broken', f'Python {asked["version"]} was asked for, it has {facts["version"]}'
        site = self.site(record['python'])
        present = installed(site)
        for name, version in sorted(read_lock(self.lock, record['python']).items()):
            if present.get(name) != version:
                return 'outdated', f'{name} {version} is wanted, {present.get(name, "nothing")} is there'
        copy = site / f'{FINDER}.py'
        if not copy.is_file() or copy.read_bytes() != self.finder.read_bytes():
            return 'outdated', 'the finder of the stand-in for mmcv._ext changed'
        if record['lock'] != digest(self.lock):
            return 'outdated', 'the requirements changed'
        if not record['verified']:
            return 'unverified', 'it was installed but not yet verified'
        return 'ready', f'Python {facts["version"]}'


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


# -- making it ---------------------------------------------------------------------------------------------------------
@contextlib.contextmanager
def only_one(root: Path):
    """Hold the checkout's set-up lock; its descriptor is handed on to pip, so an orphaned pip keeps holding it."""
    (root / '.cache').mkdir(exist_ok=True)
    with open(str(root / '.cache' / 'setup.lock'), 'a+') as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            say(f'another set-up (process {handle.read().strip() or "?"}) is at work in this checkout; waiting for it')
            fcntl.flock(handle, fcntl.LOCK_EX)
        handle.seek(0)
        handle.truncate()
        handle.write(str(os.getpid()))
        handle.flush()
        os.set_inheritable(handle.fileno(), True)
        yield handle.fileno()


def create(env: Environment, python: str, version: str) -> None:
    """A new, empty environment in place of whatever was there."""
    if env.venv.exists():
        shutil.rmtree(str(env.venv))
    disk_plan(shutil.disk_usage(str(env.root)).free)
    env.owner.mkdir(parents=True)
    done = subprocess.run([python, '-m', 'venv', str(env.venv)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise SetupError(diagnose(done.stdout.decode(errors='replace'), f'{python} -m venv failed'))
    if not env.site(version).is_dir():
        raise SetupError(f'{python} -m venv made no {env.site(version)}; name another Python with PYTHON=')


def install(env: Environment, version: str, lock_fd: int) -> None:
    """Bring the environment to what the lock says, put the finder and the package in, write the record."""
    wanted, site = read_lock(env.lock, version), env.site(version)
    fresh = not (site / 'torch').is_dir()
    options = disk_plan(shutil.disk_usage(str(env.root)).free) if fresh else []
    surplus = sorted(set(env.read_record().get('packages', ())) - set(wanted))
    with contextlib.suppress(FileNotFoundError):
        env.record.unlink()  # from here to the end the environment counts as interrupted
    if surplus:
        say(f'removing {", ".join(surplus)}')
        run_pip(env, ['uninstall', '--yes', *surplus], lock_fd)
    run_pip(env, ['install', '--no-deps', '--only-binary=:all:', '--no-compile', *options, '-r', str(env.lock)],
            lock_fd, total=len(wanted), count=lambda: len(set(installed(site)) & set(wanted)))
    say('adding pretrain3d (editable) and the stand-in for mmcv._ext')
    run_pip(env, ['install', '--no-deps', '--no-build-isolation', '--no-index', '--editable', str(env.root)], lock_fd)
    shutil.copyfile(str(env.finder), str(site / f'{FINDER}.py'))
    (site / f'{FINDER}.pth').write_text(f'import {FINDER}\n')
    env.write_record(root=str(env.root), python=version, lock=digest(env.lock), packages=wanted, verified=False)


def verify(env: Environment) -> None:
    """Import the whole stack in a process of its own, then note in the record that it was done."""
    say('verifying: importing the stack (the first time, 20 s or so)')
    environ = dict(os.environ, PRETRAIN3D_LIGHT='1')
    done = subprocess.run([str(env.python), '-W', 'ignore', '-c', VERIFY], env=environ, cwd=str(env.owner),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        text = done.stdout.decode(errors='replace')
        with open(str(env.log), 'a') as log:
            log.write(text)
        raise SetupError(diagnose(text, f'the stack does not import; the whole output is in {env.log}'))
    env.write_record(**dict(env.read_record(), verified=True))


def ensure(env: Environment, asked=None, check_only: bool = False) -> None:
    """Make the environment ready, doing no more than is needed; :class:`SetupError` with one line if it cannot."""
    started = time.time()
    check_platform()
    python, facts = find_python(asked) if asked else (None, None)
    with only_one(env.root) as lock_fd:
        state, reason = env.state(facts)
        if state == 'ready':
            say(f'.venv is ready ({reason})')
            return
        if check_only or state == 'foreign':
            raise SetupError(f'{reason}' + ('; `make setup` mends it' if check_only else ''))
        env.log.write_text(f'{state}: {reason}\n')
        if state in ('outdated', 'unverified'):
            version = env.read_record()['python']
            say(f'bringing .venv up to date: {reason}')
        else:
            python, facts = (python, facts) if python else find_python()
            version = '.'.join(facts['version'].split('.')[:2])
            say(f'making .venv on Python {facts["version"]} ({python}): {reason}')
            create(env, python, version)
        if state != 'unverified':
            install(env, version, lock_fd)
        verify(env)
        say(f'done in {time.time() - started:.0f} s')


def guarded(action) -> int:
    """Run ``action``; whatever goes wrong becomes one line on stderr and a non-zero status."""
    def stop(*_):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    try:
        action()
        return 0
    except SetupError as error:
        message, status = str(error), 1
    except KeyboardInterrupt:
        message, status = 'interrupted; run it again, downloads are kept', 130
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        message, status = ('the disk is full; free some space and run it again' if full else str(error)), 1
    print(f'set-up failed: {message}', file=sys.stderr, flush=True)
    return status


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description='Make .venv with the pinned stack and pretrain3d, or mend it.')
    parser.add_argument('--python', help='interpreter to build on (3.11 or 3.10); default: a fitting one on the PATH')
    parser.add_argument('--check', action='store_true', help='change nothing; fail if the environment is not ready')
    args = parser.parse_args()
    return guarded(lambda: ensure(Environment(), args.python, args.check))


if __name__ == '__main__':
    sys.exit(main())
