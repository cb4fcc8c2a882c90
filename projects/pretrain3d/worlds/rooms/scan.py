"""The scanned mesh of a room: what the cameras saw of its surfaces, with noise, segments and instances."""
from dataclasses import dataclass
from typing import List

import numpy as np

from ..render import Caster
from ..shapes import tessellate
from .layout import Room

SEGMENT_SIZE = 0.45


@dataclass
class Scan:
    """A scanned room.

    Attributes:
        xyz: (V, 3) metres. rgb: (V, 3) uint8. faces: (F, 3). segment: (V,) ids of the over-segmentation.
        item: (V,) index into the room's items.
    """
    xyz: np.ndarray
    rgb: np.ndarray
    faces: np.ndarray
    segment: np.ndarray
    item: np.ndarray


def scan_room(rng: np.random.Generator, room: Room, caster: Caster, poses: List[np.ndarray], spacing: float,
              noise: float = 0.002) -> Scan:
    """Tessellate the room at ``spacing`` metres and keep the faces that some camera of ``poses`` saw.

    ``noise`` is the standard deviation (metres) of a vertex along its normal. Segments never cross an item, a part
    or a flat face of it, as an over-segmentation of a clean scan would not.
    """
    surface = tessellate(room.parts, spacing)
    # The test point stands a little off the surface, or a face would hide itself.
    off = surface.xyz + surface.normal * 0.004
    seen = np.zeros(len(off), bool)
    for pose in poses:
        rows = np.flatnonzero(~seen & (((pose[:3, 3] - surface.xyz) * surface.normal).sum(1) > 0))
        seen[rows] = caster.visible(off[rows], pose[:3, 3])
    faces = surface.faces[seen[surface.faces].any(1)]
    used = np.zeros(len(off), bool)
    used[faces] = True
    keep = np.flatnonzero(used)
    renumber = np.cumsum(used) - 1
    xyz, normal, part = surface.xyz[keep], surface.normal[keep], surface.part[keep]
    rgb = caster.colour(part, xyz, normal) + rng.normal(0, 0.02, xyz.shape)
    item = room.part_item[part]
    tile = np.floor(surface.local[keep] / SEGMENT_SIZE).astype(np.int64)
    _, segment = np.unique(np.concatenate([item[:, None], part[:, None], surface.patch[keep][:, None], tile], 1),
                           axis=0, return_inverse=True)
    return Scan(xyz + normal * rng.normal(0, noise, (len(xyz), 1)), (np.clip(rgb, 0, 1) * 255 + 0.5).astype(np.uint8),
                renumber[faces], segment.reshape(-1), item)
