"""What the set-up asks of the machine: platform, Python, disk. Standard library only, Python >= 3.6."""
import json
import platform
import shutil
import subprocess
import sys

from setup_pip import SetupError

PYTHONS = ('3.11', '3.10')
GIB = 2**30
VENV_BYTES, DOWNLOAD_BYTES = int(6.5 * GIB), 3 * GIB  # measured 5.8 and 2.7, and some room
PROBE = ('import json, platform, struct, sys\n'
         'try:\n    import ensurepip, venv\n    pip = True\nexcept ImportError:\n    pip = False\n'
         'print(json.dumps(dict(version=platform.python_version(), implementation=platform.python_implementation(), '
         'bits=8 * struct.calcsize("P"), pip=pip)))')


def probe(python: str):
    """Facts about an interpreter as a dict, ``None`` if it cannot be run."""
    try:
        done = subprocess.run([python, '-c', PROBE], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
        return json.loads(done.stdout.decode())
    except (OSError, subprocess.CalledProcessError, ValueError):
        return None


def check_platform(system: str = sys.platform, machine: str = platform.machine()) -> None:
    """Raise where the lock's wheels cannot work."""
    if (system, machine) != ('linux', 'x86_64'):
        raise SetupError(f'the pinned wheels are for Linux on x86_64, this is {system} on {machine}; '
                         'install pretrain3d into an mmdet3d environment of your own: pip install -e .')


def python_problem(facts):
    """Why an interpreter of these facts cannot carry the stack (one clause), ``None`` if it can."""
    if facts is None:
        return 'it cannot be run'
    if '.'.join(facts['version'].split('.')[:2]) not in PYTHONS:
        return f'it is Python {facts["version"]}; 3.11 is needed (3.10 is accepted)'
    if facts['implementation'] != 'CPython' or facts['bits'] != 64:
        return f'it is a {facts["bits"]}-bit {facts["implementation"]}; a 64-bit CPython is needed'
    if not facts['pip']:
        return 'it lacks the venv or ensurepip module (on Debian: apt-get install python3-venv)'
    return None


def find_python(asked=None, probe=probe) -> tuple:
    """The interpreter to build on as (path, facts): the one asked for or none; else this one, else one on the PATH."""
    problems = []
    for candidate in [asked] if asked else [sys.executable, *(f'python{version}' for version in PYTHONS)]:
        path = shutil.which(candidate)
        facts = probe(path) if path else None
        problem = python_problem(facts)
        if problem is None:
            return path, facts
        problems.append(f'{candidate}: {problem if path else "there is no such program"}')
    raise SetupError(f'{problems[0]}. Name a fitting one: make PYTHON=/path/to/python3.11')


def disk_plan(free: int, venv: int = VENV_BYTES, download: int = DOWNLOAD_BYTES) -> list:
    """pip's options that fit ``free`` bytes beside the checkout; raises when the environment itself does not fit."""
    if free < venv + download:
        raise SetupError(f'{(venv + download) / GIB:.1f} GiB are needed on the disk of the checkout '
                         f'({venv / GIB:.1f} to stay), {free / GIB:.1f} GiB are free; free some and run it again')
    return [] if free >= venv + 2 * download else ['--no-cache-dir']
