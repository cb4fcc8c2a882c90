"""Checkpoints of mmengine under a weights-only unpickler: everything a Runner saves loads, nothing else does."""
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModel
from mmengine.runner import Runner

from pretrain3d.engine.compat import checkpoint_globals

torch_load = torch.load  # one test puts load() in its place

# What torch allows by itself, as far as these files need it.
TORCH_ALLOWS = {
    'collections.OrderedDict', '_codecs.encode', 'builtins.set', 'torch._utils._rebuild_tensor_v2',
    'torch._utils._rebuild_parameter', 'torch.FloatStorage', 'torch.LongStorage', 'torch.DoubleStorage'
}


def listed_names() -> dict:
    """The names under which a file may ask for each listed object."""
    entries = [entry if isinstance(entry, tuple) else (entry, f'{entry.__module__}.{entry.__qualname__}')
               for entry in checkpoint_globals.safe_globals()]
    return {name: item for item, name in entries}


class WeightsOnly(pickle.Unpickler):
    """torch >= 2.6 in small: a global is found only if torch or the list allows it."""

    def find_class(self, module: str, name: str):
        module = module.replace('__builtin__', 'builtins')  # as Python 2 called it and torch still writes it
        path, allowed = f'{module}.{name}', listed_names()
        if path in allowed:
            return allowed[path]
        if path in TORCH_ALLOWS:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f'{path} is not allowed')


def load(path) -> dict:
    """Load as torch of this machine does by default from 2.6 on."""
    if tuple(int(part) for part in torch.__version__.split('.')[:2]) >= (2, 6):
        return torch_load(path)
    small = SimpleNamespace(Unpickler=WeightsOnly, load=pickle.load, __name__='small')
    return torch_load(path, pickle_module=small)


class Line(BaseModel):
    """A model with one parameter that fits zero."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(2))

    def forward(self, *rows, mode='tensor'):
        return dict(loss=(torch.stack(rows) * self.weight).square().mean())


class Points(torch.utils.data.Dataset):
    """Six points, with every kind of value that a dataset's metainfo has been seen to hold."""
    metainfo = dict(classes=('a', 'b'), palette=[(1, 2, 3)], seg_label_mapping=np.arange(5),
                    cfg=ConfigDict(a=dict(b=1)), size=np.float32(3), count=np.int64(1), ignored={1, 2})

    def __len__(self):
        return 6

    def __getitem__(self, index):
        return torch.full((2, ), float(index))


def make_runner(folder, epochs: int, **kwargs) -> Runner:
    """A run with logs, two schedulers of which one keeps a function in its state, and a checkpoint per epoch."""
    return Runner(
        Line(), str(folder), train_dataloader=dict(dataset=Points(), batch_size=2, num_workers=0, sampler=dict(
            type='DefaultSampler', shuffle=True)), train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=0.01)), default_scope='mmengine', log_level='ERROR',
        param_scheduler=[dict(type='OneCycleLR', eta_max=0.01, total_steps=9, by_epoch=False), dict(type='LinearLR')],
        experiment_name=f'checkpoint_{epochs}_{len(kwargs)}', **kwargs)


def test_a_runners_checkpoint_loads_and_resumes(tmp_path, monkeypatch):
    first = make_runner(tmp_path, 2)
    first.train()
    state = load(tmp_path / 'epoch_2.pth')
    assert state['meta']['iter'] == 6
    assert isinstance(state['message_hub']['log_scalars']['train/loss'], HistoryBuffer)
    assert np.array_equal(state['meta']['dataset_meta']['seg_label_mapping'], np.arange(5))
    monkeypatch.setattr('mmengine.runner.checkpoint.torch.load', lambda path, map_location=None: load(path))
    second = make_runner(tmp_path, 3, resume=True)
    second.train()
    assert second.epoch == 3 and len(second.message_hub.get_scalar('train/loss').data[0]) == 9


class Sneaky:
    """Pickles to a call of ``getattr`` on an allowed class."""

    def __init__(self, owner, name):
        self.call = (owner, name)

    def __reduce__(self):
        return getattr, self.call


@pytest.mark.parametrize('owner, name', [(HistoryBuffer, '__init__'), (HistoryBuffer, 'register_statistics'),
                                         (np.ndarray, 'tofile'), (ConfigDict, 'fromkeys')])
def test_getattr_gives_out_nothing_but_the_known_methods(tmp_path, owner, name):
    torch.save(dict(weight=Sneaky(owner, name)), tmp_path / 'sneaky.pth')
    with pytest.raises((ValueError, pickle.UnpicklingError), match='weights do not need'):
        load(tmp_path / 'sneaky.pth')


def test_foreign_functions_stay_refused(tmp_path):
    import os
    torch.save(dict(weight=os.system), tmp_path / 'foreign.pth')
    with pytest.raises(pickle.UnpicklingError):
        load(tmp_path / 'foreign.pth')


@pytest.mark.parametrize('version, registered', [('2.13.0+cpu', True), ('2.6.0', True), ('2.5.1', False),
                                                 ('2.1.2', False)])
def test_registered_where_torch_obeys_the_list(monkeypatch, version, registered):
    calls = []
    monkeypatch.setattr(torch, '__version__', version)
    monkeypatch.setattr(torch.serialization, 'add_safe_globals', calls.append, raising=False)
    checkpoint_globals.mend()
    assert len(calls) == registered
    if registered:
        assert (checkpoint_globals.checkpoint_method, 'builtins.getattr') in calls[0] and HistoryBuffer in calls[0]
