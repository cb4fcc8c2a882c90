"""500 damaged files through every reader, and that the harness sees what it is there for."""
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import fuzz
import pytest

HERE = Path(__file__).parent


def test_every_reader_takes_damaged_files():
    done = subprocess.run([sys.executable, str(HERE / 'fuzz.py'), '--count', '500', '--seed', '7'],
                          env=dict(os.environ, PRETRAIN3D_LIGHT=''), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    assert '500 cases' in done.stdout.splitlines()[-1]


def write(folder):
    (folder / 'a.pkl').write_bytes(pickle.dumps(dict(a=[1, 2, 3], b='text')))


def content(folder):
    return (folder / 'a.pkl').read_bytes()


def runs_code(folder):
    try:
        pickle.loads(content(folder))
    except Exception as error:
        raise ValueError('a.pkl is damaged') from error


def no_name(folder):
    if content(folder) != pickle.dumps(dict(a=[1, 2, 3], b='text')):
        raise ValueError('it is damaged')


def foreign(folder):
    pickle.dumps(dict(a=[1, 2, 3], b='text')) == content(folder) or {}['key']


def crashes(folder):
    if content(folder) != pickle.dumps(dict(a=[1, 2, 3], b='text')):
        os.kill(os.getpid(), signal.SIGKILL)


def hangs(folder):
    while content(folder) != pickle.dumps(dict(a=[1, 2, 3], b='text')):
        time.sleep(0.01)


def eats(folder):
    if content(folder) != pickle.dumps(dict(a=[1, 2, 3], b='text')):
        bytearray(fuzz.SPARE_BYTES + (1 << 30))


@pytest.mark.parametrize('read, why', [
    (runs_code, 'code was run'), (no_name, 'no file is named'), (foreign, "KeyError: 'key'"),
    (crashes, 'ended with -9'), (hangs, 'hangs'), (eats, 'MemoryError')])
def test_the_harness_sees(monkeypatch, read, why):
    import readers
    monkeypatch.setattr(readers, 'SUBJECTS', [
        readers.Subject('probe', write, ['a.pkl'], read, **readers.PICKLE)])
    monkeypatch.setattr(fuzz, 'LIMIT_S', 0.3)
    outcomes, failures = fuzz.run(12 if read is runs_code else 3, seed=1)
    assert failures and all(why in told for _, _, what, told in failures if read is not runs_code or 'evil' in what)
    assert any(why in told for *_, told in failures)
    assert sum(outcomes.values()) + sum('ended' in told for *_, told in failures) == (12 if read is runs_code else 3)


def test_a_case_depends_on_its_number_alone(monkeypatch):
    import readers
    monkeypatch.setattr(readers, 'SUBJECTS', [
        readers.Subject('probe', write, ['a.pkl'], no_name, **readers.PICKLE)])
    monkeypatch.setattr(fuzz, 'LIMIT_S', 5)
    together, alone = fuzz.run(4, seed=3)[1], fuzz.run(1, seed=3, start=2)[1]
    assert [one[:3] for one in together if one[0] == 2] == [one[:3] for one in alone]
