"""Small networks with domain prompts, and batches taken apart, for the tests of backbones/prompts."""
import copy

import torch
from sparse_scenes import random_sparse, randomise

import pretrain3d  # noqa: F401
from mmdet3d.models.middle_encoders import SparseEncoder
from mmdet3d.registry import MODELS
from pretrain3d.backbones import SparseUNet
from pretrain3d.backbones.prompts import DomainPrompts, PDNorm

NARROW = dict(base_channels=4, encoder_channels=[6, 8], encoder_blocks=[1, 2], decoder_channels=[8, 6],
              decoder_blocks=[1, 1])
ENCODER = dict(type='SparseEncoder', in_channels=3, sparse_shape=[9, 16, 16], base_channels=4, output_channels=6,
               encoder_channels=((4,), (6, 6), (8, 8)), encoder_paddings=((1,), (1, 1), (1, 1)))
BLOCKS = dict(ENCODER, block_type='basicblock', encoder_channels=((4, 4, 6), (6, 6, 8), (8, 8)),
              encoder_paddings=((0, 0, 1), (0, 0, 1), (0, 0)))


class FlatEncoder(SparseEncoder):
    """mmdet3d's SparseEncoder behind the call of a backbone; one row of its map per sample."""

    def forward(self, sparse):
        dense = super().forward(sparse['voxels'], sparse['coors'], sparse['batch_size'])
        return dense.flatten(1)


def build(kind, seed=0):
    """A randomised narrow network."""
    if kind == 'SRUNet':  # in its way, but narrow
        model = SparseUNet(3, 5, stem_kernel=3, norm_cfg=dict(type='BN1d'), widen_when_down=False, **NARROW)
    elif kind in ('SpUNet', 'SparseMinkUNet'):
        model = MODELS.build(dict(type=kind, in_channels=3, **copy.deepcopy(NARROW)))
    else:
        cfg = copy.deepcopy(dict(SparseEncoder=ENCODER, blocks=BLOCKS)[kind])
        del cfg['type']
        model = FlatEncoder(**cfg)
    randomise(model, seed)
    return model


def scene(counts=(60, 50, 40), seed=0):
    """A batch in a grid of 9 x 16 x 16."""
    return random_sparse((9, 16, 16), counts, seed=seed)


def take(sparse, samples):
    """The batch of some samples of another, and the rows they have in it."""
    rows = torch.cat([(sparse['coors'][:, 0] == sample).nonzero()[:, 0] for sample in samples])
    coors = sparse['coors'][rows].clone()
    coors[:, 0] = torch.tensor([list(samples).index(int(sample)) for sample in coors[:, 0]])
    return dict(sparse, voxels=sparse['voxels'][rows], coors=coors, batch_size=len(samples)), rows


def scatter_prompts(model, seed=0):
    """Maps of the prompts, and statistics of each domain, that differ, so that a mixed-up domain shows."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if 'modulation.weight' in name or 'projection.weight' in name:
            parameter.data.copy_(torch.randn(parameter.shape, generator=generator) * 0.02)
    for module in model.modules():
        if isinstance(module, PDNorm):
            for own in module.statistics.values():
                if own.running_mean is None:
                    continue
                own.running_mean.add_(torch.randn(module.channels, generator=generator) * 0.3)
                own.running_var.mul_(torch.rand(module.channels, generator=generator) + 0.5)
    return model


def lone_norm(channels, names, plain=None, **kwargs):
    """A PDNorm of float64 with scattered maps, and its prompts."""
    prompts = DomainPrompts(names, 8)
    norm = PDNorm(channels, prompts, **kwargs) if plain is None else PDNorm.of(plain, prompts)
    prompts.double(), norm.double()
    return scatter_prompts(norm), prompts
