"""Test-time voting over fragments of augmented clouds, one fragment in memory at a time.

A network that sees one point of each voxel leaves the others to their voxel's prediction. Here every point is seen
itself: of each augmented cloud, fragment i takes point (i mod count) of every voxel, so that as many fragments as the
fullest voxel has points cover all of them, and each fragment is a cloud of the density the network was trained on.
"""
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Tuple

import torch
from torch import Tensor

from ._checks import Numbers
from .grid import world_to_voxel
from .voxelize import unique_voxels

# Scores (m, K) of every point of each of some clouds (m, C).
Predict = Callable[[List[Tensor]], List[Tensor]]


@dataclass(frozen=True)
class Augmentation:
    """Flip, then turn about z, then scale, all about the origin of the cloud's frame.

    Attributes:
        angle: degrees, counter-clockwise seen from above.
        scale: factor.
        flip: axes whose coordinate is negated: '', 'x', 'y' or 'xy'.
    """
    angle: float = 0.
    scale: float = 1.
    flip: str = ''

    def __post_init__(self) -> None:
        if self.flip not in ('', 'x', 'y', 'xy'):
            raise ValueError(f"flip of an augmentation is {self.flip!r}; it must be '', 'x', 'y' or 'xy'")
        if not self.scale > 0 or not math.isfinite(self.scale + self.angle):
            raise ValueError(f'an augmentation has scale={self.scale} and angle={self.angle}; the scale must be '
                             'positive and both finite')

    def apply(self, points: Tensor, vector_columns: Optional[Sequence[int]] = None) -> Tensor:
        """An augmented copy of ``points`` (n, C), x, y, z in metres first; the same bits on every device.

        Args:
            points: the cloud.
            vector_columns: three columns with a direction, e.g. the normal, which is flipped and turned, not scaled.
        """
        moved = points.clone()
        moved[:, :3] = self._turn(points[:, :3]) * self.scale
        if vector_columns is not None:
            columns = list(vector_columns)
            moved[:, columns] = self._turn(points[:, columns])
        return moved

    def _turn(self, xyz: Tensor) -> Tensor:
        """Flipped and turned rows (n, 3); right angles are exact."""
        x, y, z = xyz.unbind(1)
        x, y = (-x if 'x' in self.flip else x), (-y if 'y' in self.flip else y)
        quarter, rest = divmod(self.angle % 360, 90)
        if rest:
            cosine, sine = math.cos(math.radians(self.angle)), math.sin(math.radians(self.angle))
            x, y = x * cosine - y * sine, x * sine + y * cosine
        else:
            x, y = ((x, y), (-y, x), (-x, -y), (y, -x))[int(quarter)]
        return torch.stack((x, y, z), 1)


# 'indoor': the thirteen of Point Prompt Training's tests on ScanNet. A flip of both axes is a half turn, so the last
# one repeats another and gives it twice the weight. 's3dis': the ten of its tests on S3DIS.
PRESETS: Dict[str, Tuple[Augmentation, ...]] = dict(
    none=(Augmentation(), ),
    indoor=(*(Augmentation(angle, scale) for scale in (1., 0.95, 1.05) for angle in (0., 90., 180., 270.)),
            Augmentation(flip='xy')),
    s3dis=tuple(Augmentation(scale=scale, flip=flip) for flip in ('', 'xy') for scale in (0.9, 0.95, 1., 1.05, 1.1)))


class Fragments:
    """The fragments of a cloud, each made when it is asked for.

    Fragment i holds point (i mod count) of every voxel; ``len()`` is the number of points of the fullest voxel. A point
    of rank r among the c of its voxel is in ``(len - 1 - r) // c + 1`` fragments.

    Args:
        xyz: (n, 3) metres.
        voxel_size: metres.
        origin: lower corner of voxel (0, 0, 0): give what the network's own voxels have, so that each fragment puts
            exactly one point into each.
    """

    def __init__(self, xyz: Tensor, voxel_size: Numbers, origin: Numbers = 0.) -> None:
        _, inverse, self._counts = unique_voxels(world_to_voxel(xyz, voxel_size, origin))
        self._order = inverse.argsort(stable=True)
        self._starts = self._counts.cumsum(0) - self._counts
        self._len = int(self._counts.max()) if len(self._counts) else 0

    def __len__(self) -> int:
        return self._len

    def __getitem__(self, i: int) -> Tensor:
        """Rows (M,) int64 of the points of fragment ``i``, all different, one for each voxel."""
        if not 0 <= i < self._len:
            raise IndexError(f'fragment {i} of {self._len}')
        return self._order[self._starts + i % self._counts]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(self._len))


def vote(points: Tensor, predict: Predict, voxel_size: Numbers, augmentations: Sequence[Augmentation],
         origin: Numbers = 0., chunk: int = 1, vector_columns: Optional[Sequence[int]] = None) -> Optional[Tensor]:
    """Sum of the scores of every point over all fragments of all augmentations.

    Besides the sum and one augmented copy of the cloud there are never more than ``chunk`` fragments and their scores
    in memory, however many fragments a cloud has. No two threads add to the same number: results are reproducible.

    Args:
        points: (n, C) x, y, z in metres first.
        predict: gets at most ``chunk`` clouds (m, C) and returns scores (m, K) of each, what is to be summed: softmax,
            or zeros for a point on which the network has nothing to say.
        voxel_size, origin: of the network's voxels.
        augmentations: at least one.
        chunk: clouds given to ``predict`` at once.
        vector_columns: as of :meth:`Augmentation.apply`.

    Returns:
        (n, K) sums; None for a cloud without points.
    """
    if chunk < 1 or not augmentations:
        raise ValueError(f'voting needs an augmentation and chunk >= 1, got {len(augmentations)} and {chunk}')
    total = None
    for augmentation in augmentations:
        moved = augmentation.apply(points, vector_columns)
        fragments = Fragments(moved[:, :3], voxel_size, origin)
        for start in range(0, len(fragments), chunk):
            rows = [fragments[i] for i in range(start, min(start + chunk, len(fragments)))]
            for row, scores in zip(rows, predict([moved[row] for row in rows])):
                if total is None:
                    total = scores.new_zeros(len(points), scores.shape[1])
                total[row] += scores  # rows differ: nothing is lost, and nothing depends on an order
    return total
