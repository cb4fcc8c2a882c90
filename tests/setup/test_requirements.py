"""requirements/lock.txt is complete, plain and in step with stack.txt and excluded.txt."""
import importlib
import re
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / 'requirements'


def names(path: Path) -> dict:
    """Name -> whole requirement of a file's lines."""
    lines = (re.sub(r'(^|\s)#.*', '', line).strip() for line in path.read_text().splitlines())
    return {re.match(r'[\w.-]+', line).group().lower().replace('_', '-'): line for line in lines if line}


LOCK, STACK, EXCLUDED = (names(REQUIREMENTS / f'{name}.txt') for name in ('lock', 'stack', 'excluded'))


def test_lock_holds_plain_versions_only():
    for line in LOCK.values():
        assert re.fullmatch(r'[a-z0-9-]+==[\w.!]+( ; python_version == "3\.1[01]")?', line), line  # no '+', URL, option


def test_lock_follows_stack_and_excluded():
    for name, line in STACK.items():
        assert name in LOCK
        assert '==' not in line or LOCK[name] == line
    assert not set(EXCLUDED) & set(LOCK)
    assert int(LOCK['setuptools'].split('==')[1].split('.')[0]) < 81


@pytest.mark.parametrize('python', ['3.10', '3.11'])
def test_set_up_reads_every_line(monkeypatch, python):
    monkeypatch.syspath_prepend(str(ROOT / 'tools'))
    packages = importlib.import_module('setup_env').read_lock(REQUIREMENTS / 'lock.txt', python)
    assert packages['torch'] == '2.1.2'
    assert ('exceptiongroup' in packages) == (python == '3.10')


def test_lock_is_closed_under_what_its_packages_require():
    """Every requirement of an installed package of the lock is in the lock, or excluded by name."""
    requirements = pytest.importorskip('packaging.requirements')
    missing = set()
    for name in LOCK:
        try:
            wanted = metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # for the other Python, or an environment that is not the lock's
            continue
        for line in wanted:
            requirement = requirements.Requirement(line)
            key = requirement.name.lower().replace('_', '-').replace('.', '-')
            if requirement.marker and not requirement.marker.evaluate({'extra': ''}):
                continue
            if key not in LOCK and key not in EXCLUDED:
                missing.add(f'{name} wants {line}')
    assert not missing
