"""Hand-made batches for Masked Scene Contrast."""
import math

import torch

from mmdet3d.structures import Det3DDataSample

SMALL = dict(type='SpUNet', in_channels=6, base_channels=8, encoder_channels=(8, 8), encoder_blocks=(1, 1),
             decoder_channels=(8, 8), decoder_blocks=(1, 1))
VOXEL = 0.1


def turn(angle):
    """Rotation about z."""
    cos, sin = math.cos(angle), math.sin(angle)
    return torch.tensor([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1.]])


def scene(size, seed):
    """Points (size, 3) on the floor and two walls of a room, r, g, b that tell where they are, normals."""
    generator = torch.Generator().manual_seed(seed)
    xyz = torch.rand(size, 3, generator=generator) * torch.tensor([2., 1.6, 1.2])
    wall = torch.randint(3, (size, ), generator=generator)
    xyz[torch.arange(size), 2 - wall] = 0
    normal = torch.zeros(size, 3)
    normal[torch.arange(size), 2 - wall] = 1
    colour = 0.5 + 0.4 * torch.sin(4 * xyz)
    return xyz, colour, normal


def two_views(sizes=(400, 300), seed=0, domains=None, first=0):
    """What the loader hands on: clouds (x, y, z, r, g, b, normal) seen twice, each view cropped and turned its way.

    Args:
        sizes: points of each scene. seed: of the clouds. domains: of each scene. first: number of the first scene.
    """
    names = ('view0', 'view1')
    inputs = dict(views={name: dict(points=[], xyz_world=[]) for name in names})
    samples = []
    for place, size in enumerate(sizes, start=first):
        xyz, colour, normal = scene(size, 100 * seed + place)
        generator = torch.Generator().manual_seed(7 + 100 * seed + place)
        for name, angle in zip(names, (0.4, -1.1)):
            rows = torch.randperm(size, generator=generator)[:size * 4 // 5]
            moved = (xyz[rows] - 1) @ turn(angle).T
            inputs['views'][name]['points'].append(torch.cat([moved, colour[rows], normal[rows] @ turn(angle).T], 1))
            inputs['views'][name]['xyz_world'].append(xyz[rows])
        meta = dict(voxel_seed=100 * seed + place)
        if domains is not None:
            meta['domain'] = domains[place - first]
        samples.append(Det3DDataSample(metainfo=meta))
    return dict(inputs=inputs, data_samples=samples)


def model_config(backbone=SMALL, voxel_size=VOXEL, width=8, **head):
    """A small model; matches within a voxel and a half."""
    return dict(
        type='MaskedSceneContrast', backbone=backbone,
        head=dict(dict(in_channels=width, voxel_channels=6, radius=1.5 * voxel_size, patch_size=3 * voxel_size,
                       pairs_per_scene=200), **head),
        data_preprocessor=dict(type='Pretrain3DDataPreprocessor', voxel_size=voxel_size,
                               feature_dims=[3, 4, 5, 6, 7, 8]))
