"""The set-up's decisions, run as a user runs it, in a small checkout with an interpreter that only pretends."""
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCK = 'alpha==1.0  # for nothing\nbeta==2.0\ngamma==3.0 ; python_version == "3.10"\n'


class Checkout:
    """A checkout of the set-up alone, with a pretended Python beside it."""

    def __init__(self, root: Path):
        self.root, self.fake = root / 'checkout', root / 'fake'
        (self.root / 'requirements').mkdir(parents=True)
        self.fake.mkdir()
        self.finder = self.root / 'projects' / 'pretrain3d' / 'engine' / 'mmcv_cpu' / 'finder.py'
        self.finder.parent.mkdir(parents=True)
        self.finder.write_text('# the finder\n')
        self.lock = self.root / 'requirements' / 'lock.txt'
        self.lock.write_text(LOCK)
        (self.root / 'tools').mkdir()
        for name in ('setup_env.py', 'setup_machine.py', 'setup_pip.py'):
            text = (ROOT / 'tools' / name).read_text()
            (self.root / 'tools' / name).write_text(text.replace('int(6.5 * GIB), 3 * GIB', '1, 1'))
        assert '= 1, 1' in (self.root / 'tools' / 'setup_machine.py').read_text()  # a small machine can run the tests
        self.python = self.fake / 'python3.11'
        self.python.write_text(f'#!{sys.executable}\n' + (ROOT / 'tests' / 'setup' / 'fake_python.py').read_text())
        self.python.chmod(0o755)
        self.site = self.root / '.venv' / 'lib' / 'python3.11' / 'site-packages'

    def start(self, *options: str, python=None) -> subprocess.Popen:
        """Start the set-up."""
        return subprocess.Popen(
            [sys.executable, str(self.root / 'tools' / 'setup_env.py'), '--python',
             str(python or self.python), *options],
            env=dict(os.environ, FAKE_ROOT=str(self.fake), PYTHONDONTWRITEBYTECODE='1'), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            # A shell's background jobs, and so the tests in one, ignore Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))

    def run(self, *options: str, **kwargs) -> tuple:
        """Run the set-up to its end: (status, stdout, stderr)."""
        process = self.start(*options, **kwargs)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def tell(self, **orders) -> None:
        """Give the pretended interpreter its orders."""
        for name, value in orders.items():
            (self.fake / name).write_text(value)

    def calls(self) -> list:
        """What the pretended interpreter was asked to do since the last question."""
        path = self.fake / 'calls'
        lines = path.read_text().splitlines() if path.exists() else []
        path.write_text('')
        return [line.split()[0] if line.startswith('install ') else line for line in lines]

    def packages(self) -> set:
        """What is in place."""
        return {path.name for path in self.site.glob('*.dist-info')}

    def wait_for_install(self) -> int:
        """Process number of the pip that is at work."""
        for _ in range(1500):
            path = self.fake / 'calls'
            found = [line for line in path.read_text().splitlines() if line.startswith('install ')] \
                if path.exists() else []
            if found:
                return int(found[-1].split()[1])
            time.sleep(0.02)
        raise AssertionError('pip was never started')


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path)


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[0] != 'Z'
    except FileNotFoundError:
        return False


def one_line(err: str) -> str:
    """The one line that a failed set-up writes."""
    assert err.startswith('set-up failed: ') and err.count('\n') == 1, err
    return err


def test_first_run_installs_second_only_looks(checkout):
    status, out, err = checkout.run()
    assert (status, err) == (0, '') and 'there is no environment yet' in out
    assert checkout.calls() == ['venv', 'install', 'installed', 'verify']
    assert checkout.packages() == {'alpha-1.0.dist-info', 'beta-2.0.dist-info', 'gamma-3.0.dist-info'}
    assert (checkout.site / '_pretrain3d_mmcv_ext.py').read_text() == '# the finder\n'
    assert (checkout.site / '_pretrain3d_mmcv_ext.pth').read_text() == 'import _pretrain3d_mmcv_ext\n'
    status, out, _ = checkout.run()
    assert status == 0 and '.venv is ready (Python 3.11.7)' in out and checkout.calls() == []


@pytest.mark.parametrize('version', ['3.9.18', '3.12.1', '2.7.18'])
def test_wrong_python_is_refused_before_anything_is_made(checkout, version):
    checkout.tell(version=version)
    status, _, err = checkout.run()
    assert status == 1 and version in one_line(err) and 'PYTHON=' in err and '3.11 is needed' in err
    assert not (checkout.root / '.venv').exists()


def test_python_that_does_not_exist(checkout):
    status, _, err = checkout.run(python='/nowhere/python3.11')
    assert status == 1 and 'no such program' in one_line(err)


def test_another_python_makes_it_anew(checkout):
    checkout.run()
    checkout.tell(version='3.10.13')
    status, out, _ = checkout.run()
    assert status == 0 and 'making .venv on Python 3.10.13' in out and not checkout.site.exists()


def test_killed_install_is_waited_for_named_and_made_anew(checkout):
    checkout.tell(mode='slow')
    first = checkout.start()
    checkout.wait_for_install()
    first.send_signal(signal.SIGKILL)
    first.communicate()
    second = checkout.start()  # the orphaned pip still writes: the second run must not touch the folder yet
    assert 'another set-up' in second.stdout.readline()
    assert checkout.calls() == ['venv', 'install']
    checkout.tell(go='')
    out, err = second.communicate(timeout=60)
    assert (second.returncode, err) == (0, '') and 'the last set-up was interrupted' in out
    assert checkout.calls() == ['venv', 'install', 'installed', 'verify']  # the orphan's own `installed` never came
    assert len(checkout.packages()) == 3


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_interrupt_stops_pip_and_leaves_no_record(checkout, number):
    checkout.tell(mode='slow')
    process = checkout.start()
    pip = checkout.wait_for_install()
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and 'interrupted' in one_line(err) and not alive(pip)
    checkout.tell(mode='ok')
    status, out, _ = checkout.run()
    assert status == 0 and 'the last set-up was interrupted' in out


@pytest.mark.parametrize('mode, words', [
    ('enospc', 'the disk is full'), ('offline', 'the package index cannot be reached'),
    ('missing', 'no wheel of beta==2.0'), ('strange', 'the moon')])
def test_failed_pip_says_why_in_one_line_and_the_next_run_mends(checkout, mode, words):
    checkout.tell(mode=mode)
    status, _, err = checkout.run()
    assert status == 1 and words in one_line(err)
    checkout.tell(mode='ok')
    assert checkout.run()[0] == 0 and len(checkout.packages()) == 3


def test_changed_lock_installs_the_difference(checkout):
    checkout.run()
    checkout.calls()
    checkout.lock.write_text('alpha==1.5\ndelta==1.0\n')
    status, out, _ = checkout.run()
    assert status == 0 and 'alpha 1.5 is wanted, 1.0 is there' in out
    assert checkout.calls() == ['uninstall beta', 'install', 'installed', 'verify']
    assert {'alpha-1.5.dist-info', 'delta-1.0.dist-info'} <= checkout.packages()
    assert 'beta-2.0.dist-info' not in checkout.packages()
    assert checkout.run()[0] == 0 and checkout.calls() == []


def test_package_removed_by_hand_comes_back(checkout):
    checkout.run()
    shutil.rmtree(checkout.site / 'beta-2.0.dist-info')
    assert checkout.run('--check')[0] == 1
    status, out, _ = checkout.run()
    assert status == 0 and 'beta 2.0 is wanted, nothing is there' in out and len(checkout.packages()) == 3


def test_changed_finder_is_copied_again(checkout):
    checkout.run()
    checkout.finder.write_text('# a better finder\n')
    assert checkout.run()[0] == 0
    assert (checkout.site / '_pretrain3d_mmcv_ext.py').read_text() == '# a better finder\n'


def test_failed_verification_is_repeated_without_installing_again(checkout):
    checkout.tell(mode='unimportable')
    status, _, err = checkout.run()
    assert status == 1 and 'libGL.so.1' in one_line(err)
    checkout.calls()
    assert checkout.run()[0] == 1 and checkout.calls() == ['verify']
    checkout.tell(mode='ok')
    assert checkout.run()[0] == 0 and checkout.calls() == ['verify']
    assert checkout.run()[0] == 0 and checkout.calls() == []


def test_environment_of_the_user_is_left_alone(checkout):
    mine = checkout.root / '.venv' / 'mine'
    mine.parent.mkdir()
    mine.write_text('precious')
    status, _, err = checkout.run()
    assert status == 1 and 'was not made by this set-up' in one_line(err) and mine.read_text() == 'precious'


def test_moved_checkout_is_made_anew(checkout):
    checkout.run()
    checkout.calls()
    moved = checkout.root.with_name('moved')
    checkout.root.rename(moved)
    checkout.root = moved
    status, out, _ = checkout.run()
    assert status == 0 and 'the checkout was moved from' in out and checkout.calls()[0] == 'venv'


def test_two_at_once_install_once(checkout):
    checkout.tell(mode='slow')
    first = checkout.start()
    checkout.wait_for_install()
    second = checkout.start()
    assert 'waiting for it' in second.stdout.readline()
    checkout.tell(go='')
    assert first.wait(timeout=60) == 0 and second.wait(timeout=60) == 0
    assert checkout.calls() == ['venv', 'install', 'installed', 'verify']
    first.communicate(), second.communicate()


def test_unreadable_lock_names_file_line_and_mend(checkout):
    checkout.run()
    checkout.lock.write_text('alpha @ file:///tmp/alpha.whl\n')
    status, _, err = checkout.run()
    assert status == 1 and 'lock.txt' in one_line(err) and 'file:///tmp/alpha.whl' in err and 'make lock' in err
