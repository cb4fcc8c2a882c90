"""The tool that builds text banks: the stand-in, templates, and open_clip with random weights where it is installed."""
import importlib.util
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch

import pretrain3d  # noqa: F401  (whole, before the script could import it without its registered classes)
from pretrain3d.label_spaces import TextBank, stand_in_bank

SCRIPT = Path(__file__).resolve().parents[2] / 'tools' / 'build_text_bank.py'


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('build_text_bank', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Encoder(torch.nn.Module):
    """As much of open_clip's model as the tool calls: vectors of any length, from the characters."""

    def encode_text(self, tokens):
        return tokens.float() @ torch.linspace(-1, 1, 77 * 8).view(77, 8).cos() * 3


def fake_open_clip(monkeypatch, calls):
    def create_model(name, pretrained=None, precision=None):
        calls.append((name, pretrained, precision))
        if name != 'ViT-B-16':
            raise RuntimeError(f'Model config for {name} not found')
        return Encoder()

    def tokenise(sentences):
        return torch.tensor([[ord(letter) for letter in sentence[:77].ljust(77)] for sentence in sentences])

    module = types.SimpleNamespace(create_model=create_model, get_tokenizer=lambda name: tokenise)
    monkeypatch.setitem(sys.modules, 'open_clip', module)
    monkeypatch.setattr('importlib.metadata.version', lambda name: '0.0')


def test_stand_in(tool, tmp_path, capsys):
    assert tool.main([str(tmp_path / 'new' / 'bank.npz'), '--stand-in', '--text', 'garbage bin']) == 0
    bank = TextBank.load(tmp_path / 'new' / 'bank.npz')
    assert np.array_equal(bank.rows(stand_in_bank().texts), stand_in_bank().embeddings)
    assert bank.texts[-1] == 'garbage bin' and 'hashed-ngrams' in capsys.readouterr().out


def test_encoder_templates_and_manifest(tool, tmp_path, monkeypatch):
    calls = []
    fake_open_clip(monkeypatch, calls)
    weights = tmp_path / 'weights.pt'
    weights.write_bytes(b'abc')
    templates = ['{}', 'a point of {}.']
    tool.main([str(tmp_path / 'bank.npz'), '--pretrained', str(weights), '--template', *templates])
    bank = TextBank.load(tmp_path / 'bank.npz')
    assert calls == [('ViT-B-16', str(weights), 'fp32')]
    assert bank.source == dict(
        encoder='open_clip ViT-B-16', templates=templates,
        checkpoint='sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
    encode = tool.clip_encoder('ViT-B-16', '')
    rows = [vector / np.linalg.norm(vector) for vector in encode(['chair', 'a point of chair.'])]
    mean = sum(rows) / np.linalg.norm(sum(rows))
    assert np.allclose(bank.rows(['chair'])[0], mean, atol=1e-6)


def test_bad_commands(tool, tmp_path, monkeypatch, capsys):
    out = str(tmp_path / 'bank.npz')
    for wrong in ([], ['--stand-in', '--random-weights'], ['--stand-in', '--template', 'no place'],
                  ['--stand-in', '--template', '{} {}']):
        with pytest.raises(SystemExit) as stop:
            tool.main([out, *wrong])
        assert stop.value.code == 2
    monkeypatch.setitem(sys.modules, 'open_clip', None)
    with pytest.raises(SystemExit, match='pip install open-clip-torch, or --stand-in'):
        tool.main([out, '--random-weights'])
    fake_open_clip(monkeypatch, [])
    with pytest.raises(SystemExit, match="cannot make 'ViT-B-61'"):
        tool.main([out, '--random-weights', '--model', 'ViT-B-61'])
    assert not list(tmp_path.iterdir())


@pytest.mark.full
def test_open_clip_with_random_weights(tool, tmp_path):
    """The real encoder of the paper's shape: 512 channels."""
    pytest.importorskip('open_clip', reason='open_clip is not installed')
    tool.main([str(tmp_path / 'bank.npz'), '--random-weights'])
    bank = TextBank.load(tmp_path / 'bank.npz')
    assert bank.embeddings.shape[1] == 512 and bank.manifest['checkpoint'] == 'random weights'
