"""Remakes requirements/lock.txt from stack.txt and excluded.txt: ``make lock``.

Needs the network, pip >= 23.1 and both Pythons: ``make_lock.py python3.10 python3.11`` (oldest first).

Why not ``pip freeze``: the lock serves two Python versions, must not hold what excluded.txt names, and must come from
the default package index alone, whatever this machine's pip settings say. So pip only resolves (nothing is
installed), once for the oldest Python and once, with those versions as constraints, for the newest; then the graph of
requirements is walked from the stack's names, stepping over the excluded ones.
"""
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from pip._vendor.packaging.requirements import Requirement
from pip._vendor.packaging.utils import canonicalize_name

HERE = Path(__file__).resolve().parent


def read_requirements(path: Path) -> list:
    """The requirements of a file, comments and blank lines dropped, as strings."""
    lines = (re.sub(r'(^|\s)#.*', '', line).strip() for line in path.read_text().splitlines())
    return [line for line in lines if line]


def resolve(requirements: list, interpreter: str) -> tuple:
    """Let pip resolve for ``interpreter`` against the default index: (marker environment, canonical name -> entry).

    pip evaluates markers for the interpreter it runs under, so every Python of the lock is really run.
    """
    environ = {key: value for key, value in os.environ.items() if not key.startswith('PIP_') or key == 'PIP_CERT'}
    environ.update(PIP_CONFIG_FILE=os.devnull, PIP_DISABLE_PIP_VERSION_CHECK='1')
    with tempfile.TemporaryDirectory() as scratch:
        wanted, report = Path(scratch, 'wanted.txt'), Path(scratch, 'report.json')
        wanted.write_text('\n'.join(requirements))
        subprocess.run([sys.executable, '-m', 'pip', '--python', interpreter, 'install', '--quiet', '--dry-run',
                        '--ignore-installed', '--only-binary=:all:', '--report', str(report), '-r', str(wanted)],
                       check=True, env=environ)
        result = json.loads(report.read_text())
    return result['environment'], {canonicalize_name(entry['metadata']['name']): entry for entry in result['install']}


def reachable(resolved: dict, roots: list, excluded: set, environment: dict) -> dict:
    """Name -> set of the names that want it, for all that ``roots`` need without passing through ``excluded``."""
    wanted_by = {}
    queue = [(Requirement(root), None) for root in roots]
    seen = set()
    while queue:
        requirement, parent = queue.pop()
        name = canonicalize_name(requirement.name)
        if name in excluded:
            continue
        wanted_by.setdefault(name, set()).update({parent} - {None})
        for extra in ('', *sorted(requirement.extras)):
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            for line in resolved[name]['metadata'].get('requires_dist', []):
                child = Requirement(line)
                if child.marker is None or child.marker.evaluate(dict(environment, extra=extra)):
                    queue.append((child, name))
    return wanted_by


def version_of(entry: dict) -> str:
    """The version pip chose; refuses what the default index cannot have served."""
    name, version = entry['metadata']['name'], entry['metadata']['version']
    url = entry['download_info']['url']
    if not url.startswith('https://') or '+' in version:
        raise SystemExit(f'{name} {version} came from {url}, not from the default index; the lock is left as it was')
    return version


def lock_lines(stack: list, excluded: set, interpreters: list) -> tuple:
    """Resolve for every Python: (their versions, one line per package, with a marker where not every one wants it)."""
    pythons, versions, parents, constraints = [], {}, {}, []
    for interpreter in interpreters:
        print(f'resolving for {interpreter} ...', flush=True)
        environment, resolved = resolve(stack + constraints, interpreter)
        python = environment['python_version']
        pythons.append(python)
        for name, wanted_by in reachable(resolved, stack, excluded, environment).items():
            versions.setdefault(name, {})[python] = version_of(resolved[name])
            parents.setdefault(name, set()).update(wanted_by)
        constraints = [f'{name}=={chosen[python]}' for name, chosen in sorted(versions.items()) if python in chosen]
    lines = []
    for name in sorted(versions):
        chosen = versions[name]
        if len(set(chosen.values())) != 1:
            raise SystemExit(f'{name} has no version that serves Python {" and ".join(pythons)}: {chosen}')
        marker = '' if len(chosen) == len(pythons) else f' ; python_version == "{next(iter(chosen))}"'
        names = sorted(parents[name])
        why = f'  # for {", ".join(names[:3])}{" and others" * (len(names) > 3)}' if names else ''
        lines.append(f'{name}=={next(iter(chosen.values()))}{marker}{why}')
    return pythons, lines


def main() -> None:
    """Write lock.txt for the interpreters named on the command line."""
    stack = read_requirements(HERE / 'stack.txt')
    excluded = {canonicalize_name(line) for line in read_requirements(HERE / 'excluded.txt')}
    pythons, lines = lock_lines(stack, excluded, sys.argv[1:] or ['python3.10', 'python3.11'])
    header = ['# Made by `make lock` from stack.txt and excluded.txt; do not edit. Complete: installed with --no-deps.',
              f'# Linux x86_64, Python {" and ".join(pythons)}, every package as a wheel (no compiler).']
    (HERE / 'lock.txt').write_text('\n'.join(header + lines) + '\n')
    print(f'requirements/lock.txt: {len(lines)} packages')


if __name__ == '__main__':
    main()
