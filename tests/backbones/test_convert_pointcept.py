"""Converted reference weights give the reference's output: by a committed fixture, and beside the class itself."""
from collections import OrderedDict

import numpy as np
import pytest
import torch
from pointcept_reference import (FIXTURE, NARROW, SOURCE, VARIABLE, load_reference_class, our_config, reference_path,
                                 run_reference)
from sparse_scenes import random_sparse, randomise

import pretrain3d  # noqa: F401
from mmdet3d.registry import MODELS
from pretrain3d.backbones import convert_pointcept_key, convert_pointcept_state_dict


def test_fixture():
    stored = np.load(FIXTURE)
    weights = OrderedDict((name[len('weight/'):], torch.from_numpy(stored[name]))
                          for name in stored.files if name.startswith('weight/'))
    model = MODELS.build(our_config(NARROW)).eval()
    model.load_state_dict(convert_pointcept_state_dict(weights), strict=True)
    coors = torch.from_numpy(stored['coors']).int()
    out = model(dict(voxels=torch.from_numpy(stored['voxels']), coors=coors, batch_size=2, spatial_shape=[21, 9, 6]))
    wanted = torch.from_numpy(stored['out'])
    assert wanted.abs().max() > 0.05
    assert (out - wanted).abs().max() < 1e-5 * wanted.abs().max()


@pytest.mark.parametrize('config,extents,counts', [
    (NARROW, (40, 33, 17), (400, 300)),
    (dict(NARROW, layers=(2, 1, 2, 1, 2, 1, 1, 2)), (5, 70, 3), (200, 1)),
    (dict(in_channels=6, num_classes=20, base_channels=32, channels=(32, 64, 128, 256, 256, 128, 96, 96),
          layers=(2, 3, 4, 6, 2, 2, 2, 2)), (30, 30, 9), (500, 400)),
])
def test_reference_class(config, extents, counts):
    path = reference_path()
    if path is None:
        pytest.skip(f'set {VARIABLE} to a checkout of github.com/Pointcept/Pointcept to compare with its SpUNet')
    if not path.exists():
        pytest.fail(f'{VARIABLE} is set but has no {SOURCE}')
    torch.manual_seed(1)
    reference = load_reference_class(path)(**config).eval()
    randomise(reference, 1)
    model = MODELS.build(our_config(config)).eval()
    wrapped = OrderedDict((f'module.backbone.{name}', value) for name, value in reference.state_dict().items())
    model.load_state_dict(convert_pointcept_state_dict(wrapped), strict=True)
    sparse = random_sparse(extents, counts, config['in_channels'], seed=1)
    wanted = run_reference(reference, sparse)
    with torch.no_grad():
        out = model(sparse)
    assert wanted.abs().max() > 0.05
    assert (out - wanted).abs().max() < 1e-5 * wanted.abs().max()


@pytest.mark.parametrize('theirs,ours', [
    ('conv_input.0.weight', 'stem.conv.weight'),
    ('module.conv_input.1.running_mean', 'stem.norm.running_mean'),
    ('backbone.down.2.0.weight', 'down.2.conv.weight'),
    ('module.backbone.up.3.1.bias', 'up.3.norm.bias'),
    ('enc.0.block1.bn2.num_batches_tracked', 'enc.0.1.norm2.num_batches_tracked'),
    ('dec.1.block0.proj.0.weight', 'dec.1.0.shortcut.weight'),
    ('dec.1.block0.proj.1.weight', 'dec.1.0.shortcut_norm.weight'),
    ('final.bias', 'final.bias'),
    ('module.seg_head.weight', 'seg_head.weight'),
    ('embedding_table.weight', 'embedding_table.weight'),
])
def test_names(theirs, ours):
    assert convert_pointcept_key(theirs) == ours


def test_other_weights_are_refused():
    with pytest.raises(ValueError, match='not a Pointcept SpUNet'):
        convert_pointcept_state_dict({'backbone.conv1.weight': torch.zeros(1)})
    with pytest.raises(ValueError, match='one network only'):
        convert_pointcept_state_dict({'final.bias': torch.zeros(1), 'module.final.bias': torch.zeros(1)})
