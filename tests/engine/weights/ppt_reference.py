"""Point Prompt Training of a Pointcept checkout, for the parity tests, and the numeric fixture made with it.

``PRETRAIN3D_REFERENCE_POINTCEPT=<checkout> python tests/engine/weights/ppt_reference.py`` writes the fixture anew:
weights, input and logits of narrow reference models as plain numbers.
"""
import importlib.util
import json
import os
import sys
import types
from pathlib import Path
from typing import Dict, Optional
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn

sys.path.append(str(Path(__file__).resolve().parents[2] / 'backbones'))
from sparse_scenes import random_sparse  # noqa: E402

VARIABLE = 'PRETRAIN3D_REFERENCE_POINTCEPT'
SOURCES = ('sparse_unet/spconv_unet_v1m1_base.py', 'sparse_unet/spconv_unet_v1m3_pdnorm.py',
           'point_prompt_training/point_prompt_training_v1m1_language_guided.py',
           'point_prompt_training/point_prompt_training_v1m2_decoupled.py',
           'masked_scene_contrast/masked_scene_contrast_v1m1_base.py')
FIXTURE = Path(__file__).with_name('ppt_reference.npz')
WIDTH, TEXT, PROMPT = 4, 16, 8
NARROW = dict(in_channels=3, base_channels=4, channels=(4, 6, 6, WIDTH), layers=(1, 2, 1, 1))
INDOOR = dict(context_channels=PROMPT, backbone_out_channels=WIDTH)
OUTDOOR = dict(INDOOR, conditions=('SemanticKITTI', 'nuScenes', 'Waymo'))
# Wrapper, its arguments, and those of its backbone; the orders of the domains are the released ones.
CASES = {
    'indoor language': ('PPT-v1m1', INDOOR, dict(norm_adaptive=True, norm_affine=True)),
    'indoor decoupled': ('PPT-v1m2', INDOOR, dict(norm_adaptive=True, norm_affine=False)),
    'outdoor decoupled': ('PPT-v1m2', dict(OUTDOOR, num_classes=(19, 16, 22)),
                          dict(norm_adaptive=False, norm_affine=True)),
    'outdoor language': ('PPT-v1m1', OUTDOOR, dict(norm_adaptive=False, norm_affine=True)),
    'one set of statistics': ('PPT-v1m2', INDOOR, dict(norm_adaptive=True, norm_affine=True, norm_decouple=False)),
    'statistics alone': ('PPT-v1m2', INDOOR, dict(norm_adaptive=False, norm_affine=False)),
}


def reference_root() -> Optional[Path]:
    """The reference's models, if the environment names a checkout."""
    root = os.environ.get(VARIABLE)
    return Path(root) / 'pointcept/models' if root else None


class Registry(dict):
    """Classes by name, as the reference registers and builds them."""

    def register_module(self, name: str = ''):
        """Decorator."""
        return lambda cls: self.setdefault(name or cls.__name__, cls)

    def build(self, config: Dict) -> nn.Module:
        """Instance of ``config['type']``."""
        config = dict(config)
        return self[config.pop('type')](**config)


def fake_clip(rows: Tensor) -> types.ModuleType:
    """A text encoder that gives these vectors, (K, C) for each K it may be asked for, and CLIP's scale."""
    clip = types.ModuleType('clip')
    model = mock.Mock(text_projection=rows, logit_scale=nn.Parameter(torch.tensor(100.).log()))
    model.encode_text = lambda tokens: torch.stack([rows[hash_of(text)] for text in tokens])
    clip.load = lambda *args, **kwargs: (model, None)
    clip.tokenize = lambda texts: texts
    return clip


def hash_of(text: str) -> int:
    """A row for some words, the same wherever they stand."""
    return int.from_bytes(text.encode(), 'big') % 65537


def load_reference(root: Path) -> Registry:
    """The classes of SOURCES, with what they import for other uses replaced by what they need of it."""
    models = Registry()

    def offset2batch(offset):
        return torch.repeat_interleave(torch.diff(offset, prepend=offset.new_zeros(1)))

    stubs = {
        'torch_geometric': {}, 'torch_geometric.utils': dict(scatter=None), 'torch_geometric.nn': {},
        'torch_geometric.nn.pool': dict(voxel_grid=None), 'pointops': {},
        'timm': {}, 'timm.layers': dict(trunc_normal_=nn.init.trunc_normal_), 'pointcept': {}, 'pointcept.models': {},
        'pointcept.models.builder': dict(MODELS=models, build_model=models.build),
        'pointcept.models.losses': dict(build_criteria=lambda config: None), 'pointcept.utils': {},
        'pointcept.models.utils': dict(offset2batch=offset2batch),
        'pointcept.models.utils.structure': dict(Point=dict), 'pointcept.utils.comm': dict(get_world_size=lambda: 1)}
    modules = {}
    for name, content in stubs.items():
        modules[name] = types.ModuleType(name)
        vars(modules[name]).update(content)
    for source in SOURCES:
        spec = importlib.util.spec_from_file_location(f'reference_{Path(source).stem}', root / source)
        module = importlib.util.module_from_spec(spec)
        with mock.patch.dict(sys.modules, modules):
            spec.loader.exec_module(module)
    return models


def build_reference(models: Registry, case: str, seed: int = 0) -> nn.Module:
    """The model of a case with random weights through which the signal keeps its size, no two norms alike."""
    wrapper, options, norms = CASES[case]
    order = {'conditions': options['conditions']} if 'conditions' in options else {}
    values = dict(NARROW, type='SpUNet-v1m3', context_channels=PROMPT, zero_init=False, **order, **norms)
    backbone = type('Config', (dict,), dict(type='SpUNet-v1m3'))(values)
    if wrapper == 'PPT-v1m1' and order:
        from pretrain3d.label_spaces.texts import released_rows
        ranges = (range(19), range(19, 35), range(35, 57))
        options = dict(options, class_name=released_rows()['outdoor'], valid_index=[list(each) for each in ranges])
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(65537, TEXT, generator=generator)
    with mock.patch.dict(sys.modules, dict(clip=fake_clip(rows))):
        model = models[wrapper](backbone=backbone, **options)
    for name, parameter in model.named_parameters():
        if 'modulation' in name or name.startswith('embedding_table'):
            parameter.data.copy_(torch.randn(parameter.shape, generator=generator) * (0.2 if 'mod' in name else 1))
        elif parameter.ndim > 1:
            std = (2 / parameter[0].numel())**0.5
            parameter.data.copy_(torch.randn(parameter.shape, generator=generator) * std)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            size = module.running_mean.shape
            module.running_mean.copy_(torch.randn(size, generator=generator) * 0.1)
            module.running_var.copy_(torch.rand(size, generator=generator) + 0.5)
            if module.affine:
                module.weight.data.copy_(torch.rand(size, generator=generator) + 0.5)
                module.bias.data.copy_(torch.randn(size, generator=generator) * 0.1)
    for name, parameter in model.named_parameters():
        if 'backbone.' in name and parameter.ndim > 1:  # kernels are kept in half precision
            parameter.data.copy_(parameter.data.half().float())
    return model.eval()


def scene() -> Dict:
    """The batch on which logits are compared."""
    return random_sparse((21, 9, 6), (50, 30), NARROW['in_channels'])


def reference_logits(model: nn.Module, sparse: Dict) -> Dict[str, Tensor]:
    """Domain -> logits of all voxels."""
    counts = torch.bincount(sparse['coors'][:, 0].long(), minlength=sparse['batch_size'])
    batch = dict(coord=sparse['coors'][:, 1:].float(), grid_coord=sparse['coors'][:, 1:], feat=sparse['voxels'],
                 offset=counts.cumsum(0))
    with torch.no_grad():
        return {name: model(dict(batch, condition=[name] * 2))['seg_logits'] for name in model.conditions}


def pack(tensors: Dict[str, Tensor]) -> Dict[str, np.ndarray]:
    """Tensors as two arrays and a table: hundreds of small arrays are mostly the names of an archive."""
    half = {name: name.startswith('backbone.') and value.ndim > 1 for name, value in tensors.items()}
    table = [[name, list(value.shape), half[name]] for name, value in tensors.items()]
    kinds = {True: np.float16, False: np.float32}
    arrays = {str(kind): np.concatenate([value.numpy().astype(kinds[kind]).ravel() for name, value in tensors.items()
                                         if half[name] is kind] or [np.zeros(0, kinds[kind])])
              for kind in kinds}
    return dict(arrays, table=np.array(json.dumps(table)))


def stored(fixture: np.lib.npyio.NpzFile, case: str, kind: str) -> Dict[str, Tensor]:
    """The inverse of :func:`pack`: 'weight' or 'logits' of a case, in float32, counters in int64."""
    part = f'{case}/{kind}/'
    left = {half: torch.from_numpy(fixture[part + str(half)]).float() for half in (True, False)}
    tensors = {}
    for name, shape, half in json.loads(str(fixture[part + 'table'][()])):
        size = int(np.prod(shape))
        value, left[half] = left[half][:size].reshape(shape), left[half][size:]
        tensors[name] = value.long() if name.endswith('num_batches_tracked') else value.clone()
    return tensors


def main() -> None:
    """Write the fixture."""
    import pretrain3d  # noqa: F401  (spconv on the CPU)
    models, arrays = load_reference(reference_root()), {}
    for case in CASES:
        model = build_reference(models, case)
        parts = dict(weight=model.state_dict(), logits=reference_logits(model, scene()))
        arrays.update({f'{case}/{kind}/{name}': value for kind, tensors in parts.items()
                       for name, value in pack(tensors).items()})
    np.savez_compressed(FIXTURE, **arrays)
    print(f'{FIXTURE}: {FIXTURE.stat().st_size / 1024:.0f} kB')


if __name__ == '__main__':
    main()
