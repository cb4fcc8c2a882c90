"""The command line of the converter."""
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

TOOL = Path(__file__).parents[2] / 'tools' / 'convert_weights.py'
spec = importlib.util.spec_from_file_location('convert_weights', TOOL)
tool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)

CONFIG = """
default_scope = 'mmdet3d'
custom_imports = dict(imports=['pretrain3d'])
model = dict(type='MinkUNetBackbone', in_channels=4, num_stages=1, base_channels=4, encoder_channels=[4],
             encoder_blocks=[1], decoder_channels=[4], decoder_blocks=[1], block_type='residual',
             sparseconv_backend='spconv')
"""


@pytest.fixture
def files(tmp_path):
    """A config, a checkpoint of its model under other names, and the output's path."""
    (tmp_path / 'model.py').write_text(CONFIG)
    model = tool.build_model(str(tmp_path / 'model.py'))
    state = nn.ModuleDict(dict(student=model)).state_dict()
    for key in list(state):
        state[key.replace('student.conv_input', 'student.stem')] = state.pop(key)
    for path in list(state._metadata):
        state._metadata[path.replace('student.conv_input', 'student.stem')] = state._metadata.pop(path)
    torch.save(dict(ema=state), tmp_path / 'src.pth')
    return model, [str(tmp_path / 'src.pth'), str(tmp_path / 'dst.pth')], str(tmp_path / 'model.py')


@pytest.mark.parametrize('checked', [True, False])
def test_renames_and_writes(files, capsys, checked):
    model, paths, config = files
    options = ['--source', 'student', '--rename', r'^stem\.=conv_input.', '--state-key', 'ema']
    assert tool.main(paths + options + (['--config', config] if checked else [])) == 0
    assert '100.0 %' in capsys.readouterr().out
    fresh = tool.build_model(config)
    fresh.load_state_dict(torch.load(paths[1])['state_dict'])
    for key, tensor in model.state_dict().items():
        assert torch.equal(fresh.state_dict()[key], tensor), key


def test_failures_are_one_clear_line_and_status_1(files, capsys):
    model, paths, config = files
    assert tool.main(paths + ['--source', 'student']) == 1
    assert 'name one with state_key' in capsys.readouterr().err
    assert tool.main(paths + ['--source', 'student', '--state-key', 'ema', '--config', config, '--min-matched',
                              '1']) == 1
    assert 'missing' in capsys.readouterr().err
    assert not os.path.exists(paths[1])
    with pytest.raises(SystemExit):
        tool.main(paths + ['--min-matched', '.5'])


def test_help(capsys):
    with pytest.raises(SystemExit) as done:
        tool.main(['--help'])
    assert done.value.code == 0 and '--spconv-layout' in capsys.readouterr().out


def test_a_missing_file_is_told_before_anything_is_imported(tmp_path):
    done = subprocess.run([sys.executable, '-X', 'importtime', str(TOOL), str(tmp_path / 'no.pth'), 'b.pth'],
                          capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1 and done.stderr.splitlines()[-1].endswith('no.pth does not exist')
    assert 'mmengine' not in done.stderr and ' torch\n' not in done.stderr


PPT_CONFIG = """
default_scope = 'mmdet3d'
custom_imports = dict(imports=['pretrain3d'])
spaces = dict(ScanNet='ScanNet20', S3DIS='S3DIS13', Structured3D='Structured3D25')
model = dict(
    type='DomainSegmentor',
    backbone=dict(type='PromptedBackbone', domains=['ScanNet', 'S3DIS', 'Structured3D'], channels=8, backbone=dict(
        type='SpUNet', in_channels=3, base_channels=4, encoder_channels=(4, 6), decoder_channels=(6, 4),
        encoder_blocks=(1, 2), decoder_blocks=(1, 1))),
    decode_head=dict(type='LanguageGuidedHead', in_channels=4, label_spaces=spaces, text_bank='{bank}',
                     legacy_order=['S3DIS']))
"""


@pytest.mark.parametrize('checked', [True, False])
def test_language_guided_weights_of_pointcept(tmp_path, capsys, checked):
    """A file for `load_from`, and the text bank that its head needs."""
    import numpy as np
    sys.path.append(str(TOOL.parents[1] / 'tests' / 'engine' / 'weights'))
    from ppt_reference import FIXTURE, scene, stored
    with np.load(FIXTURE) as fixture:
        weights, wanted = (stored(fixture, 'indoor language', kind) for kind in ('weight', 'logits'))
    src, dst, bank = (str(tmp_path / name) for name in ('released.pth', 'converted.pth', 'bank.npz'))
    torch.save(dict(state_dict={f'module.{key}': value for key, value in weights.items()}), src)
    (tmp_path / 'ppt.py').write_text(PPT_CONFIG.replace('{bank}', bank))
    options = ['--mapping', 'pointcept_ppt_indoor', '--text-bank', bank]
    assert tool.main([src, dst, *options, *(['--config', str(tmp_path / 'ppt.py')] if checked else [])]) == 0
    assert '100.0 %' in capsys.readouterr().out
    model = tool.build_model(str(tmp_path / 'ppt.py')).eval()
    missing = model.load_state_dict(torch.load(dst)['state_dict'], strict=True)
    assert not missing.missing_keys
    with torch.no_grad():
        found = model.decode_head(model.backbone(dict(scene(), domains=['S3DIS'] * 2)), 'S3DIS')
    assert (found - wanted['S3DIS']).abs().max() < 1e-5 * 100


def test_no_text_bank_in_a_checkpoint(files, capsys):
    model, paths, config = files
    assert tool.main(paths + ['--state-key', 'ema', '--text-bank', paths[1] + '.npz']) == 1
    assert 'no rows in class_embedding' in capsys.readouterr().err
    assert not os.path.exists(paths[1] + '.npz') and not os.path.exists(paths[1])
