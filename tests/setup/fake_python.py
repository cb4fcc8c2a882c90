"""Plays an interpreter for the tests of the set-up: answers the probe, "makes" environments, "installs" packages.

It is copied to where an interpreter is expected, with a shebang line of the real one. Its orders lie in ``FAKE_ROOT``:
``version`` (what it claims to be), ``mode`` (how pip and the verification behave), ``calls`` (what it was asked to do).
"""
import json
import os
import re
import shutil
import sys
import time
from pathlib import Path

ROOT = Path(os.environ['FAKE_ROOT'])
ARGS = sys.argv[1:]
ERRORS = {
    'enospc': 'ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device',
    'offline': "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(': Failed to "
               "establish a new connection: [Errno -3] Temporary failure in name resolution')'\n"
               'ERROR: No matching distribution found for beta==2.0',
    'missing': 'ERROR: No matching distribution found for beta==2.0',
    'strange': 'ERROR: the moon is in the wrong quarter'}


def told(name: str, default: str) -> str:
    path = ROOT / name
    return path.read_text().strip() if path.is_file() else default


def note(line: str) -> None:
    with open(ROOT / 'calls', 'a') as handle:
        handle.write(line + '\n')


def install(lock: Path, site: Path) -> None:
    for line in lock.read_text().splitlines():
        found = re.match(r'([a-z0-9-]+)==(\S+)', line)
        if not found:
            continue
        name, version = found.groups()
        print(f'Collecting {name}=={version}', flush=True)
        if name == 'beta' and told('mode', 'ok') == 'slow':
            note(f'install {os.getpid()}')
            while not (ROOT / 'go').exists():
                time.sleep(0.02)
        if name == 'beta' and told('mode', 'ok') in ERRORS:
            sys.exit(ERRORS[told('mode', 'ok')])
        for old in site.glob(f'{name}-*.dist-info'):
            shutil.rmtree(old)
        (site / f'{name}-{version}.dist-info').mkdir()


def main() -> None:
    if ARGS[:2] == ['-m', 'venv']:
        note('venv')
        target = Path(ARGS[2])
        (target / 'bin').mkdir(parents=True)
        minor = '.'.join(told('version', '3.11.7').split('.')[:2])
        (target / 'lib' / f'python{minor}' / 'site-packages').mkdir(parents=True)
        shutil.copy(sys.argv[0], target / 'bin' / 'python')
    elif ARGS[:2] == ['-m', 'pip']:
        site, = Path(sys.argv[0]).parents[1].glob('lib/python*/site-packages')
        if ARGS[2] == 'uninstall':
            note('uninstall ' + ' '.join(ARGS[4:]))
            for name in ARGS[4:]:
                for old in site.glob(f'{name}-*.dist-info'):
                    shutil.rmtree(old)
        elif '-r' in ARGS:
            if told('mode', 'ok') != 'slow':  # a slow one notes it when it is in the middle
                note(f'install {os.getpid()}')
            install(Path(ARGS[ARGS.index('-r') + 1]), site)
            note('installed')
    elif 'ensurepip' in ARGS[-1]:
        print(json.dumps(dict(version=told('version', '3.11.7'), implementation='CPython', bits=64, pip=True)))
    else:
        note('verify')
        if told('mode', 'ok') == 'unimportable':
            sys.exit("Traceback (most recent call last):\nImportError: libGL.so.1: cannot open shared object file")


if __name__ == '__main__':
    main()
