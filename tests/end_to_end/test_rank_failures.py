"""Whatever happens to one rank, dist_train.sh ends all of them soon, with the cause printed once."""
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MEND = ROOT / 'projects' / 'pretrain3d' / 'engine' / 'compat' / 'distributed_cpu.py'
# Far more than it takes on a busy machine (10 s), far less than gloo's own half an hour.
LIMIT = 60


def environment(tmp_path, **more):
    """Variables under which the launchers find ``failing_train.py`` as mmdet3d's train.py."""
    tools = tmp_path / 'site' / 'mmdet3d' / '.mim' / 'tools'
    tools.mkdir(parents=True)
    (tools.parents[1] / '__init__.py').write_text('')
    (tools / 'train.py').write_text((Path(__file__).parent / 'failing_train.py').read_text())
    return {**os.environ, 'PATH': f'{Path(sys.executable).parent}:{os.environ["PATH"]}', 'VIRTUAL_ENV': 'mine',
            'PYTHONPATH': str(tools.parents[2]), 'CUDA_VISIBLE_DEVICES': '-1', **more}


def alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for does not."""
    stat = Path(f'/proc/{pid}/stat')
    return stat.exists() and stat.read_text().rpartition(')')[2].split()[0] != 'Z'


def train(harm, env, processes=2):
    """Status, what was printed, and the ranks that still run."""
    command = [ROOT / 'tools' / 'dist_train.sh', f'{harm}@{MEND}', processes]
    process = subprocess.Popen([str(word) for word in command], env=env, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, start_new_session=True)
    try:
        out = process.communicate(timeout=LIMIT)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        pytest.fail(f'the ranks still ran after {LIMIT} s\n{process.communicate()[0]}')
    pids = [int(pid) for pid in re.findall(r'has process (\d+)', out)]
    assert len(pids) == processes, out
    time.sleep(1)
    return process.returncode, out, [pid for pid in pids if alive(pid)]


def test_an_unharmed_training_ends_well(tmp_path):
    status, out, left = train('nothing', environment(tmp_path))
    assert status == 0 and not left, out
    assert out.count('has gradients of [[1.0, 1.0, 1.0]]') == 2
    assert out.count('UserWarning: there is no CUDA') == 1


@pytest.mark.parametrize('harm, cause', [
    ('raises', 'ValueError: scan7.bin: truncated'), ('killed', 'Signal 9 (SIGKILL)'), ('hangs', 'Timed out waiting')])
def test_one_harmed_rank_ends_all(tmp_path, harm, cause):
    status, out, left = train(harm, environment(tmp_path))
    assert status != 0 and not left, out
    assert out.count(cause) == 1, out
    # No other rank adds a traceback of its own that hides the first one.
    assert out.count('Error: [') == 0 and 'has gradients' not in out, out


@pytest.mark.parametrize('name', ['SIGTERM', 'SIGUSR1', 'SIGKILL'])
def test_a_signal_to_the_launcher_lets_the_ranks_save(tmp_path, name):
    """Told to stop, it waits for them and exits as they do; where it is killed they are told that."""
    log = tmp_path / 'log'
    command = [str(ROOT / 'tools' / 'dist_train.sh'), f'told@{MEND}', '2']
    with open(log, 'w') as stream:
        process = subprocess.Popen(command, env=environment(tmp_path), stdout=stream, stderr=stream)
    end = time.time() + LIMIT
    try:
        while log.read_text().count('has process') < 2:
            assert process.poll() is None and time.time() < end, log.read_text()
            time.sleep(0.05)
        process.send_signal(getattr(signal, name))
        status = process.wait(LIMIT)
        while log.read_text().count('saved on') < 2:
            assert time.time() < end, log.read_text()
            time.sleep(0.05)
        left = pids = [int(pid) for pid in re.findall(r'has process (\d+)', log.read_text())]
        while left and time.time() < end:
            left = [pid for pid in pids if alive(pid)]
            time.sleep(0.05)
    finally:
        process.kill()
        for pid in filter(alive, map(int, re.findall(r'has process (\d+)', log.read_text()))):
            os.kill(pid, signal.SIGKILL)
    out = log.read_text()
    told = signal.SIGTERM if name == 'SIGKILL' else getattr(signal, name)
    assert status == (-signal.SIGKILL if name == 'SIGKILL' else 75) and not left, out
    assert out.count(f'saved on [{told.value}') == 2 and 'Traceback' not in out, out


def test_slurms_variables_are_enough(tmp_path):
    """What srun sets, on two processes."""
    env = environment(tmp_path, SLURM_NTASKS='2', SLURM_NODELIST='localhost', MASTER_ADDR='127.0.0.1',
                      MASTER_PORT=subprocess.run(
                          ['bash', '-c', f'source {ROOT}/tools/_launch.sh; free_port'], stdout=subprocess.PIPE,
                          env={**os.environ, 'VIRTUAL_ENV': 'mine', 'PATH': f'{Path(sys.executable).parent}:{os.environ["PATH"]}'},
                          text=True, check=True).stdout.strip())
    command = [sys.executable, str(ROOT / 'tools' / 'train.py'), f'nothing@{MEND}', '--launcher', 'slurm']
    ranks = [subprocess.Popen(command, env={**env, 'SLURM_PROCID': str(rank), 'SLURM_LOCALID': str(rank)}, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for rank in range(2)]
    try:
        said = [rank.communicate(timeout=LIMIT)[0] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    for place, out in enumerate(said):
        assert f'rank {place} has gradients of [[1.0, 1.0, 1.0]]' in out, out
