"""tools/demo_keyframe.py without its long parts; tests/end_to_end/test_keyframe.py runs it whole (make test-full)."""
import importlib.util
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


@pytest.fixture
def demo(monkeypatch, tmp_path):
    """The script as a module, without the sample frame and without an info file in the environment."""
    monkeypatch.syspath_prepend(TOOLS)
    spec = importlib.util.spec_from_file_location('keyframe_demo', TOOLS / 'demo_keyframe.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, 'SAMPLES', tmp_path / 'samples')
    monkeypatch.delenv('PRETRAIN3D_INFO', raising=False)
    return module


def test_without_a_frame_it_says_what_to_pass(demo, tmp_path, capsys):
    assert demo.main(['--work-dir', str(tmp_path / 'work')]) == 1
    captured = capsys.readouterr()
    assert captured.err.count('\n') == 1 and '--info FILE' in captured.err and 'INFO=FILE' in captured.err
    assert not captured.out and not (tmp_path / 'work').exists()


def test_which_info_file(demo, tmp_path, monkeypatch):
    def found(*arguments):
        return demo.find_info(demo.parse_args(arguments))

    files = {name: tmp_path / f'{name}.pkl' for name in ('given', 'named')}
    for file in files.values():
        file.write_bytes(b'')
    monkeypatch.setenv('PRETRAIN3D_INFO', str(files['named']))
    assert found('--info', str(files['given'])) == files['given'] and found() == files['named']
    monkeypatch.delenv('PRETRAIN3D_INFO')
    (tmp_path / 'samples').mkdir()
    (tmp_path / 'samples' / 'frame.pkl').write_bytes(b'')
    assert found() == tmp_path / 'samples' / 'frame.pkl'
    with pytest.raises(demo.DemoError, match='absent.pkl does not exist'):
        found('--info', str(tmp_path / 'absent.pkl'))
    with pytest.raises(demo.DemoError, match='nowhere is not a folder'):
        found('--data-root', str(tmp_path / 'nowhere'))


@pytest.mark.parametrize('arguments', [['--iters', '1'], ['--frame', '-1']])
def test_impossible_arguments(demo, arguments):
    with pytest.raises(SystemExit):
        demo.parse_args(arguments)


def test_the_info_file_is_checked_first(demo, tmp_path):
    files = dict(old=dict(infos=[{}], metadata={}), empty=dict(metainfo={}, data_list=[]))
    for name, content in files.items():
        (tmp_path / name).write_bytes(pickle.dumps(content))
    with pytest.raises(demo.DemoError, match='old .*before mmdet3d 1.1.*update_infos_to_v2'):
        demo.prepare(tmp_path / 'untrained.pth', tmp_path / 'old', 0)
    with pytest.raises(demo.DemoError, match='holds 0 .*no frame 0.*--frame'):
        demo.prepare(tmp_path / 'untrained.pth', tmp_path / 'empty', 0)
    assert not (tmp_path / 'untrained.pth').exists()


def test_table(demo):
    before = {'mAP': 0.0, 'AP_car': 0.0, 'mAP_min5': 0.01}
    after = {'mAP': 0.9, 'AP_car': 0.85, 'AP_bus': 0.95, 'mAP_min5': 0.97, 'AP_min5_car': 0.99, 'mATE': 0.123,
             'mAVE': float('nan')}
    lines = demo.table(before, after).splitlines()
    assert lines[1].split() == ['car', '0.000', '0.850', '-', '0.990']
    assert lines[2].split() == ['bus', '-', '0.950', '-', '-']
    assert lines[3].split() == ['mean', '0.000', '0.900', '0.010', '0.970']
    assert lines[4] == 'errors of matched boxes after: centre 0.12 m'


def test_help():
    done = subprocess.run([sys.executable, str(TOOLS / 'demo_keyframe.py'), '--help'], capture_output=True, text=True)
    assert done.returncode == 0 and '--data-root' in done.stdout
