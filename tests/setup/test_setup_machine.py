"""What the set-up asks of platform, Python and disk."""
import importlib
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
GOOD = dict(version='3.11.7', implementation='CPython', bits=64, pip=True)


@pytest.fixture
def machine(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    return importlib.import_module('setup_machine')


@pytest.mark.parametrize('facts, words', [
    (GOOD, None), (dict(GOOD, version='3.10.13'), None), (dict(GOOD, version='3.1.1'), '3.1.1'),
    (dict(GOOD, version='3.12.0'), '3.12.0'), (dict(GOOD, implementation='PyPy'), 'CPython'),
    (dict(GOOD, bits=32), '64-bit'), (dict(GOOD, pip=False), 'python3-venv'), (None, 'cannot be run')])
def test_python_problem(machine, facts, words):
    problem = machine.python_problem(facts)
    assert (problem is None) if words is None else (words in problem)


def test_probe_tells_the_truth_of_this_interpreter(machine):
    facts = machine.probe(sys.executable)
    assert facts['version'] == '.'.join(map(str, sys.version_info[:3])) and facts['bits'] == 64
    assert machine.probe('/nowhere/python') is None
    assert machine.probe('false') is None


def test_find_python_takes_the_running_one_or_looks_on_the_path(machine, monkeypatch):
    monkeypatch.setattr(machine.shutil, 'which', lambda name: f'/fake/{Path(name).name}')
    running = f'/fake/{Path(sys.executable).name}'
    assert machine.find_python(probe=lambda path: GOOD) == (running, GOOD)
    wrong = dict(GOOD, version='3.9.18')
    facts = {'/fake/python3.10': dict(GOOD, version='3.10.13')}
    monkeypatch.setattr(machine.sys, 'executable', '/old/python3')
    assert machine.find_python(probe=lambda path: facts.get(path, wrong))[0] == '/fake/python3.10'
    with pytest.raises(machine.SetupError, match='3.9.18.*PYTHON='):
        machine.find_python(probe=lambda path: wrong)
    with pytest.raises(machine.SetupError, match='mine: it is Python 3.9.18'):  # one asked for is never replaced
        machine.find_python('mine', probe=lambda path: wrong)


def test_platform(machine):
    machine.check_platform('linux', 'x86_64')
    for system, cpu in (('darwin', 'arm64'), ('win32', 'AMD64'), ('linux', 'aarch64')):
        with pytest.raises(machine.SetupError, match=f'{system} on {cpu}'):
            machine.check_platform(system, cpu)


def test_disk_plan(machine):
    gib = 2**30
    assert machine.disk_plan(20 * gib, 6 * gib, 3 * gib) == []
    assert machine.disk_plan(12 * gib, 6 * gib, 3 * gib) == []
    assert machine.disk_plan(12 * gib - 1, 6 * gib, 3 * gib) == ['--no-cache-dir']
    assert machine.disk_plan(9 * gib, 6 * gib, 3 * gib) == ['--no-cache-dir']
    with pytest.raises(machine.SetupError, match='9.0 GiB are needed.*free some'):
        machine.disk_plan(9 * gib - 1, 6 * gib, 3 * gib)
