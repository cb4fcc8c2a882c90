"""Fixtures of the weight tests."""
import pytest
import torch
from mmengine.registry import init_default_scope
from weights_models import Pretext, randomise


@pytest.fixture(autouse=True)
def mmdet3d_scope():
    """Nested types of mmdet3d's configs are looked up in its registries."""
    init_default_scope('mmdet3d')


@pytest.fixture
def pretext():
    """A pre-trained model whose every tensor is told apart from any initialisation."""
    return randomise(Pretext(), 7)


@pytest.fixture
def checkpoint(pretext, tmp_path):
    """Its checkpoint, saved as mmengine saves it."""
    path = tmp_path / 'pretext.pth'
    torch.save(dict(meta=dict(epoch=3), state_dict=pretext.state_dict()), path)
    return str(path)
