"""Files are read as data: mmengine's own extras load, code does not run."""
import os
import pickle
import zipfile
from argparse import Namespace
from collections import OrderedDict, defaultdict

import numpy as np
import pytest
import torch

from mmengine.logging import HistoryBuffer
from pretrain3d.engine.weights import WeightsError, read_file, read_state


class Payload:
    """Unpickling it with the standard unpickler creates a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path, )


class Settings:
    """A class of the project that wrote the file, as configs of foreign checkpoints are."""

    def __init__(self):
        self.values = [1, dict(a=2)]


@pytest.mark.parametrize('zipped', [True, False])
@pytest.mark.parametrize('drop', [True, False])
def test_code_is_refused_and_never_runs(tmp_path, zipped, drop):
    touched, path = tmp_path / 'touched', tmp_path / 'evil.pth'
    torch.save(dict(state_dict={'w': torch.ones(2)}, config=Payload(touched)), path,
               _use_new_zipfile_serialization=zipped)
    if zipped and drop:
        assert torch.equal(read_state(str(path), drop_objects=True)[0]['w'], torch.ones(2))
    else:
        with pytest.raises(WeightsError, match='nothing in it was executed') as error:
            read_file(str(path), drop_objects=drop)
        assert 'mkdir' in str(error.value) and 'evil.pth' in str(error.value)
    assert not touched.exists()
    torch.load(path, weights_only=False)  # the payload is real
    assert touched.exists()


def test_bare_pickle_with_code_is_refused(tmp_path):
    path, touched = tmp_path / 'bare.pth', tmp_path / 'touched'
    path.write_bytes(pickle.dumps(Payload(touched)))
    with pytest.raises(WeightsError, match='nothing in it was executed'):
        read_file(str(path))
    assert not touched.exists()


@pytest.mark.parametrize('name', ['builtins.eval', 'builtins.exec', 'torch.load', 'torch.hub.load', 'os.system',
                                  'torch.serialization.load', 'numpy.load', 'functools.partial',
                                  'mmengine.config.config.Config', 'torch.storage._load_from_bytes'])
def test_names_outside_the_list_are_refused(tmp_path, name):
    """Each written by hand as a GLOBAL instruction, so that nothing but the reader decides."""
    module, _, attribute = name.rpartition('.')
    path = tmp_path / 'named.pth'
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('archive/data.pkl', b'\x80\x02c' + f'{module}\n{attribute}\n'.encode() + b'.')
        archive.writestr('archive/version', '3\n')
    with pytest.raises(WeightsError, match=f'pickled "{name}"'):
        read_file(str(path))


@pytest.mark.parametrize('owner', [OrderedDict, HistoryBuffer])
def test_getattr_reaches_nothing_but_log_statistics(tmp_path, owner):

    class Reach:

        def __reduce__(self):
            return getattr, (owner, '__init__')

    path = str(tmp_path / 'reach.pth')
    torch.save(dict(state_dict=dict(w=torch.ones(1)), hidden=Reach()), path)
    with pytest.raises(WeightsError, match='asks for attribute "__init__"'):
        read_file(path)
    assert list(read_state(path, drop_objects=True)[0]) == ['w']


def test_foreign_objects_can_be_left_out(tmp_path):
    path = str(tmp_path / 'foreign.pth')
    torch.save(dict(state_dict=OrderedDict(w=torch.ones(2)), config=Settings()), path)
    with pytest.raises(WeightsError, match='Settings.*--drop-objects'):
        read_state(path)
    assert list(read_state(path, drop_objects=True)[0]) == ['w']


def test_what_mmengine_stores_beside_weights(tmp_path):
    path = str(tmp_path / 'mmengine.pth')
    content = dict(
        meta=dict(seed=np.int64(3), flags={True, False}, args=Namespace(lr=.1), classes=('car', ), palette=None),
        message_hub=dict(log_scalars=OrderedDict(loss=HistoryBuffer([1., 2.], [1, 1])), info=np.float64(2.5),
                         when=np.array(['a', 'b'], dtype=object)),
        optimizer=dict(state=defaultdict(dict), step=torch.tensor(3.), betas=(.9, .999)),
        state_dict=torch.nn.BatchNorm1d(2).state_dict())
    torch.save(content, path)
    with pytest.raises(Exception):  # otherwise this test would not reach the second reader
        torch.load(path, weights_only=True)
    read = read_file(path)
    assert read['meta'] == content['meta']
    assert read['message_hub']['log_scalars']['loss'].mean() == 1.5
    tensors, metadata = read_state(path)
    assert set(tensors) == set(content['state_dict']) and metadata['']['version'] == 2


def test_torchscript_is_refused(tmp_path):
    path = str(tmp_path / 'script.pt')
    torch.jit.script(torch.nn.Linear(2, 2)).save(path)
    with pytest.raises(WeightsError, match='TorchScript'):
        read_file(path)


def test_state_is_found_or_the_keys_are_named(tmp_path):
    path = str(tmp_path / 'nested.pth')
    torch.save(dict(teacher=dict(w=torch.ones(1)), epoch=3), path)
    with pytest.raises(WeightsError, match='it has teacher, epoch: name one with state_key'):
        read_state(path)
    assert list(read_state(path, state_key='teacher')[0]) == ['w']


def test_ddp_prefix_goes_with_its_metadata(tmp_path):
    path = str(tmp_path / 'ddp.pth')
    wrapped = torch.nn.ModuleDict(dict(module=torch.nn.Sequential(torch.nn.BatchNorm1d(2))))
    torch.save(wrapped.state_dict(), path)
    tensors, metadata = read_state(path)
    assert '0.running_mean' in tensors and metadata['0'] == dict(version=2)


@pytest.mark.parametrize('content', [b'', b'not a checkpoint', b'PK\x03\x04 cut off'])
def test_damaged_files_are_named(tmp_path, content):
    path = tmp_path / 'damaged.pth'
    path.write_bytes(content)
    with pytest.raises(WeightsError, match='damaged.pth'):
        read_file(str(path))


def test_truncated_zip_is_named(tmp_path):
    path = tmp_path / 'cut.pth'
    torch.save(dict(w=torch.rand(1000)), path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(WeightsError, match='cut.pth'):
        read_file(str(path))


def test_missing_file_and_address(tmp_path):
    with pytest.raises(WeightsError, match='nowhere.pth does not exist'):
        read_file(str(tmp_path / 'nowhere.pth'))
    with pytest.raises(WeightsError, match='download it first'):
        read_file('https://example.org/a.pth')
