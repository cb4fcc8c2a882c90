"""Hand-made batches of two views."""
import math

import torch

from mmdet3d.structures import Det3DDataSample

SMALL = dict(type='SpUNet', in_channels=3, base_channels=8, encoder_channels=(8, 8), encoder_blocks=(1, 1),
             decoder_channels=(8, 8), decoder_blocks=(1, 1))


def turn(angle):
    """Rotation about z."""
    cos, sin = math.cos(angle), math.sin(angle)
    return torch.tensor([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1.]])


def two_views(sizes=(300, 260), seed=0, matched=True):
    """What the loader hands on: clouds (x, y, z, r, g, b) in a room, each seen twice, each view turned its own way.

    Every point is in both views; its colour tells where it is, so that there is something to learn.
    """
    generator = torch.Generator().manual_seed(seed)
    inputs = dict(views=dict(view0=dict(points=[], xyz_world=[]), view1=dict(points=[], xyz_world=[])), pairs=[])
    samples = []
    for place, size in enumerate(sizes):
        world = torch.rand(size, 3, generator=generator) * torch.tensor([3., 3., 2.])
        order = torch.randperm(size, generator=generator)
        for name, rows, angle in (('view0', torch.arange(size), 0.4), ('view1', order, -1.1)):
            xyz = world[rows]
            view = inputs['views'][name]
            view['points'].append(torch.cat([(xyz - 1) @ turn(angle).T, torch.sin(3 * xyz)], 1))
            view['xyz_world'].append(xyz)
        pairs = torch.stack([order, torch.arange(size)], 1)
        inputs['pairs'].append(pairs if matched else pairs[:0])
        samples.append(Det3DDataSample(metainfo=dict(voxel_seed=100 * seed + place)))
    return dict(inputs=inputs, data_samples=samples)
