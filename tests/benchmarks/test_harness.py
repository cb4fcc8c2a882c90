"""The benchmark harness: agreement, alternation, memory, report, command line; no claim about times."""
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

HARNESS = Path(__file__).resolve().parents[2] / 'benchmarks' / 'harness.py'
LAST_LINE = re.compile(r'^speedup=\d+\.\d\d memory_ratio=(\d+\.\d\d|nan)$')
TOY = '''
import sys
sys.path.insert(0, {folder!r})
import harness
import torch

MIB = 2 ** 20

def setup(device, tiny):
    return (torch.arange(8 if tiny else 16 * MIB, dtype=torch.uint8, device=device),), '16 MiB'

def ours(values):  # one copy
    return int((values // 2).max())

def baseline(values):  # two copies of four times the size at once
    wide = values.int() + 0
    return int((wide // 2).max())

def check(mine, theirs):
    assert mine == theirs

if __name__ == '__main__':
    sys.exit(harness.main(ours, baseline, check, setup, 'toy', __file__))
'''


@pytest.fixture(scope='module')
def harness():
    spec = importlib.util.spec_from_file_location('benchmark_harness', HARNESS)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:  # what it does to the process is for scripts, not for other tests
        patch.setattr(sys, 'path', list(sys.path))
        patch.setenv('PRETRAIN3D_LIGHT', '1')
        spec.loader.exec_module(module)
    return module


def run(script, *arguments, cwd=None):
    return subprocess.run([sys.executable, str(script), *map(str, arguments)], cwd=cwd, capture_output=True, text=True)


def test_a_script_prints_the_line_and_saves_the_numbers(tmp_path):
    script = tmp_path / 'toy.py'
    script.write_text(TOY.format(folder=str(HARNESS.parent)))
    saved = tmp_path / 'new' / 'toy.json'
    done = run(script, '--pairs', 3, '--threads', 1, '--json', saved, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert LAST_LINE.match(lines[-1]) and lines[0] == 'toy: 16 MiB'
    result = json.loads(saved.read_text())
    assert result['pairs'] == 3 and result['threads'] == 1 and set(result['versions']) >= {'python', 'torch'}
    assert {side: len(times) for side, times in result['seconds'].items()} == dict(ours=3, baseline=3)
    assert all(time > 0 for times in result['seconds'].values() for time in times)
    median = {side: sorted(times)[1] for side, times in result['seconds'].items()}
    assert result['speedup'] == pytest.approx(median['baseline'] / median['ours'])
    # One temporary of 16 MiB beside two of 64 MiB, less what the allocator's accounting leaves out.
    assert 12 < result['peak_bytes']['ours'] / 2 ** 20 < 40
    assert 110 < result['peak_bytes']['baseline'] / 2 ** 20 < 250
    assert result['memory_ratio'] == pytest.approx(result['peak_bytes']['ours'] / result['peak_bytes']['baseline'])


def test_disagreement_fails_in_one_line(harness, capsys):
    def check(mine, theirs):
        raise AssertionError(f'{mine} is not {theirs}')

    status = harness.main(lambda: 1, lambda: 2, check, lambda device, tiny: ((), ''), 'toy', 'toy.py', ['--pairs', '1'])
    out, err = capsys.readouterr()
    assert status == 1 and out == '' and err == 'toy: ours and the baseline disagree: 1 is not 2\n'


@pytest.mark.parametrize('arguments', [['--pairs', '0'], ['--threads', '0'], ['--device', 'tpu']])
def test_wrong_arguments(harness, arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        harness.main(None, None, None, None, 'toy', 'toy.py', arguments)
    assert caught.value.code == 2 and arguments[0] in capsys.readouterr().err


def test_calls_are_interleaved_and_alternate(harness):
    calls = []
    result = harness.compare(lambda: calls.append('o'), lambda: calls.append('b'), lambda a, b: None,
                             lambda device, tiny: ((), 'nothing'), 'order', pairs=4)
    assert ''.join(calls) == 'ob' + 'ooo' + 'bbb' + 'obboobbo'
    assert result['memory_ratio'] is None and result['peak_bytes'] == dict(ours=None, baseline=None)
    text = harness.report(result)
    assert LAST_LINE.match(text.splitlines()[-1]) and text.endswith('memory_ratio=nan') and 'not measured' in text
    with pytest.raises(ValueError, match='pairs'):
        harness.compare(None, None, None, None, 'order', pairs=0)


def test_the_report_shows_the_numbers(harness):
    result = dict(name='n', input='i', pairs=4, device='d', threads=2, versions=dict(torch='2'), speedup=8.,
                  memory_ratio=.25, seconds=dict(ours=[.001, .002, .003, .004], baseline=[.02] * 4),
                  median_seconds=dict(ours=.0025, baseline=.02), peak_bytes=dict(ours=2 ** 20, baseline=2 ** 22))
    lines = harness.report(result).splitlines()
    assert lines[2].split() == 'ours 2.500 ms 2.000 ... 3.000 ms 1.000 ms 1.00 MiB'.split()
    assert lines[-1] == 'speedup=8.00 memory_ratio=0.25'


def test_a_side_that_fails_in_the_memory_process_says_so(harness, tmp_path):
    (tmp_path / 'broken.py').write_text('raise RuntimeError("no such thing")')
    with pytest.raises(RuntimeError, match='(?s)memory of ours.*no such thing'):
        harness.measure_peak(str(tmp_path / 'broken.py'), 'ours', 'cpu', None)
