"""The reference SpUNet of a Pointcept checkout, for the parity tests, and the numeric fixture made with it.

``PRETRAIN3D_REFERENCE_POINTCEPT=<checkout> python tests/backbones/pointcept_reference.py`` writes the fixture anew:
weights, input and output of a narrow reference network as plain numbers.
"""
import importlib.util
import os
import sys
import types
from pathlib import Path
from typing import Dict, Optional
from unittest import mock

import numpy as np
import torch
from sparse_scenes import random_sparse, randomise

VARIABLE = 'PRETRAIN3D_REFERENCE_POINTCEPT'
SOURCE = 'pointcept/models/sparse_unet/spconv_unet_v1m1_base.py'
FIXTURE = Path(__file__).with_name('spunet_reference.npz')
NARROW = dict(in_channels=3, num_classes=4, base_channels=4, channels=(4, 6, 8, 8, 8, 6, 6, 4),
              layers=(1, 1, 1, 2, 1, 1, 1, 1))


def reference_path() -> Optional[Path]:
    """The reference's source file, if the environment names a checkout."""
    root = os.environ.get(VARIABLE)
    return Path(root) / SOURCE if root else None


def load_reference_class(path: Path) -> type:
    """Class SpUNetBase of ``path``, with the packages it imports for other uses replaced by what it needs of them."""
    models = mock.Mock()
    models.register_module = lambda *_: lambda cls: cls

    def offset2batch(offset):
        return torch.repeat_interleave(torch.diff(offset, prepend=offset.new_zeros(1)))

    stubs = {
        'torch_geometric': {}, 'torch_geometric.utils': dict(scatter=None),
        'timm': {}, 'timm.layers': dict(trunc_normal_=torch.nn.init.trunc_normal_),
        'pointcept': {}, 'pointcept.models': {}, 'pointcept.models.builder': dict(MODELS=models),
        'pointcept.models.utils': dict(offset2batch=offset2batch),
    }
    modules = {}
    for name, content in stubs.items():
        modules[name] = types.ModuleType(name)
        vars(modules[name]).update(content)
    spec = importlib.util.spec_from_file_location('reference_spunet', path)
    module = importlib.util.module_from_spec(spec)
    with mock.patch.dict(sys.modules, modules):
        spec.loader.exec_module(module)
    return module.SpUNetBase


def our_config(config: Dict) -> Dict:
    """Our arguments for the reference's."""
    levels = len(config['channels']) // 2
    return dict(
        type='SpUNet', in_channels=config['in_channels'], num_classes=config['num_classes'],
        base_channels=config['base_channels'], encoder_channels=config['channels'][:levels],
        decoder_channels=config['channels'][levels:], encoder_blocks=config['layers'][:levels],
        decoder_blocks=config['layers'][levels:])


def run_reference(model: torch.nn.Module, sparse: Dict) -> torch.Tensor:
    """Output (N, num_classes) of the reference for a sparse batch of ours."""
    counts = torch.bincount(sparse['coors'][:, 0].long(), minlength=sparse['batch_size'])
    with torch.no_grad():
        return model(dict(grid_coord=sparse['coors'][:, 1:], feat=sparse['voxels'], offset=counts.cumsum(0)))


def main() -> None:
    """Write the fixture."""
    import pretrain3d  # noqa: F401  (spconv on the CPU)
    torch.manual_seed(0)
    model = load_reference_class(reference_path())(**NARROW)
    randomise(model)
    sparse = random_sparse((21, 9, 6), (60, 40))
    out = run_reference(model.eval(), sparse)
    weights = {f'weight/{name}': value.numpy() for name, value in model.state_dict().items()}
    np.savez_compressed(FIXTURE, coors=sparse['coors'].numpy().astype(np.uint8), voxels=sparse['voxels'].numpy(),
                        out=out.numpy(), **weights)
    print(f'{FIXTURE}: {FIXTURE.stat().st_size / 1024:.0f} kB')


if __name__ == '__main__':
    main()
